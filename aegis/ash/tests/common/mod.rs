//! What the tests share: a processor to run handlers on that watches every load, store and jump; an interpreter of
//! handlers as their owner wrote them; and random handlers.
#![allow(dead_code)] // Each test uses a part.

use aegis_abi::ash::*;
use aegis_ash::{BUDGET, Handler, Kernel, MASKS, Place, Rewriting, Rewritten, Stub, masks, rewrite, words_max};
use aegis_codegen::{Assembler, Label, Register as R};
use decstation::{Config, Limits, Machine, Stop};
use hazard::{Options, check_code};
use mips1::{Instruction, Opcode};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::ops::Range;
use std::sync::{Arc, Mutex};

pub const STUBS: u32 = 0x8002_0000;
const STUBS_END: u32 = 0x8002_1000;
pub const CODE: u32 = 0x8003_0000;
pub const REGION_AT: u32 = 0x8005_0000;
/// Where the owner has the region mapped.
pub const MAPPED: u32 = 0x1234_0000;
pub const MESSAGE_AT: u32 = 0x8007_0002;
/// The PROM's `halt`, which ends a run.
const HALT: u32 = 0xbfc0_8138;
const PROM: u32 = 0xbfc0_0000;

/// What calls leave in registers that they may change.
const GARBAGE: u32 = 0x5a5a_0000;
/// The cost of each call.
pub const CALL_COST: u16 = 30;

/// Adds the kernel's part: an entry for each call and end.
struct Kernels {
    kernel: Kernel,
    /// Clears HI and LO, and goes to what `$k1` says.
    enter: u32,
    words: Vec<u32>,
}

/// Calls as simple as can be: [`LOAD`], [`COPY`] byte by byte, and [`SEND`] and [`WAKE`], which give a number.
fn kernels() -> Kernels {
    let mut words = vec![0; 256];
    let mut asm = Assembler::new(&mut words, STUBS);
    let address = |asm: &Assembler| STUBS + 4 * asm.len() as u32;
    let end = |asm: &mut Assembler, outcome: Outcome| {
        let at = address(asm);
        asm.li(R::K1, outcome as u32);
        asm.li(R::K0, HALT);
        asm.jr(R::K0);
        asm.nop();
        at
    };
    // Returned: whatever `$v0` says.
    let done = end(&mut asm, Outcome::Passed);
    let overrun = end(&mut asm, Outcome::Overrun);
    let divide = end(&mut asm, Outcome::DivideByZero);
    let abort = end(&mut asm, Outcome::Aborted);
    let bad = end(&mut asm, Outcome::BadTransfer);
    // What each call leaves: no register but those that are kept has a value of before.
    let leave = |asm: &mut Assembler| {
        for register in (3..16).chain([1, 24]) {
            asm.li(R::new(register).expect("a register"), GARBAGE | u32::from(register));
        }
        asm.jr(R::RA);
    };
    let fail = |asm: &mut Assembler| asm.b_to(bad);
    let mut calls = [0; CALLS];

    calls[LOAD as usize] = address(&asm);
    let mut good = Label::new();
    asm.lw(R::T0, 0, R::SP); // the message's length
    asm.addiu(R::T0, R::T0, -3);
    asm.sltu(R::T1, R::A0, R::T0);
    asm.bne(R::T1, R::ZERO, &mut good);
    fail(&mut asm);
    asm.bind(&mut good);
    asm.addu(R::T0, R::A0, R::S5);
    asm.lwr(R::V0, 0, R::T0);
    asm.lwl(R::V0, 3, R::T0);
    leave(&mut asm);

    calls[COPY as usize] = address(&asm);
    let (mut good, mut more, mut again, mut nothing) = (Label::new(), Label::new(), Label::new(), Label::new());
    asm.lw(R::T0, 0, R::SP);
    asm.sltu(R::T1, R::T0, R::A1);
    asm.subu(R::T0, R::T0, R::A1);
    asm.sltu(R::T2, R::T0, R::A2);
    asm.or(R::T1, R::T1, R::T2);
    asm.beq(R::T1, R::ZERO, &mut good);
    fail(&mut asm);
    asm.bind(&mut good);
    asm.sll(R::T0, R::A2, 3);
    asm.subu(R::T9, R::T9, R::T0);
    asm.bgez(R::T9, &mut more);
    asm.b_to(overrun);
    asm.bind(&mut more);
    asm.and(R::A0, R::A0, R::S6);
    asm.or(R::A0, R::A0, R::GP);
    asm.addu(R::A1, R::A1, R::S5);
    asm.addu(R::A2, R::A2, R::A0);
    asm.bind(&mut again);
    asm.beq(R::A0, R::A2, &mut nothing);
    asm.lbu(R::T0, 0, R::A1);
    asm.addiu(R::A1, R::A1, 1);
    asm.sb(R::T0, 0, R::A0);
    asm.addiu(R::A0, R::A0, 1);
    asm.b(&mut again);
    asm.bind(&mut nothing);
    asm.li(R::V0, 0);
    leave(&mut asm);

    calls[SEND as usize] = address(&asm);
    asm.addu(R::V0, R::A0, R::A1);
    leave(&mut asm);
    calls[WAKE as usize] = address(&asm);
    asm.nor(R::V0, R::A0, R::ZERO);
    leave(&mut asm);
    calls[ABORT as usize] = abort;
    let enter = address(&asm);
    asm.mthi(R::ZERO);
    asm.mtlo(R::ZERO);
    asm.jr(R::K1);
    let used = asm.finish().expect("stubs fit");
    words.truncate(used);
    let calls = calls.map(|address| Stub { address, cost: CALL_COST, evicts: 0 });
    Kernels { kernel: Kernel { calls, done, overrun, divide, load: 0, store: 0 }, enter, words }
}

