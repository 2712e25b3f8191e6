//! Programs that manage their own resources, the paper's motivation (section 2): libraries, for a benchmark and a test each.
//!
//! - [`store`]: a store of records that has fewer frames than pages, and decides itself which page goes
//! - [`collector`]: a garbage collector that learns from exceptions where old objects were changed

#![no_std]

pub mod collector;
pub mod store;
