//! The abort protocol: contents go where their owner has said beforehand, it learns of each loss, its reserve stays until
//! an emergency; what the vector has no room for is counted. Those are no exception that run nothing or have died.
//@ expect: aegis_repossession: 2 frames saved, 14 lost, 1 loss more than the vector holds; nothing is left over
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../claim.rs"]
mod claim;

use claim::{census, demand_and_wait, take};
use exos_rt::abi::Error;
use exos_rt::abi::frame::{Capability, FREE, READ, WRITE};
use exos_rt::abi::revocation::{
    BACKED, DEADLINE_MIN, EMERGENCY, EMPTY, ENTRIES, FRAMES, LOST, RESERVE, SAVED, SLICE_LOST, SLICES,
};
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES, PAGE_SHIFT, entry_lo};
use exos_rt::environment::spawn;
use exos_rt::revocation::{Notice, Stack, back, inform, keep};
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, public};

const RIGHTS: u32 = entry_lo::VALID | entry_lo::DIRTY;
const HERE: u32 = NORMAL_START + 0x10_0000;
/// Frames that the child has.
const FRAMES_OWNED: usize = 32;
static FRAME: [Shared<u32>; FRAMES_OWNED] = [const { Shared::new(0) }; FRAMES_OWNED];
/// Capabilities of the parent's for frames that are to take contents: one to write, one to read.
static TAG: [Shared<(u32, u32)>; 2] = [const { Shared::new((0, 0)) }; 2];
static PARENTS: [Shared<u32>; 2] = [const { Shared::new(0) }; 2];
/// What the child was told: by state, how often, and the last name.
static TOLD: [Shared<u32>; 5] = [const { Shared::new(0) }; 5];
static NAME: Shared<u32> = Shared::new(0);
static READY: Shared<u32> = Shared::new(0);
static STACK: Stack<4096> = Stack::new();

fn policy(notice: Notice) {
    if let Notice::Lost(lost) = notice {
        TOLD[lost.state as usize].add(1);
        NAME.set(lost.name);
        if lost.state == SAVED && lost.backing == FRAME[16].get() {
            check(lost.backing, call::NO_CAPABILITY, 0);
        }
    }
}

/// The word that the child writes into its `n`-th frame.
const fn word(n: u32, offset: u32) -> u32 {
    n * 0x0101_0101 + offset
}

/// Maps a frame and does something with each of its words.
fn with(frame: u32, tag: Capability, mut each: impl FnMut(*mut u32, u32)) {
    // SAFETY: nothing else is there.
    unsafe { call::tlb_write(HERE, frame << PAGE_SHIFT | RIGHTS, tag).expect("it may be mapped") };
    for offset in (0..PAGE_BYTES).step_by(4) {
        each((HERE + offset) as *mut u32, offset);
    }
    call::tlb_delete(HERE);
}

fn fill(frame: u32, n: u32) {
    // SAFETY: it is mapped there.
    with(frame, call::NO_CAPABILITY, |at, offset| unsafe { at.write_volatile(word(n, offset)) });
}

fn check(frame: u32, tag: Capability, n: u32) {
    // SAFETY: it is mapped there.
    with(frame, tag, |at, offset| assert_eq!(unsafe { at.read_volatile() }, word(n, offset), "at {offset:#x}"));
}

fn tag(n: usize) -> Capability {
    let (low, high) = TAG[n].get();
    Capability([low, high])
}

extern "C" fn child(informed: u32) -> ! {
    for (n, frame) in (0..).zip(&FRAME) {
        frame.set(memory::allocate().unwrap());
        fill(frame.get(), n);
    }
    let frame = |n: usize| FRAME[n].get();
    keep(core::array::from_fn(|n| frame(FRAMES_OWNED - RESERVE + n)));
    assert!(back(frame(0), frame(16), call::NO_CAPABILITY), "to its own");
    assert!(back(frame(1), PARENTS[0].get(), tag(0)), "to another's, by right");
    assert!(back(frame(2), PARENTS[1].get(), tag(1)), "with the right to read only");
    assert!(back(frame(3), 0, call::NO_CAPABILITY), "to the kernel's");
    assert!(back(frame(4), frame(4), call::NO_CAPABILITY), "to itself");
    assert!(back(frame(5), u32::MAX, call::NO_CAPABILITY), "to no frame");
    if informed != 0 {
        // SAFETY: the stack is its own.
        unsafe { inform(policy, &STACK) };
    }
    READY.set(READY.get() + 1);
    loop {
        call::wait(None);
    }
}

