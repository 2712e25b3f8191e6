//! What is another's: its frames, slices and itself, by every call that could reach them, with forged, stale and
//! misused capabilities. Each attempt is refused, and the other notices nothing.
//@ run: hostile_others aegis_witness
//@ expect: hostile_others: all refused
//@ expect: aegis_witness: undisturbed
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::abi::frame::{Capability, FREEING, READ, WRITE};
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT, SAVE_PAGE, entry_lo};
use exos_rt::abi::{EnvId, Error, call as number};
use exos_rt::environment::spawn;
use exos_rt::{call, memory, println, program, public, sequences};

const ADDRESS: u32 = 0x2400_0000;

extern "C" fn idle(_: u32) -> ! {
    loop {
        call::wait(None);
    }
}

/// A call that presents a capability.
fn presenting(shown: Capability, number: u32, [a0, a1, a2, a3]: [u32; 4]) -> i32 {
    exos_rt::save_page::present(shown);
    // SAFETY: it is refused, or this test fails.
    unsafe { call::raw(a0, a1, a2, a3, number) }
}

#[track_caller]
fn refused(result: i32, error: Error) {
    assert_eq!(result, error as i32);
}

/// Everything with a frame of another's.
fn frames(frame: u32, shown: &[Capability]) {
    let me = call::self_id().0;
    // SAFETY: as above.
    let raw = |number, a0, a1| unsafe { call::raw(a0, a1, 0, 0, number) };
    for number in [number::FRAME_FREE, number::FRAME_GIVE, number::FRAME_RENEW] {
        refused(raw(number, frame, me), Error::Denied);
    }
    refused(raw(number::FRAME_ALLOCATE, frame, 0), Error::Busy);
    refused(raw(number::CAPABILITY, frame, READ), Error::Denied);
    refused(raw(number::CAPABILITY, frame, WRITE), Error::Denied);
    refused(raw(number::ENV_CREATE, frame & !1, 0), Error::Denied);
    for &Capability([tag0, tag1]) in shown {
        for rights in [0, entry_lo::VALID, entry_lo::VALID | entry_lo::DIRTY, 0xfff] {
            let word = frame << PAGE_SHIFT | rights;
            for address in [ADDRESS, 0x5040_0000, SAVE_PAGE] {
                // SAFETY: as above.
                refused(unsafe { call::raw_tlb_write(tag0, address, word, tag1) }, Error::Denied);
            }
            refused(presenting(Capability([tag0, tag1]), number::ENV_MAP, [me, ADDRESS, word, 1]), Error::Denied);
        }
    }
}

/// Everything with a slice of another's.
fn slices(position: u32) {
    let me = call::self_id().0;
    for number in [number::SLICE_FREE, number::SLICE_GIVE, number::SLICE_RECLAIM] {
        // SAFETY: as above.
        refused(unsafe { call::raw(position, me, 0, 0, number) }, Error::Denied);
    }
    assert_eq!(call::slice_allocate(position), Err(Error::Busy));
}

/// Everything that takes control of an environment.
fn control(id: EnvId, shown: &[Capability], error: Error, mine: u32) {
    let header = &raw const *sequences::header() as u32;
    let word = mine << PAGE_SHIFT | entry_lo::DIRTY;
    for &tag in shown {
        refused(presenting(tag, number::ENV_SETUP, [id.0, header, 0x1_0000, 0]), error);
        refused(presenting(tag, number::ENV_DESTROY, [id.0, 0, 0, 0]), error);
        refused(presenting(tag, number::ENV_MAP, [id.0, ADDRESS, word, 1]), error);
        refused(presenting(tag, number::ENV_UNMAP, [id.0, 0x1_0000, 0, 0]), error);
    }
}

fn main() {
    let me = call::self_id();
    // The witness has begun when it has a slice and has made its other environment.
    let owner = |position: u32| public::slice(position).owner;
    let witness = (0..64).map(owner).find(|&owner| owner != 0 && owner != me.0).expect("a witness is started");
    while (0..64).filter(|&position| ![0, me.0].contains(&owner(position))).count() < 2 {
        call::yield_slice();
    }
    let mine = memory::allocate().unwrap();
    let (child, over_child) = spawn(idle, 0, None).unwrap();
    let stale = call::capability(mine, WRITE).unwrap();
    call::frame_renew(mine).unwrap();
    let fresh = [READ, WRITE].map(|right| call::capability(mine, right).unwrap());
    let tags = [
        call::NO_CAPABILITY,
        stale,
        fresh[0],
        fresh[1],
        over_child,
        Capability([u32::MAX; 2]),
        Capability([witness, witness]),
        Capability([fresh[0].0[0], over_child.0[1]]),
    ];
    let of_witness = |number: u32| memory::frame(number).owner & !FREEING == witness;
    let mut count = 0;
    for frame in (0..public::frames()).filter(|&number| of_witness(number)).take(24) {
        frames(frame, &tags);
        count += 1;
    }
    assert!(count >= 8, "the witness has {count} frames");
    for frame in [public::frame_table() >> PAGE_SHIFT, 0, 0x30, 0x50] {
        // SAFETY: as above.
        assert!(unsafe { call::raw(frame, me.0, 0, 0, number::FRAME_GIVE) } == Error::Denied as i32);
        assert!(call::frame_allocate(frame) == Err(Error::Busy));
    }
    (0..64).filter(|&position| ![0, me.0].contains(&owner(position))).for_each(slices);
    let id = EnvId(witness);
    control(id, &tags, Error::Denied, mine);
    for other in [
        EnvId(0),
        EnvId(u32::MAX),
        EnvId(id.0 | 1),
        EnvId(id.0 | 0x8000_0000),
        EnvId::new(id.index(), id.generation() + 1),
        EnvId::new(id.index(), 0),
        EnvId::new(200, 1),
    ] {
        control(other, &tags, Error::NoSuchEnvironment, mine);
        assert_eq!(call::wake(other), Err(Error::NoSuchEnvironment));
        // Where a slice ends just then, it comes back without an answer.
        assert_eq!((0..4).find_map(|_| call::yield_to(other).err()), Some(Error::NoSuchEnvironment));
    }
    // A capability over the child is for the child alone, and for no longer than that lives.
    call::env_destroy(child, over_child).unwrap();
    control(child, &tags, Error::NoSuchEnvironment, mine);
    let (again, _) = spawn(idle, 0, None).unwrap();
    control(again, &tags, Error::Denied, mine);
    assert_eq!((mine * PAGE_BYTES) >> PAGE_SHIFT, mine);
    println!("{}: all refused", program::name());
}