/// Rewrites a handler with one entry.
pub fn rewritten(words: &[u32], region_bytes: u32) -> Result<(Rewritten, Vec<u32>), Refusal> {
    let handler = Handler { words, region_bytes };
    rewritten_at(&handler, CALL_COST, CODE)
}

/// Rewrites a handler, with calls that cost so much, to be executed at an address; in one go and in pieces, with the same result.
pub fn rewritten_at(handler: &Handler, call_cost: u16, at: u32) -> Result<(Rewritten, Vec<u32>), Refusal> {
    let count = handler.words.len().min(WORDS_MAX);
    // What was there before is not to matter.
    let mut code = vec![0xdead_beef; words_max(count)];
    let mut places = vec![Place::default(); count];
    let mut kernel = kernels().kernel;
    kernel.calls.iter_mut().for_each(|stub| stub.cost = call_cost);
    let done = rewrite(handler, &kernel, at, &mut code, &mut places);
    for limit in [1, 7] {
        let (mut pieces, mut places) = (vec![0xdead_beef; words_max(count)], vec![Place::default(); count]);
        let in_pieces = Rewriting::begin(handler, &kernel, at, &mut places).and_then(|mut rewriting| {
            loop {
                if let Some(done) = rewriting.step(handler, &kernel, &mut pieces, &mut places, limit)? {
                    return Ok(done);
                }
            }
        });
        assert_eq!(in_pieces, done, "{limit} by {limit}");
        assert!(done.is_err() || pieces == code, "{limit} by {limit}");
    }
    let done = done?;
    assert!(done.words <= code.len(), "{} of {}", done.words, code.len());
    code.truncate(done.words);
    let dearest = charges(handler.words, &code).into_iter().max().unwrap_or(0);
    assert_eq!(dearest, done.round as i32);
    Ok((done, code))
}

/// Checks rewritten code as it stands at an address: it has no hazard, and nothing privileged; and every memory access and jump is one
/// of those that rewriting makes.
pub fn inspect(base: u32, code: &[u32]) {
    // Jumps into the kernel are none within the code.
    let options = Options { except: vec![hazard::Rule::Target], ..Options::default() };
    let findings = check_code(base, code, &options);
    assert!(findings.is_empty(), "{findings:?}");
    let kernel = kernels().kernel;
    let calls: Vec<u32> = kernel.calls.iter().map(|stub| stub.address).collect();
    for (n, &word) in code.iter().enumerate() {
        let at = base + 4 * n as u32;
        let instruction = Instruction::decode(word).expect("MIPS I");
        let mut bases = [1, 24, 31].to_vec();
        if instruction.loads().is_some() {
            bases.push(MESSAGE);
        }
        bases.push(REGION);
        if instruction.memory().is_some() {
            assert!(bases.contains(&instruction.rs().number()), "{}", instruction.at(at));
        }
        match instruction.opcode() {
            Opcode::J => {
                let target = instruction.target(at).expect("a jump");
                assert!([kernel.done, kernel.overrun, kernel.divide].contains(&target), "{}", instruction.at(at));
            }
            Opcode::Jal => assert!(calls.contains(&instruction.target(at).expect("a jump"))),
            Opcode::Jr | Opcode::Jalr | Opcode::Syscall | Opcode::Break => panic!("{}", instruction.at(at)),
            _ => {
                assert_eq!(instruction.coprocessor(), None);
                if let Some(target) = instruction.target(at) {
                    assert!((base..base + 4 * code.len() as u32).contains(&target), "{}", instruction.at(at));
                }
            }
        }
    }
}

