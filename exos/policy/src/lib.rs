//! Policies of library operating systems that need no machine: safe code on plain data, tested on the host.
//!
//! - [`schedule`]: what a scheduler asks of a policy
//! - [`stride`]: shares of the processor, exactly (the paper's section 7.3)
//! - [`lottery`]: the same shares, by chance
//! - [`paging`]: which page is to go when another needs its frame

#![no_std]
#![forbid(unsafe_code)]

pub mod lottery;
pub mod paging;
pub mod schedule;
pub mod stride;
