//! Prints its arguments: `echo [-n] WORD…`.

#![no_std]
#![no_main]

use exos::print;
use exos::process::arguments;

exos::process!(main);

fn main() -> u32 {
    let bare = arguments().nth(1) == Some("-n");
    for (place, word) in arguments().skip(if bare { 2 } else { 1 }).enumerate() {
        print!("{}{word}", if place == 0 { "" } else { " " });
    }
    print!("{}", if bare { "" } else { "\n" });
    0
}
