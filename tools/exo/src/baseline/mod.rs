//! `baseline`: what a monolithic system takes for the same work on the same machines. It builds Linux and a program that
//! does what ours are measured on, boots both, and keeps the numbers in the tree.

mod image;
mod kernel;
mod machines;

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use comfy_table::{CellAlignment, Table, presets};

use machines::Clocked;

pub use kernel::{PACKAGES, version};

use crate::bench::measure::{Measured, Timed};
use crate::build::{self, Board};
use crate::count::Description;
use crate::image::without_sections;
use crate::linux::{self, Linux, Op};
use crate::machine::{Clock, Machine};
use crate::paper::Paper;
use crate::progress::Progress;
use crate::setup::{Need, ensure_all};
use crate::workspace::Workspace;

/// What `baseline` is asked for.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Measure on these machines alone, and leave what is kept of the others; by default on all
    #[arg(long, value_enum)]
    machine: Vec<Machine>,
    /// Show what was measured and compare it with what the tree keeps, instead of keeping it
    #[arg(long)]
    compare: bool,
    /// Show what Linux says on its console
    #[arg(long)]
    console: bool,
    /// Time after which a run is ended, in seconds: simulated on the model, else by the wall
    #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

/// Builds, measures on every machine, prints a table, and keeps the numbers or compares them.
pub fn run(workspace: &Workspace, arguments: &Arguments, quiet: bool) -> Result<()> {
    let asked = |machine: &Machine| arguments.machine.is_empty() || arguments.machine.contains(machine);
    let machines: Vec<_> = Machine::ALL.into_iter().filter(asked).collect();
    let needs = [Need::Compiler, Need::Baseline].into_iter().chain(machines.iter().copied().map(Need::Machine));
    ensure_all(workspace, &needs.collect::<Vec<_>>())?;
    let [init, program] = build::build_linux_programs(workspace, quiet)?;
    let [init, program] = [init, program].map(|file| without_sections(&build::read(&file)?));
    let archive = image::archive(&init?, &program?)?;
    let boot_arguments = image::archive_arguments(&archive);

    let progress = Progress::new(quiet);
    let mut images = BTreeMap::new();
    for board in [Board::Decstation, Board::Malta] {
        if !machines.iter().any(|machine| machine.board() == board) {
            continue;
        }
        let kernel = kernel::build(workspace, board, &progress)?;
        let image = image::image(&build::read(&kernel)?, &archive)?;
        images.insert(board, build::write(workspace, &image::name(board), &image)?);
    }
    let timeout = Duration::from_secs(arguments.timeout);
    let measure = &|machine: Machine, clock: Clock| {
        progress.say(&format!("measuring Linux on {machine} ({})", clock.name()));
        let boot =
            machines::Boot { machine, clock, image: &images[&machine.board()], arguments: &boot_arguments, timeout };
        let show = |line: &str| {
            if arguments.console {
                progress.above(line);
            }
        };
        machines::run(&boot, show).with_context(|| format!("Linux cannot be measured on {machine}"))
    };
    let mut kernel = None;
    let mut marked = Vec::new();
    let mut clocked = Vec::new();
    for &machine in &machines {
        // What has no clock is measured once. Instructions are those of the fastest: of all it has the fewest ticks between them.
        let clocks = Clock::PAPER.into_iter().rev();
        let clocks: Vec<_> = clocks.take(if machine.has_clock() { Clock::PAPER.len() } else { 1 }).collect();
        // The model's time is not the host's, so its runs may disturb each other.
        let seen = thread::scope(|scope| {
            let runs: Vec<_> = clocks.iter().map(|&clock| scope.spawn(move || measure(machine, clock))).collect();
            runs.into_iter().map(|run| run.join().expect("a run does not panic")).collect::<Result<Vec<_>>>()
        })?;
        for (first, times) in seen.iter().take(1).flat_map(|seen| &seen.broken) {
            progress.above(&format!("exo: on the model, {times} times: {first}"));
        }
        for (clock, seen) in clocks.into_iter().zip(seen) {
            let here = machines::kernel_version(&seen.lines)?;
            let first = kernel.get_or_insert_with(|| here.clone());
            ensure!(*first == here, "{machine} boots {here}, and another machine {first}");
            if !machine.has_clock() {
                clocked.push((machine, seen.clocked()?));
            } else if marked.is_empty() {
                marked = seen.marked(clock)?;
            } else {
                Measured::add_clock(&mut marked, seen.marked(clock)?)?;
            }
        }
    }
    progress.done();

    let file = workspace.root.join(linux::FILE);
    let kept = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let kept = Linux::parse(&kept)?;
    let versions = versions(workspace, kernel.unwrap_or_default(), &machines)?;
    for (name, version) in &versions {
        // A machine may be another one; but not what runs on all of them.
        let same = kept.versions.get(name).is_none_or(|was| was == version) || machines.len() == Machine::ALL.len();
        let is_machine = Machine::ALL.iter().any(|machine| machine.name() == name);
        ensure!(same || is_machine, "{name} is now {version}, so what is kept is of another: measure on all machines");
    }
    let linux = put_together(&kept, versions, marked, &clocked)?;
    println!("{}", render(&linux));
    if arguments.compare {
        return compare(&linux, &kept);
    }
    fs::write(&file, linux.to_text()?).with_context(|| format!("cannot write {}", file.display()))?;
    println!("kept in {}", linux::FILE);
    Ok(())
}

