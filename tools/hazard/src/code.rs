//! The code that is checked, and the order in which it can be executed.

use std::collections::BTreeSet;
use std::ops::Range;

use mips1::{Control, Instruction};

/// A word of an executable section.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Word {
    Instruction(Instruction),
    /// A word that MIPS I cannot execute.
    Invalid(u32),
    /// Not code: covered by a symbol of type OBJECT.
    Data,
}

/// A contiguous run of words.
struct Section {
    base: u32,
    words: Vec<Word>,
}

impl Section {
    /// Every word with its address.
    fn words(&self) -> impl Iterator<Item = (u32, Word)> {
        self.words.iter().enumerate().map(|(index, &word)| (self.base + 4 * index as u32, word))
    }
}

/// All code of a program.
#[derive(Default)]
pub struct Code {
    sections: Vec<Section>,
    /// Addresses that a branch, a jump or a symbol points to.
    entries: BTreeSet<u32>,
    /// Functions in which a user program may use `$k0` and `$k1`.
    restartable: Vec<Range<u32>>,
}

/// An instruction as one step of an execution.
///
/// A delay slot that is also an entry is two different steps: what is executed after it depends on how it was reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    pub address: u32,
    /// The jump in whose delay slot the instruction is executed.
    pub jump: Option<u32>,
}

/// What is executed after a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    Step(Step),
    /// Anything: behind an indirect jump, and behind the end of the code.
    Unknown,
}

impl Code {
    /// Adds a run of words. `base` is a multiple of four and the run does not wrap around the end of the address space.
    pub fn add_section(&mut self, base: u32, words: impl Iterator<Item = u32>) {
        let decode = |word| Instruction::decode(word).map_or(Word::Invalid(word), Word::Instruction);
        let words: Vec<Word> = words.map(decode).collect();
        let section = Section { base, words };
        for (address, word) in section.words() {
            if let Word::Instruction(instruction) = word {
                self.entries.extend(instruction.target(address));
            }
        }
        self.sections.push(section);
    }

    /// Adds an address that execution may come to from elsewhere.
    pub fn add_entry(&mut self, address: u32) {
        self.entries.insert(address);
    }

    /// Allows the words in `addresses` to use `$k0` and `$k1` in user mode.
    pub fn add_restartable(&mut self, addresses: Range<u32>) {
        self.restartable.push(addresses);
    }

    /// Marks the words that lie in one of `ranges` as data.
    pub fn mark_data(&mut self, mut ranges: Vec<Range<u32>>) {
        ranges.sort_by_key(|range| range.start);
        for Section { base, words } in &mut self.sections {
            let mut done = 0; // Ranges may overlap; no word is marked twice.
            for range in &ranges {
                let index = |address: u32| (address.saturating_sub(*base) / 4) as usize;
                let end = index(range.end).min(words.len());
                let start = index(range.start.saturating_add(3)).max(done).min(end);
                words[start..end].fill(Word::Data);
                done = done.max(end);
            }
        }
    }

    /// The word at an address; `None` outside of the code.
    pub fn word(&self, address: u32) -> Option<Word> {
        self.sections.iter().find_map(|section| {
            let distance = address.checked_sub(section.base)?;
            section.words.get(distance as usize / 4).filter(|_| distance.is_multiple_of(4)).copied()
        })
    }

    /// The instruction at an address, if there is one.
    pub fn instruction(&self, address: u32) -> Option<Instruction> {
        match self.word(address) {
            Some(Word::Instruction(instruction)) => Some(instruction),
            _ => None,
        }
    }

    /// Every word with its address.
    pub fn words(&self) -> impl Iterator<Item = (u32, Word)> {
        self.sections.iter().flat_map(Section::words)
    }

    pub fn is_restartable(&self, address: u32) -> bool {
        self.restartable.iter().any(|range| range.contains(&address))
    }

    /// The ways in which the instruction at an address can be executed: as a delay slot, as itself, or both.
    pub fn steps(&self, address: u32) -> impl Iterator<Item = Step> {
        let before = address.wrapping_sub(4);
        let jump = self.instruction(before).filter(|instruction| instruction.has_delay_slot()).map(|_| before);
        let as_slot = jump.map(|_| Step { address, jump });
        let as_itself = (jump.is_none() || self.entries.contains(&address)).then_some(Step { address, jump: None });
        as_slot.into_iter().chain(as_itself)
    }

    /// Everything that may be executed right after a step.
    ///
    /// Nothing follows where a finding of its own is due: after a word that is no instruction, after a jump in a delay slot,
    /// and at a target outside of the code.
    pub fn next(&self, step: Step) -> Vec<Next> {
        let Some(instruction) = self.instruction(step.address) else { return Vec::new() };
        let behind = step.address.wrapping_add(4);
        let Some(jump) = step.jump else {
            let jump = instruction.has_delay_slot().then_some(step.address);
            return self.step(behind, jump).into_iter().collect();
        };
        let Some(jump_instruction) = self.instruction(jump) else { return Vec::new() };
        if instruction.has_delay_slot() {
            return Vec::new();
        }
        match jump_instruction.control() {
            Control::Jump { conditional, .. } => {
                let target = jump_instruction.target(jump).filter(|&target| self.word(target).is_some());
                let taken = target.and_then(|target| self.step(target, None));
                let not_taken = if conditional { self.step(behind, None) } else { None };
                taken.into_iter().chain(not_taken).collect()
            }
            Control::Indirect { .. } => vec![Next::Unknown],
            Control::Next | Control::Trap => Vec::new(),
        }
    }

    fn step(&self, address: u32, jump: Option<u32>) -> Option<Next> {
        match self.word(address) {
            Some(Word::Instruction(_)) => Some(Next::Step(Step { address, jump })),
            Some(Word::Invalid(_)) => None,
            // A missing delay slot is a finding of its own.
            Some(Word::Data) | None => jump.is_none().then_some(Next::Unknown),
        }
    }
}
