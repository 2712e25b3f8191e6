//! The machines that an image can be booted on.
//!
//! A machine takes an image and tells an [`Observer`] what the guest sends to its console and, if asked, each instruction that
//! it executes. It knows nothing about verdicts, symbols and counts.

pub mod child;
pub mod decstation;
mod door;
mod gateway;
mod gxemul;
mod gxemul_trace;
pub mod malta;
mod network;
mod qemu_trace;
mod segment;
mod station;

use std::fmt;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aegis_abi::mark::{END, ID_MASK, WORD};
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

pub use self::network::{Network, User};
use crate::build::{Board, program_name};

/// A machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Machine {
    /// The project's own model of an R3000 DECstation: exact, strict, timed
    Decstation,
    /// GXemul's DECstation 5000/200
    Gxemul,
    /// QEMU's Malta, with a MIPS32 processor
    Malta,
}

/// Whose clock and memory system a machine with a clock has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum, Serialize, Deserialize)]
#[value(rename_all = "snake_case")]
pub enum Clock {
    /// DECstation 2100, 12.5 MHz
    Dec2100,
    /// DECstation 3100, 16.67 MHz
    Dec3100,
    /// DECstation 5000/125, 25 MHz
    Dec5000,
    /// DECstation 5000/200, 25 MHz
    #[value(name = "dec5000_200")]
    Dec5000_200,
}

/// The processor that malta has. Either does: the kernel looks which it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Cpu {
    /// MIPS32, release 1
    #[default]
    #[value(name = "4Kc")]
    M4Kc,
    /// MIPS32, release 2
    #[value(name = "24Kc")]
    M24Kc,
}

/// How closely a run is watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watch {
    /// Only its console.
    Console,
    /// Its marks, too.
    Marks,
    /// And each instruction.
    Instructions,
}

/// A run to make.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The image, an ELF file.
    pub image: &'a Path,
    /// The boot arguments.
    pub arguments: &'a str,
    /// Megabytes of memory; the machine's own default if none.
    pub memory: Option<u32>,
    /// Time after which the run is ended: simulated on a machine with a clock, else by the wall.
    pub timeout: Duration,
    /// The clock, if the machine has one.
    pub clock: Clock,
    /// The processor, if there is a choice.
    pub cpu: Cpu,
    /// Other parameters of the model than those of the clock: to see how much depends on one.
    pub profile: Option<::decstation::Profile>,
    /// Whether the console's line takes no time, as GXemul's.
    pub instant_console: bool,
    /// Where the kernel polls for interrupts. Only the model needs to know, to tell its longest path.
    pub polls: Range<u32>,
    /// Whether both caches are empty whenever a program enters the kernel. Only the model does that.
    pub cold: bool,
    /// Addresses of the kernel at which they are emptied, too. Only the model on a network does that.
    pub chilled: Vec<u32>,
    /// A state that the model goes on from, instead of booting the image.
    pub restore: Option<&'a Path>,
    /// Whether the guest is not ours: what it does that silicon leaves undefined is counted and does not end the run. Only the
    /// model would mind.
    pub foreign: bool,
    /// What the observer is told.
    pub watch: Watch,
    /// What is typed at the console, by a person who wants it to go on at a clock's pace.
    pub typed: Option<Typed>,
    /// What its Ethernet is connected to, if to anything.
    pub network: Option<Network>,
}

/// What a person types while a machine runs.
#[derive(Clone, Debug)]
pub struct Typed {
    receiver: Arc<Mutex<Receiver<Vec<u8>>>>,
    left: Arc<AtomicBool>,
}

impl Typed {
    /// What comes from a channel, until the person has left.
    pub fn new(receiver: Receiver<Vec<u8>>, left: Arc<AtomicBool>) -> Self {
        Self { receiver: Arc::new(Mutex::new(receiver)), left }
    }

    /// What was typed since the last call; nothing if that takes longer than `limit`.
    pub fn take(&self, limit: Duration) -> Option<Vec<u8>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(limit).ok()
    }

    /// Whether the person has left.
    pub fn is_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }
}

impl<'a> Job<'a> {
    /// A run on the default clock with the default memory, of which only the console is watched.
    pub fn new(image: &'a Path, arguments: &'a str, timeout: Duration) -> Self {
        Self {
            image,
            arguments,
            memory: None,
            timeout,
            clock: Clock::Dec5000_200,
            cpu: Cpu::default(),
            profile: None,
            instant_console: false,
            polls: 0..0,
            cold: false,
            chilled: Vec::new(),
            restore: None,
            foreign: false,
            watch: Watch::Console,
            typed: None,
            network: None,
        }
    }

    /// The name of the program that is started first.
    pub fn first_program(&self) -> &'a str {
        program_name(self.arguments.split(' ').next().unwrap_or_default())
    }
}

