//! Datagrams of IP that come in parts (RFC 791): what is put together, and what is dropped.
//!
//! Only so many datagrams are kept, each in memory that was set aside for it, and none for longer than [`PATIENCE`]; when
//! there is no room for another the oldest gives way. So parts of what never becomes whole keep nothing from others for
//! long. A part that has come is passed over when it comes again; parts that overlap otherwise, or disagree about the
//! datagram's length, end it: nobody sends such ones who means well.
//!
//! Messages begin with Ethernet's header, and IP's has no options.

use crate::sums::checksum;

/// Bytes of Ethernet's and of IP's header.
pub const HEADERS: usize = 34;
/// Bytes of data that a part has at most, and that all but the last have that are made here.
pub const PART: usize = 1480;
/// Ticks, 64 a second, for which parts are kept.
pub const PATIENCE: u32 = 64 * 15;

/// Where things are in a message.
const TYPE: usize = 12;
const IP: usize = 14;
const LENGTH: usize = 16;
const NUMBER: usize = 18;
const OFFSET: usize = 20;
const PROTOCOL: usize = 23;
const CHECKSUM: usize = 24;
/// The two addresses of IP.
pub const ADDRESSES: usize = 26;
/// Parts begin at multiples of so many bytes.
const BLOCK: usize = 8;
/// The flag that there are parts behind this.
const MORE: u16 = 0x2000;

/// Whose part a part is: the addresses, the datagram's number, its protocol.
type Key = ([u8; 8], [u8; 2], u8);

/// A part that is well formed.
struct Part<'a> {
    key: Key,
    headers: &'a [u8],
    offset: usize,
    data: &'a [u8],
    more: bool,
}

impl<'a> Part<'a> {
    /// Reads a message; none if it is no part, or its lengths lie.
    fn read(message: &'a [u8]) -> Option<Self> {
        let headers = message.get(..HEADERS)?;
        let field = half(headers, OFFSET);
        let (offset, more) = (BLOCK * usize::from(field & 0x1fff), field & MORE != 0);
        let data = message.get(HEADERS..IP + usize::from(half(headers, LENGTH)))?;
        let good = headers[IP] == 0x45 && !data.is_empty() && !(more && data.len() % BLOCK != 0);
        let key = (*headers[ADDRESSES..].first_chunk()?, *headers[NUMBER..].first_chunk()?, headers[PROTOCOL]);
        (is_part(message) && good && checksum(&headers[IP..], 0) == 0).then_some(Self {
            key,
            headers,
            offset,
            data,
            more,
        })
    }
}

/// Whether a message says that it is a part of a datagram.
#[must_use]
pub fn is_part(message: &[u8]) -> bool {
    message.len() >= HEADERS && half(message, TYPE) == 0x0800 && half(message, OFFSET) & (MORE | 0x1fff) != 0
}

/// Memory for a datagram.
#[derive(Debug)]
pub struct Room<'m> {
    /// Its headers and its data.
    pub bytes: &'m mut [u8],
    /// Of each eight bytes of data whether they are there; there are [`Room::blocks`].
    pub there: &'m mut [bool],
}

impl Room<'_> {
    /// How many there are for so many bytes of data.
    #[must_use]
    pub const fn blocks(data: usize) -> usize {
        data.div_ceil(BLOCK)
    }
}

/// A datagram that is not whole yet.
#[derive(Debug)]
struct Datagram<'m> {
    room: Room<'m>,
    /// Which it is, if any.
    key: Option<Key>,
    /// The tick at which its first part came.
    since: u32,
    /// How many blocks are there.
    count: usize,
    /// Where the part ends that ends last.
    highest: usize,
    /// How many bytes it has, once that is known.
    end: Option<usize>,
}

/// Parts that can't be of one datagram, or one that is too long.
struct Bad;

