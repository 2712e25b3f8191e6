//! A store that pages by its own policy (the paper's motivation, section 2), against the least recently used page.
//!
//! 96 pages of records, 60 frames. A round: 2000 records are read in the 48 pages that are used again and again, then all 6144 are scanned.
//! A page that has no frame is kept by another environment: to fetch it, the page that goes is copied there and it is copied back. There is
//! no disk, so what a fetch costs is little, and what a policy saves as well; how many fetches it saves does not depend on that.
//! The store itself tells both policies of each use.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use aegis_bench::loop_of;
use exos::backing;
use exos::vm::{self, Vm};
use exos_apps::store::{self, Policy, RECORDS, Store};
use exos_policy::paging::{Lru, Scans};
use exos_rt::abi::EnvId;
use exos_rt::{call, mark_begin, mark_end, println, public};

exos_rt::program!(main);

const LRU: u32 = 1;
const SCANS: u32 = 2;

const FRAMES: usize = 60;
const GETS: u32 = 2000;
const HOT: u32 = RECORDS / 2;
/// Rounds of a loop, and loops.
const ROUNDS: u32 = 2;
const LOOPS: u32 = 3;

/// Reads and scans; the sum of what was read.
fn round(store: &Store, chance: &mut u32) -> u32 {
    let mut sum = 0_u32;
    for _ in 0..GETS {
        *chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        sum = sum.wrapping_add(store.get((*chance >> 16) % HOT).expect("there is such a key")[0]);
    }
    store.scan(sum, |sum, record| sum.wrapping_add(record[0]))
}

macro_rules! measure {
    ($id:expr, $name:literal, $policy:expr, $backing:expr) => {{
        let store = Store::new($policy, FRAMES, $backing).expect("there are so many frames");
        for key in 0..RECORDS {
            store.put(key, [key; store::WORDS]).expect("there is such a key");
        }
        let mut chance = 1;
        let expected = RECORDS * (RECORDS - 1) / 2;
        let first = round(&store, &mut chance);
        let mut points = [0; LOOPS as usize];
        for point in &mut points {
            let before = store.fetched();
            mark_begin!($id);
            core::hint::black_box(round(&store, &mut chance));
            mark_end!($id);
            *point = store.fetched() - before;
        }
        for _ in 0..LOOPS {
            mark_begin!(loop_of($id));
            for _ in 0..ROUNDS {
                core::hint::black_box(round(&store, &mut chance));
            }
            mark_end!(loop_of($id));
        }
        assert_eq!(store.scan(0, |sum, record| sum + record[0]), expected);
        assert_ne!(first, expected);
        for (x, y) in (1..).zip(points) {
            println!("point store series={} x={x} y={y}", $name);
        }
    }};
}

fn main() {
    for (id, name, how) in
        [(LRU, "lru", "the least recently used page goes"), (SCANS, "scans", "pages of scans go first")]
    {
        println!(
            "mark {id} table=store op=round_{name} system=exos how=2000 reads in 48 pages, a scan of 96, 60 frames; {how}"
        );
        println!("loop {} of={id} rounds={ROUNDS} how=rounds, one after the other", loop_of(id));
        println!("figure store series={name} system=exos unit=pages how=pages fetched in a round; {how}");
    }
    exos_rt::console::flush();
    Vm::install().expect("there is memory");
    vm::set_hook(Some(store::miss));
    let (backing, control): (EnvId, _) = backing::start((public::position() + 1) % 64).expect("there is memory");
    measure!(LRU, "lru", Policy::Lru(Lru::new()), backing);
    measure!(SCANS, "scans", Policy::Scans(Scans::new()), backing);
    call::env_destroy(backing, control).expect("it lives");
}
