//! The Internet's checksums (RFC 1071), and those of files that are sent by TCP: summed up once, not for each segment.
//!
//! A file has a table of sums, of all that is before each of its blocks. The sum of any part of the file is then the difference
//! of two of them, and what of two blocks is before the part's ends: at most 63 bytes each, however long the part is. A connection
//! tells which of its bytes are a file's ([`Connections::is_file`]), by how many it has sent before; a segment has the number of its
//! first byte, so one that is sent again, cut otherwise, finds its sums, too.
//!
//! A sum is of numbers of 16 bits, in the network's order, without the complement. So it depends on whether a byte is the first of
//! two or the second: what is moved by an odd number of bytes has a sum whose two bytes have changed places.
//!
//! Messages begin with Ethernet's header, and IP's has no options.

use crate::parts::{ADDRESSES, HEADERS};
use heapless::Vec;

/// Bytes between two sums of a file's table.
pub const BLOCK: usize = 64;

/// The number of TCP among IP's protocols.
const TCP: u8 = 6;
/// Where things are in a message.
const TYPE: usize = 12;
const PROTOCOL: usize = 23;
const SEQUENCE: usize = HEADERS + 4;
const HEADER_WORDS: usize = HEADERS + 12;
const FLAGS: usize = HEADERS + 13;
const CHECKSUM: usize = HEADERS + 16;
/// The flag of the first segment.
const SYNCHRONIZE: u8 = 2;
/// Bytes of TCP's header at least.
const HEADER: usize = 20;

/// The sum of bytes of which the first is the first of two.
#[must_use]
pub fn sum(bytes: &[u8]) -> u16 {
    // Added up in words, in the order that they have in memory: all it does is to exchange the two bytes of the sum.
    let word = |bytes: &[u8; 4]| u64::from(u32::from_ne_bytes(*bytes));
    let (words, rest) = bytes.as_chunks();
    let (fours, others) = words.as_chunks::<4>();
    let mut sum = 0;
    for [a, b, c, d] in fours {
        sum += word(a) + word(b) + word(c) + word(d);
    }
    sum += others.iter().map(word).sum::<u64>();
    sum += match *rest {
        [a] => word(&[a, 0, 0, 0]),
        [a, b] => word(&[a, b, 0, 0]),
        [a, b, c] => word(&[a, b, c, 0]),
        _ => 0,
    };
    // A carry is added again; there is no other after three times.
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    u16::to_be(add(sum as u16, (sum >> 16) as u16))
}

/// The checksum of bytes, of which there are fewer than 65536, and of what was summed up before.
#[must_use]
pub fn checksum(bytes: &[u8], before: u32) -> u16 {
    let before = (before & 0xffff) + (before >> 16);
    !add(sum(bytes), add(before as u16, (before >> 16) as u16))
}

/// Two sums together.
const fn add(one: u16, other: u16) -> u16 {
    let (sum, carry) = one.overflowing_add(other);
    // It was not the largest number of all, so there is no other carry.
    sum + carry as u16
}

/// The sum of what has this sum, behind so many bytes.
const fn moved(sum: u16, bytes: usize) -> u16 {
    if bytes.is_multiple_of(2) { sum } else { sum.swap_bytes() }
}

/// A file whose sums are known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summed<'a> {
    bytes: &'a [u8],
    /// The sum of all before each block, and before the end if that is one's end.
    table: &'a [u16],
}

impl<'a> Summed<'a> {
    /// How many sums a file of so many bytes has.
    #[must_use]
    pub const fn sums(bytes: usize) -> usize {
        bytes / BLOCK + 1
    }

    /// Sums a file up, with room for that: none if it is too little. It takes time for each byte.
    #[must_use]
    pub fn new(bytes: &'a [u8], room: &'a mut [u16]) -> Option<Self> {
        let table = room.get_mut(..Self::sums(bytes.len()))?;
        let mut before = 0;
        for (to, block) in table.iter_mut().zip(bytes.chunks(BLOCK)) {
            *to = before;
            before = add(before, sum(block));
        }
        // Behind whole blocks there is one more.
        if bytes.len().is_multiple_of(BLOCK) {
            table[bytes.len() / BLOCK] = before;
        }
        Some(Self { bytes, table })
    }

    /// The file.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The sum of all that is before a place.
    fn before(&self, at: usize) -> u16 {
        let block = at / BLOCK;
        add(self.table[block], sum(&self.bytes[block * BLOCK..at]))
    }

    /// The sum of so many bytes from a place on, the first of which is the first of two. It takes the same time however many.
    fn part(&self, from: usize, bytes: usize) -> u16 {
        // What is subtracted is the complement, added.
        moved(add(self.before(from + bytes), !self.before(from)), from)
    }
}

