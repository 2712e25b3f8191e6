//! An instruction of a coprocessor that the program may not use.
//@ run: aegis_fault_coprocessor aegis_witness
//@ verdict: fail
//@ expect: aegis_fault_coprocessor: fault: coprocessor unusable, pc=0x0001
//@ expect: {line:fault}
//@ expect: aegis_witness: undisturbed
//@ expect: aegis: 3 programs ended, 1 badly
//@ forbid: not reached
//@ except-hazard: fpu that is the test: mtc1 $zero, $f0

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

fn main() {
    // SAFETY: there is none; that is the test.
    unsafe { core::arch::asm!(".set noreorder", ".set noat", ".word 0x44800000") } // line: fault
    exos_rt::println!("not reached");
}
