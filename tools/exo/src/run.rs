//! Booting an image and judging the run.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aegis_abi::console::{KERNEL, PC};
use aegis_abi::mark::END;
use anyhow::{Result, anyhow, bail, ensure};
use decstation::Stretch;

use crate::bootable::{Bootable, of_guest};
use crate::build::{self, Guest, program_name};
use crate::console::{Console, Verdict};
use crate::directives::Test;
use crate::gdb::started_by;
use crate::latency::{self, Longest};
use crate::machine::{Clock, Cpu, End, Job, Machine, Mark, Network, Observer, Typed, Watch};
use crate::release::{Release, SHELL};
use crate::setup::{Need, ensure_all};
use crate::symbols::Symbols;
use crate::terminal::Terminal;
use crate::typist::{Keys, Typist};
use crate::workspace::{Project, Workspace};

/// What `run` is asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Programs to start, one time slice each, in this order; what follows a comma is the program's arguments (counter,limit=8). None: a shell, or in a crate of its own the program with its name
    #[arg(value_name = "PROGRAM")]
    programs: Vec<String>,
    /// Go on from a state that gdb's `monitor save FILE` wrote, instead of booting; the programs are those it was booted with
    #[arg(long, value_name = "FILE", conflicts_with_all = ["programs", "clock", "memory", "images", "net", "pcap"])]
    restore: Option<PathBuf>,
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
    /// Run an image of this directory, which `build --release-images` made, and build nothing
    #[arg(long, value_name = "DIRECTORY")]
    images: Option<PathBuf>,
    /// Connect its Ethernet: to as many machines of the same kind, with the same programs, as make N; to a station that sends frames as programs ask it to (peer); to QEMU's network for users without rights, which answers DHCP and DNS, and passes connections to a port of this host on to one of the machine's, if two are named (user:HERE:THERE); or to another emulator, by a tunnel of UDP between two ports of this host, each datagram a frame (udp:HERE:THERE). Several with commas between
    ///
    /// Nothing of it takes root, and but for QEMU's network nothing leaves this host. With a tunnel or QEMU's network time goes at the wall's pace. At the other end may be
    /// this command for another machine, with the ports changed over; QEMU with `-netdev
    /// socket,id=N,udp=127.0.0.1:HERE,localaddr=127.0.0.1:THERE`; or GXemul with `net(local_port(THERE)
    /// add_remote("127.0.0.1:HERE"))` in its configuration. Only the model can be several machines, or have a station and
    /// a tunnel at once.
    #[arg(long, value_name = "N|peer|udp:HERE:THERE|user")]
    net: Option<Network>,
    /// Write each frame that passes to FILE, for Wireshark or tcpdump. GXemul can't
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
}

