//! Fails.

#![no_std]
#![no_main]

exos::process!(main);

fn main() -> u32 {
    1
}
