//! `trace`: one execution of an operation, instruction by instruction: what each costs and where it comes from.
//!
//! The model repeats to the cycle, so the program is run twice: once to find an execution that is worth showing (warm and
//! undisturbed), once to follow it.

use std::collections::HashMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aegis_abi::mark::{END, ID_MASK};
use aegis_abi::vm::USER_END;
use anyhow::{Context, Result, ensure};
use mips1::Instruction;

use crate::bootable::booted;
use crate::build;
use crate::count::{Description, Summary, Watching};
use crate::crossings::Boot;
use crate::machine::{Clock, Job, Machine, Observer, Step, Watch};
use crate::run::conclude;
use crate::setup::{Need, ensure_all};
use crate::symbols::{Origin, Symbols};
use crate::workspace::Workspace;
use crate::{calls, timeline};

/// What `trace` is asked for.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The program, with its marks: a benchmark such as table4
    #[arg(value_name = "PROGRAM")]
    program: String,
    /// The operation, by name, or by name/system if several have it; without one, those that the program marks are listed
    #[arg(value_name = "OPERATION")]
    operation: Option<String>,
    /// Which execution to show, the first being 1; by default the last that took as many instructions as most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    nth: Option<u32>,
    /// Instead of the instructions show how many there are of each function, and their cycles
    #[arg(long, requires = "operation")]
    functions: bool,
    /// Instead write a whole run as Chrome trace JSON, which Perfetto opens: environments as tracks
    #[arg(long, value_name = "FILE", conflicts_with_all = ["operation", "calls"])]
    json: Option<PathBuf>,
    /// Instead print each system call of a whole run: whose, arguments, result, cycles
    #[arg(long, conflicts_with = "operation")]
    calls: bool,
    /// The clock and memory system
    #[arg(long, value_enum, default_value_t = Clock::Dec5000)]
    clock: Clock,
}

/// Prints the operations of a program, or follows one.
pub fn run(workspace: &Workspace, arguments: &Arguments, quiet: bool) -> Result<()> {
    ensure_all(workspace, &[Need::Compiler])?;
    if arguments.calls || arguments.json.is_some() {
        let boot = Boot::new(workspace, "whole", &arguments.program, quiet)?;
        return match &arguments.json {
            Some(file) => timeline::run(&boot, arguments.clock, file),
            None => calls::run(&boot, arguments.clock),
        };
    }
    let program = build::program_name(&arguments.program);
    let mut names = vec![program.to_owned()];
    let mut words = vec![arguments.program.clone()];
    let (mut others, mut network) = (Vec::new(), None);
    if let Some(source) = build::source_of(workspace, program) {
        let test = booted(program, &source)?;
        names.extend(test.run.iter().map(|word| build::program_name(word).to_owned()));
        names.extend(test.archive.iter().cloned());
        (others, network) = (test.archive, test.network);
        if test.run != [program] {
            words = test.run;
        }
    }
    let programs: Vec<_> = names.iter().map(String::as_str).collect();
    let guest = build::build_programs(workspace, &[Machine::Decstation], &programs, quiet)?;
    let files = guest.archive_files_with(workspace, Machine::Decstation, &words, &others)?;
    let image = guest.write_image_of(workspace, Machine::Decstation, &format!("trace-{program}"), &files)?;
    let boot = build::boot_arguments(&words)?;
    let symbols = guest.symbols(workspace, Machine::Decstation);
    let job = Job::new(&image, &boot, Duration::from_secs(60));
    let job = Job { clock: arguments.clock, watch: Watch::Marks, network, ..job };

    let mut survey = Watching::new(&symbols);
    let end = Machine::Decstation.run(&job, &mut survey)?;
    let run = conclude(survey.console, end, &job, &symbols);
    run.judge()?;
    let mut operations = Vec::new();
    for line in &run.lines {
        operations.extend(Description::parse(line)?);
    }
    ensure!(!operations.is_empty(), "{} marks nothing; the programs of `cargo exo bench` do", arguments.program);
    let Some(operation) = &arguments.operation else {
        for Description { op, system, how, .. } in &operations {
            println!("{:<30} {how}", format!("{op}/{system}"));
        }
        return Ok(());
    };
    let names = || operations.iter().map(|operation| operation.op.as_str()).collect::<Vec<_>>().join(" ");
    let is_meant =
        |found: &&Description| found.op == *operation || format!("{}/{}", found.op, found.system) == *operation;
    let found = operations.iter().find(is_meant);
    let found = found.with_context(|| format!("no operation {operation:?}; there are {}", names()))?;
    let windows = survey.counter.finish()?.remove(&found.id).unwrap_or_default();
    let counts: Vec<_> = windows.iter().map(|window| window.instructions).collect();
    let nth = match arguments.nth {
        Some(nth) => nth as usize - 1,
        None => {
            let usual = Summary::of(&counts).with_context(|| format!("{operation} is never executed"))?.median;
            counts.iter().rposition(|&count| count == usual).expect("the median is one of the counts")
        }
    };
    let window = windows.get(nth).with_context(|| format!("{operation} is executed {} times", windows.len()))?;

    let mut follow = Follow { id: found.id, nth, seen: 0, inside: false, steps: Vec::new(), end: None };
    Machine::Decstation.run(&Job { watch: Watch::Instructions, ..job }, &mut follow)?;
    let cycles = window.cycles.unwrap_or_default();
    println!("{}: {}", found.op, found.how);
    println!("execution {} of {}: {} instructions, {cycles} cycles", nth + 1, windows.len(), window.instructions);
    println!();
    let steps = follow.attributed(&symbols, &programs);
    if arguments.functions {
        print_functions(&steps, &symbols)
    } else {
        print(&steps, &symbols)
    }
    Ok(())
}

