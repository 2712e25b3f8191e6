//! Pipes compiled into one loop: what several layers do to a message's data is done while it is copied, each word being
//! loaded and stored once (integrated layer processing).
//!
//! The loop takes blocks of several words, loads them all, and then lets each through the pipes and stores it; what is
//! left is taken word by word, and what is left of that in bytes.

use crate::kind::{Kind, What};
use aegis_abi::ash::{PIPE_WORDS_MAX, PIPES_MAX, Pipe};
use aegis_codegen::{Assembler, Label};
use mips1::{Instruction, Opcode, Register};

type R = Register;

/// The most words that a loop has.
pub const LOOP_WORDS_MAX: usize = 512;

/// Why pipes are refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// There are more than [`PIPES_MAX`], or more than one own, or an own has more than [`PIPE_WORDS_MAX`] words.
    TooMany,
    /// This word of the program's own pipe is not one that computes, or uses other registers than a pipe's.
    Own(u16),
    /// The memory is too small for the loop: see [`LOOP_WORDS_MAX`].
    Full,
}

/// What is done to data.
#[derive(Clone, Copy, Debug)]
pub struct Composition<'a> {
    /// In this order, each with what the one before it has made.
    pub pipes: &'a [Pipe<'a>],
    /// Whether the data is stored, too.
    pub copies: bool,
}

/// A loop that was generated: a function of the source's address, the destination's, the number of bytes, and the address
/// of a [`PipeState`](aegis_abi::ash::PipeState), as C passes them.
///
/// Both addresses are multiples of four, the bytes one of `unit`. Whole words are read, so up to three bytes behind the
/// source's end in its last word, but no other bytes than the destination's are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Composed {
    /// How many words it has.
    pub words: usize,
    /// What the number of bytes must be a multiple of: 1, 2 or 4.
    pub unit: u32,
    /// What it costs for up to 32 bytes at the beginning and the end.
    pub cost: u16,
    /// What 32 bytes cost.
    pub block_cost: u16,
}

const SOURCE: R = R::A0;
const DESTINATION: R = R::A1;
const BYTES: R = R::A2;
const STATE: R = R::A3;
const SUM: R = R::V0;
const OWN: R = R::V1;
const CARRY: R = R::T8;
const END: R = R::T9;
/// Words of a block, and of one where registers are needed for [`SWAP_MASK`] and [`TEMPORARIES`].
const BLOCK: usize = 8;
const SHORT_BLOCK: usize = 4;
/// Blocks are shorter if pipes would take more instructions than this in one, so that composing does not take long.
const BLOCK_LENGTH: usize = 32;
const WORDS: [R; BLOCK] = [R::T0, R::T1, R::T2, R::T3, R::T4, R::T5, R::T6, R::T7];
const SWAP_MASK: R = R::T4;
const TEMPORARIES: [R; 2] = [R::T5, R::T6];
/// Instructions of the last bytes, when there are three, that are executed again.
const TAIL_AGAIN: usize = 2 * 5;
/// Where the offsets of [`aegis_abi::ash::PipeState`] are.
const SUM_AT: i16 = 0;
const OWN_AT: i16 = 4;

impl Composition<'_> {
    fn has(&self, wanted: impl Fn(&Pipe) -> bool) -> bool {
        self.pipes.iter().any(wanted)
    }

    /// What the number of bytes must be a multiple of.
    fn unit(&self) -> u32 {
        let unit = |pipe: &Pipe| match pipe {
            Pipe::Checksum => 1,
            Pipe::Swap16 => 2,
            Pipe::Swap32 | Pipe::Own(_) => 4,
        };
        self.pipes.iter().map(unit).max().unwrap_or(1)
    }

    /// How many instructions the pipes take for a word.
    #[must_use]
    pub fn instructions(&self) -> usize {
        let instructions = |pipe: &Pipe| match pipe {
            Pipe::Checksum => 3,
            Pipe::Swap16 => 5,
            Pipe::Swap32 => 8,
            Pipe::Own(words) => words.len(),
        };
        self.pipes.iter().map(instructions).sum()
    }

    /// Checks what the program gives, for who [composes](compose_checked) later.
    ///
    /// # Errors
    /// See [`Error`].
    #[inline(never)]
    pub fn check(&self) -> Result<(), Error> {
        let own = || self.pipes.iter().filter_map(|pipe| if let Pipe::Own(words) = pipe { Some(*words) } else { None });
        if self.pipes.len() > PIPES_MAX || own().count() > 1 || own().any(|words| words.len() > PIPE_WORDS_MAX) {
            return Err(Error::TooMany);
        }
        for (n, &word) in own().flatten().enumerate() {
            let good = Instruction::decode(word).is_some_and(|instruction| {
                let touched = instruction.reads() | instruction.writes();
                Kind::of(word).what == What::Computes && touched.bits() & !OWN_REGISTERS == 0
            });
            if !good {
                return Err(Error::Own(n as u16));
            }
        }
        Ok(())
    }
}

