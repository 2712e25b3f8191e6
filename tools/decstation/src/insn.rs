//! Decoding for execution: an instruction word becomes eight bytes that the interpreter need not take apart again.

/// Where writes to `$zero` go: a register that nothing reads.
pub const NOWHERE: u8 = 32;

/// What an instruction does. Operands that an operation does not read are register 0, so that one comparison tells whether
/// an instruction reads a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[rustfmt::skip]
#[allow(missing_docs)] // The manual's names.
pub enum Op {
    Addu, Addiu, Subu, And, Andi, Or, Ori, Xor, Xori, Nor, Lui, Slt, Sltu, Slti, Sltiu,
    Sll, Srl, Sra, Sllv, Srlv, Srav,
    Add, Addi, Sub,
    Lw, Lb, Lbu, Lh, Lhu, Lwl, Lwr, Sw, Sb, Sh, Swl, Swr,
    Beq, Bne, Blez, Bgtz, Bltz, Bgez, Bltzal, Bgezal, J, Jal, Jr, Jalr,
    Mult, Multu, Div, Divu, Mfhi, Mflo, Mthi, Mtlo,
    Syscall, Break, Mark,
    Mfc0, Mtc0, Tlbr, Tlbwi, Tlbwr, Tlbp, Rfe,
    /// A coprocessor 0 instruction that the R3000 does not have: privilege is checked first.
    Cop0Reserved,
    /// Any instruction of coprocessor 1 to 3 other than those below; `imm` is the word, whose bits 27..26 are the unit.
    Cop,
    /// `mfcz`, `cfcz`; `imm` is the word.
    CopRead,
    /// `bczf`, `bczt`; `s2` bit 0 is the sense, `d` the unit.
    CopBranch,
    /// `lwcz`, `swcz`; `d` is the unit, with its register above.
    CopLoad, CopStore,
    /// The host's side of a PROM entry.
    Prom,
    Reserved,
}

/// A decoded instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insn {
    /// The operation.
    pub op: Op,
    /// First source register.
    pub s1: u8,
    /// Second source register.
    pub s2: u8,
    /// Destination register or [`NOWHERE`].
    pub d: u8,
    /// Immediate, shift amount, branch offset or jump target, ready for use.
    pub imm: u32,
}

impl Insn {
    /// The reserved instruction.
    pub const RESERVED: Insn = Insn { op: Op::Reserved, s1: 0, s2: 0, d: NOWHERE, imm: 0 };
}

