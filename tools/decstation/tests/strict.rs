//! Strict mode: each rule broken once, and what looks like it but is allowed.

mod common;
use common::*;
use decstation::{Config, Limits, Rule, Stop};

/// The rule that a program breaks, if any, and whether at the label `here`.
fn broken(text: &str) -> Option<Rule> {
    let mut found = Vec::new();
    for timed in [false, true] {
        let (mut machine, program) = load(Config { timed, ..strict() }, &format!("{text}\n{HALT}"));
        found.push(match machine.run(Limits::instructions(10_000)) {
            Stop::Halted => None,
            Stop::Strict(violation) => {
                if let Some(&here) = program.labels.get("here") {
                    assert_eq!(violation.pc, here, "{violation} in {text}");
                }
                Some(violation.rule)
            }
            stop => panic!("{} in {text}", machine.describe(&stop)),
        });
    }
    assert_eq!(found[0], found[1]);
    found[0]
}

#[track_caller]
fn breaks(rule: Rule, text: &str) {
    assert_eq!(broken(text), Some(rule), "{text}");
}

#[track_caller]
fn keeps(text: &str) {
    assert_eq!(broken(text), None, "{text}");
}

const AT: &str = "la $8, 0x80031000; sw $0, 0($8); sw $0, 4($8);";

#[test]
fn load_delay() {
    breaks(Rule::LoadDelay, &format!("{AT} lw $2, 0($8); here: addu $3, $2, $2"));
    breaks(Rule::LoadDelay, &format!("{AT} lw $2, 0($8); here: sw $2, 4($8)"));
    breaks(Rule::LoadDelay, &format!("{AT} lw $2, 0($8); here: bne $2, $0, here; nop"));
    breaks(Rule::LoadDelay, &format!("{AT} b over; lw $2, 0($8); over: here: move $3, $2"));
    breaks(Rule::LoadDelay, "mfc0 $2, $12; here: move $3, $2");
    breaks(Rule::LoadDelay, &format!("{AT} lwl $2, 3($8); here: move $3, $2"));
    keeps(&format!("{AT} lw $2, 0($8); nop; move $3, $2"));
    keeps(&format!("{AT} lw $2, 0($8); li $2, 5; move $3, $2"));
    keeps(&format!("{AT} lw $2, 0($8); lw $2, 4($8); nop; move $3, $2"));
    keeps(&format!("{AT} lwl $2, 3($8); lwr $2, 0($8); nop; move $3, $2"));
    keeps(&format!("{AT} lw $0, 0($8); addu $3, $0, $0"));
}

#[test]
fn hi_lo() {
    breaks(Rule::HiLo, "mfhi $2; here: mult $8, $9");
    breaks(Rule::HiLo, "mflo $2; nop; here: divu $8, $8");
    breaks(Rule::HiLo, "mflo $2; here: mthi $8");
    keeps("mflo $2; nop; nop; mult $8, $9");
    keeps("mult $8, $9; mflo $2; mfhi $3");
}

#[test]
fn tlb_setup() {
    breaks(Rule::TlbSetup, "mtc0 $0, $0; here: tlbwi");
    breaks(Rule::TlbSetup, "li $8, 0x1000; mtc0 $8, $10; here: tlbp");
    breaks(Rule::TlbSetup, "li $8, 0x1000; mtc0 $8, $10; mtc0 $0, $2; here: tlbwr");
    breaks(Rule::TlbSetup, "mtc0 $0, $0; here: tlbr");
    keeps("li $8, 0x1000; mtc0 $8, $10; mtc0 $0, $2; nop; tlbwr");
}

#[test]
fn mapping_change() {
    let page = "la $9, 0x80040000; sw $0, 0($9); li $8, 0x1000; mtc0 $8, $10; li $9, 0x40700; mtc0 $9, $2; li $9, 0x500; mtc0 $9, $0; nop; tlbwi;";
    breaks(Rule::MappingChange, &format!("{page} here: lw $2, 0($8)"));
    breaks(Rule::MappingChange, &format!("{page} nop; here: lw $2, 0($8)"));
    keeps(&format!("{page} nop; nop; lw $2, 0($8); nop"));
    breaks(Rule::MappingChange, &format!("{page} nop; nop; lw $2, 0($8); mtc0 $0, $10; nop; here: lw $2, 0($8)"));
    keeps(&format!("{page} nop; nop; lw $2, 0($8); mtc0 $0, $10; la $9, 0x80040000; lw $2, 0($9); nop"));
    // tlbwr; jr; rfe is enough.
    let user = "la $9, 0x00040000; mtc0 $9, $10; la $10, 0x40700; mtc0 $10, $2; la $10, 0x80040000; li $11, 0x0000000c; sw $11, 0($10); li $11, 0x30000008; mtc0 $11, $12; nop; nop; tlbwr; jr $9; rfe";
    let (mut machine, _) =
        load(strict(), &format!(".org 0x80000080; la $25, 0xbfc08138; jr $25; nop; .org 0x80030000; start: {user}"));
    let stop = machine.run(Limits::instructions(1000));
    assert_eq!(stop, Stop::Halted, "{stop}");
}

