//! Two machines: one is pinged, and gives back datagrams of all sizes.
//@ network: 2
//@ ignore-machine: gxemul one at a time
//@ ignore-machine: malta one at a time
//@ expect: exos_net_udp: pings were answered
//@ expect: exos_net_udp: datagrams came back

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../stack.rs"]
mod stack;

use exos_net::stack::{DATAGRAM_MAX, PING_MAX};
use exos_net::{Fail, Ipv4Address, Limits, Stack};
use exos_rt::println;
use stack::{address, byte, in_seconds};

/// The port of who gives back.
const ECHO: u16 = 7;
/// What is said last.
const END: &[u8] = b"end";

fn main() {
    let frames = exos_rt::net::filters().count();
    let (mut stack, mine, other) = stack::stack(Limits::default());
    if mine == 1 {
        ping(&mut stack, address(other));
        ask(&mut stack, address(other));
    } else {
        give_back(&mut stack);
    }
    assert_eq!(stack.binding.refused(), 0);
    stack.end();
    assert_eq!(exos_rt::net::filters().count(), frames, "filters are left");
}

fn ping(stack: &mut Stack, other: Ipv4Address) {
    let ping = stack.ping_socket().unwrap();
    let mut data = [0; PING_MAX];
    // The other may not have begun.
    while stack.ping(ping, other, 0, &[], in_seconds(1)) == Err(Fail::TimedOut) {}
    for (sequence, bytes) in (1..).zip([0, 1, 17, 56, 1000, PING_MAX]) {
        for (at, byte) in (0..).zip(&mut data) {
            *byte = stack::byte(at, sequence.into());
        }
        stack.ping(ping, other, sequence, &data[..bytes], in_seconds(2)).unwrap();
    }
    assert_eq!(stack.ping(ping, other, 0, &[0; PING_MAX + 1], in_seconds(1)), Err(Fail::BadMessage));
    assert_eq!(stack.ping(ping, address(99), 0, &[], in_seconds(2)), Err(Fail::TimedOut), "nobody is there");
    println!("exos_net_udp: pings were answered");
}

fn ask(stack: &mut Stack, other: Ipv4Address) {
    let udp = stack.udp(0, 4096).unwrap();
    let mut buffer = [0; DATAGRAM_MAX];
    let mut question = [0; DATAGRAM_MAX];
    for round in 0..60 {
        let bytes = [1, 8, 9, 100, 1000, DATAGRAM_MAX][round % 6];
        for (at, to) in (0..).zip(&mut question) {
            *to = byte(at, round as u32);
        }
        stack.send_to(udp, &question[..bytes], other, ECHO).unwrap();
        let answer = stack.receive_from(udp, &mut buffer, Some(in_seconds(3)));
        let (count, from, port) = answer.unwrap_or_else(|fail| panic!("round {round}: {fail}"));
        assert_eq!((count, from, port), (bytes, other, ECHO));
        assert!(buffer[..count] == question[..count], "round {round}");
    }
    let too_long = [0; DATAGRAM_MAX + 1];
    assert_eq!(stack.send_to(udp, &too_long, other, ECHO), Err(Fail::BadMessage));
    assert_eq!(stack.send_to(udp, &[], other, 0), Err(Fail::BadMessage));
    stack.send_to(udp, END, other, ECHO).unwrap();
    stack.close_udp(udp);
    println!("exos_net_udp: datagrams came back");
}

fn give_back(stack: &mut Stack) {
    let udp = stack.udp(ECHO, 4096).unwrap();
    let mut buffer = [0; DATAGRAM_MAX];
    loop {
        let (count, from, port) = stack.receive_from(udp, &mut buffer, None).unwrap();
        if &buffer[..count] == END {
            break;
        }
        stack.send_to(udp, &buffer[..count], from, port).unwrap();
    }
    stack.close_udp(udp);
}
