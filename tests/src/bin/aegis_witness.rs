//! Runs beside a program that misbehaves and says in the end that it was not disturbed.
//@ helper

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::sequences::slices_used;
use exos_rt::{call, println, program};

/// Time slices for which it stays, unless it is told otherwise.
const STAY: u32 = 4;

fn main() {
    let stay = program::number("stay").unwrap_or(STAY);
    let mut memory = [0_u32; 512];
    let id = call::self_id();
    let mut round = 0_u32;
    while slices_used() < stay {
        round = round.wrapping_add(1);
        for (n, word) in memory.iter_mut().enumerate() {
            *word = round.wrapping_mul(n as u32 + 1);
        }
        for (n, word) in memory.iter().enumerate() {
            assert_eq!(core::hint::black_box(*word), round.wrapping_mul(n as u32 + 1));
        }
        assert_eq!(call::self_id(), id);
    }
    println!("{}: undisturbed", program::name());
}
