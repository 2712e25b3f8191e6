//! One hostile handler for each rule, which is refused for it, and one for each thing that only shows when it runs,
//! which is stopped; and what is not to be refused.

mod common;

use aegis_abi::ash::*;
use aegis_ash::{Handler, words_max};
use aegis_codegen::Register as R;
use common::*;
use mips1::Cp0;
use mips1::encode::*;

const REGION_BYTES: u32 = 4096;

/// A return behind some words.
fn returning(words: &[u32]) -> Vec<u32> {
    [words, &[jr(R::RA), li(R::V0, CONSUMED as i16)]].concat()
}

/// The word and the rule for which a handler is refused.
fn refused(words: &[u32]) -> (u16, Rule) {
    match rewritten(words, REGION_BYTES) {
        Err(Refusal { word, rule }) => (word, rule),
        Ok(_) => panic!("it is accepted"),
    }
}

#[test]
fn each_rule_refuses() {
    let nothing = nop();
    let (t0, t1, t2) = (R::T0, R::T1, R::T2);
    let (message, region) = (R::S5, R::GP);
    // Behind a word that does nothing.
    let refuses = |rule: Rule, words: &[u32], word: u16| {
        let all = returning(&[&[nothing], words].concat());
        assert_eq!(refused(&all), (word + 1, rule), "{words:08x?}");
    };
    let mut broken = vec![Rule::Size];
    let mut each = |rule: Rule, cases: &[(&[u32], u16)]| {
        broken.push(rule);
        cases.iter().for_each(|&(words, word)| refuses(rule, words, word));
    };

    // A trap of MIPS II, `movz`, `sync`, and bits that must be zero.
    each(Rule::Undefined, &[(&[0x0000_0034], 0), (&[0x0109_500a], 0), (&[0x0000_000f], 0), (&[0x0020_0000], 0)]);
    each(
        Rule::Privileged,
        &[
            (&[mfc0(t0, Cp0::STATUS)], 0),
            (&[mtc0(t0, Cp0::STATUS)], 0),
            (&[tlbwr()], 0),
            (&[rfe()], 0),
            (&[bc0f(1), nothing], 0),
            (&[syscall()], 0),
            (&[break_(1)], 0),
        ],
    );
    // `add.d`, `mfc1`, `lwc1`, `swc1`, `cop2`, `lwc3`.
    let floats: [u32; 6] = [0x4620_0000, 0x4408_0000, 0xc7a0_0000, 0xe7a0_0000, 0x4a00_0000, 0xcd00_0000];
    for word in floats {
        each(Rule::Coprocessor, &[(&[word], 0)]);
    }
    each(Rule::Trapping, &[(&[add(t0, t0, t1)], 0), (&[addi(t0, t0, 1)], 0), (&[sub(t0, t0, t1)], 0)]);
    each(
        Rule::Indirect,
        &[(&[jr(t0), nothing], 0), (&[jalr(R::RA, t0), nothing], 0), (&[jalr(t0, R::RA), nothing], 0)],
    );
    each(Rule::Jump, &[(&[j(0), nothing], 0), (&[bgezal(t0, 1), nothing], 0), (&[bltzal(t0, 1), nothing], 0)]);
    each(
        Rule::Call,
        &[(&[jal(4 * CALLS as u32), nothing], 0), (&[jal(0x8003_0000), nothing], 0), (&[jal(0x0fff_fffc), nothing], 0)],
    );
    each(
        Rule::Target,
        &[
            // Behind the end, before the beginning, as far as can be, into its own slot, and into another's.
            (&[beq(t0, t1, 3), nothing], 0),
            (&[beq(t0, t1, -3), nothing], 0),
            (&[bne(t0, t1, 0x7fff), nothing], 0),
            (&[bne(t0, t1, -0x8000), nothing], 0),
            (&[blez(t0, 0), nothing], 0),
            (&[blez(t0, 2), nothing], 0),
            (&[bgtz(t0, 1), nothing, bltz(t0, -2), nothing], 2),
        ],
    );
    each(
        Rule::Slot,
        &[
            (&[b(1), lw(t0, 0, t1)], 1),
            (&[b(1), sw(t0, 0, t1)], 1),
            (&[b(1), lw(t0, 42, message)], 1),
            (&[b(1), beq(t0, t1, 0)], 1),
            (&[b(1), jr(R::RA)], 1),
            (&[jal(4 * SEND), jal(4 * SEND)], 1),
            (&[b(1), div(t0, t1)], 1),
            (&[b(1), mult(t0, t1)], 1),
            (&[b(1), mflo(t0)], 1),
            (&[b(1), mthi(t0)], 1),
        ],
    );
    for register in (0..32).filter(|n| *n != 0 && USABLE >> n & 1 == 0) {
        let register = R::new(register).expect("a register");
        each(
            Rule::Reserved,
            &[
                (&[addu(register, t0, t1)], 0),
                (&[addu(t0, register, t1)], 0),
                (&[addu(t0, t1, register)], 0),
                (&[lui(register, 0)], 0),
                (&[sll(register, t0, 1)], 0),
                (&[mflo(register)], 0),
                (&[lw(register, 0, t0)], 0),
                (&[lw(register, 42, message)], 0),
                (&[lw(register, 0, region)], 0),
                (&[sw(register, 0, region)], 0),
                (&[lwl(register, 42, message)], 0),
                (&[mult(register, t0)], 0),
                (&[beq(t0, register, 1), nothing], 0),
                (&[bltz(register, 1), nothing], 0),
                (&[b(1), addiu(register, register, 1)], 1),
            ],
        );
        if ![MESSAGE, REGION].contains(&register.number()) {
            each(Rule::Reserved, &[(&[lw(t0, 0, register)], 0), (&[sw(t0, 0, register)], 0)]);
        }
    }
    each(Rule::MessageStore, &[(&[sw(t0, 42, message)], 0), (&[sb(t0, 42, message)], 0), (&[swl(t0, 42, message)], 0)]);
    each(
        Rule::MessageBounds,
        &[
            (&[lb(t0, -1, message)], 0),
            (&[lw(t0, -2, message)], 0),
            (&[lb(t0, 1518, message)], 0),
            (&[lw(t0, 0x7ffe, message)], 0),
            (&[lh(t0, -0x8000, message)], 0),
            // These touch the bytes before the message, and behind the greatest.
            (&[lwl(t0, 0, message)], 0),
            (&[lwl(t0, 1, message)], 0),
            (&[lwr(t0, 1518, message)], 0),
        ],
    );
    each(
        Rule::RegionBounds,
        &[
            (&[lb(t0, -1, region)], 0),
            (&[sw(t0, -4, region)], 0),
            (&[sb(t0, 8192, region)], 0),
            (&[lw(t0, 8192, region)], 0),
            (&[sw(t0, 0x7ffc, region)], 0),
            (&[swr(t0, 8192, region)], 0),
        ],
    );
    each(
        Rule::Alignment,
        &[
            (&[lw(t0, 40, message)], 0),
            (&[lhu(t0, 41, message)], 0),
            (&[lw(t0, 2, region)], 0),
            (&[sh(t0, 3, region)], 0),
            (&[sw(t0, 1, region)], 0),
        ],
    );
    each(
        Rule::LoadDelay,
        &[
            (&[lw(t0, 0, t1), addu(t2, t0, t1)], 1),
            (&[lw(t0, 0, t1), lw(t2, 0, t0)], 1),
            (&[lw(t0, 0, t1), sw(t0, 0, t1)], 1),
            (&[lbu(t0, 42, message), beq(t0, R::ZERO, 1), nothing], 1),
            (&[lwr(t0, 42, message), lwl(t1, 0, t0)], 1),
        ],
    );
    each(
        Rule::HiLo,
        &[
            (&[mflo(t0), mult(t1, t2)], 1),
            (&[mfhi(t0), nothing, multu(t1, t2)], 2),
            (&[mfhi(t0), nothing, mtlo(t1)], 2),
            (&[mflo(t0), nothing, div(t1, t2)], 2),
        ],
    );
    broken.extend([Rule::End, Rule::Loop]);
    // Nothing that ends it, a branch that may not be taken, a call, an end without a slot.
    assert_eq!(refused(&[nothing]), (0, Rule::End));
    assert_eq!(refused(&[beq(t0, t1, -1), nothing]), (1, Rule::End));
    assert_eq!(refused(&[jal(4 * SEND), nothing]), (1, Rule::End));
    assert_eq!(refused(&[nothing, jr(R::RA)]), (1, Rule::End));
    assert_eq!(refused(&[b(-1), b(-2)]), (1, Rule::Slot));
    // A loop that calls what costs most.
    let body = [jal(4 * SEND), nothing].repeat(100);
    let again = returning(&[&body[..], &[bne(t0, t1, -201), nothing]].concat());
    let handler = Handler { words: &again, region_bytes: REGION_BYTES };
    rewritten_at(&handler, 300, CODE).expect("as much can be charged");
    assert_eq!(rewritten_at(&handler, 330, CODE).map(|_| ()), Err(Refusal { word: 200, rule: Rule::Loop }));

    broken.sort_unstable();
    broken.dedup();
    assert_eq!(broken, Rule::ALL, "each rule is broken once");
}

