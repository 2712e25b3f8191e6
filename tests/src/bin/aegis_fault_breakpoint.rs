//! A breakpoint.
//@ run: aegis_fault_breakpoint aegis_witness
//@ verdict: fail
//@ expect: aegis_fault_breakpoint: fault: breakpoint, pc=0x0001
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
    unsafe { core::arch::asm!(".set noreorder", ".set noat", "break") } // line: fault
    exos_rt::println!("not reached");
}
