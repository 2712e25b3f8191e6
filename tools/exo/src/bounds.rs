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
use crate::handler_times::Handlers;
use crate::latency::{self, BOUND, CLOCK};
use crate::machine::{Job, Machine, Network, Observer, Step, Watch};
use crate::run::conclude;
use crate::setup::{Need, ensure_all};
use crate::test::{Bench, timed};
use crate::workspace::Workspace;

/// The programs, and what each says when it has done all.
const PROGRAMS: [(&str, &str); 4] = [
    ("bounds_calls", "bounds_calls: all done"),
    ("bounds_network", "bounds_network: all done"),
    ("bounds_handlers", "bounds_handlers: all done"),
    ("hostile_random,seed=3,calls=6000", "; nothing was lost"),
];
/// Those of them that have a network, and handlers.
const NETWORK: &str = "bounds_network";
const HANDLERS: &str = "bounds_handlers";
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
    vec![timed("model::bounds", move || {
        let measured = measure(&bench.workspace, &bench.guest);
        measured.and_then(|longest| compare(&bench.workspace, &longest)).map_err(|error| format!("{error:#}").into())
    })]
}

fn measure(workspace: &Workspace, guest: &Guest) -> Result<Longest> {
    let mut watching = Longest::new();
    for (words, line) in PROGRAMS {
        let name = build::program_name(words);
        let image =
            guest.write_image(workspace, Machine::Decstation, &format!("bounds-{name}"), &[words.to_owned()])?;
        let symbols = guest.symbols(workspace, Machine::Decstation);
        let job = Job::new(&image, words, Duration::from_secs(3600));
        let network = [NETWORK, HANDLERS].contains(&name).then(|| Network { peer: true, ..Network::default() });
        let job = Job { clock: CLOCK, cold: true, instant_console: true, network, ..job };
        let mut job = latency::watched(Machine::Decstation, &job, &symbols);
        let handlers = (name == HANDLERS).then(|| Handlers::new(&symbols));
        if let Some(handlers) = &handlers {
            (job.chilled, job.watch) = (handlers.chilled(), Watch::Instructions);
        }
        let console = Console::new(&symbols, |_| {});
        let mut watch = Watching { console, longest: std::mem::take(&mut watching), handlers };
        let end = Machine::Decstation.run(&job, &mut watch)?;
        let handlers = watch.handlers;
        watching = watch.longest;
        let run = conclude(watch.console, end, &job, &symbols);
        run.judge()?;
        ensure!(run.lines.iter().any(|said| said.ends_with(line)), "{name} did not come to its end");
        if let Some(handlers) = handlers {
            watching.extend(handlers.check()?.into_iter().map(|(name, cycles)| (name.to_owned(), cycles)));
        }
    }
    Ok(watching)
}

/// The table as it stands in the tree.
fn table(longest: &Longest) -> String {
    let clock = CLOCK.name();
    let mut text = format!(
        "# The most cycles ({clock}, both caches empty at the entry) that each way into the kernel took until a program ran again,\n\
         # as `cargo exo bounds` measured; --update writes this file. The bound is {BOUND}. A program whose next instruction is in a page\n\
         # that is missed has not run yet: so the shortest calls may have a miss with them.\n"
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
    longest: Longest,
    handlers: Option<Handlers>,
}

impl Observer for Watching<'_> {
    fn console(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        let said = self.console.lines.len();
        let flow = self.console.take(bytes);
        if let Some(handlers) = &mut self.handlers {
            self.console.lines[said..].iter().for_each(|line| handlers.line(line));
        }
        flow
    }

    fn instruction(&mut self, step: Step) {
        if let Some(handlers) = &mut self.handlers {
            handlers.instruction(&step);
        }
    }

    fn stretch(&mut self, stretch: Stretch) {
        if let Some(handlers) = &mut self.handlers {
            handlers.stretch(&stretch);
        }
        let longest = self.longest.entry(name(stretch.began)).or_default();
        *longest = stretch.cycles.max(*longest);
    }
}
