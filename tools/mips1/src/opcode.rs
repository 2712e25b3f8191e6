//! The one table of all MIPS I instructions: name, fixed bits, operands.

/// How an instruction uses the bits that do not say which instruction it is, named after its operands in assembly order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// No operand.
    Bare,
    /// `addu rd, rs, rt`
    RdRsRt,
    /// `sllv rd, rt, rs`
    RdRtRs,
    /// `sll rd, rt, amount`
    RdRtShift,
    /// `mult rs, rt`
    RsRt,
    /// `jalr rd, rs`
    RdRs,
    /// `jr rs`
    Rs,
    /// `mfhi rd`
    Rd,
    /// `syscall code`
    Code,
    /// `addiu rt, rs, -1`
    RtRsSigned,
    /// `ori rt, rs, 0xff`
    RtRsBits,
    /// `lui rt, 0x8000`
    RtBits,
    /// `beq rs, rt, target`
    RsRtBranch,
    /// `bltz rs, target`
    RsBranch,
    /// `bc0f target`
    Branch,
    /// `j target`
    Jump,
    /// `lw rt, 4(rs)`
    RtMemory,
    /// `lwc1 rt, 4(rs)`, where rt is a register of the coprocessor
    CoprocessorMemory,
    /// `mfc0 rt, rd`, where rd is a register of coprocessor 0
    RtCp0,
    /// `mfc1 rt, rd`, where rd is a register of the coprocessor
    RtCoprocessor,
    /// `cop1 operation`
    Operation,
}

pub(crate) const RS: u32 = 31 << 21;
pub(crate) const RT: u32 = 31 << 16;
pub(crate) const RD: u32 = 31 << 11;
const SHIFT: u32 = 31 << 6;
const IMMEDIATE: u32 = 0xffff;

impl Syntax {
    /// The bits that hold operands. All others are fixed.
    pub(crate) const fn operands(self) -> u32 {
        match self {
            Self::Bare => 0,
            Self::RdRsRt | Self::RdRtRs => RD | RS | RT,
            Self::RdRtShift => RD | RT | SHIFT,
            Self::RsRt => RS | RT,
            Self::RdRs => RD | RS,
            Self::Rs => RS,
            Self::Rd => RD,
            Self::Code => 0xf_ffff << 6,
            Self::RtRsSigned | Self::RtRsBits | Self::RsRtBranch | Self::RtMemory | Self::CoprocessorMemory => {
                RS | RT | IMMEDIATE
            }
            Self::RtBits => RT | IMMEDIATE,
            Self::RsBranch => RS | IMMEDIATE,
            Self::Branch => IMMEDIATE,
            Self::Jump => 0x3ff_ffff,
            Self::RtCp0 | Self::RtCoprocessor => RT | RD,
            Self::Operation => 0x1ff_ffff,
        }
    }
}

pub(crate) struct Row {
    opcode: Opcode,
    mnemonic: &'static str,
    bits: u32,
    pub(crate) syntax: Syntax,
}

macro_rules! opcodes {
    ($($opcode:ident $mnemonic:literal $bits:literal $syntax:ident $meaning:literal)*) => {
        /// Which instruction it is. The text is the manual's.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Opcode {
            $(#[doc = concat!("`", $mnemonic, "`: ", $meaning)] $opcode,)*
        }

        impl Opcode {
            /// Every instruction of MIPS I, in the order of their encodings.
            pub const ALL: &[Opcode] = &[$(Opcode::$opcode,)*];
        }

        const ROWS: &[Row] = &[
            $(Row { opcode: Opcode::$opcode, mnemonic: $mnemonic, bits: $bits, syntax: Syntax::$syntax },)*
        ];
    };
}

