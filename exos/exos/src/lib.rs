//! ExOS: the policies of an operating system as a library, each of which a program may take or replace.
//!
//! - [`page_table`]: what the pages of the normal segment are, and what happens when one is missed
//! - [`mod@process`]: processes, files, pipes, the terminal
//! - [`console`]: formatted text on a descriptor

#![no_std]
#![feature(asm_experimental_arch)]

pub mod console;
pub mod page_table;
pub mod process;
