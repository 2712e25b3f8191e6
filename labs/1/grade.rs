//! The grader of lab 1: a call that breaks guaranteed mappings, used and misused.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../../tests/src/attempt.rs"]
mod attempt;

use attempt::{load, store};
use exos_rt::abi::exception::Code;
use exos_rt::abi::frame::Capability;
use exos_rt::abi::vm::{CONTEXTS, GUARANTEED, NORMAL_START, PAGE_BYTES, PAGE_SHIFT, PUBLIC_PAGE, SAVE_PAGE, entry_lo};
use exos_rt::abi::{EnvId, Error};
use exos_rt::call::{self, NO_CAPABILITY, context_switch, env_create, env_destroy, env_map, tlb_probe};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{memory, println, program, public};
use lab::Pages;

const ADDRESS: u32 = 0x2800_0000;
/// Where nothing is.
const ELSEWHERE: u32 = 0x3000_0000;

/// The call. Nothing that this program uses by itself is unmapped.
fn unmap(id: EnvId, control: Capability, address: u32) -> Result<(), Error> {
    // SAFETY: see above.
    unsafe { call::env_unmap(id, control, address) }
}

fn unmap_own(address: u32) -> Result<(), Error> {
    unmap(call::self_id(), NO_CAPABILITY, address)
}

fn owned() -> usize {
    let id = call::self_id();
    (0..public::frames()).filter(|&number| memory::frame(number).owner == id.0).count()
}

fn main() {
    let name = program::arguments().next().expect("the case is an argument");
    assert!(unmap_own(ELSEWHERE) != Err(Error::NoSuchCall), "lab 1: the kernel has no call ENV_UNMAP");
    let before = owned();
    match name {
        "use" => usual(),
        "stale" => stale(),
        "rights" => rights(),
        "arguments" => arguments(),
        "again" => again(),
        "beside" => beside(),
        _ => panic!("there is no case {name}"),
    }
    assert_eq!(owned(), before, "frames are left behind");
    println!("{}: {name} passed", program::name());
}

/// Maps so many new frames; the first. They are free only when [`free`] is called: a frame that is freed loses its mappings anyway.
fn map(address: u32, count: u32) -> u32 {
    let first = memory::allocate_run(count, 1).unwrap();
    let entry = first << PAGE_SHIFT | entry_lo::DIRTY;
    // SAFETY: the frames are new, and nothing is at the address.
    unsafe { env_map(call::self_id(), NO_CAPABILITY, address, entry, count).unwrap() };
    first
}

fn free(first: u32, count: u32) {
    // SAFETY: they are mapped nowhere any more.
    (first..first + count).for_each(|frame| unsafe { call::frame_free(frame).unwrap() });
}

fn usual() {
    for round in 0..3 {
        let frame = map(ADDRESS, 1);
        assert_eq!(load(ADDRESS), Ok(0), "a new page has zeros");
        // SAFETY: the page is this program's.
        unsafe { store(ADDRESS, round + 1).unwrap() };
        assert_eq!(unmap_own(ADDRESS), Ok(()));
        assert_eq!(load(ADDRESS), Err(Code::TlbLoad), "whether the page can still be read");
        // SAFETY: nothing is there.
        assert_eq!(unsafe { store(ADDRESS, 1) }, Err(Code::TlbStore), "whether the page can still be written");
        free(frame, 1);
    }
}

fn stale() {
    const COUNT: u32 = 20;
    let frames = map(ADDRESS, COUNT);
    let all = || (0..COUNT).map(|number| ADDRESS + number * PAGE_BYTES);
    // SAFETY: what the program itself uses is in guaranteed mappings.
    let switch = |context: usize| unsafe { context_switch(context as u32).unwrap() };
    for context in 0..CONTEXTS {
        switch(context);
        all().for_each(|address| assert_eq!(load(address), Ok(0)));
    }
    switch(1);
    assert_eq!(unmap_own(ADDRESS), Ok(()));
    for context in [1, 2, 3, 0] {
        switch(context);
        for address in all() {
            assert_eq!(tlb_probe(address), None, "what a TLB has of {address:#x} in address space {context}");
            assert_eq!(load(address), Err(Code::TlbLoad), "reading {address:#x} in address space {context}");
        }
    }
    free(frames, COUNT);
    // The largest mapping that there can be, of which the kernel's time is measured as well.
    let frames = map(ADDRESS, 256);
    let last = ADDRESS + 255 * PAGE_BYTES;
    assert_eq!(load(last), Ok(0));
    assert_eq!(unmap_own(ADDRESS), Ok(()));
    assert_eq!(load(last), Err(Code::TlbLoad), "reading {last:#x}");
    free(frames, 256);
}

