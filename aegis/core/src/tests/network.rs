//! Packet filters: who has them, where messages go.

extern crate std;

use super::machine::{Machine, Tables};
use crate::network::Lost;
use aegis_abi::filter::Atom;
use aegis_abi::frame::{Capability, PUBLIC};
use aegis_abi::network::{Descriptor, Entry};
use aegis_abi::{EnvId, Error};

const NOTHING: Capability = Capability([0; 2]);

/// Makes the calls of an insertion.
pub(super) fn insert(m: &mut Machine, by: EnvId, frame: u32, atoms: &[Atom], shown: Capability) -> Result<u32, Error> {
    for _ in 0..50 {
        let result = match m.system.filter_insert(&mut m.tlbs, by, frame, [1, 2], shown) {
            Ok(None) => m.system.filter_begin(by, frame, [1, 2], atoms).map(|()| 0),
            Ok(Some(number)) => Ok(number),
            Err(error) => Err(error),
        };
        m.audit();
        if result != Err(Error::Again) {
            return result;
        }
    }
    panic!("an insertion without an end");
}

fn remove(m: &mut Machine, by: EnvId, number: u32) -> Result<(), Error> {
    while m.system.settle_filters().is_err() {}
    let result = m.system.filter_remove(by, number);
    m.audit();
    result
}

pub(super) fn byte(value: u32) -> [Atom; 1] {
    [Atom::equal(14, 8, value)]
}

#[test]
fn a_filter_takes_a_frame_and_gives_it_back() {
    let mut tables = Tables::new(64);
    let mut m = tables.machine();
    let [a, b] = [m.environment(2), m.environment(4)];
    m.system.frame_allocate(&mut m.tlbs, a, 10).unwrap();
    assert_eq!(insert(&mut m, b, 10, &byte(1), NOTHING), Err(Error::Denied), "another's frame");
    assert_eq!(insert(&mut m, a, 2, &byte(1), NOTHING), Err(Error::Busy), "the save page");
    assert_eq!(insert(&mut m, a, 99, &byte(1), NOTHING), Err(Error::BadArgument));
    m.bind(a, 7, 10, NOTHING);
    assert_eq!(insert(&mut m, a, 10, &byte(1), NOTHING), Err(Error::Busy), "it is mapped");
    m.system.frame_renew(&mut m.tlbs, a, 10).unwrap();
    let number = insert(&mut m, a, 10, &byte(1), NOTHING).unwrap();
    assert_eq!(m.system.network.filter(number), Entry { owner: a.0, frame: 10 });
    assert_eq!(m.system.frames.owner(10), PUBLIC);
    assert_eq!(insert(&mut m, a, 10, &byte(1), NOTHING), Ok(number), "the same once more");
    assert_eq!(m.system.frame_free(&mut m.tlbs, a, 10), Err(Error::Denied));
    m.bind(b, 8, 10, NOTHING);
    assert_eq!(remove(&mut m, b, number), Err(Error::Denied));
    assert_eq!(remove(&mut m, a, number), Ok(()));
    assert_eq!(remove(&mut m, a, number), Err(Error::BadArgument));
    // Others have it mapped still, so it is being freed.
    assert_eq!(m.system.capability(a, 10, 1), Err(Error::Denied));
    while m.system.frame_renew(&mut m.tlbs, a, 10) == Err(Error::Again) {}
    assert!(!m.tlbs.maps(10));
    assert!(m.system.capability(a, 10, 1).is_ok());
    m.audit();
}

#[test]
fn overlaps_need_the_others_capability() {
    let mut tables = Tables::new(64);
    let mut m = tables.machine();
    let a = m.environment(2);
    for frame in 10..14 {
        m.system.frame_allocate(&mut m.tlbs, a, frame).unwrap();
    }
    let (b, control) = m.create(a, 12);
    m.system.frame_allocate(&mut m.tlbs, b, 20).unwrap();
    insert(&mut m, b, 20, &byte(1), NOTHING).unwrap();
    let narrow = [Atom::equal(14, 8, 1), Atom::equal(15, 8, 2)];
    assert_eq!(insert(&mut m, a, 10, &narrow, NOTHING), Err(Error::Denied));
    assert_eq!(insert(&mut m, a, 10, &byte(1), control), Err(Error::Busy), "the very same");
    let number = insert(&mut m, a, 10, &narrow, control).unwrap();
    let mut message = [0; 64];
    (message[14], message[15]) = (1, 2);
    assert_eq!(u32::from(m.system.network.engine.interpret(&message)), number);
}

