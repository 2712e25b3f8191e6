//! Copies files, or its input, to its output: `cat [FILE…]`.

#![no_std]
#![no_main]

use exos::process::file;
use exos_apps::{each_input, each_piece};

exos::process!(main);

fn main() -> u32 {
    let copy = |descriptor| each_piece(descriptor, |piece| file::write(file::OUTPUT, piece).map(|()| true));
    u32::from(!each_input(copy, 0))
}
