//! Ownership and protection that needs no hardware: the part of Aegis that is tested on the host.
//!
//! Who owns what, and whether a request is allowed, is decided here by safe code on plain data; the kernel proper
//! applies the decisions to the machine.
//!
//! - [`system`]: all tables together, and the rules that concern more than one of them
//! - [`frames`]: who owns which frame, and where it may be mapped
//! - [`capability`]: names of rights that authenticate themselves
//! - [`environments`]: who lives, under which id, and whether it can be entered
//! - [`contexts`]: the names of address spaces in the TLB
//! - [`slices`]: who owns which time slice, whose turn it is, and what overrunning one costs
//! - [`revocation`]: who is asked for what, and what may be taken
//! - [`network`]: who has which packet filter, and where messages go
//! - [`source`]: in whose name a message is
//! - [`hardware`]: what the rules need done to the TLBs and to memory
//! - [`audit`]: the invariants of ownership, and the check of all of them
//! - [`mappings`]: the guaranteed mappings of an environment, and the check on every pointer that a program passes
//! - [`header`]: the check on what a program tells of itself

#![no_std]
#![forbid(unsafe_code)]

pub mod audit;
pub mod capability;
pub mod contexts;
pub mod environments;
pub mod frames;
pub mod handlers;
pub mod hardware;
pub mod header;
pub mod mappings;
pub mod network;
pub mod revocation;
pub mod slices;
pub mod source;
pub mod system;

#[cfg(test)]
mod tests;