/// What a handler works on, and is left with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    /// The registers that it may use; the others are 0.
    pub registers: [u32; 32],
    pub region: Vec<u8>,
    pub message: Vec<u8>,
    pub outcome: Outcome,
    /// What is left of the budget.
    pub left: i32,
}

/// What the watcher has seen of the handler that runs.
#[derive(Default, Clone)]
struct Seen {
    /// Its code, and what it may read of the message.
    code: Range<u32>,
    message: Range<u32>,
    /// Instructions of the handler, and calls.
    instructions: u64,
    calls: u64,
    wrong: Option<String>,
}

/// A machine with handlers.
pub struct Processor {
    machine: Machine,
    seen: Arc<Mutex<Seen>>,
    /// Each, and where its code is.
    handlers: Vec<(Rewritten, Range<u32>)>,
    region_bytes: u32,
}

/// How a handler ended.
pub struct Ended {
    pub outcome: Outcome,
    /// As in [`State`].
    pub registers: [u32; 32],
    pub left: i32,
    /// What it cost.
    pub cost: u64,
}

fn poke(machine: &mut Machine, at: u32, bytes: impl IntoIterator<Item = u8>) {
    for (n, byte) in bytes.into_iter().enumerate() {
        assert!(machine.poke_byte(at + n as u32, byte));
    }
}

fn poke_words(machine: &mut Machine, at: u32, words: &[u32]) {
    poke(machine, at, words.iter().flat_map(|word| word.to_le_bytes()));
}

/// The length that [`MESSAGE_AT`] has at the moment, for stubs: where the stack pointer points to.
const STACK: u32 = 0x8001_f000;

impl Processor {
    /// With rewritten code, which is inspected first.
    pub fn new(rewritten: Rewritten, code: &[u32], region_bytes: u32) -> Self {
        Self::with_chain(&[(rewritten, code)], region_bytes)
    }

    /// With several that stand one behind the other.
    pub fn with_chain(chain: &[(Rewritten, &[u32])], region_bytes: u32) -> Self {
        let mut machine = Machine::new(Config { timed: false, ram_mb: 1, ..Config::default() });
        poke_words(&mut machine, STUBS, &kernels().words);
        let mut handlers = Vec::new();
        let mut at = CODE;
        for &(rewritten, code) in chain {
            inspect(at, code);
            poke_words(&mut machine, at, code);
            let range = at..at + 4 * code.len() as u32;
            at = range.end;
            handlers.push((rewritten, range));
        }
        let seen = Arc::new(Mutex::new(Seen::default()));
        let watcher = seen.clone();
        let region = REGION_AT..REGION_AT + region_bytes + GUARD;
        let mut before = 0;
        machine.set_tracer(Some(Box::new(move |step| {
            let mut seen = watcher.lock().expect("nobody panicked");
            let (code, message) = (seen.code.clone(), seen.message.clone());
            let inside =
                |address: u32, bytes: u32| region.contains(&address) && region.contains(&(address + bytes - 1));
            let mut wrong = |what: &str| {
                seen.wrong.get_or_insert(format!("{what} at {:08x}: {:08x?}", step.pc, step));
            };
            let was_inside = code.contains(&before);
            before = step.pc;
            if !code.contains(&step.pc) {
                let stub = (STUBS..STUBS_END).contains(&step.pc);
                if !stub && step.pc < PROM {
                    wrong("it has jumped");
                }
                if was_inside && stub && !step.slot {
                    seen.calls += 1;
                }
                return;
            }
            let instruction = Instruction::decode(step.word).expect("it was inspected");
            if let (Some(memory), Some(address)) = (instruction.memory(), step.address) {
                let (first, bytes) = match instruction.opcode() {
                    Opcode::Lwl | Opcode::Swl => (address & !3, (address & 3) + 1),
                    Opcode::Lwr | Opcode::Swr => (address, 4 - (address & 3)),
                    _ => (address, memory.bytes.into()),
                };
                let reads =
                    instruction.loads().is_some() && message.contains(&first) && message.contains(&(first + bytes - 1));
                if !inside(first, bytes) && !reads {
                    wrong("it accesses what is not its own");
                }
            }
            seen.instructions += 1;
        })));
        Self { machine, seen, handlers, region_bytes }
    }

    /// Runs it with a budget; what it leaves.
    pub fn run(&mut self, start: &State, budget: u32) -> State {
        assert!(start.message.len() as u32 >= self.handlers[0].0.message_bytes, "it does not run");
        self.place(start);
        let Ended { outcome, registers, left, .. } = self.enter(0, &start.registers, budget);
        let [region, message] = self.memory(start);
        State { registers, region, message, outcome, left }
    }

