//! Two machines: one has no address, and asks the other by DHCP for one, by DNS for names, and by SNTP for the time. The other
//! is silent at first, and then says much that is no answer, or lies, before what is good.
//@ network: 2
//@ ignore-machine: gxemul one at a time
//@ ignore-machine: malta one at a time
//@ timeout: 60
//@ expect: exos_net_servers: DHCP has said all
//@ expect: exos_net_servers: names have addresses
//@ expect: exos_net_servers: it is 1800000000 seconds

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../dhcp.rs"]
mod dhcp;
#[path = "../stack.rs"]
mod stack;

use dhcp::{ACK, HEADERS, NAK, OFFER, OPTIONS, QUESTION, answer, fit, send};
use exos_net::{Fail, Host, Ipv4Address, Limits, Stack, Udp};
use exos_rt::call::NO_CAPABILITY;
use exos_rt::net::{self, Endpoint};
use exos_rt::println;
use heapless::Vec;
use stack::{address, in_seconds};

const LIMITS: Limits = Limits { sockets: 4, filters: 8, buffers: 24 };
/// What is said of the first machine.
const HOST: &str = "10.0.0.1/24,10.0.0.2,10.0.0.2";
/// The time.
const NOW: u32 = 1_800_000_000;
/// Seconds from the era of NTP to that of UNIX.
const EPOCH: u32 = 2_208_988_800;
/// Seconds for which the address is lent: longer than all of this takes.
const LEASE: u32 = 3600;
/// What must not be believed.
const LIE: [u8; 4] = [10, 9, 9, 9];

fn main() {
    if stack::number() == 1 {
        let mut stack = stack::without_address(LIMITS);
        learn(&mut stack);
        find(&mut stack);
        look_at_the_clock(&mut stack);
        assert_eq!(stack.binding.refused(), 0);
        stack.end();
    } else {
        give_an_address();
        let (mut stack, ..) = stack::stack(LIMITS);
        tell_names(&mut stack);
        tell_the_time(&mut stack);
        stack.end();
    }
    assert_eq!(net::filters().count(), 0, "filters are left");
}

// --- Who asks. ---

fn learn(stack: &mut Stack) {
    // The other may not have begun, and is silent at first.
    let host = stack.ask_host(Some(in_seconds(60))).unwrap();
    assert_eq!(Some(host), Host::parse(HOST));
    assert_eq!(stack.host(), Some(host));
    for bad in ["", "10.0.0.1", "10.0.0.1/33", "224.0.0.1/24", "10.0.0.1/24,0.0.0.0", "10.0.0.1/24,10.0.0.2,10.0.0.2,"]
    {
        assert_eq!(Host::parse(bad), None, "{bad:?}");
    }
    println!("exos_net_servers: DHCP has said all");
}

fn find(stack: &mut Stack) {
    let good = Ok(address(77));
    for (name, result) in [
        ("10.1.2.3", Ok(Ipv4Address::new(10, 1, 2, 3))),
        ("host.test", good),
        ("HOST.test.", good),
        ("alias.test", good),
        ("itself.test", good),
        ("nobody.test", Err(Fail::NoName)),
        ("long.test", Err(Fail::NoName)),
        ("many.test", Err(Fail::NoName)),
        ("silent.test", Err(Fail::TimedOut)),
        ("a..test", Err(Fail::BadMessage)),
        ("", Err(Fail::BadMessage)),
        ("a-label-of-64-letters-which-is-one-too-many-for-a-name-in-the-dns.test", Err(Fail::BadMessage)),
    ] {
        assert_eq!(stack.resolve(name, in_seconds(8)), result, "{name}");
    }
    // All questions have the same memory, so there may be many.
    for _ in 0..50 {
        assert_eq!(stack.resolve("host.test", in_seconds(8)), good);
    }
    assert_eq!(stack.resolve("end.test", in_seconds(8)), good);
    println!("exos_net_servers: names have addresses");
}

