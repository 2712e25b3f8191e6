//! Booting an image and judging the run.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use aegis_abi::console::PC;
use anyhow::{Result, anyhow, bail};
use decstation::Stretch;

use crate::build::{self, boot_arguments, program_name};
use crate::console::{Console, Verdict};
use crate::latency::{self, Longest};
use crate::machine::{Clock, Cpu, End, Job, Machine, Mark, Observer, Typed};
use crate::setup::{Need, ensure_all};
use crate::symbols::Symbols;
use crate::terminal::Terminal;
use crate::workspace::Workspace;

/// What `run` is asked for.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Programs to start, one time slice each, in this order; what follows a comma is the program's arguments (counter,limit=8). None: a shell
    #[arg(value_name = "PROGRAM")]
    programs: Vec<String>,
    /// The machine to boot
    #[arg(long, value_enum, default_value_t = Machine::ALL[0])]
    machine: Machine,
    /// Whose clock and memory system the machine has, if it has a clock
    #[arg(long, value_enum, default_value_t = Clock::Dec5000_200)]
    clock: Clock,
    /// Time after which a run without a verdict is ended, in seconds: simulated on a machine with a clock, else by the wall
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// The processor of malta
    #[arg(long, value_enum, default_value_t)]
    cpu: Cpu,
    /// Memory of the machine, in megabytes
    #[arg(long, value_name = "MEGABYTES", value_parser = clap::value_parser!(u32).range(4..=480))]
    memory: Option<u32>,
}

/// Builds, boots, shows the console, and fails unless the guest's verdict is pass.
pub fn run(workspace: &Workspace, arguments: &Arguments, quiet: bool) -> Result<()> {
    if arguments.programs.is_empty() {
        return converse(workspace, arguments, quiet);
    }
    arguments.cpu.check(&[arguments.machine])?;
    ensure_all(workspace, &[Need::Compiler, Need::Machine(arguments.machine)])?;
    let names: Vec<_> = arguments.programs.iter().map(|word| program_name(word)).collect();
    let guest = build::build_programs(workspace, &[arguments.machine], &names, quiet)?;
    let boot = boot_arguments(&arguments.programs)?;
    let image =
        guest.write_image(workspace, arguments.machine, &image_name(&arguments.programs), &arguments.programs)?;
    let timeout = Duration::from_secs(arguments.timeout);
    let job = Job::new(&image, &boot, timeout);
    let job = Job { memory: arguments.memory, clock: arguments.clock, cpu: arguments.cpu, ..job };
    let symbols = guest.symbols(workspace, arguments.machine);
    let run = boot_and_watch(arguments.machine, &job, &symbols, |line| println!("{line}"))?;
    if let Some(longest) = &run.longest {
        println!("longest path in the kernel: {longest}");
    }
    let advice = if matches!(run.end, End::TimedOut(_)) { "; --timeout allows more" } else { "" };
    run.judge().map_err(|error| anyhow!("{error}{advice}"))?;
    match run.verdict {
        Some(Verdict::Pass) => Ok(()),
        _ => bail!("the guest's verdict is fail; the reason is above"),
    }
}

/// The first process of ExOS, which runs a shell.
const INIT: &str = "init";

/// Boots a shell, with the terminal as the machine's.
fn converse(workspace: &Workspace, arguments: &Arguments, quiet: bool) -> Result<()> {
    arguments.cpu.check(&[arguments.machine])?;
    ensure_all(workspace, &[Need::Compiler, Need::Machine(arguments.machine)])?;
    let (programs, files) = build::applications(workspace)?;
    let names: Vec<_> = programs.iter().map(String::as_str).collect();
    let guest = build::build_programs(workspace, &[arguments.machine], &names, quiet)?;
    let words = [INIT.to_owned()];
    let others: Vec<_> = programs.iter().chain(&files).cloned().collect();
    let archive = guest.archive_files_with(workspace, arguments.machine, &words, &others)?;
    let image = guest.write_image_of(workspace, arguments.machine, &image_name(&[]), &archive)?;
    let boot = boot_arguments(&words)?;
    let job = Job::new(&image, &boot, Duration::from_secs(SESSION));
    let terminal = Terminal::open()?;
    let typed = Some(terminal.typed());
    let job = Job { memory: arguments.memory, clock: arguments.clock, cpu: arguments.cpu, typed, ..job };
    let symbols = guest.symbols(workspace, arguments.machine);
    let run = talk(arguments.machine, &job, &symbols)?;
    drop(terminal);
    match run.verdict {
        _ if job.typed.as_ref().is_some_and(Typed::is_left) => Ok(()),
        Some(Verdict::Pass) => Ok(()),
        Some(Verdict::Fail) => bail!("the shell's last command failed"),
        None => run.judge(),
    }
}

/// The longest that a shell is used, in seconds.
const SESSION: u64 = 86_400;

