//! The rules, and what silicon does when one is broken.

use std::fmt;
use std::str::FromStr;

/// A rule that MIPS I code must keep.
///
/// "n instructions between" counts executed instructions, along every path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Rule {
    /// The target of a load (`lw` and its like, and moves from a coprocessor: `mfc0`) must not be read by the next
    /// instruction.
    ///
    /// The value arrives one instruction late and nothing waits for it: the reader gets the old value, or the new one if a
    /// cache miss or an interrupt came between.
    ///
    /// Two cases are no hazard. `lwl` and `lwr` may follow a load of the register that they merge into, as the
    /// processor forwards the value to the merge. And the next instruction may *write* the register: results are
    /// written in order, so the later one stays, be it an ALU result or a second load.
    LoadDelay,
    /// After `mfhi` or `mflo`, two instructions between before anything writes HI or LO: `mult`, `div`, `mthi` and so on.
    ///
    /// If `mfhi` is interrupted and executed again, the multiplication behind it has already begun to destroy HI. Code that
    /// nothing can interrupt is safe. LLVM 22 keeps the distance before `mult`, `div` and `divu`, but not before `multu`,
    /// `mthi` and `mtlo`.
    HiLo,
    /// After `mtc0` to Index, EntryHi or EntryLo, one instruction between before a TLB instruction.
    ///
    /// The TLB would use the old value of the register.
    TlbSetup,
    /// After a change of the mapping (`mtc0` to EntryHi, `tlbwi`, `tlbwr`), two instructions between before a mapped
    /// access.
    ///
    /// The access would still be translated by the old mapping. Checked are only loads and stores of which it is certain
    /// that they are mapped: those relative to `$zero` with a positive offset.
    MappingChange,
    /// After `mtc0` to Status, two instructions between before `rfe` and before what a coprocessor executes
    /// (coprocessors 1 to 3, and `bc0f`, `bc0t`).
    ///
    /// `rfe` would shift the old mode bits, and the coprocessor would still be unusable.
    StatusChange,
    /// `rfe` stands in the delay slot of a `jr`, and nothing else leads to it.
    ///
    /// It takes effect at once: one instruction earlier the jump would run in the interrupted mode, one later never.
    Rfe,
    /// No branch or jump in a delay slot.
    ///
    /// The processor's behaviour is undefined.
    JumpInSlot,
    /// Every branch and jump has a delay slot within the code.
    ///
    /// Whatever lies behind the end would be executed.
    SlotMissing,
    /// Branches and jumps lead to an instruction of the checked code.
    ///
    /// A branch that is out of reach, or a jump out of its 256 MB region, has been cut to the bits that fit.
    Target,
    /// All code is MIPS I and uses only the coprocessor 0 registers of the R3000.
    ///
    /// A later instruction takes a reserved-instruction exception, or is executed as something else. Words in code that
    /// are data must be covered by a symbol of type OBJECT.
    NotMips1,
    /// No floating-point unit (coprocessor 1), unless [`Options::fpu`](crate::Options::fpu) is given.
    ///
    /// The system is soft-float; the instruction would take a coprocessor-unusable exception.
    Fpu,
    /// No coprocessor 0 in a user program.
    ///
    /// In user mode it would take a coprocessor-unusable exception.
    Privileged,
    /// No `$k0` or `$k1` in a user program, except in restartable functions.
    ///
    /// Every exception destroys these registers.
    KernelRegisters,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 13] = [
        Self::LoadDelay,
        Self::HiLo,
        Self::TlbSetup,
        Self::MappingChange,
        Self::StatusChange,
        Self::Rfe,
        Self::JumpInSlot,
        Self::SlotMissing,
        Self::Target,
        Self::NotMips1,
        Self::Fpu,
        Self::Privileged,
        Self::KernelRegisters,
    ];

    /// Its short, stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LoadDelay => "load-delay",
            Self::HiLo => "hi-lo",
            Self::TlbSetup => "tlb-setup",
            Self::MappingChange => "mapping-change",
            Self::StatusChange => "status-change",
            Self::Rfe => "rfe",
            Self::JumpInSlot => "jump-in-slot",
            Self::SlotMissing => "slot-missing",
            Self::Target => "target",
            Self::NotMips1 => "not-mips1",
            Self::Fpu => "fpu",
            Self::Privileged => "privileged",
            Self::KernelRegisters => "kernel-registers",
        }
    }

    /// The rule in one sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::LoadDelay => "the instruction after a load or a move from a coprocessor must not read its target",
            Self::HiLo => "two instructions must stand between reading HI or LO and writing one of them",
            Self::TlbSetup => {
                "one instruction must stand between a write to Index, EntryHi or EntryLo and the TLB's use"
            }
            Self::MappingChange => "two instructions must stand between a change of the mapping and a mapped access",
            Self::StatusChange => {
                "two instructions must stand between a write to Status and rfe or a coprocessor's use"
            }
            Self::Rfe => "rfe must be the delay slot of a jr and nothing else",
            Self::JumpInSlot => "a branch or jump must not be in a delay slot",
            Self::SlotMissing => "a branch or jump must have its delay slot within the code",
            Self::Target => "a branch or jump must lead to an instruction of the program",
            Self::NotMips1 => "code must be MIPS I",
            Self::Fpu => "the system has no floating-point unit",
            Self::Privileged => "user programs must not use coprocessor 0",
            Self::KernelRegisters => "user programs must leave $k0 and $k1 alone outside of restartable functions",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|rule| rule.name() == name).ok_or_else(|| "there is no such rule".to_string())
    }
}