/// The guest executed a mark ([`aegis_abi::mark`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    /// The immediate of its instruction.
    pub immediate: u32,
    /// Instructions executed before it, marks not counted.
    pub instructions: u64,
    /// Cycles passed before it, on a machine with a clock; each mark is counted as one.
    pub cycles: Option<u64>,
}

/// An instruction that the guest executes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// Its virtual address.
    pub address: u32,
    /// Its word.
    pub word: u32,
    /// Whether it is in user mode; only on a machine that tells.
    pub user: Option<bool>,
    /// Cycles passed before it, on a machine with a clock.
    pub cycles: Option<u64>,
}

impl Step {
    /// The mark's immediate, if it is one.
    pub fn mark(&self) -> Option<u32> {
        (self.word & !(END | ID_MASK) == WORD).then_some(self.word & (END | ID_MASK))
    }
}

/// Watches a run.
pub trait Observer {
    /// The guest sent these bytes to its console. Break says that nothing more is expected: the machine has a moment to halt.
    fn console(&mut self, bytes: &[u8]) -> ControlFlow<()>;

    /// The guest executes a mark.
    fn mark(&mut self, _mark: Mark) {}

    /// The guest executes an instruction.
    fn instruction(&mut self, _step: Step) {}

    /// The kernel went from a program back to one; told if the job is a cold one.
    fn stretch(&mut self, _stretch: ::decstation::Stretch) {}

    /// The run is over, and the guest, which is not ours, broke a rule so many times.
    fn rule_broken(&mut self, _first: &str, _times: u64) {}

    /// The run is over, and this was the longest path of the kernel from a program back to one.
    fn longest(&mut self, _stretch: ::decstation::Stretch) {}
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// The machine stopped by itself, or was stopped after the observer's break.
    Stopped,
    /// Time ran out; where the guest was then, if the machine tells.
    TimedOut(Option<u32>),
    /// The guest did what it must not; the machine says what, with `pc=0x…`.
    Broken(String),
}

impl Cpu {
    /// Its name, as in `--cpu NAME`, and QEMU's.
    pub fn name(self) -> &'static str {
        match self {
            Self::M4Kc => "4Kc",
            Self::M24Kc => "24Kc",
        }
    }

    /// Fails if it was chosen and none of the machines has a choice.
    pub fn check(self, machines: &[Machine]) -> Result<()> {
        ensure!(self == Self::default() || machines.contains(&Machine::Malta), "only malta has a choice of processors");
        Ok(())
    }
}

impl Clock {
    /// Every clock.
    pub const ALL: [Self; 4] = [Self::Dec2100, Self::Dec3100, Self::Dec5000, Self::Dec5000_200];
    /// Those of the paper's machines.
    pub const PAPER: [Self; 3] = [Self::Dec2100, Self::Dec3100, Self::Dec5000];

    /// Its name, as in `--clock NAME`, and in the paper's data.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dec2100 => "dec2100",
            Self::Dec3100 => "dec3100",
            Self::Dec5000 => "dec5000",
            Self::Dec5000_200 => "dec5000_200",
        }
    }

    /// The parameters that are guessed of it.
    pub fn guesses(self) -> Vec<::decstation::guesses::Guess> {
        decstation::profile(self).guesses()
    }

    /// Its frequency in MHz.
    pub fn mhz(self) -> f64 {
        decstation::profile(self).hz as f64 / 1e6
    }
}

impl Machine {
    /// Every machine; the first is the default.
    pub const ALL: [Self; 3] = [Self::Decstation, Self::Gxemul, Self::Malta];

    /// Its name, as in `--machine NAME`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Decstation => "decstation",
            Self::Gxemul => "gxemul",
            Self::Malta => "malta",
        }
    }

    /// What kernel and loader have to be built for.
    pub fn board(self) -> Board {
        match self {
            Self::Decstation | Self::Gxemul => Board::Decstation,
            Self::Malta => Board::Malta,
        }
    }

    /// Whether it tells time.
    pub fn has_clock(self) -> bool {
        matches!(self, Self::Decstation)
    }

    /// The Debian packages it needs.
    pub fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Decstation => &[],
            Self::Gxemul => &gxemul::PACKAGES,
            Self::Malta => &malta::PACKAGES,
        }
    }

    /// Its version, or why it cannot be used.
    pub fn version(self) -> Result<String> {
        match self {
            Self::Decstation => Ok(decstation::version()),
            Self::Gxemul => gxemul::version(),
            Self::Malta => malta::version(),
        }
    }

    /// The command that makes the same run by hand.
    pub fn command_line(self, job: &Job) -> String {
        match self {
            Self::Decstation => decstation::command_line(job),
            Self::Gxemul => gxemul::command_line(job),
            Self::Malta => malta::command_line(job),
        }
    }

    /// Boots an image and watches it until it ends.
    pub fn run(self, job: &Job, observer: &mut dyn Observer) -> Result<End> {
        match self {
            Self::Decstation => decstation::run(job, observer),
            Self::Gxemul => gxemul::run(job, observer),
            Self::Malta => malta::run(job, observer),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