/// What was measured now.
fn versions(workspace: &Workspace, kernel: String, machines: &[Machine]) -> Result<BTreeMap<String, String>> {
    let mut versions = BTreeMap::from([
        ("kernel".to_owned(), kernel),
        ("source".to_owned(), kernel::source_version()?),
        ("kernel_compiler".to_owned(), kernel::compiler_version()?),
        ("program_compiler".to_owned(), Need::Compiler.check(workspace)?),
    ]);
    for machine in machines {
        versions.insert(machine.name().to_owned(), machine.version()?);
    }
    Ok(versions)
}

/// All that is known of each operation, in the order of the tables: what was measured now, and of machines on which nothing was
/// what is kept.
fn put_together(
    kept: &Linux,
    versions: BTreeMap<String, String>,
    marked: Vec<Measured>,
    clocked: &[(Machine, Vec<Clocked>)],
) -> Result<Linux> {
    let mut linux =
        if marked.is_empty() { kept.clone() } else { Linux { ops: on_the_model(kept, marked)?, ..kept.clone() } };
    for (machine, counts) in clocked {
        for op in linux.ops.iter_mut().filter(|op| op.loop_how.is_some()) {
            let count = counts.iter().find(|count| count.table == op.table && count.op == op.op);
            let count = count.with_context(|| format!("{machine} did not measure {}", op.op))?;
            op.looped.insert(machine.name().to_owned(), rounded(count.instructions));
        }
    }
    linux.versions.extend(versions);
    Ok(linux)
}

/// What the model has of each operation, and what is kept of other machines.
fn on_the_model(kept: &Linux, mut marked: Vec<Measured>) -> Result<Vec<Op>> {
    let paper = Paper::read()?;
    marked.sort_by_key(|one| (paper.position(&one.description.table), one.description.id));
    let op = |Measured { description, summary, timed }| {
        let Description { table, op, how, .. } = description;
        let mut looped = kept.op(&table, &op).map(|op| op.looped.clone()).unwrap_or_default();
        let mut cycles = BTreeMap::new();
        if let Some(timed) = &timed {
            looped.insert(Machine::Decstation.name().to_owned(), rounded(timed.instructions));
            cycles.extend(timed.cycles.iter().map(|(clock, &cycles)| (clock.clone(), rounded(cycles))));
        }
        Op {
            table,
            op,
            how,
            loop_how: timed.map(|timed: Timed| timed.repeats.how),
            n: summary.n,
            instructions: summary.median,
            instructions_min: summary.min,
            instructions_max: summary.max,
            disturbed: summary.disturbed,
            looped,
            cycles,
        }
    };
    Ok(marked.into_iter().map(op).collect())
}

/// As many digits as mean something.
fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

fn render(linux: &Linux) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let machines = Machine::ALL.map(|machine| format!("in the loop\n{machine}"));
    let head = ["table", "operation", "instructions", "n", "spread\n(differ)"].map(str::to_owned);
    let clocks = Clock::PAPER.map(|clock| format!("cycles\n{}", clock.name()));
    table.set_header(head.into_iter().chain(machines).chain(clocks));
    for op in &linux.ops {
        let number = |number: Option<f64>| number.map_or("-".to_owned(), |number| format!("{number:.1}"));
        let spread = format!("{}..{} ({})", op.instructions_min, op.instructions_max, op.disturbed);
        let cells = [op.table.clone(), op.op.clone(), op.instructions.to_string(), op.n.to_string(), spread];
        let looped = Machine::ALL.map(|machine| number(op.looped(machine.name())));
        let cycles = Clock::PAPER.map(|clock| number(op.cycles(clock.name())));
        table.add_row(cells.into_iter().chain(looped).chain(cycles));
    }
    table.column_iter_mut().skip(2).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    let versions = linux.versions.iter().map(|(name, version)| format!("{name}: {version}\n"));
    format!("{table}\n{}", versions.collect::<String>())
}

