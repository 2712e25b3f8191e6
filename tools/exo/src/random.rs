//! `random`: arbitrary calls with arbitrary arguments, on the model, with the kernel's audit all the while.
//!
//! The program `hostile_random` makes the calls, from a seed. Every so many instructions a copy of the run is led to
//! the kernel's end, where it checks all its tables; the run itself is not touched. When the audit finds something, or
//! the kernel stops, the call that did it is looked for between the last audit that found nothing and that one; then
//! the run is made smaller, as long as it still fails, by leaving out steps, and what is left is kept in a file of
//! cases that each test makes again.

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aegis_abi::call::{ALL, NUMBER_MASK};
use anyhow::{Context, Result, bail, ensure};
use decstation::Injection;
use libtest_mimic::Trial;

use crate::build::{self, Guest};
use crate::console::Console;
use crate::latency;
use crate::machine::decstation::Run;
use crate::machine::{End, Job, Machine, Observer};
use crate::progress::Progress;
use crate::run::conclude;
use crate::setup::{Need, ensure_all};
use crate::symbols::Symbols;
use crate::test::{Bench, timed};
use crate::workspace::Workspace;

/// The program.
pub const PROGRAM: &str = "hostile_random";
/// What the names of the tests begin with.
pub const TESTS: &str = "model::random_";
/// The cases that failed once, below the workspace's root: a line of arguments each.
const CASES: &str = "tests/random.txt";
/// The kernel's way to its end.
const FINISH: &str = "finish_at_once";
/// What the program says when it has lost nothing.
const GOOD: &str = "; nothing was lost";
/// What the kernel says when the audit finds something.
const FOUND: &str = "aegis: audit: ";
/// Instructions between two audits of a run, about.
const INTERVAL: u64 = 1 << 23;
/// Megabytes of memory: little, since each audit copies it.
const MEMORY: u32 = 4;
/// Steps of the program, bits of `without`.
const KINDS: u32 = 43;
/// How many calls the test makes, and its seed.
const CALLS: u32 = 1_000_000;
const SEED: u32 = 1;

/// What `random` is asked for.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What the calls are drawn from
    #[arg(long, default_value_t = SEED)]
    seed: u32,
    /// How many calls
    #[arg(long, default_value_t = CALLS)]
    calls: u32,
    /// Tell which of the kernel's functions were not executed at all; takes several times as long
    #[arg(long)]
    coverage: bool,
}

/// A run, by the program's arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Case {
    seed: u32,
    calls: u32,
    from: u32,
    without: u64,
}

/// What came of a run.
struct Outcome {
    /// What went wrong, if anything.
    failure: Option<Failure>,
    /// The program's last line.
    line: String,
    audits: u64,
    instructions: u64,
    /// The addresses of the instructions that were executed, if that was wanted.
    executed: BTreeSet<u32>,
}

struct Failure {
    what: String,
    /// The call behind which it was first found.
    culprit: String,
}

/// Makes a run, and makes it small if it fails.
pub fn run(workspace: &Workspace, arguments: &Arguments, quiet: bool) -> Result<()> {
    ensure_all(workspace, &[Need::Compiler])?;
    let guest = build::build_programs(workspace, &[Machine::Decstation], &[PROGRAM], quiet)?;
    let case = Case { seed: arguments.seed, calls: arguments.calls, from: 0, without: 0 };
    let stage = Stage { progress: Progress::new(quiet), ..Stage::new(workspace, &guest)? };
    let outcome = stage.make(case, arguments.coverage)?;
    stage.progress.done();
    println!("{}; {} audits, {} instructions", outcome.line, outcome.audits, outcome.instructions);
    if arguments.coverage {
        let functions = stage.symbols.functions_beside(FINISH);
        let missed = functions.iter().filter(|(range, _)| outcome.executed.range(range.clone()).next().is_none());
        let missed: Vec<_> = missed.map(|(_, name)| name.as_str()).collect();
        println!("{} of {} functions of the kernel executed", functions.len() - missed.len(), functions.len());
        missed.iter().for_each(|name| println!("    not {name}"));
    }
    let Some(failure) = outcome.failure else { return Ok(()) };
    println!("{}; {}; the run is made smaller now", failure.what, failure.culprit);
    bail!("{}", stage.shrink(case, failure)?)
}

