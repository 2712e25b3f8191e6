//! Table 9: the multiplication of two matrices of 150 by 150 integers, in memory that a page table of the program's own
//! maps, and, beside it, in guaranteed mappings, where no library has any part.
//!
//! The code is the same, and naive. Frames of both come from neighbouring numbers, so they lie alike in the caches.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

use exos::vm::{READ, Vm, WRITE};
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES, PAGE_SHIFT, entry_lo};
use exos_rt::{call, mark_begin, mark_end, memory, println};

/// Rows and columns.
const SIZE: usize = 150;
type Matrix = [[i32; SIZE]; SIZE];

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

/// Multiplies the first two of three matrices; the third is the product.
#[inline(never)]
fn multiply(matrices: &mut [Matrix; 3]) {
    let [a, b, product] = matrices;
    for (row, of_product) in a.iter().zip(product) {
        for (column, element) in of_product.iter_mut().enumerate() {
            *element = row.iter().zip(b.iter()).fold(0, |sum: i32, (a, b)| sum.wrapping_add(a.wrapping_mul(b[column])));
        }
    }
}

/// What is multiplied.
fn fill([a, b, _]: &mut [Matrix; 3]) {
    for (row, (of_a, of_b)) in a.iter_mut().zip(b).enumerate() {
        for (column, (in_a, in_b)) in of_a.iter_mut().zip(of_b).enumerate() {
            *in_a = (row + column) as i32;
            *in_b = (row * 3) as i32 - column as i32;
        }
    }
}

fn sum(matrices: &[Matrix; 3]) -> i32 {
    matrices[2].iter().flatten().fold(0, |sum: i32, element| sum.wrapping_mul(31).wrapping_add(*element))
}

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
