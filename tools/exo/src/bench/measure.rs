//! Measuring a benchmark program: it is booted, its marks are counted, and what it says of them is put beside.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::bootable::Bootable;
use crate::console::Verdict;
use crate::count::{Description, Loop, Summary, Watching, Window};
use crate::figure::{self, Series};
use crate::latency::Longest;
use crate::machine::{Clock, Job, Machine, Network, Watch};
use crate::run::conclude;

/// An operation that was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// What it is.
    pub description: Description,
    /// Its instructions.
    pub summary: Summary,
    /// What a loop of it takes, if there is one.
    pub timed: Option<Timed>,
}

/// What a loop of an operation takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Timed {
    /// The loop.
    pub repeats: Loop,
    /// Times that it was run.
    pub n: usize,
    /// Instructions a round: the operation, what prepares it, and the loop's own.
    pub instructions: f64,
    /// Cycles a round on each clock, the median of the runs; empty on a machine without a clock.
    pub cycles: BTreeMap<String, f64>,
}

/// What a boot of a program gives.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Its operations.
    pub measured: Vec<Measured>,
    /// Its series.
    pub series: Vec<Series>,
    /// The kernel's longest path, on a machine that tells.
    pub longest: Option<Longest>,
}

impl Outcome {
    /// The outcome on one clock together with the times on another. What is executed does not depend on how fast, but where
    /// much walks the TLB, in which misses replace entries at random; `strict` says that this program does not.
    pub fn join(&mut self, other: Self, strict: bool) -> Result<()> {
        for (one, other) in self.measured.iter().zip(&other.measured) {
            let (was, is) = (one.summary.median, other.summary.median);
            let op = &one.description.op;
            ensure!(
                was.abs_diff(is) <= was / 100 || !strict,
                "{op} takes {was} instructions on one clock and {is} on another"
            );
        }
        Measured::add_clock(&mut self.measured, other.measured)?;
        Ok(())
    }
}

impl Measured {
    /// Adds the cycles of the same program on another clock.
    pub fn add_clock(measured: &mut [Self], other: Vec<Self>) -> Result<()> {
        ensure!(measured.len() == other.len(), "on another clock it measures something else");
        for (one, other) in measured.iter_mut().zip(other) {
            ensure!(one.description == other.description, "on another clock it measures something else");
            if let (Some(one), Some(other)) = (&mut one.timed, other.timed) {
                one.cycles.extend(other.cycles);
            }
        }
        Ok(())
    }
}

/// Boots a program once and measures it.
pub fn measure(bootable: &Bootable, machine: Machine, job: &Job) -> Result<Outcome> {
    let Bootable { program, symbols, .. } = bootable;
    let mut watch = Watching::new(symbols);
    let end = machine.run(job, &mut watch)?;
    let run = conclude(watch.console, end, job, symbols);
    // Not all can be run by their name alone, to see it.
    let told = run.told().or_else(|| run.lines.last().cloned()).unwrap_or_default();
    run.judge().with_context(|| format!("{program} cannot be measured: {told}"))?;
    ensure!(run.verdict == Some(Verdict::Pass), "{program} failed: {told}");
    let windows = watch.counter.finish().with_context(|| format!("the marks of {program}"))?;
    let measured = interpret(&run.lines, windows, machine.has_clock().then_some(job.clock));
    let longest = watch.longest.map(|stretch| Longest::new(&stretch, job, symbols));
    let of_program = || program.clone();
    let measured = measured.with_context(of_program)?;
    let time = |id| {
        let timed =
            measured.iter().filter_map(|measured| measured.timed.as_ref()).find(|timed| timed.repeats.id == id)?;
        Some(timed.cycles.get(job.clock.name())? / job.clock.mhz())
    };
    let series = figure::parse(&run.lines, machine.has_clock().then(|| job.clock.name()), time);
    Ok(Outcome { series: series.with_context(of_program)?, measured, longest })
}

