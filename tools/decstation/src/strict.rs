//! Strict mode's rules: what silicon leaves undefined, or must never happen in this system, and so stops the run.

use mips1::Instruction;
use std::fmt;

/// A rule, with a stable name. Names of rules that can also be checked without running are those of the static checker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The instruction in a load's delay slot reads the register being loaded (`mfc0` and `mfcz` too).
    LoadDelay,
    /// `mult`, `div`, `mthi` or `mtlo` within two instructions after `mfhi` or `mflo`.
    HiLo,
    /// A TLB instruction right after `mtc0` to Index, EntryHi or EntryLo: one instruction must lie between.
    TlbSetup,
    /// A mapped access within two instructions after `mtc0` to EntryHi, `tlbwi` or `tlbwr`.
    MappingChange,
    /// `rfe`, a coprocessor, or an access that IsC or SwC redirects within two instructions after `mtc0` to Status.
    StatusChange,
    /// `mtc0` to a coprocessor 0 register that software can't write.
    Cp0ReadOnly,
    /// A branch or jump in a branch delay slot.
    JumpInSlot,
    /// `rfe` anywhere but in the delay slot of a `jr`.
    Rfe,
    /// `jalr` whose two registers are the same: it can't be restarted.
    JalrSameRegister,
    /// An instruction that MIPS I does not have, executed in kernel mode, or a coprocessor 0 register that the R3000 does not
    /// have.
    NotMips1,
    /// Two TLB entries that match the same page.
    TlbDuplicate,
    /// A read, or an instruction fetch, of memory that was never written.
    UninitializedRead,
    /// An instruction from a cache line that memory no longer agrees with.
    StaleFetch,
    /// Kernel mode fetches an instruction from kuseg.
    KernelFetch,
    /// Kernel mode stores where there is nothing, or into the ROM.
    WildStore,
    /// Kernel mode fetches from where there is no memory, or from a misaligned address.
    WildJump,
    /// A use of coprocessor 1, which is enabled but absent.
    Fpu,
    /// `bc1t` or `bc1f` right after the instruction that sets the condition.
    FpuCondition,
    /// Arithmetic on an odd floating-point register, which holds half a number, or a control register that does not exist.
    FpuRegister,
    /// A use of coprocessor 2 or 3, which is enabled but absent.
    CoprocessorAbsent,
    /// A device register through the cache.
    CachedDevice,
}

impl Rule {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Rule::LoadDelay => "load-delay",
            Rule::HiLo => "hi-lo",
            Rule::TlbSetup => "tlb-setup",
            Rule::MappingChange => "mapping-change",
            Rule::StatusChange => "status-change",
            Rule::Cp0ReadOnly => "cp0-read-only",
            Rule::JumpInSlot => "jump-in-slot",
            Rule::Rfe => "rfe",
            Rule::JalrSameRegister => "jalr-same-register",
            Rule::NotMips1 => "not-mips1",
            Rule::TlbDuplicate => "tlb-duplicate",
            Rule::UninitializedRead => "uninitialized-read",
            Rule::StaleFetch => "stale-fetch",
            Rule::KernelFetch => "kernel-fetch",
            Rule::WildStore => "wild-store",
            Rule::WildJump => "wild-jump",
            Rule::Fpu => "fpu",
            Rule::FpuCondition => "fpu-condition",
            Rule::FpuRegister => "fpu-register",
            Rule::CoprocessorAbsent => "coprocessor-absent",
            Rule::CachedDevice => "cached-device",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A rule broken, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// The address of the instruction that breaks it.
    pub pc: u32,
    /// The instruction, if it was fetched.
    pub word: Option<u32>,
    /// What happened, in one line.
    pub detail: String,
    /// Instructions executed, with this one.
    pub instructions: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "strict: {} at {:08x}", self.rule, self.pc)?;
        match self.word.map(|word| (word, Instruction::decode(word))) {
            Some((_, Some(instruction))) => write!(f, " ({})", instruction.at(self.pc))?,
            Some((word, None)) => write!(f, " ({word:08x})")?,
            None => {}
        }
        write!(f, ": {}", self.detail)
    }
}
