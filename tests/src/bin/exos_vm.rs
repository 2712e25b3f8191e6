//! Virtual memory with each of the three page tables: zeros and copies on demand, rights of a page and of ranges, dirty
//! and referenced pages, aliases, colours, caching, locked pages, and what is left when all is unmapped.
//@ run: exos_vm,form=two_level exos_vm,form=linear exos_vm,form=inverted
//@ expect: aegis: 3 programs ended, 0 badly
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../census.rs"]
mod census;

use census::owned;
use exos::page_table::{Form, Inverted, Linear, TwoLevel};
use exos::vm::{self, READ, Space, WRITE};
use exos_rt::abi::exception::Code;
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT, entry_lo};
use exos_rt::abi::{Error, frame};
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, program, public};

/// On both sides of a leaf's end.
const START: u32 = 0x4040_0000 - 50 * PAGE_BYTES;
const PAGES: u32 = 100;
const BOTH: u32 = READ | WRITE;

static DENIED: Shared<(u32, u32, u32)> = Shared::new((0, 0, 0));

fn page(number: u32) -> u32 {
    START + number * PAGE_BYTES
}

fn read(address: u32) -> u32 {
    // SAFETY: all pages are data that nothing else refers to. Likewise below.
    unsafe { (address as *const u32).read_volatile() }
}

fn write(address: u32, word: u32) {
    // SAFETY: as above.
    unsafe { (address as *mut u32).write_volatile(word) }
}

/// Allows what is denied, and notes it.
fn allow<T: Form>(address: u32, code: Code) -> bool {
    let (count, ..) = DENIED.get();
    DENIED.set((count + 1, address, code as u32));
    Space::<T>::give(address, 1, BOTH);
    true
}

fn zeros<T: Form>() {
    let before = owned();
    // SAFETY: nothing is there. Likewise below.
    unsafe { Space::<T>::zeros(START, PAGES, BOTH).unwrap() };
    let tables = owned() - before;
    assert!(tables <= 2, "{tables} frames for the table");
    (0..PAGES).for_each(|number| assert_eq!(read(page(number)), 0));
    assert_eq!((owned() - before - tables, vm::resident()), (PAGES, PAGES));
    assert!((0..PAGES).all(|number| !Space::<T>::dirty(page(number)) && Space::<T>::referenced(page(number))));
    for number in 0..PAGES {
        write(page(number) + 4 * number, number);
        assert!(Space::<T>::dirty(page(number)));
    }
    assert!((0..PAGES).all(|number| read(page(number) + 4 * number) == number));
    let found = Space::<T>::pages().map(|page| page.address);
    assert!(found.eq((0..PAGES).map(page)), "all that is mapped, in order");
}

fn rights<T: Form>() {
    let denied = |number, code: Code| assert_eq!(DENIED.get(), (number, DENIED.get().1, code as u32));
    Space::<T>::take(START, PAGES, WRITE);
    assert_eq!(read(page(7) + 28), 7);
    write(page(7), 70);
    denied(1, Code::Modified);
    assert_eq!(DENIED.get().1, page(7));
    Space::<T>::take(START, PAGES, BOTH);
    assert_eq!(read(page(8) + 32), 8);
    denied(2, Code::TlbLoad);
    write(page(9), 90);
    denied(3, Code::TlbStore);
    Space::<T>::give(START, PAGES, BOTH);
    (0..PAGES).for_each(|number| write(page(number), number));
    assert_eq!(DENIED.get().0, 3);
    Space::<T>::protect(page(5), READ).unwrap();
    assert_eq!((read(page(5)), Space::<T>::dirty(page(5))), (5, true));
    write(page(5), 55);
    denied(4, Code::Modified);
    Space::<T>::protect_each(START, PAGES, 0).unwrap();
    Space::<T>::protect_each(START, PAGES, BOTH).unwrap();
    (0..PAGES).for_each(|number| write(page(number), number));
    assert_eq!(DENIED.get().0, 4);
    assert_eq!(Space::<T>::protect(0x7000_0000, READ), Err(Error::BadArgument));
}

fn marks<T: Form>() {
    Space::<T>::clean(START, PAGES);
    Space::<T>::unreference(page(50), 50);
    let marks = |number| (Space::<T>::dirty(page(number)), Space::<T>::referenced(page(number)));
    assert_eq!((marks(1), marks(60)), ((false, true), (false, false)));
    assert_eq!((read(page(1)), read(page(60))), (1, 60));
    assert_eq!((marks(1), marks(60)), ((false, true), (false, true)));
    write(page(1), 100);
    write(page(61), 6100);
    assert_eq!((marks(1), marks(2), marks(61)), ((true, true), (false, true), (true, true)));
    assert_eq!(DENIED.get().0, 4, "nobody else is told");
}

fn aliases<T: Form>() {
    let before = owned();
    let alias = 0x4100_0000;
    // SAFETY: nobody refers to what is there.
    unsafe {
        Space::<T>::alias(alias, page(3), BOTH).unwrap();
        assert_eq!(Space::<T>::alias(alias, alias, BOTH), Err(Error::BadArgument));
        assert_eq!(Space::<T>::alias(alias, 0x7000_0000, BOTH), Err(Error::BadArgument));
    }
    write(alias, 333);
    assert_eq!(read(page(3)), 333);
    write(page(3), 334);
    assert_eq!(read(alias), 334);
    // SAFETY: as above.
    unsafe { Space::<T>::unmap(page(3), 1) };
    assert_eq!((read(alias), vm::resident()), (334, PAGES));
    // SAFETY: as above.
    unsafe { Space::<T>::unmap(alias, 1) };
    assert_eq!((vm::resident(), vm::drain()), (PAGES - 1, 1));
    assert!(owned() + 1 - before <= 2, "at most two frames more for the table");
    // SAFETY: as above.
    unsafe { Space::<T>::zeros(page(3), 1, BOTH).unwrap() };
    write(page(3), 3);
}

