//! A handler that fails in its own way for ever: the stack for exceptions overflows, and the program ends with a report.
//@ run: exos_handler_overflow,limit=64 aegis_witness
//@ verdict: fail
//@ expect: exos_handler_overflow: fault: store to an unmapped page, address=0x3ffdf
//@ expect: aegis_witness: undisturbed

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

use exos::exception::{Context, handle};
use exos::vm::Vm;
use exos_rt::abi::exception::Code;

extern "C" fn again(_: &mut Context) {
    // SAFETY: it does nothing but to fail.
    unsafe { core::arch::asm!("break", options(nostack)) };
}

fn main() {
    Vm::install().unwrap();
    // SAFETY: that it does harm is the test.
    unsafe {
        handle(Code::Breakpoint, Some(again)).unwrap();
        core::arch::asm!("break", options(nostack));
    }
}
