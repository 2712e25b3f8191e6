//! Giving that is none: a frame that is freed twice, given to an accomplice, freed and allocated again, another than was
//! wanted, in place of one with a good name. It counts once or not at all, and what stays owed can be taken; what is not
//! owed can't, whatever is named.
//@ run: hostile_gives aegis_witness
//@ expect: hostile_gives: each gift counted once
//@ expect: aegis_witness: undisturbed
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../claim.rs"]
mod claim;

use claim::{authority, census, pass, take, until_witness_is_ready};
use exos_rt::abi::Error;
use exos_rt::abi::frame::FREE;
use exos_rt::abi::revocation::{DEADLINE_MIN, FRAMES, SLICES};
use exos_rt::{call, memory, println, public, revocation};

fn main() {
    until_witness_is_ready();
    let at_first = census();
    let me = call::self_id();
    // The accomplice: it has what it is given, and no time.
    let (other, control) = call::env_create(memory::allocate_pair().unwrap()).unwrap();
    let frames = [0; 8].map(|_| memory::allocate().unwrap());
    let owed = |kind| revocation::demand(kind).left;
    // SAFETY: all of these frames are mapped nowhere. Likewise below.
    let free = |frame| unsafe { call::frame_free(frame) };
    // SAFETY: likewise.
    let give = |frame| unsafe { call::frame_give(frame, other) };

    call::revoke(me, authority(), FRAMES, 4, DEADLINE_MIN).unwrap();
    assert_eq!((free(frames[0]), owed(FRAMES)), (Ok(()), 3));
    assert_eq!((free(frames[0]), owed(FRAMES)), (Err(Error::Denied), 3), "twice");
    assert_eq!((give(frames[0]), owed(FRAMES)), (Err(Error::Denied), 3), "what is nobody's");
    assert_eq!((give(frames[1]), owed(FRAMES)), (Ok(()), 3), "to an accomplice");
    assert_eq!((free(frames[1]), owed(FRAMES)), (Err(Error::Denied), 3), "what is another's");
    assert_eq!((call::frame_renew(frames[2]), owed(FRAMES)), (Ok(()), 3), "renewed");
    assert_eq!((call::frame_allocate(frames[0]), owed(FRAMES)), (Ok(()), 4), "taken back");
    let more = memory::allocate().unwrap();
    assert_eq!(owed(FRAMES), 4, "no more than was asked for");
    assert_eq!((free(more), owed(FRAMES)), (Ok(()), 3), "one that was no use");
    assert_eq!((free(u32::MAX), free(0), owed(FRAMES)), (Err(Error::BadArgument), Err(Error::Denied), 3));

    call::slice_allocate(40).unwrap();
    call::slice_allocate(41).unwrap();
    call::revoke(me, authority(), SLICES, 2, DEADLINE_MIN).unwrap();
    assert_eq!((call::slice_free(40), owed(SLICES)), (Ok(()), 1));
    assert_eq!((call::slice_free(40), owed(SLICES)), (Err(Error::Denied), 1), "twice");
    assert_eq!((call::slice_give(41, other), owed(SLICES)), (Ok(()), 1), "to an accomplice");
    assert_eq!((call::slice_allocate(40), owed(SLICES)), (Ok(()), 2), "taken back");

    pass(DEADLINE_MIN);
    // The accomplice owes nothing. What is named of one's own is taken; the third is given by another name.
    assert_eq!(take(frames[1]), Err(Error::Denied));
    assert_eq!(call::slice_repossess(41, authority()), Err(Error::Denied));
    assert_eq!((take(frames[3]), owed(FRAMES)), (Ok(()), 2));
    assert_eq!((take(frames[3]), owed(FRAMES)), (Err(Error::NoSuchEnvironment), 2), "twice");
    assert_eq!((free(frames[3]), owed(FRAMES)), (Err(Error::Denied), 2), "what was taken");
    assert_eq!((take(frames[4]), free(frames[5]), owed(FRAMES)), (Ok(()), Ok(()), 0));
    assert_eq!(take(frames[6]), Err(Error::Denied), "all is given");
    assert_eq!(memory::frame(frames[6]).owner, me.0);
    assert_eq!((call::slice_repossess(40, authority()), owed(SLICES)), (Ok(()), 1));
    assert_eq!(call::slice_repossess(40, authority()), Err(Error::NoSuchEnvironment), "twice");
    assert_eq!(call::revoke(me, authority(), SLICES, 0, 0), Ok(1));
    // The kernel told of each loss.
    let lost = (0..).zip([frames[3], frames[4], 40]).all(|(index, name)| revocation::entry(index).name == name);
    assert!(lost && memory::frame(frames[3]).owner == FREE);
    (0..3).for_each(revocation::clear);

    call::env_destroy(other, control).unwrap();
    for frame in [frames[0], frames[2], frames[6], frames[7]] {
        free(frame).unwrap();
    }
    call::yield_slice();
    let statistics = public::statistics();
    assert_eq!((statistics.frames_repossessed, statistics.slices_repossessed), (2, 1));
    assert_eq!(census(), at_first);
    println!("hostile_gives: each gift counted once");
}
