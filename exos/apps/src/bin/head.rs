//! The first lines of files, or of its input: `head [-LINES] [FILE…]`, or `head -n LINES`; ten if it is not said.

#![no_std]
#![no_main]

use exos::process::{arguments, file};
use exos_apps::{each_input, each_piece};

exos::process!(main);

fn main() -> u32 {
    let long = arguments().nth(1) == Some("-n");
    let lines = if long { arguments().nth(2) } else { arguments().nth(1).and_then(|first| first.strip_prefix('-')) };
    let wanted = lines.and_then(|lines| lines.parse::<u32>().ok());
    if long && wanted.is_none() {
        exos::complain!("-n: a number of lines is missing");
        return 1;
    }
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
    u32::from(!each_input(copy, usize::from(wanted.is_some()) + usize::from(long)))
}
