//! A station sends what is malformed: headers whose lengths lie, options and fragments that overlap, checksums that are wrong,
//! segments out of nowhere, a flood of calls, answers that nobody asked for. Nothing of it is taken for data, no program
//! ends, and what is good still passes.
//@ network: peer
//@ timeout: 60
//@ expect: exos_net_malformed: nothing came of it

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../net.rs"]
mod net;
#[path = "../stack.rs"]
mod stack;

use exos_net::{Fail, Limits, Stack, Udp};
use exos_rt::abi::network::Interface;
use exos_rt::call::NO_CAPABILITY;
use exos_rt::net::Endpoint;
use exos_rt::{println, public};
use net::Question;
use net::cable::{PEER, TYPE};
use stack::in_seconds;

const PORT: u16 = 5000;
/// Bytes of headers: Ethernet, IP, UDP.
const HEADERS: usize = 42;

fn main() {
    let (mut stack, ..) = stack::stack(Limits { sockets: 4, filters: 16, buffers: 8 });
    let udp = stack.udp(PORT, 4096).unwrap();
    let tcp = stack.tcp(2048).unwrap();
    stack.listen(tcp, 80).unwrap();
    stack.poll();
    let asking = Endpoint::open(&net::filter(TYPE, 9), NO_CAPABILITY, 1).unwrap();

    let good = datagram(b"good", 4);
    send(&mut stack, &good, 1);
    expect(&mut stack, udp, Some(4));

    // Each bit of the headers in turn, wrong: whatever comes of it is not more than there is.
    for bit in 12 * 8..HEADERS * 8 {
        let mut wrong = good;
        wrong[bit / 8] ^= 0x80 >> (bit % 8);
        send(&mut stack, &wrong, 1);
    }
    // A checksum of 0 is none, and a field that is not looked at may be anything if the checksum was not: few of them pass.
    drain(&mut stack, udp);

    // Lengths that lie, with checksums that fit.
    for length in [0, 1, 7, 8, 9, 11, 13, 1000, 0xffff] {
        let mut wrong = good;
        wrong[38..40].copy_from_slice(&(length as u16).to_be_bytes());
        wrong[40..42].fill(0);
        send(&mut stack, &wrong, 1);
    }
    for length in [0, 19, 20, 27, 28, 31, 33, 1500, 0xffff] {
        let mut wrong = good;
        wrong[16..18].copy_from_slice(&(length as u16).to_be_bytes());
        wrong[40..42].fill(0);
        fit(&mut wrong);
        send(&mut stack, &wrong, 1);
    }
    drain(&mut stack, udp);

    // First fragments, that overlap and are never whole, and later ones, that reach nobody.
    for (offset, more) in [(0, true), (0, true), (1, true), (1, false), (0x1fff, false)] {
        let mut fragment = good;
        fragment[20..22].copy_from_slice(&(offset | u16::from(more) << 13).to_be_bytes());
        fit(&mut fragment);
        send(&mut stack, &fragment, 2);
    }
    expect(&mut stack, udp, None);

    malformed_parts(&mut stack, udp);

    // Segments that begin nothing, with all combinations of flags and lengths of headers.
    for flags in 0..64 {
        for words in [0, 5, 6, 15] {
            let mut segment = segment(4000, flags, words);
            fit(&mut segment);
            send(&mut stack, &segment, 1);
        }
    }
    settle(&mut stack);
    stack.abort(tcp);

    // A flood of calls from many ports: one occupies the socket, and is given up when somebody closes it.
    stack.listen(tcp, 80).unwrap();
    let mut flood = segment(1, 2, 5);
    fit(&mut flood);
    // The number that counts up is the caller's port and its own first number's beginning; the checksum rarely fits.
    arrive(&mut stack, &flood, Question { byte: 9, flags: 0, count: 500, bytes: 60, number_at: 36 });
    settle(&mut stack);
    stack.abort(tcp);

    // Answers that nobody asked for.
    let mut arp = [0; 60];
    arp[..42].copy_from_slice(&arp_answer());
    send(&mut stack, &arp, 5);
    send(&mut stack, &good, 1);
    expect(&mut stack, udp, Some(4));
    println!("exos_net_malformed: nothing came of it");
    asking.close();
    stack.close_udp(udp);
    stack.end();
    assert_eq!(exos_rt::net::filters().count(), 0, "filters are left");
}

