//! The floating-point unit: a small program with golden registers for each instruction, exceptions, delays, rules and time.

mod common;
use common::*;
use decstation::fpu::{CAUSE_UNIMPLEMENTED, CONDITION};
use decstation::{Config, Injection, Limits, Machine, Rule, Stall, Stop};

/// Coprocessors 0 and 1 usable.
const ENABLE: &str = "li $8, 0x30000000; mtc0 $8, $12; nop; nop; nop;";

fn with_fpu(config: Config) -> Config {
    Config { fpu: true, ..config }
}

/// Runs a program with the unit on three machines, and returns the last.
#[track_caller]
fn run_all(text: &str) -> Machine {
    let text = format!("{ENABLE}\n{text}");
    run(with_fpu(strict()), &text);
    run(with_fpu(plain()), &text);
    run(with_fpu(Config { timed: true, ..strict() }), &text)
}

/// Loads constants into floating-point registers: doubles take two.
fn constants(values: &[(u32, u64, bool)]) -> String {
    let mut text = String::new();
    for &(register, bits, double) in values {
        text += &format!("li $9, {:#x}; mtc1 $9, $f{register};", bits as u32);
        if double {
            text += &format!("li $9, {:#x}; mtc1 $9, $f{};", bits >> 32, register + 1);
        }
    }
    text + "nop;"
}

fn s(value: f32) -> u64 {
    value.to_bits().into()
}

fn d(value: f64) -> u64 {
    value.to_bits()
}

/// Runs one operation on $f2 and $f4 with result $f6; returns the result and the control register.
#[track_caller]
fn operate(operation: &str, a: u64, b: u64, control: u32) -> (u64, u32) {
    let (name, format) = operation.rsplit_once('.').expect("a format");
    let double = format == "d";
    let operands = match name {
        "add" | "sub" | "mul" | "div" => "$f6, $f2, $f4",
        _ if name.starts_with("c.") => "$f2, $f4",
        _ => "$f6, $f2",
    };
    let constants = constants(&[(2, a, double), (4, b, double), (6, 0x1111_1111_2222_2222, true)]);
    let text = format!("{constants} li $9, {control:#x}; ctc1 $9, $31; nop; {operation} {operands}; nop");
    let machine = run_all(&text);
    let fpu = machine.fpu().expect("it is there");
    let low = u64::from(fpu.register(6));
    let wide = if name.starts_with("cvt") { name == "cvt.d" } else { double };
    (if wide { low | u64::from(fpu.register(7)) << 32 } else { low }, fpu.control())
}

/// Flags and causes of these exceptions.
fn raised(exceptions: u32) -> u32 {
    exceptions << 12 | exceptions << 2
}

const INEXACT: u32 = 1;
const OVERFLOW: u32 = 4;
const DIVISION: u32 = 8;
const INVALID: u32 = 16;

#[test]
fn arithmetic() {
    for (name, x, y, result) in
        [("add", 1.5, 2.25, 3.75), ("sub", 1.5, 2.25, -0.75), ("mul", 1.5, -2.25, -3.375), ("div", 9.0, -4.0, -2.25)]
    {
        assert_eq!(operate(&format!("{name}.s"), s(x as f32), s(y as f32), 0), (s(result as f32), 0), "{name}");
        assert_eq!(operate(&format!("{name}.d"), d(x), d(y), 0), (d(result), 0), "{name}");
    }
    for (name, x, result) in [("abs", -1.5, 1.5), ("abs", 2.0, 2.0), ("neg", 1.5, -1.5), ("mov", -1.5, -1.5)] {
        assert_eq!(operate(&format!("{name}.s"), s(x as f32), 0, 0), (s(result as f32), 0), "{name}");
        assert_eq!(operate(&format!("{name}.d"), d(x), 0, 0), (d(result), 0), "{name}");
    }
    assert_eq!(operate("mov.d", 0x7fff_0000_0000_0001, 0, 0), (0x7fff_0000_0000_0001, 0), "a move looks at nothing");
}