    /// Puts region and message where handlers find them.
    pub fn place(&mut self, start: &State) {
        poke(&mut self.machine, REGION_AT, start.region.iter().copied());
        poke(&mut self.machine, MESSAGE_AT, start.message.iter().copied());
        poke_words(&mut self.machine, STACK, &[start.message.len() as u32]);
    }

    /// What is in region and message now, which are as long as these.
    pub fn memory(&self, start: &State) -> [Vec<u8>; 2] {
        let peek = |at: u32, bytes: usize| {
            (0..bytes as u32).map(|n| self.machine.peek_byte(at + n).expect("memory")).collect()
        };
        [peek(REGION_AT, start.region.len()), peek(MESSAGE_AT, start.message.len())]
    }

    /// Runs one of the handlers with these registers and a budget, on what is [placed](Processor::place).
    pub fn enter(&mut self, number: usize, registers: &[u32; 32], budget: u32) -> Ended {
        let Self { machine, handlers, .. } = self;
        let (rewritten, ref code) = handlers[number];
        assert!(code.contains(&rewritten.entry));
        registers.iter().enumerate().for_each(|(n, &value)| machine.set_register(n, value));
        let mut reserved = vec![(REGION, REGION_AT), (MESSAGE, MESSAGE_AT), (29, STACK)];
        reserved.extend(MASKS.into_iter().zip(masks(self.region_bytes)));
        reserved.iter().for_each(|&(register, value)| machine.set_register(register.into(), value));
        machine.set_register(BUDGET.into(), budget);
        // Nothing is to depend on these.
        [1, 24, 26, 31].into_iter().for_each(|register| machine.set_register(register, 0xdead_0000));
        machine.set_register(27, rewritten.entry);
        machine.set_pc(kernels().enter);
        let message = MESSAGE_AT..MESSAGE_AT + rewritten.message_bytes;
        *self.seen.lock().expect("nobody panicked") = Seen { code: code.clone(), message, ..Seen::default() };
        // The bound that is promised.
        let most = u64::from(budget) + u64::from(rewritten.straight) + u64::from(rewritten.round);
        let stop = machine.run(Limits::instructions(40 * most));
        assert_eq!(stop, Stop::Halted, "{}", machine.describe(&stop));
        let seen = self.seen.lock().expect("nobody panicked").clone();
        assert_eq!(seen.wrong, None);
        for (register, value) in reserved {
            assert_eq!(machine.register(register.into()), value, "register {register}");
        }
        let outcome = match machine.register(27) {
            1 if machine.register(2) == CONSUMED => Outcome::Consumed,
            1 => Outcome::Passed,
            3 => Outcome::Aborted,
            4 => Outcome::Overrun,
            5 => Outcome::DivideByZero,
            6 => Outcome::BadTransfer,
            other => panic!("ended by {other}"),
        };
        let left = machine.register(BUDGET.into()) as i32;
        // A call counts as what the kernel says that it costs; the last one is the end.
        let cost = seen.instructions + seen.calls.saturating_sub(1) * u64::from(CALL_COST);
        assert!(cost <= most, "{cost} of {most}");
        // Who is not stopped by it is charged what it has taken at least, and no more than the bound.
        let charged = i64::from(rewritten.straight) + i64::from(budget) - i64::from(left);
        if outcome != Outcome::Overrun {
            assert!((cost as i64..=most as i64).contains(&charged), "{cost}, {charged} charged, of {most}");
        }
        let registers = std::array::from_fn(|n| if USABLE >> n & 1 != 0 { machine.register(n) } else { 0 });
        Ended { outcome, registers, left, cost }
    }
}

// --- What a handler means. -------------------------------------------------------------------------------------------

/// What each of a handler's words takes from the budget in the code that it became: branches back take something.
fn charges(words: &[u32], code: &[u32]) -> Vec<i32> {
    use Opcode::*;
    let mut taken = code.iter().filter_map(|&word| {
        let i = Instruction::decode(word).expect("MIPS I");
        (i.opcode() == Addiu && i.rt() == R::T9).then(|| -i32::from(i.offset()))
    });
    let charge = |&word: &u32| {
        let i = Instruction::decode(word).expect("MIPS I");
        let back = matches!(i.opcode(), Beq | Bne | Blez | Bgtz | Bltz | Bgez) && i.offset() < 0;
        if back { taken.next().expect("each branch back takes from the budget") } else { 0 }
    };
    let charges: Vec<_> = words.iter().map(charge).collect();
    assert_eq!(taken.next(), None, "nothing else does");
    charges
}

