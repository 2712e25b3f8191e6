//! A page that is mapped to two frames in turn while more pages are in use than the TLB has entries: it is always the
//! frame that it was mapped to last, and never two at once.
//@ expect: aegis_translation_replaced: 1000 times the other frame

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../attempt.rs"]
mod attempt;

use attempt::{load, store};
use core::cell::UnsafeCell;
use exos_rt::abi::vm::{PAGE_SHIFT, entry_lo};
use exos_rt::call::{NO_CAPABILITY, tlb_delete, tlb_probe, tlb_write};
use exos_rt::{memory, println};

const ROUNDS: u32 = 1000;
/// A page whose place in the software TLB the program's other pages do not compete for.
const ADDRESS: u32 = 0x5040_0000;
/// More than the TLB has entries.
const PAGES: usize = 80;

#[repr(align(4096))]
struct Memory(UnsafeCell<[[u32; 1024]; PAGES]>);

// SAFETY: the program has one thread.
unsafe impl Sync for Memory {}

static MEMORY: Memory = Memory(UnsafeCell::new([[0; 1024]; PAGES]));

/// Uses `count` other pages.
fn use_others(count: usize) {
    for page in 0..count {
        // SAFETY: the index is in range, and nothing else refers to the word.
        unsafe { (&raw mut (*MEMORY.0.get())[page][page]).write_volatile(page as u32) };
    }
}

fn main() {
    let frames = [memory::allocate().unwrap(), memory::allocate().unwrap()];
    let mut random = 1_u32;
    let mut number_below = |limit: usize| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 16) as usize % limit
    };
    for round in 0..ROUNDS {
        let entry = frames[round as usize % 2] << PAGE_SHIFT | entry_lo::VALID | entry_lo::DIRTY;
        // SAFETY: nothing else is at that address, and all accesses are through functions of assembly.
        unsafe {
            tlb_write(ADDRESS, entry, NO_CAPABILITY).unwrap();
            use_others(number_below(PAGES + 1));
            assert_eq!(load(ADDRESS), Ok(round.saturating_sub(2)), "round {round}");
            store(ADDRESS, round).unwrap();
            use_others(number_below(PAGES + 1));
            assert_eq!((load(ADDRESS), tlb_probe(ADDRESS)), (Ok(round), Some(entry)), "round {round}");
        }
        if number_below(8) == 0 {
            tlb_delete(ADDRESS);
            assert_eq!(tlb_probe(ADDRESS), None, "one deletion is enough");
            load(ADDRESS).unwrap_err();
        }
    }
    println!("aegis_translation_replaced: {ROUNDS} times the other frame");
}