/// The tests: all cases that failed once, then many calls; and a bug that is planted, to see what becomes of one.
pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let trial = |name: &str, test: fn(&Bench) -> Result<()>| {
        let bench = Arc::clone(bench);
        timed(format!("{TESTS}{name}"), move || test(&bench).map_err(|error| format!("{error:#}").into()))
    };
    vec![trial("calls", random_calls), trial("bug_is_made_small_and_kept", planted_bug)]
}

fn random_calls(bench: &Bench) -> Result<()> {
    let stage = Stage::new(&bench.workspace, &bench.guest)?;
    let mut cases = stage.kept()?;
    cases.push(Case { seed: SEED, calls: CALLS, from: 0, without: 0 });
    for case in cases {
        if let Some(failure) = stage.make(case, false)?.failure {
            bail!("{}", stage.shrink(case, failure)?);
        }
    }
    Ok(())
}

/// A word of the kernel's that can't be read: when one of the frames was unbound last, which matters to those calls alone
/// that allocate it, or show or make a capability for it. The run that is left makes few others, is kept, and fails only
/// because of that word.
fn planted_bug(bench: &Bench) -> Result<()> {
    /// The kernel's table of nonces, and the frame: of those that all contend for.
    const NONCES: u32 = 0xc_0400;
    const FRAME: u32 = MEMORY * 256 - 20;
    /// More kinds of steps than these are not needed to come to that word.
    const FEW_KINDS: u32 = 3;
    const FEW_CALLS: u32 = 500;
    let cases = std::env::temp_dir().join(format!("exo-random-{}.txt", std::process::id()));
    fs::write(&cases, "# A comment.\n")?;
    let sound = Stage::new(&bench.workspace, &bench.guest)?;
    let planted = Some(Injection::BusError { start: NONCES + 8 * FRAME, length: 8 });
    let stage = Stage { planted, cases: cases.clone(), ..Stage::new(&bench.workspace, &bench.guest)? };
    let case = Case { seed: SEED, calls: 3000, from: 0, without: 0 };
    let failure = stage.make(case, false)?.failure.context("the bug was not found")?;
    ensure!(failure.what.contains("exception 7 in the kernel"), "another bug was found: {}", failure.what);
    let told = stage.shrink(case, failure)?;
    let kept = stage.kept()?;
    let removed = fs::remove_file(&cases);
    let &[small] = kept.as_slice() else { bail!("{} cases are kept", kept.len()) };
    let kinds = KINDS - small.without.count_ones();
    ensure!(kinds <= FEW_KINDS && small.calls - small.from <= FEW_CALLS, "it is not small: {told}");
    let again = stage.make(small, false)?.failure.context("what is kept does not fail")?;
    ensure!(again.what.contains("exception 7 in the kernel"), "what is kept fails otherwise: {}", again.what);
    let without = sound.make(small, false)?.failure.map(|failure| failure.what);
    ensure!(without.is_none(), "it fails without the bug: {without:?}");
    Ok(removed?)
}

/// What all runs have in common.
struct Stage {
    image: PathBuf,
    symbols: Symbols,
    finish: u32,
    cases: PathBuf,
    /// A bug for the search to find.
    planted: Option<Injection>,
    /// Shows how far a run is.
    progress: Progress,
}

impl Stage {
    fn new(workspace: &Workspace, guest: &Guest) -> Result<Self> {
        let image = guest.write_image(workspace, Machine::Decstation, "random", &[PROGRAM.to_owned()])?;
        let symbols = guest.symbols(workspace, Machine::Decstation);
        let finish = symbols.of_kernel(FINISH).start;
        ensure!(finish != 0, "the kernel has no function {FINISH}");
        let cases = workspace.root.join(CASES);
        Ok(Self { image, symbols, finish, cases, planted: None, progress: Progress::new(true) })
    }

