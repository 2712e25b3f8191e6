//! All pages keep what is written to them, and all frames come back: `cargo exo test`.
//@ expect: template_test: 256 pages kept what was written

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::abi::Error;
use exos_rt::abi::vm::PAGE_BYTES;
use exos_rt::{call, memory, println, public};
use template::{PAGES, START, fill, install, unmap};

/// A word of a page; which one differs from page to page, so that they do not share lines of the cache.
fn word(page: usize) -> *mut u32 {
    (START + page as u32 * PAGE_BYTES + page as u32 * 20 % PAGE_BYTES) as *mut u32
}

/// How many frames are this program's.
fn owned() -> usize {
    let id = call::self_id();
    (0..public::frames()).filter(|&number| memory::frame(number).owner == id.0).count()
}

fn main() {
    install().unwrap();
    let before = owned();
    (0..PAGES).for_each(|page| fill(page).unwrap());
    assert_eq!(owned() - before, PAGES, "each page has a frame of its own");
    // More pages than the TLB has entries, again and again.
    for round in 0..4 {
        for page in 0..PAGES {
            // SAFETY: the page is there, and nobody else's. Likewise below.
            unsafe { word(page).write_volatile(page as u32 ^ round) };
        }
        for page in (0..PAGES).rev() {
            // SAFETY: as above.
            assert_eq!(unsafe { word(page).read_volatile() }, page as u32 ^ round, "page {page}");
        }
    }
    for page in 0..PAGES {
        // SAFETY: nobody refers to it.
        unsafe { unmap(page).unwrap() };
        // SAFETY: nothing is there.
        assert_eq!(unsafe { unmap(page) }, Err(Error::BadArgument));
    }
    assert_eq!(owned(), before, "nothing is left behind");
    println!("template_test: {PAGES} pages kept what was written");
}
