//! The registers: general registers, sets of them, and those of coprocessor 0.

use core::fmt;
use core::ops::{BitOr, BitOrAssign};

/// One of the 32 general registers, with its name in the o32 calling convention.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Register(u8);

const NAMES: [&str; 32] = [
    "zero", "at", "v0", "v1", "a0", "a1", "a2", "a3", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7", "s0", "s1", "s2",
    "s3", "s4", "s5", "s6", "s7", "t8", "t9", "k0", "k1", "gp", "sp", "fp", "ra",
];

#[allow(missing_docs)] // The o32 names explain themselves to whoever knows them, and the manual explains them to others.
impl Register {
    pub const ZERO: Self = Self(0);
    pub const AT: Self = Self(1);
    pub const V0: Self = Self(2);
    pub const V1: Self = Self(3);
    pub const A0: Self = Self(4);
    pub const A1: Self = Self(5);
    pub const A2: Self = Self(6);
    pub const A3: Self = Self(7);
    pub const T0: Self = Self(8);
    pub const T1: Self = Self(9);
    pub const T2: Self = Self(10);
    pub const T3: Self = Self(11);
    pub const T4: Self = Self(12);
    pub const T5: Self = Self(13);
    pub const T6: Self = Self(14);
    pub const T7: Self = Self(15);
    pub const S0: Self = Self(16);
    pub const S1: Self = Self(17);
    pub const S2: Self = Self(18);
    pub const S3: Self = Self(19);
    pub const S4: Self = Self(20);
    pub const S5: Self = Self(21);
    pub const S6: Self = Self(22);
    pub const S7: Self = Self(23);
    pub const T8: Self = Self(24);
    pub const T9: Self = Self(25);
    pub const K0: Self = Self(26);
    pub const K1: Self = Self(27);
    pub const GP: Self = Self(28);
    pub const SP: Self = Self(29);
    pub const FP: Self = Self(30);
    pub const RA: Self = Self(31);
}

impl Register {
    /// The register with this number, if there is one.
    pub const fn new(number: u8) -> Option<Self> {
        if number < 32 { Some(Self(number)) } else { None }
    }

    /// The register named by a five-bit field of `word` that starts at bit `shift`.
    pub(crate) const fn field(word: u32, shift: u32) -> Self {
        Self((word >> shift & 31) as u8)
    }

    /// Its number, 0 to 31.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Its o32 name without the dollar sign.
    pub const fn name(self) -> &'static str {
        NAMES[self.0 as usize]
    }
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "${}", self.name())
    }
}

impl fmt::Debug for Register {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A set of general registers.
///
/// `$zero` is never a member: reading it depends on nothing and writing it changes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Registers(u32);

impl Registers {
    /// The set without members.
    pub const NONE: Self = Self(0);

    /// Whether `register` is a member.
    pub const fn contains(self, register: Register) -> bool {
        self.0 & 1 << register.0 != 0
    }

    /// Whether there are no members.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members as bits: bit n stands for register n.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The members, in ascending order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = Register> {
        (0..32).map(Register).filter(move |&register| self.contains(register))
    }
}

impl From<Register> for Registers {
    fn from(register: Register) -> Self {
        Self((1 << register.0) & !1)
    }
}

impl BitOr for Registers {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Registers {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Registers {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// A register of coprocessor 0, the system control coprocessor.
///
/// The R3000 has the ten that are named here. The other numbers can be encoded, but what they read or do is undefined.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cp0(u8);

impl Cp0 {
    /// The TLB entry that `tlbwi` writes and `tlbr` reads, and where `tlbp` leaves its answer.
    pub const INDEX: Self = Self(0);
    /// The TLB entry that `tlbwr` writes; runs from 63 down to 8.
    pub const RANDOM: Self = Self(1);
    /// The frame and the permissions of a TLB entry.
    pub const ENTRY_LO: Self = Self(2);
    /// A table's base, with the page number of the last TLB miss put in.
    pub const CONTEXT: Self = Self(4);
    /// The address that last faulted.
    pub const BAD_VADDR: Self = Self(8);
    /// The page number and address-space identifier of a TLB entry; also the identifier in force.
    pub const ENTRY_HI: Self = Self(10);
    /// The processor's mode, interrupt mask, coprocessors and cache control.
    pub const STATUS: Self = Self(12);
    /// Why the last exception was taken.
    pub const CAUSE: Self = Self(13);
    /// Where the last exception was taken.
    pub const EPC: Self = Self(14);
    /// The processor's revision.
    pub const PRID: Self = Self(15);

    /// The register named by the `rd` field of a move to or from coprocessor 0.
    pub(crate) const fn field(word: u32) -> Self {
        Self((word >> 11 & 31) as u8)
    }

    /// Its number, 0 to 31.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Its name in the R3000 manual; `None` where the R3000 has no such register.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::INDEX => "Index",
            Self::RANDOM => "Random",
            Self::ENTRY_LO => "EntryLo",
            Self::CONTEXT => "Context",
            Self::BAD_VADDR => "BadVAddr",
            Self::ENTRY_HI => "EntryHi",
            Self::STATUS => "Status",
            Self::CAUSE => "Cause",
            Self::EPC => "EPC",
            Self::PRID => "PRId",
            _ => return None,
        })
    }
}

impl fmt::Display for Cp0 {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "${}", self.0),
        }
    }
}

impl fmt::Debug for Cp0 {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
