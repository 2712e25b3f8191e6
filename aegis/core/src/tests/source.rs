//! In whose name a message is.

extern crate std;

use crate::source::{self, Buffer, HEADERS, TOLD_BY, station};
use aegis_abi::network::BUFFER_OFFSET;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

/// A message in a buffer.
fn buffer(message: &[u8]) -> Buffer {
    let mut bytes = [0xee; size_of::<Buffer>()];
    bytes[BUFFER_OFFSET as usize..][..message.len()].copy_from_slice(message);
    core::array::from_fn(|word| u32::from_le_bytes(core::array::from_fn(|at| bytes[4 * word + at])))
}

/// What [`source::turn_round`] does to a message; it changes nothing else.
fn turn_round(message: &mut [u8]) -> Option<()> {
    let mut words = buffer(message);
    let result = source::turn_round(&mut words, message.len() as u32);
    let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
    let (before, rest) = bytes.split_at(BUFFER_OFFSET as usize);
    let (turned, behind) = rest.split_at(message.len());
    assert!(before.iter().chain(behind).all(|&byte| byte == 0xee));
    message.copy_from_slice(turned);
    result
}

fn is_from(message: &[u8], address: [u8; 6]) -> bool {
    source::is_from(&buffer(message), message.len() as u32, station(address))
}

/// A message with a type, and what stands at some places.
fn message(kind: u16, bytes: &[(usize, u8)]) -> Vec<u8> {
    let mut message = vec![0; 60];
    message[..12].copy_from_slice(&[1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16]);
    message[12..14].copy_from_slice(&kind.to_be_bytes());
    bytes.iter().for_each(|&(at, byte)| message[at] = byte);
    message
}

#[test]
fn messages_are_turned_round() {
    let mut udp = message(0x800, &[(14, 0x45), (23, 17), (26, 10), (30, 20), (34, 1), (36, 2)]);
    turn_round(&mut udp).unwrap();
    assert_eq!((udp[0], udp[6], udp[26], udp[30], udp[34], udp[36]), (11, 1, 20, 10, 2, 1));
    // With options the ports are elsewhere.
    let mut tcp = message(0x800, &[(14, 0x46), (23, 6), (34, 1), (36, 2), (38, 3), (40, 4)]);
    turn_round(&mut tcp).unwrap();
    assert_eq!((tcp[34], tcp[36], tcp[38], tcp[40]), (1, 2, 4, 3));
    let mut echo = message(0x800, &[(14, 0x45), (23, 1), (34, 8), (38, 5)]);
    turn_round(&mut echo).unwrap();
    assert_eq!((echo[34], echo[38]), (0, 5));
    let mut arp = message(0x806, &[(21, 1), (22, 7), (28, 10), (32, 8), (38, 20)]);
    turn_round(&mut arp).unwrap();
    assert_eq!((arp[21], arp[22], arp[28], arp[32], arp[38]), (2, 8, 20, 7, 10));
    // A later part of a datagram has no ports, and may be short.
    for part in [(20, 0x1f), (21, 1)] {
        let mut later = message(0x800, &[(14, 0x45), (23, 17), (26, 10), (30, 20), (34, 1), (36, 2), part]);
        turn_round(&mut later[..34]).unwrap();
        assert_eq!((later[0], later[26], later[30], later[34], later[36]), (11, 20, 10, 1, 2));
    }
    let mut other = message(0x88b5, &[(26, 1), (30, 2)]);
    turn_round(&mut other).unwrap();
    assert_eq!((other[0], other[26], other[30]), (11, 1, 2));
}

#[test]
fn what_does_not_tell_its_source_is_refused() {
    for bytes in [[(14, 0x44), (23, 17)], [(14, 0x65), (23, 17)], [(14, 0x44), (21, 1)], [(14, 0x65), (20, 0x1f)]] {
        let mut bad = message(0x800, &bytes);
        let before = bad.clone();
        assert_eq!(turn_round(&mut bad), None, "{bytes:?}");
        assert_eq!(bad, before);
    }
    assert_eq!(turn_round(&mut message(0x806, &[])[..41]), None);
    assert_eq!(turn_round(&mut message(0x800, &[(14, 0x45)])[..37]), None);
    assert_eq!(turn_round(&mut message(0x800, &[(14, 0x45), (21, 1)])[..33]), None);
    assert_eq!(turn_round(&mut [0; 13]), None);
}