/// Boots an image and shows what it writes as it comes.
fn talk(machine: Machine, job: &Job, symbols: &Symbols) -> Result<Run> {
    struct Talking<'a> {
        console: Console<'a>,
    }
    impl Observer for Talking<'_> {
        fn console(&mut self, bytes: &[u8]) -> ControlFlow<()> {
            let mut output = std::io::stdout().lock();
            // If nobody sees it any more there is nobody to tell.
            let _ = output.write_all(bytes).and_then(|()| output.flush());
            self.console.take(bytes)
        }

        fn mark(&mut self, mark: Mark) {
            let _ = mark;
        }
    }
    let mut talking = Talking { console: Console::new(symbols, |_| {}) };
    let end = machine.run(job, &mut talking)?;
    Ok(conclude(talking.console, end, job, symbols))
}

/// A name for the image, the same for the same programs.
pub fn image_name(words: &[String]) -> String {
    let names: Vec<_> = words.iter().map(|word| program_name(word)).collect();
    let mut hasher = DefaultHasher::new();
    names.hash(&mut hasher);
    match names[..] {
        [name] => format!("run-{name}"),
        // All names together may be too long for a file's name.
        [name, ..] => format!("run-{name}-{:016x}", hasher.finish()),
        [] => "run".to_owned(),
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Run {
    /// The console's lines, with source lines added.
    pub lines: Vec<String>,
    /// The verdict, if there was one.
    pub verdict: Option<Verdict>,
    /// How it ended.
    pub end: End,
    /// The kernel's longest path, on a machine that tells.
    pub longest: Option<Longest>,
    /// What went wrong with the run itself, in one line.
    failure: Option<String>,
}

impl Run {
    /// A run with these lines and this verdict.
    #[cfg(test)]
    pub fn of(lines: &[&str], verdict: Option<Verdict>) -> Self {
        let failure = verdict.is_none().then(|| "no verdict".to_owned());
        Self {
            lines: lines.iter().map(|&line| line.to_owned()).collect(),
            verdict,
            end: End::Stopped,
            longest: None,
            failure,
        }
    }

    /// Fails if the run came to no proper end: a bug in the kernel, a hang, a halt without a verdict.
    pub fn judge(&self) -> Result<()> {
        match &self.failure {
            None => Ok(()),
            Some(failure) => bail!("{failure}"),
        }
    }
}

/// Boots an image and follows it to its end, giving each line to `show` as it comes.
pub fn boot_and_watch(machine: Machine, job: &Job, symbols: &Symbols, show: impl FnMut(&str)) -> Result<Run> {
    struct Watching<'a> {
        console: Console<'a>,
        longest: Option<Stretch>,
    }
    impl Observer for Watching<'_> {
        fn console(&mut self, bytes: &[u8]) -> ControlFlow<()> {
            self.console.take(bytes)
        }

        fn longest(&mut self, stretch: Stretch) {
            self.longest = Some(stretch);
        }
    }
    let mut watch = Watching { console: Console::new(symbols, show), longest: None };
    let end = machine.run(&latency::watched(machine, job, symbols), &mut watch)?;
    let longest = watch.longest.map(|stretch| Longest::new(&stretch, job, symbols));
    Ok(Run { longest, ..conclude(watch.console, end, job, symbols) })
}

/// Sums up a run that has ended.
pub fn conclude(mut console: Console, end: End, job: &Job, symbols: &Symbols) -> Run {
    console.finish();
    // An address of a program is taken for one of the first that was started, for want of better knowledge.
    let at_source = |text: String| symbols.annotate_as(job.first_program(), &text);
    let last = || console.lines.last().map_or("nothing".to_owned(), |line| format!("{line:?}"));
    let failure = if let Some(panic) = console.panic() {
        Some(format!("the kernel stopped on a bug of its own: {panic}"))
    } else if let End::Broken(what) = &end {
        Some(at_source(format!("the machine was stopped: {what}")))
    } else if console.verdict.is_some() {
        None
    } else if let End::TimedOut(pc) = end {
        let place = pc.map_or(String::new(), |pc| at_source(format!(" at {PC}{pc:08x}")));
        Some(format!(
            "no verdict within {} s, so it was stopped{place}; its last line is {}",
            job.timeout.as_secs(),
            last()
        ))
    } else {
        Some(format!("the machine stopped without a verdict; its last line is {}", last()))
    };
    Run { lines: console.lines, verdict: console.verdict, end, longest: None, failure }
}

/// The command that repeats a run by hand, as an addition to a message.
pub fn repeat(machine: Machine, job: &Job, workspace: &Workspace) -> String {
    let image = workspace.show(job.image);
    let job = Job { image: Path::new(image), ..job.clone() };
    format!("to repeat: {}", machine.command_line(&job))
}
