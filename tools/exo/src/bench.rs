//! `bench`: runs the benchmark programs, counts their marked operations and sets the counts beside the paper's numbers.
//!
//! Counting needs no clock and no luck: every instruction of the run is seen, so counts repeat exactly. Times come from loops,
//! as the paper's do, and only from a machine with a clock: they are a model's, whatever the host does.
//!
//! A table is one program in `bench/src/bin`, which says itself what it measures, and the paper's numbers in `paper.toml`.

pub mod counts;
mod finished;
mod guesses;
mod layouts;
pub mod measure;
pub mod trials;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};

use self::counts::Counts;
use self::finished::Finished;
use self::measure::{Outcome, job, measure};
use crate::bootable::{Bootable, Images, booted};
use crate::build;
use crate::figure::Series;
use crate::latency::Longest;
use crate::linux::Linux;
use crate::machine::{Clock, Machine};
use crate::paper::Paper;
use crate::process::{command, output};
use crate::progress::Progress;
use crate::release::Release;
use crate::report::{self, Line, Report, Row, SCHEMA, html, terminal};
use crate::setup::{Need, ensure_all};
use crate::workspace::Workspace;

/// What `bench` is asked for.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The paper's tables to measure, as in `4` or `table4`, or benchmark programs; all by default, in a crate of its own that crate's
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,
    /// The machine to measure on
    #[arg(long, value_enum, default_value_t = Machine::ALL[0])]
    machine: Machine,
    /// Have the other machines count instructions, too, as far as they can
    #[arg(long, conflicts_with_all = ["machine", "images"])]
    all_machines: bool,
    /// The clock to measure time on, if the machine has one; by default each of the paper's three
    #[arg(long, value_enum)]
    clock: Option<Clock>,
    /// Instead of the tables show how far the cycles move with each guessed parameter of the model, on one clock
    #[arg(long, conflicts_with_all = ["json", "html", "all_machines"])]
    guesses: bool,
    /// Instead of the tables show how far times move when each program's functions are linked in N orders of chance, on one clock
    #[arg(long, value_name = "N", conflicts_with_all = ["json", "html", "all_machines", "machine", "images", "guesses", "update"],
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    layouts: Option<u32>,
    /// Also write the results to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also write the report as a page with plots to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Measure nothing: show the results in a file that --json wrote
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tables", "machine", "all_machines", "clock", "guesses", "images", "again", "update"])]
    from: Option<PathBuf>,
    /// Run the images in this directory, which `build --release-images` made, and build nothing
    #[arg(long, value_name = "DIRECTORY")]
    images: Option<PathBuf>,
    /// Measure again what was measured before and has not changed
    #[arg(long)]
    again: bool,
    /// Write what is counted to bench/counts.toml, and the results in README.md that follow from it
    #[arg(long, conflicts_with_all = ["tables", "machine", "all_machines", "clock", "guesses", "images"])]
    update: bool,
    /// Time after which a program is ended, in seconds: simulated on a machine with a clock, else by the wall
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

