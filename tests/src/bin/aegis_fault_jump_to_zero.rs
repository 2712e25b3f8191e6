//! A program that jumps to address 0.
//@ run: aegis_fault_jump_to_zero aegis_witness
//@ verdict: fail
//@ expect: aegis_fault_jump_to_zero: fault: load or fetch from an unmapped page, address=0x00000000, pc=0x00000000
//@ expect: aegis_witness: undisturbed
//@ expect: aegis: 3 programs ended, 1 badly
//@ forbid: not reached

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

fn main() {
    // SAFETY: there is none; that is the test.
    unsafe { core::arch::asm!(".set noreorder", ".set noat", "jr $zero", "nop") }
    exos_rt::println!("not reached");
}
