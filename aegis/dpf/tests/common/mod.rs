//! What the tests share: engines with memory, a processor to run their code on, filters evaluated one by one, and random
//! filters and messages.
#![allow(dead_code)] // Each test uses a part.

use aegis_abi::filter::{Atom, COMPARE, INDIRECT, MESSAGE_MIN, SHIFT, SHIFT_BY};
use aegis_dpf::{Block, Edge, Engine, Filter, Memory, Node, buddy};
use decstation::{Config, Limits, Machine, Stop};
use hazard::{Options, check_code};
use mips1::{Control, Instruction};
use proptest::prelude::*;
use std::collections::HashSet;

/// Where generated code and its tables are placed.
pub const CODE: u32 = 0x8003_0000;
pub const TABLES: u32 = 0x8006_0000;
/// The end of memory: there is nothing behind it. Messages are put against it.
pub const END: u32 = 0x8000_0000 + (MEGABYTES << 20);
const MEGABYTES: u32 = 1;
/// The PROM's `halt`, which ends a run.
const HALT: u32 = 0xbfc0_8138;

/// How much memory an engine has.
#[derive(Clone, Copy)]
pub struct Size {
    pub filters: usize,
    pub nodes: usize,
    pub code: usize,
    pub tables: usize,
}

pub const SMALL: Size = Size { filters: 1024, nodes: 1024, code: 1 << 15, tables: 1 << 13 };

/// The memory of an engine.
pub struct Space {
    filters: Vec<Filter>,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    buckets: Vec<u16>,
    code: Vec<u32>,
    code_blocks: Vec<Block>,
    tables: Vec<u32>,
    table_blocks: Vec<Block>,
}

impl Space {
    pub fn new(size: Size) -> Self {
        Self {
            filters: vec![Filter::default(); size.filters],
            nodes: vec![Node::default(); size.nodes],
            edges: vec![Edge::default(); size.filters + size.nodes],
            buckets: vec![0; size.filters.next_power_of_two()],
            code: vec![0; size.code],
            code_blocks: vec![Block::default(); size.code / buddy::UNIT],
            tables: vec![0; size.tables],
            table_blocks: vec![Block::default(); size.tables / buddy::UNIT],
        }
    }

    pub fn engine(&mut self) -> Engine<'_> {
        Engine::new(Memory {
            filters: &mut self.filters,
            nodes: &mut self.nodes,
            edges: &mut self.edges,
            buckets: &mut self.buckets,
            code: &mut self.code,
            code_at: CODE,
            code_blocks: &mut self.code_blocks,
            tables: &mut self.tables,
            tables_at: TABLES,
            table_blocks: &mut self.table_blocks,
        })
    }
}

/// A processor with an engine's code in memory.
pub struct Processor(Machine);

impl Processor {
    /// With the code as it is now. All of it is checked for hazards.
    pub fn new(engine: &mut Engine) -> Self {
        let mut machine = Machine::new(Config { timed: false, ram_mb: MEGABYTES, ..Config::default() });
        let code = engine.code();
        let used = code.iter().rposition(|&word| word != 0).map_or(0, |last| last + 2).min(code.len());
        let options = Options { user: true, ..Options::default() };
        let findings = check_code(CODE, &reachable(engine)[..used], &options);
        assert!(findings.is_empty(), "{findings:?}");
        let mut poke = |at: u32, words: &[u32]| {
            for (n, word) in words.iter().enumerate() {
                for (byte, value) in word.to_le_bytes().into_iter().enumerate() {
                    assert!(machine.poke_byte(at + 4 * n as u32 + byte as u32, value));
                }
            }
        };
        poke(CODE, &code[..used]);
        poke(TABLES, engine.tables());
        Self(machine)
    }

