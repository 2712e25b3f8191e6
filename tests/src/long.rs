//! 10 MB each way at once through a connection. Each end sums up what it sends and what it gets, and tells the other the former at
//! the end: the sums are equal. The host's end of it is `tools/exo/src/host_end.rs`.

use crate::stack::{adler, byte, in_seconds};
use exos_net::{Stack, Tcp};

/// Bytes each way.
pub const BYTES: u32 = 10 << 20;
/// A stream is the same bytes again and again, so many that their borders are no segment's.
const BLOCK: usize = 2039;
/// Seconds of the machine's for all of it.
const SECONDS: u32 = 200;

/// Runs one end, which sends the stream with this number, and closes the connection.
pub fn exchange(stack: &mut Stack, tcp: Tcp, stream: u32) {
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