fn look_at_the_clock(stack: &mut Stack) {
    let clock = stack.ask_time(address(2), in_seconds(20)).unwrap();
    println!("exos_net_servers: it is {} seconds", clock.seconds());
    let _ = stack.until::<()>(Some(in_seconds(3)), |_| None);
    assert!((3..5).contains(&(clock.seconds() - NOW)), "{}", clock.seconds());
    for what in ["does not know itself", "wants to be left alone", "has none"] {
        assert_eq!(stack.ask_time(address(2), in_seconds(20)), Err(Fail::BadAnswer), "a server that {what}");
    }
    assert_eq!(stack.ask_time(address(99), in_seconds(5)), Err(Fail::TimedOut), "nobody is there");
    stack.set_host(Host::parse("10.0.0.1/24").unwrap());
    assert_eq!(stack.resolve("host.test", in_seconds(8)), Err(Fail::NoName), "nobody is known who knows");
}

// --- DHCP. ---

fn give_an_address() {
    let mut endpoint = Endpoint::open(&dhcp::filter(), NO_CAPABILITY, 4).unwrap();
    let (mut discovered, mut requested) = (0, 0);
    while requested < 2 {
        endpoint.wait(None);
        let question = endpoint.receive(|message| message.first_chunk::<QUESTION>().copied());
        let question = question.flatten().expect("a question is long enough");
        assert_eq!(question[OPTIONS..OPTIONS + 2], [53, 1], "what it is comes first");
        if question[OPTIONS + 2] == 1 {
            discovered += 1;
            if discovered > 2 {
                lie(&question, OFFER);
                send(&answer(&question, OFFER, [10, 0, 0, 1], LEASE));
            }
        } else {
            requested += 1;
            lie(&question, ACK);
            // The first time it is told to begin anew.
            send(&answer(&question, if requested == 1 { NAK } else { ACK }, [10, 0, 0, 1], LEASE));
        }
    }
    assert_eq!(discovered, 4);
    endpoint.close();
}

/// Says what is no answer to a question, or none that can be believed.
fn lie(question: &[u8], kind: u8) {
    let lie = answer(question, kind, LIE, LEASE);
    let with = |at: usize, bytes: &[u8]| {
        let mut wrong = lie;
        wrong[at..at + bytes.len()].copy_from_slice(bytes);
        fit(&mut wrong);
        send(&wrong);
    };
    with(HEADERS, &[1]); // a question
    with(HEADERS + 2, &[16]); // a longer address of Ethernet
    with(HEADERS + 4, &[!lie[HEADERS + 4]]); // another question's
    with(HEADERS + 28 + 5, &[!lie[HEADERS + 28 + 5]]); // another machine's
    with(HEADERS + 16, &[0; 4]); // addresses that no machine has
    with(HEADERS + 16, &[0xff; 4]);
    with(HEADERS + 16, &[224, 0, 0, 1]);
    with(OPTIONS - 4, &[0]); // not DHCP
    with(OPTIONS + 1, &[200]); // lengths that lie: an option's,
    with(OPTIONS + 3, &[0xff]); // and options that end before it says who it is,
    with(38, &[0xff, 0xff]); // the datagram's,
    with(38, &[0, 100]);
    with(38, &[0, 0]);
    with(16, &[0xff, 0xff]); // and IP's
    with(16, &[0, 30]);
    send(&lie[..HEADERS + 20]);
    if kind == ACK {
        with(OPTIONS + 9, &[0xff]); // no network
        with(OPTIONS + 11, &[255, 0, 255, 0]);
    }
}

// --- DNS. ---

/// A message of a server for names.
type Message = Vec<u8, 512>;

