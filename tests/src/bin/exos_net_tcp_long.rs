//! Two machines: 10 MB each way at once through a connection. Each end sums up what it sends and what it gets, and tells the
//! other the former at the end: the sums are equal.
//@ network: 2
//@ ignore-machine: gxemul one at a time
//@ ignore-machine: malta one at a time
//@ timeout: 240
//@ expect: exos_net_tcp_long: 10485760 bytes each way, sums equal

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../stack.rs"]
mod stack;

use exos_net::{Fail, Limits, Stack, Tcp};
use exos_rt::println;
use stack::{address, adler, byte, in_seconds};

const PORT: u16 = 4000;
const BYTES: u32 = 10 << 20;
/// A stream is the same bytes again and again, so many that their borders are no segment's.
const BLOCK: usize = 2039;
/// Seconds of the machine's for all of it.
const SECONDS: u32 = 200;

fn main() {
    let (mut stack, mine, other) = stack::stack(Limits { sockets: 1, filters: 6, buffers: 24 });
    let tcp = stack.tcp(16_384).unwrap();
    if mine == 1 {
        // The other may not listen yet.
        while let Err(fail) = stack.connect(tcp, address(other), PORT, Some(in_seconds(5))) {
            assert!(matches!(fail, Fail::Closed | Fail::TimedOut), "{fail}");
        }
    } else {
        stack.listen(tcp, PORT).unwrap();
        stack.until(None, |stack| stack.accepted(tcp).then_some(())).unwrap();
    }
    exchange(&mut stack, tcp, u32::from(mine));
    if mine == 1 {
        println!("exos_net_tcp_long: {BYTES} bytes each way, sums equal");
    }
    stack.end();
    assert_eq!(exos_rt::net::filters().count(), 0, "filters are left");
}

fn exchange(stack: &mut Stack, tcp: Tcp, stream: u32) {
    let block: [u8; BLOCK] = core::array::from_fn(|at| byte(at as u32, stream));
    let deadline = Some(in_seconds(SECONDS));
    // How much there was of each direction, and its sum.
    let (mut sent, mut received) = ((0, 1), (0, 1));
    while sent.0 < BYTES || received.0 < BYTES {
        let progress = stack.until(deadline, |stack| {
            let socket = stack.socket(tcp);
            let before = sent.0 + received.0;
            if sent.0 < BYTES && socket.can_send() {
                let piece = &block[sent.0 as usize % BLOCK..];
                let piece = &piece[..piece.len().min((BYTES - sent.0) as usize)];
                let count = socket.send_slice(piece).unwrap();
                sent = (sent.0 + count as u32, adler(sent.1, &piece[..count]));
            }
            if received.0 < BYTES && socket.can_recv() {
                let left = (BYTES - received.0) as usize;
                let take = |bytes: &mut [u8]| {
                    let count = bytes.len().min(left);
                    (count, (received.0 + count as u32, adler(received.1, &bytes[..count])))
                };
                received = socket.recv(take).unwrap();
            }
            (sent.0 + received.0 != before || !socket.may_recv()).then_some(sent.0 + received.0 != before)
        });
        assert!(progress.expect("it goes on"), "closed behind {} bytes, {} sent", received.0, sent.0);
    }
    stack.write(tcp, &sent.1.to_be_bytes(), deadline).unwrap();
    let mut sum = [0; 4];
    let mut known = 0;
    while known < sum.len() {
        known += stack.read(tcp, &mut sum[known..], deadline).unwrap();
    }
    assert_eq!(u32::from_be_bytes(sum), received.1);
    assert_ne!(sent.1, received.1, "the streams are different");
    stack.finish(tcp, deadline).expect("both ends are closed");
}