#[test]
fn status_change() {
    let to = "la $9, on; li $8, 0x30000000; mtc0 $8, $12;";
    breaks(Rule::StatusChange, &format!("{to} jr $9; here: rfe; on: nop"));
    keeps(&format!("{to} nop; nop; jr $9; rfe; on: nop"));
    breaks(Rule::StatusChange, &format!("{AT} li $9, 0x30010000; mtc0 $9, $12; nop; here: sw $0, 0($8)"));
    breaks(Rule::StatusChange, "li $9, 0x10000000; mtc0 $9, $12; here: mfc1 $2");
}

#[test]
fn control_flow() {
    breaks(Rule::JumpInSlot, "b on; here: b on; on: nop");
    breaks(Rule::JumpInSlot, "beq $0, $0, on; here: jr $31; on: nop");
    breaks(Rule::Rfe, "here: rfe");
    breaks(Rule::JalrSameRegister, "la $8, on; here: jalr $8, $8; nop; on: nop");
    breaks(Rule::NotMips1, "here: .word 0x0000000f");
    breaks(Rule::WildJump, "li $8, 0xa0800000; jr $8; nop");
    breaks(Rule::WildJump, "li $8, 0x00001000; jr $8; nop");
    breaks(Rule::WildJump, "li $8, 0x80030002; jr $8; nop");
}

#[test]
fn kernel_mode_runs_nothing_of_kuseg() {
    breaks(
        Rule::KernelFetch,
        "li $8, 0x40000; mtc0 $8, $10; li $9, 0x40700; mtc0 $9, $2; nop; tlbwi; nop; nop; jr $8; nop",
    );
}

#[test]
fn duplicates() {
    let entry = |index: u32, hi: u32, lo: u32| {
        format!(
            "li $8, {hi:#x}; mtc0 $8, $10; li $8, {lo:#x}; mtc0 $8, $2; li $8, {:#x}; mtc0 $8, $0; nop;",
            index << 8
        )
    };
    breaks(Rule::TlbDuplicate, &format!("{} tlbwi; {} here: tlbwi", entry(1, 0x1000, 0), entry(2, 0x1000, 0)));
    breaks(Rule::TlbDuplicate, &format!("{} tlbwi; {} here: tlbwi", entry(1, 0x1040, 0x100), entry(2, 0x1080, 0)));
    keeps(&format!("{} tlbwi; {} tlbwi", entry(1, 0x1040, 0), entry(2, 0x1080, 0)));
    keeps(&format!("{} tlbwi; {} tlbwi", entry(1, 0x1000, 0), entry(1, 0x1000, 0x200)));
    keeps(&format!("{} tlbwi; {} tlbwi", entry(1, 0x8000_0000, 0), entry(2, 0x8000_0000, 0)));
}

#[test]
fn memory_never_written() {
    breaks(Rule::UninitializedRead, "la $8, 0x80100000; here: lw $2, 0($8)");
    breaks(Rule::UninitializedRead, "la $8, 0xa0100000; here: lw $2, 0($8)");
    breaks(Rule::UninitializedRead, "la $8, 0x80100000; sb $0, 1($8); lbu $2, 1($8); nop; here: lhu $2, 0($8)");
    breaks(Rule::UninitializedRead, "la $8, 0x80100000; sw $0, 4($8); lw $2, 4($8); nop; here: lw $2, 0($8)");
    breaks(Rule::UninitializedRead, "la $8, 0x80100000; jr $8; nop");
    keeps("la $8, 0x80100000; sb $0, 0($8); sb $0, 1($8); sh $0, 2($8); lw $2, 0($8); nop");
    // An unaligned load of four bytes that were written, in two words of which the rest was not.
    keeps(
        "la $8, 0x80100000; sb $0, 3($8); sb $0, 4($8); sb $0, 5($8); sb $0, 6($8); lwr $2, 3($8); lwl $2, 6($8); nop",
    );
}

#[test]
fn wild_stores_and_absent_things() {
    breaks(Rule::WildStore, "li $8, 0xa0800000; here: sw $0, 0($8)");
    breaks(Rule::WildStore, "li $8, 0xbfc00000; here: sw $0, 0($8)");
    breaks(Rule::CachedDevice, "li $8, 0x9fe80000; here: lw $2, 0($8)");
    breaks(Rule::Fpu, "here: mfc1 $2");
    breaks(Rule::NotMips1, "here: mfc0 $2, $9");
    breaks(Rule::Cp0ReadOnly, "here: mtc0 $2, $14");
}

#[test]
fn what_is_tolerated_is_counted() {
    let text = format!(
        "{AT} li $9, 3; again: lw $2, 0($8); here: addu $3, $2, $2; mflo $4; mult $8, $9; \
        addiu $9, $9, -1; bne $9, $0, again; nop; {HALT}"
    );
    for timed in [false, true] {
        let (mut machine, program) = load(Config { timed, tolerant: true, ..strict() }, &text);
        assert_eq!(machine.run(Limits::instructions(10_000)), Stop::Halted);
        let broken: Vec<_> = machine.broken().iter().map(|(first, times)| (first.rule, first.pc, *times)).collect();
        let here = program.labels["here"];
        assert_eq!(broken, [(Rule::LoadDelay, here, 3), (Rule::HiLo, here + 8, 3)]);
        assert_eq!(machine.fork().broken().len(), 2);
    }
}
