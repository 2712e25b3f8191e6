//! `cargo exo`: sets up what is missing, builds, boots, tests and measures Aegis.
//!
//! Every error is one line on standard error that says what is wrong and what to do, and a non-zero exit status.

mod bench;
mod boot_tests;
mod bounds;
mod build;
mod console;
mod count;
mod directives;
mod doctor;
mod faults;
mod figure;
mod gdb;
mod hazards;
mod host_tests;
mod image;
mod key;
mod latency;
mod lint;
mod lockstep;
mod machine;
mod paper;
mod process;
mod progress;
mod random;
mod run;
mod setup;
mod symbols;
mod terminal;
mod test;
mod toolchain;
mod trace;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::machine::Machine;
use crate::setup::Need;
use crate::workspace::Workspace;

/// Sets up what is missing, builds, boots, tests and measures Aegis, the exokernel
#[derive(Debug, Parser)]
#[command(name = "exo", bin_name = "cargo exo", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Show no progress
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build kernel, loader and programs, and check them for pipeline hazards
    ///
    /// The ELF files are in target/mips/mips-r3000/guest, those for malta in target/mips/malta/mips-r3000/guest, the images of the runs made so far in target/mips/images.
    Build,
    /// Boot programs, show the console and exit with the guest's verdict
    Run(run::Arguments),
    /// Test everything, on the host and on the machines
    Test(test::Arguments),
    /// Measure the paper's tables
    Bench(bench::Arguments),
    /// Make arbitrary calls, with the kernel's audit all the while; a run that fails is made small and kept
    ///
    /// It runs on the model.
    Random(random::Arguments),
    /// Measure how long each way into the kernel keeps it at most, with cold caches, and compare with tests/bounds.toml
    Bounds(bounds::Arguments),
    /// Follow one execution of a measured operation, instruction by instruction
    ///
    /// It runs on the model. Each line has the cycles that the instruction took, stalls included.
    Trace(trace::Arguments),
    /// Debug kernel and programs on malta, source line by source line
    ///
    /// gdb comes up where the program's main begins, with the symbols of kernel, loader and program.
    Gdb(gdb::Arguments),
    /// Check formatting, lints and the guest's machine code
    Lint,
    /// Tell what is installed, in which version, and how to get what is missing
    ///
    /// The guest is built with the first usable toolchain of the list. The environment variable EXO_TOOLCHAIN chooses another
    /// one by a part of its name.
    Doctor,
    /// Install what is missing
    ///
    /// That takes root and apt-get; without, the command to type is printed. The other commands do the same by themselves for what they need.
    Setup,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return wrong_arguments(&error),
    };
    match dispatch(&cli) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("exo: error: {}", one_line(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: &Cli) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    match &cli.command {
        Command::Build => build::build(&workspace, &Machine::ALL, cli.quiet).map(drop)?,
        Command::Run(arguments) => run::run(&workspace, arguments, cli.quiet)?,
        Command::Test(arguments) => return test::run(&workspace, arguments, cli.quiet),
        Command::Bench(arguments) => bench::run(&workspace, arguments, cli.quiet)?,
        Command::Random(arguments) => random::run(&workspace, arguments, cli.quiet)?,
        Command::Bounds(arguments) => bounds::run(&workspace, arguments, cli.quiet)?,
        Command::Trace(arguments) => trace::run(&workspace, arguments, cli.quiet)?,
        Command::Gdb(arguments) => gdb::run(&workspace, arguments, cli.quiet)?,
        Command::Lint => lint::run(&workspace, cli.quiet)?,
        Command::Doctor => doctor::run(&workspace)?,
        Command::Setup => setup::ensure_all(&workspace, &Need::all())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Help is printed as it is; a mistake becomes one line.
fn wrong_arguments(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp => {
            print!("{error}");
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            eprint!("{error}");
            ExitCode::from(2)
        }
        _ => {
            let text = error.to_string();
            let message = text.split("\n\nUsage:").next().unwrap_or_default();
            let message = message.split("\n\nFor more information").next().unwrap_or_default();
            let message = one_line(message.trim_start_matches("error: "));
            eprintln!("exo: error: {message}; `cargo exo --help` and `cargo exo COMMAND --help` tell more");
            ExitCode::from(2)
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
