//! `bench`: runs the benchmark programs, counts their marked operations and sets the counts beside the paper's numbers.
//!
//! Counting needs no clock and no luck: every instruction of the run is seen, so counts repeat exactly. Times come from loops,
//! as the paper's do, and only from a machine with a clock: they are a model's, whatever the host does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use comfy_table::{CellAlignment, Table, presets};
use libtest_mimic::{Failed, Trial};
use serde::Serialize;

use crate::build::{self, Board, Guest, Kind};
use crate::console::Verdict;
use crate::count::{Description, Loop, Summary, Watching, Window};
use crate::directives::Test;
use crate::figure::{self, Series};
use crate::latency::{self, Longest};
use crate::machine::{Clock, Job, Machine, Watch};
use crate::paper::{Paper, REFERENCE, UNIX};
use crate::process::{command, output};
use crate::progress::Progress;
use crate::run::conclude;
use crate::setup::{Need, ensure_all};
use crate::test::Bench;
use crate::workspace::Workspace;

/// What `bench` is asked for.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The paper's tables to measure, as in `4` or `table4`; all by default
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,
    /// The machine to measure on
    #[arg(long, value_enum, default_value_t = Machine::ALL[0])]
    machine: Machine,
    /// The clock to measure time on, if the machine has one; by default each of the paper's three
    #[arg(long, value_enum)]
    clock: Option<Clock>,
    /// Instead of the tables show how far the cycles move with each guessed parameter of the model, on one clock
    #[arg(long, conflicts_with = "json")]
    guesses: bool,
    /// Also write the results to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Time after which a program is ended, in seconds: simulated on a machine with a clock, else by the wall
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

/// An operation that was measured.
#[derive(Clone, Debug)]
struct Measured {
    description: Description,
    summary: Summary,
    timed: Option<Timed>,
}

/// What a loop of an operation takes.
#[derive(Clone, Debug)]
struct Timed {
    repeats: Loop,
    /// Times that the loop was run.
    n: usize,
    /// Instructions a round: the operation, what prepares it, and the loop's own.
    instructions: f64,
    /// Cycles a round on each clock, the median of the runs; empty on a machine without a clock.
    cycles: BTreeMap<&'static str, f64>,
}

/// The file that `--json` writes.
#[derive(Serialize)]
struct Results<'a> {
    schema: u32,
    /// Absent if the tree has no commit yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    toolchain: &'a str,
    machine: &'static str,
    machine_version: String,
    results: Vec<Line<'a>>,
}

/// An operation of a table, or a series of a figure.
#[derive(Serialize)]
#[serde(untagged)]
enum Line<'a> {
    Row(Box<Row<'a>>),
    Series(&'a Series),
}

/// An operation of a table. A field that was not measured is absent.
#[derive(Serialize)]
struct Row<'a> {
    table: &'a str,
    op: &'a str,
    system: &'a str,
    n: usize,
    /// The median.
    instructions: f64,
    instructions_min: u64,
    instructions_max: u64,
    /// How many of `n` differ from the median.
    disturbed: usize,
    /// Instructions a round of the loop that is timed.
    #[serde(skip_serializing_if = "Option::is_none")]
    loop_instructions: Option<f64>,
    /// Cycles and microseconds a round, on `clock`.
    #[serde(skip_serializing_if = "Option::is_none")]
    cycles: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<&'static str>,
    /// The same on each clock that was measured.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    clocks: BTreeMap<&'static str, OnClock>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paper_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paper_system: Option<&'a str>,
    /// The machine of the paper that `paper_us` is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    paper_machine: Option<&'static str>,
    how: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    loop_how: Option<&'a str>,
}

/// A round's time on a clock, beside the paper's.
#[derive(Serialize)]
struct OnClock {
    cycles: f64,
    us: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    paper_us: Option<f64>,
}

