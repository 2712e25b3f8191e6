//! Loops that pipes are compiled into, run on the model's processor, do what the pipes do one after the other.

use aegis_abi::ash::*;
use aegis_ash::{Composed, Composition, Error, LOOP_WORDS_MAX, compose};
use aegis_codegen::Register as R;
use decstation::{Config, Limits, Machine, Stop};
use hazard::{Options, check_code};
use mips1::Cp0;
use mips1::encode::*;
use proptest::prelude::*;
use std::ops::Range;
use std::sync::{Arc, Mutex};

mod common;
use common::compute;

const CODE: u32 = 0x8003_0000;
const STATE: u32 = 0x8004_0000;
const SOURCE: u32 = 0x8005_0000;
const DESTINATION: u32 = 0x8006_0000;
const HALT: u32 = 0xbfc0_8138;

/// A pipe that has its words.
#[derive(Clone, Debug)]
enum Step {
    Checksum,
    Swap16,
    Swap32,
    Own(Vec<u32>),
}

fn pipes(steps: &[Step]) -> Vec<Pipe<'_>> {
    steps
        .iter()
        .map(|step| match step {
            Step::Checksum => Pipe::Checksum,
            Step::Swap16 => Pipe::Swap16,
            Step::Swap32 => Pipe::Swap32,
            Step::Own(words) => Pipe::Own(words),
        })
        .collect()
}

/// What the pipes do, one after the other, each with all of the data.
fn apply(steps: &[Step], data: &[u8], state: PipeState) -> (Vec<u8>, PipeState) {
    let (mut data, mut state) = (data.to_vec(), state);
    for step in steps {
        match step {
            Step::Checksum => {
                for part in data.chunks(4) {
                    let mut word = [0; 4];
                    word[..part.len()].copy_from_slice(part);
                    let (sum, carry) = state.sum.overflowing_add(u32::from_le_bytes(word));
                    state.sum = sum + u32::from(carry);
                }
            }
            Step::Swap16 => data.chunks_mut(2).for_each(<[u8]>::reverse),
            Step::Swap32 => data.chunks_mut(4).for_each(<[u8]>::reverse),
            Step::Own(words) => {
                let mut registers = [0; 32];
                registers[3] = state.own;
                for part in data.chunks_mut(4) {
                    registers[8] = u32::from_le_bytes([part[0], part[1], part[2], part[3]]);
                    words.iter().for_each(|&word| compute(&mut registers, word));
                    part.copy_from_slice(&registers[8].to_le_bytes());
                }
                state.own = registers[3];
            }
        }
    }
    (data, state)
}

fn composed(steps: &[Step], copies: bool) -> (Composed, Vec<u32>) {
    let mut code = vec![0; LOOP_WORDS_MAX];
    let pipes = pipes(steps);
    let composed = compose(&Composition { pipes: &pipes, copies }, &mut code, CODE).expect("pipes");
    code.truncate(composed.words);
    let findings = check_code(CODE, &code, &Options { user: true, ..Options::default() });
    assert!(findings.is_empty(), "{findings:?}");
    (composed, code)
}

fn poke(machine: &mut Machine, at: u32, bytes: impl IntoIterator<Item = u8>) {
    for (n, byte) in bytes.into_iter().enumerate() {
        assert!(machine.poke_byte(at + n as u32, byte));
    }
}