    /// What the code says of a message, which is put against the end of memory, and how many instructions that takes.
    pub fn demux(&mut self, entry: u32, message: &[u8]) -> (u32, u64) {
        let length = message.len().max(MESSAGE_MIN as usize) as u32;
        // The last address that is 2 modulo 4 from which the message fits.
        let at = ((END - length - 2) & !3) + 2;
        for n in 0..END - at {
            // What is behind the message, up to three bytes, is no zero.
            let filler = if n < length { 0 } else { 0xff };
            self.0.poke_byte(at + n, message.get(n as usize).copied().unwrap_or(filler));
        }
        let machine = &mut self.0;
        // Nothing is to depend on what is in a register.
        (2..16).for_each(|register| machine.set_register(register, 0xdead_beef ^ at.rotate_left(register as u32)));
        machine.set_register(4, at);
        machine.set_register(5, length);
        machine.set_register(31, HALT);
        machine.set_pc(entry);
        let before = machine.instructions();
        let stop = machine.run(Limits::instructions(20_000));
        assert_eq!(stop, Stop::Halted, "{} of {message:x?}", machine.describe(&stop));
        // One is the PROM's.
        (machine.register(2), machine.instructions() - before - 1)
    }
}

/// The code, with what was left behind by code that is no more, and cannot be reached, as `nop`.
fn reachable(engine: &Engine) -> Vec<u32> {
    let (code, mut reached) = (engine.code(), vec![0; engine.code().len()]);
    // Every other word of a table may be the address of a block; the words between may be keys.
    let results = engine.tables().iter().skip(1).step_by(2).copied();
    let mut open: Vec<u32> = results.filter(|word| (CODE..TABLES).contains(word)).collect();
    open.push(engine.entry());
    let mut seen = HashSet::new();
    while let Some(address) = open.pop() {
        if !seen.insert(address) {
            continue;
        }
        let at = (address - CODE) as usize / 4;
        reached[at] = code[at];
        let instruction = Instruction::decode(code[at]).expect("MIPS I");
        if instruction.has_delay_slot() {
            reached[at + 1] = code[at + 1];
            open.extend(instruction.target(address));
        }
        match instruction.control() {
            Control::Next => open.push(address + 4),
            Control::Jump { conditional: true, .. } => open.push(address + 8),
            _ => {}
        }
    }
    reached
}

/// Whether a filter accepts a message, one atom after the other: what the language means.
pub fn accepts(filter: &[Atom], message: &[u8]) -> bool {
    let mut padded = message.to_vec();
    padded.resize(message.len().max(MESSAGE_MIN as usize), 0);
    // Bytes of which no bit counts are not read.
    let read = |at: u32, atom: &Atom| -> Option<u32> {
        let bytes = u32::from(atom.bits) / 8;
        let mut number = 0;
        for n in 0..bytes {
            let counts = atom.mask >> (8 * (bytes - 1 - n)) & 0xff != 0;
            let byte = padded.get((at + n) as usize);
            number = number << 8 | u32::from(*if counts { byte? } else { &0 });
        }
        Some(number & atom.mask)
    };
    let scale = |number: u32, scale: i8| if scale < 0 { number >> -scale } else { number << scale };
    let (mut base, mut extra) = (0, 0);
    for atom in filter {
        let at = base + extra + atom.offset;
        extra = 0;
        match atom.kind {
            COMPARE => {
                if read(at, atom) != Some(atom.value) {
                    return false;
                }
            }
            SHIFT => base += atom.offset,
            kind => {
                // Bits that a shift to the right drops do not count.
                let mask = if atom.scale < 0 { atom.mask & u32::MAX << -atom.scale } else { atom.mask };
                let Some(number) = read(at, &Atom { mask, ..*atom }) else { return false };
                let amount = scale(number, atom.scale);
                match kind {
                    SHIFT_BY => base += amount,
                    INDIRECT => extra = amount,
                    _ => panic!("{atom:?}"),
                }
            }
        }
    }
    true
}

/// Changes a message so that a filter may accept it.
pub fn suit(filter: &[Atom], message: &mut [u8]) {
    let (mut base, mut extra) = (0, 0);
    for atom in filter {
        let at = (base + extra + atom.offset) as usize;
        extra = 0;
        let bytes = usize::from(atom.bits) / 8;
        match atom.kind {
            COMPARE => {
                for n in 0..bytes {
                    let shift = 8 * (bytes - 1 - n);
                    if let Some(byte) = message.get_mut(at + n) {
                        *byte = *byte & !(atom.mask >> shift) as u8 | (atom.value >> shift) as u8;
                    }
                }
            }
            SHIFT => base += atom.offset,
            _ => {
                let byte = |n: usize| u32::from(message.get(at + n).copied().unwrap_or(0));
                let number = (0..bytes).fold(0, |number, n| number << 8 | byte(n)) & atom.mask;
                let amount = if atom.scale < 0 { number >> -atom.scale } else { number << atom.scale };
                if atom.kind == SHIFT_BY { base += amount } else { extra = amount }
            }
        }
    }
}

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