/// Keeps the instructions of one execution of an operation.
struct Follow {
    id: u32,
    /// Which execution, the first being 0.
    nth: usize,
    /// Executions that have ended.
    seen: usize,
    inside: bool,
    steps: Vec<Step>,
    /// The cycle at which the last instruction was over.
    end: Option<u64>,
}

impl Observer for Follow {
    fn console(&mut self, _bytes: &[u8]) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn instruction(&mut self, step: Step) {
        let mark = step.mark();
        if mark == Some(self.id | END) {
            if self.inside {
                self.end = step.cycles;
            }
            self.seen += 1;
            self.inside = false;
        } else if mark == Some(self.id) {
            self.inside = self.seen == self.nth && self.end.is_none();
        } else if self.inside && mark.is_none_or(|mark| mark & ID_MASK == self.id) {
            self.steps.push(step);
        }
    }
}

/// An instruction that was executed.
struct Executed<'a> {
    step: &'a Step,
    cycles: u64,
    /// The program that it is of, if not the kernel's.
    program: Option<&'a str>,
}

impl Follow {
    /// What was kept, with what each took, and which of the image's programs it is of: one that has the word at this
    /// address, and the one that executed the instruction before if it does.
    fn attributed<'a>(&'a self, symbols: &Symbols, names: &[&'a str]) -> Vec<Executed<'a>> {
        let starts = self.steps.iter().map(|step| step.cycles.unwrap_or_default());
        let ends = starts.clone().skip(1).chain([self.end.unwrap_or_default()]);
        let mut last = names[0];
        let attribute = |(step, (start, end)): (&'a Step, (u64, u64))| {
            let program = (step.address < USER_END).then(|| {
                let all = [last].into_iter().chain(names.iter().copied());
                last = symbols.who_has(all, step.address, step.word).unwrap_or(last);
                last
            });
            Executed { step, cycles: end.saturating_sub(start), program }
        };
        self.steps.iter().zip(starts.zip(ends)).map(attribute).collect()
    }
}

/// A line for each instruction: its cycles, its mode, its address, itself, and where it comes from.
fn print(steps: &[Executed], symbols: &Symbols) {
    let mut sources = Sources::default();
    println!("  cycles  mode    address   instruction                    source");
    for Executed { step, cycles, program } in steps {
        let mode = if step.user == Some(true) { "user" } else { "kernel" };
        let text = Instruction::decode(step.word).map(|instruction| instruction.at(step.address).to_string());
        let text = text.unwrap_or_else(|| format!(".word {:#010x}", step.word));
        let source = symbols.origin(*program, step.address).map(|origin| sources.show(&origin));
        let source = source.unwrap_or_default();
        println!("  {cycles:>6}  {mode:<6}  {:08x}  {text:<30} {source}", step.address);
    }
}

/// A line for each function, the ones with most instructions first: how many, how many cycles they took, how often the
/// function was entered at its beginning, and whose it is.
fn print_functions(steps: &[Executed], symbols: &Symbols) {
    let mut functions: HashMap<(&str, String), [u64; 3]> = HashMap::new();
    for Executed { step, cycles, program } in steps {
        let (name, offset) =
            symbols.origin(*program, step.address).and_then(|origin| origin.function).unwrap_or_default();
        let sums = functions.entry((program.unwrap_or("kernel"), name)).or_default();
        sums[0] += 1;
        sums[1] += cycles;
        sums[2] += u64::from(offset == 0);
    }
    let mut functions: Vec<_> = functions.into_iter().collect();
    functions.sort_by(|(one, sums), (other, others)| others[0].cmp(&sums[0]).then_with(|| one.cmp(other)));
    println!("  instructions    cycles  entered  program       function");
    for ((program, function), [instructions, cycles, entered]) in functions {
        println!("  {instructions:>12}  {cycles:>8}  {entered:>7}  {program:<12}  {function}");
    }
}

/// The lines of source files, read once.
#[derive(Default)]
struct Sources(HashMap<String, Vec<String>>);

impl Sources {
    /// The place of an instruction and the source line there; without debug information, the function.
    fn show(&mut self, origin: &Origin) -> String {
        match (&origin.location, &origin.function) {
            (Some((file, number)), _) => {
                let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
                let text = self.line(file, *number).unwrap_or_default();
                format!("{:<18} {text}", format!("{name}:{number}"))
            }
            (None, Some((function, offset))) => format!("{function}+{offset:#x}"),
            (None, None) => String::new(),
        }
    }

    fn line(&mut self, file: &str, number: u32) -> Option<&str> {
        let read = || fs::read_to_string(file).unwrap_or_default().lines().map(|line| line.trim().to_owned()).collect();
        let lines = self.0.entry(file.to_owned()).or_insert_with(read);
        lines.get((number as usize).checked_sub(1)?).map(String::as_str)
    }
}
