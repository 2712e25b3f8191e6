//! Who has not the right to revoke asks, demands and takes all the same: with forged tags, with tags of other rights, with
//! what was good for something once. Nothing is asked of the victim, nothing is taken, and it is told nothing, however
//! often they try; nor when something is due.
//@ run: hostile_authority aegis_witness
//@ expect: hostile_authority: refused with 74 tags, and nothing came of it
//@ expect: aegis_witness: undisturbed
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../claim.rs"]
mod claim;

use claim::{authority, census, demand_and_wait, frames_of, take, until_witness_is_ready};
use exos_rt::abi::frame::{Capability, READ, WRITE};
use exos_rt::abi::revocation::{DEADLINE_MAX, DEADLINE_MIN, Demand, EMERGENCY, FRAMES, SLICES};
use exos_rt::abi::{EnvId, Error};
use exos_rt::environment::spawn;
use exos_rt::revocation::{Notice, Stack, inform};
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, public, revocation};

/// The victim's frames: one that is demanded later, one that it frees.
static FRAME: [Shared<u32>; 2] = [const { Shared::new(0) }; 2];
/// How often it was told.
static TOLD: Shared<u32> = Shared::new(0);
/// What the victim sees that is asked of it.
static ASKED: Shared<u32> = Shared::new(0);
static READY: Shared<u32> = Shared::new(0);
static STACK: Stack<2048> = Stack::new();

/// The attacker's: whom it attacks, which slice, with which tags, and what it was refused.
static VICTIM: Shared<u32> = Shared::new(0);
static POSITION: Shared<u32> = Shared::new(0);
static TAGS: [Shared<(u32, u32)>; 80] = [const { Shared::new((0, 0)) }; 80];
static COUNT: Shared<u32> = Shared::new(0);
static ROUND: Shared<u32> = Shared::new(0);
static DONE: Shared<u32> = Shared::new(0);
static PASSED: Shared<u32> = Shared::new(0);

fn policy(_: Notice) {
    TOLD.add(1);
}

extern "C" fn victim(_: u32) -> ! {
    for frame in &FRAME {
        frame.set(memory::allocate().unwrap());
    }
    // SAFETY: the stack is its own.
    unsafe { inform(policy, &STACK) };
    READY.set(1);
    loop {
        ASKED.set(revocation::demand(FRAMES).left + revocation::demand(SLICES).left);
        call::yield_slice();
    }
}

/// Tries all that there is with each of the tags, whenever it is told to; it is not the one that has the right.
extern "C" fn attacker(_: u32) -> ! {
    loop {
        while ROUND.get() == DONE.get() {
            call::yield_slice();
        }
        let victim = EnvId(VICTIM.get());
        for tag in &TAGS[..COUNT.get() as usize] {
            let (low, high) = tag.get();
            let tag = Capability([low, high]);
            let refused = |result: Result<u32, Error>| PASSED.add(u32::from(result != Err(Error::Denied)));
            for what in [FRAMES, SLICES, FRAMES | EMERGENCY, SLICES | EMERGENCY] {
                for within in [DEADLINE_MIN, DEADLINE_MAX] {
                    refused(call::revoke(victim, tag, what, 1, within));
                }
                refused(call::revoke(victim, tag, what, 0, 0));
                refused(call::revoke(call::self_id(), tag, what, 1, 0));
            }
            for frame in [0, FRAME[0].get(), FRAME[1].get(), u32::MAX] {
                refused(call::frame_repossess(frame, tag).map(|()| 0));
            }
            for position in [POSITION.get(), 0, 63, u32::MAX] {
                refused(call::slice_repossess(position, tag).map(|()| 0));
            }
        }
        DONE.set(ROUND.get());
    }
}

/// Lets the attacker try everything once.
fn attack() {
    ROUND.add(1);
    while DONE.get() != ROUND.get() {
        call::yield_slice();
    }
    assert_eq!(PASSED.get(), 0, "something was not refused");
}

fn main() {
    until_witness_is_ready();
    let at_first = census();
    let free = |from: u32| (0..64).map(|n| (from + n) % 64).find(|&at| public::slice(at).owner == 0).unwrap();
    let position = free(public::position());
    let (id, control) = spawn(victim, 0, Some(position)).unwrap();
    let (other, others) = spawn(attacker, 0, Some(free(position))).unwrap();
    while READY.get() == 0 {
        call::yield_slice();
    }
    VICTIM.set(id.0);
    POSITION.set(position);

    // What it shows: nothing, what is nearly right, rights over other things, and what was good once.
    let Capability([low, high]) = authority();
    let mine = memory::allocate().unwrap();
    let [read, write] = [READ, WRITE].map(|right| call::capability(mine, right).unwrap());
    call::frame_renew(mine).unwrap();
    let renewed = call::capability(mine, WRITE).unwrap();
    let dead = call::env_create(memory::allocate_pair().unwrap()).unwrap();
    call::env_destroy(dead.0, dead.1).unwrap();
    let flipped = (0..64).map(|bit| (u64::from(high) << 32 | u64::from(low)) ^ 1 << bit);
    let flipped = flipped.map(|tag| Capability([tag as u32, (tag >> 32) as u32]));
    let wrong = [call::NO_CAPABILITY, Capability([high, low]), Capability([low, low]), control, others, dead.1];
    let wrong = wrong.into_iter().chain([read, write, renewed, Capability([!low, !high])]);
    for Capability([low, high]) in flipped.chain(wrong) {
        TAGS[COUNT.get() as usize].set((low, high));
        COUNT.add(1);
    }

    // Again and again: nobody hears of it.
    let (frames, demands) = (frames_of(id), public::statistics().demands);
    for _ in 0..8 {
        attack();
    }
    call::yield_slice();
    assert_eq!((TOLD.get(), ASKED.get(), public::statistics().demands), (0, 0, demands));
    assert_eq!((frames_of(id), public::slice(position).owner), (frames, id.0));

    // Nor may they collect what somebody else has demanded.
    demand_and_wait(id, FRAMES, 1);
    demand_and_wait(id, SLICES | EMERGENCY, 1);
    attack();
    assert_eq!((TOLD.get(), ASKED.get()), (3, 2), "who has the right is heard: of one, then of two");
    assert_eq!((frames_of(id), public::slice(position).owner), (frames, id.0));
    // It shows that it was due: who has the right takes it.
    assert_eq!(take(FRAME[0].get()), Ok(()));
    call::yield_slice();
    let statistics = public::statistics();
    assert_eq!((statistics.frames_repossessed, statistics.slices_repossessed), (1, 0));
    assert_eq!(revocation::demand(FRAMES), Demand::default());
    // SAFETY: it is mapped nowhere.
    unsafe { call::frame_free(mine).unwrap() };
    claim::end(id, control);
    claim::end(other, others);
    assert_eq!(census(), at_first);
    println!("hostile_authority: refused with {} tags, and nothing came of it", COUNT.get());
}