#[test]
fn rounding() {
    for (mode, bits) in [(0, 0x3eaa_aaab), (1, 0x3eaa_aaaa), (2, 0x3eaa_aaab), (3, 0x3eaa_aaaa)] {
        assert_eq!(operate("div.s", s(1.0), s(3.0), mode), (bits, raised(INEXACT) | mode), "mode {mode}");
    }
    let minus = |mode| operate("div.d", d(-1.0), d(3.0), mode).0 & 0xf;
    assert_eq!([0, 1, 2, 3].map(minus), [5, 5, 5, 6]);
    // The sign of an exact zero.
    assert_eq!(operate("sub.d", d(1.0), d(1.0), 0).0, 0);
    assert_eq!(operate("sub.d", d(1.0), d(1.0), 3).0, d(-0.0));
    // Flags stay, causes are the last operation's.
    assert_eq!(operate("add.s", s(1.0), s(1.0), raised(INEXACT)), (s(2.0), INEXACT << 2));
}

#[test]
fn conversions() {
    assert_eq!(operate("cvt.d.s", s(1.5), 0, 0), (d(1.5), 0));
    assert_eq!(operate("cvt.s.d", d(-2.5), 0, 0), (s(-2.5), 0));
    assert_eq!(operate("cvt.s.d", d(0.1), 0, 0), (s(0.1), raised(INEXACT)));
    assert_eq!(operate("cvt.s.w", -3i32 as u32 as u64, 0, 0), (s(-3.0), 0));
    assert_eq!(operate("cvt.s.w", 0x7fff_ffff, 0, 0), (s(2_147_483_648.0), raised(INEXACT)));
    assert_eq!(operate("cvt.d.w", 0x8000_0000, 0, 0), (d(-2_147_483_648.0), 0));
    for (mode, results) in [(0, [2, 4, -2, -3]), (1, [2, 3, -2, -2]), (2, [3, 4, -2, -2]), (3, [2, 3, -3, -3])] {
        for (value, result) in [2.5, 3.5, -2.5, -2.75].into_iter().zip(results) {
            let expected = (result as u32 as u64, raised(INEXACT) | mode);
            assert_eq!(operate("cvt.w.d", d(value), 0, mode), expected, "{value} by {mode}");
            assert_eq!(operate("cvt.w.s", s(value as f32), 0, mode), expected, "{value} by {mode}");
        }
    }
    assert_eq!(operate("cvt.w.d", d(-2_147_483_648.0), 0, 0), (0x8000_0000, 0));
    for value in [2_147_483_648.0, -2_147_483_649.0, f64::INFINITY] {
        assert_eq!(operate("cvt.w.d", d(value), 0, 0), (0x7fff_ffff, raised(INVALID)), "{value}");
    }
}

#[test]
fn comparisons() {
    let nan = 0x7fb0_0000;
    for (code, condition) in CONDITIONS.into_iter().enumerate() {
        for (a, b, relation) in [(s(1.0), s(2.0), 4), (s(-0.0), s(0.0), 2), (s(2.0), s(1.0), 0), (nan, s(1.0), 1)] {
            let holds = code & relation != 0;
            let exceptions = if relation == 1 && code & 8 != 0 { raised(INVALID) } else { 0 };
            let expected = if holds { CONDITION } else { 0 } | exceptions;
            assert_eq!(operate(&format!("c.{condition}.s"), a, b, 0).1, expected, "c.{condition}.s {a:x} {b:x}");
        }
    }
    assert_eq!(operate("c.lt.d", d(-1.0), d(-0.5), 0).1, CONDITION);
    assert_eq!(operate("c.f.s", 0x7fc0_0000, 0, 0).1, raised(INVALID), "a signalling NaN");
    assert_eq!(operate("c.lt.s", 1, s(1.0), 0).1, CONDITION, "a denormal");
}

#[test]
fn branches() {
    let text = |compare: &str, branch: &str| {
        format!(
            "{} {compare} $f2, $f4; nop; {branch} 1f; li $2, 1; li $2, 2; 1f: nop",
            constants(&[(2, s(1.0), false), (4, s(2.0), false)])
        )
    };
    for (compare, branch, taken) in
        [("c.lt.s", "bc1t", 1), ("c.lt.s", "bc1f", 2), ("c.eq.s", "bc1t", 2), ("c.eq.s", "bc1f", 1)]
    {
        assert_eq!(run_all(&text(compare, branch)).register(2), taken, "{compare}, {branch}");
    }
    // Too early: the condition of before.
    let early = text("c.lt.s", "bc1t").replace("nop; bc1t", "bc1t");
    assert_eq!(run(with_fpu(plain()), &format!("{ENABLE}{early}")).register(2), 2);
}

