//! More pages than the TLB has entries: each keeps what was written to it, beside a program that uses the same addresses.
//@ run: aegis_many_pages,seed=1 aegis_many_pages,seed=2 aegis_many_pages,seed=3
//@ expect: aegis_many_pages: 200 pages kept what was written
//@ expect: aegis: 3 programs ended, 0 badly

#![no_std]
#![no_main]
exos_rt::program!(main);

use core::cell::UnsafeCell;
use exos_rt::abi::vm::PAGE_BYTES;
use exos_rt::sequences::slices_used;
use exos_rt::{println, program};

const PAGES: usize = 200;
const WORDS: usize = PAGE_BYTES as usize / 4;

#[repr(align(4096))]
struct Memory(UnsafeCell<[[u32; WORDS]; PAGES]>);

// SAFETY: the program has one thread.
unsafe impl Sync for Memory {}

static MEMORY: Memory = Memory(UnsafeCell::new([[0; WORDS]; PAGES]));

/// A word of a page; which one differs from page to page, so that they do not share lines of the cache.
fn word(page: usize) -> *mut u32 {
    // SAFETY: the indices are in range.
    unsafe { &raw mut (*MEMORY.0.get())[page][page * 5 % WORDS] }
}

fn main() {
    let seed = program::number("seed").expect("the seed is an argument");
    let mut random = seed;
    let value = |page: usize, round: u32| ((page as u32 + 1) * 0x0101_0101) ^ (seed << 24) ^ round;
    let mut rounds = [0_u32; PAGES];
    for page in 0..PAGES {
        // SAFETY: the word is the program's own, and nothing else refers to it. Likewise below.
        assert_eq!(unsafe { word(page).read_volatile() }, 0, "page {page} is not empty at the start");
        // SAFETY: as above.
        unsafe { word(page).write_volatile(value(page, 0)) };
    }
    while slices_used() < 6 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let page = (random >> 16) as usize % PAGES;
        // SAFETY: as above.
        let found = unsafe { word(page).read_volatile() };
        assert_eq!(found, value(page, rounds[page]), "page {page}");
        rounds[page] += 1;
        // SAFETY: as above.
        unsafe { word(page).write_volatile(value(page, rounds[page])) };
    }
    println!("{}: {PAGES} pages kept what was written", program::name());
}
