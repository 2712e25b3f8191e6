//! The interface of Aegis as types: all that kernel, libraries, loader and tools agree on.
//!
//! Numbers, layouts and errors are defined here and nowhere else; assembly gets them as constants. There is no logic,
//! no unsafe code and no dependency. A layout that both sides of a boundary read is `repr(C)` and its size is asserted
//! beside it.
//!
//! - [`call`]: the system calls and how they are made
//! - [`Error`]: what a call can refuse with
//! - [`exception`]: exception causes, upcalls, and the save page through which a program sees its own exceptions
//! - [`mod@env`]: names of environments, and the directory of those that live
//! - [`filter`]: the language of packet filters
//! - [`ash`]: handlers that the kernel executes when a message arrives
//! - [`frame`]: physical memory and capabilities
//! - [`public`]: what every program can see of the kernel's tables
//! - [`network`]: the interface, filters that are installed, and where messages go
//! - [`program`]: the header in every program, which tells the kernel where to enter it
//! - [`revocation`]: what an environment is asked to give up, and what was taken
//! - [`slice`](mod@slice): the processor as a vector of time slices
//! - [`vm`]: pages and the address map of a program
//! - [`boot`]: what the loader hands to the kernel
//! - [`console`]: the lines by which a run is judged
//! - [`mark`]: no-operation instructions by which a benchmark shows where an operation begins and ends

#![no_std]
#![forbid(unsafe_code)]

pub mod ash;
pub mod boot;
pub mod call;
pub mod console;
pub mod env;
mod error;
pub mod exception;
pub mod filter;
pub mod frame;
pub mod mark;
pub mod network;
pub mod program;
pub mod public;
pub mod revocation;
pub mod slice;
pub mod vm;

pub use env::EnvId;
pub use error::Error;

/// Version of this interface. A kernel or program built for another is refused by the loader.
pub const VERSION: u32 = 6;