#[test]
fn sizes() {
    let good = returning(&[]);
    assert_eq!(refused(&[]), (0, Rule::Size));
    let words = |count: usize| returning(&vec![0; count - 2]);
    assert_eq!(refused(&words(WORDS_MAX + 1)), (0, Rule::Size));
    rewritten(&words(WORDS_MAX), REGION_BYTES).expect("the greatest is accepted");
    for bytes in [0, 1, 2048, 4095, 4097, 12288, REGION_MAX * 2, u32::MAX] {
        assert_eq!(rewritten(&good, bytes).map(|_| ()), Err(Refusal { word: 0, rule: Rule::Size }), "{bytes}");
    }
    for bytes in [REGION_MIN, REGION_MAX] {
        rewritten(&good, bytes).expect("it is a size");
    }
    // The most that can become of a word, in the greatest handler.
    let dear = returning(&vec![sb(R::T0, -1, R::A0); WORDS_MAX - 2]);
    let (done, code) = rewritten(&dear, REGION_BYTES).expect("it is a handler");
    assert_eq!(done.words, code.len());
    assert!(done.words <= words_max(WORDS_MAX) && done.words > 4 * (WORDS_MAX - 2));
    assert_eq!(4 * words_max(WORDS_MAX), 4096, "a frame");
}

