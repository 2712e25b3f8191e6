//! Rights are taken from ranges of many pages, wherever they begin and end: each page within loses what it should,
//! those beside them nothing, and none what is written there.
//@ expect: aegis_translation_ranges: 50 ranges
//@ timeout: 60

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../attempt.rs"]
mod attempt;

use attempt::{load, store};
use exos_rt::abi::exception::Code;
use exos_rt::abi::vm::{NORMAL_START, PAGE_SHIFT, PROTECT_MAX, USER_END, entry_lo};
use exos_rt::call::{NO_CAPABILITY, tlb_probe, tlb_protect, tlb_write};
use exos_rt::{memory, println};

const VALID: u32 = entry_lo::VALID;
const RIGHTS: u32 = entry_lo::VALID | entry_lo::DIRTY;
/// A page whose place in the software TLB the program's own pages do not compete for. The kernel goes through ranges in
/// runs of 64 pages, and one begins here.
const PAGE: u32 = 0x5_0400;
const LAST: u32 = (USER_END >> PAGE_SHIFT) - 1;
/// One page beside the range on each side.
const FRAMES: usize = PROTECT_MAX as usize + 2;

fn main() {
    let frames: [u32; FRAMES] = core::array::from_fn(|_| memory::allocate().unwrap());
    let mut ranges = 0;
    for pages in [1, 2, 63, 64, PROTECT_MAX] {
        let up_to = |end: u32| (end >> PAGE_SHIFT) - pages;
        for first in [PAGE, PAGE + 1, PAGE + 63, up_to(NORMAL_START), up_to(USER_END)] {
            for rights in [VALID, 0] {
                check(&frames, first, pages, rights);
                ranges += 1;
            }
        }
    }
    println!("aegis_translation_ranges: {ranges} ranges");
}

/// Maps the pages from `first` on, and one on each side, takes the rights that are clear in `rights`, and looks.
fn check(frames: &[u32; FRAMES], first: u32, pages: u32, rights: u32) {
    let around = || (first - 1..=(first + pages).min(LAST)).zip(frames);
    for (page, &frame) in around() {
        // SAFETY: here and below: nothing else is at that address, and all accesses are through functions of assembly.
        unsafe {
            tlb_write(page << PAGE_SHIFT, frame << PAGE_SHIFT | RIGHTS, NO_CAPABILITY).unwrap();
            store(page << PAGE_SHIFT, page ^ pages).unwrap();
        }
    }
    // Any address of the first page will do, and only two bits of the rights count.
    tlb_protect(rights | 0x0123_4067, first << PAGE_SHIFT | page_offset(pages), pages).unwrap();
    for (page, &frame) in around() {
        let (address, value) = (page << PAGE_SHIFT, page ^ pages);
        let left = if (first..first + pages).contains(&page) { rights } else { RIGHTS };
        // A mapping may be lost, if it is one without rights.
        let found = tlb_probe(address).unwrap_or(frame << PAGE_SHIFT | left & !VALID);
        // SAFETY: as above.
        let (loaded, stored) = (load(address), unsafe { store(address, value) });
        let (load, store) = match left {
            0 => (Err(Code::TlbLoad), Err(Code::TlbStore)),
            VALID => (Ok(value), Err(Code::Modified)),
            _ => (Ok(value), Ok(())),
        };
        assert_eq!((loaded, stored), (load, store), "page {page:#x} of {pages} from {first:#x}");
        assert_eq!(found, frame << PAGE_SHIFT | left, "page {page:#x} of {pages} from {first:#x}");
    }
    // Nothing has happened to the frames.
    for (page, &frame) in around() {
        // SAFETY: as above.
        unsafe { tlb_write(page << PAGE_SHIFT, frame << PAGE_SHIFT | VALID, NO_CAPABILITY).unwrap() };
        assert_eq!(load(page << PAGE_SHIFT), Ok(page ^ pages));
    }
}

/// Some offset in a page.
fn page_offset(seed: u32) -> u32 {
    (seed * 0x123) & 0xfff
}