/// Runs a loop: what it leaves at the destination and of the state, and how many instructions it took. Watches that
/// nothing else is read or written.
fn run(code: &[u32], data: &[u8], state: PipeState) -> (Vec<u8>, PipeState, u64) {
    let mut machine = Machine::new(Config { timed: false, ram_mb: 1, ..Config::default() });
    poke(&mut machine, CODE, code.iter().flat_map(|word| word.to_le_bytes()));
    poke(&mut machine, STATE, [state.sum, state.own].into_iter().flat_map(u32::to_le_bytes));
    // What is behind the data, to the end of its last word, is no zero.
    let filled = data.len().next_multiple_of(4) - data.len();
    poke(&mut machine, SOURCE, data.iter().copied().chain(std::iter::repeat_n(0xff, filled)));
    poke(&mut machine, DESTINATION, std::iter::repeat_n(0xee, data.len() + 4));
    let wrong = Arc::new(Mutex::new(None));
    let (watcher, bytes) = (wrong.clone(), data.len() as u32);
    machine.set_tracer(Some(Box::new(move |step| {
        let Some(address) = step.address else { return };
        let store = step.word >> 29 == 5;
        let within = |range: Range<u32>| range.contains(&address);
        let good = within(STATE..STATE + 8)
            || if store {
                within(DESTINATION..DESTINATION + bytes)
            } else {
                within(SOURCE..SOURCE + bytes.next_multiple_of(4))
            };
        if !good {
            watcher.lock().expect("nobody panicked").get_or_insert(*step);
        }
    })));
    // No register has a value that the loop may count on; those that are kept across calls stay.
    (1..32).for_each(|register| machine.set_register(register, 0xdead_0000 | register as u32));
    for (register, value) in [(4, SOURCE), (5, DESTINATION), (6, bytes), (7, STATE), (31, HALT)] {
        machine.set_register(register, value);
    }
    machine.set_pc(CODE);
    let stop = machine.run(Limits::instructions(1_000_000));
    assert_eq!(stop, Stop::Halted, "{}", machine.describe(&stop));
    assert_eq!(*wrong.lock().expect("nobody panicked"), None);
    for register in (16..24).chain(28..31) {
        assert_eq!(machine.register(register), 0xdead_0000 | register as u32, "register {register}");
    }
    let peek = |at: u32, bytes: usize| -> Vec<u8> {
        (0..bytes as u32).map(|n| machine.peek_byte(at + n).expect("memory")).collect()
    };
    let word = |at: u32| machine.peek_byte(at).map(|_| peek(at, 4)).expect("memory");
    let number = |at: u32| word(at).iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte));
    assert_eq!(peek(DESTINATION + bytes, 4), [0xee; 4]);
    let state = PipeState { sum: number(STATE), own: number(STATE + 4) };
    // One instruction is the PROM's.
    (peek(DESTINATION, data.len()), state, machine.instructions() - 1)
}

