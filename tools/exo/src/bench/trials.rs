//! Tests that counts repeat, are those that the tree keeps, and are the same on two machines.

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};

use super::counts::Counts;
use super::measure::{Outcome, job, measure};
use super::{UNSTEADY, is_counted};
use crate::bootable::{benchmark, benchmarks};
use crate::build::Guest;
use crate::machine::{Clock, Machine};
use crate::test::{Bench, timed};

/// What an operation is called, how often it was counted, and the count.
type Count = (String, usize, u64);

fn boot(bench: &Bench, machine: Machine, program: &str) -> Result<Outcome, Failed> {
    let outcome = || {
        let bootable = benchmark(&bench.workspace, &bench.guest, machine, program)?;
        measure(&bootable, machine, &job(&bootable, Clock::Dec5000, Duration::from_secs(120)))
    };
    outcome().map_err(|error: anyhow::Error| format!("{error:#}").into())
}

fn same(name: [&str; 2], outcomes: [Outcome; 2]) -> Result<(), Failed> {
    let counts = |outcome: Outcome| -> Vec<Count> {
        outcome.measured.into_iter().map(|one| (one.description.op, one.summary.n, one.summary.median)).collect()
    };
    let counts = outcomes.map(counts);
    match counts[0] == counts[1] {
        true => Ok(()),
        false => Err(format!("operation, n, median: {} {:?}, {} {:?}", name[0], counts[0], name[1], counts[1]).into()),
    }
}

/// The benchmark programs whose counts are steady and that all of the machines count.
fn counted(guest: &Guest, machines: &[Machine]) -> Vec<String> {
    let on_all = |program: &String| machines.iter().all(|&machine| is_counted(program, machine));
    benchmarks(guest).filter(on_all).filter(|program| !UNSTEADY.contains(&program.as_str())).collect()
}

/// For each benchmark program a test that two runs give the same counts, which are those that the tree keeps.
pub fn trials(bench: &Arc<Bench>, machine: Machine, suffix: &str) -> Vec<Trial> {
    let repeats = |program: String| {
        let bench = Arc::clone(bench);
        timed(format!("bench::counts_repeat::{program}{suffix}"), move || {
            let first = boot(&bench, machine, &program)?;
            let counts = Counts::read().map_err(|error| format!("{error:#}"))?;
            let kept = counts.check(&bench.guest.toolchain.version, machine, &program, &first);
            kept.map_err(|error| format!("{error:#}"))?;
            same(["first", "second"], [first, boot(&bench, machine, &program)?])
        })
    };
    counted(&bench.guest, &[machine]).into_iter().map(repeats).collect()
}

/// For each benchmark program a test that two machines give the same counts.
pub fn agreement(bench: &Arc<Bench>, machines: [Machine; 2]) -> Vec<Trial> {
    let agrees = |program: String| {
        let bench = Arc::clone(bench);
        timed(format!("bench::machines_agree::{program}"), move || {
            let [one, other] = machines;
            same(machines.map(Machine::name), [boot(&bench, one, &program)?, boot(&bench, other, &program)?])
        })
    };
    counted(&bench.guest, &machines).into_iter().map(agrees).collect()
}
