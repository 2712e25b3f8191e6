//! The longest stretch of a kernel, on a kernel whose every path has a known length.

mod common;
use common::*;
use decstation::{Began, Config, Exception, Injection, Limits, Machine, Stop, Stretch};

/// A miss, in which a page is mapped to itself, takes 8 instructions, an interrupt as many. A system call takes
/// 13 + 2 * `$v0`; if `$v0` is -1 it polls Cause a hundred times and goes on for 49 instructions, if it is -2 it halts.
const KERNEL: &str = "
    .org 0x80000000
            mfc0 $k0, $10; nop; ori $k0, $k0, 0x700; mtc0 $k0, $2; mfc0 $k0, $14; tlbwr; jr $k0; rfe
    .org 0x80000080
            mfc0 $k0, $14; mfc0 $k1, $13; nop; andi $k1, $k1, 0x7c; bne $k1, $zero, call; nop; jr $k0; rfe
    call:   addiu $k0, $k0, 4
            bltz $v0, other
            addiu $k1, $v0, 1
    again:  bne $v0, $zero, again
            addiu $v0, $v0, -1
            jr $k0
            rfe
    other:  bne $k1, $zero, halt
            li $t0, 99
    poll:   mfc0 $k1, $13
            bne $t0, $zero, poll
            addiu $t0, $t0, -1
            li $v0, 20
            b again
            nop
    halt:   li $t0, 1000
    last:   bne $t0, $zero, last
            addiu $t0, $t0, -1
            li $t9, 0xbfc08138
            jr $t9
            nop
    .org 0x80030000
    start:  li $t0, 1000
    first:  bne $t0, $zero, first
            addiu $t0, $t0, -1
            li $t0, 0x3000ff0c
            mtc0 $t0, $12
            li $k0, 0x40000
            jr $k0
            rfe
    .org 0x80040000
            b user
            nop
";

/// Runs a program in user mode, from `user` on until it halts.
fn machine(program: &str, config: Config, injection: Option<(u64, Injection)>) -> Machine {
    let text = format!("{KERNEL} {program} li $v0, -2; syscall");
    let polls = assemble(&text).labels["poll"];
    let (mut machine, _) = load(Config { polls: polls..polls + 4, ..config }, &text);
    if let Some((at, injection)) = injection {
        machine.inject(at, injection);
    }
    let stop = machine.run(Limits::instructions(100_000));
    assert_eq!(stop, Stop::Halted, "{}", machine.describe(&stop));
    machine
}

/// What its longest stretch is.
fn longest(program: &str) -> Option<Stretch> {
    longest_of(&machine(program, strict(), None))
}

/// The same of a machine that has run, whenever it began.
fn longest_of(machine: &Machine) -> Option<Stretch> {
    machine.longest_stretch().map(|stretch| Stretch { since: 0, ..stretch })
}

fn stretch(began: Began, from: u32, to: u32, instructions: u64) -> Option<Stretch> {
    Some(Stretch { began, since: 0, from, to, instructions, cycles: instructions })
}

#[test]
fn the_longest_counts_and_neither_start_nor_end() {
    let program = "user: li $v0, 5; syscall; li $v0, 50; syscall; li $v0, 7; syscall;";
    assert_eq!(longest(program), stretch(Began::Call(50), 0x4_0014, 0x4_0018, 13 + 2 * 50));
    assert_eq!(longest("user:"), None);
    let timed = machine(program, Config { timed: true, ..strict() }, None);
    let Some(stretch) = timed.longest_stretch() else { panic!("there is one") };
    assert_eq!((stretch.began, stretch.instructions), (Began::Call(50), 13 + 2 * 50));
    // An exception's cycles, and none of those for code that is not in the cache, for it was there.
    assert_eq!(stretch.cycles, stretch.instructions + u64::from(timed.config().profile.exception) - 1);
}

#[test]
fn a_miss_on_the_way_back_belongs_to_it() {
    let at_the_end_of_a_page = ".org 0x80040ff8; user: li $v0, 5; syscall;";
    assert_eq!(longest(at_the_end_of_a_page), stretch(Began::Call(5), 0x4_0ffc, 0x4_1000, 13 + 2 * 5 + 8));
    let miss = stretch(Began::Exception(Exception::TlbS), 0x4_000c, 0x4_000c, 8);
    assert_eq!(longest("user: li $8, 0x50000; sw $9, 0($8);"), miss, "a miss alone");
}

#[test]
fn polls_divide_it() {
    let wait = "user: li $v0, -1; syscall;";
    let (mut blind, program) = load(strict(), &format!("{KERNEL} {wait} li $v0, -2; syscall"));
    let poll = program.labels["poll"];
    assert_eq!(longest(wait), stretch(Began::Poll, poll, 0x4_0010, 49));
    blind.run(Limits::instructions(100_000));
    let whole = stretch(Began::Call(u32::MAX), 0x4_000c, 0x4_0010, 11 + 3 * 100 - 2 + 49);
    assert_eq!(longest_of(&blind), whole);
}

#[test]
fn an_interrupt_begins_another() {
    let interrupt = Injection::Interrupt { lines: 1 << 11 };
    let program = "user: li $v0, 5; syscall;";
    let call = stretch(Began::Call(5), 0x4_000c, 0x4_0010, 13 + 2 * 5);
    // One comes at each instruction: before the call, in it, just behind it, and later.
    let end = machine(program, strict(), None).instructions();
    for at in 2000..end {
        let longest = longest_of(&machine(program, strict(), Some((at, interrupt))));
        assert_eq!(longest, call, "an interrupt at {at}");
    }
    let program = "user: nop; here: nop; nop;";
    let end = machine(program, strict(), None).instructions();
    let interrupted = |at| longest_of(&machine(program, strict(), Some((at, interrupt))));
    let alone = stretch(Began::Exception(Exception::Int), 0x4_000c, 0x4_000c, 8);
    assert_eq!((2000..end).filter(|&at| interrupted(at) == alone).count(), 1);
}
