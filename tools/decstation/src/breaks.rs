//! Where a debugger wants a run to stop, and the moments that a run can be stopped at.
//!
//! A run stops *before* an instruction, the one in a delay slot included; nothing of it has happened then, its fetch neither.
//! An exception that no instruction raised (an interrupt, a fetch that failed) is a moment of its own: the run can stop at
//! the vector behind it. Stopping changes nothing: a run that was stopped goes on as if it had not been.

use crate::cache::Which;
use crate::cp0::SR_SWC;
use crate::insn::{Op, decode};
use crate::machine::{Limits, Machine, Stop};
use std::ops::Range;

/// A place in a run, in the order of time: what was executed before, and how many exceptions were taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    /// Instructions executed, as [`Machine::instructions`] counts.
    pub instructions: u64,
    /// Exceptions taken.
    pub exceptions: u64,
}

/// Where to stop.
#[derive(Clone, Debug, Default)]
pub struct Breaks {
    /// Before instructions at these addresses.
    pub code: Vec<u32>,
    /// Before loads from these virtual addresses.
    pub loads: Vec<Range<u32>>,
    /// Before stores to these virtual addresses.
    pub stores: Vec<Range<u32>>,
    /// Where user mode begins and ends.
    pub modes: bool,
    /// At the next moment, whatever is there.
    pub step: bool,
}

impl Breaks {
    /// Whether there is nowhere to stop.
    pub fn is_empty(&self) -> bool {
        self.code.is_empty() && self.loads.is_empty() && self.stores.is_empty() && !self.modes && !self.step
    }
}

/// Why it stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// The next instruction is at an address of [`Breaks::code`].
    Code,
    /// The next instruction loads from this address, which is in [`Breaks::loads`].
    Load(u32),
    /// The next instruction stores to this address, which is in [`Breaks::stores`].
    Store(u32),
    /// The mode is another than that of the instruction before.
    Mode,
    /// One step was made.
    Step,
}

/// What the interpreter has of it while it runs.
pub(crate) struct Armed {
    breaks: Breaks,
    /// Where the run began: there it does not stop.
    began: Moment,
    user: bool,
}

impl Machine {
    /// Where the run is.
    pub fn moment(&self) -> Moment {
        Moment { instructions: self.instructions(), exceptions: self.counts().exceptions.iter().sum() }
    }

    /// Runs as [`Machine::run`] does, and stops where `breaks` says, but for the place where it begins.
    pub fn run_with(&mut self, limits: Limits, breaks: &Breaks) -> Stop {
        self.hooks.armed = Some(Armed { breaks: breaks.clone(), began: self.moment(), user: self.user_mode() });
        let stop = self.run(limits);
        self.hooks.armed = None;
        stop
    }

    /// Whether to stop before the next instruction.
    pub(crate) fn break_here(&mut self) -> Option<Stop> {
        let armed = self.hooks.armed.as_ref()?;
        if armed.began == self.moment() {
            return None;
        }
        self.break_behind(&armed.breaks, armed.user).map(Stop::Break)
    }

    /// Whether to stop here, having come from elsewhere, where it was user mode or not.
    pub(crate) fn break_behind(&self, breaks: &Breaks, user: bool) -> Option<Break> {
        self.break_at(breaks).or_else(|| {
            let mode = breaks.modes && user != self.user_mode();
            mode.then_some(Break::Mode).or(breaks.step.then_some(Break::Step))
        })
    }

    /// Whether the next instruction is one that `breaks` says to stop before.
    pub fn break_at(&self, breaks: &Breaks) -> Option<Break> {
        if breaks.code.contains(&self.cpu.pc) {
            return Some(Break::Code);
        }
        if breaks.loads.is_empty() && breaks.stores.is_empty() {
            return None;
        }
        let insn = decode(self.peek_code(self.cpu.pc)?);
        let size = match insn.op {
            Op::Lb | Op::Lbu | Op::Sb => 1,
            Op::Lh | Op::Lhu | Op::Sh => 2,
            Op::Lw | Op::Sw | Op::CopLoad | Op::CopStore | Op::Lwl | Op::Lwr | Op::Swl | Op::Swr => 4,
            _ => return None,
        };
        let store = matches!(insn.op, Op::Sb | Op::Sh | Op::Sw | Op::Swl | Op::Swr | Op::CopStore);
        let address = self.cpu.regs[usize::from(insn.s1)].wrapping_add(insn.imm);
        // The bytes that are used.
        let (first, end) = match insn.op {
            Op::Lwl | Op::Swl => (address & !3, u64::from(address) + 1),
            Op::Lwr | Op::Swr => (address, u64::from(address & !3) + 4),
            _ => (address, u64::from(address) + size),
        };
        let (ranges, found) =
            if store { (&breaks.stores, Break::Store(first)) } else { (&breaks.loads, Break::Load(first)) };
        ranges.iter().any(|range| first < range.end && end > range.start.into()).then_some(found)
    }

    /// The instruction that would be fetched from an address, without any effect on the machine.
    fn peek_code(&self, pc: u32) -> Option<u32> {
        let pa = self.probe(pc)?;
        let cached = !(0xa000_0000..0xc000_0000).contains(&pc) && self.cp0.effective & SR_SWC == 0;
        match cached && self.caches.holds(Which::Code, pa) {
            true => Some(self.caches.get(Which::Code, pa).1),
            false => self.peek_word(pc),
        }
    }

    /// A byte at a virtual address as a load would see it now, privilege apart, without any effect on the machine: through
    /// the TLB as it is and the data cache. Device registers read as nothing.
    pub fn see_byte(&self, va: u32) -> Option<u8> {
        let pa = self.probe(va)?;
        let cached = !(0xa000_0000..0xc000_0000).contains(&va) && self.cp0.effective & SR_SWC == 0;
        match cached && self.caches.holds(Which::Data, pa) {
            true => Some((self.caches.get(Which::Data, pa).1 >> ((pa & 3) * 8)) as u8),
            false => self.peek_byte(va),
        }
    }

    /// A general register with the load in flight to it, as whatever reads it next sees it: what reads it sooner breaks
    /// the rule of load delays.
    pub fn landed_register(&self, index: usize) -> u32 {
        self.cpu.landed(index & 31)
    }

    /// Sets a general register for good: a load in flight to it is lost.
    pub fn overwrite_register(&mut self, index: usize, value: u32) {
        if self.cpu.landed(index & 31) != value {
            self.cpu.cancel_load(index & 31);
            self.set_register(index, value);
        }
    }

    /// Sets HI and LO.
    pub fn set_hi_lo(&mut self, hi: u32, lo: u32) {
        (self.cpu.hi, self.cpu.lo) = (hi, lo);
    }

    /// Whether the next instruction is in the delay slot of the branch before it.
    pub fn in_delay_slot(&self) -> bool {
        self.cpu.next_in_slot()
    }

    /// Writes a byte for a debugger at a virtual address, as the PROM would; the data cache follows, and so do instructions
    /// that are in the other cache.
    pub fn overwrite_byte(&mut self, va: u32, byte: u8) -> bool {
        let Some(pa) = self.probe(va) else { return false };
        if !self.poke_byte(va, byte) {
            return false;
        }
        if self.caches.holds(Which::Code, pa) {
            self.caches.invalidate(Which::Code, pa);
            self.forget_fetch();
        }
        true
    }
}