/// The registers that an own pipe has, a bit each: those that are [`renamed`].
const OWN_REGISTERS: u32 =
    1 << R::ZERO.number() | 1 << R::T0.number() | 1 << R::T1.number() | 1 << R::T2.number() | 1 << R::V1.number();

/// The register that a register of an own pipe is, when `word` is the word's.
fn renamed(register: R, word: R) -> Option<R> {
    Some(match register {
        R::ZERO => R::ZERO,
        R::T0 => word,
        R::T1 => TEMPORARIES[0],
        R::T2 => TEMPORARIES[1],
        R::V1 => OWN,
        _ => return None,
    })
}

/// Compiles pipes into `code`, to be executed at `at`, a multiple of four.
///
/// # Errors
/// See [`Error`].
#[inline(never)]
pub fn compose(composition: &Composition, code: &mut [u32], at: u32) -> Result<Composed, Error> {
    composition.check()?;
    compose_checked(composition, code, at)
}

/// As [`compose`], of what was [checked](Composition::check) before.
///
/// # Errors
/// See [`Error`].
#[inline(never)]
pub fn compose_checked(composition: &Composition, code: &mut [u32], at: u32) -> Result<Composed, Error> {
    let mut emitter = Emitter { asm: Assembler::new(code, at), composition };
    let (block, block_words, rest) = emitter.function();
    let words = emitter.asm.finish().map_err(|_| Error::Full)?;
    let blocks = BLOCK / block;
    Ok(Composed {
        words,
        unit: composition.unit(),
        cost: (words - block_words + BLOCK * rest + TAIL_AGAIN) as u16,
        block_cost: (blocks * block_words) as u16,
    })
}

struct Emitter<'a, 'c> {
    asm: Assembler<'a>,
    composition: &'c Composition<'c>,
}

impl Emitter<'_, '_> {
    /// The whole function: how many words a block has, and how many instructions the code for a block and a word.
    fn function(&mut self) -> (usize, usize, usize) {
        let Composition { pipes: _, copies } = *self.composition;
        let sums = self.composition.has(|pipe| matches!(pipe, Pipe::Checksum));
        let owns = self.composition.has(|pipe| matches!(pipe, Pipe::Own(_)));
        let swaps = self.composition.has(|pipe| matches!(pipe, Pipe::Swap16 | Pipe::Swap32));
        let mut block = if owns {
            1
        } else if swaps {
            SHORT_BLOCK
        } else {
            BLOCK
        };
        while block > 1 && block * self.composition.instructions() > BLOCK_LENGTH {
            block /= 2;
        }
        let block_bytes = 4 * block as i16;
        let (mut words, mut tail, mut done) = (Label::new(), Label::new(), Label::new());
        let (mut next_block, mut next_word) = (Label::new(), Label::new());

        if sums {
            self.asm.lw(SUM, SUM_AT, STATE);
        }
        if owns {
            self.asm.lw(OWN, OWN_AT, STATE);
        }
        if swaps {
            self.asm.li(SWAP_MASK, 0x00ff_00ff);
        }
        self.asm.srl(END, BYTES, block_bytes.ilog2() as u8);
        self.asm.sll(END, END, block_bytes.ilog2() as u8);
        self.asm.beq(END, R::ZERO, &mut words);
        self.asm.speculate(|asm| asm.addu(END, END, SOURCE));

        self.asm.bind(&mut next_block);
        let begin = self.asm.len();
        for (n, &word) in WORDS.iter().enumerate().take(block) {
            self.asm.lw(word, 4 * n as i16, SOURCE);
        }
        self.asm.addiu(SOURCE, SOURCE, block_bytes);
        for (n, &word) in WORDS.iter().enumerate().take(block) {
            self.pipes(word);
            if copies {
                self.asm.sw(word, 4 * n as i16, DESTINATION);
            }
        }
        if copies {
            self.asm.addiu(DESTINATION, DESTINATION, block_bytes);
        }
        self.asm.bne(SOURCE, END, &mut next_block);
        let block_words = self.asm.len() - begin;

        self.asm.bind(&mut words);
        let mut rest = block_words;
        if block > 1 {
            self.asm.andi(END, BYTES, block_bytes as u16 - 4);
            self.asm.beq(END, R::ZERO, &mut tail);
            self.asm.speculate(|asm| asm.addu(END, END, SOURCE));
            self.asm.bind(&mut next_word);
            let begin = self.asm.len();
            self.asm.lw(R::T0, 0, SOURCE);
            self.asm.addiu(SOURCE, SOURCE, 4);
            self.pipes(R::T0);
            if copies {
                self.asm.sw(R::T0, 0, DESTINATION);
                self.asm.addiu(DESTINATION, DESTINATION, 4);
            }
            self.asm.bne(SOURCE, END, &mut next_word);
            rest = self.asm.len() - begin;
        }

        self.asm.bind(&mut tail);
        if self.composition.unit() < 4 {
            self.asm.andi(END, BYTES, 3);
            self.asm.beq(END, R::ZERO, &mut done);
            self.asm.keep_slot();
            self.tail(copies);
        }
        self.asm.bind(&mut done);
        if sums {
            self.asm.sw(SUM, SUM_AT, STATE);
        }
        if owns {
            self.asm.sw(OWN, OWN_AT, STATE);
        }
        self.asm.jr(R::RA);
        (block, block_words, rest)
    }

