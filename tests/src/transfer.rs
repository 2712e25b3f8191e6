//! A transfer by TCP between two machines, both ways at once through one connection, then in separate connections; all
//! checksums are equal.

use crate::stack::{self, address, adler, byte, in_seconds};
use exos_net::{Fail, Ipv4Address, Limits, Stack, Tcp};
use exos_rt::println;

/// The port of who answers.
const PORT: u16 = 4000;
/// Bytes that are handed over at once.
const PIECE: usize = 3000;

/// Runs it on either machine: so many connections, so many bytes each way, within so many seconds each; then goes on `answering`
/// for so many, if what ends a connection may be lost.
pub fn run(connections: u32, bytes: u32, seconds: u32, answering: u32) {
    let (mut stack, mine, other) = stack::stack(Limits { sockets: 2, filters: 8, buffers: 24 });
    let tcp = stack.tcp(16_384).unwrap();
    for number in 0..connections {
        if mine == 1 {
            call(&mut stack, tcp, address(other), number, seconds);
        } else {
            stack.listen(tcp, PORT).unwrap();
            stack.until(None, |stack| stack.accepted(tcp).then_some(())).unwrap();
        }
        exchange(&mut stack, tcp, bytes, [mine, other].map(|machine| 4 * number + u32::from(machine)), seconds);
        if mine == 1 {
            println!("{}: {bytes} bytes each way, connection {number}", exos_rt::program::name());
        }
    }
    // The other may not have heard that its end has come, and tells it again. Who ends the run by its own end waits for longer.
    let answering = if mine == 1 { 2 * answering } else { answering };
    let _ = stack.until(Some(in_seconds(answering)), |_| None::<()>);
    assert_eq!(stack.binding.refused(), 0);
    stack.end();
    assert_eq!(exos_rt::net::filters().count(), 0, "filters are left");
}

/// Calls until somebody listens.
fn call(stack: &mut Stack, tcp: Tcp, other: Ipv4Address, number: u32, seconds: u32) {
    let deadline = in_seconds(seconds);
    loop {
        match stack.connect(tcp, other, PORT, Some(deadline)) {
            Err(Fail::Closed) => stack.step(Some(in_seconds(1))),
            result => return result.unwrap_or_else(|fail| panic!("connection {number}: {fail}")),
        }
    }
}

/// Sends so many bytes of a stream and reads as many of another, as both get on.
fn exchange(stack: &mut Stack, tcp: Tcp, bytes: u32, [mine, theirs]: [u32; 2], seconds: u32) {
    let deadline = Some(in_seconds(seconds));
    let (mut sent, mut received, mut sum) = (0, 0, 1);
    let mut piece = [0; PIECE];
    while sent < bytes || received < bytes {
        let progress = stack.until(deadline, |stack| {
            let socket = stack.socket(tcp);
            let (before, open) = (sent + received, socket.may_recv());
            if sent < bytes && socket.can_send() {
                let count = fill(&mut piece, sent, bytes, mine);
                sent += socket.send_slice(&piece[..count]).unwrap() as u32;
            }
            if socket.can_recv() {
                let count = socket.recv_slice(&mut piece).unwrap();
                let good = (received..).zip(&piece[..count]).all(|(at, &got)| got == byte(at, theirs));
                assert!(good, "wrong bytes behind {received}");
                sum = adler(sum, &piece[..count]);
                received += count as u32;
            }
            (sent + received != before || !open).then_some(sent + received != before)
        });
        assert!(progress.expect("it goes on"), "closed behind {received} bytes, {sent} sent");
    }
    assert_eq!(received, bytes);
    let mut expected = 1;
    for start in (0..bytes).step_by(PIECE) {
        let count = fill(&mut piece, start, bytes, theirs);
        expected = adler(expected, &piece[..count]);
    }
    assert_eq!(sum, expected);
    stack.finish(tcp, deadline).expect("both ends are closed");
}

/// Writes what a stream of so many bytes has from a place on, as far as there is room; how much it is.
fn fill(piece: &mut [u8], start: u32, bytes: u32, stream: u32) -> usize {
    let count = piece.len().min((bytes - start) as usize);
    for (at, to) in (start..).zip(&mut piece[..count]) {
        *to = byte(at, stream);
    }
    count
}
