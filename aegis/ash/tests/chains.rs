//! Random chains of handlers do on the model's processor, rewritten and standing one behind the other as the kernel has them, what
//! `docs/ash.md` says of a chain, by an interpreter of the words that their owner wrote: which run and in which order, how each and the whole
//! ends, what each is told and may still take, and what is in the region. Every load, store and jump is watched, and what it costs.
//!
//! What runs them is [`chain::run`], which is the kernel's, too. Of what the kernel does around it this has copies: how it enters and leaves a
//! handler (`aegis/src/arch/handlers.rs`), its calls, and what it passes on from one to the next. Those themselves, what is charged and
//! what is noted of a chain, are left to `aegis_chains` and `hostile_chains` on the machine.

mod common;

use aegis_abi::ash::*;
use aegis_ash::{Handler, Rewritten, chain, words_max};
use aegis_codegen::Register as R;
use common::*;
use mips1::encode::*;
use proptest::prelude::*;
use std::cell::Cell;

const PARTS: usize = Part::ALL.len();
const FRAME_WORDS: usize = 1024;

/// How a handler ends, if nothing in it has done it before.
#[derive(Clone, Copy, Debug)]
enum End {
    Consumes,
    Passes,
    GoesRound,
    Divides,
    Aborts,
    Lies,
}

/// A handler: what it does when it has counted, how it ends, and what it may take.
#[derive(Clone, Debug)]
struct Given {
    pieces: Vec<Piece>,
    end: End,
    budget: u16,
}

/// A layer, by parts. There is always a body.
type Layer = [Option<Given>; PARTS];

impl Given {
    /// Its words, if it has this number. It counts, and notes what it is told, each in a word of its own; then it consumes 14 bytes more.
    fn words(&self, number: usize) -> Vec<u32> {
        let (count, told) = (4 * number as i16, 64 + 4 * number as i16);
        let counts =
            vec![lw(R::T0, count, R::GP), sw(R::A1, told, R::GP), addiu(R::T0, R::T0, 1), sw(R::T0, count, R::GP)];
        let ends = match self.end {
            End::Consumes => vec![addiu(R::V1, R::A1, 14), li(R::V0, CONSUMED as i16)],
            End::Passes => vec![li(R::V0, PASSED as i16)],
            End::GoesRound => vec![b(-1), nop()],
            End::Divides => vec![divu(R::T0, R::ZERO)],
            End::Aborts => vec![jal(4 * ABORT), nop()],
            End::Lies => vec![li(R::A1, 2000), jal(4 * COPY), nop()],
        };
        let all = [vec![Piece::Words(counts)], self.pieces.clone(), vec![Piece::Words(ends)]].concat();
        assemble(&all)
    }
}

fn given() -> impl Strategy<Value = Given> {
    use End::*;
    let pieces = prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(piece(), 1..5)];
    let end = prop_oneof![
        15 => Just(Consumes), 1 => Just(Passes), 1 => Just(GoesRound), 1 => Just(Divides), 1 => Just(Aborts), 1 => Just(Lies)
    ];
    let budget = prop::sample::select(vec![2000, 0, 100]);
    (pieces, end, budget).prop_map(|(pieces, end, budget)| Given { pieces, end, budget })
}

fn layers() -> impl Strategy<Value = Vec<Layer>> {
    let other = || prop::option::of(given());
    let layer = (given(), other(), other()).prop_map(|(body, commit, abort)| [Some(body), commit, abort]);
    prop::collection::vec(layer, 1..=LAYERS_MAX)
}

/// A handler of a chain, made.
struct Made {
    words: Vec<u32>,
    rewritten: Rewritten,
    code: Vec<u32>,
    budget: u32,
}

/// Makes all handlers, by their numbers, as the kernel does; none if they are no chain.
fn make(layers: &[Layer], region_bytes: u32) -> Option<Vec<Option<Made>>> {
    let given: Vec<_> = layers.iter().flatten().collect();
    let words_of = |(number, given): (usize, &&Option<Given>)| given.as_ref().map(|given| given.words(number));
    let words: Vec<_> = given.iter().enumerate().map(words_of).collect();
    let mut codes = [Code::default(); HANDLERS_MAX];
    for (code, words) in codes.iter_mut().zip(&words) {
        code.words = words.as_ref().map_or(0, |words| words.len() as u16);
    }
    if chain::layers(&codes)? != layers.len() {
        return None;
    }
    let mut used = 0;
    let made = given.iter().zip(words).map(|(given, words)| {
        let (given, words) = given.as_ref().zip(words)?;
        assert!(used + words_max(words.len()) <= FRAME_WORDS, "it may not fit the frame");
        let handler = Handler { words: &words, region_bytes };
        let at = CODE + 4 * used as u32;
        let (rewritten, code) = rewritten_at(&handler, CALL_COST, at).expect("it keeps all rules, wherever it stands");
        used += rewritten.words;
        Some(Made { words, rewritten, code, budget: given.budget.into() })
    });
    Some(made.collect())
}

/// A handler that ran: its number, how it ended, what it had in `$v1`, and what it may still take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Ran {
    number: usize,
    outcome: Outcome,
    consumed: u32,
    left: i32,
}

/// What a handler is entered with: the message's length, and what it is told.
fn entered(length: usize, told: u32) -> [u32; 32] {
    let mut registers = [0; 32];
    (registers[4], registers[5]) = (length as u32, told);
    registers
}

