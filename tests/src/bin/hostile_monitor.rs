//! Whoever takes something dies in the midst of it, or whoever loses it does, or frees it meanwhile: the frame is lost to
//! nobody but its owner, what was begun another can end, and the next in turn finds all in order.
//@ run: hostile_monitor aegis_witness
//@ expect: hostile_monitor: 5 beginnings of the dead came to a good end
//@ expect: aegis_witness: undisturbed
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../claim.rs"]
mod claim;

use claim::{authority, census, demand_and_wait, take, take_a_step, until_witness_is_ready};
use exos_rt::abi::frame::{Capability, FREE, FREEING};
use exos_rt::abi::revocation::{DEADLINE_MIN, FRAMES};
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES, PAGE_SHIFT, entry_lo};
use exos_rt::abi::{EnvId, Error};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, public};

const RIGHTS: u32 = entry_lo::VALID | entry_lo::DIRTY;
const HERE: u32 = NORMAL_START + 0x10_0000;

/// The victim's frames, each mapped in several places: so taking it takes several calls.
const OWNED: usize = 6;
static FRAME: [Shared<u32>; OWNED] = [const { Shared::new(0) }; OWNED];
static READY: Shared<u32> = Shared::new(0);
/// The frame that the victim is to free, 0 for none.
static RELEASE: Shared<u32> = Shared::new(0);

/// What the monitor is to begin with, and what the call answered.
static TARGET: Shared<u32> = Shared::new(0);
static WHOM: Shared<u32> = Shared::new(0);
static ANSWER: Shared<u32> = Shared::new(0);
static TAG: Shared<(u32, u32)> = Shared::new((0, 0));

extern "C" fn victim(_: u32) -> ! {
    let mut page = HERE;
    for frame in &FRAME {
        frame.set(memory::allocate().unwrap());
        for _ in 0..3 {
            // SAFETY: the frame is new, and nothing else is there.
            unsafe { call::tlb_write(page, frame.get() << PAGE_SHIFT | RIGHTS, call::NO_CAPABILITY).unwrap() };
            page += PAGE_BYTES;
        }
    }
    READY.set(1);
    loop {
        if RELEASE.get() != 0 {
            // SAFETY: nothing refers to it.
            unsafe { call::frame_free(RELEASE.get()).unwrap() };
            RELEASE.set(0);
        }
        call::yield_slice();
    }
}

/// A monitor with the right, which begins and does no more: it demands from `WHOM`, or takes a step of `TARGET`.
extern "C" fn monitor(_: u32) -> ! {
    let (low, high) = TAG.get();
    let tag = Capability([low, high]);
    let answer = match TARGET.get() {
        0 => call::revoke(EnvId(WHOM.get()), tag, FRAMES, 1, DEADLINE_MIN).err(),
        frame => take_a_step(frame, tag).err(),
    };
    ANSWER.set(answer.map_or(1, |error| error as u32));
    loop {
        call::yield_slice();
    }
}

/// A monitor begins something and is ended.
fn begin(target: u32) {
    TARGET.set(target);
    ANSWER.set(0);
    let (id, control) = spawn(monitor, 0, None).unwrap();
    while ANSWER.get() == 0 {
        call::yield_to(id).unwrap();
    }
    claim::end(id, control);
    assert_eq!(ANSWER.get(), if target == 0 { 1 } else { Error::Again as u32 });
}

fn start() -> (EnvId, Capability) {
    READY.set(0);
    let position = public::position();
    let free = (1..64).map(|n| (position + n) % 64).find(|&at| public::slice(at).owner == 0);
    let (id, control) = spawn(victim, 0, free).unwrap();
    while READY.get() == 0 {
        call::yield_slice();
    }
    WHOM.set(id.0);
    (id, control)
}

fn main() {
    until_witness_is_ready();
    let at_first = census();
    let Capability([low, high]) = authority();
    TAG.set((low, high));
    let (id, control) = start();
    let frame = |n: usize| FRAME[n].get();

    // A demand outlives who made it.
    begin(0);
    assert_eq!(take(frame(0)), Err(Error::Busy), "it holds");
    claim::pass(DEADLINE_MIN);
    // What it has begun another ends; nothing else is taken before, nor given by who owns it.
    begin(frame(0));
    assert_eq!(memory::frame(frame(0)).owner, id.0 | FREEING);
    call::revoke(id, authority(), FRAMES, 5, DEADLINE_MIN).unwrap();
    claim::pass(DEADLINE_MIN);
    assert_eq!(take(frame(1)), Err(Error::Busy), "one at a time");
    assert_eq!(take(frame(0)), Ok(()));
    assert_eq!(memory::frame(frame(0)).owner, FREE);
    // Or its owner does, to whom it counts once.
    begin(frame(1));
    RELEASE.set(frame(1));
    while RELEASE.get() != 0 {
        call::yield_slice();
    }
    assert_eq!(memory::frame(frame(1)).owner, FREE);
    assert_eq!(take(frame(1)), Err(Error::NoSuchEnvironment));
    // Or nobody does, and its owner dies: then it is as free as all of its frames.
    begin(frame(2));
    assert_eq!(take(frame(3)), Err(Error::Busy));
    claim::end(id, control);
    assert_eq!(take(frame(2)), Err(Error::NoSuchEnvironment));
    call::frame_allocate(frame(2)).unwrap();
    // SAFETY: nothing else is there.
    unsafe { call::tlb_write(HERE, frame(2) << PAGE_SHIFT | RIGHTS, call::NO_CAPABILITY).unwrap() };
    for offset in (0..PAGE_BYTES).step_by(4) {
        // SAFETY: it is mapped there.
        assert_eq!(unsafe { ((HERE + offset) as *const u32).read_volatile() }, 0);
    }
    call::tlb_delete(HERE);
    // SAFETY: nothing refers to it.
    unsafe { call::frame_free(frame(2)).unwrap() };

    // Who is asked dies, and another lives in its place: that one owes nothing.
    let (next, control) = start();
    assert_ne!(next, id);
    assert_eq!(take(frame(0)), Err(Error::Denied));
    begin(0);
    claim::end(next, control);
    claim::pass(DEADLINE_MIN);
    let (last, control) = start();
    assert_eq!(take(frame(0)), Err(Error::Denied), "that is another");
    demand_and_wait(last, FRAMES, 1);
    assert_eq!(take(frame(0)), Ok(()));
    assert_eq!(memory::frame(frame(0)).owner, FREE);
    claim::end(last, control);
    assert_eq!(census(), at_first);
    assert_eq!(public::statistics().frames_repossessed, 2);
    println!("hostile_monitor: 5 beginnings of the dead came to a good end");
}