/// The same, where datagrams in parts are allowed: those that can be none are dropped, and keep nothing from those that are.
fn malformed_parts(stack: &mut Stack, udp: Udp) {
    let station = Some(stack::address(200));
    stack.allow_parts(station, 2000).unwrap();
    let send = |stack: &mut Stack, part: &[u8; 60], bytes: u16| {
        arrive(stack, part, Question { byte: 9, flags: 0, count: 1, bytes, number_at: 0 });
    };
    let first = |number: u8, bytes: u16| part(number, 0, bytes, true);
    let last = |number: u8, bytes: u16| part(number, 185, bytes, false);
    let mut buffer = [0; 2000];
    let mut whole = |stack: &mut Stack, number: u8| {
        send(stack, &first(number, 1480), 1514);
        send(stack, &last(number, 26), 60);
        let (count, ..) = stack.receive_from(udp, &mut buffer, Some(in_seconds(2))).unwrap();
        // What the station fills up counts up from the frame's start.
        assert!(
            count == 1498
                && &buffer[..4] == b"good"
                && buffer[18..1472].iter().zip(60..).all(|(&got, at)| got == at as u8)
        );
    };
    whole(stack, 1);
    // Many that are never whole.
    for number in 2..22 {
        send(stack, &first(number, 1480), 1514);
    }
    whole(stack, 30);
    // Parts that overlap, that have several ends, that are too long, whose lengths lie, that end within a block.
    for [one, other] in [
        [(first(40, 1400), 1434), (first(40, 1480), 1514)],
        [(last(41, 26), 60), (last(41, 25), 60)],
        [(last(42, 26), 60), (last(42, 1000), 1034)],
        [(first(43, 1480), 1514), (last(43, 1001), 1035)],
        [(part(44, 185, 0xf000, false), 60), (part(44, 185, 0, false), 60)],
        [(first(45, 1479), 1514), (last(45, 26), 60)],
        [(part(46, 185, 21, true), 60), (last(46, 26), 60)],
    ] {
        send(stack, &one.0, one.1);
        send(stack, &other.0, other.1);
    }
    assert_eq!(stack.receive_from(udp, &mut [0; 64], Some(in_seconds(1))), Err(Fail::TimedOut));
    whole(stack, 50);
    stack.forbid_parts(station, 2000);
}

/// A part of a datagram of 1498 bytes to the port: its number, how many times eight bytes behind the first it is, its bytes.
fn part(number: u8, offset: u16, bytes: u16, more: bool) -> [u8; 60] {
    let mut frame = datagram(b"good", 4);
    frame[16..18].copy_from_slice(&bytes.wrapping_add(20).to_be_bytes());
    frame[19] = number;
    frame[20..22].copy_from_slice(&(offset | u16::from(more) << 13).to_be_bytes());
    frame[38..40].copy_from_slice(&1506_u16.to_be_bytes());
    frame[46..60].fill(0);
    fit(&mut frame);
    frame
}

/// Has a frame sent so many times, and attends to what comes.
fn send(stack: &mut Stack, frame: &[u8], count: u32) {
    arrive(stack, frame, Question { byte: 9, flags: 0, count, bytes: 60, number_at: 0 });
}

/// Asks for frames and attends to them until all have come that the controller does not miss: the station may be slow, and what
/// comes late would come at once with what is asked for next. What does not come in two seconds is lost.
fn arrive(stack: &mut Stack, frame: &[u8], question: Question) {
    let before = public::interface();
    question.ask(frame).unwrap();
    let end = in_seconds(2);
    let come = |counted: Interface| counted.received >= question.count || counted.missed != 0;
    while !come(net::since(before)) && public::ticks() < end {
        // What nobody has a filter for wakes nobody.
        stack.step(Some(in_seconds(0) + 1));
    }
    stack.poll();
}