fn tell_names(stack: &mut Stack) {
    let udp = stack.udp(53, 4096).unwrap();
    let strange = stack.udp(54, 2048).unwrap();
    let (mut first, mut silent) = (true, 0);
    let mut buffer = [0; 512];
    loop {
        let (count, from, port) = stack.receive_from(udp, &mut buffer, None).unwrap();
        let question = &buffer[..count];
        let mut say = |from_port: Udp, message: &[u8]| stack.send_to(from_port, message, from, port).unwrap();
        let name = &question[13..];
        let good = message(question, 1, &[record(1, &address(77).octets())]);
        if name.starts_with(b"silent") {
            silent += 1;
        } else if name.starts_with(b"nobody") {
            let mut none = message(question, 0, &[]);
            none[3] |= 3;
            say(udp, &none);
        } else if name.starts_with(b"alias") {
            say(udp, &message(question, 2, &[record(5, b"\x04host\xc0\x12"), record(1, &address(77).octets())]));
        } else if name.starts_with(b"itself") {
            // Its name is where it is itself, so it has no end.
            let mut message = good;
            let at = question.len() as u8;
            message[question.len() + 1] = at;
            say(udp, &message);
        } else if name.starts_with(b"long") {
            let mut record = record(1, &LIE);
            record[10] = 0xff;
            say(udp, &message(question, 1, &[record]));
        } else if name.starts_with(b"many") {
            say(udp, &message(question, 0xffff, &[]));
        } else if first && name.starts_with(b"host") {
            first = false;
        } else {
            let lie = message(question, 1, &[record(1, &LIE)]);
            say(strange, &lie);
            let changed = |at: usize, byte: u8| {
                let mut wrong = lie.clone();
                wrong[at] = byte;
                wrong
            };
            // Another question's, a question, two questions and none, another name, another type.
            for (at, byte) in [(0, !lie[0]), (2, 0), (5, 2), (5, 0), (13, b'x'), (13, 0xff), (question.len() - 3, 28)] {
                say(udp, &changed(at, byte));
            }
            say(udp, &lie[..11]);
            say(udp, &lie[..question.len() - 1]);
            say(udp, &good);
        }
        if buffer[13..].starts_with(b"end") {
            break;
        }
    }
    // In 8 seconds: at once, and behind 1, 2 and 4 more.
    assert_eq!(silent, 4);
    stack.close_udp(strange);
    stack.close_udp(udp);
}

/// An answer to a question that says it has so many records.
fn message(question: &[u8], count: u16, records: &[Vec<u8, 32>]) -> Message {
    let mut message = Message::from_slice(question).unwrap();
    message[2] = 0x81;
    message[3] = 0x80;
    message[6..8].copy_from_slice(&count.to_be_bytes());
    records.iter().for_each(|record| message.extend_from_slice(record).unwrap());
    message
}

/// What is said of the name that was asked for.
fn record(kind: u8, data: &[u8]) -> Vec<u8, 32> {
    let mut record = Vec::new();
    record.extend_from_slice(&[0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, data.len() as u8]).unwrap();
    record.extend_from_slice(data).unwrap();
    record
}

// --- SNTP. ---

fn tell_the_time(stack: &mut Stack) {
    let udp = stack.udp(123, 2048).unwrap();
    let mut buffer = [0; 64];
    for number in 0..5 {
        let (count, from, port) = stack.receive_from(udp, &mut buffer, None).unwrap();
        let question = &buffer[..count];
        assert_eq!((count, question[0] & 7), (48, 3));
        let mut say = |message: &[u8]| stack.send_to(udp, message, from, port).unwrap();
        let answer = |first: u8, stratum: u8, seconds: u32| {
            let mut message = [0; 48];
            message[..2].copy_from_slice(&[first, stratum]);
            message[24..32].copy_from_slice(&question[40..]);
            message[40..44].copy_from_slice(&seconds.to_be_bytes());
            message
        };
        let good = answer(4 << 3 | 4, 2, NOW.wrapping_add(EPOCH));
        match number {
            // Silence.
            0 => {}
            1 => {
                // Another question's, a question, one that is cut off.
                let mut other = answer(4 << 3 | 4, 2, 1);
                other[31] ^= 1;
                say(&other);
                say(&answer(4 << 3 | 3, 2, 1));
                say(&good[..47]);
                say(&good);
            }
            2 => say(&answer(3 << 6 | 4 << 3 | 4, 2, 1)),
            3 => say(&answer(4 << 3 | 4, 0, 1)),
            _ => say(&answer(4 << 3 | 4, 2, 0)),
        }
    }
    stack.close_udp(udp);
}
