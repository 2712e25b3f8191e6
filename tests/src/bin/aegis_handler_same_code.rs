//! An exception in the handler of another of the same code takes its save slots; a handler that keeps what was in them
//! elsewhere meanwhile goes back as if nothing had been.
//@ expect: aegis_handler_same_code: 2000 breakpoints, every other one in the handler of the one before

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

use core::arch::{global_asm, naked_asm};
use core::mem::offset_of;
use exos_rt::abi::exception::{Code, OWN_WORDS, SavePage};
use exos_rt::abi::vm::SAVE_PAGE;
use exos_rt::{call, println};

const ROUNDS: u32 = 1000;
/// What is in `$a0` at the inner breakpoint.
const INNER: u32 = 0x5a5;

/// Words near the end of the save page's own part: whether the handler is in a breakpoint, how many there were, what
/// was in the slot behind the inner one, and the four that are kept.
const INSIDE: usize = SAVE_PAGE as usize + offset_of!(SavePage, own) + 4 * (OWN_WORDS - 8);
const COUNT: usize = INSIDE + 4;
const SLOT: usize = INSIDE + 8;
const KEPT: usize = INSIDE + 12;

global_asm!(
    ".set noreorder",
    ".set noat",
    "same_code_handler:",
    "    lw    $a1, {inside}($zero)",
    "    addiu $a0, $a0, 4",           // behind the breakpoint
    "    bne   $a1, $zero, 1f",
    "     sw   $a0, {pc}($zero)",
    "    lw    $a1, {saved_a0}($zero)",
    "    lw    $a2, {saved_a1}($zero)",
    "    sw    $a0, {kept}($zero)",
    "    lw    $a0, {saved_a2}($zero)",
    "    sw    $a1, {kept} + 4($zero)",
    "    sw    $a2, {kept} + 8($zero)",
    "    sw    $a0, {kept} + 12($zero)",
    "    sw    $sp, {inside}($zero)",  // not 0
    "    addiu $a0, $zero, {INNER}",
    "    break",
    "    lw    $a0, {saved_a0}($zero)",
    "    lw    $a1, {kept}($zero)",
    "    sw    $a0, {slot}($zero)",
    "    sw    $a1, {pc}($zero)",
    "    lw    $a0, {kept} + 4($zero)",
    "    lw    $a1, {kept} + 8($zero)",
    "    lw    $a2, {kept} + 12($zero)",
    "    sw    $a0, {saved_a0}($zero)",
    "    sw    $a1, {saved_a1}($zero)",
    "    sw    $a2, {saved_a2}($zero)",
    "    sw    $zero, {inside}($zero)",
    "1:  lw    $a0, {count}($zero)",
    "    nop",
    "    addiu $a0, $a0, 1",
    "    j     exos_return + 32*{BREAKPOINT}",
    "     sw   $a0, {count}($zero)",
    inside = const INSIDE,
    count = const COUNT,
    slot = const SLOT,
    kept = const KEPT,
    pc = const SAVE_PAGE as usize + offset_of!(SavePage, pc) + 4 * Code::Breakpoint as usize,
    saved_a0 = const SAVE_PAGE as usize + offset_of!(SavePage, a0) + 4 * Code::Breakpoint as usize,
    saved_a1 = const SAVE_PAGE as usize + offset_of!(SavePage, a1) + 4 * Code::Breakpoint as usize,
    saved_a2 = const SAVE_PAGE as usize + offset_of!(SavePage, a2) + 4 * Code::Breakpoint as usize,
    INNER = const INNER,
    BREAKPOINT = const Code::Breakpoint as u32,
);

unsafe extern "C" {
    fn same_code_handler();
}

/// Comes to a breakpoint, and tells whether one of its arguments was another afterwards, as their differences in bits.
#[unsafe(naked)]
unsafe extern "C" fn stop(a: u32, b: u32, c: u32) -> u32 {
    naked_asm!(
        ".set noreorder",
        "move  $t0, $a0",
        "move  $t1, $a1",
        "move  $t2, $a2",
        "break",
        "xor   $t0, $t0, $a0",
        "xor   $t1, $t1, $a1",
        "xor   $t2, $t2, $a2",
        "or    $v0, $t0, $t1",
        "jr    $ra",
        " or   $v0, $v0, $t2",
    )
}

fn main() {
    // SAFETY: the handler does what handlers must, and the words of the save page are nobody else's.
    unsafe {
        call::set_handler(Code::Breakpoint, Some(same_code_handler as *const () as u32)).unwrap();
        for n in 0..ROUNDS {
            assert_eq!(stop(n, !n, n * n), 0, "a register was changed in round {n}");
            assert_eq!((SLOT as *const u32).read_volatile(), INNER, "the slot is by code");
            if n % 8 == 0 {
                call::yield_slice();
            }
        }
        let count = (COUNT as *const u32).read_volatile();
        println!("aegis_handler_same_code: {count} breakpoints, every other one in the handler of the one before");
    }
}