/// What of a connection's bytes are a file's: from the byte with a number on the whole of it.
#[derive(Clone, Copy, Debug)]
struct Sent<'a> {
    from: u32,
    file: Summed<'a>,
}

/// Files that a connection sends at once, one after the other: answers that are not acknowledged yet.
const FILES: usize = 4;

/// More bytes than these are looked up: fewer take no longer to sum up. So a segment of one byte, which may be none of the file's but ask
/// whether the other is still there, has the sum of that byte.
const WORTH: usize = 2 * BLOCK;

/// What is known of a connection.
#[derive(Clone, Debug)]
pub struct Connection<'a> {
    /// The other's address, and the ports here and there; none if it is nobody's.
    other: Option<[u8; 8]>,
    /// The number of its first byte.
    origin: u32,
    files: Vec<Sent<'a>, FILES>,
}

impl Connection<'_> {
    /// Nobody's.
    pub const NONE: Self = Self { other: None, origin: 0, files: Vec::new() };
}

impl<'a> Connection<'a> {
    /// The file that has the byte with a number, and where in it that is; or else how many bytes there are before one's first.
    fn find(&self, number: u32) -> Result<(&Summed<'a>, usize), usize> {
        let mut distance = u32::MAX;
        for Sent { from, file } in &self.files {
            let at = number.wrapping_sub(*from) as usize;
            if at < file.bytes.len() {
                return Ok((file, at));
            }
            distance = distance.min(from.wrapping_sub(number));
        }
        Err(distance as usize)
    }

    /// The sum of data of which the first byte has a number.
    fn sum(&self, data: &[u8], number: u32) -> u16 {
        let (mut total, mut at) = (0, 0);
        while at < data.len() {
            let left = data.len() - at;
            let (count, file) = match self.find(number.wrapping_add(at as u32)) {
                Ok((file, from)) => ((file.bytes.len() - from).min(left), Some((file, from))),
                Err(distance) => (distance.min(left), None),
            };
            let part = match file {
                Some((file, from)) if count > WORTH => file.part(from, count),
                _ => sum(&data[at..at + count]),
            };
            total = add(total, moved(part, at));
            at += count;
        }
        total
    }
}

/// The connections that may send files.
#[derive(Debug)]
pub struct Connections<'m> {
    memory: &'m mut [Connection<'m>],
    /// Whose place is taken next if all are somebody's.
    turn: usize,
}

impl<'m> Connections<'m> {
    /// None yet, and never more than there is memory for.
    #[must_use]
    pub const fn new(memory: &'m mut [Connection<'m>]) -> Self {
        Self { memory, turn: 0 }
    }

    /// Writes the checksum of a segment of TCP, whose header has zeros there; other messages stay as they are.
    pub fn complete(&mut self, message: &mut [u8]) {
        if message.len() < HEADERS + HEADER || message[TYPE..TYPE + 2] != [8, 0] || message[PROTOCOL] != TCP {
            return;
        }
        let data = (HEADERS + usize::from(message[HEADER_WORDS] >> 4) * 4).min(message.len());
        let sequence = message[SEQUENCE..].first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        let other = message[ADDRESSES + 4..].first_chunk().copied();
        if let Some(other) = other.filter(|_| message[FLAGS] & SYNCHRONIZE != 0) {
            self.begin(other, sequence.wrapping_add(1));
        }
        let pseudo = u32::from(TCP) + (message.len() - HEADERS) as u32;
        let (head, rest) = (&message[ADDRESSES..data], &message[data..]);
        let known = self.memory.iter().find(|connection| !rest.is_empty() && connection.other == other);
        let rest = known.map_or_else(|| sum(rest), |connection| connection.sum(rest, sequence));
        let sum = checksum(head, pseudo + u32::from(rest));
        message[CHECKSUM..CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
    }

    /// A connection's first byte has a number. If all places are taken somebody's files are summed up for each segment.
    fn begin(&mut self, other: [u8; 8], origin: u32) {
        let place = |other| self.memory.iter().position(|connection| connection.other == other);
        let number = place(Some(other)).or_else(|| place(None)).unwrap_or(self.turn);
        if let Some(connection) = self.memory.get_mut(number) {
            *connection = Connection { other: Some(other), origin, files: Vec::new() };
            self.turn = if number + 1 < self.memory.len() { number + 1 } else { 0 };
        }
    }

    /// What the connection sends to an address, from a port here to one there, is this file, from its byte with the number `at`
    /// on, the first being 0. What was acknowledged, all before `done`, is forgotten. If there are too many files it is summed up
    /// for each segment.
    pub fn is_file(&mut self, other: ([u8; 4], u16, u16), file: Summed<'m>, at: u32, done: u32) {
        let other = key(other);
        let Some(connection) = self.memory.iter_mut().find(|connection| connection.other == Some(other)) else {
            return;
        };
        if file.bytes.is_empty() {
            return;
        }
        let done = connection.origin.wrapping_add(done);
        connection.files.retain(|Sent { from, file }| {
            from.wrapping_add(file.bytes.len() as u32).wrapping_sub(done).cast_signed() > 0
        });
        let _ = connection.files.push(Sent { from: connection.origin.wrapping_add(at), file });
    }

    /// The connection to an address, from a port here to one there, has ended.
    pub fn end(&mut self, other: ([u8; 4], u16, u16)) {
        let other = key(other);
        if let Some(connection) = self.memory.iter_mut().find(|connection| connection.other == Some(other)) {
            connection.other = None;
        }
    }
}