/// Attends to the network for a while.
fn settle(stack: &mut Stack) {
    let _ = stack.until::<()>(Some(in_seconds(1)), |_| None);
}

/// A datagram of so many bytes comes, and no other; or none.
fn expect(stack: &mut Stack, udp: Udp, bytes: Option<usize>) {
    let mut buffer = [0; 64];
    if let Some(bytes) = bytes {
        let (count, ..) = stack.receive_from(udp, &mut buffer, Some(in_seconds(2))).unwrap();
        assert!(count == bytes && &buffer[..4] == b"good");
    }
    assert_eq!(stack.receive_from(udp, &mut buffer, Some(in_seconds(1))), Err(Fail::TimedOut));
}

/// Takes what has come in spite of all: never more than was sent.
fn drain(stack: &mut Stack, udp: Udp) {
    let mut buffer = [0; 64];
    while let Ok((count, ..)) = stack.receive_from(udp, &mut buffer, Some(in_seconds(1))) {
        assert!(count <= 60 - HEADERS, "{count} bytes");
    }
}

/// Headers of Ethernet and IP, from the station.
fn headers(protocol: u8, length: u16) -> [u8; 60] {
    let mut frame = [0; 60];
    frame[..6].copy_from_slice(&net::address());
    frame[6..12].copy_from_slice(&PEER);
    frame[12..15].copy_from_slice(&[8, 0, 0x45]);
    frame[16..18].copy_from_slice(&length.to_be_bytes());
    frame[22..24].copy_from_slice(&[64, protocol]);
    frame[26..30].copy_from_slice(&stack::address(200).octets());
    frame[30..34].copy_from_slice(&stack::address(stack::number()).octets());
    frame
}

/// A datagram to the port.
fn datagram(data: &[u8], bytes: u16) -> [u8; 60] {
    let mut frame = headers(17, 28 + bytes);
    frame[34..38].copy_from_slice(&[0, 77, (PORT >> 8) as u8, PORT as u8]);
    frame[38..40].copy_from_slice(&(8 + bytes).to_be_bytes());
    frame[HEADERS..HEADERS + data.len()].copy_from_slice(data);
    fit(&mut frame);
    frame
}

/// A segment to the port of HTTP.
fn segment(from: u16, flags: u8, words: u8) -> [u8; 60] {
    let mut frame = headers(6, 44);
    frame[34..36].copy_from_slice(&from.to_be_bytes());
    frame[37] = 80;
    frame[46] = words << 4;
    frame[47] = flags;
    frame[48..50].copy_from_slice(&1000_u16.to_be_bytes());
    frame
}

/// An answer by ARP that the station has another interface than it has.
fn arp_answer() -> [u8; 42] {
    let mut frame = [0; 42];
    frame[..6].copy_from_slice(&net::address());
    frame[6..12].copy_from_slice(&PEER);
    frame[12..22].copy_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 2]);
    frame[22..28].fill(0x0a);
    frame[28..32].copy_from_slice(&stack::address(200).octets());
    frame[32..38].copy_from_slice(&net::address());
    frame[38..42].copy_from_slice(&stack::address(stack::number()).octets());
    frame
}

/// Makes the checksums of IP and TCP fit; UDP's is left out.
fn fit(frame: &mut [u8; 60]) {
    frame[24..26].fill(0);
    let sum = checksum(&frame[14..34], 0);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    if frame[23] == 6 {
        frame[50..52].fill(0);
        let pseudo: u32 = frame[26..34].chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
        let sum = checksum(&frame[34..58], pseudo + 6 + 24);
        frame[50..52].copy_from_slice(&sum.to_be_bytes());
    }
}

fn checksum(bytes: &[u8], start: u32) -> u16 {
    let pairs = bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum = start + pairs.sum::<u32>();
    let sum = (sum & 0xffff) + (sum >> 16);
    !((sum & 0xffff) + (sum >> 16)) as u16
}
