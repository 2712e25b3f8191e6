//! Time: what each stall costs, worked out by hand from the profiles' parameters.

mod common;
use common::*;
use decstation::profile::{DEC2100, DEC3100, DEC5000, DEC5000_200, PROFILES};
use decstation::{Config, Limits, Machine, Mark, Profile, Stall, Stop};

/// Runs a body that may loop back to `again` once, so that the second round has its code in the cache; marks of that round.
fn second_round(profile: Profile, setup: &str, body: &str) -> (Mark, Mark) {
    let text = format!(
        "{setup}; li $29, 2; again: mark 1; {body}; mark 2; addiu $29, $29, -1; bne $29, $0, again; nop; {HALT}"
    );
    let (mut machine, _) = load(Config { profile, timed: true, ..plain() }, &text);
    let stop = machine.run(Limits::instructions(1_000_000));
    assert_eq!(stop, Stop::Halted, "{}", machine.describe(&stop));
    let marks = machine.take_marks();
    (marks[2], marks[3])
}

#[track_caller]
fn costs(profile: Profile, setup: &str, body: &str, kind: Stall, expected: u64) {
    let (a, b) = second_round(profile, setup, body);
    let stalls = b.stalls.since(&a.stalls);
    assert_eq!(stalls.get(kind), expected, "{}: {body}: {stalls:?}", profile.name);
    assert_eq!(a.cycles_to(&b), a.instructions_to(&b) + stalls.total());
}

#[test]
fn ordinary_instructions_take_one_cycle() {
    for profile in PROFILES {
        let (a, b) = second_round(
            profile,
            "la $8, 0x80040000; sw $0, 0($8)",
            "lw $2, 0($8); addiu $3, $3, 1; beq $0, $0, on; nop; on: sll $4, $3, 2",
        );
        assert_eq!((a.instructions_to(&b), a.cycles_to(&b)), (5, 5), "{}", profile.name);
    }
}

#[test]
fn a_procedure_call_takes_seven_cycles() {
    for profile in PROFILES {
        let (a, b) = second_round(
            profile,
            "b start2; nop; null: jr $31; nop; start2: nop",
            "jal null; nop; slt $2, $8, $9; bne $2, $0, on; nop; on:",
        );
        assert_eq!(a.cycles_to(&b), 7, "{}", profile.name);
    }
}

#[test]
fn data_misses() {
    // Each round reads words that no round before has.
    let walk = "addiu $8, $8, 64; lw $2, 0($8); lw $3, 4($8); lw $4, 12($8); nop";
    costs(DEC3100, "la $8, 0x80040000", walk, Stall::DataMiss, 3 * 5);
    costs(DEC5000_200, "la $8, 0x80040000", walk, Stall::DataMiss, 15);
    costs(DEC5000, "la $8, 0x80040000", walk, Stall::DataMiss, 30);
    // Two words 64 KB apart push each other out.
    let conflict = "lw $2, 0($8); lw $3, 0($9); nop";
    costs(DEC5000_200, "la $8, 0x80040000; la $9, 0x80050000", conflict, Stall::DataMiss, 30);
    costs(DEC5000_200, "la $8, 0x80040000; la $9, 0x80050010", conflict, Stall::DataMiss, 0);
}

#[test]
fn code_misses() {
    let (mut machine, _) = load(Config { timed: true, ..plain() }, &format!("{}{HALT}", "nop\n".repeat(40)));
    machine.run(Limits::instructions(40));
    assert_eq!(machine.counts().stalls.get(Stall::CodeMiss), 10 * 15);
    let (mut machine, _) =
        load(Config { timed: true, profile: DEC3100, ..plain() }, &format!("{}{HALT}", "nop\n".repeat(40)));
    machine.run(Limits::instructions(40));
    assert_eq!(machine.counts().stalls.get(Stall::CodeMiss), 40 * 5);
    // Uncached code pays for every word.
    let (mut machine, program) =
        load(Config { timed: true, ..plain() }, "la $8, there+0x20000000; jr $8; nop; there: nop; nop; nop; nop");
    machine.run(Limits::instructions(4));
    let before = machine.counts().stalls.get(Stall::CodeMiss);
    machine.run(Limits::instructions(4));
    assert_eq!(machine.pc(), program.labels["there"] + 0x2000_0010);
    assert_eq!(machine.counts().stalls.get(Stall::CodeMiss) - before, 4 * 12);
}

