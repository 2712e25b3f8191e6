//! A store with more pages than frames keeps what is put there, whichever policy says which page goes; a policy that knows of
//! scans fetches fewer pages. Its frames are free in the end, and what it is asked for wrongly is refused.
//@ expect: exos_store: all as it should be
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos::backing;
use exos::vm::{self, Vm};
use exos_apps::store::{self, PER_PAGE, Policy, RECORDS, Store, WORDS};
use exos_policy::paging::{Lru, Scans};
use exos_rt::abi::{EnvId, Error};
use exos_rt::{call, memory, println, public};

const FRAMES: usize = 60;
/// Keys that are used again and again: half of the pages.
const HOT: u32 = RECORDS / 2;

fn main() {
    Vm::install().unwrap();
    vm::set_hook(Some(store::miss));
    let (backing, control) = backing::start((public::position() + 1) % 64).unwrap();
    let fetched = [Policy::Lru(Lru::new()), Policy::Scans(Scans::new())].map(|policy| exercise(policy, backing));
    assert!(fetched[1] * 2 < fetched[0], "{fetched:?}");
    let free = free();
    let small = Store::new(Policy::Lru(Lru::new()), 1, backing).unwrap();
    assert_eq!(Store::new(Policy::Lru(Lru::new()), 1, backing).err(), Some(Error::Busy));
    for key in [0, RECORDS - 1, 0] {
        assert_eq!(small.get(key), Ok([0; WORDS]));
    }
    assert_eq!(small.get(RECORDS), Err(Error::BadArgument));
    drop(small);
    assert_eq!(Store::new(Policy::Lru(Lru::new()), 0, backing).err(), Some(Error::BadArgument));
    assert_eq!(self::free(), free, "frames are lost");
    call::env_destroy(backing, control).unwrap();
    println!("exos_store: all as it should be");
}

fn free() -> usize {
    (0..public::frames()).filter(|&frame| memory::seems_free(frame)).count()
}

/// The record of a key after so many changes.
fn record(key: u32, changes: u32) -> [u32; WORDS] {
    core::array::from_fn(|word| key.wrapping_mul(2_654_435_769) ^ changes ^ word as u32)
}

/// Puts, gets and scans; how many pages were fetched after the beginning.
fn exercise(policy: Policy, backing: EnvId) -> u32 {
    let store = Store::new(policy, FRAMES, backing).unwrap();
    for key in 0..RECORDS {
        store.put(key, record(key, 0)).unwrap();
    }
    for key in (0..HOT).step_by(PER_PAGE as usize) {
        assert_eq!(store.get(key), Ok(record(key, 0)));
    }
    let before = store.fetched();
    for round in 1..=4 {
        for key in (0..HOT).step_by(7) {
            assert_eq!(store.get(key), Ok(record(key, round - 1)));
            store.put(key, record(key, round)).unwrap();
        }
        let (read, wrong) = store.scan((0, 0), |(read, wrong), found| {
            let changes = if read < HOT && read % 7 == 0 { round } else { 0 };
            (read + 1, wrong + u32::from(*found != record(read, changes)))
        });
        assert_eq!((read, wrong), (RECORDS, 0));
    }
    store.fetched() - before
}