/// Measures, prints tables, and writes the files that are asked for.
pub fn run(workspace: &Workspace, arguments: &Arguments, quiet: bool) -> Result<()> {
    let paper = Paper::read()?;
    let report = match &arguments.from {
        Some(file) => read(file)?,
        None => match measure_all(workspace, arguments, &paper, quiet)? {
            Some(report) => report,
            None => return Ok(()),
        },
    };
    terminal::print(&report, &paper);
    if let Some(file) = &arguments.json {
        write(file, &(serde_json::to_string_pretty(&report)? + "\n"))?;
    }
    if let Some(file) = &arguments.html {
        write(file, &html::page(&report, &paper, workspace)?)?;
    }
    Ok(())
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn read(file: &Path) -> Result<Report> {
    let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let report: Report =
        serde_json::from_slice(&text).with_context(|| format!("{} holds no results", file.display()))?;
    let schema = report.schema;
    ensure!(schema == SCHEMA, "{} has the form {schema}, and this command knows {SCHEMA}", file.display());
    Ok(report)
}

/// Measures what was asked for; no report if it was not for one.
fn measure_all(workspace: &Workspace, arguments: &Arguments, paper: &Paper, quiet: bool) -> Result<Option<Report>> {
    let machine = arguments.machine;
    ensure!(!arguments.update || workspace.project.is_none(), "--update is for the tree's own benchmarks");
    let witnesses: &[Machine] = match (arguments.all_machines, arguments.update) {
        (true, _) => &[Machine::Gxemul, Machine::Malta],
        (_, true) => &[Machine::Malta],
        _ => &[],
    };
    let machines: Vec<_> = [machine].into_iter().chain(witnesses.iter().copied()).collect();
    let clocks = match (machine.has_clock(), arguments.clock) {
        (false, Some(clock)) => bail!("{machine} has no clock, so it can't have that of a {}", clock.name()),
        (false, None) => Vec::new(),
        (true, Some(clock)) => vec![clock],
        (true, None) => Clock::PAPER.to_vec(),
    };
    let images = images(workspace, arguments, &machines, quiet)?;
    let programs = choose(&images, &arguments.tables, machine)?;
    let timeout = Duration::from_secs(arguments.timeout);
    if arguments.guesses {
        ensure!(machine.has_clock(), "{machine} has no parameters to guess");
        let clock = arguments.clock.unwrap_or(Clock::Dec5000);
        guesses::show(workspace, &images, &programs, clock, timeout)?;
        return Ok(None);
    }

    if let Some(count) = arguments.layouts {
        let clock = arguments.clock.unwrap_or(Clock::Dec5000);
        layouts::show(workspace, &programs, clock, count, timeout, quiet)?;
        return Ok(None);
    }

    let mut runs = Vec::new();
    for program in &programs {
        let of_machine = |machine: &Machine| *machine == arguments.machine || is_counted(program, *machine);
        for &machine in machines.iter().filter(|machine| of_machine(machine)) {
            let mut clocks = if machine.has_clock() { clocks.clone() } else { vec![Clock::Dec5000_200] };
            if machine.has_clock() && arguments.clock.is_none() && OF_FILTERS.contains(&program.as_str()) {
                clocks.insert(0, Clock::Dec5000_200);
            }
            // Of what is not time, the fastest clock's is shown: the fewest ticks fall into it.
            runs.extend(clocks.into_iter().rev().map(|clock| Run { program, machine, clock }));
        }
    }
    let finished = Finished::open(workspace, arguments.again)?;
    let outcomes = measure_runs(workspace, &images, &runs, &finished, timeout, quiet)?;
    if arguments.update {
        Counts::of(images.toolchain(), &outcomes).write(workspace, paper)?;
    }

    let mut report = Report {
        schema: SCHEMA,
        commit: commit(workspace, &images),
        toolchain: images.toolchain().to_owned(),
        machine: machine.name().to_owned(),
        machine_version: machine.version()?,
        clocks: clocks.iter().map(|clock| clock.name().to_owned()).collect(),
        witnesses: BTreeMap::new(),
        linux: Linux::read()?.versions,
        longest: None,
        results: Vec::new(),
    };
    for &witness in witnesses {
        report.witnesses.insert(witness.name().to_owned(), witness.version()?);
    }
    assemble(&mut report, outcomes, machine, paper, &Linux::read()?);
    Ok(Some(report))
}

/// The images to run: those of a directory, or of what has to be built first.
fn images(workspace: &Workspace, arguments: &Arguments, machines: &[Machine], quiet: bool) -> Result<Images> {
    let needs: Vec<_> = machines.iter().copied().map(Need::Machine).collect();
    if let Some(directory) = &arguments.images {
        ensure_all(workspace, &needs)?;
        let release = Release::open(directory)?;
        release.check_machine(arguments.machine)?;
        return Ok(Images::Released(release));
    }
    ensure_all(workspace, &[&[Need::Compiler], &needs[..]].concat())?;
    let mut names: Vec<_> = arguments.tables.iter().map(|table| program_of(workspace, table)).collect();
    if names.is_empty() {
        names = build::benchmarks(workspace)?;
    }
    let names = with_companions(workspace, names)?;
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    Ok(Images::Tree(Box::new(build::build_programs(workspace, machines, &names, quiet)?)))
}

/// Benchmark programs, and what stands in their images beside them.
pub fn with_companions(workspace: &Workspace, mut names: Vec<String>) -> Result<Vec<String>> {
    for name in names.clone() {
        if let Some(source) = build::source_of(workspace, &name) {
            let test = booted(&name, &source)?;
            names.extend(test.run.iter().map(|word| build::program_name(word).to_owned()));
            names.extend(test.archive.into_iter().filter(|name| build::source_of(workspace, name).is_some()));
        }
    }
    Ok(names)
}

/// The program that measures a table: it has the table's name, or its number behind `table`.
fn program_of(workspace: &Workspace, table: &str) -> String {
    let has_number = build::source_of(workspace, table).is_none();
    if has_number { format!("table{table}") } else { table.to_owned() }
}

/// The benchmark programs for these tables; all that the machine counts if none are named.
fn choose(images: &Images, tables: &[String], machine: Machine) -> Result<Vec<String>> {
    let all = images.benchmarks();
    if tables.is_empty() {
        return Ok(all.into_iter().filter(|program| is_counted(program, machine)).collect());
    }
    let find = |table: &String| {
        let found = all.iter().find(|program| *program == table || **program == format!("table{table}"));
        let program = found.with_context(|| format!("nothing measures {table:?}; there are {}", all.join(" ")))?;
        match cannot_count(program, machine) {
            Some(why) => bail!("{program} can't be counted on {machine}: {why}"),
            None => Ok(program.clone()),
        }
    };
    tables.iter().map(find).collect()
}

/// A boot to be measured.
#[derive(Clone, Copy)]
struct Run<'a> {
    program: &'a str,
    machine: Machine,
    clock: Clock,
}