/// A message for some of these filters, more or less.
pub fn message(random: &mut Random, filters: &[Vec<Atom>]) -> Vec<u8> {
    let length = match random.below(4) {
        0 => random.below(70),
        1 => 64,
        _ => 60 + random.below(70),
    };
    // Few different bytes, so that values agree by chance, and shifts stay small.
    let mut message: Vec<u8> = (0..length).map(|_| [0, 1, 2, 3, 5, 8, 0x45, 0xff][random.below(8)]).collect();
    if !filters.is_empty() {
        for _ in 0..=random.below(2) {
            suit(&filters[random.below(filters.len())], &mut message);
        }
    }
    if random.below(4) == 0 && length > 0 {
        message[random.below(length)] = random.next() as u8;
    }
    message
}

/// Atoms of which different filters have many in common.
pub fn atom() -> impl Strategy<Value = Atom> {
    let few = || prop::sample::select(vec![0_u32, 1, 2, 3, 5, 8, 0x45, 0xff]);
    let offset = || prop_oneof![3 => prop::sample::select(vec![0_u32, 2, 4, 9, 12, 14, 16, 20, 22]), 1 => 0..70_u32];
    let byte = (offset(), few()).prop_map(|(offset, value)| Atom::equal(offset, 8, value));
    let half = (offset(), few(), few()).prop_map(|(offset, a, b)| Atom::equal(offset, 16, a << 8 | b));
    let word = (offset(), few(), few(), few())
        .prop_map(|(offset, a, b, c)| Atom::equal(offset, 32, a << 24 | b << 16 | c << 8 | a));
    let masked = (offset(), prop::sample::select(vec![8_u8, 16, 32]), any::<u32>(), any::<u32>()).prop_map(
        |(offset, bits, mask, value)| {
            let mask = (mask & u32::MAX >> (32 - bits)).max(1);
            Atom::masked(offset, bits, mask, value & mask)
        },
    );
    let load = (
        offset(),
        prop::sample::select(vec![(8_u8, 0x0f, 2_i8), (8, 0x3f, 0), (16, 0x7, 1), (8, 0xf0, -2), (32, 0x30, -4)]),
    );
    let indirect = load.prop_map(|(offset, (bits, mask, scale))| (offset, bits, mask, scale));
    let by = indirect.clone().prop_map(|(offset, bits, mask, scale)| Atom::shift_by(offset, bits, mask, scale));
    let once = indirect.prop_map(|(offset, bits, mask, scale)| Atom::indirect(offset, bits, mask, scale));
    let shift = prop::sample::select(vec![2_u32, 3, 14, 20]).prop_map(Atom::shift);
    prop_oneof![6 => byte, 5 => half, 3 => word, 2 => masked, 2 => shift, 2 => by, 1 => once]
}

/// Filters, most of them good.
pub fn filter() -> impl Strategy<Value = Vec<Atom>> {
    prop::collection::vec(atom(), 1..7)
}

/// Sets of filters that have much in common: each begins like one before.
pub fn filters(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Vec<Atom>>> {
    let branch = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), filter());
    prop::collection::vec(branch, count).prop_map(|branches| {
        let mut filters: Vec<Vec<Atom>> = Vec::new();
        for (which, cut, mut tail) in branches {
            if let Some(start) = (!filters.is_empty()).then(|| which.get(&filters)) {
                let mut filter = start[..cut.index(start.len() + 1)].to_vec();
                filter.append(&mut tail);
                filter.truncate(12);
                filters.push(filter);
            } else {
                filters.push(tail);
            }
        }
        filters
    })
}

/// A TCP/IP filter as in the papers: the headers of fixed length, two ports.
pub fn tcp(source: u32, destination: u32) -> Vec<Atom> {
    vec![
        Atom::equal(12, 16, 0x0800),
        Atom::shift(14),
        Atom::equal(0, 8, 0x45),
        Atom::equal(9, 8, 6),
        Atom::equal(12, 32, 0xc00c_4501),
        Atom::shift(20),
        Atom::equal(0, 16, source),
        Atom::equal(2, 16, destination),
    ]
}
