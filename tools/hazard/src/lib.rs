//! Proves linked MIPS I programs free of pipeline hazards.
//!
//! The R3000 does not interlock. If an instruction reads a register that the load before it has not delivered yet, it gets
//! the old value, silently, and differently after an interrupt. Emulators that interlock run such code as if it were
//! right, so no test on them can find it. This checker reads the code instead: every executable section of a linked ELF
//! file, or a slice of words, with all the paths that execution can take.
//!
//! [`Rule`] lists what is checked, and what silicon does if it is broken.
//!
//! # How paths are followed
//!
//! *Next* means the instruction executed next, not the next one in memory: behind a branch the delay slot, behind the
//! delay slot the target of the branch and, if the branch is conditional, the instruction behind the slot.
//!
//! - All code is checked, whether something seems to reach it or not.
//! - What follows an indirect jump (`jr`, `jalr`) is unknown, and so is what follows the end of the code. Whatever is still
//!   in flight then is a finding: a load in the delay slot of a return is always rejected.
//! - `syscall` and `break` are taken to continue with the next instruction.
//! - A delay slot is reached through its jump only, unless a branch, a jump or a symbol points to it. A program whose
//!   table of jump addresses points into a delay slot would go unnoticed; no compiler makes one.
//!
//! # What it cannot see
//!
//! Values. Whether an address is mapped, whether a write to Status isolates the cache or opens a window for interrupts,
//! and whether a computed address is aligned. Hazards between registers of the floating-point unit are not checked either:
//! [`Options::fpu`] only lets its instructions pass.
#![forbid(unsafe_code)]

mod check;
mod code;
mod elf;
mod mend;
mod mips32;
mod report;
mod rule;

pub use check::check_code;
pub use elf::{Error, check_elf};
pub use mend::{ROOM, mend_elf};
pub use report::{Finding, Location, Report};
pub use rule::Rule;

/// What kind of program is checked.
#[derive(Clone, Default, Debug)]
pub struct Options {
    /// The program runs in user mode: refuse coprocessor 0, and `$k0` and `$k1` outside of `restartable` functions.
    pub user: bool,
    /// Functions that may use `$k0` and `$k1` in user mode, because the kernel restarts them when it interrupts them. Names
    /// are given as in the symbol table or demangled; each needs a symbol of type FUNC with a size.
    pub restartable: Vec<String>,
    /// The program may use the floating-point unit, coprocessor 1.
    pub fpu: bool,
    /// It is a kernel for MIPS32: beside MIPS I it may use that processor's own instructions for coprocessor 0 and the
    /// caches, and registers of coprocessor 0 that the R3000 has not; `rfe` it may not. The processor interlocks, so
    /// loads, HI and LO may be used at once. Paths are not followed through the instructions that are not MIPS I.
    pub mips32_kernel: bool,
    /// Rules that are not applied.
    pub except: Vec<Rule>,
}
