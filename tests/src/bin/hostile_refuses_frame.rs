//! A program that gives nothing back loses by force the frames that are named, and nothing else: no mapping of them is
//! left anywhere, not its own, not guaranteed ones, not those of who has a capability. Its neighbour keeps every slice.
//@ run: hostile_refuses_frame aegis_witness
//@ expect: hostile_refuses_frame: 4 frames taken, none of them reachable; nothing is left over
//@ expect: aegis_witness: undisturbed

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../attempt.rs"]
mod attempt;
#[path = "../claim.rs"]
mod claim;

use attempt::load;
use claim::{authority, census, demand_and_wait, pass, take, until_witness_is_ready};
use exos_rt::abi::Error;
use exos_rt::abi::frame::{Capability, FREE, KERNEL, WRITE};
use exos_rt::abi::revocation::{DEADLINE_MIN, FRAMES};
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES, PAGE_SHIFT, entry_lo};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, public};

const RIGHTS: u32 = entry_lo::VALID | entry_lo::DIRTY;
/// Where the pages are: mapped once, mapped in many places, guaranteed, and one that stays.
const ONCE: u32 = NORMAL_START + 0x10_0000;
const MANY: u32 = NORMAL_START + 0x20_0000;
const PINNED: u32 = NORMAL_START - 64 * PAGE_BYTES;
const KEPT: u32 = NORMAL_START + 0x30_0000;
/// Where the parent has the frame, too, by a capability.
const SHARED: u32 = NORMAL_START + 0x40_0000;

static FRAME: [Shared<u32>; 5] = [const { Shared::new(0) }; 5];
static TAG: Shared<(u32, u32)> = Shared::new((0, 0));
static READY: Shared<u32> = Shared::new(0);
/// Which of its pages the child reaches.
static REACHED: Shared<u32> = Shared::new(u32::MAX);
static ASK: Shared<u32> = Shared::new(0);

fn places() -> [u32; 5] {
    [ONCE, MANY, PINNED, SHARED, KEPT]
}

/// It is not told of anything, and frees nothing.
extern "C" fn refuser(_: u32) -> ! {
    for (n, at) in places().into_iter().enumerate() {
        let frame = memory::allocate().unwrap();
        FRAME[n].set(frame);
        let word = frame << PAGE_SHIFT | RIGHTS;
        // SAFETY: the frame is new, and nothing else is there.
        unsafe {
            match at {
                PINNED => call::env_map(call::self_id(), call::NO_CAPABILITY, at, word, 1).unwrap(),
                _ => call::tlb_write(at, word, call::NO_CAPABILITY).unwrap(),
            }
            (at as *mut u32).write_volatile(n as u32);
        }
    }
    for page in 1..6 {
        // SAFETY: the frame is its own.
        unsafe {
            call::tlb_write(MANY + page * PAGE_BYTES, FRAME[1].get() << PAGE_SHIFT | RIGHTS, call::NO_CAPABILITY)
                .unwrap()
        };
    }
    let Capability([low, high]) = call::capability(FRAME[3].get(), WRITE).unwrap();
    TAG.set((low, high));
    READY.set(1);
    loop {
        if ASK.get() != 0 {
            ASK.set(0);
            let mut reached = 0;
            for (n, at) in places().into_iter().enumerate() {
                reached |= u32::from(load(at).is_ok()) << n;
            }
            for page in 1..6 {
                reached |= u32::from(load(MANY + page * PAGE_BYTES).is_ok()) << 1;
            }
            // Nor can it map them again.
            for (n, at) in places().into_iter().enumerate() {
                // SAFETY: nothing of the program's is there.
                let again = unsafe { call::tlb_write(at, FRAME[n].get() << PAGE_SHIFT | RIGHTS, call::NO_CAPABILITY) };
                reached |= u32::from(again.is_ok()) << n;
            }
            REACHED.set(reached);
        }
        call::yield_slice();
    }
}

