//! How long an interrupt may wait for the kernel: its longest uninterruptible path, as the model measures it, and the
//! bound on it, which every test program's run is held to.
//!
//! The kernel runs with interrupts off from its entry to its exit. What it does there without going back to a program
//! is bounded by a millisecond; calls that have more to do answer that they are to be made again.

use std::fmt;
use std::ops::Range;

use aegis_abi::call::{ALL, NUMBER_MASK};
use aegis_abi::console::PC;
use aegis_abi::exception::Code;
use anyhow::{Result, ensure};
use decstation::{Began, Stretch};
use serde::{Deserialize, Serialize};

use crate::machine::{Clock, Job, Machine};
use crate::symbols::Symbols;

/// The bound, in cycles of [`CLOCK`]: a millisecond.
pub const BOUND: u64 = 25_000;
/// The machine that it is stated for, the one whose memory costs most cycles.
pub const CLOCK: Clock = Clock::Dec5000;
/// The kernel's function that waits for an interrupt by polling Cause.
const WAITING: &str = "::kernel::Kernel>::idle";

/// The same run, the machine being told where the kernel waits, if it is not yet.
pub fn watched<'a>(machine: Machine, job: &Job<'a>, symbols: &Symbols) -> Job<'a> {
    let polls = if job.polls.is_empty() { polls(machine, symbols) } else { job.polls.clone() };
    Job { polls, ..job.clone() }
}

/// Where the kernel waits.
pub fn polls(machine: Machine, symbols: &Symbols) -> Range<u32> {
    if machine.has_clock() { symbols.of_kernel(WAITING) } else { 0..0 }
}

/// The longest path of a run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Longest {
    clock: Clock,
    cycles: u64,
    instructions: u64,
    /// How the kernel was entered, and where in the program's source.
    entry: String,
}

impl Longest {
    /// What the model measured in a run.
    pub fn new(stretch: &Stretch, job: &Job, symbols: &Symbols) -> Self {
        // An address of a program is taken for one of the first that was started, for want of better knowledge.
        let entry = format!("{}, {PC}{:08x}", entry(stretch.began), stretch.from);
        let Stretch { cycles, instructions, .. } = *stretch;
        Self { clock: job.clock, cycles, instructions, entry: symbols.annotate_as(job.first_program(), &entry) }
    }

    /// The longer of two; of equals the first.
    pub fn longer(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (&one, &other) {
            (Some(longest), Some(new)) if new.cycles > longest.cycles => other,
            _ => one.or(other),
        }
    }

    /// Fails if it is longer than the bound.
    pub fn check(&self) -> Result<()> {
        let kept = self.clock != CLOCK || self.cycles <= BOUND;
        ensure!(kept, "longest path in the kernel: {self}; the bound is {BOUND} cycles");
        Ok(())
    }
}

impl fmt::Display for Longest {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { clock, cycles, instructions, entry } = self;
        let microseconds = *cycles as f64 / clock.mhz();
        write!(
            formatter,
            "{cycles} cycles ({microseconds:.0} us on a {}), {instructions} instructions, in {entry}",
            clock.name()
        )
    }
}

/// How the kernel was entered.
fn entry(began: Began) -> String {
    match began {
        Began::Call(number) => {
            let known = ALL.iter().find(|(_, known)| *known == number & NUMBER_MASK);
            known.map_or(format!("the call {number:#x}, which there is not"), |(name, _)| format!("the call {name}"))
        }
        Began::Exception(decstation::Exception::Int) => format!("an {}", Code::Interrupt.text()),
        Began::Exception(code) => {
            let known = Code::handled(code as u32);
            known.map_or(format!("exception {}", code as u32), |code| format!("an exception: {}", code.text()))
        }
        Began::Poll => "what follows a wait".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::time::Duration;

    fn longest(began: Began, cycles: u64) -> Longest {
        let symbols = Symbols::new(Path::new("/"), [], []);
        let stretch = Stretch { began, from: 0x1_0008, to: 0x1_000c, since: 5, instructions: 17, cycles };
        let job = Job { clock: CLOCK, ..Job::new(Path::new("image"), "counter", Duration::ZERO) };
        Longest::new(&stretch, &job, &symbols)
    }

    #[test]
    fn what_is_too_long_is_named() {
        let call = longest(Began::Call(aegis_abi::call::FRAME_FREE), BOUND + 1);
        let text = "25001 cycles (1000 us on a dec5000), 17 instructions, in the call frame_free, pc=0x00010008";
        assert_eq!(call.to_string(), text);
        let error = call.check().unwrap_err().to_string();
        assert_eq!(error, format!("longest path in the kernel: {text}; the bound is 25000 cycles"));
        assert!(longest(Began::Call(0), BOUND).check().is_ok());
    }

    #[test]
    fn entries_have_names() {
        let entry = |began| longest(began, 1).entry;
        assert_eq!(entry(Began::Call(0)), "the call transfer, pc=0x00010008");
        assert_eq!(entry(Began::Exception(decstation::Exception::Int)), "an interrupt, pc=0x00010008");
        let modified = entry(Began::Exception(decstation::Exception::Mod));
        assert_eq!(modified, "an exception: store to a read-only page, pc=0x00010008");
    }

    #[test]
    fn the_longer_one_is_kept() {
        let [one, other] = [10, 11].map(|cycles| Some(longest(Began::Poll, cycles)));
        assert_eq!(Longest::longer(one.clone(), other.clone()), other);
        assert_eq!(Longest::longer(other.clone(), one), other);
        assert_eq!(Longest::longer(None, other.clone()), other);
    }
}
