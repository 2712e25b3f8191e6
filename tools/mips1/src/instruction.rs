//! One decoded instruction: its fields and what executing it touches.

use crate::opcode::{Opcode, Syntax};
use crate::register::{Cp0, Register, Registers};

/// A valid MIPS I instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Instruction {
    word: u32,
    opcode: Opcode,
}

/// Where execution goes after an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Control {
    /// To the next instruction.
    Next,
    /// To a fixed address, after the delay slot: branches, `j`, `jal`. See [`Instruction::target`].
    Jump {
        /// Whether it may also go on behind the delay slot. False for `j`, `jal`, and for branches whose condition
        /// always holds, such as `b` (`beq $zero, $zero`) and `bal` (`bgezal $zero`).
        conditional: bool,
        /// The register that receives the return address.
        link: Option<Register>,
    },
    /// To the address in a register, after the delay slot: `jr`, `jalr`.
    Indirect {
        /// The register that holds the address.
        register: Register,
        /// The register that receives the return address.
        link: Option<Register>,
    },
    /// To the exception vector, at once: `syscall`, `break`.
    Trap,
}

/// Whether memory is read or written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Memory is read.
    Load,
    /// Memory is written.
    Store,
}

/// A memory access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory {
    /// Load or store.
    pub direction: Direction,
    /// Bytes transferred: 1, 2 or 4. `lwl`, `lwr`, `swl` and `swr` transfer 1 to 4, as the address says; 4 is given.
    pub bytes: u8,
}

impl Instruction {
    /// Decodes a word; `None` if MIPS I has no such instruction.
    pub fn decode(word: u32) -> Option<Self> {
        Some(Self { word, opcode: Opcode::decode(word)? })
    }

    /// The word it was decoded from.
    pub const fn word(self) -> u32 {
        self.word
    }

    /// Which instruction it is.
    pub const fn opcode(self) -> Opcode {
        self.opcode
    }

    /// Field rs, bits 25..21: first source, or base address.
    pub const fn rs(self) -> Register {
        Register::field(self.word, 21)
    }

    /// Field rt, bits 20..16: second source, or target of loads and immediates.
    pub const fn rt(self) -> Register {
        Register::field(self.word, 16)
    }

    /// Field rd, bits 15..11: destination.
    pub const fn rd(self) -> Register {
        Register::field(self.word, 11)
    }

    /// Field shamt, bits 10..6: the amount of a fixed shift.
    pub const fn shift(self) -> u32 {
        self.word >> 6 & 31
    }

    /// The immediate, bits 15..0, as it stands.
    pub const fn immediate(self) -> u16 {
        self.word as u16
    }

    /// The immediate as a signed number: an offset, or the operand of `addiu` and its like.
    pub const fn offset(self) -> i16 {
        self.word as i16
    }

    /// The code of `syscall` and `break`, bits 25..6, which the processor ignores.
    pub const fn code(self) -> u32 {
        self.word >> 6 & 0xf_ffff
    }

    /// The general registers that it reads.
    ///
    /// `lwl` and `lwr` read their target too, since they replace only a part of it.
    pub fn reads(self) -> Registers {
        let rs = Registers::from(self.rs());
        let rt = Registers::from(self.rt());
        match self.opcode.syntax() {
            Syntax::RdRsRt | Syntax::RdRtRs | Syntax::RsRt | Syntax::RsRtBranch => rs | rt,
            Syntax::RdRtShift => rt,
            Syntax::RdRs | Syntax::Rs | Syntax::RtRsSigned | Syntax::RtRsBits | Syntax::RsBranch => rs,
            Syntax::CoprocessorMemory => rs,
            Syntax::RtMemory => match self.opcode {
                Opcode::Lb | Opcode::Lbu | Opcode::Lh | Opcode::Lhu | Opcode::Lw => rs,
                _ => rs | rt,
            },
            Syntax::RtCp0 | Syntax::RtCoprocessor => {
                if self.loads().is_some() {
                    Registers::NONE
                } else {
                    rt
                }
            }
            Syntax::Bare
            | Syntax::Rd
            | Syntax::Code
            | Syntax::RtBits
            | Syntax::Branch
            | Syntax::Jump
            | Syntax::Operation => Registers::NONE,
        }
    }

    /// The general registers that it writes, the return address of a call among them.
    pub fn writes(self) -> Registers {
        let link = match self.control() {
            Control::Jump { link, .. } | Control::Indirect { link, .. } => link,
            Control::Next | Control::Trap => None,
        };
        let result = match self.opcode.syntax() {
            Syntax::RdRsRt | Syntax::RdRtRs | Syntax::RdRtShift | Syntax::Rd => Some(self.rd()),
            Syntax::RtRsSigned | Syntax::RtRsBits | Syntax::RtBits => Some(self.rt()),
            _ => self.loads(),
        };
        link.or(result).map_or(Registers::NONE, Registers::from)
    }