impl Datagram<'_> {
    fn begin(&mut self, key: Key, now: u32) {
        self.room.there.fill(false);
        (self.key, self.since, self.count, self.highest, self.end) = (Some(key), now, 0, 0, None);
    }

    /// Adds a part; whether it is whole now.
    fn add(&mut self, part: &Part) -> Result<bool, Bad> {
        let end = part.offset + part.data.len();
        if !part.more {
            if self.end.is_some_and(|known| known != end) || self.highest > end {
                return Err(Bad);
            }
            self.end = Some(end);
        }
        let too_long = HEADERS - IP + end > usize::from(u16::MAX) || self.end.is_some_and(|known| end > known);
        let blocks = self.room.there.get_mut(part.offset / BLOCK..end.div_ceil(BLOCK)).ok_or(Bad)?;
        let to = self.room.bytes.get_mut(HEADERS + part.offset..HEADERS + end).ok_or(Bad)?;
        let known = blocks.iter().filter(|&&there| there).count();
        match known {
            _ if too_long => return Err(Bad),
            0 => {}
            // It has come before.
            known if known == blocks.len() => return Ok(false),
            _ => return Err(Bad),
        }
        blocks.fill(true);
        to.copy_from_slice(part.data);
        self.count += blocks.len();
        self.highest = self.highest.max(end);
        if part.offset == 0 {
            self.room.bytes[..HEADERS].copy_from_slice(part.headers);
        }
        Ok(self.end.is_some_and(|end| self.count == end.div_ceil(BLOCK)))
    }

    /// All of it, as a message that came at once.
    fn message(&mut self) -> &[u8] {
        let end = self.end.unwrap_or_default();
        let message = &mut self.room.bytes[..HEADERS + end];
        mark(message, 0, 0, end, false);
        message
    }
}

/// The datagrams that are not whole yet.
#[derive(Debug)]
pub struct Parts<'m, const DATAGRAMS: usize> {
    datagrams: [Datagram<'m>; DATAGRAMS],
}

impl<'m, const DATAGRAMS: usize> Parts<'m, DATAGRAMS> {
    /// None yet.
    #[must_use]
    pub fn new(rooms: [Room<'m>; DATAGRAMS]) -> Self {
        let empty = |room| Datagram { room, key: None, since: 0, count: 0, highest: 0, end: None };
        Self { datagrams: rooms.map(empty) }
    }

    /// Takes a message that is a part, at the tick `now`: the number of the datagram if that is whole now.
    pub fn add(&mut self, message: &[u8], now: u32) -> Option<usize> {
        let part = Part::read(message)?;
        let age = |datagram: &Datagram| now.wrapping_sub(datagram.since) & 0x7fff_ffff;
        for datagram in &mut self.datagrams {
            if age(datagram) > PATIENCE {
                datagram.key = None;
            }
        }
        let begun = self.datagrams.iter().position(|datagram| datagram.key == Some(part.key));
        let number = begun.or_else(|| {
            let oldest = |&number: &usize| {
                let datagram = &self.datagrams[number];
                if datagram.key.is_some() { age(datagram) } else { u32::MAX }
            };
            let number = (0..DATAGRAMS).max_by_key(oldest)?;
            self.datagrams[number].begin(part.key, now);
            Some(number)
        })?;
        let datagram = &mut self.datagrams[number];
        let result = datagram.add(&part);
        if !matches!(result, Ok(false)) {
            datagram.key = None;
        }
        matches!(result, Ok(true)).then_some(number)
    }

    /// The datagram that has just become whole, as a message that came at once.
    pub fn whole(&mut self, number: usize) -> &[u8] {
        self.datagrams[number].message()
    }
}

/// Makes the header of a message that of a part of the datagram with a number: so many bytes behind the datagram's first, with so
/// many, and with more behind it or not.
pub fn mark(message: &mut [u8], number: u16, offset: usize, bytes: usize, more: bool) {
    let mut set = |at: usize, value: u16| message[at..at + 2].copy_from_slice(&value.to_be_bytes());
    set(LENGTH, (HEADERS - IP + bytes) as u16);
    set(NUMBER, number);
    set(OFFSET, (offset / BLOCK) as u16 | if more { MORE } else { 0 });
    set(CHECKSUM, 0);
    let sum = checksum(&message[IP..HEADERS], 0);
    message[CHECKSUM..CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
}

/// Two bytes of a message, as a number.
fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    const DATA: usize = 400;

    /// Room for so many datagrams of [`DATA`] bytes.
    fn parts<const DATAGRAMS: usize>() -> Parts<'static, DATAGRAMS> {
        Parts::new(core::array::from_fn(|_| Room {
            bytes: vec![0; HEADERS + DATA].leak(),
            there: vec![false; Room::blocks(DATA)].leak(),
        }))
    }