/// Measures, prints tables, and writes the file if one is asked for.
pub fn run(workspace: &Workspace, arguments: &Arguments, quiet: bool) -> Result<()> {
    let machine = arguments.machine;
    ensure_all(workspace, &[Need::Compiler, Need::Machine(machine)])?;
    let mut names: Vec<_> = arguments.tables.iter().map(|table| program_of(workspace, table)).collect();
    for name in names.clone() {
        if let Some((_, source)) = build::source_of(workspace, &name) {
            let test = booted(&name, &source)?;
            names.extend(test.run.iter().map(|word| build::program_name(word).to_owned()));
            names.extend(test.archive);
        }
    }
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let guest = build::build_programs(workspace, &[machine], &names, quiet)?;
    let programs = choose(&guest, &arguments.tables, machine)?;
    let paper = Paper::read()?;
    let clocks = match (machine.has_clock(), arguments.clock) {
        (false, Some(clock)) => bail!("{machine} has no clock, so it can't have that of a {}", clock.name()),
        (_, Some(clock)) => vec![clock],
        (_, None) => Clock::PAPER.to_vec(),
    };

    if arguments.guesses {
        ensure!(machine.has_clock(), "{machine} has no parameters to guess");
        let clock = arguments.clock.unwrap_or(Clock::Dec5000);
        return show_guesses(workspace, &guest, &programs, clock, Duration::from_secs(arguments.timeout));
    }

    let progress = Progress::new(quiet);
    let mut measured = Vec::new();
    let mut figures = Vec::new();
    let mut longest = None;
    for program in programs {
        progress.say(&format!("measuring {program} on {machine}"));
        let timeout = Duration::from_secs(arguments.timeout);
        let (of_program, series, path) = measure(workspace, &guest, machine, &clocks, &program, timeout)?;
        measured.extend(of_program);
        figures.extend(series);
        longest = Longest::longer(longest, path);
    }
    progress.done();

    measured.sort_by_cached_key(|one| {
        let Description { table, op, .. } = &one.description;
        let within = paper.table(table).map_or(0, |table| table.position(op));
        (paper.position(table), table.clone(), within, one.description.id)
    });
    for figure in figures.chunk_by(|one: &Series, other| one.table == other.table) {
        figure::print(figure, &paper);
    }
    print(&measured, &paper, machine, &clocks);
    if let Some(longest) = longest {
        println!("longest path in the kernel: {longest}");
    }
    if let Some(file) = &arguments.json {
        let results = Results {
            schema: 1,
            commit: commit(workspace),
            toolchain: &guest.toolchain.version,
            machine: machine.name(),
            machine_version: machine.version()?,
            results: measured
                .iter()
                .map(|one| Line::Row(Box::new(row(one, &paper))))
                .chain(figures.iter().map(Line::Series))
                .collect(),
        };
        let text = serde_json::to_string_pretty(&results)? + "\n";
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// The program that measures a table: it has the table's name, or its number behind `table`.
fn program_of(workspace: &Workspace, table: &str) -> String {
    let has_number = build::source_of(workspace, table).is_none();
    if has_number { format!("table{table}") } else { table.to_owned() }
}

/// The benchmark programs for these tables; all that the machine counts if none are named.
fn choose(guest: &Guest, tables: &[String], machine: Machine) -> Result<Vec<String>> {
    let all: Vec<_> = benchmarks(guest).collect();
    if tables.is_empty() {
        return Ok(all.into_iter().filter(|program| is_counted(program, machine)).collect());
    }
    let find = |table: &String| {
        let found = all.iter().find(|program| *program == table || **program == format!("table{table}"));
        found.cloned().with_context(|| format!("nothing measures {table:?}; there are {}", all.join(" ")))
    };
    tables.iter().map(find).collect()
}

fn benchmarks(guest: &Guest) -> impl Iterator<Item = String> {
    guest.programs.iter().filter(|(_, program)| program.kind == Kind::Benchmark).map(|(name, _)| name.clone())
}

/// Programs whose counts depend on how fast the machine is: on which entry of the TLB a miss replaces, or at what
/// instruction a tick comes. What they show is counted on the first clock, and compared with nothing.
const UNSTEADY: [&str; 4] = ["collector", "processes", "store", "threads"];

/// What a benchmark program is booted with: its source may have the directives `run` and `archive`, as a test's.
fn booted(program: &str, source: &Path) -> Result<Test> {
    let text = fs::read_to_string(source).with_context(|| format!("cannot read {}", source.display()))?;
    Test::parse(program, program, &text)?.with_context(|| format!("{program} is no benchmark"))
}

/// Boots a benchmark program, on each clock if the machine has one, and measures its operations; and on the last clock its
/// figures, and the kernel's longest path.
fn measure(
    workspace: &Workspace,
    guest: &Guest,
    machine: Machine,
    clocks: &[Clock],
    program: &str,
    timeout: Duration,
) -> Result<(Vec<Measured>, Vec<Series>, Option<Longest>)> {
    let clocks = if machine.has_clock() { clocks } else { &[Clock::Dec5000_200] };
    let test = booted(program, &guest.program(program)?.source)?;
    let files = guest.archive_files_with(workspace, machine, &test.run, &test.archive)?;
    let image = guest.write_image_of(workspace, machine, &format!("{machine}-bench-{program}"), &files)?;
    let words = build::boot_arguments(&test.run)?;
    let mut measured: Vec<Measured> = Vec::new();
    let mut series = Vec::new();
    let mut longest = None;
    for &clock in clocks {
        let job = Job { clock, watch: Watch::Marks, ..Job::new(&image, &words, timeout) };
        let here;
        (here, series, longest) = measure_once(workspace, guest, machine, &job)?;
        if measured.is_empty() {
            measured = here;
            continue;
        }
        // What is executed does not depend on how fast, but where much walks the TLB, in which misses replace entries at random.
        for (one, other) in measured.iter_mut().zip(here) {
            let (was, is) = (one.summary.median, other.summary.median);
            let op = &one.description.op;
            ensure!(
                was.abs_diff(is) <= was / 100 || !ON_MALTA.contains(&program),
                "{program}: {op} takes {was} instructions on one clock and {is} on another"
            );
            if let (Some(one), Some(other)) = (&mut one.timed, other.timed) {
                one.cycles.extend(other.cycles);
            }
        }
    }
    Ok((measured, series, longest))
}

/// Boots a benchmark program once.
fn measure_once(
    workspace: &Workspace,
    guest: &Guest,
    machine: Machine,
    job: &Job,
) -> Result<(Vec<Measured>, Vec<Series>, Option<Longest>)> {
    let program = job.arguments;
    let symbols = guest.symbols(workspace, machine);
    let mut watch = Watching::new(&symbols);
    let end = machine.run(&latency::watched(machine, job, &symbols), &mut watch)?;
    let run = conclude(watch.console, end, job, &symbols);
    let again = format!("`cargo exo run {program}` shows its console");
    run.judge().with_context(|| format!("{program} cannot be measured ({again})"))?;
    ensure!(run.verdict == Some(Verdict::Pass), "{program} failed ({again})");
    let windows = watch.counter.finish().with_context(|| format!("the marks of {program}"))?;
    let measured = interpret(&run.lines, windows, machine.has_clock().then_some(job.clock));
    let longest = watch.longest.map(|stretch| Longest::new(&stretch, job, &symbols));
    let series = figure::parse(&run.lines, machine.has_clock().then(|| job.clock.name()));
    let of_program = || program.to_owned();
    Ok((measured.with_context(of_program)?, series.with_context(of_program)?, longest))
}

/// Puts together what a program said of its marks and what was counted between them.
fn interpret(lines: &[String], mut windows: BTreeMap<u32, Vec<Window>>, clock: Option<Clock>) -> Result<Vec<Measured>> {
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
        Some(clock) => BTreeMap::from([(clock.name(), median(cycles)?)]),
        None => BTreeMap::new(),
    };
    Ok(Timed { n: windows.len(), instructions, cycles, repeats })
}

impl Measured {
    /// Cycles and microseconds a round on a clock.
    fn on(&self, clock: Clock) -> Option<(f64, f64)> {
        let cycles = *self.timed.as_ref()?.cycles.get(clock.name())?;
        Some((cycles, cycles / clock.mhz()))
    }
}

fn row<'a>(measured: &'a Measured, paper: &'a Paper) -> Row<'a> {
    let Measured { description, summary, timed } = measured;
    let Description { table, op, system, paper_op, how, .. } = description;
    let paper_us = |clock: Clock| {
        let table = paper.table(table)?;
        table.us(table.counterpart(system)?, clock.name(), paper_op)
    };
    let on = |&clock: &Clock| {
        let (cycles, us) = measured.on(clock)?;
        Some((clock.name(), OnClock { cycles, us, paper_us: paper_us(clock) }))
    };
    let clocks: BTreeMap<_, _> = Clock::ALL.iter().filter_map(on).collect();
    let clock = [REFERENCE].into_iter().chain(clocks.keys().copied()).find(|clock| clocks.contains_key(clock));
    let time = clock.and_then(|clock| clocks.get(clock));
    let in_paper = paper.table(table).and_then(|table| {
        let system = table.counterpart(system)?;
        Some((system, table.us(system, REFERENCE, paper_op)?))
    });
    Row {
        table,
        op,
        system,
        n: summary.n,
        instructions: summary.median as f64,
        instructions_min: summary.min,
        instructions_max: summary.max,
        disturbed: summary.disturbed,
        loop_instructions: timed.as_ref().map(|timed| timed.instructions),
        cycles: time.map(|time| time.cycles),
        us: time.map(|time| time.us),
        clock,
        clocks,
        paper_us: in_paper.map(|(_, us)| us),
        paper_system: in_paper.map(|(system, _)| system),
        paper_machine: in_paper.map(|_| REFERENCE),
        how,
        loop_how: timed.as_ref().map(|timed| timed.repeats.how.as_str()),
    }
}

/// The commit that was measured; marked if the tree differs from it.
fn commit(workspace: &Workspace) -> Option<String> {
    let git = |arguments: &[&str]| output(command("git").current_dir(&workspace.root).args(arguments)).ok();
    let commit = git(&["rev-parse", "--verify", "HEAD"])?.trim().to_owned();
    let changes = git(&["status", "--porcelain"])?;
    Some(if changes.trim().is_empty() { commit } else { format!("{commit}-dirty") })
}

/// Prints one table after the other.
fn print(measured: &[Measured], paper: &Paper, machine: Machine, clocks: &[Clock]) {
    let clocks = if machine.has_clock() { clocks } else { &[] };
    for group in measured.chunk_by(|one, other| one.description.table == other.description.table) {
        let id = &group[0].description.table;
        match paper.table(id) {
            Some(table) => println!("Table {id}: {}", table.title),
            None => println!("Table {id} (not in the paper)"),
        }
        println!("{}", render(group, paper, clocks));
        for Measured { description, timed, .. } in group {
            println!("  {}: {}", description.op, description.how);
            if let Some(timed) = timed.as_ref().filter(|_| !clocks.is_empty()) {
                let Timed { repeats, n, .. } = timed;
                println!("    in the loop: {} ({n} loops of {} rounds, the median)", repeats.how, repeats.rounds);
            }
        }
        println!();
    }
    println!(
        "instructions: executed on {machine}, delay slots too; the median of n, and how many of n differ from it because"
    );
    println!("  of an interrupt or a TLB miss");
    if clocks.is_empty() {
        println!("{machine} has no clock, so there are no times of ours");
    } else {
        println!(
            "cycles, us: a round of the loop, on the model's clock and memory system (docs/model.md says what that is worth)"
        );
    }
    println!("in parentheses: the paper's times as printed, for the same system; its cycles are time x clock");
}

/// The table; on a machine without a clock the columns of times hold the paper's alone.
fn render(group: &[Measured], paper: &Paper, clocks: &[Clock]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let columns = if clocks.is_empty() { &Clock::PAPER[..] } else { clocks };
    let mut header = ["operation", "system", "instructions", "n", "spread\n(differ)"].map(str::to_owned).to_vec();
    if !clocks.is_empty() {
        header.push("instructions\nin the loop".to_owned());
    }
    // Cycles hardly differ from clock to clock; the results as data have all.
    let last = *columns.last().expect("there is a clock");
    header.push(format!("cycles\n{}", last.name()));
    header.extend(columns.iter().map(|clock| format!("us\n{}", clock.name())));
    header.push(format!("{UNIX} us\n{REFERENCE}"));
    table.set_header(header);
    for measured in group {
        let Measured { description, summary, timed } = measured;
        let of_paper = paper.table(&description.table);
        let us = |system: Option<&str>, machine: &str| of_paper?.us(system?, machine, &description.paper_op);
        let system = of_paper.and_then(|table| table.counterpart(&description.system));
        let mut cells = vec![
            description.op.clone(),
            description.system.clone(),
            summary.median.to_string(),
            summary.n.to_string(),
            spread(summary),
        ];
        if !clocks.is_empty() {
            cells.push(number(timed.as_ref().map(|timed| timed.instructions), 1));
        }
        let paper_us = |clock: &Clock| us(system, clock.name());
        let theirs = paper_us(&last).zip(paper.mhz(last.name())).map(|(us, mhz)| us * mhz);
        let ours = measured.on(last).map(|(cycles, _)| number(Some(cycles), 1));
        cells.push(beside(ours, theirs.map(|cycles| format!("{cycles:.0}"))));
        cells.extend(columns.iter().map(|clock| {
            beside(measured.on(*clock).map(|(_, us)| number(Some(us), 2)), paper_us(clock).map(|us| us.to_string()))
        }));
        cells.push(us(Some(UNIX), REFERENCE).map_or("-".to_owned(), |us| us.to_string()));
        table.add_row(cells);
    }
    table.column_iter_mut().skip(2).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table
}

fn number(number: Option<f64>, digits: usize) -> String {
    number.map_or("-".to_owned(), |number| format!("{number:.digits$}"))
}

/// Ours and, in parentheses, theirs.
fn beside(ours: Option<String>, theirs: Option<String>) -> String {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => format!("{ours} ({theirs})"),
        (Some(ours), None) => ours,
        (None, Some(theirs)) => format!("({theirs})"),
        (None, None) => "-".to_owned(),
    }
}

