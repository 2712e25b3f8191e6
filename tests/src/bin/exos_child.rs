//! A child that its parent makes, with the parent's memory until one of the two stores to it: both see what was there,
//! and each its own changes; the parent's frames are used again when the child has ended, and nothing is left behind.
//@ expect: exos_child: the child found what it should, and 20 of them leave nothing behind
//@ expect: ended, 0 badly
//@ timeout: 60

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../census.rs"]
mod census;

use census::owned;
use core::arch::naked_asm;
use exos::vm::{self, EXCEPTION_STACK_TOP, READ, Vm, WRITE};
use exos_rt::abi::frame::{Capability, PUBLIC};
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT, PROGRAM_START};
use exos_rt::abi::{EnvId, Error};
use exos_rt::{call, memory, println, public};

const BOTH: u32 = READ | WRITE;
const DATA: u32 = 0x4000_0000;
const PAGES: u32 = 6;
/// The child's stack: the last page of the same leaf.
const STACK: u32 = 0x4040_0000 - PAGE_BYTES;
/// Words that both use, in the pinned segment: the parent's program's.
static RESULT: exos_rt::shared::Shared<u32> = exos_rt::shared::Shared::new(0);

fn read(address: u32) -> u32 {
    // SAFETY: the pages are data that nothing else refers to. Likewise below.
    unsafe { (address as *const u32).read_volatile() }
}

fn write(address: u32, word: u32) {
    // SAFETY: as above.
    unsafe { (address as *mut u32).write_volatile(word) }
}

/// A child that gets no frames ends. The child's first instructions: on the stack for exceptions, then on its own.
#[unsafe(naked)]
unsafe extern "C" fn start() {
    naked_asm!(
        ".set noreorder",
        "lui   $sp, {high}",
        "ori   $sp, $sp, {low}",
        "jal   {adopt}",
        " addiu $sp, $sp, -16",
        "lui   $sp, {stack}",
        "jal   {child}",
        " addiu $sp, $sp, -16",
        high = const EXCEPTION_STACK_TOP >> 16,
        low = const EXCEPTION_STACK_TOP & 0xffff,
        stack = const (STACK + PAGE_BYTES) >> 16,
        adopt = sym adopt,
        child = sym child,
    )
}

extern "C" fn adopt() {
    // SAFETY: it is the first thing that is done, on the right stack.
    unsafe { Vm::adopt() };
    vm::set_hook(Some(|_, _| call::exit(0)));
}

extern "C" fn child() -> ! {
    let expected = [100, 101, 102, 103, 0, 777];
    let found = (0..PAGES).all(|page| read(DATA + page * PAGE_BYTES) == expected[page as usize]);
    let before = vm::resident();
    write(DATA + PAGE_BYTES, 1001);
    write(DATA + 4 * PAGE_BYTES, 1004);
    let own = vm::resident() - before;
    let there = read(DATA + PAGE_BYTES) == 1001 && read(DATA) == 100 && read(DATA + PAGE_BYTES + 4) == 55;
    RESULT.set(u32::from(found) | u32::from(there) << 1 | own << 2);
    call::exit(0)
}

/// What a page of the program is mapped to.
fn mapped_to(address: u32) -> u32 {
    loop {
        read(address);
        if let Some(entry_lo) = call::tlb_probe(address) {
            return entry_lo;
        }
    }
}

/// Gives the child this program's pinned memory.
fn pinned(id: EnvId, control: Capability) -> Result<(), Error> {
    unsafe extern "C" {
        static exos_text_end: u8;
        static exos_data_start: u8;
        static exos_data_end: u8;
    }
    let segments = [
        (PROGRAM_START, &raw const exos_text_end as u32),
        (&raw const exos_data_start as u32, &raw const exos_data_end as u32),
    ];
    for (start, end) in segments {
        let pages = (end - start).div_ceil(PAGE_BYTES);
        // SAFETY: the environment is another.
        unsafe { call::env_map(id, control, start, mapped_to(start), pages)? };
    }
    Ok(())
}

