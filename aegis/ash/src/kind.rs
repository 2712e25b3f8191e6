//! What the rewriter has to know of each instruction, in tables: a handler's words are looked at while the kernel can't be
//! interrupted, so this is quicker than decoding them in full. A test compares it with what [`mips1`] says of every word.

use aegis_abi::ash::{CALLS, Rule};
use mips1::{Register, encode};

/// What is done with an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum What {
    /// It computes a general register from general registers.
    Computes,
    Loads,
    Stores,
    /// `lwl`, `lwr`.
    LoadsPart,
    /// `swl`, `swr`.
    StoresPart,
    Branches,
    Returns,
    Calls,
    Multiplies,
    Divides,
    ReadsHiLo,
    WritesHiLo,
    Forbidden,
}

impl What {
    /// Whether it loads or stores.
    #[inline(always)]
    pub const fn accesses(self) -> bool {
        matches!(self, Self::Loads | Self::Stores | Self::LoadsPart | Self::StoresPart)
    }
}

/// What is known of an instruction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// Bits that must be zero.
    zero: u32,
    pub what: What,
    /// Which fields name registers that are read or written.
    fields: u8,
    /// What an access' address is a multiple of, as a power of two.
    pub shift: u8,
    /// If it is forbidden: why.
    pub rule: Rule,
}

const READS_S: u8 = 1;
const READS_T: u8 = 2;
const WRITES_T: u8 = 4;
const WRITES_D: u8 = 8;

const S: u32 = 31 << 21;
const T: u32 = 31 << 16;
const D: u32 = 31 << 11;
const AMOUNT: u32 = 31 << 6;

const fn allowed(zero: u32, what: What, fields: u8) -> Kind {
    Kind { zero, what, fields, shift: 0, rule: Rule::Undefined }
}

const fn forbidden(rule: Rule) -> Kind {
    Kind { zero: 0, what: What::Forbidden, fields: 0, shift: 0, rule }
}

const fn access(what: What, fields: u8, shift: u8) -> Kind {
    Kind { zero: 0, what, fields, shift, rule: Rule::Undefined }
}

const UNDEFINED: Kind = forbidden(Rule::Undefined);

/// By the six major bits.
static MAJOR: [Kind; 64] = {
    let mut kinds = [UNDEFINED; 64];
    kinds[0x02] = forbidden(Rule::Jump);
    kinds[0x03] = allowed(0, What::Calls, 0);
    // `beq`, `bne`, `blez`, `bgtz`
    kinds[0x04] = allowed(0, What::Branches, READS_S | READS_T);
    kinds[0x05] = kinds[0x04];
    kinds[0x06] = allowed(T, What::Branches, READS_S);
    kinds[0x07] = kinds[0x06];
    // `addi`; `addiu` to `xori`; `lui`
    kinds[0x08] = forbidden(Rule::Trapping);
    let mut major = 0x09;
    while major < 0x0f {
        kinds[major] = allowed(0, What::Computes, READS_S | WRITES_T);
        major += 1;
    }
    kinds[0x0f] = allowed(S, What::Computes, WRITES_T);
    kinds[0x10] = forbidden(Rule::Privileged);
    let mut coprocessor = 1;
    while coprocessor < 4 {
        kinds[0x10 + coprocessor] = forbidden(Rule::Coprocessor);
        kinds[0x30 + coprocessor] = forbidden(Rule::Coprocessor);
        kinds[0x38 + coprocessor] = forbidden(Rule::Coprocessor);
        coprocessor += 1;
    }
    // `lb`, `lh`, `lwl`, `lw`, `lbu`, `lhu`, `lwr`
    kinds[0x20] = access(What::Loads, READS_S | WRITES_T, 0);
    kinds[0x21] = access(What::Loads, READS_S | WRITES_T, 1);
    kinds[0x22] = access(What::LoadsPart, READS_S | READS_T | WRITES_T, 0);
    kinds[0x23] = access(What::Loads, READS_S | WRITES_T, 2);
    kinds[0x24] = kinds[0x20];
    kinds[0x25] = kinds[0x21];
    kinds[0x26] = kinds[0x22];
    // `sb`, `sh`, `swl`, `sw`, `swr`
    kinds[0x28] = access(What::Stores, READS_S | READS_T, 0);
    kinds[0x29] = access(What::Stores, READS_S | READS_T, 1);
    kinds[0x2a] = access(What::StoresPart, READS_S | READS_T, 0);
    kinds[0x2b] = access(What::Stores, READS_S | READS_T, 2);
    kinds[0x2e] = kinds[0x2a];
    kinds
};

