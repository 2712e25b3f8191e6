//! Aegis: an exokernel, after Engler, Kaashoek and O'Toole (SOSP'95), for the MIPS R3000.
//!
//! It multiplexes the machine securely and does nothing else: it tracks who owns what, checks each use once when it is bound,
//! and takes back. Memory management, processes, communication and scheduling are libraries in the programs.
//!
//! Principles that the code keeps to:
//! - The kernel runs unmapped, with interrupts off, on one stack that is empty whenever a program runs. It never blocks.
//! - What a program passes (pointer, length, number) is checked before use; nothing a program does makes the kernel panic.
//! - Every call is bounded in time, whatever its arguments.
//! - Assembly and `unsafe` are in [`arch`] and [`machine`]; decisions that need no hardware are in the crate `aegis-core`.
//!
//! Where to begin: [`boot`] for how it starts, [`arch`] for exceptions and calls, [`kernel`] for what it does then.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod arch;
mod boot;
mod call;
mod console;
mod handlers;
mod kernel;
mod machine;
mod network;
mod panic;
mod primitive;
