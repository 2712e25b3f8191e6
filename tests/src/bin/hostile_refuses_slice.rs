//! A program that gives no slice back, and gives the processor back as late as it can, loses by force the slices that are
//! named, and not its last one. Its neighbour keeps every slice.
//@ run: hostile_refuses_slice aegis_witness
//@ expect: hostile_refuses_slice: 3 slices taken, the last one kept; nothing is left over
//@ expect: aegis_witness: undisturbed

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../claim.rs"]
mod claim;

use claim::{authority, census, pass, until_witness_is_ready};
use exos_rt::abi::Error;
use exos_rt::abi::revocation::{DEADLINE_MIN, SLICES};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, println, public};

static ROUNDS: Shared<u32> = Shared::new(0);

/// It is not told of anything, and frees nothing.
extern "C" fn refuser(_: u32) -> ! {
    loop {
        ROUNDS.add(1);
    }
}

fn main() {
    until_witness_is_ready();
    let at_first = census();
    let me = call::self_id();
    let (id, control) = spawn(refuser, 0, Some(10)).unwrap();
    for position in [20, 30, 40] {
        call::slice_allocate(position).unwrap();
        call::slice_give(position, id).unwrap();
    }
    let witness = public::slice(1).owner;
    assert!(witness != 0 && witness != me.0 && witness != id.0);
    call::revoke(id, authority(), SLICES, 4, 0).unwrap();
    pass(DEADLINE_MIN);
    assert_eq!(call::slice_repossess(10, authority()), Err(Error::Denied), "a request");
    call::revoke(id, authority(), SLICES, 4, DEADLINE_MIN).unwrap();
    assert_eq!(call::slice_repossess(10, authority()), Err(Error::Busy), "not yet");
    pass(DEADLINE_MIN);
    assert_eq!(call::slice_repossess(1, authority()), Err(Error::Denied), "another's");
    for position in [10, 20, 30] {
        assert_eq!(call::slice_repossess(position, authority()), Ok(()));
        assert_eq!(public::slice(position).owner, 0);
        assert_eq!(call::slice_repossess(position, authority()), Err(Error::NoSuchEnvironment));
    }
    assert_eq!(call::slice_repossess(40, authority()), Err(Error::Denied), "its last");
    // What it lends is its own all the same: it still runs there.
    let rounds = ROUNDS.get();
    pass(DEADLINE_MIN);
    assert!(ROUNDS.get() > rounds, "it has one slice");
    assert_eq!((public::slice(40).owner, public::slice(1).owner), (id.0, witness));
    call::yield_slice();
    assert_eq!(public::statistics().slices_repossessed, 3);
    claim::end(id, control);
    assert_eq!(census(), at_first);
    println!("hostile_refuses_slice: 3 slices taken, the last one kept; nothing is left over");
}
