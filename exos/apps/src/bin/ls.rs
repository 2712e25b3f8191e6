//! Lists the files of the boot archive, with their sizes.

#![no_std]
#![no_main]

use exos::println;

exos::process!(main);

fn main() -> u32 {
    for file in exos_rt::archive::files() {
        println!("{:8} {}", exos::process::file::content(&file).len(), file.name);
    }
    0
}
