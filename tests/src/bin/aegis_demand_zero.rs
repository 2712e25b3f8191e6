//! Pages that get frames when they are touched: 300 of them, more than the TLB has entries, read and written at random
//! by two environments on the same addresses, whose handlers answer every miss.
//@ run: aegis_demand_zero,seed=1 aegis_demand_zero,seed=2
//@ expect: aegis_demand_zero: 300 pages kept what was written
//@ expect: aegis: 2 programs ended, 0 badly
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos::vm::{READ, Vm, WRITE};
use exos_rt::abi::vm::PAGE_BYTES;
use exos_rt::{call, memory, println, program, public};

/// Beginning in the middle of one leaf of the table, and ending in the next.
const ADDRESS: u32 = 0x5000_0000 - 150 * PAGE_BYTES;
const PAGES: usize = 300;
const ACCESSES: u32 = 20_000;

/// A word of a page; which one differs from page to page, so that they do not share lines of the cache.
fn word(page: usize) -> *mut u32 {
    (ADDRESS + page as u32 * PAGE_BYTES + page as u32 * 20 % PAGE_BYTES) as *mut u32
}

fn owned() -> usize {
    let id = call::self_id();
    (0..public::frames()).filter(|&number| memory::frame(number).owner == id.0).count()
}

fn main() {
    let seed = program::number("seed").expect("the seed is an argument");
    Vm::install().expect("there is memory for it");
    let before = owned();
    // SAFETY: nothing else is at these addresses.
    unsafe { Vm::zeros(ADDRESS, PAGES as u32, READ | WRITE).expect("there is room in the table") };
    let mut random = seed;
    let mut next = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        random >> 8
    };
    let mut written = [0_u32; PAGES];
    for n in 0..ACCESSES {
        let page = next() as usize % PAGES;
        // SAFETY: the word is the program's own, and nothing else refers to it. Likewise below.
        assert_eq!(unsafe { word(page).read_volatile() }, written[page], "page {page}, access {n}");
        if next() % 4 != 0 {
            written[page] = next() ^ seed << 24;
            // SAFETY: as above.
            unsafe { word(page).write_volatile(written[page]) };
        }
        if n % 512 == 0 {
            call::yield_slice();
        }
    }
    let sum = |sum: u32, word: u32| sum.rotate_left(1) ^ word;
    // SAFETY: as above.
    let found = (0..PAGES).map(|page| unsafe { word(page).read_volatile() }).fold(0, sum);
    assert_eq!(found, written.into_iter().fold(0, sum));
    assert_eq!(owned() - before, PAGES + 1, "each page has a frame of its own, and the table another leaf");
    println!("{}: {PAGES} pages kept what was written", program::name());
}