/// Decodes an instruction word.
pub fn decode(word: u32) -> Insn {
    use Op::*;
    let rs = (word >> 21 & 31) as u8;
    let rt = (word >> 16 & 31) as u8;
    let rd = (word >> 11 & 31) as u8;
    let shift = word >> 6 & 31;
    let signed = word as u16 as i16 as i32 as u32;
    let unsigned = word & 0xffff;
    let offset = signed << 2;
    let to = |register: u8| if register == 0 { NOWHERE } else { register };
    let three = |op| Insn { op, s1: rs, s2: rt, d: to(rd), imm: 0 };
    let shifted = |op| Insn { op, s1: 0, s2: rt, d: to(rd), imm: shift };
    let immediate = |op, imm| Insn { op, s1: rs, s2: 0, d: to(rt), imm };
    let store = |op| Insn { op, s1: rs, s2: rt, d: NOWHERE, imm: signed };
    let one = |op| Insn { op, s1: rs, s2: 0, d: NOWHERE, imm: offset };
    let two = |op| Insn { op, s1: rs, s2: rt, d: NOWHERE, imm: offset };
    let bare = |op| Insn { op, s1: 0, s2: 0, d: NOWHERE, imm: word };
    match word >> 26 {
        0x00 => match word & 63 {
            0x00 => shifted(Sll),
            0x02 => shifted(Srl),
            0x03 => shifted(Sra),
            0x04 => three(Sllv),
            0x06 => three(Srlv),
            0x07 => three(Srav),
            0x08 => one(Jr),
            0x09 => Insn { op: Jalr, s1: rs, s2: 0, d: to(rd), imm: 0 },
            0x0c => bare(Syscall),
            0x0d => bare(Break),
            0x10 => Insn { op: Mfhi, s1: 0, s2: 0, d: to(rd), imm: 0 },
            0x11 => one(Mthi),
            0x12 => Insn { op: Mflo, s1: 0, s2: 0, d: to(rd), imm: 0 },
            0x13 => one(Mtlo),
            0x18 => two(Mult),
            0x19 => two(Multu),
            0x1a => two(Div),
            0x1b => two(Divu),
            0x20 => three(Add),
            0x21 => three(Addu),
            0x22 => three(Sub),
            0x23 => three(Subu),
            0x24 => three(And),
            0x25 => three(Or),
            0x26 => three(Xor),
            0x27 => three(Nor),
            0x2a => three(Slt),
            0x2b => three(Sltu),
            _ => Insn::RESERVED,
        },
        0x01 => match rt {
            0x00 => one(Bltz),
            0x01 => one(Bgez),
            0x10 => Insn { d: 31, ..one(Bltzal) },
            0x11 => Insn { d: 31, ..one(Bgezal) },
            _ => Insn::RESERVED,
        },
        0x02 => Insn { imm: word << 2 & 0x0fff_ffff, ..bare(J) },
        0x03 => Insn { imm: word << 2 & 0x0fff_ffff, d: 31, ..bare(Jal) },
        0x04 => two(Beq),
        0x05 => two(Bne),
        0x06 => one(Blez),
        0x07 => one(Bgtz),
        0x08 => immediate(Addi, signed),
        0x09 => immediate(Addiu, signed),
        0x0a => immediate(Slti, signed),
        0x0b => immediate(Sltiu, signed),
        0x0c => immediate(Andi, unsigned),
        0x0d => immediate(Ori, unsigned),
        0x0e => immediate(Xori, unsigned),
        // The model's marks: a `lui` to $zero does nothing on any machine.
        0x0f if rt == 0 && rs == 0 => Insn { imm: unsigned, ..bare(Mark) },
        0x0f => Insn { s1: 0, ..immediate(Lui, unsigned << 16) },
        0x10 if rs & 0x10 != 0 => match word & 63 {
            0x01 => bare(Tlbr),
            0x02 => bare(Tlbwi),
            0x06 => bare(Tlbwr),
            0x08 => bare(Tlbp),
            0x10 => bare(Rfe),
            _ => bare(Cop0Reserved),
        },
        0x10 => match rs {
            0x00 => Insn { op: Mfc0, s1: 0, s2: 0, d: to(rt), imm: rd.into() },
            0x04 => Insn { op: Mtc0, s1: 0, s2: rt, d: NOWHERE, imm: rd.into() },
            0x08 if rt < 2 => Insn { op: CopBranch, s1: 0, s2: 0, d: rt << 2, imm: offset },
            _ => bare(Cop0Reserved),
        },
        unit @ 0x11..=0x13 => {
            let unit = unit & 3;
            match rs {
                0x00 | 0x02 => Insn { op: CopRead, s1: 0, s2: 0, d: to(rt), imm: word },
                0x04 | 0x06 => Insn { op: Cop, s1: 0, s2: rt, d: NOWHERE, imm: word },
                0x08 if rt < 2 => Insn { op: CopBranch, s1: 0, s2: 0, d: rt << 2 | unit as u8, imm: offset },
                _ => bare(Cop),
            }
        }
        0x20 => immediate(Lb, signed),
        0x21 => immediate(Lh, signed),
        // The old value of a partial load's register is not a source here: it may come straight from a load before.
        0x22 => immediate(Lwl, signed),
        0x23 => immediate(Lw, signed),
        0x24 => immediate(Lbu, signed),
        0x25 => immediate(Lhu, signed),
        0x26 => immediate(Lwr, signed),
        0x28 => store(Sb),
        0x29 => store(Sh),
        0x2a => store(Swl),
        0x2b => store(Sw),
        0x2e => store(Swr),
        unit @ 0x30..=0x33 => Insn { op: CopLoad, s1: rs, s2: 0, d: rt << 2 | (unit & 3) as u8, imm: signed },
        unit @ 0x38..=0x3b => Insn { op: CopStore, s1: rs, s2: 0, d: rt << 2 | (unit & 3) as u8, imm: signed },
        _ => Insn::RESERVED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_and_destinations() {
        // addu $3, $1, $2; sll $0, $0, 0; lw $9, -4($8); lui $0, 0x1234
        assert_eq!(decode(0x0022_1821), Insn { op: Op::Addu, s1: 1, s2: 2, d: 3, imm: 0 });
        assert_eq!(decode(0), Insn { op: Op::Sll, s1: 0, s2: 0, d: NOWHERE, imm: 0 });
        assert_eq!(decode(0x8d09_fffc), Insn { op: Op::Lw, s1: 8, s2: 0, d: 9, imm: 0xffff_fffc });
        assert_eq!(decode(0x3c00_1234), Insn { op: Op::Mark, s1: 0, s2: 0, d: NOWHERE, imm: 0x1234 });
    }

    #[test]
    fn an_instruction_is_eight_bytes() {
        assert_eq!(size_of::<Insn>(), 8);
    }
}
