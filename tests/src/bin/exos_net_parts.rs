//! Two machines: datagrams of up to 8 KB, in parts, come back as they were, several at once, between others that are short. Who
//! has not allowed them neither sends nor gets them.
//@ network: 2
//@ ignore-machine: gxemul one at a time
//@ ignore-machine: malta one at a time
//@ expect: exos_net_parts: datagrams in parts came back

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../stack.rs"]
mod stack;

use exos_net::stack::DATAGRAM_MAX;
use exos_net::{Fail, Ipv4Address, Limits, Memory, Stack};
use exos_rt::println;
use stack::{address, byte, in_seconds};

/// The port of who gives back.
const ECHO: u16 = 7;
/// The longest datagram.
const LONGEST: usize = 8192;
/// Bytes of sockets.
const BYTES: usize = 2 * LONGEST;
/// What is said last.
const END: &[u8] = b"end";

/// Datagrams are too long for the stack.
static BUFFERS: Memory<{ 2 * (LONGEST + 1) }> = Memory::new();

fn main() {
    let (mut stack, mine, other) = stack::stack(Limits { sockets: 2, filters: 12, buffers: 8 });
    let mut buffers = BUFFERS.claim();
    let mut buffer = || buffers.take(LONGEST + 1, || 0).unwrap();
    let (question, answer) = (buffer(), buffer());
    let other = address(other);
    if mine == 1 {
        ask(&mut stack, other, question, answer);
        println!("exos_net_parts: datagrams in parts came back");
    } else {
        give_back(&mut stack, answer);
    }
    assert_eq!(stack.binding.refused(), 0);
    stack.end();
    assert_eq!(exos_rt::net::filters().count(), 0, "filters are left");
}

fn ask(stack: &mut Stack, other: Ipv4Address, question: &mut [u8], answer: &mut [u8]) {
    let udp = stack.udp(0, BYTES).unwrap();
    // The other may not have begun.
    loop {
        stack.send_to(udp, b"0", other, ECHO).unwrap();
        match stack.receive_from(udp, answer, Some(in_seconds(2))) {
            Err(Fail::TimedOut) => {}
            result => {
                result.unwrap();
                break;
            }
        }
    }
    assert_eq!(stack.send_to(udp, &question[..DATAGRAM_MAX + 1], other, ECHO), Err(Fail::BadMessage));
    assert_eq!(stack.allow_parts(Some(other), 65_508), Err(Fail::BadMessage));
    stack.allow_parts(Some(other), LONGEST).unwrap();
    assert_eq!(stack.allow_parts(None, LONGEST + 1), Err(Fail::BadMessage), "more than the first time");
    assert_eq!(stack.send_to(udp, question, other, ECHO), Err(Fail::BadMessage));
    // Each way, and each limit of parts.
    for (round, bytes) in (1..).zip([1, 1472, 1473, 1474, 2951, 2952, 2953, 2960, 4096, 5912, 5913, 8191, LONGEST]) {
        for (at, to) in (0..).zip(&mut question[..bytes]) {
            *to = byte(at, round);
        }
        stack.send_to(udp, &question[..bytes], other, ECHO).unwrap();
        let (count, from, port) = stack.receive_from(udp, answer, Some(in_seconds(3))).unwrap();
        assert_eq!((count, from, port), (bytes, other, ECHO), "round {round}");
        assert!(answer[..count] == question[..count], "{bytes} bytes");
    }
    // Several on their way at once, and short ones between them.
    for round in 0..10 {
        let sizes = [LONGEST, 10, 3000];
        for bytes in sizes {
            stack.send_to(udp, &question[..bytes], other, ECHO).unwrap();
        }
        let mut left = heapless::Vec::<usize, 3>::from_slice(&sizes).unwrap();
        while !left.is_empty() {
            let (count, ..) = stack.receive_from(udp, answer, Some(in_seconds(3))).unwrap();
            let at = left.iter().position(|&bytes| bytes == count).unwrap_or_else(|| panic!("{round}: {count} bytes"));
            left.swap_remove(at);
            assert!(answer[..count] == question[..count], "{count} bytes");
        }
    }
    // Nobody there: the first waits for its destination's address, and the second for the first to be sent.
    assert_eq!(stack.send_to(udp, &question[..3000], address(99), ECHO), Ok(()));
    assert_eq!(stack.send_to(udp, &question[..3000], other, ECHO), Err(Fail::TimedOut));
    // A socket that is closed takes what was to be sent with it.
    stack.close_udp(udp);
    let udp = stack.udp(0, BYTES).unwrap();
    stack.send_to(udp, &question[..3000], other, ECHO).unwrap();
    assert_eq!(stack.receive_from(udp, answer, Some(in_seconds(3))).unwrap().0, 3000);
    // Without filters for them later parts reach nobody, and nobody sends them.
    stack.forbid_parts(Some(other), LONGEST);
    stack.send_to(udp, b"large", other, ECHO).unwrap();
    assert_eq!(stack.receive_from(udp, answer, Some(in_seconds(3))), Err(Fail::TimedOut));
    stack.send_to(udp, END, other, ECHO).unwrap();
    stack.poll();
    stack.close_udp(udp);
}

fn give_back(stack: &mut Stack, buffer: &mut [u8]) {
    let udp = stack.udp(ECHO, BYTES).unwrap();
    stack.allow_parts(None, LONGEST).unwrap();
    loop {
        let (count, from, port) = stack.receive_from(udp, buffer, None).unwrap();
        let answer = match &buffer[..count] {
            END => break,
            b"large" => &buffer[..3000],
            same => same,
        };
        stack.send_to(udp, answer, from, port).unwrap();
    }
    stack.close_udp(udp);
}
