//! What the benchmarks need of Linux, and how they measure.
//!
//! They do what ours do, in the same loops, and are measured by the same marks; and where nobody sees marks by a clock that
//! counts instructions.

#![no_std]
#![feature(asm_experimental_arch)]

pub mod meter;
pub mod system;

#[doc(hidden)]
pub use aegis_abi::mark;
#[doc(hidden)]
pub use asm_lines::naked_asm;

use core::panic::PanicInfo;

#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    println!("{info}");
    system::exit(1)
}
