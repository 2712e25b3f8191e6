//! What messages take between two machines, as the paper's section 6.3 and DPF's Table 4 measure it: round trips of 60 bytes
//! by the kernel's calls alone, by UDP and by TCP; and how fast data gets through. Ticks of the clock are what there is to
//! measure with, so each takes seconds.
//@ network: 2
//@ ignore-machine: gxemul one at a time
//@ ignore-machine: malta one at a time
//@ timeout: 120
//@ expect: exos_net_speed: frames
//@ expect: exos_net_speed: udp round trip
//@ expect: exos_net_speed: udp throughput
//@ expect: exos_net_speed: tcp round trip
//@ expect: exos_net_speed: tcp throughput

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../stack.rs"]
mod stack;

use exos_net::stack::DATAGRAM_MAX;
use exos_net::{Fail, Ipv4Address, Limits, Stack, Tcp};
use exos_rt::abi::filter::Atom;
use exos_rt::abi::slice::MICROSECONDS;
use exos_rt::call::{self, NO_CAPABILITY};
use exos_rt::net::{self, Endpoint};
use exos_rt::println;
use stack::{address, in_seconds};

/// Round trips.
const ROUNDS: u32 = 1000;
/// Bytes that are sent one way.
const BYTES: u32 = 1_000_000;
const PORT: u16 = 7000;
/// Data of a datagram that is a frame of 60 bytes.
const SMALL: usize = 18;

fn main() {
    frames();
    let (mut stack, mine, other) = stack::stack(Limits { sockets: 3, filters: 8, buffers: 28 });
    let other = address(other);
    let is_first = mine == 1;
    udp(&mut stack, other, is_first);
    tcp(&mut stack, other, is_first);
    stack.end();
}

/// Ticks that something takes, in microseconds.
fn time(what: impl FnOnce()) -> u32 {
    let start = call::clock();
    while call::clock() == start {}
    let start = call::clock();
    what();
    (call::clock() - start) * MICROSECONDS
}

fn report(what: &str, microseconds: u32) {
    let tenths = microseconds / (ROUNDS / 10);
    println!("exos_net_speed: {what} round trip {}.{} us", tenths / 10, tenths % 10);
}

fn report_throughput(what: &str, bytes: u32, microseconds: u32) {
    println!("exos_net_speed: {what} throughput {bytes} bytes in {} ms", microseconds / 1000);
}

/// Round trips by the kernel's calls.
fn frames() {
    let mine = net::address().expect("there is a network");
    let mut endpoint = Endpoint::open(&[Atom::equal(12, 16, 0x88b6)], NO_CAPABILITY, 4).unwrap();
    let mut message = [0; 60];
    message[..6].copy_from_slice(&mine);
    message[5] ^= 3;
    message[6..12].copy_from_slice(&mine);
    message[12..14].copy_from_slice(&[0x88, 0xb6]);
    let get = |endpoint: &mut Endpoint, deadline| {
        let there = endpoint.wait(deadline);
        endpoint.receive(|message| message[14]);
        there
    };
    if mine[5] == 1 {
        net::send(&message).unwrap();
        while !get(&mut endpoint, Some(in_seconds(1))) {
            net::send(&message).unwrap();
        }
        // What was sent in vain is answered now.
        while get(&mut endpoint, Some(in_seconds(1))) {}
        let took = time(|| {
            for _ in 0..ROUNDS {
                net::send(&message).unwrap();
                get(&mut endpoint, None);
            }
        });
        report("frames", took);
        message[14] = 1;
        net::send(&message).unwrap();
    } else {
        loop {
            endpoint.wait(None);
            if endpoint.receive(|message| message[14]) == Some(1) {
                break;
            }
            net::send(&message).unwrap();
        }
    }
    endpoint.close();
}

fn udp(stack: &mut Stack, other: Ipv4Address, is_first: bool) {
    let udp = stack.udp(PORT, 24_000).unwrap();
    let mut buffer = [0; DATAGRAM_MAX];
    if is_first {
        let mut trip = |stack: &mut Stack, deadline| {
            stack.send_to(udp, &[1; SMALL], other, PORT).unwrap();
            stack.receive_from(udp, &mut buffer, deadline)
        };
        while trip(stack, Some(in_seconds(1))) == Err(Fail::TimedOut) {}
        let took = time(|| {
            for _ in 0..ROUNDS {
                trip(stack, Some(in_seconds(10))).unwrap();
            }
        });
        report("udp", took);
        // One way: eight datagrams, and then a word back, so that none is lost for want of buffers.
        let mut sent = 0;
        let took = time(|| {
            while sent < BYTES {
                for _ in 0..8 {
                    stack.send_to(udp, &[2; DATAGRAM_MAX], other, PORT).unwrap();
                    sent += DATAGRAM_MAX as u32;
                }
                stack.receive_from(udp, &mut [0; 32], Some(in_seconds(10))).unwrap();
            }
        });
        report_throughput("udp", sent, took);
        stack.send_to(udp, &[3], other, PORT).unwrap();
    } else {
        let mut count = 0;
        loop {
            let (bytes, from, port) = stack.receive_from(udp, &mut buffer, None).unwrap();
            count += u32::from(buffer[0] == 2);
            if buffer[0] == 3 {
                break;
            }
            if buffer[0] == 1 || count == 8 {
                count = 0;
                stack.send_to(udp, &buffer[..bytes.min(SMALL)], from, port).unwrap();
            }
        }
    }
    stack.close_udp(udp);
}

fn tcp(stack: &mut Stack, other: Ipv4Address, is_first: bool) {
    let tcp = stack.tcp(16_384).unwrap();
    stack.socket(tcp).set_nagle_enabled(false);
    let mut buffer = [0; 2048];
    if is_first {
        while stack.connect(tcp, other, PORT, Some(in_seconds(10))) == Err(Fail::Closed) {
            stack.step(Some(in_seconds(1)));
        }
        let took = time(|| {
            for _ in 0..ROUNDS {
                stack.write(tcp, &[1; SMALL], None).unwrap();
                read(stack, tcp, &mut buffer[..SMALL]);
            }
        });
        report("tcp", took);
        let took = time(|| {
            for _ in 0..BYTES / 2000 {
                stack.write(tcp, &[2; 2000], None).unwrap();
            }
            // The other says when it has all.
            read(stack, tcp, &mut buffer[..1]);
        });
        report_throughput("tcp", BYTES, took);
    } else {
        stack.listen(tcp, PORT).unwrap();
        stack.until(None, |stack| stack.accepted(tcp).then_some(())).unwrap();
        for _ in 0..ROUNDS {
            read(stack, tcp, &mut buffer[..SMALL]);
            stack.write(tcp, &[1; SMALL], None).unwrap();
        }
        let mut left = BYTES;
        while left != 0 {
            left -= stack.read(tcp, &mut buffer, None).unwrap() as u32;
        }
        stack.write(tcp, &[0], None).unwrap();
    }
    stack.finish(tcp, Some(in_seconds(20))).unwrap();
}

/// Reads so many bytes.
fn read(stack: &mut Stack, tcp: Tcp, mut buffer: &mut [u8]) {
    while !buffer.is_empty() {
        let count = stack.read(tcp, buffer, Some(in_seconds(10))).unwrap();
        assert_ne!(count, 0, "closed");
        buffer = &mut buffer[count..];
    }
}
