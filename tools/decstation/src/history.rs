//! A run that can be gone through in both directions.
//!
//! The machine repeats exactly, so to go back is to go forward from an earlier state that was kept. States are kept at
//! intervals; when there are many of them every other one is dropped, and the interval doubled: however long the run, as
//! many are kept, and going back takes at most the time of one interval. What was done to the machine from outside is kept
//! too, and done again at its moment.

use crate::breaks::{Break, Breaks, Moment};
use crate::machine::{Limits, Machine, Stop};

/// Instructions between two states that are kept, at first.
const INTERVAL: u64 = 1 << 20;
/// So many states are kept.
const MOST: usize = 48;
/// How far behind the moment that was gone back to another is kept, for going back further.
const NEAR: u64 = 1 << 12;

/// What can be done to a machine from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A general register has this value.
    Register(usize, u32),
    /// HI and LO have these.
    HiLo(u32, u32),
    /// It goes on at this address.
    Pc(u32),
    /// There are these bytes at a virtual address.
    Memory(u32, Vec<u8>),
    /// These bytes were typed at the console.
    Typed(Vec<u8>),
}

/// A state that was kept.
struct Kept {
    moment: Moment,
    /// Changes before it.
    changes: usize,
    /// Bytes of output before it.
    output: u64,
    body: Vec<u8>,
}

/// The run.
pub struct History {
    machine: Machine,
    /// In the order of time; the first is where it began.
    kept: Vec<Kept>,
    near: Option<Kept>,
    interval: u64,
    /// In the order of time.
    changes: Vec<(Moment, Change)>,
    /// How many of them have been made.
    made: usize,
    /// Bytes that the console has been sent up to now.
    output: u64,
    /// How many of them were given to somebody.
    shown: u64,
    /// Those that are to be.
    show: Vec<u8>,
}

impl History {
    /// The history of a machine, which begins now. Output that it has is given to nobody.
    pub fn new(mut machine: Machine) -> History {
        machine.take_output();
        let mut history = History {
            machine,
            kept: Vec::new(),
            near: None,
            interval: INTERVAL,
            changes: Vec::new(),
            made: 0,
            output: 0,
            shown: 0,
            show: Vec::new(),
        };
        let first = history.here();
        history.kept.push(first);
        history
    }

    /// The machine as it is now. What is changed otherwise than by [`History::change`] has never been after going back.
    pub fn machine(&mut self) -> &mut Machine {
        &mut self.machine
    }