#[test]
fn sources_are_the_stations() {
    let station = [11, 12, 13, 14, 15, 16];
    assert!(is_from(&message(0x800, &[]), station));
    assert!(!is_from(&message(0x800, &[(11, 0)]), station));
    assert!(!is_from(&message(0x806, &[]), station), "ARP names another");
    let mut arp = message(0x806, &[]);
    arp[22..28].copy_from_slice(&station);
    assert!(is_from(&arp, station) && !is_from(&arp[..27], station) && !is_from(&arp[..11], station));
}

/// The rule as it is told in `docs/network.md`, byte by byte.
fn model(message: &mut [u8]) -> Option<()> {
    let swap = |message: &mut [u8], one: usize, other: usize, bytes: usize| {
        (0..bytes).for_each(|at| message.swap(one + at, other + at));
    };
    let kind = (*message.get(12)?, *message.get(13)?);
    if kind == (8, 6) {
        message.get(41)?;
        swap(message, 22, 32, 10);
        message[21] = [0, 2, 1].get(message[21] as usize).copied().unwrap_or(message[21]);
    } else if kind == (8, 0) {
        let ports = 14 + 4 * usize::from(message.get(14)? & 15);
        let part = (message.get(20)? & 0x1f, *message.get(21)?);
        let later = part != (0, 0);
        if message[14] >> 4 != 4 || ports < 34 || message.len() < ports + if later { 0 } else { 4 } {
            return None;
        }
        swap(message, 26, 30, 4);
        match message[23] {
            _ if later => {}
            6 | 17 => swap(message, ports, ports + 2, 2),
            1 if message[ports] == 8 => message[ports] = 0,
            1 if message[ports] == 0 => message[ports] = 8,
            _ => {}
        }
    }
    swap(message, 0, 6, 6);
    Some(())
}

proptest! {
    #[test]
    fn messages_are_turned_round_by_the_rule_and_twice_is_not_at_all(
        kind in prop_oneof![Just(0x800_u16), Just(0x806), any::<u16>()],
        start in prop_oneof![Just(0x45_u8), Just(0x46), any::<u8>()],
        protocol in prop_oneof![Just(1_u8), Just(6), Just(17), any::<u8>()],
        part in prop_oneof![Just(0_u8), any::<u8>()],
        mut bytes in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        if bytes.len() > 24 {
            bytes[12..14].copy_from_slice(&kind.to_be_bytes());
            (bytes[14], bytes[23], bytes[20], bytes[21]) = (start, protocol, part, 0);
        }
        let before = bytes.clone();
        let mut expected = bytes.clone();
        let result = model(&mut expected);
        prop_assert_eq!(turn_round(&mut bytes), result);
        prop_assert_eq!(&bytes, &expected);
        if result.is_some() {
            prop_assert_eq!(&bytes[..6], &before[6..12]);
            prop_assert_eq!(turn_round(&mut bytes), Some(()));
        }
        prop_assert_eq!(bytes, before);
    }

    #[test]
    fn the_way_of_common_messages_is_the_same(
        kind in prop_oneof![9 => Just(0x800_u16), 1 => any::<u16>()],
        start in prop_oneof![9 => Just(0x45_u8), 1 => any::<u8>()],
        protocol in prop_oneof![Just(6_u8), Just(17), any::<u8>()],
        part in prop_oneof![9 => Just(0_u8), 1 => any::<u8>()],
        other in prop_oneof![9 => Just(0_u8), 1 => any::<u8>()],
        mut bytes in prop::collection::vec(any::<u8>(), 60..120),
    ) {
        bytes[12..14].copy_from_slice(&kind.to_be_bytes());
        (bytes[14], bytes[23], bytes[20], bytes[21]) = (start, protocol, part, 0);
        let address: [u8; 6] = core::array::from_fn(|at| bytes[6 + at] ^ other);
        let words = buffer(&bytes);
        let mut sent = [0; TOLD_BY];
        let turned = source::turn_common(|at| words[at], |at, word| sent[at] = word, station(address));
        let ordinary = kind == 0x800 && start == 0x45 && matches!(protocol, 6 | 17) && part & 0x1f == 0;
        prop_assert_eq!(turned.is_some(), ordinary && is_from(&bytes, address));
        if let Some(turned) = turned {
            prop_assert_eq!(&sent[..], &words[..TOLD_BY]);
            prop_assert_eq!(turn_round(&mut bytes), Some(()));
            prop_assert_eq!(&turned[..], &buffer(&bytes)[..HEADERS]);
        }
    }
}
