//! What can be seen of a run: counts, marks, traces and profiles. None of it changes what the machine does.

use crate::breaks::Armed;
use borsh::{BorshDeserialize, BorshSerialize};
use std::collections::{HashMap, HashSet};

/// Why the CPU stood still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Stall {
    /// An instruction was not in its cache, or came from uncached memory.
    CodeMiss,
    /// A load missed the data cache.
    DataMiss,
    /// A load or fetch waited for a write on its way to memory.
    ReadWait,
    /// The write buffer was full.
    WriteBuffer,
    /// A sub-word store merged with the cached word.
    PartialStore,
    /// An uncached load, from memory or a device.
    UncachedRead,
    /// `mfhi` or `mflo` waited for a product or quotient.
    MultiplyDivide,
    /// A floating-point instruction waited for a result or for its unit.
    Float,
    /// Instructions killed by an exception or interrupt.
    Exception,
    /// A fetch missed the instruction micro-TLB.
    MicroTlb,
}

/// All kinds of stall.
pub const STALLS: [Stall; 10] = [
    Stall::CodeMiss,
    Stall::DataMiss,
    Stall::ReadWait,
    Stall::WriteBuffer,
    Stall::PartialStore,
    Stall::UncachedRead,
    Stall::MultiplyDivide,
    Stall::Float,
    Stall::Exception,
    Stall::MicroTlb,
];

impl Stall {
    /// A short name for tables.
    pub fn name(self) -> &'static str {
        match self {
            Stall::CodeMiss => "code miss",
            Stall::DataMiss => "data miss",
            Stall::ReadWait => "read wait",
            Stall::WriteBuffer => "write buffer",
            Stall::PartialStore => "partial store",
            Stall::UncachedRead => "uncached read",
            Stall::MultiplyDivide => "multiply/divide",
            Stall::Float => "floating point",
            Stall::Exception => "exception",
            Stall::MicroTlb => "micro-TLB",
        }
    }
}

/// Stall cycles by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct StallCounts([u64; STALLS.len()]);

impl StallCounts {
    /// Cycles of one kind.
    pub fn get(&self, kind: Stall) -> u64 {
        self.0[kind as usize]
    }

    /// Cycles of all kinds.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// What was added since `earlier`.
    pub fn since(&self, earlier: &StallCounts) -> StallCounts {
        StallCounts(std::array::from_fn(|i| self.0[i] - earlier.0[i]))
    }

    pub(crate) fn add(&mut self, kind: Stall, cycles: u64) {
        self.0[kind as usize] += cycles;
    }
}

/// Totals of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Counts {
    /// Stall cycles.
    pub stalls: StallCounts,
    /// Exceptions by code.
    pub exceptions: [u64; 13],
}

/// The guest executed `lui $zero, id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The immediate.
    pub id: u16,
    /// Where.
    pub pc: u32,
    /// Instructions executed, with the mark.
    pub instructions: u64,
    /// Cycles, with the mark's own.
    pub cycles: u64,
    /// Stall cycles.
    pub stalls: StallCounts,
}

impl Mark {
    /// Instructions executed between two marks, counting neither.
    pub fn instructions_to(&self, later: &Mark) -> u64 {
        (later.instructions - self.instructions).saturating_sub(1)
    }

    /// Cycles between two marks, counting neither's own.
    pub fn cycles_to(&self, later: &Mark) -> u64 {
        (later.cycles - self.cycles).saturating_sub(1)
    }
}

/// An instruction that is about to be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its address.
    pub pc: u32,
    /// The instruction.
    pub word: u32,
    /// Whether it is in a branch delay slot.
    pub slot: bool,
    /// Whether the CPU is in user mode.
    pub user: bool,
    /// Address space identifier.
    pub asid: u8,
    /// Instructions executed before it.
    pub instructions: u64,
    /// Cycles before it.
    pub cycles: u64,
    /// Effective address of a load or store.
    pub address: Option<u32>,
}

/// How often an instruction was executed and what it cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Executions {
    /// Times executed.
    pub count: u64,
    /// Cycles from its start to the start of the next instruction.
    pub cycles: u64,
}

/// The guest came to a watched address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The address.
    pub pc: u32,
    /// Instructions executed before the one at this address.
    pub instructions: u64,
    /// Cycles before it was issued; its own fetch is among them.
    pub cycles: u64,
    /// Stall cycles until then.
    pub stalls: StallCounts,
}

/// Where the trace goes.
pub type Tracer = Box<dyn FnMut(&Step) + Send>;

/// Where marks go.
pub type MarkSink = Box<dyn FnMut(&Mark) + Send>;

/// Instruments that need the interpreter's slow form.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) tracer: Option<Tracer>,
    pub(crate) profile: Option<HashMap<u32, Executions>>,
    /// Addresses whose passages are recorded.
    pub(crate) watched: HashSet<u32>,
    pub(crate) passages: Vec<Passage>,
    /// Addresses at which both caches are emptied.
    pub(crate) chilled: HashSet<u32>,
    /// The instruction being executed and the cycle in which it began.
    pub(crate) current: Option<(u32, u64)>,
    /// Where a debugger wants it to stop.
    pub(crate) armed: Option<Armed>,
}

impl Hooks {
    pub(crate) fn is_active(&self) -> bool {
        self.tracer.is_some()
            || self.profile.is_some()
            || self.armed.is_some()
            || !(self.watched.is_empty() && self.chilled.is_empty())
    }
}

/// A fault that the harness plants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Injection {
    /// Raise these Cause interrupt bits (15..10) until an interrupt is taken.
    Interrupt {
        /// Bits of Cause.
        lines: u32,
    },
    /// The next load from this physical range ends in a bus error.
    BusError {
        /// First address.
        start: u32,
        /// Length in bytes.
        length: u32,
    },
    /// The next character that is typed arrives with these error bits of the serial controller's RBUF.
    SerialError {
        /// Parity, framing or overrun.
        bits: u16,
    },
    /// The clock's period ends now: register C shows the periodic flag and, if the guest enabled it, the interrupt comes. The
    /// regular period goes on as if nothing had happened. A clock that was given no period has none that could end.
    Tick,
}
