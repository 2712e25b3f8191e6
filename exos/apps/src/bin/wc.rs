//! Counts lines, words and bytes of files, or of its input: `wc [FILE…]`.

#![no_std]
#![no_main]

use exos::println;
use exos_apps::{each_input, each_piece};

exos::process!(main);

fn main() -> u32 {
    let count = |descriptor| {
        let (mut lines, mut words, mut bytes, mut in_word) = (0_u32, 0_u32, 0_u32, false);
        each_piece(descriptor, |piece| {
            for &byte in piece {
                bytes += 1;
                lines += u32::from(byte == b'\n');
                let blank = byte.is_ascii_whitespace();
                words += u32::from(!blank && !in_word);
                in_word = !blank;
            }
            Ok(true)
        })?;
        println!("{lines:7} {words:7} {bytes:7}");
        Ok(())
    };
    u32::from(!each_input(count, 0))
}
