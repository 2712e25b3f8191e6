//! What `hazard::mend_elf` makes of programs: free of hazards, and with the same results. Programs are random; the results
//! are those of the model, which runs what was mended in strict mode and the original without.

#[path = "../../hazard/tests/common/mod.rs"]
#[allow(dead_code, reason = "this test needs a part of it")]
mod program;

use decstation::{Config, Limits, Machine, Stop};
use hazard::{Options, ROOM, Rule, check_code, mend_elf};
use mips1::Register as R;
use mips1::encode::*;
use program::{BASE, FUNC, Program};
use proptest::prelude::*;

/// Registers that programs compute with.
const USED: [R; 6] = [R::V0, R::V1, R::T0, R::T1, R::T2, R::T3];
/// Places for mends.
const PLACES: usize = 12;
/// The PROM's `halt`, which ends a run.
const HALT: u32 = 0xbfc0_8138;
/// Memory that programs load from.
const DATA: u32 = 0x8000_4000;

fn register() -> impl Strategy<Value = R> {
    prop::sample::select(USED.to_vec())
}

/// A piece of a program: some words that are free of hazards with any other piece behind them, but for a `multu` behind a
/// read of HI or LO.
fn piece() -> impl Strategy<Value = Vec<u32>> {
    let two = || (register(), register());
    prop_oneof![
        // The lower half of a product of 64 bits, as the compiler has it.
        3 => (two(), two(), register()).prop_map(|((s, t), (u, v), d)| vec![multu(s, t), mflo(d), multu(u, v)]),
        1 => (two(), two(), register()).prop_map(|((s, t), (u, v), d)| vec![multu(s, t), mfhi(d), multu(u, v)]),
        2 => (two(), two(), register(), register())
            .prop_map(|((s, t), (u, v), d, e)| vec![multu(s, t), mflo(d), multu(u, v), mflo(e), multu(s, d)]),
        2 => register().prop_map(|d| vec![mflo(d)]),
        1 => register().prop_map(|d| vec![mfhi(d)]),
        2 => two().prop_map(|(s, t)| vec![multu(s, t)]),
        2 => (two(), register()).prop_map(|((s, t), d)| vec![addu(d, s, t)]),
        2 => (two(), register()).prop_map(|((s, t), d)| vec![xor(d, s, t)]),
        1 => (register(), any::<i16>()).prop_map(|(t, number)| vec![addiu(t, R::ZERO, number)]),
        // What is loaded is late, so it may stand behind a multiplication, and nothing reads it at once.
        1 => (two(), register(), register(), 0..8_i16)
            .prop_map(|((s, t), d, e, at)| vec![mflo(d), multu(s, t), lw(e, 4 * at, R::A0), nop()]),
        1 => (two(), 1..3_i16).prop_map(|((s, t), over)| {
            let mut words = vec![bne(s, t, over), nop(), addu(s, s, t), xor(t, s, t)];
            words.truncate(2 + over as usize);
            words
        }),
    ]
}

/// Programs in which nothing but `multu` writes HI and LO too soon, and only directly behind what reads them: that is what
/// the compiler does.
fn code() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(piece(), 1..40).prop_map(|pieces| {
        let mut code: Vec<u32> = Vec::new();
        for piece in pieces {
            let reads = |word: u32| [mflo(R::ZERO), mfhi(R::ZERO)].contains(&(word & !0xf800));
            let [.., before, _] = code[..] else {
                code.extend(piece);
                continue;
            };
            // One instruction between is what the compiler does not do.
            if reads(before) {
                code.push(nop());
                code.push(nop());
            }
            code.extend(piece);
        }
        code.extend([nop(), nop(), jr(R::RA), nop()]);
        code
    })
}

/// The program as an ELF file, with room for mends behind it.
fn link(code: &[u32]) -> Vec<u8> {
    let room = vec![nop(); 4 * PLACES];
    let words = [code, &room].concat();
    let (end, length) = (code.len() as u32, room.len() as u32);
    Program { symbols: vec![("walk", FUNC, 0, end), (ROOM, FUNC, end, length)], ..Program::new(&words) }.link()
}

/// The code in a file.
fn words(file: &[u8], count: usize) -> Vec<u32> {
    // The first section follows the header at once.
    file[52..52 + 4 * count].chunks(4).map(|word| u32::from_le_bytes(word.try_into().expect("four bytes"))).collect()
}