    /// A part of a datagram.
    fn part(number: u16, offset: usize, data: &[u8], more: bool) -> Vec<u8> {
        let mut message = vec![0; HEADERS];
        message[TYPE..TYPE + 3].copy_from_slice(&[8, 0, 0x45]);
        message[PROTOCOL] = 17;
        message[ADDRESSES..HEADERS].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
        mark(&mut message, number, offset, data.len(), more);
        message.extend(data);
        message
    }

    #[test]
    fn parts_are_put_together_in_any_order() {
        let mut parts = parts::<2>();
        assert_eq!(parts.add(&part(1, 16, &[3; 5], false), 0), None);
        assert_eq!(parts.add(&part(2, 0, &[9; 8], true), 0), None);
        assert_eq!(parts.add(&part(1, 0, &[1; 8], true), 0), None);
        // What fills Ethernet's frame up is no part of it.
        let mut last = part(1, 8, &[2; 8], true);
        last.resize(60, 0xee);
        let number = parts.add(&last, 0).unwrap();
        let expected = [[1; 8], [2; 8]].concat().into_iter().chain([3; 5]).collect::<Vec<u8>>();
        let whole = parts.whole(number);
        assert_eq!(&whole[HEADERS..], expected);
        assert!(!is_part(whole) && half(whole, LENGTH) == 41 && checksum(&whole[IP..HEADERS], 0) == 0);
        // It is over: a part that comes once more begins another.
        assert_eq!(parts.add(&last, 0), None);
    }

