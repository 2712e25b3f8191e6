//! A program names beforehand, for its contents to be written there, what is another's, the kernel's, nobody's, public, gone,
//! or what it has no right to write to; and gives away the very place while its frame is being taken. The contents
//! are lost, and nothing is written anywhere.
//@ run: hostile_backing aegis_witness
//@ expect: hostile_backing: 19 places refused, none of them changed; 2 were good
//@ expect: aegis_witness: undisturbed
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../claim.rs"]
mod claim;

use claim::{authority, census, take, take_a_step, until_witness_is_ready};
use exos_rt::abi::frame::{Capability, FREE, KERNEL, PUBLIC, READ, WRITE};
use exos_rt::abi::revocation::{DEADLINE_MIN, EMPTY, ENTRIES, FRAMES, LOST, SAVED};
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES, PAGE_SHIFT, entry_lo};
use exos_rt::abi::{EnvId, Error};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, public, revocation};

const RIGHTS: u32 = entry_lo::VALID | entry_lo::DIRTY;
const HERE: u32 = NORMAL_START + 0x10_0000;
/// The victim's frames.
const OWNED: usize = 32;
static FRAME: [Shared<u32>; OWNED] = [const { Shared::new(0) }; OWNED];

/// What the victim is to do, with which two frames and which tag, and what came of it.
static ORDER: Shared<u32> = Shared::new(NOTHING);
static NAME: Shared<u32> = Shared::new(0);
static BACKING: Shared<u32> = Shared::new(0);
static TAG: Shared<(u32, u32)> = Shared::new((0, 0));
static RESULT: Shared<u32> = Shared::new(0);

const NOTHING: u32 = 0;
/// Name a place.
const BACK: u32 = 1;
/// Tell what became of it, and make the entry empty.
const LOOK: u32 = 2;
/// Free a frame.
const RELEASE: u32 = 3;
/// Give a frame to who gives the orders.
const GIVE: u32 = 4;
/// Try all that an owner may do with a frame that is being taken: how much of it was not refused.
const CLING: u32 = 5;
/// Map a frame in two places.
const SPREAD: u32 = 6;

static PARENT: Shared<u32> = Shared::new(0);

extern "C" fn victim(_: u32) -> ! {
    for (n, frame) in (1..).zip(&FRAME) {
        frame.set(memory::allocate().unwrap());
        fill(frame.get(), n);
    }
    RESULT.set(1);
    loop {
        let (name, (low, high)) = (NAME.get(), TAG.get());
        // SAFETY: the frames are the victim's, and are used for nothing.
        let result = unsafe {
            match ORDER.get() {
                BACK => u32::from(revocation::back(name, BACKING.get(), Capability([low, high]))),
                LOOK => look(name),
                RELEASE => u32::from(call::frame_free(name).is_ok()),
                GIVE => u32::from(call::frame_give(name, EnvId(PARENT.get())).is_ok()),
                CLING => cling(name),
                SPREAD => (0..3).fold(0, |sum, page| {
                    let at = HERE + (page + 1) * PAGE_BYTES;
                    sum + u32::from(call::tlb_write(at, name << PAGE_SHIFT | RIGHTS, call::NO_CAPABILITY).is_ok())
                }),
                _ => {
                    call::yield_slice();
                    continue;
                }
            }
        };
        RESULT.set(result);
        ORDER.set(NOTHING);
    }
}

/// What the vector says of a frame.
fn look(name: u32) -> u32 {
    let noted =
        (0..ENTRIES).find(|&index| revocation::entry(index).state != EMPTY && revocation::entry(index).name == name);
    noted.map_or(EMPTY, |index| {
        let state = revocation::entry(index).state;
        revocation::clear(index);
        state
    })
}

fn cling(frame: u32) -> u32 {
    let done = |result: Result<(), Error>| u32::from(result.is_ok());
    // SAFETY: as in `victim`.
    unsafe {
        done(call::frame_give(frame, EnvId(PARENT.get())))
            + done(call::frame_renew(frame))
            + done(call::capability(frame, WRITE).map(drop))
            + done(call::env_create(frame & !1).map(drop))
            + done(call::frame_allocate(frame))
            + done(call::tlb_write(HERE, frame << PAGE_SHIFT | RIGHTS, call::NO_CAPABILITY))
            + done(call::env_map(
                call::self_id(),
                call::NO_CAPABILITY,
                NORMAL_START - PAGE_BYTES,
                frame << PAGE_SHIFT,
                1,
            ))
    }
}

/// Gives an order and waits until it is carried out.
fn order(what: u32, name: u32) -> u32 {
    NAME.set(name);
    ORDER.set(what);
    while ORDER.get() != NOTHING {
        call::yield_slice();
    }
    RESULT.get()
}

/// Has the victim say where the contents of a frame are to go.
fn back(name: u32, backing: u32, Capability([low, high]): Capability) {
    BACKING.set(backing);
    TAG.set((low, high));
    assert_eq!(order(BACK, name), 1);
}

/// Maps a frame of this environment's and does something with each of its words.
fn with(frame: u32, mut each: impl FnMut(*mut u32, u32)) {
    // SAFETY: nothing else is there.
    unsafe { call::tlb_write(HERE, frame << PAGE_SHIFT | RIGHTS, call::NO_CAPABILITY).expect("it is one's own") };
    for offset in (0..PAGE_BYTES).step_by(4) {
        each((HERE + offset) as *mut u32, offset);
    }
    call::tlb_delete(HERE);
}