#[test]
fn moves_and_memory() {
    let machine = run_all(
        "la $8, 0x80040000; li $2, 0x12345678; sw $2, 0($8); lwc1 $f3, 0($8); nop; mfc1 $4, $f3; swc1 $f3, 4($8); lw $5, 4($8); \
         cfc1 $6, $0; li $7, -1; andi $7, $7, 0x7f; ctc1 $7, $31; cfc1 $3, $31; nop",
    );
    let registers = [3, 4, 5, 6].map(|register| machine.register(register));
    assert_eq!(registers, [0x7f, 0x1234_5678, 0x1234_5678, 0x340]);
    // The instruction in the slot sees the old value; a load of a double is two words.
    let text = format!(
        "{ENABLE} la $8, 0x80040000; li $2, 5; sw $2, 0($8); lwc1 $f3, 0($8); mfc1 $4, $f3; mfc1 $5, $f3; mtc1 $8, $f3; mfc1 $6, $f3; \
         mfc1 $7, $f3; nop"
    );
    let machine = run(with_fpu(plain()), &text);
    assert_eq!([4, 5, 6, 7].map(|register| machine.register(register)), [0, 5, 5, 0x8004_0000]);
}

#[test]
fn special_operands() {
    let (quiet, signalling, standard) = (0x7fb1_2345, 0x7fc0_0000, 0x7fbf_ffff);
    let infinity = s(f32::INFINITY);
    for (operation, a, b, result, exceptions) in [
        ("add.s", quiet, s(1.0), quiet, 0),
        ("sub.s", s(1.0), quiet, quiet, 0),
        ("mul.s", signalling, quiet, standard, INVALID),
        ("sub.s", infinity, infinity, standard, INVALID),
        ("mul.s", 0, infinity, standard, INVALID),
        ("div.s", 0, s(-0.0), standard, INVALID),
        ("div.s", s(-1.0), 0, s(f32::NEG_INFINITY), DIVISION),
        ("div.s", infinity, 0, infinity, 0),
        ("neg.s", signalling, 0, standard, INVALID),
        ("add.s", s(f32::MAX), s(f32::MAX), infinity, OVERFLOW | INEXACT),
    ] {
        assert_eq!(operate(operation, a, b, 0), (result, raised(exceptions)), "{operation} {a:x} {b:x}");
    }
    assert_eq!(operate("mul.d", d(f64::MAX), d(2.0), 1), (d(f64::MAX), raised(OVERFLOW | INEXACT) | 1));
    assert_eq!(operate("div.d", 0, 0, 0), (0x7ff7_ffff_ffff_ffff, raised(INVALID)));
}

/// The handler keeps Cause and EPC, clears the control register, and goes on behind the instruction.
const HANDLER: &str = "
    .org 0x80000080
        addiu $20, $20, 1; mfc0 $21, $13; mfc0 $22, $14; cfc1 $23, $31; ctc1 $0, $31; bltz $21, slot; nop
        addiu $26, $22, 4; jr $26; rfe
    slot: addiu $26, $22, 12; jr $26; rfe
    .org 0x80030000
    start:
";

/// Runs an operation with the unit's interrupt enabled and this control register.
fn interrupted(timed: bool, control: u32, operation: &str) -> (Machine, Program) {
    // A reserved instruction is against a rule of its own.
    let strict = !operation.contains(".word");
    let constants = constants(&[(2, 0x0000_0001, false), (4, s(0.0), false), (6, s(1.0), false), (8, s(3.0), false)]);
    let text = format!(
        "{HANDLER} {ENABLE} {constants} li $9, {control:#x}; ctc1 $9, $31; li $8, 0x30008001; mtc0 $8, $12; nop; nop; nop; {operation}; nop; nop; {HALT}"
    );
    let (mut machine, program) = load(with_fpu(Config { timed, strict, ..plain() }), &text);
    let stop = machine.run(Limits::instructions(10_000));
    assert_eq!(stop, Stop::Halted, "{}", machine.describe(&stop));
    (machine, program)
}