fn fork() -> Result<(EnvId, Capability), Error> {
    let (id, control) = call::env_create(memory::allocate_pair()?)?;
    let made = (|| {
        let mut child = Vm::child(id, control)?;
        for page in Vm::pages() {
            if page.address == DATA + 3 * PAGE_BYTES { child.copy(page)? } else { child.share(page)? }
        }
        child.zeros(STACK, 1, BOTH)?;
        child.finish()?;
        pinned(id, control)?;
        // SAFETY: it begins as it should.
        unsafe { call::env_setup(id, control, &Vm::header(), start as *const () as u32)? };
        // Once it has a slice it may run, and end, at any moment.
        assert!(vm::lends());
        call::slice_allocate(20).and_then(|()| call::slice_give(20, id))
    })();
    if let Err(error) = made {
        let _ = call::env_destroy(id, control);
        return Err(error);
    }
    Ok((id, control))
}

fn wait(id: EnvId) {
    while call::wake(id).is_ok() {
        call::yield_slice();
    }
}

fn main() {
    Vm::install().unwrap();
    // A frame that everybody may read, to be copied when it is stored to.
    let public_frame = public::frame_table() >> PAGE_SHIFT;
    assert_eq!(memory::frame(public_frame).owner, PUBLIC);
    // SAFETY: nothing else is there.
    unsafe { Vm::zeros(DATA, PAGES, BOTH).unwrap() };
    (0..4).for_each(|page| write(DATA + page * PAGE_BYTES, 100 + page));
    write(DATA + PAGE_BYTES + 4, 55);
    write(DATA + 5 * PAGE_BYTES, 777);
    // SAFETY: as above.
    unsafe { Vm::copy_of(DATA + 7 * PAGE_BYTES, public_frame, None, BOTH).unwrap() };
    let first_of_public = read(DATA + 7 * PAGE_BYTES);
    let (frames, resident) = (owned(), vm::resident());
    for round in 0..20 {
        let (id, _) = fork().unwrap();
        // The parent's change is not the child's.
        write(DATA, 5000 + round);
        assert_eq!(read(DATA + 4), 0);
        wait(id);
        assert_eq!(RESULT.get(), 3 | 1 << 2, "what the child found, and the frames that it took");
        assert_eq!((read(DATA), read(DATA + PAGE_BYTES)), (5000 + round, 101));
        write(DATA, 100);
        write(DATA + PAGE_BYTES, 101);
        assert_eq!(read(DATA + 7 * PAGE_BYTES), first_of_public);
        vm::forget(id);
        assert!(!vm::lends());
        vm::drain();
        assert_eq!((owned(), vm::resident()), (frames, resident), "round {round}");
    }
    // No memory in the middle: the call's error, and nothing is left.
    let mut taken = 0;
    let mut kept = [0_u32; 64];
    while let Ok(frame) = memory::allocate() {
        if taken < kept.len() {
            kept[taken] = frame;
        }
        taken += 1;
    }
    let all = owned();
    for room in 0..8 {
        // SAFETY: nothing is mapped to it.
        unsafe { call::frame_free(kept[room]).unwrap() };
        match fork() {
            Err(error) => assert_eq!(error, Error::Full),
            Ok((id, _)) => wait(id),
        }
        vm::drain();
        while let Ok(frame) = memory::allocate() {
            let _ = frame;
        }
        assert!(owned() <= all, "with room for {} frames", room + 1);
        // As many are free as before the attempt: all that it took came back.
        assert_eq!(owned(), all, "with room for {} frames", room + 1);
        // SAFETY: as above; what was free is this environment's again.
        (0..=room).for_each(|number| unsafe {
            let _ = call::frame_free(kept[number]);
        });
    }
    println!("exos_child: the child found what it should, and 20 of them leave nothing behind");
}