fn fill(frame: u32, n: u32) {
    // SAFETY: it is mapped there.
    with(frame, |at, offset| unsafe { at.write_volatile(n << 16 | offset) });
}

/// Whether a frame of this environment's is as `fill` has left it.
fn same(frame: u32, n: u32) -> bool {
    let mut same = true;
    // SAFETY: it is mapped there.
    with(frame, |at, offset| same &= unsafe { at.read_volatile() } == n << 16 | offset);
    same
}

/// The save page of an environment.
fn save_page(id: EnvId) -> u32 {
    let of = |&home: &u32| memory::frame(home).owner == id.0 && memory::frame(home + 1).owner == KERNEL;
    (0..public::frames()).step_by(2).find(of).unwrap() + 1
}

/// What a frame of this environment's is full of.
const MINE: u32 = 0x7777;

fn main() {
    until_witness_is_ready();
    let at_first = census();
    PARENT.set(call::self_id().0);
    let position = public::position();
    let free = (1..64).map(|n| (position + n) % 64).find(|&at| public::slice(at).owner == 0);
    let (id, control) = spawn(victim, 0, free).unwrap();
    while RESULT.get() == 0 {
        call::yield_slice();
    }
    let frame = |n: usize| FRAME[n].get();
    let mine = memory::allocate().unwrap();
    fill(mine, MINE);
    let witness = EnvId(public::slice(1).owner);

    // Rights that it has not, or not any more.
    let read = call::capability(mine, READ).unwrap();
    let Capability([low, high]) = call::capability(mine, WRITE).unwrap();
    let other = memory::allocate().unwrap();
    let stale = call::capability(other, WRITE).unwrap();
    call::frame_renew(other).unwrap();
    let others = call::capability(other, WRITE).unwrap();
    let public_frame = (0..public::frames()).find(|&number| memory::frame(number).owner == PUBLIC).unwrap();
    let nobodys = (0..public::frames()).rev().find(|&number| memory::frame(number).owner == FREE).unwrap();
    let none = call::NO_CAPABILITY;
    let cases = [
        (mine, none),
        (mine, read),
        (mine, Capability([high, low])),
        (mine, Capability([low ^ 1, high])),
        (mine, others),
        (mine, control),
        (mine, authority()),
        (other, stale),
        (0, none),
        (public_frame, none),
        (nobodys, none),
        (save_page(id), none),
        (save_page(id) - 1, none),
        (save_page(witness), none),
        (public::frames(), none),
        (u32::MAX, none),
    ];

    call::revoke(id, authority(), FRAMES, OWNED as u32, DEADLINE_MIN).unwrap();
    claim::pass(DEADLINE_MIN);
    let mut refused = 0;
    for (n, (backing, tag)) in cases.into_iter().enumerate() {
        back(frame(n), backing, tag);
        assert_eq!(take(frame(n)), Ok(()), "number {n}");
        assert_eq!(order(LOOK, frame(n)), LOST, "number {n}");
        assert!(same(mine, MINE), "number {n}");
        refused += 1;
    }

    // A place that it had as it named it, and freed; another has it by now.
    back(frame(16), frame(17), none);
    assert_eq!(order(RELEASE, frame(17)), 1);
    call::frame_allocate(frame(17)).unwrap();
    fill(frame(17), MINE);
    assert_eq!((take(frame(16)), order(LOOK, frame(16))), (Ok(()), LOST));
    assert!(same(frame(17), MINE), "it is written to");
    refused += 1;
    // Likewise, but while the other is being taken; to who clings to that all is refused.
    back(frame(18), frame(19), none);
    assert_eq!(order(SPREAD, frame(18)), 3);
    assert_eq!(take_a_step(frame(18), authority()), Err(Error::Again));
    assert_eq!(order(CLING, frame(18)), 0);
    assert_eq!(order(GIVE, frame(19)), 1);
    fill(frame(19), MINE);
    assert_eq!(take(frame(18)), Ok(()));
    assert_eq!((memory::frame(frame(18)).owner, order(LOOK, frame(18))), (FREE, LOST));
    assert!(same(frame(19), MINE), "it is written to");
    refused += 1;
    // A place that is being taken itself by then.
    back(frame(20), frame(21), none);
    assert_eq!(order(SPREAD, frame(21)), 3);
    assert_eq!(take_a_step(frame(21), authority()), Err(Error::Again));
    assert_eq!(take(frame(20)), Err(Error::Busy), "one at a time");
    assert_eq!(take(frame(21)), Ok(()));
    assert_eq!((take(frame(20)), order(LOOK, frame(20))), (Ok(()), LOST));
    assert_eq!(order(LOOK, frame(21)), LOST);
    refused += 1;

    // It is not that nothing is ever written: to its own, and to another's by right.
    back(frame(22), frame(23), none);
    assert_eq!((take(frame(22)), order(LOOK, frame(22))), (Ok(()), SAVED));
    assert_eq!(order(GIVE, frame(23)), 1);
    assert!(same(frame(23), 23));
    back(frame(24), mine, Capability([low, high]));
    assert_eq!((take(frame(24)), order(LOOK, frame(24))), (Ok(()), SAVED));
    assert!(same(mine, 25));

    for frame in [mine, other, frame(17), frame(19), frame(23)] {
        // SAFETY: nothing refers to it.
        unsafe { call::frame_free(frame).unwrap() };
    }
    claim::end(id, control);
    assert_eq!(census(), at_first);
    assert_eq!(public::statistics().frames_saved, 2);
    println!("hostile_backing: {refused} places refused, none of them changed; 2 were good");
}
