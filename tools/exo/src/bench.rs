//! `bench`: runs the benchmark programs, counts their marked operations and sets the counts beside the paper's numbers.
//!
//! Counting needs no clock and no luck: every instruction of the run is seen. So counts repeat exactly, and a machine without
//! a clock gives no times.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use comfy_table::{CellAlignment, Table, presets};
use libtest_mimic::Trial;
use serde::Serialize;

use crate::build::{self, Guest, Kind};
use crate::console::{Console, Verdict};
use crate::count::{Counter, Description, Summary};
use crate::machine::{Job, Machine, Observer};
use crate::paper::{MACHINES, Paper, REFERENCE, UNIX};
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
    /// Also write the results to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Wall-clock time after which a program is ended, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

/// An operation that was measured.
#[derive(Clone, Debug)]
struct Measured {
    description: Description,
    summary: Summary,
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
    results: Vec<Row<'a>>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    paper_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paper_system: Option<&'a str>,
    /// The machine of the paper that `paper_us` is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    paper_machine: Option<&'static str>,
    how: &'a str,
}

/// Measures, prints tables, and writes the file if one is asked for.
pub fn run(workspace: &Workspace, arguments: &Arguments, quiet: bool) -> Result<()> {
    let machine = arguments.machine;
    ensure_all(workspace, &[Need::Compiler, Need::Machine(machine)])?;
    let guest = build::build(workspace, quiet)?;
    let programs = choose(&guest, &arguments.tables)?;
    let paper = Paper::read()?;

    let progress = Progress::new(quiet);
    let mut measured = Vec::new();
    for program in programs {
        progress.say(&format!("measuring {program} on {machine}"));
        let timeout = Duration::from_secs(arguments.timeout);
        measured.extend(measure(workspace, &guest, machine, &program, timeout)?);
    }
    progress.done();

    measured.sort_by_cached_key(|one| {
        let Description { table, op, .. } = &one.description;
        let within = paper.table(table).map_or(0, |table| table.position(op));
        (paper.position(table), table.clone(), within, one.description.id)
    });
    print(&measured, &paper, machine);
    if let Some(file) = &arguments.json {
        let results = Results {
            schema: 1,
            commit: commit(workspace),
            toolchain: &guest.toolchain.version,
            machine: machine.name(),
            machine_version: machine.version()?,
            results: measured.iter().map(|one| row(one, &paper)).collect(),
        };
        let text = serde_json::to_string_pretty(&results)? + "\n";
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// The benchmark programs for these tables; all if none are named.
fn choose(guest: &Guest, tables: &[String]) -> Result<Vec<String>> {
    let all: Vec<_> = benchmarks(guest).collect();
    if tables.is_empty() {
        return Ok(all);
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

/// Boots a benchmark program and counts its operations.
fn measure(
    workspace: &Workspace,
    guest: &Guest,
    machine: Machine,
    program: &str,
    timeout: Duration,
) -> Result<Vec<Measured>> {
    struct Watch<'a> {
        console: Console<'a>,
        counter: Counter,
    }
    impl Observer for Watch<'_> {
        fn console(&mut self, bytes: &[u8]) -> ControlFlow<()> {
            self.console.take(bytes)
        }

        fn instruction(&mut self, _address: u32, word: u32) {
            self.counter.instruction(word);
        }
    }
    let image = guest.write_image(workspace, &format!("{machine}-bench-{program}"), &[program.to_owned()])?;
    let job = Job { image: &image, arguments: program, memory: None, timeout, trace: true };
    let symbols = guest.symbols(workspace);
    let mut watch = Watch { console: Console::new(&symbols, |_| {}), counter: Counter::default() };
    let end = machine.run(&job, &mut watch)?;
    let run = conclude(watch.console, end, &job);
    let again = format!("`cargo exo run {program}` shows its console");
    run.judge().with_context(|| format!("{program} cannot be measured ({again})"))?;
    ensure!(run.verdict == Some(Verdict::Pass), "{program} failed ({again})");

    let mut descriptions = BTreeMap::new();
    for line in &run.lines {
        if let Some(description) = Description::parse(line).with_context(|| program.to_owned())? {
            let id = description.id;
            ensure!(descriptions.insert(id, description).is_none(), "{program} describes its mark {id} twice");
        }
    }
    let mut counts = watch.counter.finish().with_context(|| format!("the marks of {program}"))?;
    let measured = descriptions.into_values().map(|description| {
        let counts = counts.remove(&description.id).unwrap_or_default();
        let summary = Summary::of(&counts);
        let summary = summary.with_context(|| format!("{program} never executes its mark {}", description.id))?;
        Ok(Measured { description, summary })
    });
    let measured = measured.collect::<Result<Vec<_>>>()?;
    if let Some(id) = counts.keys().next() {
        bail!("{program} executes mark {id} and does not say what it stands for");
    }
    ensure!(!measured.is_empty(), "{program} has no marks");
    Ok(measured)
}

fn row<'a>(measured: &'a Measured, paper: &'a Paper) -> Row<'a> {
    let Measured { description, summary } = measured;
    let Description { table, op, system, paper_op, how, .. } = description;
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
        paper_us: in_paper.map(|(_, us)| us),
        paper_system: in_paper.map(|(system, _)| system),
        paper_machine: in_paper.map(|_| REFERENCE),
        how,
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
fn print(measured: &[Measured], paper: &Paper, machine: Machine) {
    for group in measured.chunk_by(|one, other| one.description.table == other.description.table) {
        let id = &group[0].description.table;
        match paper.table(id) {
            Some(table) => println!("Table {id}: {}", table.title),
            None => println!("Table {id} (not in the paper)"),
        }
        println!("{}", render(group, paper));
        for Measured { description, .. } in group {
            println!("  {}: {}", description.op, description.how);
        }
        println!();
    }
    let mhz = paper.mhz(REFERENCE).unwrap_or_default();
    println!("instructions: executed on {machine}, delay slots too; the median of n, and how many of n differ from it");
    println!("because of an interrupt or a TLB miss; {machine} has no clock, so there are no times of ours");
    println!("paper: microseconds as printed in SOSP'95 for the same system; cycles derived from {mhz} MHz");
}

fn render(group: &[Measured], paper: &Paper) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let mut header = ["operation", "system", "instructions", "n", "spread\n(differ)"].map(str::to_owned).to_vec();
    header.extend(MACHINES.map(|machine| format!("paper us\n{machine}")));
    header.extend([format!("paper cycles\n{REFERENCE}"), format!("{UNIX} us\n{REFERENCE}")]);
    table.set_header(header);
    for Measured { description, summary } in group {
        let of_paper = paper.table(&description.table);
        let us = |system: Option<&str>, machine| of_paper?.us(system?, machine, &description.paper_op);
        let system = of_paper.and_then(|table| table.counterpart(&description.system));
        let show = |number: Option<f64>, digits: usize| number.map_or("-".to_owned(), |n| format!("{n:.digits$}"));
        let mut cells = vec![
            description.op.clone(),
            description.system.clone(),
            summary.median.to_string(),
            summary.n.to_string(),
            spread(summary),
        ];
        cells.extend(MACHINES.map(|machine| us(system, machine).map_or("-".to_owned(), |us| us.to_string())));
        let cycles = us(system, REFERENCE).zip(paper.mhz(REFERENCE)).map(|(us, mhz)| us * mhz);
        cells.extend([show(cycles, 0), us(Some(UNIX), REFERENCE).map_or("-".to_owned(), |us| us.to_string())]);
        table.add_row(cells);
    }
    table.column_iter_mut().skip(2).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table
}

/// How far the counts lie apart.
fn spread(summary: &Summary) -> String {
    match summary {
        Summary { disturbed: 0, .. } => "none".to_owned(),
        Summary { min, max, disturbed, .. } => format!("{min}..{max} ({disturbed})"),
    }
}

/// For each benchmark program a test that two runs give the same counts.
pub fn trials(bench: &Arc<Bench>, machine: Machine, suffix: &str) -> Vec<Trial> {
    let trial = |program: String| {
        let bench = Arc::clone(bench);
        Trial::test(format!("bench::counts_repeat::{program}{suffix}"), move || {
            let measure = || {
                let measured = measure(&bench.workspace, &bench.guest, machine, &program, Duration::from_secs(120));
                let measured = measured.map_err(|error| format!("{error:#}"))?;
                let count = |one: Measured| (one.description.op, one.summary.n, one.summary.median);
                Ok::<Vec<_>, String>(measured.into_iter().map(count).collect())
            };
            let (first, second) = (measure()?, measure()?);
            match first == second {
                true => Ok(()),
                false => Err(format!("operation, n and median: first {first:?}, then {second:?}").into()),
            }
        })
    };
    benchmarks(&bench.guest).map(trial).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Measured {
        let line = "mark 2 table=4 op=syscall system=aegis how=self";
        let description = Description::parse(line).unwrap().unwrap();
        Measured { description, summary: Summary::of(&[18, 18, 18, 300]).unwrap() }
    }

    #[test]
    fn rows_have_the_documented_form() {
        let paper = Paper::read().unwrap();
        let measured = measured();
        let json = serde_json::to_value(row(&measured, &paper)).unwrap();
        let expected = serde_json::json!({
            "table": "4", "op": "syscall", "system": "aegis", "n": 4, "instructions": 18.0, "instructions_min": 18,
            "instructions_max": 300, "disturbed": 1, "paper_us": 1.6, "paper_system": "aegis",
            "paper_machine": "dec5000", "how": "self",
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
        let text = render(&[measured()], &Paper::read().unwrap()).to_string();
        let row = text.lines().last().unwrap();
        let cells: Vec<_> = row.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect();
        assert_eq!(cells, ["syscall", "aegis", "18", "4", "18..300 (1)", "3.2", "2.9", "1.6", "40", "21.3"]);
    }
}
