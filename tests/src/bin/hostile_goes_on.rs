//! Who is to give something back and heeds nothing, but passes each slice on to an accomplice, which passes it back, keeps nothing
//! by that: what was demanded is taken when the deadline has passed, also a slice in the midst of it; and a program beside loses
//! nothing.
//@ network: peer
//@ run: hostile_goes_on aegis_witness
//@ expect: hostile_goes_on: all was taken from who went on
//@ expect: aegis_witness: undisturbed
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../claim.rs"]
mod claim;
#[path = "../net.rs"]
mod net;

use claim::{authority, census, demand_and_wait, until_witness_is_ready};
use exos_rt::abi::revocation::{FILTERS, SLICES};
use exos_rt::abi::{EnvId, Error};
use exos_rt::call::{self, NO_CAPABILITY};
use exos_rt::environment::spawn;
use exos_rt::net::{Endpoint, filters};
use exos_rt::shared::Shared;
use exos_rt::{println, public};
use net::{DATA, filter};

static FILTER: Shared<u32> = Shared::new(0);
static OTHER: [Shared<u32>; 2] = [const { Shared::new(0) }; 2];
static PASSED: Shared<u32> = Shared::new(0);

/// Passes what it has of a slice on to the other, for ever; the first has a filter and a second slice.
extern "C" fn passes(which: u32) -> ! {
    if which == 0 {
        FILTER.set(Endpoint::open(&filter(DATA, 7), NO_CAPABILITY, 1).unwrap().number());
        let free = (0..64).find(|&position| public::slice(position).owner == 0).unwrap();
        call::slice_allocate(free).unwrap();
    }
    loop {
        PASSED.add(1);
        let _ = call::yield_to(EnvId(OTHER[1 - which as usize].get()));
    }
}

fn slices_of(id: EnvId) -> impl Iterator<Item = u32> {
    (0..64).filter(move |&position| public::slice(position).owner == id.0)
}

fn main() {
    until_witness_is_ready();
    let before = census();
    let spawned: [_; 2] = core::array::from_fn(|which| {
        let free = (32..64).find(|&position| public::slice(position).owner == 0);
        let (id, control) = spawn(passes, which as u32, free).unwrap();
        OTHER[which].set(id.0);
        (id, control)
    });
    let (id, _) = spawned[0];
    let end = public::ticks() + 256;
    while FILTER.get() == 0 || PASSED.get() < 1000 || slices_of(id).count() < 2 {
        assert!(public::ticks() < end, "they don't begin");
        call::yield_slice();
    }
    demand_and_wait(id, FILTERS, 1);
    assert_eq!(call::filter_repossess(FILTER.get(), authority()), Ok(()));
    assert_eq!(filters().count(), 0);
    demand_and_wait(id, SLICES, 1);
    let taken = slices_of(id).next().unwrap();
    assert_eq!(call::slice_repossess(taken, authority()), Ok(()));
    assert_eq!(slices_of(id).count(), 1);
    let last = slices_of(id).next().unwrap();
    assert_eq!(call::slice_repossess(last, authority()), Err(Error::Denied), "no more is owed");
    // They go on, with what they are left.
    let passed = PASSED.get();
    (0..4).for_each(|_| call::yield_slice());
    assert_ne!(PASSED.get(), passed);
    spawned.into_iter().for_each(|(id, control)| call::env_destroy(id, control).unwrap());
    (0..2).for_each(|_| call::yield_slice());
    assert_eq!(census(), before);
    println!("hostile_goes_on: all was taken from who went on");
}
