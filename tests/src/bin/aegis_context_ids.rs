//! More environments than the hardware has names for addressing contexts, all on the same address: each finds its own.
//@ expect: aegis_context_ids: 70 environments found their own pages
//@ timeout: 60

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../attempt.rs"]
mod attempt;

use attempt::{load, store};
use exos_rt::abi::EnvId;
use exos_rt::abi::vm::{PAGE_SHIFT, entry_lo};
use exos_rt::call::{NO_CAPABILITY, tlb_write};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, public};

const CHILDREN: usize = 70;
const ROUNDS: u32 = 4;
const ADDRESS: u32 = 0x5040_0000;

/// How often each has found its own.
static FOUND: [Shared<u32>; CHILDREN] = [const { Shared::new(0) }; CHILDREN];

extern "C" fn child(number: u32) -> ! {
    let entry = memory::allocate().unwrap() << PAGE_SHIFT | entry_lo::VALID | entry_lo::DIRTY;
    // SAFETY: nothing else is at that address, and all accesses are through functions of assembly.
    let map = || unsafe { tlb_write(ADDRESS, entry, NO_CAPABILITY).unwrap() };
    // A mapping goes when this environment's name is taken back, which may be at any time.
    // SAFETY: likewise.
    while unsafe { store(ADDRESS, number + 1000) }.is_err() {
        map();
    }
    while FOUND[number as usize].get() < ROUNDS {
        call::yield_slice();
        // Another's must never be there instead.
        let found = loop {
            match load(ADDRESS) {
                Ok(word) => break word,
                Err(_) => map(),
            }
        };
        assert_eq!(found, number + 1000);
        FOUND[number as usize].add(1);
    }
    call::exit(0)
}

fn main() {
    let mut ids = [EnvId(0); CHILDREN];
    for (number, id) in ids.iter_mut().enumerate() {
        (*id, _) = spawn(child, number as u32, None).unwrap();
    }
    let revocations = public::statistics().context_revocations;
    let mut alive = CHILDREN;
    while alive != 0 {
        alive = ids.iter().filter(|&&id| call::yield_to(id).is_ok()).count();
    }
    assert!(FOUND.iter().all(|found| found.get() == ROUNDS));
    call::yield_slice();
    let revocations = public::statistics().context_revocations - revocations;
    assert!(revocations >= 1, "there were names for all");
    println!("aegis_context_ids: {CHILDREN} environments found their own pages");
}
