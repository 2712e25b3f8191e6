//! `bounds`: how long each call and each exception keeps the kernel at most, measured with cold caches, and the table
//! of it in the tree, which a test compares.
//!
//! Before each entry to the kernel the model empties both caches, so a path takes as long as it can on this machine.
//! What a call finds is the programs' part: `bounds_calls` brings about the worst for each, and `hostile_random` what
//! nobody thought of.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use aegis_abi::call::{ALL, NUMBER_MASK};
use aegis_abi::exception::Code;
use anyhow::{Context, Result, ensure};
use decstation::{Began, Stretch};
use libtest_mimic::Trial;

use crate::build::{self, Guest};
use crate::console::Console;
use crate::latency::{self, BOUND, CLOCK};
use crate::machine::{Job, Machine, Observer};
use crate::run::conclude;
use crate::setup::{Need, ensure_all};
use crate::test::Bench;
use crate::workspace::Workspace;

/// The programs, and what each says when it has done all.
const PROGRAMS: [(&str, &str); 2] =
    [("bounds_calls", "bounds_calls: all done"), ("hostile_random,seed=3,calls=6000", "; nothing was lost")];
/// The table, below the workspace's root.
const TABLE: &str = "tests/bounds.toml";
/// How much longer than in the table a path may be before the test fails: the compiler's moods.
const SLACK: u64 = 10;

/// What `bounds` is asked for.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Write what was measured into the table
    #[arg(long)]
    update: bool,
}

/// The longest path of each kind, in cycles.
type Longest = BTreeMap<String, u64>;

/// Measures, shows, and writes if asked.
pub fn run(workspace: &Workspace, arguments: &Arguments, quiet: bool) -> Result<()> {
    ensure_all(workspace, &[Need::Compiler])?;
    let names: Vec<_> = PROGRAMS.iter().map(|(words, _)| build::program_name(words)).collect();
    let guest = build::build_programs(workspace, &[Machine::Decstation], &names, quiet)?;
    let longest = measure(workspace, &guest)?;
    let table = table(&longest);
    print!("{table}");
    if arguments.update {
        fs::write(workspace.root.join(TABLE), table).with_context(|| format!("cannot write {TABLE}"))?;
    }
    compare(workspace, &longest)
}

/// The test.
pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let bench = Arc::clone(bench);
    vec![Trial::test("model::bounds", move || {
        let measured = measure(&bench.workspace, &bench.guest);
        measured.and_then(|longest| compare(&bench.workspace, &longest)).map_err(|error| format!("{error:#}").into())
    })]
}

fn measure(workspace: &Workspace, guest: &Guest) -> Result<Longest> {
    let mut watching = BTreeMap::new();
    for (words, line) in PROGRAMS {
        let name = build::program_name(words);
        let image =
            guest.write_image(workspace, Machine::Decstation, &format!("bounds-{name}"), &[words.to_owned()])?;
        let symbols = guest.symbols(workspace, Machine::Decstation);
        let job = Job::new(&image, words, Duration::from_secs(3600));
        let job = Job { clock: CLOCK, cold: true, instant_console: true, ..job };
        let mut watch = Watching { console: Console::new(&symbols, |_| {}), longest: &mut watching };
        let end = Machine::Decstation.run(&latency::watched(Machine::Decstation, &job, &symbols), &mut watch)?;
        let run = conclude(watch.console, end, &job, &symbols);
        run.judge()?;
        ensure!(run.lines.iter().any(|said| said.ends_with(line)), "{name} did not come to its end");
    }
    Ok(watching)
}

/// The table as it stands in the tree.
fn table(longest: &Longest) -> String {
    let clock = CLOCK.name();
    let mut text = format!(
        "# The most cycles ({clock}, both caches empty at the entry) that each way into the kernel took until a program ran again,\n\
         # as `cargo exo bounds` measured; --update writes this file. The bound is {BOUND}.\n"
    );
    for (name, cycles) in longest {
        let _ = writeln!(text, "{name} = {cycles}");
    }
    text
}

/// Fails if a path is longer than the bound or than the table says.
fn compare(workspace: &Workspace, longest: &Longest) -> Result<()> {
    let text = fs::read_to_string(workspace.root.join(TABLE)).with_context(|| format!("cannot read {TABLE}"))?;
    let known: Longest = toml::from_str(&text).with_context(|| TABLE.to_owned())?;
    let missing: Vec<_> = ALL.iter().map(|(name, _)| *name).filter(|&name| !longest.contains_key(name)).collect();
    ensure!(missing.is_empty(), "not measured: {}", missing.join(", "));
    let mut wrong = Vec::new();
    for (name, &cycles) in longest {
        let before = known.get(name).copied();
        if cycles > BOUND {
            wrong.push(format!("{name} took {cycles} cycles; the bound is {BOUND}"));
        } else if before.is_none_or(|before| cycles > before + before / SLACK + 100) {
            let before = before.map_or("nothing".to_owned(), |before| before.to_string());
            wrong.push(format!("{name} took {cycles} cycles; {TABLE} says {before}"));
        }
    }
    ensure!(wrong.is_empty(), "{}; `cargo exo bounds --update` writes the table", wrong.join("; "));
    Ok(())
}

/// What a path is called in the table.
fn name(began: Began) -> String {
    match began {
        Began::Call(number) => {
            let known = ALL.iter().find(|(_, known)| *known == number & NUMBER_MASK && (number != 0) == (*known != 0));
            known.map_or("no_such_call".to_owned(), |(name, _)| (*name).to_owned())
        }
        Began::Exception(decstation::Exception::Int) => "interrupt".to_owned(),
        Began::Exception(code) => {
            let code = code as u32;
            Code::handled(code).map_or(format!("exception_{code}"), |code| format!("exception_{code:?}").to_lowercase())
        }
        Began::Poll => "idle".to_owned(),
    }
}

struct Watching<'a> {
    console: Console<'a>,
    longest: &'a mut Longest,
}

impl Observer for Watching<'_> {
    fn console(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        self.console.take(bytes)
    }

    fn stretch(&mut self, stretch: Stretch) {
        let longest = self.longest.entry(name(stretch.began)).or_default();
        *longest = stretch.cycles.max(*longest);
    }
}