fn own() -> impl Strategy<Value = Vec<u32>> {
    let register = || prop::sample::select(vec![R::ZERO, R::T0, R::T1, R::T2, R::V1]);
    let word = (0..20_u8, register(), register(), register(), any::<u16>()).prop_map(|(which, d, s, t, n)| {
        let (signed, amount) = (n as i16, n as u8 & 31);
        match which {
            0 => addu(d, s, t),
            1 => subu(d, s, t),
            2 => and(d, s, t),
            3 => or(d, s, t),
            4 => xor(d, s, t),
            5 => nor(d, s, t),
            6 => slt(d, s, t),
            7 => sltu(d, s, t),
            8 => sll(d, t, amount),
            9 => srl(d, t, amount),
            10 => sra(d, t, amount),
            11 => sllv(d, t, s),
            12 => srlv(d, t, s),
            13 => srav(d, t, s),
            14 => addiu(d, s, signed),
            15 => slti(d, s, signed),
            16 => sltiu(d, s, signed),
            17 => [andi, ori, xori][usize::from(n) % 3](d, s, n),
            18 => lui(d, n),
            _ => addu(R::T0, R::T0, d),
        }
    });
    // Temporary registers hold nothing at first.
    prop::collection::vec(word, 0..=PIPE_WORDS_MAX - 2)
        .prop_map(|words| [vec![li(R::T1, 3), li(R::T2, -5)], words].concat())
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let simple = prop::sample::select(vec![Step::Checksum, Step::Swap16, Step::Swap32]);
    let all = (prop::collection::vec(simple, 0..PIPES_MAX), prop::option::of((own(), any::<prop::sample::Index>())));
    all.prop_map(|(mut steps, own)| {
        if let Some((words, at)) = own {
            steps.insert(at.index(steps.len() + 1), Step::Own(words));
        }
        steps
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_loop_does_what_its_pipes_do(
        steps in steps(),
        copies in any::<bool>(),
        data in prop::collection::vec(any::<u8>(), 0..300),
        (sum, own) in any::<(u32, u32)>(),
    ) {
        let (composed, code) = composed(&steps, copies);
        let bytes = data.len() / composed.unit as usize * composed.unit as usize;
        let (data, state) = (&data[..bytes], PipeState { sum, own });
        let (left, left_state, instructions) = run(&code, data, state);
        let (meant, meant_state) = apply(&steps, data, state);
        if copies {
            prop_assert_eq!(left, meant);
        } else {
            prop_assert_eq!(left, vec![0xee; bytes]);
        }
        let has = |wanted: fn(&Step) -> bool| steps.iter().any(wanted);
        if has(|step| matches!(step, Step::Checksum)) {
            prop_assert_eq!(left_state.sum, meant_state.sum);
        }
        if has(|step| matches!(step, Step::Own(_))) {
            prop_assert_eq!(left_state.own, meant_state.own);
        }
        let most = u64::from(composed.cost) + bytes.div_ceil(32) as u64 * u64::from(composed.block_cost);
        prop_assert!(instructions <= most, "{instructions} of {most}");
    }
}

#[test]
fn every_length() {
    for steps in [vec![], vec![Step::Checksum], vec![Step::Checksum, Step::Swap16], vec![Step::Swap32]] {
        let (composed, code) = composed(&steps, true);
        for bytes in (0..140).step_by(composed.unit as usize) {
            let data: Vec<u8> = (0..bytes).map(|n| (n * 37 + 11) as u8).collect();
            let (left, state, _) = run(&code, &data, PipeState::default());
            let (meant, meant_state) = apply(&steps, &data, PipeState::default());
            assert_eq!((left, state.sum), (meant, meant_state.sum), "{steps:?} of {bytes}");
        }
    }
}

/// The sum that the Internet's protocols want, of any number of bytes, folded.
#[test]
fn the_sum_is_the_internet_checksum() {
    // The example of RFC 1071, and the same with a byte more.
    for (data, sum) in [
        (&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7][..], 0xddf2),
        (&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7, 0x12][..], 0xeff2),
    ] {
        let (_, code) = composed(&[Step::Checksum], true);
        let (_, PipeState { sum: wide, .. }, _) = run(&code, data, PipeState::default());
        let folded = (wide >> 16) + (wide & 0xffff);
        let folded = (folded >> 16) + (folded & 0xffff);
        // In network order.
        assert_eq!((folded as u16).swap_bytes(), sum);
    }
}

#[test]
fn bad_pipes_are_refused() {
    let refused = |pipes: &[Pipe]| compose(&Composition { pipes, copies: true }, &mut [0; LOOP_WORDS_MAX], CODE);
    assert_eq!(refused(&[Pipe::Checksum; PIPES_MAX + 1]), Err(Error::TooMany));
    assert_eq!(refused(&[Pipe::Own(&[]), Pipe::Own(&[])]), Err(Error::TooMany));
    assert_eq!(refused(&[Pipe::Own(&[0; PIPE_WORDS_MAX + 1])]), Err(Error::TooMany));
    for word in [
        lw(R::T0, 0, R::T1),
        sw(R::T0, 0, R::T1),
        b(-1),
        jr(R::RA),
        jal(0),
        syscall(),
        mult(R::T0, R::T1),
        mflo(R::T0),
        add(R::T0, R::T0, R::T0),
        mfc0(R::T0, Cp0::STATUS),
        addu(R::A0, R::T0, R::T1),
        addu(R::T0, R::A1, R::T1),
        addu(R::T3, R::T0, R::T1),
        addiu(R::SP, R::SP, -8),
        lui(R::K0, 0),
        0xffff_ffff,
    ] {
        assert_eq!(refused(&[Pipe::Own(&[nop(), word])]), Err(Error::Own(1)), "{word:08x}");
    }
    // Whatever may be composed fits.
    let long = [addu(R::T0, R::T0, R::V1); PIPE_WORDS_MAX];
    let most = [Pipe::Swap32, Pipe::Swap32, Pipe::Own(&long), Pipe::Swap32];
    let words = refused(&most).expect("it fits").words;
    assert_eq!(compose(&Composition { pipes: &most, copies: true }, &mut vec![0; words - 1], CODE), Err(Error::Full));
}
