//! Booting Linux on each machine, and what its benchmark program says there.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::bench::measure::{self, Measured};
use crate::count::{Counter, Description};
use crate::machine::{Clock, End, Job, Machine, Mark, Observer, Watch, child, decstation};
use crate::process::tied_command;

/// Megabytes of memory that each machine has.
const MEMORY: u32 = 64;
/// The last thing that the first process says.
const END: &str = "ended with status ";

/// A run to make.
pub struct Boot<'a> {
    /// On which machine.
    pub machine: Machine,
    /// With which clock, if it is the model.
    pub clock: Clock,
    /// The kernel with its first files.
    pub image: &'a Path,
    /// What tells the kernel where those are.
    pub arguments: &'a str,
    /// Time after which it is ended.
    pub timeout: Duration,
}

/// Where lines are shown.
type Show<'a> = Box<dyn FnMut(&str) + Send + 'a>;

/// What there was to see of a run.
#[derive(Default)]
pub struct Seen<'a> {
    /// The lines on the console.
    pub lines: Vec<String>,
    /// What it broke of the model's rules: the first time, and how often.
    pub broken: Vec<(String, u64)>,
    line: Vec<u8>,
    counter: Counter,
    show: Option<Show<'a>>,
}

impl Observer for Seen<'_> {
    fn console(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        let mut flow = ControlFlow::Continue(());
        for &byte in bytes {
            match byte {
                b'\n' => {
                    let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).trim_end().to_owned();
                    if let Some(show) = &mut self.show {
                        show(&line);
                    }
                    if line.starts_with(END) {
                        flow = ControlFlow::Break(());
                    }
                    self.lines.push(line);
                }
                // Nothing that the program says is longer.
                byte if self.line.len() < 1024 => self.line.push(byte),
                _ => {}
            }
        }
        flow
    }

    fn mark(&mut self, mark: Mark) {
        self.counter.mark(mark);
    }

    fn rule_broken(&mut self, first: &str, times: u64) {
        self.broken.push((first.to_owned(), times));
    }
}

impl Seen<'_> {
    /// What was counted between marks.
    pub fn marked(self, clock: Clock) -> Result<Vec<Measured>> {
        measure::interpret(&self.lines, self.counter.finish().context("the marks of its program")?, Some(clock))
    }

    /// Instructions a round of each loop, as the program's clock has them.
    pub fn clocked(&self) -> Result<Vec<Clocked>> {
        let mut described = BTreeMap::new();
        let mut clocked: Vec<Clocked> = Vec::new();
        for line in &self.lines {
            if let Some(description) = Description::parse(line)? {
                described.insert(description.id, description);
            }
            if let Some(rest) = line.strip_prefix("took ") {
                let (id, instructions) = took(rest).with_context(|| format!("the line {line:?} tells no count"))?;
                let Description { table, op, .. } =
                    described.remove(&id).with_context(|| format!("mark {id} is measured twice, or not described"))?;
                clocked.push(Clocked { table, op, instructions });
            }
        }
        Ok(clocked)
    }
}

/// What a clock has of an operation.
#[derive(Clone, PartialEq, Debug)]
pub struct Clocked {
    /// The table that it belongs to.
    pub table: String,
    /// Its name.
    pub op: String,
    /// Instructions a round of its loop.
    pub instructions: f64,
}

/// Reads `ID rounds=N instructions=N`.
fn took(text: &str) -> Option<(u32, f64)> {
    let mut words = text.split(' ');
    let id = words.next()?.parse().ok()?;
    let rounds: u32 = words.next()?.strip_prefix("rounds=")?.parse().ok()?;
    let instructions: u64 = words.next()?.strip_prefix("instructions=")?.parse().ok()?;
    (rounds > 0 && words.next().is_none()).then(|| (id, instructions as f64 / f64::from(rounds)))
}

/// What the kernel says that it is, when it starts.
pub fn kernel_version(lines: &[String]) -> Result<String> {
    let line = lines.iter().find_map(|line| Some(line.split_once("Linux version ")?.1));
    let version = line.and_then(|line| line.split(' ').next()).context("it says no version")?;
    Ok(format!("Linux {version}"))
}

/// Boots it, until its program has measured all.
pub fn run<'a>(boot: &Boot, show: impl FnMut(&str) + Send + 'a) -> Result<Seen<'a>> {
    let (console, clock) = match boot.machine {
        Machine::Decstation => ("ttyS3", "marks"),
        Machine::Gxemul => ("ttyS3", "mp"),
        Machine::Malta => ("ttyS0", "ns"),
    };
    let arguments = format!("console={console} {} meter={clock}", boot.arguments);
    let job = Job {
        memory: Some(MEMORY),
        clock: boot.clock,
        watch: Watch::Marks,
        foreign: true,
        ..Job::new(boot.image, &arguments, boot.timeout)
    };
    let mut seen = Seen { show: Some(Box::new(show)), ..Seen::default() };
    let end = match boot.machine {
        Machine::Decstation => decstation::run(&job, &mut seen)?,
        Machine::Gxemul => {
            child::run(gxemul(&job), &job, |reader, judged| child::read_console(reader, &mut seen, judged))?
        }
        Machine::Malta => {
            child::run(malta(&job), &job, |reader, judged| child::read_console(reader, &mut seen, judged))?
        }
    };
    seen.show = None;
    let last = || seen.lines.iter().rfind(|line| !line.is_empty()).map_or("nothing", String::as_str);
    match end {
        End::Stopped => {}
        End::TimedOut(_) => {
            bail!("it has not come to its end within {} s, and said last: {}", boot.timeout.as_secs(), last())
        }
        End::Broken(why) => bail!("{why}; it said last: {}", last()),
    }
    let status = seen.lines.iter().find_map(|line| line.strip_prefix(END));
    ensure!(status == Some("0"), "its program failed, and said last: {}", last());
    Ok(seen)
}