/// Interprets a handler's words as its owner wrote them, but for what rounds cost in the `code` that they became; what it leaves.
pub fn interpret(words: &[u32], code: &[u32], region_bytes: u32, start: &State, budget: u32) -> State {
    let charges = charges(words, code);
    let mut state = start.clone();
    state.registers[usize::from(REGION)] = REGION_AT;
    state.registers[usize::from(MESSAGE)] = MESSAGE_AT;
    state.left = budget as i32;
    let (mut at, mut hi, mut lo) = (0, 0, 0);
    let mut outcome = None;
    while outcome.is_none() {
        let i = Instruction::decode(words[at]).expect("MIPS I");
        let mut next = at + 1;
        if i.has_delay_slot() {
            next = at + 2;
            let is_over = charges[at] != 0 && state.left < 0;
            state.left -= charges[at];
            if is_over {
                outcome = Some(Outcome::Overrun);
                break;
            }
            let (s, t) = (state.registers[usize::from(i.rs().number())], state.registers[usize::from(i.rt().number())]);
            let taken = match i.opcode() {
                Opcode::Beq => s == t,
                Opcode::Bne => s != t,
                Opcode::Blez => s as i32 <= 0,
                Opcode::Bgtz => s as i32 > 0,
                Opcode::Bltz => (s as i32) < 0,
                Opcode::Bgez => s as i32 >= 0,
                _ => false,
            };
            compute(&mut state.registers, words[at + 1]);
            let target = (at as i32 + 1 + i32::from(i.offset())) as usize;
            match i.opcode() {
                Opcode::Jr => {
                    let consumed = state.registers[2] == CONSUMED;
                    outcome = Some(if consumed { Outcome::Consumed } else { Outcome::Passed });
                }
                Opcode::Jal => outcome = call(&mut state, i.word() & 0x3ff_ffff, region_bytes),
                _ => next = if taken { target } else { next },
            }
        } else if i.memory().is_some() {
            access(&mut state, i, region_bytes);
        } else {
            let get = |register: R| state.registers[usize::from(register.number())];
            let (s, t) = (get(i.rs()), get(i.rt()));
            let split = |product: u64| ((product >> 32) as u32, product as u32);
            let mut set = |value| {
                if i.rd() != R::ZERO {
                    state.registers[usize::from(i.rd().number())] = value;
                }
            };
            match i.opcode() {
                Opcode::Mult => (hi, lo) = split((i64::from(s as i32) * i64::from(t as i32)) as u64),
                Opcode::Multu => (hi, lo) = split(u64::from(s) * u64::from(t)),
                Opcode::Div | Opcode::Divu if t == 0 => outcome = Some(Outcome::DivideByZero),
                Opcode::Div => {
                    (lo, hi) = ((s as i32).wrapping_div(t as i32) as u32, (s as i32).wrapping_rem(t as i32) as u32)
                }
                Opcode::Divu => (lo, hi) = (s / t, s % t),
                Opcode::Mfhi => set(hi),
                Opcode::Mflo => set(lo),
                Opcode::Mthi => hi = s,
                Opcode::Mtlo => lo = s,
                _ => compute(&mut state.registers, words[at]),
            }
        }
        at = next;
    }
    state.outcome = outcome.expect("it has ended");
    (0..32).filter(|n| USABLE >> n & 1 == 0).for_each(|n| state.registers[n] = 0);
    state
}

/// Executes an instruction that only computes.
pub fn compute(registers: &mut [u32; 32], word: u32) {
    use Opcode::*;
    let i = Instruction::decode(word).expect("MIPS I");
    let (s, t) = (registers[usize::from(i.rs().number())], registers[usize::from(i.rt().number())]);
    let (signed, bits) = (i32::from(i.offset()), u32::from(i.immediate()));
    let value = match i.opcode() {
        Addu => s.wrapping_add(t),
        Subu => s.wrapping_sub(t),
        And => s & t,
        Or => s | t,
        Xor => s ^ t,
        Nor => !(s | t),
        Slt => u32::from((s as i32) < t as i32),
        Sltu => u32::from(s < t),
        Sll => t << i.shift(),
        Srl => t >> i.shift(),
        Sra => (t as i32 >> i.shift()) as u32,
        Sllv => t << (s & 31),
        Srlv => t >> (s & 31),
        Srav => (t as i32 >> (s & 31)) as u32,
        Addiu => s.wrapping_add_signed(signed),
        Slti => u32::from((s as i32) < signed),
        Sltiu => u32::from(s < signed as u32),
        Andi => s & bits,
        Ori => s | bits,
        Xori => s ^ bits,
        Lui => bits << 16,
        other => panic!("{other:?} does not only compute"),
    };
    for register in i.writes().iter() {
        registers[usize::from(register.number())] = value;
    }
}