#[test]
fn exceptions_are_precise_interrupts() {
    for (control, operation, cause) in [
        (0, "here: add.s $f8, $f2, $f6", CAUSE_UNIMPLEMENTED),
        (0, "here: mul.s $f8, $f6, $f2", CAUSE_UNIMPLEMENTED),
        (0, "here: abs.s $f8, $f2", CAUSE_UNIMPLEMENTED),
        (0, "here: cvt.d.s $f8, $f2", CAUSE_UNIMPLEMENTED),
        (0, "here: .word 0x46000004", CAUSE_UNIMPLEMENTED),
        (DIVISION << 7, "here: div.s $f8, $f6, $f4", DIVISION << 12),
        (INVALID << 7, "here: div.s $f8, $f4, $f4", INVALID << 12),
        (INEXACT << 7, "here: div.s $f8, $f6, $f8", INEXACT << 12),
        (INEXACT << 7, "here: b on; div.s $f8, $f6, $f8; nop; on: nop", INEXACT << 12),
    ] {
        for timed in [false, true] {
            let (machine, program) = interrupted(timed, control, operation);
            assert_eq!(machine.register(20), 1, "{operation}: taken once");
            let taken = machine.register(21);
            assert_eq!(taken & 0xfc7c, 0x8000, "{operation}: an interrupt on line 5");
            assert_eq!(taken >> 31 != 0, operation.contains(" b "));
            assert_eq!(machine.register(22), program.labels["here"], "{operation}");
            assert_eq!(machine.register(23), cause | control, "{operation}");
            let fpu = machine.fpu().expect("it is there");
            assert_eq!(fpu.register(8), s(3.0) as u32, "{operation}: without a result");
            assert_eq!(machine.cp0().cause & 0x8000, 0);
        }
    }
    // Not enabled: no interrupt.
    assert_eq!(interrupted(false, 0, "div.s $f8, $f6, $f4").0.register(20), 0);
    // What is too small for a normal number is left to software.
    let tiny = "li $9, 0x00800000; mtc1 $9, $f2; nop; here: div.s $f8, $f2, $f8";
    let (machine, program) = interrupted(false, 0, tiny);
    assert_eq!((machine.register(22), machine.register(23)), (program.labels["here"], CAUSE_UNIMPLEMENTED));
}

#[test]
fn the_line_stays_up_until_the_cause_is_cleared() {
    let constants = constants(&[(2, s(1.0), false), (4, 0, false)]);
    // Interrupts are off: the operation has no result, and Cause shows the line until the control register is written.
    let text = format!(
        "{constants} li $9, {:#x}; ctc1 $9, $31; div.s $f2, $f2, $f4; mfc0 $2, $13; ctc1 $0, $31; mfc0 $3, $13; mfc1 $4, $f2; nop",
        DIVISION << 7
    );
    let machine = run_all(&text);
    assert_eq!([2, 3, 4].map(|register| machine.register(register)), [0x8000, 0, s(1.0) as u32]);
    // Software can raise it, too.
    let (machine, _) = interrupted(false, 0, "li $9, 0x20000; ctc1 $9, $31; here: nop");
    assert_eq!((machine.register(20), machine.register(23)), (1, CAUSE_UNIMPLEMENTED));
    // What waits is taken as soon as the mask lets it.
    let text = format!(
        "{HANDLER} {ENABLE} li $9, 0x20000; ctc1 $9, $31; nop; li $8, 0x30000001; mtc0 $8, $12; nop; nop; nop; move $2, $20; li $8, 0x30008001; mtc0 $8, $12; nop; nop; nop; nop"
    );
    let machine = run(with_fpu(plain()), &text);
    assert_eq!((machine.register(2), machine.register(20)), (0, 1));
}

#[test]
fn unusable_without_its_bit() {
    for fpu in [false, true] {
        for operation in
            ["add.s $f2, $f2, $f2", "mfc1 $2, $f2", "lwc1 $f2, 1($0)", "swc1 $f2, 1($0)", "bc1t 1f; 1f: nop"]
        {
            let text = format!(
                ".org 0x80000080; mfc0 $21, $13; nop; {HALT} .org 0x80030000; start: li $8, 0x10000000; mtc0 $8, $12; nop; nop; nop; {operation}; nop"
            );
            let (mut machine, _) = load(Config { fpu, ..strict() }, &text);
            assert_eq!(machine.run(Limits::instructions(1000)), Stop::Halted);
            assert_eq!(machine.register(21) & 0x3000_007c, 0x1000_002c, "{operation}");
        }
    }
}

