//! Three pages, which are there, and then are not: `cargo exo run`.

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::println;
use template::Pages;

fn main() {
    let pages = Pages::new(0x2800_0000, 3).expect("there is memory");
    // SAFETY: they are mapped, and nobody else has them.
    unsafe { pages.page(2).write_volatile(1995) };
    // SAFETY: as above.
    println!("template: the third page has {}", unsafe { pages.page(2).read_volatile() });
    println!("template: they are taken away: {:?}", pages.remove());
}
