//! Arguments reach the program, and those of the runtime are kept from it.
//@ run: boot_arguments,alpha,limit=500,n=5
//@ expect: boot_arguments: alpha n=5

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::{print, println, program};

fn main() {
    assert_eq!(program::number("n"), Some(5));
    assert_eq!(program::number("alpha"), None);
    print!("{}:", program::name());
    for argument in program::arguments() {
        print!(" {argument}");
    }
    println!();
}
