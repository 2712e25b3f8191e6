//! Programs that only compute share the processor: each of three gets its turn, again and again, in order.
//@ run: aegis_slices,name=a aegis_slices,name=b aegis_slices,name=c
//@ expect: aegis_slices: shared fairly
//@ expect: aegis: 3 programs ended, 0 badly

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::sequences::slices_used;
use exos_rt::{call, println, program};

const SLICES: u32 = 10;

fn main() {
    let start = call::clock();
    while slices_used() < SLICES {
        core::hint::spin_loop();
    }
    let passed = call::clock() - start;
    // While all three run, each has one slice in three. The last to be started ends last; one slice more may pass meanwhile.
    assert!((2 * SLICES..=3 * SLICES + 3).contains(&passed), "{SLICES} slices of its own in {passed}");
    println!("{}: shared fairly", program::name());
}
