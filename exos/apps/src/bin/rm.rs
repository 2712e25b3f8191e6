//! Removes files that can be written to: `rm FILE…`.

#![no_std]
#![no_main]

use exos::process::{arguments, store};

exos::process!(main);

fn main() -> u32 {
    let mut status = u32::from(arguments().nth(1).is_none());
    for name in arguments().skip(1) {
        if let Err(error) = store::remove(name) {
            exos::complain!("{name}: {error}");
            status = 1;
        }
    }
    status
}