#[test]
fn buffers_must_be_the_owners() {
    let mut tables = Tables::new(64);
    let mut m = tables.machine();
    let [a, b] = [m.environment(2), m.environment(4)];
    for (owner, frame) in [(a, 10), (a, 11), (a, 12), (b, 13)] {
        m.system.frame_allocate(&mut m.tlbs, owner, frame).unwrap();
    }
    let number = insert(&mut m, a, 10, &byte(1), NOTHING).unwrap();
    assert_eq!(m.system.place(&mut m.tlbs, number).map(|place| place.buffer), Err(Lost::NoBuffer), "no ring");
    assert_eq!(m.system.filter_ring(&mut m.tlbs, a, number, 13), Err(Error::Denied));
    assert_eq!(m.system.filter_ring(&mut m.tlbs, b, number, 13), Err(Error::Denied));
    m.system.filter_ring(&mut m.tlbs, a, number, 11).unwrap();
    for buffer in [0, 1, 12 * 4096 + 1024, 13 * 4096, 2 * 4096, 4096, 99 * 4096, 10 * 4096] {
        m.tlbs.rings.insert((11, 0), Descriptor { buffer, length: 0 });
        assert_eq!(m.system.place(&mut m.tlbs, number).map(|place| place.buffer), Err(Lost::NoBuffer), "{buffer:#x}");
    }
    let good = 12 * 4096 + 2048;
    m.tlbs.rings.insert((11, 0), Descriptor { buffer: good, length: 60 });
    assert_eq!(m.system.place(&mut m.tlbs, number).map(|place| place.buffer), Err(Lost::NoBuffer), "still full");
    m.tlbs.rings.insert((11, 0), Descriptor { buffer: good, length: 0 });
    assert_eq!(m.system.place(&mut m.tlbs, number).map(|place| place.buffer), Ok(good));
    let place = m.system.place(&mut m.tlbs, number).unwrap();
    m.system.delivered(&mut m.tlbs, place, 77);
    assert_eq!(m.tlbs.rings[&(11, 0)], Descriptor { buffer: good, length: 77 });
    let installed = m.tlbs.installed[&10];
    assert_eq!((installed.delivered, installed.dropped, installed.next), (1, 10, 1));
    m.tlbs.rings.insert((11, 1), Descriptor { buffer: good, length: 0 });
    m.system.frame_free(&mut m.tlbs, a, 12).unwrap();
    assert_eq!(m.system.place(&mut m.tlbs, number).map(|place| place.buffer), Err(Lost::NoBuffer), "freed");
    m.system.frame_allocate(&mut m.tlbs, a, 12).unwrap();
    assert_eq!(m.system.place(&mut m.tlbs, number).map(|place| place.buffer), Ok(good));
    m.system.frame_renew(&mut m.tlbs, a, 11).unwrap();
    assert_eq!(
        m.system.place(&mut m.tlbs, number).map(|place| place.buffer),
        Err(Lost::NoBuffer),
        "the ring was renewed"
    );
    m.audit();
}

#[test]
fn filters_of_the_dead_go() {
    let mut tables = Tables::new(64);
    let mut m = tables.machine();
    let [a, b] = [m.environment(2), m.environment(4)];
    for (owner, frame) in [(a, 10), (a, 11), (b, 12)] {
        m.system.frame_allocate(&mut m.tlbs, owner, frame).unwrap();
    }
    let first = insert(&mut m, a, 10, &byte(1), NOTHING).unwrap();
    let second = insert(&mut m, a, 11, &byte(2), NOTHING).unwrap();
    m.bind(b, 9, 11, NOTHING);
    assert!(m.system.awaits_messages());
    assert!(m.system.env_destroy(a));
    assert!(!m.system.awaits_messages(), "they are there, but nobody waits");
    m.audit();
    assert_eq!(m.system.place(&mut m.tlbs, first).map(|place| place.buffer), Err(Lost::OwnerDied));
    m.audit();
    assert_eq!(m.system.network.filter(first), Entry::default());
    let third = insert(&mut m, b, 12, &byte(2), NOTHING).unwrap();
    assert!(m.system.awaits_messages());
    assert_ne!(m.system.network.filter(second).owner, a.0);
    while m.system.frame_allocate(&mut m.tlbs, b, 11) == Err(Error::Again) {}
    assert!(!m.tlbs.maps(11), "its last owner's record is nobody's any more");
    remove(&mut m, b, third).unwrap();
    assert!(!m.system.awaits_messages());
    m.audit();
}

#[test]
fn others_insertions_do_not_mix() {
    let mut tables = Tables::new(64);
    let mut m = tables.machine();
    let [a, b] = [m.environment(2), m.environment(4)];
    for (owner, frame) in [(a, 10), (b, 12)] {
        m.system.frame_allocate(&mut m.tlbs, owner, frame).unwrap();
    }
    // One of a's is begun, and one of b's comes between.
    assert_eq!(m.system.filter_begin(a, 10, [1, 2], &byte(1)), Err(Error::Again));
    assert_eq!(m.system.filter_insert(&mut m.tlbs, a, 10, [1, 2], NOTHING), Err(Error::Again));
    let of_b = insert(&mut m, b, 12, &byte(1), NOTHING).unwrap();
    assert_eq!(insert(&mut m, a, 10, &byte(1), NOTHING), Err(Error::Busy));
    assert_eq!(m.system.network.filter(of_b).owner, b.0);
    // Filters go between.
    assert_eq!(m.system.filter_begin(a, 10, [1, 2], &byte(2)), Err(Error::Again));
    assert_eq!(m.system.filter_insert(&mut m.tlbs, a, 10, [1, 2], NOTHING), Err(Error::Again));
    remove(&mut m, b, of_b).unwrap();
    let number = insert(&mut m, a, 10, &byte(2), NOTHING).unwrap();
    assert_eq!(m.system.network.filter(number).owner, a.0);
}
