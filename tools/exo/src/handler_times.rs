//! What handlers of messages take, instruction by instruction: that no call of theirs takes longer than it costs, none of them
//! longer than it may, and what the kernel does around one no longer than leaves room for the longest.
//!
//! A chain counts as one handler, from the beginning of its first to the end of its last, and what the kernel does between two of them
//! is held against what is said of that.
//!
//! Caches are empty at each entry to the kernel, at each call of a handler, and when it has ended: whatever a handler may have
//! evicted. `bounds_handlers` says before each what it may take at most.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use aegis_abi::ash::{CYCLES_AT_ONCE, CYCLES_MAX, cost};
use anyhow::{Result, ensure};
use decstation::Stretch;

use crate::latency::{BOUND, CLOCK};
use crate::machine::Step;
use crate::machine::decstation::profile;
use crate::symbols::Symbols;

/// The kernel's function that enters a handler.
const RUN: &str = "run_handler";
/// The way from one of a chain to the next, as it is called in the table.
const CHAINED: &str = "handler_chained";
/// Where all of them end.
const ENDS: &str = "handler_ends";
/// What runs those of a chain behind the first.
const CHAINS: [&str; 2] = ["handlers::go_on", "handlers::go_on::{closure#0}"];
/// Their calls, and what is said of each.
const CALLS: [(&str, [u16; 2]); 5] = [
    ("handler_load", cost::LOAD_CALL),
    ("handler_copy", cost::COPY_CALL),
    ("handler_send", cost::SEND_CALL),
    ("handler_wake", cost::WAKE_CALL),
    ("handler_abort", cost::ABORT_CALL),
];
/// A handler is in two frames: its code, and the loops of its pipes.
const FRAME: u32 = 0x1000;
/// The instruction cache has so many frames. Two frames with the same number modulo this evict each other.
const COLOURS: u32 = 16;

/// What is known of the handlers of a run.
pub struct Handlers {
    run: Range<u32>,
    ends: u32,
    chains: [Range<u32>; 2],
    calls: BTreeMap<u32, usize>,
    /// The handler that was named last, and the most cycles of its calls and of it.
    name: String,
    call_most: u64,
    most: u64,
    /// The address of the instruction before.
    before: u32,
    /// If the handler that is being entered is one of a chain: when that began, and when the handler before it ended.
    chained: Option<(u64, u64)>,
    /// The handler that runs: where its code is, and since when.
    running: Option<(Range<u32>, u64)>,
    /// The call that it makes, since when, and the lines of the cache that it has used.
    calling: Option<(usize, u64, BTreeSet<u32>)>,
    /// When handlers began whose path has not come to its end, and how long they took.
    ran: Vec<(u64, u64)>,
    /// The longest call of each kind, and the longest path of the kernel with a handler, less that.
    longest: BTreeMap<&'static str, u64>,
    /// What took longer than it may, by the handler's name and what it is: the last of each.
    wrong: BTreeMap<(String, &'static str), String>,
}

impl Handlers {
    /// For a kernel with these symbols.
    pub fn new(symbols: &Symbols) -> Self {
        Self {
            run: symbols.of_kernel(RUN),
            ends: symbols.of_kernel(ENDS).start,
            chains: CHAINS.map(|function| symbols.of_kernel(function)),
            calls: CALLS.iter().enumerate().map(|(n, (call, _))| (symbols.of_kernel(call).start, n)).collect(),
            name: String::new(),
            call_most: 0,
            most: 0,
            before: 0,
            chained: None,
            running: None,
            calling: None,
            ran: Vec::new(),
            longest: BTreeMap::new(),
            wrong: BTreeMap::new(),
        }
    }

    /// Where the caches are to be emptied.
    pub fn chilled(&self) -> Vec<u32> {
        self.calls.keys().copied().chain([self.ends]).collect()
    }

    /// A line of the program's: `bounds_handlers: NAME: a call N, all N`, or something else.
    pub fn line(&mut self, line: &str) {
        let read = || {
            let (name, most) = line.split_once(": ")?.1.split_once(": a call ")?;
            let (call, all) = most.split_once(", all ")?;
            Some((name.to_owned(), call.parse().ok()?, all.parse().ok()?))
        };
        if let Some(read) = read() {
            (self.name, self.call_most, self.most) = read;
        }
    }