/// What the child reaches now.
fn ask() -> u32 {
    REACHED.set(u32::MAX);
    ASK.set(1);
    while REACHED.get() == u32::MAX {
        call::yield_slice();
    }
    REACHED.get()
}

fn main() {
    until_witness_is_ready();
    let at_first = census();
    let position = public::position();
    let free = (2..64).map(|n| (position + n) % 64).find(|&other| public::slice(other).owner == 0);
    let (id, control) = spawn(refuser, 0, free).unwrap();
    while READY.get() == 0 {
        call::yield_slice();
    }
    let frames = FRAME.each_ref().map(Shared::get);
    let (low, high) = TAG.get();
    // SAFETY: it is the child's to share, and nothing else is there.
    unsafe { call::tlb_write(SHARED, frames[3] << PAGE_SHIFT | RIGHTS, Capability([low, high])).unwrap() };
    assert!(load(SHARED).is_ok() && ask() == 0b1_1111);

    // A request can be refused, and a command until its deadline.
    call::revoke(id, authority(), FRAMES, 4, 0).unwrap();
    pass(DEADLINE_MIN);
    assert_eq!(take(frames[0]), Err(Error::Denied));
    call::revoke(id, authority(), FRAMES, 4, DEADLINE_MIN).unwrap();
    assert_eq!(take(frames[0]), Err(Error::Busy));
    assert_eq!(ask(), 0b1_1111);
    pass(DEADLINE_MIN);
    // Never its save page, or what is another's.
    let home = |number: &u32| memory::frame(*number).owner == id.0 && memory::frame(number + 1).owner == KERNEL;
    let home = (0..public::frames()).step_by(2).find(home).unwrap();
    assert_eq!((take(home), take(home + 1)), (Err(Error::Busy), Err(Error::NoSuchEnvironment)));
    let mine = memory::allocate().unwrap();
    assert_eq!(take(mine), Err(Error::Denied));
    for frame in &frames[..4] {
        assert_eq!(take(*frame), Ok(()), "frame {frame}");
        assert_eq!(memory::frame(*frame).owner, FREE);
        assert_eq!(take(*frame), Err(Error::NoSuchEnvironment));
    }
    assert_eq!(take(frames[4]), Err(Error::Denied), "no more is owed");
    assert_eq!(ask(), 0b1_0000, "of what was taken");
    assert!(load(SHARED).is_err(), "by capability");
    // SAFETY: nothing else is there.
    let shown = unsafe { call::tlb_write(SHARED, frames[3] << PAGE_SHIFT | RIGHTS, Capability([low, high])) };
    assert_eq!(shown, Err(Error::Denied));
    // Who has it next finds nothing of it.
    for frame in &frames[..4] {
        call::frame_allocate(*frame).unwrap();
        // SAFETY: the frame is this environment's.
        unsafe { call::tlb_write(ONCE, *frame << PAGE_SHIFT | RIGHTS, call::NO_CAPABILITY).unwrap() };
        for word in 0..PAGE_BYTES / 4 {
            // SAFETY: it is mapped there.
            assert_eq!(unsafe { ((ONCE + 4 * word) as *const u32).read_volatile() }, 0);
        }
        // SAFETY: nothing refers to it.
        unsafe { call::frame_free(*frame).unwrap() };
    }
    // SAFETY: it is mapped nowhere.
    unsafe { call::frame_free(mine).unwrap() };

    // And so on.
    demand_and_wait(id, FRAMES, 1);
    assert_eq!(take(frames[4]), Ok(()));
    call::yield_slice();
    assert_eq!(public::statistics().frames_repossessed, 5);
    claim::end(id, control);
    assert_eq!(take(frames[4]), Err(Error::NoSuchEnvironment));
    assert_eq!(census(), at_first);
    println!("hostile_refuses_frame: 4 frames taken, none of them reachable; nothing is left over");
}