/// How far the counts lie apart.
fn spread(summary: &Summary) -> String {
    match summary {
        Summary { disturbed: 0, .. } => "none".to_owned(),
        Summary { min, max, disturbed, .. } => format!("{min}..{max} ({disturbed})"),
    }
}

/// Prints for each guessed parameter of the model what the operations take at both ends of its range.
fn show_guesses(
    workspace: &Workspace,
    guest: &Guest,
    programs: &[String],
    clock: Clock,
    timeout: Duration,
) -> Result<()> {
    let machine = Machine::Decstation;
    let cycles = |measured: &[Measured]| -> Vec<_> {
        measured
            .iter()
            .filter_map(|one| Some((one.description.op.clone(), number(Some(one.on(clock)?.0), 1))))
            .collect()
    };
    for program in programs {
        let image =
            guest.write_image(workspace, machine, &format!("guesses-{program}"), std::slice::from_ref(program))?;
        let job = Job { clock, watch: Watch::Marks, ..Job::new(&image, program, timeout) };
        let measure = |profile| -> Result<_> {
            Ok(cycles(&measure_once(workspace, guest, machine, &Job { profile, ..job.clone() })?.0))
        };
        let frozen = measure(None)?;
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header(["parameter"].into_iter().chain(frozen.iter().map(|(op, _)| op.as_str())));
        table.add_row(["as frozen"].into_iter().chain(frozen.iter().map(|(_, cycles)| cycles.as_str())));
        for guess in clock.guesses() {
            let (low, high) = (measure(Some(guess.low))?, measure(Some(guess.high))?);
            let ends = low.into_iter().zip(high).map(|((_, low), (_, high))| match low == high {
                true => "=".to_owned(),
                false => format!("{low}..{high}"),
            });
            table.add_row([guess.parameter.to_owned()].into_iter().chain(ends));
        }
        table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        println!("{program}: cycles a round of each loop on a {}", clock.name());
        println!("{table}\n");
    }
    println!("=: the parameter makes no difference to it");
    Ok(())
}

