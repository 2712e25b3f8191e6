//! ExOS: the policies of an operating system as a library, each of which a program may take or replace.
//!
//! - [`page_table`]: what the pages of the normal segment are, and what happens when one is missed
//! - [`pipe`]: bytes from one environment to another
//! - [`mod@rpc`]: procedures of a service in another environment

#![no_std]
#![feature(asm_experimental_arch)]

pub mod page_table;
pub mod pipe;
pub mod rpc;
