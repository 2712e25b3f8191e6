//! What the library does for a program: `cargo exo run`.

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos::vm::{READ, WRITE, resident};
use exos_rt::abi::vm::NORMAL_START;
use exos_rt::println;
use template::Vm;

fn main() {
    Vm::install().expect("there is memory for it");
    // SAFETY: nothing else is there.
    unsafe { Vm::zeros(NORMAL_START, 100, READ | WRITE).expect("there is room in the table") };
    let word = NORMAL_START as *mut u32;
    // SAFETY: the page is there, and nobody else's.
    let read = unsafe {
        word.write_volatile(1995);
        word.read_volatile()
    };
    println!("template: 100 pages mapped, {} touched, where {read} is", resident());
}
