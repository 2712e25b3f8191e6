//! Policies of library operating systems that need no machine: safe code on plain data, tested on the host.
//!
//! - [`schedule`]: what a scheduler asks of a policy
//! - [`stride`]: shares of the processor, exactly (the paper's section 7.3)
//! - [`lottery`]: the same shares, by chance
//! - [`paging`]: which page is to go when another needs its frame
//! - [`parts`]: what becomes of datagrams that come in parts
//! - [`calls`]: what becomes of calls by TCP that nobody can take yet
//! - [`sums`]: checksums, and those of files that are sent, which are summed up once
//! - [`http`]: what visitors of a server of the web ask for

#![no_std]
#![forbid(unsafe_code)]

pub mod calls;
pub mod http;
pub mod lottery;
pub mod paging;
pub mod parts;
pub mod schedule;
pub mod stride;
pub mod sums;
