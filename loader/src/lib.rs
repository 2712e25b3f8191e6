//! The boot stage: checks a boot archive and decides where the kernel and the first programs go.
//!
//! The machine's PROM loads one ELF file: this loader, with the boot archive behind it ([`aegis_abi::boot`]).
//! Everything that takes judgement is in this library, which touches no hardware and runs on the host as well:
//!
//! - [`memory`]: which memory the machine has, and the map that says what is in it
//! - [`archive`]: the boot archive, a cpio archive in the `newc` format
//! - [`elf`]: the ELF files in it
//! - [`arguments`]: the boot arguments
//! - [`plan`]: from these, where every byte goes; or one line that says why not
//!
//! No input makes it panic, and it has no unsafe code. The binary beside it (`main.rs`) asks the PROM for the inputs,
//! carries a plan out and enters the kernel. Since a plan is complete before the first byte is moved, what is refused
//! is refused whole.

#![no_std]
#![forbid(unsafe_code)]

pub mod archive;
pub mod arguments;
pub mod elf;
pub mod memory;
pub mod plan;