    /// The general register that it loads from memory or from a coprocessor.
    ///
    /// Such a value arrives one instruction late: the instruction executed next must not read the register.
    pub fn loads(self) -> Option<Register> {
        match self.opcode {
            Opcode::Lb | Opcode::Lbu | Opcode::Lh | Opcode::Lhu | Opcode::Lw | Opcode::Lwl | Opcode::Lwr => {
                Some(self.rt())
            }
            Opcode::Mfc0 | Opcode::Mfc1 | Opcode::Mfc2 | Opcode::Mfc3 => Some(self.rt()),
            Opcode::Cfc1 | Opcode::Cfc2 | Opcode::Cfc3 => Some(self.rt()),
            _ => None,
        }
    }

    /// Whether it reads HI or LO: `mfhi`, `mflo`.
    pub const fn reads_hi_lo(self) -> bool {
        matches!(self.opcode, Opcode::Mfhi | Opcode::Mflo)
    }

    /// Whether it writes HI or LO: multiply, divide, `mthi`, `mtlo`.
    pub const fn writes_hi_lo(self) -> bool {
        matches!(self.opcode, Opcode::Mult | Opcode::Multu | Opcode::Div | Opcode::Divu | Opcode::Mthi | Opcode::Mtlo)
    }

    /// The coprocessor 0 register that `mfc0` reads. (What the TLB instructions read is not told.)
    pub fn cp0_read(self) -> Option<Cp0> {
        (self.opcode == Opcode::Mfc0).then_some(Cp0::field(self.word))
    }

    /// The coprocessor 0 register that `mtc0` writes. (What `tlbr`, `tlbp` and `rfe` write is not told.)
    pub fn cp0_written(self) -> Option<Cp0> {
        (self.opcode == Opcode::Mtc0).then_some(Cp0::field(self.word))
    }

    /// The coprocessor that executes it, 0 to 3.
    pub fn coprocessor(self) -> Option<u8> {
        match self.word >> 26 {
            major @ (0x10..=0x13 | 0x30..=0x33 | 0x38..=0x3b) => Some((major & 3) as u8),
            _ => None,
        }
    }

    /// Its memory access, at the address `rs` + [`offset`](Self::offset).
    pub fn memory(self) -> Option<Memory> {
        use Direction::{Load, Store};
        let (direction, bytes) = match self.opcode {
            Opcode::Lb | Opcode::Lbu => (Load, 1),
            Opcode::Lh | Opcode::Lhu => (Load, 2),
            Opcode::Lw | Opcode::Lwl | Opcode::Lwr | Opcode::Lwc1 | Opcode::Lwc2 | Opcode::Lwc3 => (Load, 4),
            Opcode::Sb => (Store, 1),
            Opcode::Sh => (Store, 2),
            Opcode::Sw | Opcode::Swl | Opcode::Swr | Opcode::Swc1 | Opcode::Swc2 | Opcode::Swc3 => (Store, 4),
            _ => return None,
        };
        Some(Memory { direction, bytes })
    }

    /// Where execution goes next.
    pub fn control(self) -> Control {
        let zero = self.rs() == Register::ZERO;
        let branch = |always: bool| Control::Jump { conditional: !always, link: None };
        match self.opcode {
            Opcode::Beq => branch(self.rs() == self.rt()),
            Opcode::Bgez | Opcode::Blez => branch(zero),
            Opcode::Bne | Opcode::Bltz | Opcode::Bgtz => branch(false),
            Opcode::Bltzal => Control::Jump { conditional: true, link: Some(Register::RA) },
            Opcode::Bgezal => Control::Jump { conditional: !zero, link: Some(Register::RA) },
            Opcode::J => Control::Jump { conditional: false, link: None },
            Opcode::Jal => Control::Jump { conditional: false, link: Some(Register::RA) },
            Opcode::Jr => Control::Indirect { register: self.rs(), link: None },
            Opcode::Jalr => Control::Indirect { register: self.rs(), link: Some(self.rd()) },
            Opcode::Syscall | Opcode::Break => Control::Trap,
            _ if self.opcode.syntax() == Syntax::Branch => branch(false),
            _ => Control::Next,
        }
    }

    /// Whether the instruction behind it is its delay slot, executed before the jump takes place.
    pub fn has_delay_slot(self) -> bool {
        matches!(self.control(), Control::Jump { .. } | Control::Indirect { .. })
    }

    /// Where a branch or jump at `address` goes; `None` for every other instruction and for jumps by register.
    ///
    /// Branches count from their delay slot. Jumps replace the lower 28 bits of the delay slot's address, so they stay
    /// in its 256 MB region.
    pub fn target(self, address: u32) -> Option<u32> {
        let slot = address.wrapping_add(4);
        match self.opcode.syntax() {
            Syntax::Jump => Some(slot & 0xf000_0000 | (self.word & 0x3ff_ffff) << 2),
            Syntax::RsRtBranch | Syntax::RsBranch | Syntax::Branch => {
                Some(slot.wrapping_add_signed(i32::from(self.offset()) << 2))
            }
            _ => None,
        }
    }
}
