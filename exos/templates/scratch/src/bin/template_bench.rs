//! What a miss costs: `cargo exo bench`.
//!
//! What is counted stands between marks, which are instructions that do nothing. The console says what they are: for a mark the
//! operation and how it is measured, for its loop, from which the time comes, its rounds and what else is in it.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

use exos_rt::{call, mark_begin, mark_end, println};
use template::{START, fill, install};

const MISS: u32 = 1;
const MISS_LOOP: u32 = 101;
const ROUNDS: u32 = 1000;

/// The page leaves both TLBs and is accessed.
fn access() -> u32 {
    // SAFETY: the page is there, and nobody else's.
    unsafe { (START as *const u32).read_volatile() }
}

fn main() {
    println!("mark {MISS} table=template op=miss system=template how=a load that misses both TLBs, and its repetition");
    println!("loop {MISS_LOOP} of={MISS} rounds={ROUNDS} how=the mapping deleted, the load, and the loop's own");
    exos_rt::console::flush();
    install().expect("the handlers are in order");
    fill(0).expect("there is a free frame");
    for _ in 0..ROUNDS {
        call::tlb_delete(START);
        mark_begin!(MISS);
        access();
        mark_end!(MISS);
    }
    for _ in 0..9 {
        mark_begin!(MISS_LOOP);
        for _ in 0..ROUNDS {
            call::tlb_delete(START);
            access();
        }
        mark_end!(MISS_LOOP);
    }
}
