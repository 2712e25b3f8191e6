//! Visible revocation: who is asked picks what to give, and is told though it waits; what it gives counts, what it
//! allocates counts back. A request does it no harm, and who may not ask is refused.
//@ expect: aegis_revocation: asked for 5 frames and 2 slices, and all given; nothing is left over

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../claim.rs"]
mod claim;

use claim::{authority, census, frames_of, pass};
use exos_rt::abi::frame::{COUNT, Capability, READ};
use exos_rt::abi::revocation::{DEADLINE_MAX, DEADLINE_MIN, Demand, EMERGENCY, FRAMES, KINDS, NO_DEADLINE, SLICES};
use exos_rt::abi::{EnvId, Error};
use exos_rt::environment::spawn;
use exos_rt::revocation::{Notice, Stack, inform};
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, public, revocation};

/// Frames that the child has to spare, and how many of them are left.
static SPARE: [Shared<u32>; 8] = [const { Shared::new(0) }; 8];
static LEFT: Shared<u32> = Shared::new(0);
/// How often it was told, and what it was asked for last.
static TOLD: Shared<u32> = Shared::new(0);
static ASKED: [Shared<u32>; 4] = [const { Shared::new(0) }; 4];
static ROUNDS: Shared<u32> = Shared::new(0);
/// Whether it is to give.
static GENEROUS: Shared<u32> = Shared::new(0);
static STACK: Stack<2048> = Stack::new();

fn policy(notice: Notice) {
    let Notice::Asked(kind, demand) = notice else { panic!("nothing was taken: {notice:?}") };
    TOLD.add(1);
    for (word, value) in ASKED.iter().zip([kind, demand.left, demand.deadline, demand.flags]) {
        word.set(value);
    }
    if GENEROUS.get() == 0 {
        return;
    }
    let me = call::self_id();
    for _ in 0..demand.left {
        if kind == FRAMES {
            LEFT.set(LEFT.get() - 1);
            // SAFETY: it is mapped nowhere.
            unsafe { call::frame_free(SPARE[LEFT.get() as usize].get()).expect("it is this environment's") };
        } else {
            let last = public::slices_of(me).last().expect("it has slices");
            call::slice_free(last).expect("it is this environment's");
        }
    }
    assert_eq!(revocation::demand(kind), Demand::default());
}

extern "C" fn child(_: u32) -> ! {
    for frame in &SPARE {
        frame.set(memory::allocate().unwrap());
    }
    LEFT.set(8);
    // SAFETY: the stack is its own, and what the policy uses is shared with it alone.
    unsafe { inform(policy, &STACK) };
    loop {
        ROUNDS.add(1);
        call::wait(None);
    }
}

/// Waits until the child was told so often.
fn told(times: u32) {
    let end = public::ticks() + DEADLINE_MIN;
    while TOLD.get() < times {
        assert!(public::ticks() < end, "it was told {} times", TOLD.get());
        call::yield_slice();
    }
}

