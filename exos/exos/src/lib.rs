//! ExOS: the policies of an operating system as a library, each of which a program may take or replace.
//!
//! - [`mod@process`]: processes, files, pipes, the terminal
//! - [`console`]: formatted text on a descriptor
//! - [`thread`]: threads of one environment
//! - [`sync`]: what threads wait for each other with
//! - [`scheduler`]: who of several environments runs
//! - [`page_table`]: what the pages of the normal segment are, and the handlers that consult it
//! - [`vm`]: virtual memory on top of it: zeros and copies on demand, rights, sharing, paging
//! - [`backing`]: environments that keep the contents of pages that others have no frames for
//! - [`exception`]: handlers of exceptions, in Rust
//! - [`signal`]: signals as POSIX has them, on top of that
//! - [`pipe`]: bytes from one environment to another
//! - [`mod@rpc`]: procedures of a service in another environment

#![no_std]
#![feature(asm_experimental_arch)]

pub mod backing;
pub mod console;
pub mod exception;
pub mod page_table;
pub mod pipe;
pub mod process;
pub mod rpc;
pub mod scheduler;
pub mod signal;
mod state;
pub mod sync;
pub mod thread;
pub mod vm;
