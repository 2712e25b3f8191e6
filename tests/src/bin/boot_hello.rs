//! The least that can go right: one program, one line, the end.
//@ expect: boot_hello: hello

#![no_std]
#![no_main]
exos_rt::program!(main);

fn main() {
    exos_rt::println!("{}: hello", exos_rt::program::name());
}
