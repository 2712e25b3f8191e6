//! The boot stage on the machine: asks the PROM what there is, has a plan made, carries it out and enters the kernel.
//!
//! Everything that takes judgement is in the library beside it. What is here is what only the machine can do, and all
//! the unsafe code of the loader.

#![cfg_attr(target_arch = "mips", no_std, no_main, feature(asm_experimental_arch))]

#[cfg(target_arch = "mips")]
mod machine;

/// On the host there is nothing to load.
#[cfg(not(target_arch = "mips"))]
fn main() {
    println!("The boot stage of Aegis runs on the machine: it is part of the image that `cargo exo build` makes.");
}