/// What an operation is called, how often it was counted, and the count.
type Count = (String, usize, u64);

fn counts(bench: &Bench, machine: Machine, program: &str) -> Result<Vec<Count>, Failed> {
    let timeout = Duration::from_secs(120);
    let measured = measure(&bench.workspace, &bench.guest, machine, &[Clock::Dec5000], program, timeout);
    let (measured, ..) = measured.map_err(|error| format!("{error:#}"))?;
    Ok(measured.into_iter().map(|one| (one.description.op, one.summary.n, one.summary.median)).collect())
}

fn same(name: [&str; 2], counts: [Vec<Count>; 2]) -> Result<(), Failed> {
    match counts[0] == counts[1] {
        true => Ok(()),
        false => Err(format!("operation, n, median: {} {:?}, {} {:?}", name[0], counts[0], name[1], counts[1]).into()),
    }
}

/// The counts that the tree keeps of hand-written paths, by program and operation.
const RECORDED: &str = include_str!("../../../bench/counts.toml");

/// Compares what was counted on a machine with what the tree keeps.
fn as_recorded(machine: Machine, program: &str, counts: &[Count]) -> Result<(), Failed> {
    let table = match machine.board() {
        Board::Decstation => program.to_owned(),
        Board::Malta => format!("{program}-malta"),
    };
    let recorded: BTreeMap<String, BTreeMap<String, u64>> =
        toml::from_str(RECORDED).expect("bench/counts.toml is TOML");
    for (op, kept) in recorded.get(&table).into_iter().flatten() {
        match counts.iter().find(|(counted, ..)| counted == op) {
            Some((_, _, count)) if count == kept => {}
            Some((_, _, count)) => {
                return Err(format!("{op} takes {count} instructions, and bench/counts.toml says {kept}").into());
            }
            None => return Err(format!("{op} stands in bench/counts.toml and is not measured").into()),
        }
    }
    Ok(())
}

