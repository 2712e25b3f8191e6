//! The software TLB (the paper's section 5.4): a hit, which is a TLB miss that it answers.
//!
//! Counted is one load from a page that the TLB does not hold and the software TLB does, the load that fails and its
//! repetition included. Pages are touched in turn, more of them than the TLB has entries; those that it happens to hold
//! are not counted among them, for they take one instruction, which is not the median.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use core::arch::asm;
use core::cell::UnsafeCell;
use exos_rt::abi::mark::{END, WORD};
use exos_rt::abi::vm::PAGE_BYTES;
use exos_rt::println;

exos_rt::program!(main);

const HIT: u32 = 1;
/// More than the TLB's 64 entries by far, so that hardly any is still there when its turn comes.
const PAGES: usize = 256;
/// Every other page is touched: where the TLB maps pairs of pages, the second of a pair would be there already.
const PAIR_BYTES: usize = 2 * PAGE_BYTES as usize;

#[repr(align(4096))]
struct Memory(UnsafeCell<[[u8; PAIR_BYTES]; PAGES]>);

// SAFETY: the program has one thread.
unsafe impl Sync for Memory {}

static MEMORY: Memory = Memory(UnsafeCell::new([[0; PAIR_BYTES]; PAGES]));

fn main() {
    println!(
        "mark {HIT} table=5.4 op=stlb_hit system=aegis how=a load that misses the TLB, its repetition too; the paper: 18 instructions"
    );
    exos_rt::console::flush();
    let start = MEMORY.0.get().cast::<u8>();
    // The first round fills the software TLB and is not marked.
    for page in 0..PAGES {
        // SAFETY: the address is in the array. Likewise below.
        unsafe { start.add(page * PAIR_BYTES).read_volatile() };
    }
    for _ in 0..4 {
        for page in 0..PAGES {
            // SAFETY: as above; marks do nothing.
            unsafe {
                let address = start.add(page * PAIR_BYTES);
                asm!(
                    ".set noreorder",
                    ".word {begin}",
                    "lw    $t0, 0({address})",
                    ".word {end}",
                    "nop",
                    begin = const WORD | HIT,
                    end = const WORD | END | HIT,
                    address = in(reg) address,
                    out("$8") _,
                    options(nostack)
                );
            }
        }
    }
}
