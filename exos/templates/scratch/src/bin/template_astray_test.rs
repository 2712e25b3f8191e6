//! A load from a page that is not mapped is reported, with its address and its line, and ends the program.
//@ verdict: fail
//@ expect: template_astray_test: fault: load or fetch from an unmapped page, address=0x40005000
//@ forbid: not reached

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::abi::vm::PAGE_BYTES;
use exos_rt::println;
use template::{START, fill, install};

fn main() {
    install().unwrap();
    fill(4).unwrap();
    // SAFETY: it does not return.
    unsafe { ((START + 5 * PAGE_BYTES) as *const u32).read_volatile() };
    println!("not reached");
}