/// Where an access goes: what [`aegis_abi::ash`] says.
fn access(state: &mut State, i: Instruction, region_bytes: u32) {
    let base = state.registers[usize::from(i.rs().number())];
    let offset = i32::from(i.offset());
    let bytes: u32 = match i.opcode() {
        Opcode::Lh | Opcode::Lhu | Opcode::Sh => 2,
        Opcode::Lw | Opcode::Sw => 4,
        _ => 1,
    };
    let mask = region_bytes - bytes;
    let near = offset >= 0 && offset + 4 <= GUARD as i32 && offset as u32 & (bytes - 1) == 0;
    let address = match i.rs().number() {
        REGION | MESSAGE => base.wrapping_add_signed(offset),
        _ if near => (base & mask) + REGION_AT + offset as u32,
        _ => (base.wrapping_add_signed(offset) & mask) + REGION_AT,
    };
    let in_message = i.rs().number() == MESSAGE;
    let (memory, from) = if in_message { (&mut state.message, MESSAGE_AT) } else { (&mut state.region, REGION_AT) };
    let at = (address - from) as usize;
    let old = state.registers[usize::from(i.rt().number())];
    let byte = |n: usize| u32::from(memory[at + n]);
    // Of the word in which the address is.
    let part = (address & 3) as usize;
    let value = match i.opcode() {
        Opcode::Lb => byte(0) as u8 as i8 as u32,
        Opcode::Lbu => byte(0),
        Opcode::Lh => (byte(0) | byte(1) << 8) as u16 as i16 as u32,
        Opcode::Lhu => byte(0) | byte(1) << 8,
        Opcode::Lw => (0..4).fold(0, |word, n| word | byte(n) << (8 * n)),
        // Into the upper bytes what is up to the address, and into the lower what is from it on.
        Opcode::Lwl => {
            let mut word = old.to_le_bytes();
            (0..=part).for_each(|n| word[3 - n] = memory[at - n]);
            u32::from_le_bytes(word)
        }
        Opcode::Lwr => {
            let mut word = old.to_le_bytes();
            (0..4 - part).for_each(|n| word[n] = memory[at + n]);
            u32::from_le_bytes(word)
        }
        store => {
            let word = old.to_le_bytes();
            match store {
                Opcode::Sb => memory[at] = word[0],
                Opcode::Sh => memory[at..at + 2].copy_from_slice(&word[..2]),
                Opcode::Sw => memory[at..at + 4].copy_from_slice(&word),
                Opcode::Swl => (0..=part).for_each(|n| memory[at - n] = word[3 - n]),
                Opcode::Swr => (0..4 - part).for_each(|n| memory[at + n] = word[n]),
                other => panic!("{other:?}"),
            }
            return;
        }
    };
    if i.rt() != R::ZERO {
        state.registers[usize::from(i.rt().number())] = value;
    }
}

/// What the stubs do.
fn call(state: &mut State, number: u32, region_bytes: u32) -> Option<Outcome> {
    let [a0, a1, a2] = [state.registers[4], state.registers[5], state.registers[6]];
    let result = match number {
        LOAD => {
            let at = a0 as usize;
            let Some(bytes) = at.checked_add(4).and_then(|end| state.message.get(at..end)) else {
                return Some(Outcome::BadTransfer);
            };
            u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
        }
        COPY => {
            let from = a1 as usize;
            let end = from.checked_add(a2 as usize);
            let Some(bytes) = end.and_then(|end| state.message.get(from..end)) else {
                return Some(Outcome::BadTransfer);
            };
            state.left -= 8 * bytes.len() as i32;
            if state.left < 0 {
                return Some(Outcome::Overrun);
            }
            let to = (a0 & (region_bytes - 1)) as usize;
            state.region[to..to + bytes.len()].copy_from_slice(bytes);
            0
        }
        SEND => a0.wrapping_add(a1),
        WAKE => !a0,
        _ => return Some(Outcome::Aborted),
    };
    for register in 3..16 {
        state.registers[register] = GARBAGE | register as u32;
    }
    state.registers[2] = result;
    None
}

// --- Random handlers. ------------------------------------------------------------------------------------------------

/// Random numbers that repeat.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as u32
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.next() as usize % limit
    }
}

/// A piece of a handler that branches may go to.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Words as they are.
    Words(Vec<u32>),
    /// A branch with its slot, to a piece.
    Branch { word: u32, slot: u32, to: prop::sample::Index, back: bool },
    /// A loop of so many rounds back to a piece before, counted in `$s4`.
    Again { rounds: u16, to: prop::sample::Index },
}