/// A page of the program's own text, which is public or this environment's: copied when it is stored to. Here a frame
/// that plays the part of another's: with a capability.
fn copies<T: Form>() {
    let original = memory::allocate().unwrap();
    let capability = call::capability(original, frame::READ).unwrap();
    let (seen, copy) = (0x4200_0000, 0x4200_1000);
    // SAFETY: nothing else is there.
    unsafe {
        Space::<T>::shared(seen, original, None, BOTH).unwrap();
        Space::<T>::copy_of(copy, original, Some(capability), BOTH).unwrap();
    }
    write(seen, 11);
    let resident = vm::resident();
    assert_eq!((read(copy), vm::resident()), (11, resident));
    write(seen, 12);
    assert_eq!(read(copy), 12, "it is not copied yet");
    write(copy + 8, 1);
    assert_eq!((read(copy), vm::resident()), (12, resident + 1));
    write(seen, 13);
    assert_eq!((read(copy), read(seen), read(seen + 8)), (12, 13, 0));
    // The public page's frame: everybody may read it, nobody write.
    let public = public::frame_table() >> PAGE_SHIFT;
    let (shared, copy_of_public) = (0x4200_2000, 0x4200_3000);
    // SAFETY: as above.
    unsafe {
        Space::<T>::shared(shared, public, None, READ).unwrap();
        Space::<T>::copy_of(copy_of_public, public, None, BOTH).unwrap();
    }
    assert_eq!(read(shared), read(copy_of_public));
    write(copy_of_public, 99);
    assert_eq!(read(copy_of_public), 99);
    assert_eq!(read(shared + 16), read(copy_of_public + 16));
    // SAFETY: nobody refers to it.
    unsafe {
        Space::<T>::unmap(seen, 4);
        call::frame_free(original).unwrap();
    }
}

fn placement<T: Form>() {
    let at = 0x4300_0000;
    vm::set_colouring(true);
    // SAFETY: nothing else is there.
    unsafe { Space::<T>::zeros(at, 8, BOTH).unwrap() };
    for number in 0..8 {
        // The second half is not written to, so it need not be kept anywhere.
        if number < 4 {
            write(at + number * PAGE_BYTES, number);
        }
        assert_eq!(read(at + number * PAGE_BYTES), if number < 4 { number } else { 0 });
        let frame = Space::<T>::entry(at + number * PAGE_BYTES) >> PAGE_SHIFT;
        assert_eq!(frame % public::colours(), ((at >> PAGE_SHIFT) + number) % public::colours());
    }
    vm::set_colouring(false);
    Space::<T>::set_uncached(at, true).unwrap();
    assert_eq!((read(at), Space::<T>::entry(at) & entry_lo::UNCACHED), (0, entry_lo::UNCACHED));
    write(at, 17);
    assert_eq!(read(at), 17);
    Space::<T>::lock(at, 2).unwrap();
    let before = owned();
    assert_eq!((Space::<T>::give_up(1000), before - owned()), (4, 4));
    assert_eq!((read(at), read(at + PAGE_BYTES), read(at + 2 * PAGE_BYTES)), (17, 1, 2));
    assert_eq!(read(at + 6 * PAGE_BYTES), 0);
    // SAFETY: nobody refers to it.
    unsafe { Space::<T>::unmap(at, 8) };
}

fn test<T: Form>() {
    Space::<T>::install().unwrap();
    vm::set_hook(Some(allow::<T>));
    zeros::<T>();
    rights::<T>();
    marks::<T>();
    aliases::<T>();
    copies::<T>();
    let sum: u32 = (0..PAGES).map(|number| read(page(number))).sum();
    assert_eq!(sum, (0..PAGES).sum::<u32>() - 1 - 61 + 100 + 6100);
    // SAFETY: nobody refers to it.
    unsafe { Space::<T>::unmap(START, PAGES) };
    vm::drain();
    let frames = owned();
    // Again and again: nothing is left behind.
    for _ in 0..3 {
        // SAFETY: nothing is there.
        unsafe { Space::<T>::zeros(START, PAGES, BOTH).unwrap() };
        (0..PAGES).for_each(|number| write(page(number), number + 1));
        assert_eq!((owned() - frames, vm::resident()), (PAGES, PAGES));
        // SAFETY: nobody refers to it.
        unsafe { Space::<T>::unmap(START, PAGES) };
        vm::drain();
        assert_eq!((owned(), vm::resident()), (frames, 0));
    }
    placement::<T>();
    println!("{}: done", program::name());
}

fn main() {
    match program::arguments().find_map(|argument| argument.strip_prefix("form=")) {
        Some("two_level") => test::<TwoLevel>(),
        Some("linear") => test::<Linear>(),
        Some("inverted") => test::<Inverted>(),
        form => panic!("form {form:?}"),
    }
}
