//! ExOS: the policies of an operating system as a library, each of which a program may take or replace.
//!
//! - [`page_table`]: what the pages of the normal segment are, and what happens when one is missed
//! - [`thread`]: threads of one environment
//! - [`sync`]: what threads wait for each other with
//! - [`scheduler`]: who of several environments runs

#![no_std]
#![feature(asm_experimental_arch)]

pub mod page_table;
pub mod scheduler;
pub mod sync;
pub mod thread;