fn main() {
    let at_first = census();
    for (n, right) in [WRITE, READ].into_iter().enumerate() {
        let frame = memory::allocate().unwrap();
        let Capability([low, high]) = call::capability(frame, right).unwrap();
        PARENTS[n].set(frame);
        TAG[n].set((low, high));
    }
    told();
    untold();
    lifeless();
    for frame in &PARENTS {
        // SAFETY: it is mapped nowhere.
        unsafe { call::frame_free(frame.get()).unwrap() };
    }
    call::yield_slice();
    let statistics = public::statistics();
    let counts = [statistics.frames_saved, statistics.frames_repossessed, statistics.losses_unrecorded];
    assert_eq!(census(), at_first);
    let [saved, all, unrecorded] = counts;
    println!(
        "aegis_repossession: {saved} frames saved, {} lost, {unrecorded} loss more than the vector holds; nothing is left \
         over",
        all - saved
    );
}

/// A child that is told.
fn told() {
    let (id, control) = begin(1);
    for more in [20, 40] {
        call::slice_allocate(more).unwrap();
        call::slice_give(more, id).unwrap();
    }
    let frame = |n: usize| FRAME[n].get();
    demand_and_wait(id, FRAMES, 8);
    for n in 0..6 {
        assert_eq!(take(frame(n)), Ok(()), "number {n}");
        assert_eq!(memory::frame(frame(n)).owner, FREE);
    }
    assert_eq!(take(frame(FRAMES_OWNED - 1)), Err(Error::Denied), "in reserve");
    check(PARENTS[0].get(), call::NO_CAPABILITY, 1);
    hear([0, 0, 4, 2, 0]);
    // In its own frame the child's contents are, too: they come to the parent when that is taken.
    assert_eq!(take(frame(16)), Ok(()));
    hear([0, 0, 5, 2, 0]);
    assert_eq!(NAME.get(), frame(16));

    // The reserve, and the last slice, go in an emergency, of which it is told before.
    demand_and_wait(id, SLICES, 3);
    for position in [20, 40] {
        assert_eq!(call::slice_repossess(position, claim::authority()), Ok(()));
    }
    hear([0, 0, 5, 2, 2]);
    let last = public::slices_of(id).next().unwrap();
    assert_eq!(call::slice_repossess(last, claim::authority()), Err(Error::Denied), "the last one");
    demand_and_wait(id, FRAMES | EMERGENCY, 1);
    assert_eq!(take(frame(FRAMES_OWNED - 1)), Ok(()));
    hear([0, 0, 6, 2, 2]);
    assert_eq!(take(frame(FRAMES_OWNED - 2)), Err(Error::Denied), "no more is owed");
    demand_and_wait(id, SLICES | EMERGENCY, 1);
    assert_eq!(call::slice_repossess(last, claim::authority()), Ok(()));
    assert_eq!(public::slices_of(id).count(), 0);
    // It learns of that when it runs again.
    call::yield_to(id).unwrap();
    assert_eq!((TOLD[SLICE_LOST as usize].get(), NAME.get()), (3, last));
    claim::end(id, control);
}

/// A child that is not told: its vector fills up.
fn untold() {
    let (id, control) = begin(0);
    let frame = |n: usize| FRAME[n].get();
    // Six entries are in use for frames that stay.
    demand_and_wait(id, FRAMES, 7);
    for n in 8..15 {
        assert_eq!(take(frame(n)), Ok(()));
    }
    call::yield_slice();
    assert_eq!(public::statistics().losses_unrecorded, 1);
    claim::end(id, control);
}

/// An environment that was never set up, and one that is dead.
fn lifeless() {
    let (id, control) = call::env_create(memory::allocate_pair().unwrap()).unwrap();
    let frames = [0; 3].map(|_| memory::allocate().unwrap());
    for (n, frame) in (0..).zip(frames) {
        fill(frame, n);
        // SAFETY: it is mapped nowhere. Likewise below.
        unsafe { call::frame_give(frame, id).unwrap() };
    }
    demand_and_wait(id, FRAMES, 3);
    assert_eq!(take(frames[0]), Ok(()));
    call::env_destroy(id, control).unwrap();
    for frame in &frames[1..] {
        assert_eq!(take(*frame), Err(Error::NoSuchEnvironment), "the dead have nothing to lose");
    }
}

fn begin(informed: u32) -> (exos_rt::abi::EnvId, Capability) {
    READY.set(0);
    let begun = spawn(child, informed, Some((public::position() + 1) % 64)).unwrap();
    while READY.get() == 0 {
        call::yield_slice();
    }
    begun
}

/// Waits until the child has heard of so many losses of each kind.
fn hear(losses: [u32; 5]) {
    let end = public::ticks() + DEADLINE_MIN;
    while TOLD.each_ref().map(Shared::get) != losses {
        assert!(public::ticks() < end, "told of {:?}, not {losses:?}", TOLD.each_ref().map(Shared::get));
        call::yield_slice();
    }
}

const _: () = assert!(EMPTY == 0 && BACKED == 1 && LOST == 2 && SAVED == 3 && SLICE_LOST == 4 && ENTRIES == 12);