/// What a program leaves in registers, HI and LO, of these numbers.
fn run(code: &[u32], numbers: &[u32; 6], strict: bool) -> Result<Vec<u32>, String> {
    let mut machine = Machine::new(Config { timed: false, ram_mb: 1, strict, ..Config::default() });
    let mut poke = |at: u32, word: u32| {
        for (n, byte) in (0..).zip(word.to_le_bytes()) {
            assert!(machine.poke_byte(at + n, byte));
        }
    };
    // HI and LO are read behind it, as soon as they may be.
    let end = [mfhi(R::S0), mflo(R::S1), jr(R::T9), nop()];
    let all = [code, &end].concat();
    (BASE..).step_by(4).zip(&all).for_each(|(at, &word)| poke(at, word));
    (DATA..).step_by(4).zip(0..8).for_each(|(at, n)| poke(at, 0x0101_0101 * n));
    for (register, &number) in [2, 3, 8, 9, 10, 11].into_iter().zip(numbers) {
        machine.set_register(register, number);
    }
    machine.set_register(4, DATA);
    machine.set_register(25, HALT);
    machine.set_register(31, BASE + 4 * code.len() as u32);
    machine.set_pc(BASE);
    let stop = machine.run(Limits::instructions(2000));
    if stop != Stop::Halted {
        return Err(machine.describe(&stop));
    }
    Ok([2, 3, 8, 9, 10, 11, 16, 17].map(|register| machine.register(register)).to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn mended_programs_are_clean_and_compute_the_same(code in code(), numbers in any::<[u32; 6]>()) {
        let count = code.len() + 4 * PLACES;
        let mut file = link(&code);
        let original = words(&file, count);
        prop_assert_eq!(&original[..code.len()], &code[..]);
        let hazards = |words: &[u32]| check_code(BASE, &words[..code.len()], &Options::default());
        let places = hazards(&original);
        prop_assert!(places.iter().all(|finding| finding.rule == Rule::HiLo), "{places:?}");
        let mends = mend_elf(&mut file).expect("a program");
        let mended = words(&file, count);
        prop_assert!(mends <= PLACES);
        if places.is_empty() {
            prop_assert_eq!((mends, &mended), (0, &original));
        }
        let clean = check_code(BASE, &mended, &Options::default()).is_empty();
        // Where it is not, there was no room left, or what is behind the multiplication can't be moved.
        let blocked = mends == PLACES || code.windows(4).any(|w| multiplies_at_once(w[0], w[1]) && !movable(w[2]));
        prop_assert!(clean || blocked, "{mends} mends leave {:?}", hazards(&mended));
        let expected = run(&original, &numbers, false);
        prop_assert!(expected.is_ok(), "{expected:?}");
        prop_assert_eq!(run(&mended, &numbers, clean), expected);
    }
}

/// Whether a `multu` follows what reads HI or LO.
fn multiplies_at_once(before: u32, word: u32) -> bool {
    let reads = |word: mips1::Instruction| word.reads_hi_lo();
    let multiplies = |word: mips1::Instruction| word.opcode() == mips1::Opcode::Multu;
    mips1::Instruction::decode(before).is_some_and(reads) && mips1::Instruction::decode(word).is_some_and(multiplies)
}

/// Whether an instruction may be executed elsewhere.
fn movable(word: u32) -> bool {
    mips1::Instruction::decode(word).is_some_and(|word| word.control() == mips1::Control::Next)
}

#[test]
fn what_has_no_room_stays_as_it_is() {
    let code = [mflo(R::V0), multu(R::T0, R::T1), nop(), jr(R::RA), nop()];
    let mut file = Program { symbols: vec![("walk", FUNC, 0, 5)], ..Program::new(&code) }.link();
    let before = file.clone();
    assert_eq!(mend_elf(&mut file).expect("a program"), 0);
    assert_eq!(file, before);
    assert!(mend_elf(&mut [0; 10]).is_err(), "that is no program");
}

#[test]
fn what_is_jumped_to_is_not_moved() {
    // Behind the multiplication is what the branch goes to.
    let code =
        [beq(R::T0, R::T1, 3), nop(), mflo(R::V0), multu(R::T0, R::T1), addu(R::V1, R::V0, R::V0), jr(R::RA), nop()];
    let mut file = link(&code);
    let before = file.clone();
    assert_eq!(mend_elf(&mut file).expect("a program"), 0);
    assert_eq!(file, before);
}