#[test]
fn write_buffers_fill() {
    let burst = |n: u32| (0..n).map(|i| format!("sw $0, {}($8);", i * 4)).collect::<String>() + "nop;";
    let idle = "nop; nop; nop; nop; nop; nop; nop; nop; nop; nop; nop; nop; nop; nop; nop; nop; nop; nop; nop; nop; nop; nop; nop; nop;";
    let setup = format!("la $8, 0x80040000; {idle}");
    costs(DEC2100, &setup, &format!("{idle}{}", burst(4)), Stall::WriteBuffer, 0);
    costs(DEC2100, &setup, &format!("{idle}{}", burst(8)), Stall::WriteBuffer, 18);
    costs(DEC5000_200, &setup, &format!("{idle}{}", burst(32)), Stall::WriteBuffer, 0);
    costs(DEC5000, &setup, &format!("{idle}{}{idle}{idle}", burst(8)), Stall::WriteBuffer, 18 - 8);
}

#[test]
fn store_loops_of_the_3100_gather() {
    // Published: 8 cycles with two stores to one word, 12 with a third to another.
    let run = |body: &str| {
        let text =
            format!("la $8, 0x80040000; li $9, 1000; mark 1; loop: {body}; bne $9, $0, loop; nop; mark 2; {HALT}");
        let (mut machine, _) = load(Config { profile: DEC3100, timed: true, ..plain() }, &text);
        assert_eq!(machine.run(Limits::instructions(100_000)), Stop::Halted);
        let marks = machine.take_marks();
        marks[0].cycles_to(&marks[1]) / 1000
    };
    assert_eq!(run("sw $9, 0($8); lw $10, 0($8); nop; nop; addiu $9, $9, -1; sw $0, 0($8)"), 8);
    assert_eq!(run("sw $9, 0($8); lw $10, 0($8); nop; sw $9, 64($8); nop; addiu $9, $9, -1; sw $0, 0($8)"), 12);
}

#[test]
fn multiplication_and_division_run_beside_the_pipeline() {
    costs(DEC5000, "nop", "mult $8, $9; mflo $2; nop; nop", Stall::MultiplyDivide, 11);
    costs(DEC5000, "nop", "mult $8, $9; nop; nop; nop; mflo $2; nop; nop", Stall::MultiplyDivide, 8);
    costs(DEC5000, "nop", "mult $8, $9; mflo $2; mfhi $3; nop; nop", Stall::MultiplyDivide, 11);
    costs(DEC5000, "li $9, 3", "div $8, $9; mflo $2; nop; nop", Stall::MultiplyDivide, 34);
}

#[test]
fn partial_stores_and_uncached_reads() {
    let setup = "la $8, 0x80040000; la $9, 0xa0040000; lui $10, 0xbff0; sw $0, 0($8); lw $2, 0($8)";
    costs(DEC5000, setup, "sb $0, 1($8); sb $0, 2($8)", Stall::PartialStore, 2);
    costs(DEC5000_200, setup, "lw $2, 0($9); nop", Stall::UncachedRead, 12);
    costs(DEC5000_200, setup, "lw $2, 0($10); nop", Stall::UncachedRead, 8);
    costs(DEC3100, setup, "lw $2, 0($10); nop", Stall::UncachedRead, 10);
}

#[test]
fn exceptions_lose_cycles() {
    let setup = ".org 0x80000080; mfc0 $26, $14; nop; addiu $26, $26, 4; jr $26; rfe; .org 0x80030000; start: nop";
    let (a, b) = second_round(DEC5000_200, setup, "syscall");
    assert_eq!((a.instructions_to(&b), a.cycles_to(&b)), (6, 8));
}

#[test]
fn runs_repeat_to_the_cycle() {
    let text = format!(
        "la $8, 0x80040000; li $9, 5000; loop: sw $9, 0($8); lw $2, 4($8); sb $9, 9($8); addiu $9, $9, -1; bne $9, $0, loop; addiu $8, $8, 20; {HALT}"
    );
    let run = |pieces: u64| {
        let (mut machine, _) = load(Config { timed: true, ..plain() }, &text);
        while machine.run(Limits::instructions(pieces)) == Stop::Budget {}
        (machine.instructions(), machine.cycles(), *machine.counts())
    };
    // However the harness cuts it up.
    assert_eq!(run(1_000_000), run(1_000_000));
    assert_eq!(run(1_000_000), run(1));
    assert_eq!(run(1_000_000), run(777));
}

#[test]
fn cycle_limits_hold() {
    let (mut machine, _) =
        load(Config { timed: true, ..plain() }, "la $8, 0x80040000; loop: lw $2, 0($8); b loop; addiu $8, $8, 64");
    assert_eq!(machine.run(Limits::cycles(10_000)), Stop::Budget);
    assert!((10_000..10_040).contains(&machine.cycles()), "{}", machine.cycles());
}

#[test]
fn profiles_know_cycles_and_microseconds() {
    let mut machine = Machine::new(Config { profile: DEC2100, ..Config::default() });
    assert_eq!(machine.microseconds(), 0.0);
    machine.run(Limits::instructions(1));
    assert_eq!(DEC2100.microseconds(125), 10.0);
}