    /// The machine executes an instruction.
    pub fn instruction(&mut self, step: &Step) {
        let before = std::mem::replace(&mut self.before, step.address);
        let Some(now) = step.cycles else { return };
        let Some((code, began)) = self.running.clone() else {
            if step.address == self.run.start && self.chains.iter().any(|chain| chain.contains(&before)) {
                self.chained = self.ran.pop().map(|(began, took)| (began, began + took));
            }
            if self.run.contains(&before) && !self.run.contains(&step.address) && step.address != self.ends {
                let frame = step.address & !(FRAME - 1);
                let chained = self.chained.take();
                if let Some((_, ended)) = chained {
                    let took = now - ended;
                    let longest = self.longest.entry(CHAINED).or_default();
                    *longest = took.max(*longest);
                    if took > (cost::CHAIN + cost::CHAINED).into() {
                        self.complain(
                            CHAINED,
                            format!("{took} cycles to the next handler, of {}", cost::CHAIN + cost::CHAINED),
                        );
                    }
                }
                self.running = Some((frame..frame + FRAME, chained.map_or(now, |(began, _)| began)));
            }
            return;
        };
        let ends = step.address == self.ends;
        if let Some((_, _, lines)) = &mut self.calling
            && !(code.start..code.end + FRAME).contains(&step.address)
        {
            lines.insert(step.address & !15);
        }
        if (ends || code.contains(&step.address))
            && let Some((call, began, lines)) = self.calling.take()
        {
            let (name, [_, evicts]) = CALLS[call];
            let took = now - began;
            let longest = self.longest.entry(name).or_default();
            *longest = took.max(*longest);
            if took > self.call_most {
                self.complain(name, format!("{name} took {took} cycles of {}", self.call_most));
            }
            // The handler's frame can have one colour only.
            let of_colour = |colour| lines.iter().filter(|&line| line / FRAME % COLOURS == colour).count() as u64;
            let evicted = (0..COLOURS).map(of_colour).max().unwrap_or(0) * u64::from(profile(CLOCK).read_miss);
            if evicted > evicts.into() {
                self.complain("eviction", format!("{name} may evict what takes {evicted} cycles of {evicts}"));
            }
        }
        if ends {
            let took = now - began;
            self.ran.push((began, took));
            self.running = None;
            if took > self.most {
                self.complain("all", format!("it took {took} cycles of {}", self.most));
            }
        } else if let Some(&call) = self.calls.get(&step.address) {
            self.calling = Some((call, now, BTreeSet::new()));
        }
    }

    /// The kernel went from a program back to one, and all its instructions were told.
    pub fn stretch(&mut self, stretch: &Stretch) {
        let path = stretch.since..stretch.since + stretch.cycles;
        let inside: u64 = self.ran.extract_if(.., |(began, _)| path.contains(began)).map(|(_, took)| took).sum();
        if inside == 0 {
            return;
        }
        let around = stretch.cycles - inside;
        let (name, most) = match self.most <= CYCLES_AT_ONCE.into() {
            true => ("around_a_handler_at_once", CYCLES_AT_ONCE),
            false => ("around_a_handler", CYCLES_MAX),
        };
        let longest = self.longest.entry(name).or_default();
        *longest = around.max(*longest);
        let whole = around + u64::from(most);
        if whole > BOUND {
            self.complain(name, format!("{around} cycles around it, with the longest {whole} of {BOUND}"));
        }
    }

    fn complain(&mut self, of: &'static str, what: String) {
        self.wrong.insert((self.name.clone(), of), format!("{}: {what}", self.name));
    }

    /// The longest of everything, in cycles; fails if something took longer than it may.
    pub fn check(self) -> Result<BTreeMap<&'static str, u64>> {
        ensure!(self.longest.contains_key("around_a_handler"), "no handler ran");
        ensure!(self.longest.contains_key(CHAINED), "no chain ran");
        ensure!(self.wrong.is_empty(), "{}", self.wrong.into_values().collect::<Vec<_>>().join("; "));
        Ok(self.longest)
    }
}
