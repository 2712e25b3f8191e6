//! What the library does for a program: `cargo exo run`.

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::println;
use template::{START, fill, install};

fn main() {
    install().expect("the handlers are in order");
    fill(0).expect("there is a free frame");
    let word = START as *mut u32;
    // SAFETY: the page is there, and nobody else's.
    let read = unsafe {
        word.write_volatile(1995);
        word.read_volatile()
    };
    println!("template: the page at {START:#x} has {read}");
}
