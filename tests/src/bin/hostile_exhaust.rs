//! A program takes all that there is of each thing, to the last: slices, frames, environments, guaranteed mappings, the
//! console's queue, context ids, places in both TLBs. It is told that there is no more; the other, which began before,
//! has what it had; and all is there again when the program lets it go or dies.
//@ run: aegis_witness hostile_exhaust
//@ expect: hostile_exhaust: everything taken, and given back
//@ expect: aegis_witness: undisturbed
//@ timeout: 100

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES, PAGE_SHIFT, entry_lo};
use exos_rt::abi::{EnvId, Error};
use exos_rt::call::{NO_CAPABILITY, env_map, env_unmap, tlb_write};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, program, public};

const PINNED: u32 = 0x2400_0000;
const RIGHTS: u32 = entry_lo::VALID | entry_lo::DIRTY;

static READY: Shared<u32> = Shared::new(0);

extern "C" fn idle(_: u32) -> ! {
    READY.add(1);
    loop {
        call::wait(None);
    }
}

/// Takes all slices.
fn slices(me: EnvId) {
    let before: u32 = public::slices_of(me).count() as u32;
    let taken = (0..64).filter(|&position| call::slice_allocate(position).is_ok()).count() as u32;
    assert!((0..64).all(|position| call::slice_allocate(position) == Err(Error::Busy)));
    assert!(taken >= 50 && public::slices_of(me).count() as u32 == before + taken);
    call::yield_slice();
    let mine = public::position();
    public::slices_of(me).filter(|&position| position != mine).for_each(|position| {
        call::slice_free(position).unwrap();
    });
}

/// Makes environments until there are no more; each takes context ids, too.
fn environments() {
    let mut made = 0;
    let mut children = [None; EnvId::COUNT];
    for child in &mut children {
        match spawn(idle, 0, None) {
            Ok(new) => *child = Some(new),
            Err(error) => {
                assert_eq!(error, Error::Full);
                break;
            }
        }
        made += 1;
    }
    assert!(made > 200, "{made} environments");
    // Each in a context of its own: there are not so many ids.
    call::yield_slice();
    let revoked = public::statistics().context_revocations;
    for (id, _) in children.iter().flatten() {
        let before = READY.get();
        while READY.get() == before {
            call::yield_to(*id).unwrap();
        }
    }
    call::yield_slice();
    let revoked = public::statistics().context_revocations - revoked;
    assert!(revoked > 0 && READY.get() == made, "{revoked} times, {} of {made}", READY.get());
    for (id, control) in children.iter().flatten() {
        call::env_destroy(*id, *control).unwrap();
    }
}

/// Takes all guaranteed mappings.
fn mappings(me: EnvId, frame: u32) {
    let address = |n: u32| PINNED + n * 2 * PAGE_BYTES;
    // SAFETY: nothing is at these addresses.
    unsafe {
        let map = |n| env_map(me, NO_CAPABILITY, address(n), frame << PAGE_SHIFT, 1);
        let made = (0..20).take_while(|&n| map(n).is_ok()).count() as u32;
        assert!((1..12).contains(&made) && map(made) == Err(Error::Full));
        (0..made).for_each(|n| env_unmap(me, NO_CAPABILITY, address(n)).unwrap());
        assert_eq!(env_unmap(me, NO_CAPABILITY, address(0)), Err(Error::BadArgument));
    }
}

/// Fills both TLBs, several times over, in every context.
fn tlbs(frame: u32) {
    for context in [1, 2, 3, 0] {
        // SAFETY: what this program uses is in guaranteed mappings; nothing else is at the addresses.
        unsafe {
            call::context_switch(context).unwrap();
            for page in 0..5000 {
                tlb_write(NORMAL_START + (page << PAGE_SHIFT), frame << PAGE_SHIFT | RIGHTS, NO_CAPABILITY).unwrap();
            }
        }
    }
}

/// Takes all memory.
fn frames() -> u32 {
    let mut taken = 0;
    while memory::allocate().is_ok() {
        taken += 1;
    }
    assert!(taken > 500, "{taken} frames");
    assert_eq!(spawn(idle, 0, None).err(), Some(Error::Full));
    taken
}

extern "C" fn takes_all_memory(_: u32) -> ! {
    READY.set(frames());
    call::exit(0)
}

/// Fills the console's queue, if the line takes any time.
fn console() {
    /// Of 64 bytes, more than it holds.
    const MOST: u32 = 200;
    let text = [b'.'; 64];
    let sent = (0..MOST).take_while(|_| call::console_write(&text).is_ok()).count() as u32;
    assert!(sent > 10 && (sent == MOST || call::console_write(&text) == Err(Error::Busy)));
    // There is room again when some of it is sent.
    while call::console_write(b"\n").is_err() {
        call::yield_slice();
    }
}

fn main() {
    let me = call::self_id();
    // The witness has what it needs when its other environment is there.
    while (0..64).filter(|&position| ![0, me.0].contains(&public::slice(position).owner)).count() < 2 {
        call::yield_slice();
    }
    call::yield_slice();
    let frame = memory::allocate().unwrap();
    slices(me);
    mappings(me, frame);
    tlbs(frame);
    environments();
    console();
    // The dead leave all they had: what one takes another can take behind it.
    for _ in 0..2 {
        READY.set(0);
        let (id, _) = spawn(takes_all_memory, 0, Some((public::position() + 5) % 64)).unwrap();
        while call::wake(id).is_ok() {
            call::yield_slice();
        }
        assert!(READY.get() > 500);
    }
    println!("{}: everything taken, and given back", program::name());
}
