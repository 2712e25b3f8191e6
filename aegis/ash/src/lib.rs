//! Application-specific safe handlers (ASHs): a program's code that the kernel executes when a message arrives.
//!
//! The paper's section 6.3, and "ASHs: Application-specific handlers for high-performance messaging" (SIGCOMM'96).
//! `docs/ash.md` explains what a handler may do, how it is made safe, and what the kernel has to provide; the interface to
//! programs is [`aegis_abi::ash`].
//!
//! This crate needs neither hardware nor an allocator. What a call of it does is bounded, whatever it is passed.
//!
//! - [`rewrite`](fn@rewrite): a handler checked, and made into code that can do no harm; [`Rewriting`]: the same in steps
//! - [`compose`]: pipes compiled into one loop that copies
//! - [`chain`]: handlers of several protocol layers for one message, with commit and abort

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod chain;
mod kind;
mod pipe;
mod rewrite;

pub use pipe::{Composed, Composition, Error, LOOP_WORDS_MAX, compose, compose_checked};
pub use rewrite::{BUDGET, Handler, Kernel, MASKS, Place, Rewriting, Rewritten, Stub, masks, rewrite, words_max};