/// The rule that a program breaks, at the label `here`.
fn broken(text: &str) -> Option<Rule> {
    let setup = constants(&[(2, d(1.0), true), (4, d(2.0), true)]);
    let text = format!("{ENABLE} la $8, 0x80040000; sw $0, 0($8); {setup} {text}; nop; nop; nop; {HALT}");
    let (mut machine, program) = load(with_fpu(strict()), &text);
    match machine.run(Limits::instructions(1000)) {
        Stop::Strict(violation) => {
            assert_eq!(violation.pc, program.labels["here"], "{violation}");
            Some(violation.rule)
        }
        stop => {
            assert_eq!(stop, Stop::Halted, "{}", machine.describe(&stop));
            None
        }
    }
}

#[test]
fn rules() {
    for (rule, text) in [
        (Some(Rule::LoadDelay), "lwc1 $f2, 0($8); here: mfc1 $2, $f2"),
        (Some(Rule::LoadDelay), "lwc1 $f3, 0($8); here: add.d $f6, $f4, $f2"),
        (Some(Rule::LoadDelay), "mtc1 $0, $f2; here: swc1 $f2, 0($8)"),
        (Some(Rule::LoadDelay), "mtc1 $0, $f4; here: c.eq.s $f2, $f4"),
        (Some(Rule::LoadDelay), "mfc1 $2, $f2; here: move $3, $2"),
        (Some(Rule::LoadDelay), "cfc1 $2, $31; here: move $3, $2"),
        (Some(Rule::LoadDelay), "lwc1 $f2, 0($8); here: neg.s $f4, $f2"),
        (None, "lwc1 $f2, 0($8); nop; mfc1 $2, $f2"),
        (None, "lwc1 $f0, 0($8); neg.s $f4, $f2"),
        (None, "lwc1 $f3, 0($8); neg.s $f4, $f2"),
        (None, "lwc1 $f2, 0($8); lwc1 $f2, 0($8)"),
        (None, "lwc1 $f4, 0($8); mov.d $f4, $f2"),
        (Some(Rule::FpuCondition), "c.eq.s $f2, $f4; here: bc1t here; nop"),
        (Some(Rule::FpuCondition), "ctc1 $0, $31; here: bc1f here"),
        (None, "c.eq.s $f2, $f4; nop; bc1t 1f; nop; 1f: nop"),
        (Some(Rule::FpuRegister), "here: add.d $f6, $f3, $f4"),
        (Some(Rule::FpuRegister), "here: mov.d $f5, $f4"),
        (Some(Rule::FpuRegister), "here: c.eq.d $f2, $f5"),
        (Some(Rule::FpuRegister), "here: add.s $f6, $f3, $f4"),
        (Some(Rule::FpuRegister), "here: cfc1 $2, $30"),
        (Some(Rule::FpuRegister), "here: ctc1 $0, $0"),
        (None, "cfc1 $2, $0; lwc1 $f7, 0($8); nop; swc1 $f7, 0($8)"),
        // There is no square root, and no fixed-point arithmetic.
        (Some(Rule::NotMips1), "here: .word 0x46001004"),
        (Some(Rule::NotMips1), "here: .word 0x46841000"),
    ] {
        assert_eq!(broken(text), rule, "{text}");
    }
    assert!(matches!(
        load(strict(), &format!("{ENABLE} add.s $f2, $f2, $f2")).0.run(Limits::instructions(100)),
        Stop::Strict(violation) if violation.rule == Rule::Fpu
    ));
}

#[test]
fn time() {
    // The wait of a store for the operation before it: what it takes less its own cycle. A marked pair is in the cache when it
    // is run a second time.
    let waits = |body: &str| {
        let text = format!(
            "{ENABLE} {} la $8, 0x80040000; sw $0, 0($8); li $10, 2; again: addiu $10, $10, -1; {} mark 1; {body}; mark 2; bne $10, $0, again; nop",
            constants(&[(2, d(1.0), true), (4, d(1.0), true), (6, d(1.0), true)]),
            "nop;".repeat(40),
        );
        let mut machine = run(with_fpu(Config { timed: true, ..plain() }), &text);
        let marks = machine.take_marks();
        let stalls = marks[3].stalls.since(&marks[2].stalls);
        assert_eq!(stalls.total(), stalls.get(Stall::Float), "{body}");
        stalls.get(Stall::Float)
    };
    for (operation, latency) in [
        ("add.s $f6, $f2, $f4", 2),
        ("sub.d $f6, $f2, $f4", 2),
        ("mul.s $f6, $f2, $f4", 4),
        ("mul.d $f6, $f2, $f4", 5),
        ("div.s $f6, $f2, $f4", 12),
        ("div.d $f6, $f2, $f4", 19),
        ("mov.s $f6, $f2", 1),
        ("cvt.w.s $f6, $f2", 2),
    ] {
        assert_eq!(waits(&format!("{operation}; mfc1 $9, $f6")), latency - 1, "{operation}");
        assert_eq!(waits(&format!("{operation}; nop; mfc1 $9, $f6")), u64::saturating_sub(latency, 2), "{operation}");
        assert_eq!(waits(&format!("{operation}; cfc1 $9, $31")), latency - 1, "{operation}");
    }
    // The units work side by side; each does one thing at a time.
    assert_eq!(waits("div.d $f6, $f2, $f4; mul.d $f8, $f2, $f4; add.d $f10, $f2, $f4"), 0);
    assert_eq!(waits("mul.d $f8, $f2, $f4; mul.d $f10, $f2, $f4"), 4);
    assert_eq!(waits("mul.d $f8, $f2, $f4; add.d $f8, $f2, $f4"), 4, "a result does not overtake another");
    assert_eq!(waits("c.eq.s $f2, $f4; nop; bc1f 1f; 1f: nop"), 0);
}

