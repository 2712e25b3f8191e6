//! Table 9: the multiplication of two matrices of 150 by 150 integers, in memory that a page table of the program's own
//! maps, and, beside it, in guaranteed mappings, where no library has any part.
//!
//! The code is the same. Frames of both come from neighbouring numbers, so they lie alike in the caches.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../matrix.rs"]
mod matrix;

use exos::vm::{READ, Vm, WRITE};
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES, PAGE_SHIFT, entry_lo};
use exos_rt::{call, mark_begin, mark_end, memory, println};
use matrix::{Matrix, fill, multiply, sum};

/// Pages of the three matrices.
const PAGES: u32 = (3 * size_of::<Matrix>()).div_ceil(PAGE_BYTES as usize) as u32;
/// Where the guaranteed mapping is.
const GUARANTEED: u32 = 0x2000_0000;

const EXOS: u32 = 1;
const BARE: u32 = 2;
/// The mark of a loop of one.
const LOOP: u32 = 100;
/// How often each is measured.
const TIMES: usize = 3;

fn main() {
    for (id, system, how) in [
        (EXOS, "exos", "two matrices of 150x150 integers, in pages that the program's page table maps"),
        (BARE, "bare", "the same code in a guaranteed mapping, which the kernel mends"),
    ] {
        println!("mark {id} table=9 op=matrix system={system} how={how}");
        println!("loop {} of={id} rounds=1 how=once", LOOP + id);
    }
    exos_rt::console::flush();
    Vm::install().expect("there is memory for it");
    // Side by side, and of the same colours.
    let frames = memory::allocate_run(2 * PAGES.next_multiple_of(16), 16).expect("there is memory for both");
    let [exos, bare] = [NORMAL_START, GUARANTEED];
    for page in 0..PAGES {
        // SAFETY: the frame is new, and nothing else is there. Likewise below.
        unsafe { Vm::own(exos + page * PAGE_BYTES, frames + page, READ | WRITE).expect("there is room in the table") };
    }
    let first = (frames + PAGES.next_multiple_of(16)) << PAGE_SHIFT;
    // SAFETY: as above.
    unsafe {
        call::env_map(call::self_id(), call::NO_CAPABILITY, bare, first | entry_lo::DIRTY, PAGES)
            .expect("it may have another mapping");
    }
    // SAFETY: the memory is there, for this alone, and any words are numbers.
    let [exos, bare] = [exos, bare].map(|address| unsafe { &mut *(address as *mut [Matrix; 3]) });
    fill(exos);
    fill(bare);
    for _ in 0..TIMES {
        mark_begin!(EXOS);
        multiply(exos);
        mark_end!(EXOS);
        mark_begin!(EXOS + LOOP);
        multiply(exos);
        mark_end!(EXOS + LOOP);
        mark_begin!(BARE);
        multiply(bare);
        mark_end!(BARE);
        mark_begin!(BARE + LOOP);
        multiply(bare);
        mark_end!(BARE + LOOP);
    }
    assert_eq!(sum(exos), sum(bare));
}
