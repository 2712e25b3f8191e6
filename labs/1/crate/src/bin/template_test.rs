//! Pages are there as long as they should be, and their place can be used again: `cargo exo test`.
//@ expect: template_test: the second page has 7
//@ expect: template_test: fault: load or fetch from an unmapped page
//@ verdict: fail

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::println;
use template::Pages;

fn main() {
    Pages::new(0x2800_0000, 2).unwrap().remove().unwrap();
    let pages = Pages::new(0x2800_0000, 2).unwrap();
    let second = pages.page(1);
    // SAFETY: it is mapped, and nobody else has it.
    unsafe { second.write_volatile(7) };
    // SAFETY: as above.
    println!("template_test: the second page has {}", unsafe { second.read_volatile() });
    pages.remove().unwrap();
    // SAFETY: it is a load, which ends the program if all is as it should be.
    println!("template_test: it still has {}", unsafe { second.read_volatile() });
}
