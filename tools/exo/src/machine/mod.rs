//! The machines that an image can be booted on.
//!
//! A machine takes an image and tells an [`Observer`] what the guest sends to its console and, if asked, each instruction that
//! it executes. It knows nothing about verdicts, symbols and counts.

mod gxemul;
mod gxemul_trace;

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

/// A machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Machine {
    /// GXemul's DECstation 5000/200
    Gxemul,
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
    /// Wall-clock time after which the run is ended.
    pub timeout: Duration,
    /// Whether the observer is told about instructions.
    pub trace: bool,
}

/// Watches a run.
pub trait Observer {
    /// The guest sent these bytes to its console. Break says that nothing more is expected: the machine has a moment to halt.
    fn console(&mut self, bytes: &[u8]) -> ControlFlow<()>;

    /// The guest executes this instruction word at this virtual address.
    fn instruction(&mut self, _address: u32, _word: u32) {}
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The machine stopped by itself, or was stopped after the observer's break.
    Stopped,
    /// Time ran out.
    TimedOut,
}

impl Machine {
    /// Every machine; the first is the default.
    pub const ALL: [Self; 1] = [Self::Gxemul];

    /// Its name, as in `--machine NAME`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gxemul => "gxemul",
        }
    }

    /// The Debian packages it needs.
    pub fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Gxemul => &gxemul::PACKAGES,
        }
    }

    /// Its version, or why it cannot be used.
    pub fn version(self) -> Result<String> {
        match self {
            Self::Gxemul => gxemul::version(),
        }
    }

    /// The command that makes the same run by hand, if it is a command.
    pub fn command_line(self, job: &Job) -> Option<String> {
        match self {
            Self::Gxemul => Some(gxemul::command_line(job)),
        }
    }

    /// Boots an image and watches it until it ends.
    pub fn run(self, job: &Job, observer: &mut dyn Observer) -> Result<End> {
        match self {
            Self::Gxemul => gxemul::run(job, observer),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