    /// The cases that failed once.
    fn kept(&self) -> Result<Vec<Case>> {
        let text = fs::read_to_string(&self.cases).with_context(|| format!("cannot read {CASES}"))?;
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        lines.map(|line| Case::parse(line).with_context(|| format!("{CASES}: {line:?}"))).collect()
    }

    /// Makes a run with audits.
    fn make(&self, case: Case, profile: bool) -> Result<Outcome> {
        let words = case.words();
        let job = self.job(&words);
        let mut run = Run::start(&job)?;
        if let Some(planted) = self.planted {
            run.inject(planted);
        }
        if profile {
            run.start_profile();
        }
        let mut console = Watching(Console::new(&self.symbols, |_| {}));
        let mut audits = 0;
        let mut good = run.fork();
        let (failure, end) = loop {
            let end = to_kernel(&mut run, INTERVAL, &mut console);
            let panic = console.0.panic().map(str::to_owned);
            if let Some(end) = end {
                break (panic, Some(end));
            }
            let found = panic.or_else(|| self.audit(&run));
            audits += 1;
            if found.is_some() {
                break (found, None);
            }
            good = run.fork();
            let millions = run.instructions() / 1_000_000;
            self.progress.say(&format!("{}: {millions} million instructions, {audits} audits", case.line()));
        };
        let executed = if profile { run.executed() } else { BTreeSet::new() };
        let at_end = run.instructions();
        let ended = end.map(|end| conclude(console.0, end, &job, &self.symbols));
        let mut line = String::from("it did not come to its end");
        let failure = match (failure, ended) {
            (Some(failure), _) => Some(failure),
            (None, None) => None,
            (None, Some(run)) => {
                let found = run.lines.iter().find(|line| line.starts_with(FOUND)).cloned();
                let said = run.lines.iter().find(|line| line.ends_with(GOOD));
                line = said.cloned().unwrap_or(line);
                let told = run.judge().err().map(|error| error.to_string());
                let lost = said.is_none().then(|| format!("{PROGRAM} did not say that {GOOD:?}: {}", tail(&run.lines)));
                found.or(told).or(lost)
            }
        };
        let failure = failure.map(|what| self.find(&good, at_end, what));
        Ok(Outcome { failure, line, audits, instructions: at_end, executed })
    }

    /// Looks for the call, between a run that is good and where it is known to be bad.
    fn find(&self, good: &Run, bad: u64, what: String) -> Failure {
        let (mut low, mut high) = (0, bad.saturating_sub(good.instructions()));
        let mut before = good.fork();
        // A call is a few instructions at least.
        while high - low > 8 {
            let middle = low + (high - low) / 2;
            let mut run = good.fork();
            let mut console = Watching(Console::new(&self.symbols, |_| {}));
            let end = to_kernel(&mut run, middle, &mut console);
            let at = run.instructions() - good.instructions();
            if end.is_some() || console.0.panic().is_some() || self.audit(&run).is_some() {
                high = middle;
            } else {
                low = at.max(middle);
                before = run;
            }
        }
        let arguments: Vec<_> = (4..8).map(|number| format!("{:#x}", before.register(number))).collect();
        let number = before.register(2);
        let known = ALL.iter().find(|(_, known)| *known == number & NUMBER_MASK && (number != 0) == (*known != 0));
        let name = known.map_or(format!("{number:#x}"), |(name, _)| (*name).to_owned());
        let culprit = format!(
            "about {name}({}), $v1 = {:#x}, at {:#010x}",
            arguments.join(", "),
            before.register(3),
            before.pc()
        );
        Failure { what, culprit }
    }