/// As the kernel runs a chain; `enter` runs the handler with a number, which is told something.
fn run(layers: &[Layer], mut enter: impl FnMut(usize, u32) -> Ran) -> (Vec<Ran>, Outcome) {
    let mut ran = Vec::new();
    let mut below = [0; LAYERS_MAX + 1];
    let outcome = chain::run(layers.len(), |layer, part| {
        if layers[layer][part as usize].is_none() {
            return Outcome::Consumed;
        }
        let ended = enter(chain::number(layer, part), below[layer]);
        if part == Part::Body {
            below[layer + 1] = ended.consumed;
        }
        ran.push(ended);
        ended.outcome
    });
    (ran, outcome)
}

/// As it is said: bodies from the lowest on, each told what the one below it has consumed. When all have consumed the message, all commit
/// handlers; when one has not, the abort handlers of those before it. Both are told what their bodies were.
fn meant(layers: &[Layer], mut enter: impl FnMut(usize, u32) -> Ran) -> (Vec<Ran>, Outcome) {
    let bodies = layers.iter().enumerate().scan(Some(0), |below, (layer, _)| {
        let told = (*below)?;
        let body = enter(PARTS * layer, told);
        *below = (body.outcome == Outcome::Consumed).then_some(body.consumed);
        Some((told, body))
    });
    let bodies: Vec<_> = bodies.collect();
    let mut ran: Vec<_> = bodies.iter().map(|&(_, body)| body).collect();
    let last = ran[ran.len() - 1].outcome;
    let (part, count) =
        if last == Outcome::Consumed { (Part::Commit, layers.len()) } else { (Part::Abort, ran.len() - 1) };
    for (layer, &(told, _)) in bodies[..count].iter().enumerate() {
        if layers[layer][part as usize].is_some() {
            ran.push(enter(PARTS * layer + part as usize, told));
        }
    }
    let stopped = ran[bodies.len()..].iter().find(|ran| part == Part::Commit && !ran.outcome.returned());
    let outcome = stopped.map_or(last, |stopped| stopped.outcome);
    (ran, outcome)
}

/// What random chains came to: handlers that ended so, by part and outcome; chains of so many layers that were consumed.
type Tally = Cell<([[u32; OUTCOMES]; PARTS], [u32; LAYERS_MAX])>;

fn agree(layers: &[Layer], seed: u64, tally: &Tally) -> Result<(), TestCaseError> {
    let mut random = Random(seed | 1);
    let region_bytes = [4096, 8192][random.below(2)];
    let Some(made) = make(layers, region_bytes) else { return Err(TestCaseError::reject("too many words")) };
    let message_bytes = made.iter().flatten().map(|made| made.rewritten.message_bytes).max().unwrap_or(0);
    let start = start(&mut random, region_bytes, message_bytes);
    let length = start.message.len();
    let of = |number: usize| made[number].as_ref().expect("there is one");

    let codes: Vec<_> = made.iter().flatten().map(|made| (made.rewritten, &made.code[..])).collect();
    let mut processor = Processor::with_chain(&codes, region_bytes);
    processor.place(&start);
    let mut cost = 0;
    let (ran, outcome) = run(layers, |number, told| {
        // The processor has none for handlers that there are not.
        let place = made[..number].iter().flatten().count();
        let ended = processor.enter(place, &entered(length, told), of(number).budget);
        cost += ended.cost;
        // What a call that does not return leaves there is nobody's.
        let consumed = if ended.outcome.returned() { ended.registers[3] } else { 0 };
        Ran { number, outcome: ended.outcome, consumed, left: ended.left }
    });
    let [region, message] = processor.memory(&start);

    let mut state = start.clone();
    let expected = meant(layers, |number, told| {
        let made = of(number);
        state.registers = entered(length, told);
        state = interpret(&made.words, &made.code, region_bytes, &state, made.budget);
        let consumed = if state.outcome.returned() { state.registers[3] } else { 0 };
        Ran { number, outcome: state.outcome, consumed, left: state.left }
    });
    prop_assert_eq!((&ran, outcome), (&expected.0, expected.1));
    prop_assert!(region == state.region, "the region differs");
    prop_assert!(message == state.message, "the message differs");

    let mut most = [0; PARTS];
    for (number, made) in made.iter().enumerate() {
        let cost = made.as_ref().map(|made| made.budget + made.rewritten.straight + made.rewritten.round);
        most[number % PARTS] += cost.unwrap_or(0);
    }
    prop_assert!(cost <= chain::most(most).into(), "{cost} of {most:?}");

    let (mut ended, mut consumed) = tally.get();
    ran.iter().for_each(|ran| ended[ran.number % PARTS][ran.outcome as usize] += 1);
    if outcome == Outcome::Consumed {
        consumed[layers.len() - 1] += 1;
    }
    tally.set((ended, consumed));
    Ok(())
}

#[test]
fn what_chains_mean() {
    let tally = Tally::default();
    cases(4000, (layers(), any::<u64>()), |(layers, seed)| agree(&layers, seed, &tally));
    let (ended, consumed) = tally.get();
    let happened = ended.iter().flat_map(|ended| &ended[Outcome::Passed as usize..=Outcome::BadTransfer as usize]);
    assert!(happened.chain(&consumed).all(|&count| count >= 20), "too few of something: {ended:?}, {consumed:?}");
}
