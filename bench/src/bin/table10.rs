//! Table 10: virtual memory operations, with our page table of two levels.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../vm.rs"]
mod vm;

use exos::page_table::TwoLevel;

fn main() {
    vm::Measured::<TwoLevel, 0>::run(10, "exos");
}