fn rights() {
    let frame = memory::allocate().unwrap();
    let entry = frame << PAGE_SHIFT | entry_lo::DIRTY;
    let (one, control) = env_create(memory::allocate_pair().unwrap()).unwrap();
    let (other, others) = env_create(memory::allocate_pair().unwrap()).unwrap();
    // SAFETY: the environments never run. Likewise below.
    unsafe {
        env_map(one, control, ADDRESS, entry, 1).unwrap();
        env_map(other, others, ADDRESS, entry, 1).unwrap();
    }
    let Capability([low, high]) = control;
    for wrong in [NO_CAPABILITY, others, Capability([high, low]), Capability([low ^ 1, high])] {
        assert_eq!(unmap(one, wrong, ADDRESS), Err(Error::Denied), "a wrong capability");
    }
    for nobody in [EnvId(0), EnvId(one.0 ^ 1 << EnvId::GENERATION_SHIFT), EnvId(u32::MAX)] {
        assert_eq!(unmap(nobody, control, ADDRESS), Err(Error::NoSuchEnvironment), "{nobody:x?}");
    }
    assert_eq!(unmap(one, control, ADDRESS), Ok(()), "the right one");
    assert_eq!(unmap(one, control, ADDRESS), Err(Error::BadArgument), "it is gone");
    assert_eq!(unmap(other, others, ADDRESS), Ok(()), "the other environment's is still there");
    env_destroy(other, others).unwrap();
    assert_eq!(unmap(other, others, ADDRESS), Err(Error::NoSuchEnvironment), "it has died");
    env_destroy(one, control).unwrap();
    // SAFETY: it is mapped nowhere.
    unsafe { call::frame_free(frame).unwrap() };
}

fn arguments() {
    let pages = Pages::new(ADDRESS, 3).unwrap();
    // SAFETY: the page is this program's.
    unsafe { store(ADDRESS + PAGE_BYTES, 1995).unwrap() };
    let inside = [ADDRESS + 4, ADDRESS + PAGE_BYTES, ADDRESS + 2 * PAGE_BYTES];
    let outside = [0, 1, ADDRESS - PAGE_BYTES, ADDRESS + 3 * PAGE_BYTES, NORMAL_START, 0x8000_0000, u32::MAX];
    for address in inside.into_iter().chain(outside).chain([SAVE_PAGE, PUBLIC_PAGE]) {
        assert_eq!(unmap_own(address), Err(Error::BadArgument), "at {address:#x}");
    }
    for number in 0..3 {
        let expected = if number == 1 { 1995 } else { 0 };
        assert_eq!(load(ADDRESS + number * PAGE_BYTES), Ok(expected), "what was refused has changed something");
    }
    // That the save page is there is seen at the end of a slice.
    call::yield_slice();
    pages.remove().unwrap();
}

fn again() {
    let frame = memory::allocate().unwrap();
    // SAFETY: the frame is new, and nothing is at these addresses. Likewise below.
    let map = |number: u32| unsafe {
        let address = ADDRESS + 2 * number * PAGE_BYTES;
        env_map(call::self_id(), NO_CAPABILITY, address, frame << PAGE_SHIFT | entry_lo::DIRTY, 1)
    };
    let mut most = None;
    for _ in 0..50 {
        let made = (0..GUARANTEED as u32).take_while(|&number| map(number).is_ok()).count() as u32;
        assert_eq!(*most.get_or_insert(made), made, "mappings that fit, each time");
        // From the middle on, so that the table has holes.
        (0..made).map(|number| (number + made / 2) % made).for_each(|number| {
            assert_eq!(unmap_own(ADDRESS + 2 * number * PAGE_BYTES), Ok(()));
        });
    }
    // SAFETY: as above.
    unsafe { call::frame_free(frame).unwrap() };
}

static SEEN: Shared<u32> = Shared::new(0);

/// Looks at what its parent unmaps, too; of its own it has a mapping at the same address.
extern "C" fn looks(_: u32) -> ! {
    let pages = Pages::new(ADDRESS, 1).unwrap();
    // SAFETY: the page is this environment's.
    unsafe { pages.page(0).write_volatile(77) };
    loop {
        // SAFETY: as above.
        SEEN.set(unsafe { pages.page(0).read_volatile() });
        call::yield_slice();
    }
}

fn beside() {
    let (below, pages) = (Pages::new(ADDRESS - PAGE_BYTES, 1).unwrap(), Pages::new(ADDRESS, 2).unwrap());
    let above = Pages::new(ADDRESS + 2 * PAGE_BYTES, 1).unwrap();
    let (child, control) = spawn(looks, 0, Some((public::position() + 1) % 64)).unwrap();
    while SEEN.get() != 77 {
        call::yield_slice();
    }
    let near = [ADDRESS - PAGE_BYTES, ADDRESS + 2 * PAGE_BYTES];
    // SAFETY: the pages are this program's.
    near.into_iter().for_each(|address| unsafe { store(address, address).unwrap() });
    pages.remove().unwrap();
    near.into_iter().for_each(|address| assert_eq!(load(address), Ok(address), "the mapping beside it"));
    SEEN.set(0);
    for _ in 0..4 {
        call::yield_slice();
    }
    assert_eq!(SEEN.get(), 77, "another environment's mapping at the same address");
    env_destroy(child, control).unwrap();
    below.remove().unwrap();
    above.remove().unwrap();
}
