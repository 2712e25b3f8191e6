//! Table 13: the same operations with other page tables: the paper's, a linear vector that is looked up by binary search
//! (*original*), and an inverted one.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../vm.rs"]
mod vm;

use exos::page_table::{Inverted, Linear};
use exos_rt::environment::spawn;
use exos_rt::{call, public};

/// The second one has an environment of its own, in a slice of its own.
extern "C" fn inverted(_: u32) -> ! {
    vm::Measured::<Inverted, 20>::run(13, "exos_inverted");
    call::exit(0)
}

fn main() {
    vm::Measured::<Linear, 0>::run(13, "exos_linear");
    let (id, _) = spawn(inverted, 0, Some((public::position() + 1) % 64)).expect("an environment can be made");
    while call::wake(id).is_ok() {
        call::yield_slice();
    }
}
