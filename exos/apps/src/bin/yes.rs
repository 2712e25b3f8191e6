//! Says yes, or its argument, until nobody listens.

#![no_std]
#![no_main]

use exos::process::{arguments, file};

exos::process!(main);

fn main() -> u32 {
    let word = arguments().nth(1).unwrap_or("y").as_bytes();
    loop {
        if file::write(file::OUTPUT, word).and_then(|()| file::write(file::OUTPUT, b"\n")).is_err() {
            return 1;
        }
    }
}
