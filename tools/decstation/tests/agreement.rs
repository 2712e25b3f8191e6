//! The static checker and strict mode agree: the same straight-line programs, the same verdict, the same instruction.

mod common;
use common::*;
use decstation::{Limits, Stop};
use hazard::{Finding, Options, check_code};
use proptest::prelude::*;

/// Page 0 mapped for every address space, memory written, registers that point at it.
const SETUP: &str = "
    la $8, 0x80040000; sw $0, 0($8); sw $0, 4($8)
    mtc0 $0, $10; la $9, 0x40700; mtc0 $9, $2; li $9, 0x500; mtc0 $9, $0; nop; tlbwi
    lui $9, 0x8010; li $10, 0x1000; lui $11, 0x3000; mtc0 $9, $10; mtc0 $10, $0; nop; nop
";

/// What can stand in a line, none of which traps: $8 points to memory, $9 to $11 suit EntryHi, Index and Status.
const LINES: [&str; 35] = [
    "nop",
    "nop",
    "addu $2, $2, $3",
    "addu $3, $4, $2",
    "li $4, 5",
    "lw $2, 0($8)",
    "lw $3, 4($8)",
    "lb $4, 1($8)",
    "lhu $2, 2($8)",
    "lwl $2, 3($8)",
    "lwr $2, 0($8)",
    "sw $2, 0($8)",
    "sw $4, 4($8)",
    "lw $2, 0x10($0)",
    "sw $0, 0x10($0)",
    "mfhi $2",
    "mflo $3",
    "mult $2, $3",
    "divu $4, $4",
    "mthi $3",
    "mtlo $4",
    "mfc0 $2, $12",
    "mfc0 $3, $10",
    "mtc0 $9, $10",
    "mtc0 $0, $2",
    "mtc0 $10, $0",
    "mtc0 $11, $12",
    "tlbp",
    "tlbr",
    "tlbwi",
    "mtc0 $0, $13",
    "b 1f; nop; 1f: nop",
    "rfe",
    "b 1f; rfe; 1f: nop",
    "bc0f 1f; addiu $4, $4, 1; 1f: nop",
];

/// The first broken rule in order of execution, by the static checker: instruction and rules.
fn statically(program: &Program) -> Option<(u32, Vec<String>)> {
    let words: Vec<u32> = program.words.iter().map(|&(_, word)| word).collect();
    let findings = check_code(BASE, &words, &Options::default());
    let last = |finding: &Finding| finding.instructions.last().map_or(finding.address, |&(address, _)| address);
    let first = findings.iter().map(last).min()?;
    let mut rules: Vec<_> = findings.iter().filter(|f| last(f) == first).map(|f| f.rule.name().to_string()).collect();
    rules.sort();
    Some((first, rules))
}

/// The same by running it.
fn dynamically(text: &str) -> (Program, Option<(u32, String)>) {
    let (mut machine, program) = load(strict(), text);
    match machine.run(Limits::instructions(10_000)) {
        Stop::Halted => (program, None),
        Stop::Strict(violation) => (program, Some((violation.pc, violation.rule.name().to_string()))),
        stop => panic!("{} in {text}", machine.describe(&stop)),
    }
}

fn agree(lines: &str) -> Result<(), TestCaseError> {
    let text = format!("{SETUP}\nsw $0, 0x10($0)\n{lines}\nnop; nop; nop\n{HALT}");
    let (program, found) = dynamically(&text);
    let expected = statically(&program);
    match (&expected, &found) {
        (None, None) => {}
        (Some((address, rules)), Some((pc, rule))) => {
            prop_assert_eq!(address, pc, "{:?} and {:?} for {}", &expected, &found, lines);
            prop_assert!(rules.contains(rule), "{:?} and {:?} for {}", &expected, &found, lines);
        }
        _ => prop_assert!(false, "the checker says {:?}, the machine {:?} for {}", &expected, &found, lines),
    }
    Ok(())
}

#[test]
fn each_pair_and_each_at_a_distance() {
    for a in LINES {
        for b in LINES {
            for between in ["", "nop;", "nop; nop;", "nop; nop; nop;"] {
                agree(&relabel([a, between, b])).unwrap_or_else(|error| panic!("{error}"));
            }
        }
    }
}

/// Joins lines, giving each its own labels.
fn relabel<'a>(lines: impl IntoIterator<Item = &'a str>) -> String {
    lines.into_iter().enumerate().map(|(i, line)| line.replace("1f", &format!("L{i}")) + "; ").collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn random_lines(lines in prop::collection::vec(prop::sample::select(&LINES[..]), 1..20)) {
        agree(&relabel(lines))?;
    }
}