/// The words of pieces, with a return behind them.
pub fn assemble(pieces: &[Piece]) -> Vec<u32> {
    use mips1::encode::*;
    let mut starts = Vec::new();
    let mut length = 0;
    for piece in pieces {
        starts.push(length);
        length += match piece {
            Piece::Words(words) => words.len(),
            Piece::Branch { .. } => 2,
            Piece::Again { .. } => 4,
        };
    }
    starts.push(length);
    let mut words = Vec::new();
    for (n, piece) in pieces.iter().enumerate() {
        let offset = |to: usize, at: usize| u32::from((starts[to] as i32 - at as i32 - 1) as i16 as u16);
        match piece {
            Piece::Words(these) => words.extend(these),
            Piece::Branch { word, slot, to, back } => {
                let to = if *back { to.index(n + 1) } else { n + 1 + to.index(pieces.len() - n) };
                words.extend([word & 0xffff_0000 | offset(to, words.len()), *slot]);
            }
            Piece::Again { rounds, to } => {
                let to = to.index(n + 1);
                let end = words.len() + 2;
                words.extend([
                    addiu(R::S4, R::S4, 1),
                    sltiu(R::T7, R::S4, *rounds as i16),
                    bne(R::T7, R::ZERO, 0) | offset(to, end),
                    nop(),
                ]);
            }
        }
    }
    words.extend([jr(R::RA), andi(R::V0, R::V0, 1)]);
    words
}

/// Registers of a handler, few of them, so that what they hold is used again.
fn register() -> impl Strategy<Value = R> {
    let few = [0, 2, 3, 4, 5, 6, 8, 9, 10, 15, 16, 17, 20];
    prop::sample::select(few.map(|n| R::new(n).expect("a register")).to_vec())
}

pub fn computing() -> impl Strategy<Value = u32> {
    use mips1::encode::*;
    let three = (0..10_u8, register(), register(), register()).prop_map(|(which, d, s, t)| match which {
        0 => addu(d, s, t),
        1 => subu(d, s, t),
        2 => and(d, s, t),
        3 => or(d, s, t),
        4 => xor(d, s, t),
        5 => nor(d, s, t),
        6 => slt(d, s, t),
        7 => sltu(d, s, t),
        8 => sllv(d, s, t),
        _ => srav(d, s, t),
    });
    let few = prop_oneof![4 => 0..64_u16, 1 => any::<u16>()];
    let immediate = (0..8_u8, register(), register(), few).prop_map(|(which, t, s, n)| match which {
        0 | 1 => addiu(t, s, n as i16),
        2 => slti(t, s, n as i16),
        3 => sltiu(t, s, n as i16),
        4 => andi(t, s, n),
        5 => ori(t, s, n),
        6 => xori(t, s, n),
        _ => lui(t, n),
    });
    let shift = (0..3_u8, register(), register(), 0..32_u8).prop_map(|(which, d, t, amount)| match which {
        0 => sll(d, t, amount),
        1 => srl(d, t, amount),
        _ => sra(d, t, amount),
    });
    prop_oneof![3 => three, 3 => immediate, 1 => shift]
}

/// A load or store by a register, with an offset that it may have.
fn memory() -> impl Strategy<Value = u32> {
    use mips1::encode::*;
    let offset = prop_oneof![
        4 => 0..16_i16,
        2 => (0..8_i16).prop_map(|n| 4 * n),
        1 => -8..0_i16,
        1 => prop::sample::select(vec![4088_i16, 4091, 4092, 4093, 4094, 4095, 4096, 0x7fff, -0x8000]),
    ];
    (0..12_u8, register(), register(), offset).prop_map(|(which, t, base, offset)| match which {
        0 => lb(t, offset, base),
        1 => lbu(t, offset, base),
        2 => lh(t, offset, base),
        3 => lhu(t, offset, base),
        4 => lw(t, offset, base),
        5 => lwl(t, offset, base),
        6 => lwr(t, offset, base),
        7 => sb(t, offset, base),
        8 => sh(t, offset, base),
        9 => sw(t, offset, base),
        10 => swl(t, offset, base),
        _ => swr(t, offset, base),
    })
}

/// Loads of the message and accesses to the region at fixed offsets.
fn fixed() -> impl Strategy<Value = u32> {
    use mips1::encode::*;
    let (message, region) = (R::S5, R::GP);
    prop_oneof![
        (register(), 0..15_i16).prop_map(move |(t, n)| lw(t, 2 + 4 * n, message)),
        (register(), 0..30_i16).prop_map(move |(t, n)| lhu(t, 2 * n, message)),
        (register(), 0..60_i16).prop_map(move |(t, n)| lb(t, n, message)),
        (register(), 4..60_i16).prop_map(move |(t, n)| lwl(t, n, message)),
        (register(), 0..56_i16).prop_map(move |(t, n)| lwr(t, n, message)),
        (register(), 0..2048_i16).prop_map(move |(t, n)| lw(t, 4 * n, region)),
        (register(), 0..2048_i16).prop_map(move |(t, n)| sw(t, 4 * n, region)),
        (register(), 0..8192_i16).prop_map(move |(t, n)| sb(t, n, region)),
        (register(), 0..8192_i16).prop_map(move |(t, n)| swr(t, n, region)),
    ]
}

