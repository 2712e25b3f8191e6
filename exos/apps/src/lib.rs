//! What the programs of ExOS share: reading files, numbers among arguments, editing a line. And two programs as libraries,
//! for a benchmark and a test each, that manage their own resources, the paper's motivation (section 2):
//!
//! - [`store`]: a store of records that has fewer frames than pages, and decides itself which page goes
//! - [`collector`]: a garbage collector that learns from exceptions where old objects were changed

#![no_std]

pub mod collector;
pub mod line;
pub mod network;
pub mod remote;
pub mod store;
pub mod web;

use exos::process::{Fail, file};

/// The descriptors that a program reads: of the files that its arguments name, or, if they name none, its input. What
/// can't be opened is complained of, and makes the result false.
pub fn each_input(mut with: impl FnMut(u32) -> Result<(), Fail>, skip: usize) -> bool {
    let mut good = true;
    let mut any = false;
    for name in exos::process::arguments().skip(1 + skip) {
        any = true;
        let result = file::open(name).and_then(|descriptor| {
            let result = with(descriptor);
            file::close(descriptor)?;
            result
        });
        if let Err(error) = result {
            if error == Fail::Broken {
                return false;
            }
            exos::complain!("{name}: {error}");
            good = false;
        }
    }
    any && good || !any && with(file::INPUT).is_ok()
}

/// The number that an argument is.
#[must_use]
pub fn number(place: usize) -> Option<u32> {
    exos::process::arguments().nth(place)?.parse().ok()
}

/// Gives each piece that is read from a descriptor to a function, until it says that it is enough.
///
/// # Errors
/// Those of [`file::read`].
pub fn each_piece(descriptor: u32, mut with: impl FnMut(&[u8]) -> Result<bool, Fail>) -> Result<(), Fail> {
    let mut buffer = [0; 512];
    loop {
        match file::read(descriptor, &mut buffer)? {
            0 => return Ok(()),
            count if !with(&buffer[..count])? => return Ok(()),
            _ => {}
        }
    }
}
