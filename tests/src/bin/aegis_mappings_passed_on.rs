//! A guaranteed mapping is passed on: a child that owns no text gives its own child the text that it runs, with no more
//! rights than it has, and the mapping ends when the owner of the frames says so.
//@ expect: aegis_mappings_passed_on: the grandchild ran; nothing was passed on that was not held

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../child.rs"]
mod child;

use child::wait_for_end;
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT, PROGRAM_START, entry_lo};
use exos_rt::abi::{EnvId, Error};
use exos_rt::call::{NO_CAPABILITY, env_map, env_unmap};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, public};

/// A page of the pinned segment where nothing is.
const ADDRESS: u32 = 0x2000_0000;

static GRANDCHILD: Shared<u32> = Shared::new(0);
static RAN: Shared<u32> = Shared::new(0);
static DONE: Shared<u32> = Shared::new(0);
/// A frame of the parent's that nobody else has mapped.
static SECRET: Shared<u32> = Shared::new(0);
/// One that the parent maps into the child, only to be read.
static LENT: Shared<u32> = Shared::new(0);
const LENT_AT: u32 = ADDRESS + 0x10_0000;

fn main() {
    SECRET.set(memory::allocate().unwrap());
    LENT.set(memory::allocate().unwrap());
    let (child, control) = spawn(parent_of_another, 0, None).unwrap();
    // SAFETY: the frame is mapped nowhere else; the child does not run yet.
    unsafe { env_map(child, control, LENT_AT, LENT.get() << PAGE_SHIFT, 1) }.unwrap();
    call::slice_allocate(20).and_then(|()| call::slice_give(20, child)).unwrap();
    while RAN.get() == 0 {
        call::yield_slice();
    }
    // What the child has passed on to itself at another address ends with what it was passed on from.
    call::frame_renew(LENT.get()).unwrap();
    DONE.set(1);
    wait_for_end(child);
    wait_for_end(EnvId(GRANDCHILD.get()));
    println!("aegis_mappings_passed_on: the grandchild ran; nothing was passed on that was not held");
}

/// The child: owns its save page, its stack, and what it allocates.
extern "C" fn parent_of_another(_: u32) -> ! {
    let me = call::self_id();
    // SAFETY: nothing is at that address, and what is refused does nothing.
    unsafe {
        let map = |address, word, pages| env_map(me, NO_CAPABILITY, address, word, pages);
        let text = call::tlb_probe(PROGRAM_START).map_or(0, |word| word & entry_lo::FRAME);
        assert_ne!(text, 0, "the first page of the text is in use");
        assert_ne!(memory::frame(text >> PAGE_SHIFT).owner, me.0, "the text is not the child's");
        map(ADDRESS, text, 1).unwrap();
        assert_eq!((ADDRESS as *const u32).read_volatile(), (PROGRAM_START as *const u32).read_volatile());
        env_unmap(me, NO_CAPABILITY, ADDRESS).unwrap();
        assert_eq!(map(ADDRESS, text | entry_lo::DIRTY, 1), Err(Error::Denied), "text may not be written");
        assert_eq!(map(ADDRESS, SECRET.get() << PAGE_SHIFT, 1), Err(Error::Denied), "not its own");
        assert_eq!(map(ADDRESS, LENT.get() << PAGE_SHIFT, 2), Err(Error::Denied), "one more than it has");
        assert_eq!(map(ADDRESS, (LENT.get() - 1) << PAGE_SHIFT, 2), Err(Error::Denied), "one before");
        map(ADDRESS, LENT.get() << PAGE_SHIFT, 1).unwrap();
        assert_eq!((ADDRESS as *const u32).read_volatile(), 0);
        // Everybody's frames may be mapped, to be read.
        let table = public::frame_table();
        map(ADDRESS + PAGE_BYTES, table, 2).unwrap();
        assert_eq!(map(ADDRESS + 4 * PAGE_BYTES, table | entry_lo::DIRTY, 1), Err(Error::Denied), "not to be written");
    }
    let (grandchild, _) = spawn(grandchild, 0, Some(21)).unwrap();
    GRANDCHILD.set(grandchild.0);
    while DONE.get() == 0 {
        call::yield_slice();
    }
    // SAFETY: as above. The frame was renewed: neither mapping holds, and neither is passed on.
    unsafe {
        let word = LENT.get() << PAGE_SHIFT;
        assert_eq!(env_map(me, NO_CAPABILITY, ADDRESS + 8 * PAGE_BYTES, word, 1), Err(Error::Denied), "it has ended");
    }
    call::exit(0)
}

extern "C" fn grandchild(_: u32) -> ! {
    RAN.set(1);
    call::exit(0)
}