    /// The last one to three bytes, whose number is in [`END`].
    fn tail(&mut self, copies: bool) {
        let asm = &mut self.asm;
        let mut again = Label::new();
        // Zeros in place of what is behind them.
        asm.lw(R::T0, 0, SOURCE);
        asm.subu(CARRY, R::ZERO, END);
        asm.sll(CARRY, CARRY, 3);
        asm.sllv(R::T0, R::T0, CARRY);
        asm.srlv(R::T0, R::T0, CARRY);
        self.pipes(R::T0);
        if copies {
            let asm = &mut self.asm;
            asm.addu(END, END, DESTINATION);
            asm.bind(&mut again);
            asm.sb(R::T0, 0, DESTINATION);
            asm.srl(R::T0, R::T0, 8);
            asm.addiu(DESTINATION, DESTINATION, 1);
            asm.bne(DESTINATION, END, &mut again);
        }
    }

    /// All pipes, for one word.
    fn pipes(&mut self, word: R) {
        for pipe in self.composition.pipes {
            match pipe {
                Pipe::Checksum => {
                    self.asm.addu(SUM, SUM, word);
                    self.asm.sltu(CARRY, SUM, word);
                    self.asm.addu(SUM, SUM, CARRY);
                }
                Pipe::Swap16 => self.swap_halves_bytes(word),
                Pipe::Swap32 => {
                    self.swap_halves_bytes(word);
                    self.asm.sll(CARRY, word, 16);
                    self.asm.srl(word, word, 16);
                    self.asm.or(word, word, CARRY);
                }
                Pipe::Own(words) => words.iter().for_each(|&own| self.own(own, word)),
            }
        }
    }

    fn swap_halves_bytes(&mut self, word: R) {
        let asm = &mut self.asm;
        asm.and(CARRY, word, SWAP_MASK);
        asm.sll(CARRY, CARRY, 8);
        asm.srl(word, word, 8);
        asm.and(word, word, SWAP_MASK);
        asm.or(word, word, CARRY);
    }

    /// An instruction of a program's own pipe, which was checked.
    fn own(&mut self, own: u32, word: R) {
        use Opcode::*;
        let Some(i) = Instruction::decode(own) else { return };
        let rename = |register| renamed(register, word).unwrap_or(R::ZERO);
        let (s, t, d) = (rename(i.rs()), rename(i.rt()), rename(i.rd()));
        let (signed, bits, amount) = (i.offset(), i.immediate(), i.shift() as u8);
        let asm = &mut self.asm;
        match i.opcode() {
            Addu => asm.addu(d, s, t),
            Subu => asm.subu(d, s, t),
            And => asm.and(d, s, t),
            Or => asm.or(d, s, t),
            Xor => asm.xor(d, s, t),
            Nor => asm.nor(d, s, t),
            Slt => asm.slt(d, s, t),
            Sltu => asm.sltu(d, s, t),
            Sll => asm.sll(d, t, amount),
            Srl => asm.srl(d, t, amount),
            Sra => asm.sra(d, t, amount),
            Sllv => asm.sllv(d, t, s),
            Srlv => asm.srlv(d, t, s),
            Srav => asm.srav(d, t, s),
            Addiu => asm.addiu(t, s, signed),
            Slti => asm.slti(t, s, signed),
            Sltiu => asm.sltiu(t, s, signed),
            Andi => asm.andi(t, s, bits),
            Ori => asm.ori(t, s, bits),
            Xori => asm.xori(t, s, bits),
            Lui => asm.lui(t, bits),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_pipes_have_the_registers_that_are_renamed() {
        let registers = (0..32).map(|number| Instruction::decode(number << 11 | 0x21).expect("it is addu").rd());
        for register in registers {
            assert_eq!(renamed(register, R::T0).is_some(), OWN_REGISTERS >> register.number() & 1 != 0, "{register:?}");
        }
    }

    #[test]
    fn pipes_take_as_many_instructions_as_is_said() {
        let own = [Instruction::decode(0x21).expect("it is addu").word(); 5];
        let all = [Pipe::Checksum, Pipe::Swap16, Pipe::Swap32, Pipe::Own(&own)];
        for pipes in [&all[..1], &all[1..2], &all[2..3], &all[3..], &all] {
            let composition = Composition { pipes, copies: true };
            let mut code = [0; 64];
            let mut emitter = Emitter { asm: Assembler::new(&mut code, 0), composition: &composition };
            emitter.pipes(R::T0);
            assert_eq!(emitter.asm.len(), composition.instructions());
        }
    }
}
