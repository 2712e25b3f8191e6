//! A server of DHCP as tests have it: what it listens to, and its answers.

#![allow(dead_code, reason = "not every program needs all of it")]

use exos_rt::abi::filter::Atom;
use exos_rt::net;

/// Its port.
pub const SERVER: u16 = 67;
pub const OFFER: u8 = 2;
pub const ACK: u8 = 5;
pub const NAK: u8 = 6;
/// Bytes of Ethernet's, IP's and UDP's headers.
pub const HEADERS: usize = 42;
/// Where DHCP's options begin.
pub const OPTIONS: usize = HEADERS + 240;
/// Bytes of an answer.
pub const ANSWER: usize = OPTIONS + 34;
/// As much of a question as is looked at: what it is comes first.
pub const QUESTION: usize = OPTIONS + 3;

/// What is for it.
pub fn filter() -> [Atom; 5] {
    [
        Atom::equal(12, 16, 0x0800),
        Atom::equal(14, 8, 0x45),
        Atom::masked(20, 16, 0x1fff, 0),
        Atom::equal(23, 8, 17),
        Atom::equal(36, 16, SERVER.into()),
    ]
}

/// An answer of a kind that lends an address for so many seconds; 10.0.0.2 says so, is the gateway, and knows names.
pub fn answer(question: &[u8], kind: u8, yours: [u8; 4], seconds: u32) -> [u8; ANSWER] {
    let mut message = [0; ANSWER];
    message[..6].copy_from_slice(&question[6..12]);
    message[6..12].copy_from_slice(&net::address().expect("there is a network"));
    message[12..15].copy_from_slice(&[8, 0, 0x45]);
    message[16..18].copy_from_slice(&(ANSWER as u16 - 14).to_be_bytes());
    message[22..24].copy_from_slice(&[64, 17]);
    message[26..30].copy_from_slice(&[10, 0, 0, 2]);
    message[30..34].copy_from_slice(&yours);
    message[34..38].copy_from_slice(&[0, SERVER as u8, 0, 68]);
    message[38..40].copy_from_slice(&(ANSWER as u16 - 34).to_be_bytes());
    message[HEADERS..HEADERS + 4].copy_from_slice(&[2, 1, 6, 0]);
    message[HEADERS + 4..HEADERS + 8].copy_from_slice(&question[HEADERS + 4..HEADERS + 8]);
    message[HEADERS + 16..HEADERS + 20].copy_from_slice(&yours);
    message[HEADERS + 28..HEADERS + 34].copy_from_slice(&question[HEADERS + 28..HEADERS + 34]);
    message[OPTIONS - 4..OPTIONS].copy_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    // What it is, who says so, the network, the gateway, who knows names, for how long.
    let options = [53, 1, kind, 54, 4, 10, 0, 0, 2, 1, 4, 255, 255, 255, 0, 3, 4, 10, 0, 0, 2, 6, 4, 10, 0, 0, 2];
    message[OPTIONS..OPTIONS + 27].copy_from_slice(&options);
    message[OPTIONS + 27..OPTIONS + 29].copy_from_slice(&[51, 4]);
    message[OPTIONS + 29..OPTIONS + 33].copy_from_slice(&seconds.to_be_bytes());
    message[OPTIONS + 33] = 0xff;
    fit(&mut message);
    message
}

/// Makes IP's checksum fit; UDP's is left out.
pub fn fit(message: &mut [u8; ANSWER]) {
    message[24..26].fill(0);
    let sum: u32 = message[14..34].chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    message[24..26].copy_from_slice(&(!((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes());
}

/// Sends an answer.
pub fn send(message: &[u8]) {
    net::send(message).expect("it is in this program's name");
}