/// Runs a handler that is accepted.
fn run(words: &[u32], budget: u32, change: impl Fn(&mut State)) -> State {
    let (done, code) = rewritten(words, REGION_BYTES).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    let mut state = start(&mut Random(7), REGION_BYTES, 64);
    change(&mut state);
    Processor::new(done, &code, REGION_BYTES).run(&state, budget)
}

#[test]
fn what_takes_too_long_is_stopped() {
    let overrun = |words: &[u32]| assert_eq!(run(words, 1000, |_| {}).outcome, Outcome::Overrun);
    // For ever, in one instruction and its slot; in two loops, one within the other; with calls.
    overrun(&[b(-1), nop()]);
    overrun(&[addiu(R::T0, R::T0, 1), bne(R::T0, R::ZERO, -2), nop(), b(-4), nop()]);
    overrun(&[jal(4 * WAKE), nop(), b(-3), nop()]);
    overrun(&[b(2), nop(), div(R::T0, R::T1), li(R::T1, 1), b(-3), nop()]);
    // A large transfer, again and again.
    let copy = [li(R::A1, 0), li(R::A2, 64), jal(4 * COPY), nop(), b(-5), nop()];
    overrun(&copy);
    // Without a budget loops are not gone through twice, but what has none runs to its end.
    assert_eq!(run(&returning(&[nop(); 100]), 0, |_| {}).outcome, Outcome::Consumed);
}

#[test]
fn divisions_are_guarded() {
    for (words, outcome) in [
        ([div(R::T0, R::T1), nop()], Outcome::DivideByZero),
        ([divu(R::T0, R::T1), nop()], Outcome::DivideByZero),
        ([div(R::T0, R::ZERO), nop()], Outcome::DivideByZero),
        ([div(R::T1, R::T0), mflo(R::T2)], Outcome::Consumed),
    ] {
        let state = run(&returning(&words), 0, |state| (state.registers[8], state.registers[9]) = (1 << 31, 0));
        assert_eq!(state.outcome, outcome);
    }
    // The quotient that does not exist.
    let words = returning(&[div(R::T0, R::T1), mflo(R::T2)]);
    let state = run(&words, 0, |state| (state.registers[8], state.registers[9]) = (1 << 31, u32::MAX));
    assert_eq!((state.outcome, state.registers[10]), (Outcome::Consumed, 1 << 31));
}

