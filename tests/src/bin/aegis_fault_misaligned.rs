//! A load from an address that is no multiple of its size.
//@ run: aegis_fault_misaligned aegis_witness
//@ verdict: fail
//@ expect: aegis_fault_misaligned: fault: load or fetch from a misaligned or kernel address, address=0x00010002, pc=0x0001
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
    unsafe { core::arch::asm!(".set noreorder", ".set noat", "lw $8, 2({0})", "nop", in(reg) 0x1_0000, out("$8") _) } // line: fault
    exos_rt::println!("not reached");
}