/// GXemul with a device that counts instructions.
fn gxemul(job: &Job) -> Command {
    let mut gxemul = tied_command("stdbuf");
    gxemul.args(["-oL", "gxemul", "-q", "-A", "-e", "3max", "-M", &MEMORY.to_string()]);
    gxemul.args(["-c", "device add mp addr=0x1d000000 irq=6", "-o", job.arguments]).arg(job.image);
    gxemul
}

/// QEMU, whose instructions take a nanosecond each, by all its clocks.
fn malta(job: &Job) -> Command {
    let mut qemu = tied_command("qemu-system-mipsel");
    qemu.args(["-icount", "shift=0,sleep=off", "-rtc", "clock=vm"]);
    qemu.args(["-M", "malta", "-cpu", job.cpu.name(), "-m", &MEMORY.to_string()]);
    qemu.args(["-nodefaults", "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot"]);
    qemu.arg("-kernel").arg(job.image).args(["-append", job.arguments]);
    qemu
}

#[cfg(test)]
pub mod tests {
    use std::fs;

    use super::*;
    use crate::baseline::image;
    use crate::build::Board;
    use crate::count::Window;
    use crate::image::parse;
    use crate::linux::Linux;
    use crate::workspace::Workspace;

    /// One window for each id, of so many instructions.
    pub fn windows(counts: &[(u32, u64)]) -> BTreeMap<u32, Vec<Window>> {
        counts.iter().map(|&(id, instructions)| (id, vec![Window { instructions, cycles: None }])).collect()
    }

    fn seen(text: &str) -> Seen<'static> {
        let mut seen = Seen::default();
        // In whatever pieces it comes.
        let flow = text.as_bytes().chunks(7).map(|piece| seen.console(piece)).last();
        assert_eq!(flow, Some(ControlFlow::Continue(())));
        seen
    }

    const DESCRIBED: &str = "mark 11 table=4 op=syscall system=linux how=getpid\r\n";

    #[test]
    fn counts_of_a_clock_are_read() {
        let seen = seen(&format!("Linux\r\n{DESCRIBED}took 11 rounds=1000 instructions=189170\r\n"));
        let expected = Clocked { table: "4".to_owned(), op: "syscall".to_owned(), instructions: 189.17 };
        assert_eq!(seen.clocked().unwrap(), [expected]);
        assert_eq!(seen.lines.len(), 3);
    }

    #[test]
    fn wrong_counts_are_refused() {
        for wrong in [
            "took 11",
            "took 11 rounds=0 instructions=3",
            "took 11 rounds=4 instructions=x",
            "took 11 rounds=4 instructions=3 more",
            "took 12 rounds=4 instructions=3",
            "took 11 rounds=4 instructions=3\ntook 11 rounds=4 instructions=3",
        ] {
            assert!(seen(&format!("{DESCRIBED}{wrong}\n")).clocked().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_end_is_seen() {
        let mut seen = Seen::default();
        assert_eq!(seen.console(b"ended with status 0"), ControlFlow::Continue(()));
        assert_eq!(seen.console(b"\r\n"), ControlFlow::Break(()));
    }

    #[test]
    fn the_kernel_tells_its_version() {
        let lines = ["", "[    0.000000] Linux version 6.1.192 (exo@exo) (gcc 12) #1"].map(str::to_owned);
        assert_eq!(kernel_version(&lines).unwrap(), "Linux 6.1.192");
        assert!(kernel_version(&lines[..1]).is_err());
    }

    #[test]
    #[ignore = "needs the kernel that `cargo exo baseline` builds"]
    fn the_model_boots_linux_and_counts_what_is_kept() {
        let image = Workspace::find().unwrap().images().join(image::name(Board::Decstation)).with_extension("elf");
        let file = fs::read(&image).expect("`cargo exo baseline` makes it");
        let archive = parse(&file).unwrap().program_headers.last().unwrap().file_range();
        let arguments = image::archive_arguments(&file[archive]);
        let boot = Boot {
            machine: Machine::Decstation,
            clock: Clock::Dec5000,
            image: &image,
            arguments: &arguments,
            timeout: Duration::from_secs(900),
        };
        let linux = Linux::read().unwrap();
        let seen = run(&boot, |_| ()).unwrap();
        assert_eq!(kernel_version(&seen.lines).unwrap(), linux.versions["kernel"]);
        for one in seen.marked(Clock::Dec5000).unwrap() {
            let kept = linux.op(&one.description.table, &one.description.op).unwrap();
            assert_eq!(one.summary.median, kept.instructions, "{}", one.description.op);
        }
    }
}