#[test]
fn transfers_are_checked() {
    let copy = |from: u32, bytes: u32| {
        run(&returning(&[jal(4 * COPY), nop()]), 10_000, move |state| {
            state.registers[4..7].copy_from_slice(&[MAPPED, from, bytes]);
            state.message.truncate(64);
        })
        .outcome
    };
    assert_eq!(copy(0, 64), Outcome::Consumed);
    assert_eq!(copy(64, 0), Outcome::Consumed);
    for (from, bytes) in [(0, 65), (64, 1), (65, 0), (u32::MAX, 1), (1, u32::MAX), (u32::MAX, 2), (32, 33)] {
        assert_eq!(copy(from, bytes), Outcome::BadTransfer, "{bytes} from {from}");
    }
    assert_eq!(run(&returning(&[jal(4 * ABORT), nop()]), 0, |_| {}).outcome, Outcome::Aborted);
}

#[test]
fn pointers_lead_into_the_region() {
    // Whatever the pointer: kernel memory, devices, other programs, the ends of the region.
    let words = returning(&[
        sw(R::A1, 0, R::A0),
        sw(R::A1, 4, R::A0),
        sb(R::A1, 4091, R::A0),
        sh(R::A1, -2, R::A0),
        swl(R::A1, 3, R::A0),
        lw(R::T0, 0, R::A0),
    ]);
    for pointer in [0, 3, 0x8000_0080, 0xbfc0_0000, 0xa000_0001, u32::MAX, MAPPED, MAPPED + 4095, REGION_AT - 1] {
        let state = run(&words, 0, |state| (state.registers[4], state.registers[5]) = (pointer, 0x1122_3344));
        // What it stored last there is what it loads: the processor's watcher has seen where.
        assert_eq!(state.outcome, Outcome::Consumed);
    }
    // A pointer that the owner has mapped means what it means to the owner.
    let words = returning(&[lw(R::A0, 16, R::GP), nop(), sw(R::A1, 8, R::A0)]);
    let state = run(&words, 0, |state| {
        state.region[16..20].copy_from_slice(&(MAPPED + 100).to_le_bytes());
        state.registers[5] = 0x0102_0304;
    });
    assert_eq!(state.region[108..112], [4, 3, 2, 1]);
}

#[test]
fn accesses_by_one_register_share_their_address() {
    let words_of = |words: &[u32]| rewritten(&returning(words), REGION_BYTES).expect("it is a handler").0.words;
    let none = words_of(&[]);
    let stores = |base: R| -> Vec<u32> { (0..4).map(|n| sw(R::T0, 4 * n, base)).collect() };
    // Two instructions for four stores; none at fixed places, nor for the message.
    assert_eq!(words_of(&stores(R::A0)) - none, 4 + 2);
    assert_eq!(words_of(&stores(R::GP)) - none, 4);
    assert_eq!(words_of(&[lw(R::T0, 42, R::S5), lw(R::T1, 46, R::S5)]) - none, 2);
    // Again when the register has changed, behind a call, and where something else may come from.
    let change = [&stores(R::A0)[..], &[addiu(R::A0, R::A0, 4)], &stores(R::A0)].concat();
    assert_eq!(words_of(&change) - none, 9 + 4);
    let call = [&stores(R::A0)[..], &[jal(4 * WAKE), nop()], &stores(R::A0)].concat();
    assert_eq!(words_of(&call) - none, 10 + 4);
    let target = [&stores(R::A0)[..], &[bltz(R::T1, 1), nop()], &stores(R::A0)].concat();
    assert_eq!(words_of(&target) - none, 10 + 4);
    // Not behind a branch that only leaves.
    let leave = [&stores(R::A0)[..], &[bltz(R::T1, 5), nop()], &stores(R::A0)].concat();
    assert_eq!(words_of(&leave) - none, 10 + 2);
}