/// Programs that are counted on GXemul: those that execute little, since it writes a line for each instruction. Its clock is
/// the host's, so meanwhile a time slice has only some thousand of them.
const ON_GXEMUL: [&str; 4] = ["miss", "stlb", "table4", "table5"];
/// The same for QEMU.
const ON_MALTA: [&str; 7] = ["codegen", "colour", "miss", "stlb", "table4", "table5", "table6"];

/// Whether a benchmark program is counted on a machine.
fn is_counted(program: &str, machine: Machine) -> bool {
    match machine {
        Machine::Decstation => true,
        Machine::Gxemul => ON_GXEMUL.contains(&program),
        Machine::Malta => ON_MALTA.contains(&program),
    }
}

/// The benchmark programs whose counts are steady and that all of the machines count.
fn counted(guest: &Guest, machines: &[Machine]) -> Vec<String> {
    let on_all = |program: &String| machines.iter().all(|&machine| is_counted(program, machine));
    benchmarks(guest).filter(on_all).filter(|program| !UNSTEADY.contains(&program.as_str())).collect()
}

/// For each benchmark program a test that two runs give the same counts, which are those that the tree keeps.
pub fn trials(bench: &Arc<Bench>, machine: Machine, suffix: &str) -> Vec<Trial> {
    let trial = |program: String| {
        let bench = Arc::clone(bench);
        Trial::test(format!("bench::counts_repeat::{program}{suffix}"), move || {
            let first = counts(&bench, machine, &program)?;
            as_recorded(machine, &program, &first)?;
            same(["first", "second"], [first, counts(&bench, machine, &program)?])
        })
    };
    counted(&bench.guest, &[machine]).into_iter().map(trial).collect()
}

