//! A run of the model as the crossings of the line between programs and kernel: each way in and each way out.

use std::time::Duration;

use aegis_abi::call::{ALL, NUMBER_MASK};
use aegis_abi::exception::Code;
use anyhow::{Result, bail};
use decstation::{Break, Breaks, Limits, Machine, Stop};

use crate::build::{self, Guest};
use crate::console::Console;
use crate::directives::Test;
use crate::machine::{Clock, End, Job, decstation as model};
use crate::run::conclude;
use crate::shown::{Environment, Shown};
use crate::symbols::Symbols;
use crate::workspace::Workspace;

/// The code of a system call, as Cause has it.
const SYSTEM_CALL: u32 = 8;

/// How the kernel was entered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Way {
    /// A system call, with its number and `$v1`, `$a0` to `$a3`.
    Call(u32, [u32; 5]),
    /// A miss of the TLB, or an entry that is not valid, with the address.
    Miss(u32),
    /// An interrupt.
    Interrupt,
    /// Another exception, by its code.
    Exception(u32),
}

/// A path through the kernel, from a program to a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path {
    /// Who came in.
    pub from: Option<Environment>,
    /// How.
    pub way: Way,
    /// The instruction that did.
    pub pc: u32,
    /// The cycle.
    pub entered: u64,
    /// Who runs next; nobody if the machine has come to its end.
    pub to: Option<Environment>,
    /// Its first instruction.
    pub next: u32,
    /// Its `$v0` and `$v1`.
    pub result: [u32; 2],
    /// The cycle.
    pub left: u64,
    /// The slice that is running then.
    pub ticks: u32,
}

impl Way {
    /// Its name: that of a call, or what happened.
    pub fn name(&self) -> String {
        match self {
            Way::Call(number, _) => {
                let known = ALL.iter().find(|(_, known)| *known == number & NUMBER_MASK);
                known.map_or(format!("call {number:#x}"), |(name, _)| (*name).to_owned())
            }
            Way::Miss(_) => "miss".to_owned(),
            Way::Interrupt => "interrupt".to_owned(),
            Way::Exception(code) => {
                Code::handled(*code).map_or(format!("exception {code}"), |code| code.text().to_owned())
            }
        }
    }

    /// As the kernel is entered.
    fn of(machine: &Machine) -> Way {
        let cp0 = machine.cp0();
        match cp0.cause >> 2 & 31 {
            0 => Way::Interrupt,
            2 | 3 => Way::Miss(cp0.bad_vaddr),
            SYSTEM_CALL => Way::Call(machine.landed_register(2), [3, 4, 5, 6, 7].map(|i| machine.landed_register(i))),
            code => Way::Exception(code),
        }
    }
}

impl Path {
    /// Whether it came back to who came in.
    pub fn returns(&self) -> bool {
        self.from.as_ref().map(|from| from.id) == self.to.as_ref().map(|to| to.id)
    }
}

/// What is built and booted to follow it.
pub struct Boot {
    /// The image.
    pub image: std::path::PathBuf,
    /// Its arguments.
    pub arguments: String,
    /// The symbols of everything in it.
    pub symbols: Symbols,
}

impl Boot {
    /// Of a program, and what its source says that is to run with it.
    pub fn new(workspace: &Workspace, what: &str, program: &str, quiet: bool) -> Result<Self> {
        use crate::machine::Machine::Decstation;
        let (mut words, mut others) = (vec![program.to_owned()], Vec::new());
        if let Some(source) = build::source_of(workspace, program) {
            let path = workspace.show(&source).to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&source)?;
            if let Some(test) = Test::parse(program, &path, &text)? {
                (words, others) = (test.run, test.archive);
            }
        }
        let names = words.iter().map(|word| build::program_name(word));
        let is_program = |name: &&str| build::source_of(workspace, name).is_some();
        let names: Vec<_> = names.chain(others.iter().map(String::as_str).filter(is_program)).collect();
        let guest = build::build_programs(workspace, &[Decstation], &names, quiet)?;
        Self::of(workspace, &guest, &format!("{what}-{}", build::program_name(program)), &words, &others)
    }

    /// Of what was built, under a name of its own.
    pub fn of(workspace: &Workspace, guest: &Guest, name: &str, words: &[String], others: &[String]) -> Result<Self> {
        use crate::machine::Machine::Decstation;
        let files = guest.archive_files_with(workspace, Decstation, words, others)?;
        let image = guest.write_image_of(workspace, Decstation, name, &files)?;
        Ok(Self { image, arguments: build::boot_arguments(words)?, symbols: guest.symbols(workspace, Decstation) })
    }

    /// The run.
    pub fn job(&self, clock: Clock, timeout: Duration) -> Job<'_> {
        Job { clock, ..Job::new(&self.image, &self.arguments, timeout) }
    }
}

/// Follows a run to its end, showing each path and each line of the console; fails if it comes to no proper end.
pub fn follow(
    job: &Job,
    symbols: &Symbols,
    line: impl FnMut(&str),
    mut path: impl FnMut(&Machine, Path),
) -> Result<()> {
    /// Instructions between two looks at what the guest has printed.
    const CHUNK: u64 = 1 << 18;
    let mut machine = model::machine(job, 0)?;
    let mut console = Console::new(symbols, line);
    let limit = machine.config().profile.hz.saturating_mul(job.timeout.as_secs());
    let modes = Breaks { modes: true, ..Breaks::default() };
    let mut open: Option<Path> = None;
    let end = loop {
        let stop = machine.run_with(Limits::instructions(CHUNK), &modes);
        let _ = console.take(machine.take_output().as_bytes());
        match stop {
            Stop::Break(Break::Mode) if machine.user_mode() => {
                if let Some(open) = open.take() {
                    path(&machine, left(open, &machine));
                }
            }
            Stop::Break(_) => open = Some(entered(&machine)),
            Stop::Budget if machine.cycles() < limit => {}
            Stop::Budget => break End::TimedOut(Some(machine.pc())),
            Stop::Halted => break End::Stopped,
            stop => break End::Broken(machine.describe(&stop)),
        }
    };
    if let Some(open) = open {
        path(&machine, Path { left: machine.cycles(), ..open });
    }
    let run = conclude(console, end, job, symbols);
    run.judge()?;
    if run.verdict != Some(crate::console::Verdict::Pass) {
        bail!("the guest's verdict is fail");
    }
    Ok(())
}

/// The kernel is at its first instruction.
fn entered(machine: &Machine) -> Path {
    let shown = Shown(machine);
    Path {
        from: shown.running(),
        way: Way::of(machine),
        pc: machine.cp0().epc,
        entered: machine.cycles(),
        to: None,
        next: 0,
        result: [0; 2],
        left: machine.cycles(),
        ticks: shown.ticks(),
    }
}

/// The program is at its first instruction.
fn left(open: Path, machine: &Machine) -> Path {
    let shown = Shown(machine);
    Path {
        to: shown.running(),
        next: machine.pc(),
        result: [2, 3].map(|i| machine.landed_register(i)),
        left: machine.cycles(),
        ticks: shown.ticks(),
        ..open
    }
}
