//! Two programs print more than the console's queue holds: nothing is lost, and no line is mixed with another.
//@ run: aegis_console,name=left aegis_console,name=right
//@ expect: left: line 0 of 100: the quick brown fox jumps over the lazy dog
//@ expect: left: line 99 of 100: the quick brown fox jumps over the lazy dog
//@ expect: aegis: 2 programs ended, 0 badly
//@ forbid: left: right
//@ forbid: right: left

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::{println, program};

fn main() {
    let name = program::arguments().find_map(|argument| argument.strip_prefix("name=")).unwrap_or("?");
    for line in 0..100 {
        println!("{name}: line {line} of 100: the quick brown fox jumps over the lazy dog");
    }
}
