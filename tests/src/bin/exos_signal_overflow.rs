//! A stack that overflows without an alternate one: the signal can't be delivered, and the program ends with a report.
//@ verdict: fail
//@ expect: exos_signal_overflow: fault: store to an unmapped page
//@ forbid: not reached

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos::exception::Context;
use exos::signal::{Signal, action};
use exos::vm::Vm;

fn never(_: Signal, _: &mut Context) {
    exos_rt::println!("not reached");
}

#[inline(never)]
#[expect(unconditional_recursion, reason = "that is the test")]
fn level(n: u32) -> u32 {
    let words = core::hint::black_box([n; 64]);
    level(n + 1) + words[n as usize % 64]
}

fn main() {
    Vm::install().unwrap();
    action(Signal::Segv, Some(never), 0).unwrap();
    core::hint::black_box(level(0));
    exos_rt::println!("not reached");
}