// Rows are sorted by the six major bits (31..26), which `decode` relies on.
opcodes! {
    // SPECIAL: told apart by bits 5..0.
    Sll     "sll"     0x0000_0000 RdRtShift  "shift left logical (the all-zero word, `nop`, is one)"
    Srl     "srl"     0x0000_0002 RdRtShift  "shift right logical"
    Sra     "sra"     0x0000_0003 RdRtShift  "shift right arithmetic"
    Sllv    "sllv"    0x0000_0004 RdRtRs     "shift left logical variable"
    Srlv    "srlv"    0x0000_0006 RdRtRs     "shift right logical variable"
    Srav    "srav"    0x0000_0007 RdRtRs     "shift right arithmetic variable"
    Jr      "jr"      0x0000_0008 Rs         "jump register"
    Jalr    "jalr"    0x0000_0009 RdRs       "jump and link register"
    Syscall "syscall" 0x0000_000c Code       "system call trap"
    Break   "break"   0x0000_000d Code       "breakpoint trap"
    Mfhi    "mfhi"    0x0000_0010 Rd         "move from HI"
    Mthi    "mthi"    0x0000_0011 Rs         "move to HI"
    Mflo    "mflo"    0x0000_0012 Rd         "move from LO"
    Mtlo    "mtlo"    0x0000_0013 Rs         "move to LO"
    Mult    "mult"    0x0000_0018 RsRt       "multiply"
    Multu   "multu"   0x0000_0019 RsRt       "multiply unsigned"
    Div     "div"     0x0000_001a RsRt       "divide"
    Divu    "divu"    0x0000_001b RsRt       "divide unsigned"
    Add     "add"     0x0000_0020 RdRsRt     "add, trapping on overflow"
    Addu    "addu"    0x0000_0021 RdRsRt     "add unsigned"
    Sub     "sub"     0x0000_0022 RdRsRt     "subtract, trapping on overflow"
    Subu    "subu"    0x0000_0023 RdRsRt     "subtract unsigned"
    And     "and"     0x0000_0024 RdRsRt     "and"
    Or      "or"      0x0000_0025 RdRsRt     "or"
    Xor     "xor"     0x0000_0026 RdRsRt     "exclusive or"
    Nor     "nor"     0x0000_0027 RdRsRt     "nor"
    Slt     "slt"     0x0000_002a RdRsRt     "set on less than"
    Sltu    "sltu"    0x0000_002b RdRsRt     "set on less than unsigned"
    // BCOND: told apart by bits 20..16.
    Bltz    "bltz"    0x0400_0000 RsBranch   "branch on less than zero"
    Bgez    "bgez"    0x0401_0000 RsBranch   "branch on greater than or equal to zero"
    Bltzal  "bltzal"  0x0410_0000 RsBranch   "branch on less than zero and link"
    Bgezal  "bgezal"  0x0411_0000 RsBranch   "branch on greater than or equal to zero and link"
    J       "j"       0x0800_0000 Jump       "jump"
    Jal     "jal"     0x0c00_0000 Jump       "jump and link"
    Beq     "beq"     0x1000_0000 RsRtBranch "branch on equal"
    Bne     "bne"     0x1400_0000 RsRtBranch "branch on not equal"
    Blez    "blez"    0x1800_0000 RsBranch   "branch on less than or equal to zero"
    Bgtz    "bgtz"    0x1c00_0000 RsBranch   "branch on greater than zero"
    Addi    "addi"    0x2000_0000 RtRsSigned "add immediate, trapping on overflow"
    Addiu   "addiu"   0x2400_0000 RtRsSigned "add immediate unsigned"
    Slti    "slti"    0x2800_0000 RtRsSigned "set on less than immediate"
    Sltiu   "sltiu"   0x2c00_0000 RtRsSigned "set on less than immediate unsigned"
    Andi    "andi"    0x3000_0000 RtRsBits   "and immediate"
    Ori     "ori"     0x3400_0000 RtRsBits   "or immediate"
    Xori    "xori"    0x3800_0000 RtRsBits   "exclusive or immediate"
    Lui     "lui"     0x3c00_0000 RtBits     "load upper immediate"
    // Coprocessor 0, system control.
    Mfc0    "mfc0"    0x4000_0000 RtCp0      "move from coprocessor 0"
    Mtc0    "mtc0"    0x4080_0000 RtCp0      "move to coprocessor 0"
    Bc0f    "bc0f"    0x4100_0000 Branch     "branch on coprocessor 0 false (on a DECstation: write buffer not empty)"
    Bc0t    "bc0t"    0x4101_0000 Branch     "branch on coprocessor 0 true"
    Tlbr    "tlbr"    0x4200_0001 Bare       "read indexed TLB entry"
    Tlbwi   "tlbwi"   0x4200_0002 Bare       "write indexed TLB entry"
    Tlbwr   "tlbwr"   0x4200_0006 Bare       "write random TLB entry"
    Tlbp    "tlbp"    0x4200_0008 Bare       "probe TLB for matching entry"
    Rfe     "rfe"     0x4200_0010 Bare       "restore from exception"
    // Coprocessor 1, the floating-point unit. Its arithmetic is not told apart: all of it is `cop1`.
    Mfc1    "mfc1"    0x4400_0000 RtCoprocessor "move from coprocessor 1"
    Cfc1    "cfc1"    0x4440_0000 RtCoprocessor "move control from coprocessor 1"
    Mtc1    "mtc1"    0x4480_0000 RtCoprocessor "move to coprocessor 1"
    Ctc1    "ctc1"    0x44c0_0000 RtCoprocessor "move control to coprocessor 1"
    Bc1f    "bc1f"    0x4500_0000 Branch     "branch on coprocessor 1 false"
    Bc1t    "bc1t"    0x4501_0000 Branch     "branch on coprocessor 1 true"
    Cop1    "cop1"    0x4600_0000 Operation  "coprocessor 1 operation"
    // Coprocessor 2.
    Mfc2    "mfc2"    0x4800_0000 RtCoprocessor "move from coprocessor 2"
    Cfc2    "cfc2"    0x4840_0000 RtCoprocessor "move control from coprocessor 2"
    Mtc2    "mtc2"    0x4880_0000 RtCoprocessor "move to coprocessor 2"
    Ctc2    "ctc2"    0x48c0_0000 RtCoprocessor "move control to coprocessor 2"
    Bc2f    "bc2f"    0x4900_0000 Branch     "branch on coprocessor 2 false"
    Bc2t    "bc2t"    0x4901_0000 Branch     "branch on coprocessor 2 true"
    Cop2    "cop2"    0x4a00_0000 Operation  "coprocessor 2 operation"
    // Coprocessor 3.
    Mfc3    "mfc3"    0x4c00_0000 RtCoprocessor "move from coprocessor 3"
    Cfc3    "cfc3"    0x4c40_0000 RtCoprocessor "move control from coprocessor 3"
    Mtc3    "mtc3"    0x4c80_0000 RtCoprocessor "move to coprocessor 3"
    Ctc3    "ctc3"    0x4cc0_0000 RtCoprocessor "move control to coprocessor 3"
    Bc3f    "bc3f"    0x4d00_0000 Branch     "branch on coprocessor 3 false"
    Bc3t    "bc3t"    0x4d01_0000 Branch     "branch on coprocessor 3 true"
    Cop3    "cop3"    0x4e00_0000 Operation  "coprocessor 3 operation"
    // Loads and stores.
    Lb      "lb"      0x8000_0000 RtMemory   "load byte"
    Lh      "lh"      0x8400_0000 RtMemory   "load halfword"
    Lwl     "lwl"     0x8800_0000 RtMemory   "load word left"
    Lw      "lw"      0x8c00_0000 RtMemory   "load word"
    Lbu     "lbu"     0x9000_0000 RtMemory   "load byte unsigned"
    Lhu     "lhu"     0x9400_0000 RtMemory   "load halfword unsigned"
    Lwr     "lwr"     0x9800_0000 RtMemory   "load word right"
    Sb      "sb"      0xa000_0000 RtMemory   "store byte"
    Sh      "sh"      0xa400_0000 RtMemory   "store halfword"
    Swl     "swl"     0xa800_0000 RtMemory   "store word left"
    Sw      "sw"      0xac00_0000 RtMemory   "store word"
    Swr     "swr"     0xb800_0000 RtMemory   "store word right"
    Lwc1    "lwc1"    0xc400_0000 CoprocessorMemory "load word to coprocessor 1"
    Lwc2    "lwc2"    0xc800_0000 CoprocessorMemory "load word to coprocessor 2"
    Lwc3    "lwc3"    0xcc00_0000 CoprocessorMemory "load word to coprocessor 3"
    Swc1    "swc1"    0xe400_0000 CoprocessorMemory "store word from coprocessor 1"
    Swc2    "swc2"    0xe800_0000 CoprocessorMemory "store word from coprocessor 2"
    Swc3    "swc3"    0xec00_0000 CoprocessorMemory "store word from coprocessor 3"
}

/// Where in `ROWS` each value of the six major bits begins, so that a search sees only the rows that can match.
const FIRST: [usize; 65] = {
    let mut first = [0; 65];
    let mut major = 0;
    while major < 64 {
        let mut end = first[major];
        while end < ROWS.len() && (ROWS[end].bits >> 26) as usize == major {
            end += 1;
        }
        major += 1;
        first[major] = end;
    }
    assert!(first[64] == ROWS.len(), "the rows are not sorted by their major bits");
    first
};

impl Opcode {
    /// The instruction that `word` encodes, if MIPS I has one.
    pub(crate) fn decode(word: u32) -> Option<Self> {
        let major = (word >> 26) as usize;
        let rows = &ROWS[FIRST[major]..FIRST[major + 1]];
        rows.iter().find(|row| word & !row.syntax.operands() == row.bits).map(|row| row.opcode)
    }

    pub(crate) const fn syntax(self) -> Syntax {
        ROWS[self as usize].syntax
    }

    /// Its name in assembly.
    pub const fn mnemonic(self) -> &'static str {
        ROWS[self as usize].mnemonic
    }

    /// Its encoding with all operands zero.
    pub const fn bits(self) -> u32 {
        ROWS[self as usize].bits
    }
}
