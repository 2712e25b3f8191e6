//! Signed overflow.
//@ run: aegis_fault_overflow aegis_witness
//@ verdict: fail
//@ expect: aegis_fault_overflow: fault: arithmetic overflow, pc=0x0001
//@ expect: {line:fault}
//@ expect: aegis_witness: undisturbed
//@ expect: aegis: 3 programs ended, 1 badly
//@ forbid: not reached

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

fn main() {
    // SAFETY: there is none; that is the test.
    unsafe { core::arch::asm!(".set noreorder", ".set noat", "add $8, {0}, {0}", in(reg) i32::MAX, out("$8") _) } // line: fault
    exos_rt::println!("not reached");
}