/// For each benchmark program a test that two machines give the same counts.
pub fn agreement(bench: &Arc<Bench>, machines: [Machine; 2]) -> Vec<Trial> {
    let trial = |program: String| {
        let bench = Arc::clone(bench);
        Trial::test(format!("bench::machines_agree::{program}"), move || {
            let [one, other] = machines;
            same(machines.map(Machine::name), [counts(&bench, one, &program)?, counts(&bench, other, &program)?])
        })
    };
    counted(&bench.guest, &machines).into_iter().map(trial).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Measured {
        let line = "mark 2 table=4 op=syscall system=aegis how=self";
        let description = Description::parse(line).unwrap().unwrap();
        let repeats = Loop { id: 12, of: 2, rounds: 1000, how: "round and round".to_owned() };
        let timed = Timed { repeats, n: 9, instructions: 22.0, cycles: BTreeMap::from([("dec5000", 25.0)]) };
        Measured { description, summary: Summary::of(&[18, 18, 18, 300]).unwrap(), timed: Some(timed) }
    }

    #[test]
    fn rows_have_the_documented_form() {
        let paper = Paper::read().unwrap();
        let measured = measured();
        let json = serde_json::to_value(row(&measured, &paper)).unwrap();
        let expected = serde_json::json!({
            "table": "4", "op": "syscall", "system": "aegis", "n": 4, "instructions": 18.0, "instructions_min": 18,
            "instructions_max": 300, "disturbed": 1, "loop_instructions": 22.0, "cycles": 25.0, "us": 1.0,
            "clock": "dec5000", "clocks": { "dec5000": { "cycles": 25.0, "us": 1.0, "paper_us": 1.6 } },
            "paper_us": 1.6, "paper_system": "aegis", "paper_machine": "dec5000", "how": "self",
            "loop_how": "round and round",
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn what_the_paper_lacks_is_absent() {
        let paper = Paper::read().unwrap();
        let mut measured = measured();
        measured.description.paper_op = "return".to_owned();
        let json = serde_json::to_value(row(&measured, &paper)).unwrap();
        assert!(json.get("paper_us").is_none() && json.get("paper_system").is_none());
    }

    #[test]
    fn table_stands_beside_the_paper() {
        let cells = |measured: Measured, clocks: &[Clock]| {
            let text = render(&[measured], &Paper::read().unwrap(), clocks).to_string();
            let row = text.lines().last().unwrap().to_owned();
            row.split('|').map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        let counts = ["syscall", "aegis", "18", "4", "18..300 (1)"];
        assert_eq!(
            cells(measured(), &[Clock::Dec5000]),
            [&counts[..], &["22.0", "25.0 (40)", "1.00 (1.6)", "21.3"]].concat()
        );
        let theirs = ["(40)", "(3.2)", "(2.9)", "(1.6)", "21.3"];
        assert_eq!(cells(Measured { timed: None, ..measured() }, &[]), [&counts[..], &theirs].concat());
    }
}
