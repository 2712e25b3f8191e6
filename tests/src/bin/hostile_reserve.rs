//! A program that would keep everything: it moves its reserve to whatever is asked for, names the same frame many times, and
//! the frames of others. Eight frames stay, no more; in an emergency these go, too, and its last slice. What never goes are
//! its save page and the kernel's record. What is lost without room in the vector is counted.
//@ run: hostile_reserve aegis_witness
//@ expect: hostile_reserve: 8 of 24 frames in reserve, and none in an emergency
//@ expect: aegis_witness: undisturbed
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../claim.rs"]
mod claim;

use claim::{authority, census, demand_and_wait, take, until_witness_is_ready};
use exos_rt::abi::Error;
use exos_rt::abi::frame::{FREE, KERNEL};
use exos_rt::abi::revocation::{DEADLINE_MIN, EMERGENCY, ENTRIES, FRAMES, RESERVE, SLICES};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, public, revocation};

const OWNED: usize = 24;
static FRAME: [Shared<u32>; OWNED] = [const { Shared::new(0) }; OWNED];
/// What was asked for last: the program keeps that in reserve before all else.
static WANTED: Shared<u32> = Shared::new(0);
static ROUNDS: Shared<u32> = Shared::new(0);

extern "C" fn keeper(_: u32) -> ! {
    for frame in &FRAME {
        frame.set(memory::allocate().unwrap());
    }
    // No room for losses: every entry says of a frame that is not its own where that is to go.
    for _ in 0..ENTRIES {
        assert!(revocation::back(u32::MAX, u32::MAX, call::NO_CAPABILITY));
    }
    loop {
        let first = WANTED.get() as usize;
        revocation::keep(core::array::from_fn(|n| match ROUNDS.get() {
            // The same many times, what is no frame, and what is another's.
            0 => [FRAME[0].get(), FRAME[0].get(), u32::MAX, 0, public::frames(), FRAME[0].get(), 1, 2][n],
            _ => FRAME[(first + n) % OWNED].get(),
        }));
        ROUNDS.add(1);
        call::yield_slice();
    }
}

/// Lets it run.
fn let_run() {
    let rounds = ROUNDS.get();
    while ROUNDS.get() < rounds + 2 {
        call::yield_slice();
    }
}

fn main() {
    until_witness_is_ready();
    let at_first = census();
    let position = public::position();
    let free = (1..64).map(|n| (position + n) % 64).find(|&at| public::slice(at).owner == 0);
    let (id, control) = spawn(keeper, 0, free).unwrap();
    while ROUNDS.get() == 0 {
        call::yield_slice();
    }
    let frame = |n: usize| FRAME[n].get();
    demand_and_wait(id, FRAMES, OWNED as u32);
    // Whatever it runs after, what is asked for next is in reserve; so others are taken.
    let mut left = OWNED;
    while left > RESERVE {
        let n = OWNED - left;
        WANTED.set(n as u32);
        let_run();
        assert_eq!(take(frame(n)), Err(Error::Denied), "number {n} is in reserve");
        // It keeps from n on as many as there is room for; the one behind is not among them.
        let other = n + RESERVE;
        assert_eq!(take(frame(other)), Ok(()), "number {other}");
        let (kept, taken) = (frame(n), frame(other));
        FRAME[other].set(kept);
        FRAME[n].set(taken);
        left -= 1;
    }
    let held = (0..OWNED).filter(|&n| memory::frame(frame(n)).owner == id.0).count();
    assert_eq!(held, RESERVE);
    WANTED.set((OWNED - RESERVE) as u32);
    let_run();
    for n in OWNED - RESERVE..OWNED {
        assert_eq!(take(frame(n)), Err(Error::Denied), "number {n} is in reserve");
    }
    // An emergency has its deadline, too.
    assert_eq!(call::revoke(id, authority(), FRAMES | EMERGENCY, 8, 0), Err(Error::BadArgument));
    assert_eq!(call::revoke(id, authority(), FRAMES | EMERGENCY, 8, DEADLINE_MIN), Ok(RESERVE as u32));
    assert_eq!(take(frame(OWNED - 1)), Err(Error::Busy), "not yet");
    claim::pass(DEADLINE_MIN);
    let is_home = |&home: &u32| memory::frame(home).owner == id.0 && memory::frame(home + 1).owner == KERNEL;
    let home = (0..public::frames()).step_by(2).find(is_home).unwrap();
    assert_eq!(take(home), Err(Error::Busy), "its save page");
    assert_eq!(take(home + 1), Err(Error::NoSuchEnvironment), "its record is the kernel's");
    for n in OWNED - RESERVE..OWNED {
        assert_eq!(take(frame(n)), Ok(()), "number {n}");
        assert_eq!(memory::frame(frame(n)).owner, FREE);
    }
    // Its last slice likewise.
    let last = free.unwrap();
    demand_and_wait(id, SLICES, 1);
    assert_eq!(call::slice_repossess(last, authority()), Err(Error::Denied), "the last one");
    demand_and_wait(id, SLICES | EMERGENCY, 1);
    assert_eq!(call::slice_repossess(last, authority()), Ok(()));
    // It has lost all that was named, and lives: who yields to it finds it where it was.
    let rounds = ROUNDS.get();
    for _ in 0..4 {
        call::yield_to(id).unwrap();
    }
    assert!(ROUNDS.get() > rounds);
    let statistics = public::statistics();
    assert_eq!((statistics.frames_repossessed, statistics.slices_repossessed), (OWNED as u32, 1));
    assert_eq!(statistics.losses_unrecorded, OWNED as u32 + 1, "it had made no room");
    claim::end(id, control);
    assert_eq!(census(), at_first);
    println!("hostile_reserve: {held} of {OWNED} frames in reserve, and none in an emergency");
}
