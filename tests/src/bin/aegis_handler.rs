//! A program handles its own exceptions and returns from them without the kernel, with every register but its own as before,
//! and it gives up its slice and comes back. A test on the model interrupts it at each instruction between its marks.
//@ expect: aegis_handler: 1000 overflows and 1000 misaligned loads handled, in 0 of them a register changed

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

use core::arch::{global_asm, naked_asm};
use exos_rt::abi::exception::{Code, SavePage};
use exos_rt::abi::vm::SAVE_PAGE;
use exos_rt::{call, mark_begin, mark_end, println, program};

// Handlers: a0 = EPC, a1 = BadVAddr, a2 = Cause. Each adds one to the counter of its code and skips the instruction. The one for
// overflow causes a misaligned load of its own while it is at it: slots are by code, so that nests.
global_asm!(
    ".set noreorder",
    ".set noat",
    "overflow_handler:",
    "    addiu $a0, $a0, 4",
    "    sw    $a0, {pc} + 4*{OVERFLOW}($zero)",
    "    lui   $a0, %hi(handled)",
    "    lw    $a1, %lo(handled)($a0)",
    "    lw    $a2, 1($zero)",          // skipped by misaligned_handler
    "    addiu $a1, $a1, 1",
    "    j     exos_return + 32*{OVERFLOW}",
    "     sw   $a1, %lo(handled)($a0)",
    "misaligned_handler:",
    "    addiu $a0, $a0, 4",
    "    sw    $a0, {pc} + 4*{ADDRESS_LOAD}($zero)",
    "    lui   $a0, %hi(handled)",
    "    lw    $a1, %lo(handled + 4)($a0)",
    "    nop",
    "    addiu $a1, $a1, 1",
    "    j     exos_return + 32*{ADDRESS_LOAD}",
    "     sw   $a1, %lo(handled + 4)($a0)",
    ".pushsection .bss",
    "    .balign 4",
    "handled: .space 8",
    ".popsection",
    pc = const SAVE_PAGE as usize + core::mem::offset_of!(SavePage, pc),
    OVERFLOW = const Code::Overflow as u32,
    ADDRESS_LOAD = const Code::AddressLoad as u32,
);

unsafe extern "C" {
    fn overflow_handler();
    fn misaligned_handler();
    static handled: [u32; 2];
}

/// Overflows, with 1 to 3 in the registers that a handler is given, and returns the bits in which one of them, or the target
/// of the instruction that failed, has changed.
#[unsafe(naked)]
unsafe extern "C" fn overflow() -> u32 {
    naked_asm!(
        ".set noreorder",
        "lui   $t0, 0x7fff",
        "addiu $a0, $zero, 1",
        "addiu $a1, $zero, 2",
        "addiu $a2, $zero, 3",
        "addiu $v0, $zero, 4",
        "add   $v0, $t0, $t0",
        "xori  $a0, $a0, 1",
        "xori  $a1, $a1, 2",
        "xori  $a2, $a2, 3",
        "xori  $v0, $v0, 4",
        "or    $v0, $v0, $a0",
        "or    $v0, $v0, $a1",
        "jr    $ra",
        " or   $v0, $v0, $a2",
    )
}

fn main() {
    // SAFETY: the handlers do what handlers must.
    unsafe {
        let former = call::set_handler(Code::Overflow, Some(overflow_handler as *const () as u32)).unwrap();
        assert!(former.is_some(), "the runtime's own handler");
        call::set_handler(Code::AddressLoad, Some(misaligned_handler as *const () as u32)).unwrap();
        let mut changed = 0;
        mark_begin!(1);
        for _ in 0..program::number("rounds").unwrap_or(1000) {
            changed += u32::from(overflow() != 0);
            call::yield_slice();
        }
        mark_end!(1);
        let [overflows, misaligned] = (&raw const handled).read_volatile();
        println!(
            "{}: {overflows} overflows and {misaligned} misaligned loads handled, in {changed} of them a register changed",
            program::name()
        );
        assert_eq!(call::set_handler(Code::Overflow, None), Ok(Some(overflow_handler as *const () as u32)));
        assert_eq!(call::set_handler(Code::Overflow, former), Ok(None));
    }
}