/// A loop with loads, operations, a comparison and its branch, and a moved result.
const LOOP: &str = "
    la $8, data; li $9, 6; mtc1 $0, $f0; mtc1 $0, $f1; nop
    again: lwc1 $f2, 0($8); lwc1 $f3, 4($8); addiu $9, $9, -1; mul.d $f4, $f2, $f2; add.d $f0, $f0, $f4; c.lt.d $f0, $f2; cvt.w.d $f6, $f0
           bc1t again; mfc1 $4, $f6; nop; bgtz $9, again; addu $5, $5, $4
           b end; nop
    data:  .word 0x12345678, 0x40040000
    end:   nop
";

#[test]
fn an_interrupt_at_every_instruction_leaves_no_trace() {
    // The handler uses the unit, too, and puts everything back. It runs with interrupts off.
    let text = format!(
        "
        .org 0x80000080
            mfc1 $16, $f2; mfc1 $17, $f4; cfc1 $18, $31; nop; ctc1 $0, $31; mtc1 $8, $f2; mtc1 $8, $f4; c.f.s $f2, $f4
            mtc1 $16, $f2; mtc1 $17, $f4; ctc1 $18, $31; mfc0 $26, $14; nop; jr $26; rfe
        .org 0x80030000
        start: li $8, 0x30000401; mtc0 $8, $12; nop; nop; nop; {LOOP}"
    );
    for timed in [false, true] {
        let config = with_fpu(Config { timed, ..plain() });
        let reference = run(config.clone(), &text);
        assert!(reference.register(5) > 0);
        for at in 8..reference.instructions() - 4 {
            let (mut machine, _) = load(config.clone(), &format!("{text}\n{HALT}"));
            machine.inject(at, Injection::Interrupt { lines: 0x400 });
            assert_eq!(machine.run(Limits::instructions(10_000)), Stop::Halted);
            assert_eq!(machine.counts().exceptions[0], 1, "at {at}");
            for register in [4, 5, 9] {
                assert_eq!(machine.register(register), reference.register(register), "${register}, at {at}");
            }
            let (found, expected) = (machine.fpu().expect("it is there"), reference.fpu().expect("it is there"));
            for register in 0..8 {
                assert_eq!(found.register(register), expected.register(register), "$f{register}, at {at}");
            }
            assert_eq!(found.control(), expected.control(), "at {at}");
        }
    }
}

#[test]
fn a_run_in_pieces_is_the_same_run() {
    let text = format!(
        "{HANDLER} {ENABLE} li $8, 0x30008001; mtc0 $8, $12; nop; nop; nop; li $9, 0x80; ctc1 $9, $31; {LOOP} {HALT}"
    );
    let config = with_fpu(Config { timed: true, ..strict() });
    let (mut whole, _) = load(config.clone(), &text);
    assert_eq!(whole.run(Limits::NONE), Stop::Halted);
    let (mut pieces, _) = load(config, &text);
    while pieces.step().is_none() {}
    assert!(whole.counts().stalls.get(Stall::Float) > 0);
    assert_eq!(whole.register(20), 1, "the first conversion is inexact; the handler clears the enables");
    assert_eq!(whole.counts(), pieces.counts());
    assert_eq!(whole.cycles(), pieces.cycles());
}