    /// What the audit finds in a run that is at a vector's first instruction.
    fn audit(&self, run: &Run) -> Option<String> {
        /// More instructions than the kernel needs to its end.
        const MOST: u64 = 40_000_000;
        let mut copy = run.fork();
        copy.set_pc(self.finish);
        let mut console = Watching(Console::new(&self.symbols, |_| {}));
        let end = copy.go_on(MOST, &mut console);
        console.0.finish();
        if let Some(found) = console.0.lines.iter().find(|line| line.contains(FOUND)) {
            return Some(found.clone());
        }
        if let Some(panic) = console.0.panic() {
            return Some(panic.to_owned());
        }
        match end {
            Some(End::Stopped) if console.0.verdict.is_some() => None,
            Some(End::Broken(what)) => Some(what),
            _ => Some(format!("the audit did not come to its end: {}", tail(&console.0.lines))),
        }
    }

    /// Makes a case that fails smaller, keeps it, and says what it is.
    fn shrink(&self, case: Case, failure: Failure) -> Result<String> {
        let (small, last) = smallest(case, failure, |case| self.make(case, false).map(|outcome| outcome.failure))?;
        let line = small.line();
        if !self.kept()?.contains(&small) {
            let mut text = fs::read_to_string(&self.cases)?;
            text.push_str(&format!("{line}\n"));
            fs::write(&self.cases, text).with_context(|| format!("cannot write {CASES}"))?;
        }
        let Failure { what, culprit } = last;
        Ok(format!("{what}; {culprit}; the smallest run that fails is kept in {CASES}: {line}"))
    }

    fn job<'a>(&'a self, words: &'a str) -> Job<'a> {
        let job = Job::new(&self.image, words, Duration::from_secs(100_000));
        let job = Job { instant_console: true, memory: Some(MEMORY), ..job };
        latency::watched(Machine::Decstation, &job, &self.symbols)
    }
}

/// The smallest case that is found to fail, and how: fewer calls, then fewer kinds of them, then none at the beginning.
/// What stands in the way at one time may not at another, so all is tried until nothing helps.
fn smallest<F>(case: Case, failure: F, mut fails: impl FnMut(Case) -> Result<Option<F>>) -> Result<(Case, F)> {
    let (mut small, mut last) = (case, failure);
    loop {
        let before = small;
        let mut step = small.calls / 2;
        while step > 0 {
            let calls = small.calls - step.min(small.calls - 1);
            let fewer = Case { calls, from: small.from.min(calls), ..small };
            match fails(fewer)? {
                Some(failure) if fewer != small => (small, last) = (fewer, failure),
                _ => step /= 2,
            }
        }
        for kind in 0..KINDS {
            let fewer = Case { without: small.without | 1 << kind, ..small };
            if fewer != small
                && let Some(failure) = fails(fewer)?
            {
                (small, last) = (fewer, failure);
            }
        }
        let mut step = small.calls / 2;
        while step > 0 {
            let later = Case { from: (small.from + step).min(small.calls), ..small };
            match fails(later)? {
                Some(failure) if later != small => (small, last) = (later, failure),
                _ => step /= 2,
            }
        }
        if small == before {
            return Ok((small, last));
        }
    }
}

impl Case {
    fn words(self) -> String {
        format!("{PROGRAM},{}", self.line())
    }

    fn line(self) -> String {
        let Self { seed, calls, from, without } = self;
        let (low, high) = (without as u32, without >> 32);
        format!("seed={seed},calls={calls},from={from},without={low},without2={high}")
    }

    fn parse(line: &str) -> Result<Self> {
        let mut values = [0_u32; 5];
        let mut words = line.split(',');
        for (value, name) in values.iter_mut().zip(["seed", "calls", "from", "without", "without2"]) {
            let word = words.next().and_then(|word| word.strip_prefix(name)?.strip_prefix('='));
            *value = word.with_context(|| format!("{name}= is missing"))?.parse()?;
        }
        ensure!(words.next().is_none(), "there is more behind it");
        let [seed, calls, from, low, high] = values;
        Ok(Self { seed, calls, from, without: u64::from(high) << 32 | u64::from(low) })
    }
}

