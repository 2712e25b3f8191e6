//! Every register survives the end of a slice: two programs fill them with values of their own and look, for eight slices.
//@ run: aegis_registers,seed=305419896 aegis_registers,seed=2271560481
//@ expect: aegis_registers: 8 slices, all registers kept
//@ expect: aegis: 2 programs ended, 0 badly

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

use core::arch::naked_asm;
use exos_rt::sequences::slices_used;
use exos_rt::{println, program};

fn main() {
    let seed = program::number("seed").expect("the seed is an argument");
    while slices_used() < 8 {
        // SAFETY: it keeps what a function must keep.
        assert_eq!(unsafe { fill_wait_compare(seed) }, 0, "a register was changed");
    }
    println!("{}: {} slices, all registers kept", program::name(), slices_used());
}

/// Gives every register but `$k0`, `$k1` and `$a1` a value made of `seed`, waits, and returns the bits in which any of them
/// differs then.
#[unsafe(naked)]
unsafe extern "C" fn fill_wait_compare(seed: u32) -> u32 {
    naked_asm!(
        ".set noreorder",
        ".set noat",
        // What a function must keep goes to the stack, and where the stack is to memory.
        "addiu $sp, $sp, -48",
        ".set place, 0",
        ".irp n, 16,17,18,19,20,21,22,23,28,30,31",
        "sw    $\\n, place($sp)",
        ".set place, place + 4",
        ".endr",
        "lui   $a1, %hi(aegis_registers_stack)",
        "sw    $sp, %lo(aegis_registers_stack)($a1)",
        // Multiples of the seed, in $a1, one for each register.
        "move  $a1, $a0",
        ".irp n, 1,2,3,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,28,29,30,31",
        "addu  $a1, $a1, $a0",
        "move  $\\n, $a1",
        ".endr",
        "addu  $a1, $a1, $a0",
        "mthi  $a1",
        "addu  $a1, $a1, $a0",
        "mtlo  $a1",
        "ori   $a1, $zero, 0xffff",
        "1: bne $a1, $zero, 1b",
        " addiu $a1, $a1, -1",
        // The same again: each register becomes its difference from what it should be.
        "move  $a1, $a0",
        ".irp n, 1,2,3,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,28,29,30,31",
        "addu  $a1, $a1, $a0",
        "subu  $\\n, $\\n, $a1",
        ".endr",
        ".irp n, 1,3,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,28,29,30,31",
        "or    $v0, $v0, $\\n",
        ".endr",
        "mfhi  $at",
        "mflo  $v1",
        "addu  $a1, $a1, $a0",
        "subu  $at, $at, $a1",
        "or    $v0, $v0, $at",
        "addu  $a1, $a1, $a0",
        "subu  $v1, $v1, $a1",
        "or    $v0, $v0, $v1",
        "lui   $a1, %hi(aegis_registers_stack)",
        "lw    $sp, %lo(aegis_registers_stack)($a1)",
        "nop",
        ".set place, 0",
        ".irp n, 16,17,18,19,20,21,22,23,28,30,31",
        "lw    $\\n, place($sp)",
        ".set place, place + 4",
        ".endr",
        "addiu $sp, $sp, 48",
        "jr    $ra",
        " nop",
        ".pushsection .bss",
        ".balign 4",
        "aegis_registers_stack: .space 4",
        ".popsection",
    )
}