/// The run that measures a program.
pub fn job<'a>(bootable: &'a Bootable, clock: Clock, timeout: Duration) -> Job<'a> {
    let polls = bootable.polls.clone();
    let network =
        Some(Network { machines: bootable.machines, ..Network::default() }).filter(|network| network.machines > 0);
    Job { clock, polls, network, watch: Watch::Marks, ..Job::new(&bootable.image, &bootable.arguments, timeout) }
}

/// Puts together what a program said of its marks and what was counted between them.
pub fn interpret(
    lines: &[String],
    mut windows: BTreeMap<u32, Vec<Window>>,
    clock: Option<Clock>,
) -> Result<Vec<Measured>> {
    let mut descriptions = BTreeMap::new();
    let mut loops = BTreeMap::new();
    for line in lines {
        if let Some(description) = Description::parse(line)? {
            let id = description.id;
            ensure!(descriptions.insert(id, description).is_none(), "mark {id} is described twice");
        }
        if let Some(repeats) = Loop::parse(line)? {
            let of = repeats.of;
            ensure!(descriptions.contains_key(&of), "there is a loop of mark {of}, which is not described before it");
            ensure!(loops.insert(of, repeats).is_none(), "mark {of} has two loops");
        }
    }
    ensure!(!descriptions.is_empty(), "there are no marks");
    let mut take = |id: u32| windows.remove(&id).with_context(|| format!("mark {id} is described and never executed"));
    let mut measured = Vec::new();
    for (id, description) in descriptions {
        let counts: Vec<_> = take(id)?.iter().map(|window| window.instructions).collect();
        let summary = Summary::of(&counts).with_context(|| format!("mark {id} is never executed"))?;
        let timed = match loops.remove(&id) {
            Some(repeats) => Some(time(&take(repeats.id)?, repeats, clock)?),
            None => None,
        };
        measured.push(Measured { description, summary, timed });
    }
    if let Some(id) = windows.keys().next() {
        bail!("mark {id} is executed and not described");
    }
    Ok(measured)
}

/// What a round of a loop takes.
fn time(windows: &[Window], repeats: Loop, clock: Option<Clock>) -> Result<Timed> {
    let median = |numbers: Vec<u64>| {
        let summary = Summary::of(&numbers).with_context(|| format!("the loop of mark {} is never run", repeats.of))?;
        Ok::<_, anyhow::Error>(summary.median as f64 / f64::from(repeats.rounds))
    };
    let instructions = median(windows.iter().map(|window| window.instructions).collect())?;
    let cycles: Vec<_> = windows.iter().filter_map(|window| window.cycles).collect();
    let cycles = match clock {
        Some(clock) => BTreeMap::from([(clock.name().to_owned(), median(cycles)?)]),
        None => BTreeMap::new(),
    };
    Ok(Timed { n: windows.len(), instructions, cycles, repeats })
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// The system call of Table 4.
    pub fn measured() -> Measured {
        let line = "mark 2 table=4 op=syscall system=aegis how=self";
        let description = Description::parse(line).unwrap().unwrap();
        let repeats = Loop { id: 12, of: 2, rounds: 1000, how: "round and round".to_owned() };
        let cycles = BTreeMap::from([("dec5000".to_owned(), 25.0)]);
        let timed = Timed { repeats, n: 9, instructions: 22.0, cycles };
        Measured { description, summary: Summary::of(&[18, 18, 18, 300]).unwrap(), timed: Some(timed) }
    }

    #[test]
    fn clocks_agree_on_what_is_executed() {
        let outcome = |median| Outcome {
            measured: vec![Measured { summary: Summary::of(&[median]).unwrap(), ..measured() }],
            series: Vec::new(),
            longest: None,
        };
        assert!(outcome(100).join(outcome(101), true).is_ok());
        assert!(outcome(100).join(outcome(102), false).is_ok());
        let error = outcome(100).join(outcome(102), true).unwrap_err().to_string();
        assert_eq!(error, "syscall takes 100 instructions on one clock and 102 on another");
    }
}