    #[test]
    fn what_lies_is_no_part() {
        let is_good = |message: &[u8]| Part::read(message).is_some();
        let good = part(1, 8, &[1; 8], true);
        assert!(is_good(&good) && !is_good(&part(1, 0, &[1; 8], false)));
        let changed = |at: usize, byte: u8| {
            let mut message = good.clone();
            message[at] = byte;
            message[CHECKSUM..CHECKSUM + 2].fill(0);
            let sum = checksum(&message[IP..HEADERS], 0);
            message[CHECKSUM..CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
            message
        };
        // Lengths of more than there is, of nothing, of less than the header, and not of whole blocks.
        for message in [
            changed(LENGTH, 1),
            changed(LENGTH + 1, 20),
            changed(LENGTH + 1, 19),
            changed(LENGTH + 1, 0),
            changed(LENGTH + 1, 27),
            changed(IP, 0x46),
            changed(TYPE + 1, 6),
            good[..HEADERS - 1].to_vec(),
        ] {
            assert!(!is_good(&message), "{message:?}");
        }
        let mut wrong = good;
        wrong[CHECKSUM] ^= 1;
        assert!(!is_good(&wrong));
    }

    #[test]
    fn what_can_be_no_datagram_is_dropped() {
        // Each of these, before the first part, is the end of it; so that does not make it whole.
        for bad in [
            part(1, 8, &[2; 16], true),     // overlaps
            part(1, 32, &[2; 8], true),     // is behind the end
            part(1, 8, &[2; 8], false),     // another end
            part(1, 24, &[2; 8], false),    // likewise
            part(1, 392, &[2; 16], true),   // too long
            part(1, 0xfff8, &[2; 8], true), // far too long
        ] {
            let mut parts = parts::<1>();
            assert_eq!(parts.add(&part(1, 16, &[3; 4], false), 0), None);
            assert_eq!(parts.add(&bad, 0), None);
            assert_eq!(parts.add(&part(1, 0, &[1; 16], true), 0), None, "{bad:?}");
        }
    }

    #[test]
    fn what_does_not_become_whole_gives_way() {
        let mut parts = parts::<2>();
        let half = |number| part(number, 0, &[1; 8], true);
        let rest = |number| part(number, 8, &[1; 8], false);
        for number in 1..=3 {
            assert_eq!(parts.add(&half(number), 10 + u32::from(number)), None);
        }
        assert!(parts.add(&rest(2), 20).is_some());
        assert!(parts.add(&rest(3), 20).is_some());
        assert_eq!(parts.add(&rest(1), 20), None, "it was the oldest");
        // Nor is it kept for ever, also when the clock begins anew.
        let start = 0x7fff_ff00;
        assert_eq!(parts.add(&half(4), start), None);
        assert!(parts.add(&rest(4), (start + PATIENCE) & 0x7fff_ffff).is_some());
        assert_eq!(parts.add(&half(5), start), None);
        assert_eq!(parts.add(&rest(5), (start + PATIENCE + 1) & 0x7fff_ffff), None);
    }

    proptest! {
        #[test]
        fn any_cut_in_any_order_and_twice_is_put_together(
            data in prop::collection::vec(any::<u8>(), 9..=DATA),
            cuts in prop::collection::btree_set(1_usize..DATA / 8, 1..10),
            order in prop::collection::vec(any::<prop::sample::Index>(), 20),
        ) {
            let cuts: Vec<usize> = cuts.into_iter().map(|cut| 8 * cut).filter(|&cut| cut < data.len()).collect();
            prop_assume!(!cuts.is_empty());
            let starts = core::iter::once(0).chain(cuts.iter().copied());
            let ends = cuts.iter().copied().chain([data.len()]);
            let mut messages: Vec<_> =
                starts.zip(ends).map(|(start, end)| part(7, start, &data[start..end], end != data.len())).collect();
            for (at, index) in order.iter().enumerate().take(messages.len()) {
                let other = index.index(messages.len());
                messages.swap(at, other);
            }
            // All but the last are doubled.
            let last = messages.pop().unwrap();
            let mut parts = parts::<1>();
            for message in messages.iter().flat_map(|message| [message, message]) {
                prop_assert_eq!(parts.add(message, 0), None);
            }
            prop_assert_eq!(parts.add(&last, 0), Some(0));
            prop_assert_eq!(&parts.whole(0)[HEADERS..], data);
        }

        /// Whatever comes, what is whole has each byte from a part that came, and the length that the last one says.
        #[test]
        fn what_is_whole_is_of_parts_that_came(
            pieces in prop::collection::vec((0_usize..6, 1_usize..20, any::<bool>(), any::<u8>()), 1..30),
        ) {
            let mut parts = parts::<1>();
            let mut came = Vec::new();
            for (start, bytes, more, byte) in pieces {
                let bytes = if more { bytes.next_multiple_of(8) } else { bytes };
                let message = part(7, 8 * start, &vec![byte; bytes], more);
                came.push((8 * start, 8 * start + bytes, more, byte));
                if let Some(number) = parts.add(&message, 0) {
                    let whole = &parts.whole(number)[HEADERS..];
                    prop_assert!(came.iter().any(|&(_, end, more, _)| !more && end == whole.len()));
                    for (at, &byte) in whole.iter().enumerate() {
                        let of = |&(from, to, _, has): &(usize, usize, bool, u8)| (from..to).contains(&at) && has == byte;
                        prop_assert!(came.iter().any(of), "byte {}", at);
                    }
                    came.clear();
                }
            }
        }
    }
}