/// What the boots of a program on a machine gave.
pub type Outcomes = BTreeMap<(String, &'static str), Outcome>;

/// Makes all runs, as many at a time as there are processors.
fn measure_runs(
    workspace: &Workspace,
    images: &Images,
    runs: &[Run],
    finished: &Finished,
    timeout: Duration,
    quiet: bool,
) -> Result<Outcomes> {
    let begun = Instant::now();
    let progress = Progress::new(quiet);
    let next = AtomicUsize::new(0);
    let kept = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<Result<Outcome>>>> = Mutex::new(runs.iter().map(|_| None).collect());
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(Run { program, machine, clock }) = runs.get(number).copied() else { return };
            let on = if machine.has_clock() { format!(" as a {}", clock.name()) } else { String::new() };
            progress.say(&format!("{} of {}: {program} on {machine}{on}", number + 1, runs.len()));
            let outcome = || -> Result<_> {
                let bootable: Bootable = images.benchmark(workspace, machine, program)?;
                let job = job(&bootable, clock, timeout);
                finished.or_measure(program, machine, &job, || measure(&bootable, machine, &job))
            };
            let outcome = outcome().map(|(outcome, was_kept)| {
                kept.fetch_add(usize::from(was_kept), Ordering::Relaxed);
                outcome
            });
            if outcome.is_err() {
                // What would come after it is not wanted any more.
                next.store(runs.len(), Ordering::Relaxed);
            }
            done.lock().expect("nobody panics")[number] = Some(outcome);
        }
    };
    thread::scope(|scope| {
        let others = thread::available_parallelism().map_or(0, |processors| processors.get() - 1);
        (0..others).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    progress.done();

    let mut outcomes = Outcomes::new();
    let mut failed = None;
    for (run, outcome) in runs.iter().zip(done.into_inner().expect("nobody panics")) {
        let name = (run.program.to_owned(), run.machine.name());
        match outcome {
            None => {}
            Some(Err(error)) => failed = failed.or(Some(error)),
            Some(Ok(outcome)) => match outcomes.get_mut(&name) {
                None => drop(outcomes.insert(name, outcome)),
                Some(former) => {
                    let same = former.join(outcome, STRICT.contains(&run.program));
                    same.with_context(|| run.program.to_owned())?;
                }
            },
        }
    }
    let kept = kept.into_inner();
    if let Some(error) = failed {
        return Err(anyhow!("{error:#}; what was measured is kept, and `cargo exo bench` goes on from there"));
    }
    if kept > 0 {
        eprintln!(
            "exo: {kept} of {} boots were measured before and not again (--again does); images and command are the same",
            runs.len()
        );
    } else if !quiet {
        eprintln!("exo: {} boots measured in {:.0} s", runs.len(), begun.elapsed().as_secs_f64());
    }
    Ok(outcomes)
}

/// Puts rows and series of the outcomes into the report.
fn assemble(report: &mut Report, outcomes: Outcomes, machine: Machine, paper: &Paper, linux: &Linux) {
    let mut rows = Vec::new();
    let mut figures: Vec<Series> = Vec::new();
    let mut longest = None;
    let mut counted = BTreeMap::new();
    for ((_, on), outcome) in outcomes {
        if on != machine.name() {
            for measured in outcome.measured {
                let description = measured.description;
                let key = (description.table, description.op, description.system);
                counted.entry(key).or_insert_with(Vec::new).push((on, measured.summary.median));
            }
            continue;
        }
        rows.extend(outcome.measured.iter().map(|measured| Row::new(measured, paper)));
        figures.extend(outcome.series);
        longest = Longest::longer(longest, outcome.longest);
    }
    for row in &mut rows {
        let key = (row.table.clone(), row.op.clone(), row.system.clone());
        for (on, count) in counted.remove(&key).into_iter().flatten() {
            row.witnesses.insert(on.to_owned(), count as f64);
        }
    }
    let mut rows: Vec<_> = rows.into_iter().map(|row| row.against(linux, machine)).collect();
    let tables: BTreeSet<_> = rows.iter().map(|row| row.table.clone()).collect();
    let of_linux = linux.ops.iter().filter(|op| tables.contains(&op.table));
    rows.extend(of_linux.filter_map(|op| Row::of_linux(op, paper, machine)));
    report::sort(&mut rows, paper);
    figures.sort_by(|one, other| one.table.cmp(&other.table));
    report.longest = longest.map(|longest| longest.to_string());
    report.results = rows.into_iter().map(|row| Line::Row(Box::new(row))).collect();
    report.results.extend(figures.into_iter().map(Line::Series));
}

/// The commit that was measured; marked if the tree differs from it.
fn commit(workspace: &Workspace, images: &Images) -> Option<String> {
    match images {
        Images::Tree(_) => tree_commit(workspace),
        Images::Released(release) => release.commit(),
    }
}

/// The tree's commit; marked if the tree differs from it.
pub fn tree_commit(workspace: &Workspace) -> Option<String> {
    let git = |arguments: &[&str]| output(command("git").current_dir(&workspace.root).args(arguments)).ok();
    let commit = git(&["rev-parse", "--verify", "HEAD"])?.trim().to_owned();
    let changes = git(&["status", "--porcelain"])?;
    Some(if changes.trim().is_empty() { commit } else { format!("{commit}-dirty") })
}

/// Programs whose counts depend on how fast the machine is. What they show is counted on the first clock, and compared with
/// nothing.
///
/// - `collector`: a round is about as long as a time slice, so one more or one less of the ticks falls into it, of some 1,230
///   instructions each; and its 39 pages and the kernel's tables are more than the TLB holds, in which a miss replaces the
///   entry that the cycle count says.
/// - `processes`: of 50 forks hardly two are alike, for ticks, and `init`, which they wake now and then, fall into each.
/// - `store`: a round is a dozen slices long, and walks 60 frames through a TLB of 64 entries: likewise.
const UNSTEADY: [&str; 3] = ["collector", "processes", "store"];

/// Programs for which the paper has times of a DECstation 5000/200.
const OF_FILTERS: [&str; 1] = ["table7"];

/// Programs that are counted on GXemul: those whose operations are short, since it writes a line for each instruction. Its clock
/// is the host's, so meanwhile a time slice has only some thousand instructions, on a busy host fewer. An operation of
/// hundreds, as those of `codegen`, has a tick in it more often than not, so that the median is of no use, though the
/// least is the model's where any was spared; and a program whose way out of its slice takes longer than the slices that are left
/// is ended by the kernel for keeping the processor.
const ON_GXEMUL: [&str; 4] = ["miss", "stlb", "table4", "table5"];
/// Programs that execute the same at any speed, but for a percent: in them the kernel walks no table whose entries chance fills.
const STRICT: [&str; 7] = ["codegen", "colour", "miss", "stlb", "table4", "table5", "table6"];

/// Why a machine cannot count a program at all, also if it is asked for.
fn cannot_count(program: &str, machine: Machine) -> Option<&'static str> {
    match (machine, program) {
        (Machine::Gxemul, "collector" | "processes" | "store") => Some(
            "its clock is the host's, and while it writes each instruction down time slices are so short that most of what \
             is executed are their ends, or the kernel ends the program; malta and the model count it",
        ),
        (Machine::Malta, "ash") => Some("it is ended there for keeping the processor past the end of its slice"),
        (Machine::Gxemul | Machine::Malta, "table11" | "figure2") => {
            Some("only one machine can be connected to another, and it needs two")
        }
        _ => None,
    }
}

/// Whether a benchmark program is counted on a machine.
fn is_counted(program: &str, machine: Machine) -> bool {
    match machine {
        Machine::Decstation => true,
        Machine::Malta => cannot_count(program, machine).is_none(),
        Machine::Gxemul => ON_GXEMUL.contains(&program),
    }
}