/// Whose a connection is, as a message of its has it: where it goes, and both ports.
fn key(([a, b, c, d], port, theirs): ([u8; 4], u16, u16)) -> [u8; 8] {
    let ([e, f], [g, h]) = (port.to_be_bytes(), theirs.to_be_bytes());
    [a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec as List;

    /// As RFC 1071 has it: number by number.
    fn plainly(bytes: &[u8], before: u32) -> u16 {
        let mut sum = u64::from(before);
        for pair in bytes.chunks(2) {
            sum += u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    /// Bytes with many zeros and ones among them: sums of nothing, and carries.
    fn bytes(range: core::ops::Range<usize>) -> impl Strategy<Value = List<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), range.clone()),
            prop::collection::vec(prop_oneof![Just(0), Just(255)], range),
        ]
    }

    fn summed(bytes: &[u8]) -> Summed<'static> {
        let bytes: &'static [u8] = bytes.to_vec().leak();
        Summed::new(bytes, vec![7; Summed::sums(bytes.len())].leak()).unwrap()
    }

    const OTHER: ([u8; 4], u16, u16) = ([10, 0, 0, 2], 80, 4000);

    /// A segment with data, to [`OTHER`], with so many words of options.
    fn segment(sequence: u32, flags: u8, options: u8, data: &[u8]) -> List<u8> {
        let mut message = vec![0; HEADERS + HEADER + 4 * usize::from(options)];
        message[TYPE..TYPE + 3].copy_from_slice(&[8, 0, 0x45]);
        message[PROTOCOL] = TCP;
        message[ADDRESSES..ADDRESSES + 4].copy_from_slice(&[10, 0, 0, 1]);
        message[ADDRESSES + 4..ADDRESSES + 12].copy_from_slice(&key(OTHER));
        message[SEQUENCE..SEQUENCE + 4].copy_from_slice(&sequence.to_be_bytes());
        message[HEADER_WORDS] = (5 + options) << 4;
        message[FLAGS] = flags;
        message.extend(data);
        message
    }

    /// Whether a message that was completed has the right checksum: the sum of all, with what stands for IP's header, is 0.
    fn is_right(message: &[u8]) -> bool {
        let pseudo = u32::from(TCP) + (message.len() - HEADERS) as u32;
        plainly(&message[ADDRESSES..], pseudo) == 0xffff
    }

    fn connections(count: usize) -> Connections<'static> {
        Connections::new(vec![Connection::NONE; count].leak())
    }

    #[test]
    fn sums_are_those_of_the_standard() {
        // Its section 3.
        assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
        assert_eq!((sum(&[]), sum(&[1]), sum(&[0; 9]), sum(&[255; 64])), (0, 0x100, 0, 0xffff));
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7], 0), !0xddf2);
    }

    #[test]
    fn tables_have_room_or_are_none() {
        for bytes in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 4 * BLOCK] {
            let file = vec![3; bytes];
            let sums = Summed::sums(bytes);
            assert!(Summed::new(&file, &mut vec![0; sums]).is_some());
            assert!(Summed::new(&file, &mut vec![0; sums - 1]).is_none());
        }
    }

    #[test]
    fn other_messages_stay_as_they_are() {
        let mut connections = connections(2);
        let good = segment(1, 0x10, 0, &[1; 10]);
        let changed = |at: usize, byte: u8| {
            let mut message = good.clone();
            message[at] = byte;
            message
        };
        for message in [good[..HEADERS + HEADER - 1].to_vec(), changed(TYPE + 1, 6), changed(PROTOCOL, 17), vec![]] {
            let mut completed = message.clone();
            connections.complete(&mut completed);
            assert_eq!(completed, message);
        }
        // A header that lies about its length is summed up all the same.
        let mut lies = changed(HEADER_WORDS, 0xf0);
        connections.complete(&mut lies);
        assert!(is_right(&lies));
    }

    #[test]
    fn files_are_not_summed_up_again() {
        let mut connections = connections(1);
        connections.complete(&mut segment(99, SYNCHRONIZE, 1, &[]));
        let file = summed(&[1; 1000]);
        connections.is_file(OTHER, file, 20, 0);
        // The data of these is not looked at, so it may be another.
        let mut good = segment(100 + 20 + 101, 0x10, 0, &[1; 500]);
        let mut other = segment(100 + 20 + 101, 0x10, 0, &[2; 500]);
        connections.complete(&mut good);
        connections.complete(&mut other);
        assert_eq!(good[CHECKSUM..CHECKSUM + 2], other[CHECKSUM..CHECKSUM + 2]);
        assert!(is_right(&good) && !is_right(&other));
        // Of these it is: before the file, behind it, of a connection that has ended or was replaced, and of one byte.
        let is_looked_at = |connections: &mut Connections, sequence, bytes| {
            let mut message = segment(sequence, 0x10, 0, &vec![2; bytes]);
            connections.complete(&mut message);
            is_right(&message)
        };
        assert!(is_looked_at(&mut connections, 100, 20) && is_looked_at(&mut connections, 1120, 500));
        assert!(is_looked_at(&mut connections, 200, 1) && !is_looked_at(&mut connections, 200, 200));
        connections.is_file(OTHER, file, 2000, 1020);
        assert!(is_looked_at(&mut connections, 200, 200), "it was acknowledged");
        assert!(!is_looked_at(&mut connections, 2100, 200));
        connections.end(OTHER);
        assert!(is_looked_at(&mut connections, 2100, 200));
        connections.is_file(OTHER, file, 2000, 0);
        assert!(is_looked_at(&mut connections, 2100, 200), "it is not known");
    }

    #[test]
    fn places_are_taken_in_turn() {
        let mut connections = connections(2);
        let file = summed(&[1; 1000]);
        let number = |port: u16| ([10, 0, 0, 2], 80, port);
        let call = |connections: &mut Connections<'static>, port: u16| {
            let mut message = segment(0, SYNCHRONIZE, 0, &[]);
            message[ADDRESSES + 4..ADDRESSES + 12].copy_from_slice(&key(number(port)));
            connections.complete(&mut message);
            connections.is_file(number(port), file, 0, 0);
        };
        let known = |connections: &Connections, port| {
            let of = connections.memory.iter().find(|connection| connection.other == Some(key(number(port))));
            of.is_some_and(|connection| connection.files.len() == 1)
        };
        (1..=3).for_each(|port| call(&mut connections, port));
        assert_eq!([1, 2, 3].map(|port| known(&connections, port)), [false, true, true]);
        connections.end(number(3));
        call(&mut connections, 4);
        assert_eq!([2, 3, 4].map(|port| known(&connections, port)), [true, false, true]);
        // Without memory for them all is summed up.
        let mut none = Connections::new(&mut []);
        let mut message = segment(5, SYNCHRONIZE, 0, &[1, 2, 3]);
        none.complete(&mut message);
        assert!(is_right(&message));
    }

    proptest! {
        #[test]
        fn words_have_the_sum_of_their_halves(bytes in bytes(0..300), before in any::<u32>()) {
            prop_assert_eq!(sum(&bytes), plainly(&bytes, 0));
            prop_assert_eq!(checksum(&bytes, before), !plainly(&bytes, before));
        }

        #[test]
        fn any_part_of_a_file_has_its_sum(
            bytes in bytes(1..1000),
            [one, other] in any::<[prop::sample::Index; 2]>(),
            before in 1_u16..,
        ) {
            let (one, other) = (one.index(bytes.len() + 1), other.index(bytes.len() + 1));
            let (from, to) = (one.min(other), one.max(other));
            // There are two zeros; with a number that is none there is one sum.
            let part = add(before, summed(&bytes).part(from, to - from));
            prop_assert_eq!(part, plainly(&bytes[from..to], u32::from(before)));
        }

        /// Whatever a connection sends, wherever its numbers begin, cut and sent again in whatever pieces: the sums are right.
        #[test]
        fn any_segment_has_its_checksum(
            origin in prop_oneof![any::<u32>(), (u32::MAX - 2000)..=u32::MAX],
            answers in prop::collection::vec((bytes(0..200), bytes(0..700), any::<bool>()), 1..7),
            options in 0_u8..=10,
            segments in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..1500), 1..40),
        ) {
            let mut connections = connections(3);
            connections.complete(&mut segment(origin.wrapping_sub(1), SYNCHRONIZE, 1, &[]));
            let mut stream = List::new();
            for (head, file, known) in &answers {
                stream.extend(head);
                if *known {
                    connections.is_file(OTHER, summed(file), stream.len() as u32, 0);
                }
                stream.extend(file);
            }
            for (from, bytes) in segments {
                let from = from.index(stream.len() + 1);
                let to = stream.len().min(from + bytes);
                let mut message = segment(origin.wrapping_add(from as u32), 0x10, options, &stream[from..to]);
                connections.complete(&mut message);
                prop_assert!(is_right(&message), "{}..{}", from, to);
            }
        }
    }
}
