//! The table does what ExOS's do: zeros on demand, rights, what is dirty, and nothing left behind; a page outside of the window
//! is refused: `cargo exo test`.
//@ expect: template_test: 2000 pages kept what was written
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos::vm::{self, READ, WRITE};
use exos_rt::abi::Error;
use exos_rt::abi::exception::Code;
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES};
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, public};
use template::Vm;

const START: u32 = NORMAL_START + 50 * PAGE_BYTES;
const PAGES: u32 = 2000;
const BOTH: u32 = READ | WRITE;

static DENIED: Shared<u32> = Shared::new(0);

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

/// How many frames are this program's.
fn owned() -> u32 {
    let id = call::self_id();
    (0..public::frames()).filter(|&number| memory::frame(number).owner == id.0).count() as u32
}

/// Allows what is denied, and counts it.
fn allow(address: u32, _: Code) -> bool {
    DENIED.add(1);
    Vm::give(address, 1, BOTH);
    true
}

fn main() {
    Vm::install().unwrap();
    vm::set_hook(Some(allow));
    // SAFETY: nothing is there. Likewise below.
    unsafe {
        Vm::zeros(START, PAGES, BOTH).unwrap();
        for outside in [NORMAL_START - 0x0100_0000, NORMAL_START + 0x0400_0000, 0x7000_0000] {
            assert_eq!(Vm::zeros(outside, 1, BOTH), Err(Error::Full), "{outside:#x}");
        }
    }
    (0..PAGES).for_each(|number| assert_eq!(read(page(number)), 0));
    assert_eq!(vm::resident(), PAGES);
    assert!((0..PAGES).all(|number| !Vm::dirty(page(number))));
    for number in 0..PAGES {
        write(page(number) + number * 20 % PAGE_BYTES, number);
    }
    for number in (0..PAGES).rev() {
        assert_eq!(read(page(number) + number * 20 % PAGE_BYTES), number);
        assert!(Vm::dirty(page(number)));
    }
    assert!(Vm::pages().map(|page| page.address).eq((0..PAGES).map(page)), "all that is mapped, in order");
    Vm::take(START, PAGES, WRITE);
    write(page(7), 70);
    write(page(7), 71);
    assert_eq!((DENIED.get(), read(page(7))), (1, 71));
    // SAFETY: nobody refers to it.
    unsafe { Vm::unmap(START, PAGES) };
    vm::drain();
    let frames = owned();
    // Again: the table is there already, and nothing else is.
    // SAFETY: as above.
    unsafe {
        Vm::zeros(START, PAGES, BOTH).unwrap();
        (0..PAGES).for_each(|number| write(page(number), number));
        Vm::unmap(START, PAGES);
    }
    vm::drain();
    assert_eq!((owned(), vm::resident()), (frames, 0), "nothing is left behind");
    println!("template_test: {PAGES} pages kept what was written");
}