    /// What the console was sent since the last call. What was given once is not given again after going back.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.show)
    }

    /// Where it began.
    pub fn beginning(&self) -> Moment {
        self.kept.first().map_or(Moment::default(), |kept| kept.moment)
    }

    /// Runs for at most so many instructions, or until `breaks` says or it can't go on.
    pub fn run(&mut self, instructions: u64, breaks: &Breaks) -> Stop {
        let end = self.machine.instructions().saturating_add(instructions);
        loop {
            let now = self.machine.moment();
            if now.instructions >= end {
                return Stop::Budget;
            }
            let next = now.instructions / self.interval * self.interval + self.interval;
            let to = Moment { instructions: next.min(end), exceptions: 0 };
            if let Some(stop) = self.go_on(to, breaks) {
                return stop;
            }
            self.keep();
        }
    }

    /// Makes one step: an instruction, or the exception that comes before it. If it can't, why.
    pub fn step(&mut self) -> Option<Stop> {
        match self.run(1, &Breaks { step: true, ..Breaks::default() }) {
            Stop::Budget | Stop::Break(_) => None,
            stop => Some(stop),
        }
    }

    /// Goes one step back; false at the beginning.
    pub fn step_back(&mut self) -> bool {
        let now = self.machine.moment();
        if now <= self.beginning() {
            return false;
        }
        // Of the moments before this one the last. There is one for each instruction, and further ones for exceptions.
        self.go_to(Moment { instructions: now.instructions.saturating_sub(1), exceptions: 0 });
        let step = Breaks { step: true, ..Breaks::default() };
        let mut last = self.machine.moment();
        loop {
            self.leg(now, &step);
            if self.machine.moment() >= now {
                break;
            }
            last = self.machine.moment();
        }
        self.go_to(last);
        true
    }

    /// Goes back to the last moment at which `breaks` would have stopped, of code, or to behind the last instruction that loads
    /// or stores what it watches. None: there is none, and this is the beginning.
    pub fn run_back(&mut self, breaks: &Breaks) -> Option<Break> {
        let now = self.machine.moment();
        let mut end = now;
        let starts: Vec<_> = self.kept.iter().map(|kept| kept.moment).filter(|&moment| moment < now).collect();
        for start in starts.into_iter().rev() {
            self.go_to(start);
            let mut found = None;
            loop {
                // Where a leg begins it does not stop.
                let here = self.machine.break_at(breaks);
                let at = self.machine.moment();
                if at >= end {
                    break;
                }
                match here {
                    Some(Break::Code) => found = Some((at, Break::Code)),
                    Some(access) => {
                        self.leg(end, &Breaks { step: true, ..Breaks::default() });
                        found = Some((self.machine.moment(), access));
                        continue;
                    }
                    None => {}
                }
                self.leg(end, breaks);
            }
            if let Some((moment, found)) = found {
                self.go_to(moment);
                return Some(found);
            }
            end = start;
        }
        self.go_to(self.beginning());
        None
    }

    /// Goes to a moment that has been, or to the beginning if it is before that.
    pub fn go_to(&mut self, moment: Moment) {
        self.return_before(moment);
        while self.machine.moment() < moment && self.leg(moment, &Breaks::default()).is_none() {}
        self.make_changes();
    }

    /// Changes the machine, now. What was to come is no more.
    pub fn change(&mut self, change: Change) {
        let now = self.machine.moment();
        self.changes.truncate(self.made);
        self.kept.retain(|kept| kept.moment <= now);
        self.near = None;
        self.shown = self.output;
        self.changes.push((now, change));
        self.make_changes();
    }

    /// The state now.
    fn here(&mut self) -> Kept {
        let body = self.machine.body();
        self.collect();
        Kept { moment: self.machine.moment(), changes: self.made, output: self.output, body }
    }

    /// Keeps the state if there is none so late.
    fn keep(&mut self) {
        let now = self.machine.moment();
        let last = self.kept.last().map_or(Moment::default(), |kept| kept.moment);
        if now.instructions < last.instructions + self.interval {
            return;
        }
        let here = self.here();
        self.kept.push(here);
        if self.kept.len() > MOST {
            let mut number = 0;
            self.kept.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.interval *= 2;
        }
    }

    /// Goes to a state that was kept and is not behind this moment; the last such, and the first if there is none.
    fn return_before(&mut self, moment: Moment) {
        let near = NEAR.min(self.interval);
        let kept = self.kept.iter().chain(&self.near).filter(|kept| kept.moment <= moment);
        let Some(kept) = kept.max_by_key(|kept| kept.moment).or(self.kept.first()) else { return };
        // It is where it is already, or between: no need to return.
        let now = self.machine.moment();
        if !(kept.moment <= now && now <= moment && self.made >= kept.changes) {
            // What was kept here was made here.
            let Ok(machine) = Machine::of_body(&kept.body) else { return };
            (self.machine, self.made, self.output) = (machine, kept.changes, kept.output);
        }
        let close = Moment { instructions: moment.instructions.saturating_sub(near), exceptions: 0 };
        if self.machine.moment() < close {
            while self.machine.moment() < close && self.leg(close, &Breaks::default()).is_none() {}
            self.near = Some(self.here());
        }
    }

    /// Runs to a moment as [`History::leg`] does, in as many of them as the changes in between need.
    fn go_on(&mut self, to: Moment, breaks: &Breaks) -> Option<Stop> {
        while self.machine.moment() < to {
            if let Some(stop) = self.leg(to, breaks) {
                return Some(stop);
            }
        }
        None
    }

    /// Runs to a moment or to the next change, whichever is first, unless it stops before.
    fn leg(&mut self, to: Moment, breaks: &Breaks) -> Option<Stop> {
        self.make_changes();
        let to = self.changes.get(self.made).map_or(to, |&(moment, _)| moment.min(to));
        loop {
            let now = self.machine.moment();
            if now >= to {
                return None;
            }
            let user = self.machine.user_mode();
            let stop = match to.instructions - now.instructions {
                // Only exceptions are between.
                0 => self.machine.run_with(Limits::NONE, &Breaks { step: true, ..breaks.clone() }),
                left if breaks.is_empty() => self.machine.run(Limits::instructions(left)),
                left => self.machine.run_with(Limits::instructions(left), breaks),
            };
            self.collect();
            match stop {
                // The budget is looked at first; it may end where there is something to stop at.
                Stop::Budget => {
                    if let Some(found) = self.machine.break_behind(breaks, user) {
                        return Some(Stop::Break(found));
                    }
                }
                Stop::Break(Break::Step) if !breaks.step => {}
                stop => return Some(stop),
            }
        }
    }

    /// Makes the changes whose moment it is.
    fn make_changes(&mut self) {
        let now = self.machine.moment();
        while let Some((_, change)) = self.changes.get(self.made).filter(|&&(moment, _)| moment <= now) {
            match change {
                Change::Register(index, value) => self.machine.overwrite_register(*index, *value),
                Change::HiLo(hi, lo) => self.machine.set_hi_lo(*hi, *lo),
                Change::Pc(pc) => self.machine.set_pc(*pc),
                Change::Memory(start, bytes) => {
                    for (i, &byte) in (0..).zip(bytes) {
                        self.machine.overwrite_byte(start.wrapping_add(i), byte);
                    }
                }
                Change::Typed(bytes) => self.machine.type_input(bytes),
            }
            self.made += 1;
        }
    }

    /// Takes the machine's output.
    fn collect(&mut self) {
        self.machine.collect_output();
        let bytes = std::mem::take(&mut self.machine.output);
        let before = self.output;
        self.output += bytes.len() as u64;
        if self.output > self.shown {
            let known = self.shown.saturating_sub(before) as usize;
            self.show.extend(&bytes[known..]);
            self.shown = self.output;
        }
    }
}
