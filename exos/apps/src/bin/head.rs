//! The first lines of files, or of its input: `head [-LINES] [FILE…]`, ten if it is not said.

#![no_std]
#![no_main]

use exos::process::{arguments, file};
use exos_apps::{each_input, each_piece};

exos::process!(main);

fn main() -> u32 {
    let wanted = arguments().nth(1).and_then(|first| first.strip_prefix('-')?.parse::<u32>().ok());
    let copy = |descriptor| {
        let mut left = wanted.unwrap_or(10);
        if left == 0 {
            return Ok(());
        }
        each_piece(descriptor, |piece| {
            let end = piece.iter().position(|&byte| {
                left -= u32::from(byte == b'\n');
                left == 0
            });
            file::write(file::OUTPUT, &piece[..end.map_or(piece.len(), |end| end + 1)])?;
            Ok(end.is_none())
        })
    };
    u32::from(!each_input(copy, usize::from(wanted.is_some())))
}
