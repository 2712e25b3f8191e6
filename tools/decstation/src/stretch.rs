//! The guest's kernel at a stretch: the longest time between two instructions of user mode, for which an interrupt may
//! have to wait.
//!
//! A stretch begins with the exception that leaves user mode and ends where the next instruction in user mode is
//! executed. If that one can't be fetched the stretch goes on, but not for ever: a program may see to it that its
//! handler can't be fetched, and interrupts are let in before each attempt. If an interrupt comes first another begins.
//! A kernel that has nothing to do polls for interrupts: reading Cause in [`Config::polls`](crate::Config::polls) ends a
//! stretch and begins the next.
//!
//! Only exceptions, returns from them and reads of Cause look here, so it costs nothing to speak of and is always on.

use crate::cp0::Exception;
use crate::machine::Machine;
use borsh::{BorshDeserialize, BorshSerialize};
use std::fmt;

/// Where stretches go.
pub type StretchSink = Box<dyn FnMut(&Stretch) + Send>;

/// A stretch of the guest's kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Stretch {
    /// How it began.
    pub began: Began,
    /// The user-mode instruction that raised the exception or that the interrupt came before, or the one that polled.
    pub from: u32,
    /// The user-mode instruction that comes next, or the one that polls.
    pub to: u32,
    /// Cycles before it began.
    pub since: u64,
    /// Instructions executed, those that lie between the two.
    pub instructions: u64,
    /// Cycles, with those that the exception itself costs.
    pub cycles: u64,
}

/// How a stretch began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Began {
    /// With an exception.
    Exception(Exception),
    /// With a system call, `$v0` being this.
    Call(u32),
    /// Behind a poll.
    Poll,
}

impl fmt::Display for Stretch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stretch { began, from, to, instructions, cycles, .. } = self;
        write!(f, "{cycles} cycles, {instructions} instructions, from {from:08x} ({began:x?}) to {to:08x}")
    }
}

/// How often in a row the next instruction may fail to be fetched: from a page that is missed twice, as one that the software TLB
/// lost is.
const UNFETCHED: u32 = 2;

/// What is known of the stretches of a run.
#[derive(Clone, Debug, Default, BorshSerialize, BorshDeserialize)]
pub(crate) struct Stretches {
    /// The one that is going on, or just came to an end: how and where it began.
    open: Option<(Began, u32, Instant)>,
    /// Where user mode was entered last, and that instruction's address.
    entered: Option<(u32, Instant)>,
    /// How often in a row the instruction there could not be fetched.
    unfetched: u32,
    longest: Option<Stretch>,
}

/// A moment of the run.
#[derive(Clone, Copy, Debug, BorshSerialize, BorshDeserialize)]
struct Instant {
    instructions: u64,
    cycles: u64,
}

impl Stretches {
    /// The longest that has come to an end. In user mode the last one has, whatever comes next.
    pub(crate) fn longest(&self) -> Option<Stretch> {
        match self.entered {
            Some((to, end)) => self.ending(to, end),
            None => self.longest,
        }
    }

    /// The open one, if it ends now.
    fn ended(&self, to: u32, end: Instant) -> Option<Stretch> {
        self.open.map(|(began, from, start)| Stretch {
            began,
            from,
            to,
            since: start.cycles,
            instructions: end.instructions - start.instructions,
            cycles: end.cycles - start.cycles,
        })
    }

    /// The longest, if the open one ends now.
    fn ending(&self, to: u32, end: Instant) -> Option<Stretch> {
        // Of equals the first.
        match (self.longest, self.ended(to, end)) {
            (Some(longest), Some(ended)) if ended.cycles > longest.cycles => Some(ended),
            (longest, ended) => longest.or(ended),
        }
    }
}

impl Machine {
    fn instant(&self) -> Instant {
        Instant { instructions: self.instructions(), cycles: self.cycles() }
    }

    /// The open stretch ends here.
    fn end_stretch(&mut self, to: u32, end: Instant) {
        self.stretches.longest = self.stretches.ending(to, end);
        if let Some(sink) = &mut self.stretch_sink
            && let Some(stretch) = self.stretches.ended(to, end)
        {
            sink(&stretch);
        }
    }

    /// User mode ends with an exception of the instruction at `pc`.
    pub(crate) fn leave_user(&mut self, code: Exception, pc: u32) {
        let now = self.instant();

        let Some((to, end)) = self.stretches.entered.take() else { return };
        if end.instructions == now.instructions && code != Exception::Int && self.stretches.unfetched < UNFETCHED {
            self.stretches.unfetched += 1;
            return;
        }
        self.stretches.unfetched = 0;
        if self.config.cold {
            self.caches.invalidate_all();
        }
        self.end_stretch(to, end);
        let began = match code {
            Exception::Sys => Began::Call(self.cpu.regs[2]),
            _ => Began::Exception(code),
        };
        self.stretches.open = Some((began, pc, now));
    }

    /// User mode begins with the next instruction.
    pub(crate) fn enter_user(&mut self) {
        self.stretches.entered = Some((self.cpu.pc, self.instant()));
    }

    /// The instruction at `pc` reads Cause.
    #[inline]
    pub(crate) fn poll(&mut self, pc: u32) {
        if self.config.polls.contains(&pc) && self.stretches.open.is_some() {
            let now = self.instant();
            self.end_stretch(pc, now);
            self.stretches.open = Some((Began::Poll, pc, now));
        }
    }
}