/// Of the major 0, by bits 5..0.
static SPECIAL: [Kind; 64] = {
    let mut kinds = [UNDEFINED; 64];
    // `sll`, `srl`, `sra`, and by a register
    kinds[0x00] = allowed(S, What::Computes, READS_T | WRITES_D);
    kinds[0x02] = kinds[0x00];
    kinds[0x03] = kinds[0x00];
    let three = allowed(AMOUNT, What::Computes, READS_S | READS_T | WRITES_D);
    kinds[0x04] = three;
    kinds[0x06] = three;
    kinds[0x07] = three;
    // `jr`, `jalr`
    kinds[0x08] = allowed(0, What::Returns, 0);
    kinds[0x09] = forbidden(Rule::Indirect);
    // `syscall`, `break`
    kinds[0x0c] = forbidden(Rule::Privileged);
    kinds[0x0d] = forbidden(Rule::Privileged);
    // `mfhi`, `mthi`, `mflo`, `mtlo`
    kinds[0x10] = allowed(S | T | AMOUNT, What::ReadsHiLo, WRITES_D);
    kinds[0x11] = allowed(T | D | AMOUNT, What::WritesHiLo, READS_S);
    kinds[0x12] = kinds[0x10];
    kinds[0x13] = kinds[0x11];
    // `mult`, `multu`, `div`, `divu`
    kinds[0x18] = allowed(D | AMOUNT, What::Multiplies, READS_S | READS_T);
    kinds[0x19] = kinds[0x18];
    kinds[0x1a] = allowed(D | AMOUNT, What::Divides, READS_S | READS_T);
    kinds[0x1b] = kinds[0x1a];
    // `add`, `addu`, `sub`, `subu`, `and`, `or`, `xor`, `nor`, `slt`, `sltu`
    let mut function = 0x20;
    while function < 0x28 {
        kinds[function] = three;
        function += 1;
    }
    kinds[0x20] = forbidden(Rule::Trapping);
    kinds[0x22] = forbidden(Rule::Trapping);
    kinds[0x2a] = three;
    kinds[0x2b] = three;
    kinds
};

/// Of the major 1, by bits 20..16: `bltz`, `bgez`, and the two that leave a return address.
static BY_SIGN: [Kind; 32] = {
    let mut kinds = [UNDEFINED; 32];
    kinds[0x00] = allowed(0, What::Branches, READS_S);
    kinds[0x01] = kinds[0x00];
    kinds[0x10] = forbidden(Rule::Jump);
    kinds[0x11] = forbidden(Rule::Jump);
    kinds
};

