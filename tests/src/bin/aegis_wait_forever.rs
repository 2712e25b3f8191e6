//! Environments that all wait for each other: nothing will ever happen, so the run is over.
//@ verdict: fail
//@ expect: aegis: every environment waits for another
//@ forbid: not reached

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::{call, environment, println};

extern "C" fn child(_: u32) -> ! {
    call::wait(None);
    println!("not reached");
    call::exit(0)
}

fn main() {
    environment::spawn(child, 0, Some(1)).unwrap();
    // Until the child waits, and so long that no tick ends the wait early.
    call::wait(Some(call::clock() + 3));
    call::yield_slice();
    call::wait(None);
    println!("not reached");
}
