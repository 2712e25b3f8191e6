//! Primitive operations change no register, and do what they do in the context of the program that asks, beside one
//! that has something else at the same address. A test on the model interrupts them at each instruction between the
//! marks.
//@ expect: inject_primitives: 100 rounds, registers changed in 0, wrong values in 0, elsewhere 0

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../beside.rs"]
mod beside;
#[macro_use]
#[path = "../filled.rs"]
mod filled;

use beside::{ADDRESS, Beside, map};
use exos::page_table::HARDWARE;
use exos::vm::Vm;
use exos_rt::abi::call::{CONTEXT_SWITCH, TLB_DELETE, TLB_PROBE, TLB_PROTECT, TLB_WRITE};
use exos_rt::abi::vm::{PAGE_SHIFT, entry_lo};
use exos_rt::shared::Shared;
use exos_rt::{println, program};

/// EntryLo words for the two contexts; what was found at the address in each; what the probes said.
static WORDS: Shared<[u32; 6]> = Shared::new([0; 6]);

filled! {
    /// Enters a mapping in context 1, reads through it, makes it read-only and deletes it; then the same in context 0.
    fn both_contexts: all, [
        "addiu $v0, $zero, {CONTEXT_SWITCH}",
        "addiu $a1, $zero, 1",
        "syscall",
        "lui   $a2, %hi({words})",
        "lw    $a2, %lo({words} + 4)($a2)",
        "lui   $a1, {address}",
        "addiu $v0, $zero, {TLB_WRITE}",
        "syscall",
        "lui   $a0, %hi({words})",
        "lw    $a3, 0($a1)",
        "addiu $v0, $zero, {TLB_PROTECT}",
        "sw    $a3, %lo({words} + 12)($a0)",
        "addiu $a0, $zero, {VALID}",
        "addiu $a2, $zero, 1",
        "syscall",
        "addiu $v0, $zero, {TLB_PROBE}",
        "syscall",
        "lui   $a0, %hi({words})",
        "sw    $v0, %lo({words} + 16)($a0)",
        "addiu $v0, $zero, {TLB_DELETE}",
        "syscall",
        "addiu $v0, $zero, {TLB_PROBE}",
        "syscall",
        "lui   $a0, %hi({words})",
        "sw    $v0, %lo({words} + 20)($a0)",
        "addiu $v0, $zero, {CONTEXT_SWITCH}",
        "addiu $a1, $zero, 0",
        "syscall",
        "lw    $a2, %lo({words})($a0)",
        "lui   $a1, {address}",
        "addiu $v0, $zero, {TLB_WRITE}",
        "syscall",
        "lui   $a0, %hi({words})",
        "lw    $a3, 0($a1)",
        "addiu $v0, $zero, {TLB_DELETE}",
        "sw    $a3, %lo({words} + 8)($a0)",
        "syscall",
    ],
    words = sym WORDS,
    address = const ADDRESS >> 16,
    CONTEXT_SWITCH = const CONTEXT_SWITCH,
    TLB_WRITE = const TLB_WRITE,
    TLB_DELETE = const TLB_DELETE,
    TLB_PROBE = const TLB_PROBE,
    TLB_PROTECT = const TLB_PROTECT,
    VALID = const entry_lo::VALID,
}

fn main() {
    Vm::install().unwrap();
    let beside = Beside::start();
    let frames = [map(100), map(101)];
    let [entry_0, entry_1] = frames.map(|frame| frame << PAGE_SHIFT | HARDWARE);
    let rounds = program::number("rounds").unwrap_or(100);
    let (mut changed, mut wrong) = (0, 0);
    for round in 0..rounds {
        WORDS.set([entry_0, entry_1, 0, 0, 0, 1]);
        // SAFETY: it uses no memory but the words and the page, and keeps what a function must keep.
        changed += u32::from(unsafe { both_contexts(0x0123_4567 + round, 0, 0, 0) } != 0);
        // The mapping is read-only, or gone if the address spaces were taken back meanwhile.
        let [_, _, in_0, in_1, protected, deleted] = WORDS.get();
        let expected = [100, 101, entry_1 & !entry_lo::DIRTY, 0];
        wrong += u32::from([in_0, in_1, protected, deleted] != expected);
    }
    let elsewhere = beside.stop();
    let name = program::name();
    println!("{name}: {rounds} rounds, registers changed in {changed}, wrong values in {wrong}, elsewhere {elsewhere}");
}
