//! In whose name a message is: from which station, and for whom its answer would be.
//!
//! A message lies 2 bytes into its buffer, so what follows the Ethernet header is aligned, and it is looked at and changed in words, of a
//! little-endian machine: every message that is sent passes through here.

use aegis_abi::network::{BUFFER_BYTES, HEADER};

/// A buffer with a message in it.
pub type Buffer = [u32; BUFFER_BYTES as usize / 4];

/// A station's address as a message has it that comes from there: the first four bytes and the last two.
pub type Station = (u32, u16);

/// The type of a message, as it lies there.
const ARP: u16 = 0x0608;
const IP: u16 = 0x0008;
/// IP's first byte without options: the version, and how many words its header has.
const START: u32 = 0x45;
/// The place of a part in its datagram, in the word that has it; 0 in the first.
const LATER: u32 = 0xff1f_0000;
/// What IP carries.
const ICMP: u32 = 1;
const TCP: u32 = 6;
const UDP: u32 = 17;
/// Where ARP's body ends that has two pairs of addresses; Ethernet's of the sender's is the first of them.
const ARP_END: u32 = HEADER + 28;
const ARP_SENDER_END: u32 = HEADER + 14;

/// The station that has this address.
#[must_use]
pub const fn station(address: [u8; 6]) -> Station {
    let [a, b, c, d, e, f] = address;
    (u32::from_le_bytes([a, b, c, d]), u16::from_le_bytes([e, f]))
}

/// Whether a message of so many bytes says that it comes from a station: in the Ethernet header, and in ARP's body, too.
#[must_use]
pub fn is_from(message: &Buffer, bytes: u32, station: Station) -> bool {
    let at = |word: usize| (message[word], message[word + 1] as u16) == station;
    bytes >= HEADER && at(2) && (kind(message) != ARP || bytes >= ARP_SENDER_END && at(6))
}

/// Words of a buffer that have the headers of a [common](turn_common) message, to its ports.
pub const HEADERS: usize = 10;
/// So many of them tell whether it is one.
pub const TOLD_BY: usize = 7;

/// What [`is_from`] and [`turn_round`] do to the message that nearly all are, TCP or UDP without IP's options: its headers are `read` by their
/// numbers, and the first [`TOLD_BY`] are `sent` as they are. The headers turned round; nothing for any other message, or one that is not
/// from the station, and what was sent then is worth nothing.
///
/// The message has at least so many bytes as its headers. A controller's memory takes a word in the time of six instructions: so what is sent is
/// scattered among what is looked at.
#[inline(always)]
pub fn turn_common(
    read: impl Fn(usize) -> u32,
    mut sent: impl FnMut(usize, u32),
    (from, from_end): Station,
) -> Option<[u32; HEADERS]> {
    let (a, b, c, d) = (read(0), read(1), read(2), read(3));
    sent(0, a);
    sent(1, b);
    sent(2, c);
    sent(3, d);
    if c != from || d != u32::from(from_end) | u32::from(IP) << 16 {
        return None;
    }
    let (e, f, g) = (read(4), read(5), read(6));
    sent(4, e);
    sent(5, f);
    sent(6, g);
    let protocol = g >> 8 & 0xff;
    if e & 0xff != START || f & LATER != 0 || protocol != TCP && protocol != UDP {
        return None;
    }
    let (to, to_end) = (a >> 16 | b << 16, b >> 16);
    let (source, destination, ports) = (read(7), read(8), read(9).rotate_left(16));
    Some([a & 0xffff | c << 16, c >> 16 | d << 16, to, d & 0xffff_0000 | to_end, e, f, g, destination, source, ports])
}

/// Turns a message of so many bytes round, as the answer to it would come: addresses, ports, and what is asked and what answers it, change
/// places. Done twice it changes nothing. `None`, and nothing changed, for what does not tell in whose name it is: a
/// later part of an IP datagram, or headers that are not whole.
///
/// What the rule knows is Ethernet, ARP, IPv4 with TCP, UDP and ICMP's echo; of other messages only Ethernet's addresses
/// change places.
#[must_use]
pub fn turn_round(message: &mut Buffer, bytes: u32) -> Option<()> {
    if bytes < HEADER {
        return None;
    }
    match kind(message) {
        IP => turn_ip(message, bytes)?,
        ARP => turn_arp(message, bytes)?,
        _ => {}
    }
    let [a, b, c, d, ..] = message;
    let (to, to_end, from, from_end) = (*a >> 16 | *b << 16, *b >> 16, *c, *d & 0xffff);
    *a = *a & 0xffff | from << 16;
    *b = from >> 16 | from_end << 16;
    *c = to;
    *d = *d & 0xffff_0000 | to_end;
    Some(())
}

const fn kind(message: &Buffer) -> u16 {
    (message[3] >> 16) as u16
}

#[inline]
fn turn_ip(message: &mut Buffer, bytes: u32) -> Option<()> {
    // Version and length of the header in words; whether it is a later part of a datagram, which has no ports.
    let (start, later) = (message[4] as u8, message[5] & LATER != 0);
    let header = u32::from(start & 15);
    let ports = if later { 0 } else { 4 };
    if start >> 4 != 4 || header < 5 || bytes < HEADER + 4 * header + ports {
        return None;
    }
    message.swap(7, 8);
    if later {
        return Some(());
    }
    let protocol = message[6] >> 8 & 0xff;
    let body = &mut message[4 + header as usize];
    match protocol {
        TCP | UDP => *body = body.rotate_left(16),
        // An echo's request, or its reply.
        ICMP => *body = *body & !0xff | swapped(*body & 0xff, 8, 0),
        _ => {}
    }
    Some(())
}

fn turn_arp(message: &mut Buffer, bytes: u32) -> Option<()> {
    if bytes < ARP_END {
        return None;
    }
    // A request, or a reply.
    message[5] = message[5] & 0x00ff_ffff | swapped(message[5] >> 24, 1, 2) << 24;
    // Hardware and protocol address of the sender, and of whom is asked for: ten bytes each.
    let [a, b, c, d, e] = [6, 7, 8, 9, 10].map(|word| message[word]);
    message[6] = c >> 16 | d << 16;
    message[7] = d >> 16 | e << 16;
    message[8] = e >> 16 | a << 16;
    message[9] = a >> 16 | b << 16;
    message[10] = b >> 16 | c << 16;
    Some(())
}

/// One of two values for the other; any other value as it is.
const fn swapped(value: u32, one: u32, other: u32) -> u32 {
    if value == one {
        other
    } else if value == other {
        one
    } else {
        value
    }
}