/// Fails where what was measured is not what is kept. The model repeats; GXemul's clock is the host's, so its counts have ticks
/// that come at other places, and more of them if the host is busy: then this may fail.
fn compare(linux: &Linux, kept: &Linux) -> Result<()> {
    const TOLERANCE: f64 = 0.02;
    let mut differences = Vec::new();
    let mut differ =
        |what: String, now: f64, then: f64| differences.push(format!("{what} takes {now}, kept is {then}"));
    ensure!(linux.ops.len() == kept.ops.len(), "{} operations, kept are {}", linux.ops.len(), kept.ops.len());
    for op in &linux.ops {
        let then = kept.op(&op.table, &op.op).with_context(|| format!("{} is not among what is kept", op.op))?;
        if op.instructions != then.instructions {
            differ(op.op.clone(), op.instructions as f64, then.instructions as f64);
        }
        for (machine, &now) in &op.looped {
            let then = then.looped(machine).unwrap_or(0.0);
            let tolerance = if machine == Machine::Decstation.name() { 0.0 } else { TOLERANCE };
            if (now - then).abs() > then * tolerance {
                differ(format!("a round of {} on {machine}", op.op), now, then);
            }
        }
    }
    ensure!(differences.is_empty(), "{}", differences.join("; "));
    println!("as it is kept in {}", linux::FILE);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_is_put_together() {
        let lines = [
            "mark 21 table=8 op=pipe system=linux how=a word",
            "loop 121 of=21 rounds=10 how=half",
            "mark 11 table=4 op=syscall system=linux how=getpid",
            "loop 111 of=11 rounds=10 how=looped",
        ];
        let windows = machines::tests::windows(&[(21, 3500), (121, 35_010), (11, 178), (111, 1891)]);
        let marked = crate::bench::measure::interpret(&lines.map(str::to_owned), windows, None).unwrap();
        let clocked =
            |table: &str, op: &str, instructions| Clocked { table: table.to_owned(), op: op.to_owned(), instructions };
        let counts = [(Machine::Gxemul, vec![clocked("8", "pipe", 3499.999), clocked("4", "syscall", 189.17)])];
        let nothing = Linux::default();
        let linux = put_together(&nothing, BTreeMap::new(), marked.clone(), &counts).unwrap();
        let names: Vec<_> = linux.ops.iter().map(|op| op.op.as_str()).collect();
        assert_eq!(names, ["syscall", "pipe"]);
        assert_eq!((linux.ops[0].instructions, linux.ops[0].looped("decstation")), (178, Some(189.1)));
        assert_eq!(linux.ops[1].looped("gxemul"), Some(3500.0));
        assert!(render(&linux).contains("189.1"));

        // What was measured elsewhere is kept.
        let again = put_together(&linux, BTreeMap::new(), marked.clone(), &[]).unwrap();
        assert_eq!(again, linux);
        let counts = [(Machine::Malta, vec![clocked("8", "pipe", 3100.0), clocked("4", "syscall", 170.0)])];
        let more = put_together(&linux, BTreeMap::new(), Vec::new(), &counts).unwrap();
        assert_eq!((more.ops[1].looped("malta"), more.ops[1].looped("gxemul")), (Some(3100.0), Some(3500.0)));

        let error = put_together(&nothing, BTreeMap::new(), marked, &[(Machine::Malta, Vec::new())]).unwrap_err();
        assert_eq!(error.to_string(), "malta did not measure syscall");

        assert!(compare(&linux, &linux).is_ok());
        let mut other = linux.clone();
        other.ops[1].looped.insert("gxemul".to_owned(), 3550.0);
        assert!(compare(&linux, &other).is_ok());
        other.ops[1].looped.insert("decstation".to_owned(), 3501.2);
        assert!(compare(&linux, &other).unwrap_err().to_string().contains("a round of pipe on decstation"));
    }
}