impl Kind {
    /// What there is to know of a word.
    #[inline(always)]
    pub fn of(word: u32) -> &'static Self {
        let kind = match word >> 26 {
            0 => &SPECIAL[(word & 63) as usize],
            1 => &BY_SIGN[(word >> 16 & 31) as usize],
            major => &MAJOR[(major & 63) as usize],
        };
        if word & kind.zero != 0 {
            return &UNDEFINED;
        }
        kind
    }

    /// The rule that the word breaks wherever it stands and whatever its registers, if one.
    #[inline(always)]
    pub fn broken(&self, word: u32) -> Option<Rule> {
        match self.what {
            What::Forbidden => Some(self.rule),
            What::Returns if word != encode::jr(Register::RA) => Some(Rule::Indirect),
            What::Calls if word & 0x3ff_ffff >= CALLS as u32 => Some(Rule::Call),
            _ => None,
        }
    }

    /// The registers, as bits, that it reads; `$zero` may be one of them.
    #[inline(always)]
    pub fn reads(&self, word: u32) -> u32 {
        let s = u32::from(self.fields & READS_S) << (word >> 21 & 31);
        let t = (u32::from(self.fields & READS_T) / 2) << (word >> 16 & 31);
        s | t
    }

    /// The same of what it writes.
    #[inline(always)]
    pub fn writes(&self, word: u32) -> u32 {
        let t = (u32::from(self.fields & WRITES_T) / 4) << (word >> 16 & 31);
        let d = (u32::from(self.fields & WRITES_D) / 8) << (word >> 11 & 31);
        t | d
    }

    /// Whether a delay slot is behind it.
    #[inline(always)]
    pub fn has_slot(&self) -> bool {
        matches!(self.what, What::Branches | What::Returns | What::Calls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mips1::{Direction, Instruction, Opcode};

    /// The same of a word, by what `mips1` says of it.
    fn compare(word: u32) {
        let kind = Kind::of(word);
        let broken = kind.broken(word);
        let Some(i) = Instruction::decode(word) else {
            return assert!(broken.is_some(), "{word:08x} is allowed");
        };
        use Opcode::*;
        let rule = match (i.coprocessor(), i.opcode()) {
            (Some(0), _) => Some(Rule::Privileged),
            (Some(_), _) => Some(Rule::Coprocessor),
            (_, Syscall | Break) => Some(Rule::Privileged),
            (_, Add | Addi | Sub) => Some(Rule::Trapping),
            (_, J | Bltzal | Bgezal) => Some(Rule::Jump),
            (_, Jalr) => Some(Rule::Indirect),
            (_, Jr) => (i.rs() != Register::RA).then_some(Rule::Indirect),
            (_, Jal) => (word & 0x3ff_ffff >= CALLS as u32).then_some(Rule::Call),
            _ => None,
        };
        assert_eq!(broken, rule, "{i:?}");
        if rule.is_some() {
            return;
        }
        if !matches!(i.opcode(), Jr | Jal) {
            assert_eq!(kind.reads(word) & !1, i.reads().bits(), "{i:?}");
            assert_eq!(kind.writes(word) & !1, i.writes().bits(), "{i:?}");
        }
        assert_eq!(kind.has_slot(), i.has_delay_slot(), "{i:?}");
        let memory = i.memory().map(|memory| match (i.opcode(), memory.direction) {
            (Lwl | Lwr, _) => (What::LoadsPart, 0),
            (Swl | Swr, _) => (What::StoresPart, 0),
            (_, Direction::Load) => (What::Loads, memory.bytes.ilog2() as u8),
            (_, Direction::Store) => (What::Stores, memory.bytes.ilog2() as u8),
        });
        assert_eq!(memory, kind.what.accesses().then_some((kind.what, kind.shift)), "{i:?}");
        assert_eq!(kind.what == What::ReadsHiLo, i.reads_hi_lo(), "{i:?}");
        let writes = matches!(kind.what, What::WritesHiLo | What::Multiplies | What::Divides);
        assert_eq!(writes, i.writes_hi_lo(), "{i:?}");
        assert_eq!(kind.what == What::Divides, matches!(i.opcode(), Div | Divu), "{i:?}");
        if i.opcode() == Jal || i.has_delay_slot() && i.writes().bits() == 0 {
            assert_eq!(kind.what == What::Branches, !matches!(i.opcode(), Jal | Jr), "{i:?}");
        }
    }

    #[test]
    fn as_mips1_says() {
        // Every opcode, with fields that are zero, all ones, and between.
        for opcode in Opcode::ALL {
            for fields in (0..1_u32 << 15).map(|n| n.wrapping_mul(0x9e37_79b9)).chain([0, u32::MAX]) {
                compare(opcode.bits() | fields & 0x03ff_ffff);
                compare(opcode.bits() | fields & 0x03ff_ffc0);
                compare(opcode.bits() | fields & 0x03ff_f800);
            }
        }
        // And what is none.
        (0..1_u32 << 21).for_each(|n| compare(n.wrapping_mul(0x9e37_79b1)));
    }
}
