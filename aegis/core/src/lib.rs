//! Ownership and protection that needs no hardware: the part of Aegis that is tested on the host.
//!
//! Who owns what, and whether a request is allowed, is decided here by safe code on plain data; the kernel proper
//! applies the decisions to the machine.
//!
//! - [`slices`]: who owns which time slice, whose turn it is, and what overrunning one costs
//! - [`mappings`]: the guaranteed mappings of an environment, and the check on every pointer that a program passes
//! - [`header`]: the check on what a program tells of itself

#![no_std]
#![forbid(unsafe_code)]

pub mod header;
pub mod mappings;
pub mod slices;