/// Goes on for so many instructions, and from there to where a program has just entered the kernel.
fn to_kernel(run: &mut Run, instructions: u64, observer: &mut dyn Observer) -> Option<End> {
    if let Some(end) = run.go_on(instructions, observer) {
        return Some(end);
    }
    while !run.in_user_mode() {
        if let Some(end) = run.go_on(1, observer) {
            return Some(end);
        }
    }
    while run.in_user_mode() {
        if let Some(end) = run.go_on(1, observer) {
            return Some(end);
        }
    }
    None
}

fn tail(lines: &[String]) -> String {
    lines[lines.len().saturating_sub(3)..].join("; ")
}

struct Watching<'a>(Console<'a>);

impl Observer for Watching<'_> {
    fn console(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        self.0.take(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a made-up run does at a step: one of the kinds, drawn from the seed.
    fn kind(case: Case, step: u32) -> u32 {
        let mut word = case.seed ^ step.wrapping_mul(0x9e37_79b9);
        for _ in 0..3 {
            word = (word ^ word >> 15).wrapping_mul(0x2c1b_3c6d);
        }
        (word >> 8) % KINDS
    }

    /// Made-up runs fail if some step of kind 7 is followed, within 100, by one of kind 40.
    #[test]
    fn two_calls_among_thousands_are_found() {
        let fails = |case: Case| {
            let kinds: Vec<_> = (case.from..case.calls).map(|step| (step, kind(case, step))).collect();
            let made = |wanted: u32| case.without >> wanted & 1 == 0;
            let first = kinds.iter().filter(|(_, kind)| *kind == 7 && made(7));
            let found = first.copied().find_map(|(step, _)| {
                let later = kinds.iter().filter(|&&(at, _)| at > step && at - step <= 100);
                later.copied().find(|&(_, kind)| kind == 40 && made(40)).map(|(at, _)| (step, at))
            });
            Ok(found)
        };
        for seed in 0..20 {
            let case = Case { seed, calls: 5000, from: 0, without: 0 };
            let first = fails(case).unwrap().expect("it is often enough");
            let (small, (step, at)) = smallest(case, first, fails).unwrap();
            // Just the two, and what lies between; and of the kinds no other.
            assert_eq!((small.from, small.calls), (step, at + 1), "seed {seed}");
            assert_eq!(small.without, !(1 << 7 | 1 << 40) & ((1 << KINDS) - 1), "seed {seed}");
            assert!(small.calls - small.from <= 101);
        }
    }

    #[test]
    fn what_can_not_be_made_smaller_stays() {
        let case = Case { seed: 3, calls: 1, from: 0, without: (1 << KINDS) - 1 };
        assert_eq!(smallest(case, "always", |_| Ok(Some("always"))).unwrap().0, case);
        assert_eq!(smallest(case, "once", |_| Ok(None)).unwrap(), (case, "once"));
        let whole = Case { calls: 64, without: 0, ..case };
        let (small, _) = smallest(whole, (), |_| Ok(Some(()))).unwrap();
        assert_eq!((small.calls, small.without), (1, (1 << KINDS) - 1));
        assert!(smallest(whole, (), |_| bail!("it can't be run")).is_err());
    }

    #[test]
    fn a_case_is_a_line() {
        let case = Case { seed: 7, calls: 100, from: 3, without: 1 << 33 | 5 };
        assert_eq!(case.line(), "seed=7,calls=100,from=3,without=5,without2=2");
        assert_eq!(Case::parse(&case.line()).unwrap(), case);
        assert!(case.words().len() <= 128, "the loader takes no more");
        for wrong in
            ["", "seed=7", "seed=x,calls=1,from=0,without=0,without2=0", "seed=1,calls=1,from=0,without=0,without2=0,x"]
        {
            assert!(Case::parse(wrong).is_err(), "{wrong}");
        }
    }
}