fn main() {
    let me = call::self_id();
    let at_first = census();
    let position = (public::position() + 1) % 64;
    let (id, control) = spawn(child, 0, Some(position)).unwrap();
    for more in [20, 40] {
        call::slice_allocate(more).unwrap();
        call::slice_give(more, id).unwrap();
    }
    while ROUNDS.get() == 0 {
        call::yield_slice();
    }
    refused(id);
    let owned = frames_of(id);

    // A request: it is told, though it waits, and need not give.
    assert_eq!(call::revoke(id, authority(), FRAMES, 2, 0), Ok(0));
    told(1);
    assert_eq!(ASKED.each_ref().map(Shared::get), [FRAMES, 2, NO_DEADLINE, 0]);
    assert_eq!(call::frame_repossess(SPARE[7].get(), authority()), Err(Error::Denied));
    assert_eq!(frames_of(id), owned);
    // Another takes its place; 0 takes that back.
    assert_eq!(call::revoke(id, authority(), FRAMES, 7, 0), Ok(2));
    assert_eq!(call::revoke(id, authority(), FRAMES, 0, 0), Ok(7));
    assert_eq!(call::revoke(id, authority(), FRAMES, 0, 0), Ok(0));

    // A command: it is told when it has time until, and picks by itself.
    GENEROUS.set(1);
    let (before, times) = (public::ticks(), TOLD.get());
    assert_eq!(call::revoke(id, authority(), FRAMES, 5, DEADLINE_MIN), Ok(0));
    told(times + 1);
    let [_, left, deadline, flags] = ASKED.each_ref().map(Shared::get);
    assert_eq!((left, flags), (5, 0));
    assert!((before + DEADLINE_MIN..=before + DEADLINE_MIN + 1).contains(&deadline), "until tick {deadline}");
    assert_eq!((frames_of(id), LEFT.get()), (owned - 5, 3));
    pass(DEADLINE_MIN);
    assert_eq!(call::frame_repossess(SPARE[0].get(), authority()), Err(Error::Denied), "it owes nothing");
    let times = TOLD.get();
    assert_eq!(call::revoke(id, authority(), SLICES, 2, DEADLINE_MIN), Ok(0));
    told(times + 1);
    call::yield_slice();
    assert_eq!(public::slices_of(id).count(), 1);

    // What one allocates meanwhile counts back.
    let frame = memory::allocate().unwrap();
    call::revoke(me, authority(), FRAMES, 2, DEADLINE_MIN).unwrap();
    assert_eq!(revocation::demand(FRAMES).left, 2);
    // SAFETY: it is mapped nowhere. Likewise below.
    unsafe { call::frame_free(frame).unwrap() };
    assert_eq!(revocation::demand(FRAMES).left, 1);
    call::frame_allocate(frame).unwrap();
    let other = memory::allocate().unwrap();
    assert_eq!(revocation::demand(FRAMES).left, 2, "not more than it was asked for");
    // SAFETY: as above.
    unsafe { call::frame_free(frame).and(call::frame_free(other)).unwrap() };
    assert_eq!(revocation::demand(FRAMES), Demand::default());

    let statistics = public::statistics();
    assert_eq!((statistics.frames_repossessed, statistics.slices_repossessed), (0, 0), "nothing was taken");
    call::env_destroy(id, control).unwrap();
    assert_eq!(call::revoke(id, authority(), FRAMES, 1, 0), Err(Error::NoSuchEnvironment));
    call::yield_slice();
    assert_eq!(public::statistics().demands_met, 3);
    assert_eq!(census(), at_first);
    println!("aegis_revocation: asked for 5 frames and 2 slices, and all given; nothing is left over");
}

/// Who may not, and what can't be.
fn refused(id: EnvId) {
    let own = memory::allocate().unwrap();
    let Capability([word0, word1]) = authority();
    let readable = call::capability(own, READ).unwrap();
    let wrong = [call::NO_CAPABILITY, readable, Capability([word1, word0]), Capability([word0 ^ 1, word1])];
    for wrong in wrong {
        assert_eq!(call::revoke(id, wrong, FRAMES, 1, 0), Err(Error::Denied));
        assert_eq!(call::frame_repossess(SPARE[0].get(), wrong), Err(Error::Denied));
        assert_eq!(call::slice_repossess(20, wrong), Err(Error::Denied));
    }
    let right = authority();
    for (what, count, within) in [
        (FRAMES, 1, DEADLINE_MIN - 1),
        (FRAMES, 1, 1),
        (FRAMES, 1, DEADLINE_MAX + 1),
        (FRAMES, 1, u32::MAX),
        (FRAMES | EMERGENCY, 1, 0),
        (FRAMES, COUNT as u32 + 1, 0),
        (SLICES, 65, 0),
        (KINDS as u32, 1, 0),
        (u32::MAX, 1, 0),
    ] {
        assert_eq!(call::revoke(id, right, what, count, within), Err(Error::BadArgument), "{what:#x} {count} {within}");
    }
    for nobody in [EnvId(0), EnvId(id.0 | 1), EnvId(id.0 ^ 1 << EnvId::GENERATION_SHIFT), EnvId(u32::MAX)] {
        assert_eq!(call::revoke(nobody, right, FRAMES, 1, 0), Err(Error::NoSuchEnvironment));
    }
    assert_eq!(call::frame_repossess(u32::MAX, right), Err(Error::BadArgument));
    assert_eq!(call::frame_repossess(0, right), Err(Error::NoSuchEnvironment), "the kernel's");
    assert_eq!(call::frame_repossess(SPARE[0].get(), right), Err(Error::Denied), "nothing was asked for");
    assert_eq!(call::slice_repossess(64, right), Err(Error::BadArgument));
    assert_eq!(call::slice_repossess(63, right), Err(Error::NoSuchEnvironment));
    assert_eq!(call::slice_repossess(20, right), Err(Error::Denied), "nothing was asked for");
    assert_eq!(TOLD.get(), 0);
    // SAFETY: it is mapped nowhere.
    unsafe { call::frame_free(own).unwrap() };
}