/// A part of a handler.
pub fn piece() -> impl Strategy<Value = Piece> {
    use mips1::encode::*;
    let branch = (0..6_u8, register(), register()).prop_map(|(which, s, t)| match which {
        0 => beq(s, t, 0),
        1 => bne(s, t, 0),
        2 => blez(s, 0),
        3 => bgtz(s, 0),
        4 => bltz(s, 0),
        _ => bgez(s, 0),
    });
    let back = prop::bool::weighted(0.2);
    let branch = (branch, computing(), any::<prop::sample::Index>(), back)
        .prop_map(|(word, slot, to, back)| Piece::Branch { word, slot, to, back });
    let again = (1..20_u16, any::<prop::sample::Index>()).prop_map(|(rounds, to)| Piece::Again { rounds, to });
    // Behind a load something that does not read what it loads.
    let access = (prop_oneof![3 => memory(), 2 => fixed()], computing()).prop_map(|(access, behind)| {
        let (first, second) = (Instruction::decode(access), Instruction::decode(behind));
        let loads = first.and_then(Instruction::loads);
        let reads = second.map_or(0, |second| second.reads().bits());
        let waits = loads.is_some_and(|register| reads >> register.number() & 1 != 0);
        Piece::Words(vec![access, if waits { nop() } else { behind }])
    });
    // Several by one register.
    let together = prop::collection::vec(prop_oneof![memory(), fixed()], 2..5)
        .prop_map(|accesses| Piece::Words(accesses.into_iter().flat_map(|access| [access, nop()]).collect()));
    let multiply = (0..6_u8, register(), register(), register()).prop_map(|(which, s, t, d)| {
        let first = match which {
            0 => mult(s, t),
            1 => multu(s, t),
            2 => div(s, t),
            3 => divu(s, t),
            4 => mthi(s),
            _ => mtlo(t),
        };
        Piece::Words(vec![first, mflo(d), mfhi(d), nop(), nop()])
    });
    let copy = (0..80_u16, 0..40_u16).prop_map(|(from, bytes)| {
        Piece::Words(vec![li(R::A1, from as i16), li(R::A2, bytes as i16), jal(4 * COPY), nop()])
    });
    let call = (0..5_u8, computing()).prop_map(|(which, slot)| match which {
        0 => Piece::Words(vec![andi(R::A0, R::A0, 0x3f), jal(4 * LOAD), nop()]),
        1 | 2 => Piece::Words(vec![jal(4 * SEND), slot]),
        _ => Piece::Words(vec![jal(4 * WAKE), slot]),
    });
    let end = Just(Piece::Words(vec![jal(4 * ABORT), 0]));
    let computing = computing().prop_map(|word| Piece::Words(vec![word]));
    prop_oneof![
        60 => computing, 40 => access, 10 => together, 25 => branch, 5 => again, 6 => multiply, 3 => copy, 6 => call, 1 => end
    ]
}

/// Handlers that keep all rules.
pub fn handler() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(piece(), 1..40).prop_map(|pieces| assemble(&pieces))
}

/// Something to run a handler on that reads so many bytes of the message.
pub fn start(random: &mut Random, region_bytes: u32, message_bytes: u32) -> State {
    let mut registers = [0; 32];
    for (n, register) in registers.iter_mut().enumerate().filter(|(n, _)| USABLE >> n & 1 != 0) {
        *register = match random.below(4) {
            // A pointer into the region, as the owner has it.
            0 => MAPPED + 4 * random.below(region_bytes as usize / 4) as u32,
            1 => random.below(100) as u32,
            2 => n as u32,
            _ => random.next(),
        };
    }
    let length = (64 + random.below(64)).max(message_bytes as usize);
    let mut bytes = |count: usize| (0..count).map(|_| random.next() as u8).collect();
    let region = bytes((region_bytes + GUARD) as usize);
    State { registers, region, message: bytes(length), outcome: Outcome::Skipped, left: 0 }
}

/// Tries so many cases; one that fails is made as small as can be.
pub fn cases<S: Strategy>(count: u32, strategy: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = ProptestConfig { cases: count, max_shrink_iters: 3000, ..ProptestConfig::default() };
    if let Err(error) = TestRunner::new(config).run(&strategy, test) {
        panic!("{error}");
    }
}
