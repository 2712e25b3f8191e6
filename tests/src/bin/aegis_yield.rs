//! Giving up the rest of a slice: two programs that do it 2,000 times each are done long before their slices would be over.
//@ run: aegis_yield aegis_yield
//@ expect: aegis_yield: 2000 yields in fewer than 64 slices
//@ expect: aegis: 2 programs ended, 0 badly

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::{call, println, program};

const YIELDS: u32 = 2000;

fn main() {
    let start = call::clock();
    for n in 0..YIELDS {
        let kept = [n, n + 1, n + 2, n + 3];
        call::yield_slice();
        assert_eq!(core::hint::black_box(kept), [n, n + 1, n + 2, n + 3]);
    }
    assert!(call::clock() - start < 64, "{} slices", call::clock() - start);
    println!("{}: {YIELDS} yields in fewer than 64 slices", program::name());
}
