//! An exception that a program does not handle ends it, by the kernel, with a report; it disturbs no other.
//@ run: aegis_no_handler aegis_witness
//@ verdict: fail
//@ expect: aegis: aegis_no_handler: destroyed: arithmetic overflow, unhandled, pc=0x0001
//@ expect: {line:fault}
//@ expect: aegis_witness: undisturbed
//@ forbid: not reached

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

use exos_rt::abi::exception::Code;
use exos_rt::call;

fn main() {
    // SAFETY: nowhere is always allowed; the overflow is the test.
    unsafe {
        call::set_handler(Code::Overflow, None).unwrap();
        core::arch::asm!("add $8, $9, $9", in("$9") i32::MAX, out("$8") _); // line: fault
    }
    exos_rt::println!("not reached");
}
