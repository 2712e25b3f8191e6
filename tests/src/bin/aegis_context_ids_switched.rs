//! Environments that switch between all their addressing contexts, which are twice as many as the hardware has names:
//! each finds its own page in each context, though names are taken back in the middle of a switch.
//@ expect: aegis_context_ids_switched: 120 address spaces, 4 rounds
//@ timeout: 60

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../attempt.rs"]
mod attempt;

use attempt::{load, store};
use exos_rt::abi::EnvId;
use exos_rt::abi::vm::{CONTEXTS, PAGE_BYTES, PAGE_SHIFT, entry_lo};
use exos_rt::call::{NO_CAPABILITY, context_switch, tlb_probe, tlb_write};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, public};

const CHILDREN: usize = 30;
const ROUNDS: u32 = 4;
const ADDRESS: u32 = 0x5040_0000;
/// A page that each maps to a context's frame in the context before that.
const OTHER: u32 = ADDRESS + PAGE_BYTES;

/// How many rounds each has done.
static DONE: [Shared<u32>; CHILDREN] = [const { Shared::new(0) }; CHILDREN];

extern "C" fn child(number: u32) -> ! {
    let new = || memory::allocate().unwrap() << PAGE_SHIFT | entry_lo::VALID | entry_lo::DIRTY;
    let entries: [u32; CONTEXTS] = core::array::from_fn(|_| new());
    // SAFETY: in all that follows: what the program itself uses is in guaranteed mappings; nothing else is at these
    // addresses, and all accesses are through functions of assembly.
    unsafe {
        for (context, entry) in (0..).zip(entries) {
            context_switch(context).unwrap();
            // Names may be taken back between any two instructions.
            while store(ADDRESS, number << 8 | context).is_err() {
                tlb_write(ADDRESS, entry, NO_CAPABILITY).unwrap();
            }
        }
        while DONE[number as usize].get() < ROUNDS {
            for (context, entry) in (0..).zip(entries) {
                tlb_write(OTHER, entry, NO_CAPABILITY).unwrap();
                context_switch(context).unwrap();
                call::yield_slice();
                // What was mapped may be gone, but nothing comes instead.
                assert!(tlb_probe(ADDRESS).is_none_or(|found| found == entry));
                let found = loop {
                    if let Ok(found) = load(ADDRESS) {
                        break found;
                    }
                    tlb_write(ADDRESS, entry, NO_CAPABILITY).unwrap();
                };
                assert_eq!(found, number << 8 | context);
                assert_ne!(tlb_probe(OTHER), Some(entry), "the switch had no effect");
            }
            DONE[number as usize].add(1);
        }
    }
    call::exit(0)
}

fn main() {
    let mut ids = [EnvId(0); CHILDREN];
    for (number, id) in ids.iter_mut().enumerate() {
        (*id, _) = spawn(child, number as u32, None).unwrap();
    }
    while ids.iter().filter(|&&id| call::yield_to(id).is_ok()).count() != 0 {}
    assert!(DONE.iter().all(|done| done.get() == ROUNDS));
    call::yield_slice();
    let revocations = public::statistics().context_revocations;
    assert!(revocations > ROUNDS, "names were taken back {revocations} times");
    println!("aegis_context_ids_switched: {} address spaces, {ROUNDS} rounds", CHILDREN * CONTEXTS);
}