/// Builds, boots, shows the console, and fails unless the guest's verdict is pass.
pub fn run(workspace: &Workspace, arguments: &Arguments, quiet: bool) -> Result<()> {
    ensure!(arguments.restore.is_none() || arguments.machine == Machine::Decstation, "only the model restores a state");
    let restored =
        |file: &PathBuf| Ok::<_, anyhow::Error>(Arguments { programs: started_by(file)?, ..arguments.clone() });
    let restored = arguments.restore.as_ref().map(restored).transpose()?;
    let arguments = restored.as_ref().unwrap_or(arguments);
    let own = |project: &Project| Arguments { programs: vec![project.package.clone()], ..arguments.clone() };
    let of_project = workspace.project.as_ref().filter(|_| arguments.programs.is_empty() && arguments.images.is_none());
    let of_project = of_project.map(own);
    let arguments = of_project.as_ref().unwrap_or(arguments);
    arguments.cpu.check(&[arguments.machine])?;
    let bootable = bootable(workspace, arguments, quiet)?;
    if arguments.programs.is_empty() {
        return converse(arguments, &bootable);
    }
    let job = job(arguments, &bootable, Duration::from_secs(arguments.timeout));
    let symbols = &bootable.symbols;
    let run = boot_and_watch(arguments.machine, &job, symbols, |line| println!("{line}"))?;
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

/// What is to be booted: of a directory of images, or built first.
fn bootable(workspace: &Workspace, arguments: &Arguments, quiet: bool) -> Result<Bootable> {
    let machine = arguments.machine;
    if let Some(directory) = &arguments.images {
        ensure_all(workspace, &[Need::Machine(machine)])?;
        let release = Release::open(directory)?;
        release.check_machine(machine)?;
        return match &arguments.programs[..] {
            [] => release.image(SHELL),
            [program] => release.image(program),
            _ => bail!("an image starts what it was made for; name one of them"),
        };
    }
    ensure_all(workspace, &[Need::Compiler, Need::Machine(machine)])?;
    if arguments.programs.is_empty() {
        let (programs, _) = build::applications(workspace)?;
        let names: Vec<_> = programs.iter().map(String::as_str).collect();
        let guest = build::build_programs(workspace, &[machine], &names, quiet)?;
        return shell(workspace, &guest, machine);
    }
    let names: Vec<_> = arguments.programs.iter().map(|word| program_name(word)).collect();
    let guest = build::build_programs(workspace, &[machine], &names, quiet)?;
    let image = guest.write_image(workspace, machine, &image_name(&arguments.programs), &arguments.programs)?;
    // A program may say how many machines it is for.
    let network = Test::parse(names[0], names[0], &fs::read_to_string(&guest.program(names[0])?.source)?)?;
    let machines = network.and_then(|test| test.network).map_or(0, |network| network.machines);
    Ok(Bootable { machines, ..of_guest(workspace, &guest, machine, names[0], image, &arguments.programs)? })
}

/// The run that was asked for.
fn job<'a>(arguments: &'a Arguments, bootable: &'a Bootable, timeout: Duration) -> Job<'a> {
    let job = Job::new(&bootable.image, &bootable.arguments, timeout);
    let (polls, restore) = (bootable.polls.clone(), arguments.restore.as_deref());
    // A program may say how many machines it is for.
    let of_program = (bootable.machines > 0).then(|| Network { machines: bootable.machines, ..Network::default() });
    let mut network = arguments.net.clone().or(of_program);
    if arguments.pcap.is_some() {
        network.get_or_insert_default().pcap.clone_from(&arguments.pcap);
    }
    Job { memory: arguments.memory, clock: arguments.clock, cpu: arguments.cpu, polls, restore, network, ..job }
}

/// The first process of ExOS, which runs a shell.
const INIT: &str = "init";

/// A shell, with all programs of ExOS and all files.
pub fn shell(workspace: &Workspace, guest: &Guest, machine: Machine) -> Result<Bootable> {
    let (programs, files) = build::applications(workspace)?;
    let words = [INIT.to_owned()];
    let others: Vec<_> = programs.iter().chain(&files).cloned().collect();
    let archive = guest.archive_files_with(workspace, machine, &words, &others)?;
    let image = guest.write_image_of(workspace, machine, &image_name(&[]), &archive)?;
    of_guest(workspace, guest, machine, SHELL, image, &words)
}

/// Boots a shell, with the terminal as the machine's.
fn converse(arguments: &Arguments, bootable: &Bootable) -> Result<()> {
    let terminal = Terminal::open()?;
    let typed = Some(terminal.typed());
    // The other machines tell of marks only in a trace, which is slow.
    let watch = if arguments.machine.has_clock() { Watch::Marks } else { Watch::Console };
    let job = Job { typed, watch, ..job(arguments, bootable, Duration::from_secs(SESSION)) };
    let symbols = &bootable.symbols;
    let run = talk(arguments.machine, &job, symbols)?;
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
        /// What began last.
        begun: Option<Mark>,
    }
    impl Observer for Talking<'_> {
        fn console(&mut self, bytes: &[u8]) -> ControlFlow<()> {
            let mut output = std::io::stdout().lock();
            // If nobody sees it any more there is nobody to tell.
            let _ = output.write_all(bytes).and_then(|()| output.flush());
            self.console.take(bytes)
        }

        /// What a program has counted of another: `time` does.
        fn mark(&mut self, mark: Mark) {
            if mark.immediate & END == 0 {
                self.begun = Some(mark);
            } else if let Some(begun) = self.begun.take() {
                let instructions = mark.instructions - begun.instructions;
                let cycles = mark.cycles.zip(begun.cycles).map(|(end, begin)| format!(", {} cycles", end - begin));
                print!("{instructions} instructions{}\r\n", cycles.unwrap_or_default());
            }
        }
    }
    let mut talking = Talking { console: Console::new(symbols, |_| {}), begun: None };
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

    /// What a program or the kernel said first of why it failed, and what was compared, in one line.
    pub fn told(&self) -> Option<String> {
        let told = |text: &String| {
            text.contains(": panic: ")
                || text.contains(": fault: ")
                || text.starts_with(KERNEL) && text.contains(" pc=0x")
        };
        let first = self.lines.iter().position(told)?;
        // What was compared stands on lines of its own.
        let compared = self.lines[first + 1..].iter().take(2);
        let compared = compared.take_while(|line| line.contains("  left: ") || line.contains(" right: "));
        Some(compared.fold(self.lines[first].clone(), |text, line| format!("{text}, {}", line.trim())))
    }
}

/// Boots an image and follows it to its end, giving each line to `show` as it comes.
pub fn boot_and_watch(machine: Machine, job: &Job, symbols: &Symbols, show: impl FnMut(&str)) -> Result<Run> {
    boot_and_type(machine, job, symbols, &[], show)
}

/// The same, and types.
pub fn boot_and_type(
    machine: Machine,
    job: &Job,
    symbols: &Symbols,
    keys: &[Keys],
    show: impl FnMut(&str),
) -> Result<Run> {
    struct Watching<'a> {
        console: Console<'a>,
        longest: Option<Stretch>,
        typist: Typist<'a>,
    }
    impl Observer for Watching<'_> {
        fn console(&mut self, bytes: &[u8]) -> ControlFlow<()> {
            self.typist.sees(bytes);
            self.console.take(bytes)
        }

        fn longest(&mut self, stretch: Stretch) {
            self.longest = Some(stretch);
        }
    }
    let (typist, typed) = Typist::new(keys);
    let job = &Job { typed: typed.or_else(|| job.typed.clone()), ..job.clone() };
    let mut watch = Watching { console: Console::new(symbols, show), longest: None, typist };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_first_is_one_line() {
        let told = |lines: &[&str]| Run::of(lines, Some(Verdict::Fail)).told();
        let panic = "init: panic: assertion `left == right` failed";
        let compared = ["mark 1 table=x", panic, "  left: 1", " right: 2", "init: fault: trap", "aegis: verdict: fail"];
        assert_eq!(told(&compared), Some(format!("{panic}, left: 1, right: 2")));
        assert_eq!(told(&compared[4..]).as_deref(), Some("init: fault: trap"));
        let destroyed = "aegis: init: destroyed: overflow, unhandled, pc=0x00010000";
        assert_eq!(told(&["hello", destroyed]).as_deref(), Some(destroyed));
        assert_eq!(told(&["hello", "aegis: verdict: fail"]), None);
    }
}
