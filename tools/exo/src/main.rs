//! `cargo exo`: sets up what is missing, builds, boots, tests and measures Aegis.
//!
//! Every error is one line on standard error that says what is wrong and what to do, and a non-zero exit status.

mod baseline;
mod bench;
mod book;
mod boot_tests;
mod bootable;
mod bounds;
mod build;
mod c_library;
mod calls;
mod console;
mod count;
mod crossings;
mod directives;
mod doctor;
mod faults;
mod figure;
mod file_server;
mod gdb;
mod gdb_stub;
mod handler_times;
mod hazards;
mod host_end;
mod host_tests;
mod image;
mod interface;
mod key;
mod lab;
mod lab_tests;
mod latency;
mod lint;
mod linux;
mod lockstep;
mod machine;
mod new;
mod new_tests;
mod paper;
mod parts;
mod peer;
mod ports;
mod process;
mod progress;
mod random;
mod release;
mod release_tests;
mod report;
mod run;
mod setup;
mod shown;
mod symbols;
mod terminal;
mod test;
mod timeline;
mod toolchain;
mod top;
mod trace;
mod trace_tests;
mod typist;
mod visitors;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

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
    Build(build::Arguments),
    /// Boot programs, show the console and exit with the guest's verdict
    Run(run::Arguments),
    /// Test everything, on the host and on the machines
    Test(test::Arguments),
    /// Measure the paper's tables
    Bench(bench::Arguments),
    /// Measure Linux on the same machines, and keep the numbers that `bench` shows beside ours
    ///
    /// It is built from Debian's source package, below target/baseline: that takes some minutes and 2 GB. What is done already
    /// is not repeated.
    Baseline(baseline::Arguments),
    /// Make arbitrary calls, with the kernel's audit all the while; a run that fails is made small and kept
    ///
    /// It runs on the model.
    Random(random::Arguments),
    /// Measure how long each way into the kernel keeps it at most, with cold caches, and compare with tests/bounds.toml
    Bounds(bounds::Arguments),
    /// Follow one execution of a measured operation, instruction by instruction; or a whole run, call by call
    ///
    /// It runs on the model. Each line has the cycles that the instruction took, stalls included. With --json or --calls
    /// a whole run of any program is followed.
    Trace(trace::Arguments),
    /// Debug kernel and programs, source line by source line
    ///
    /// gdb comes up where the program's main begins, with the symbols of kernel, loader and program. On the model it goes
    /// back as well (reverse-step, reverse-continue), and `monitor help` lists what else there is. See docs/debugging.md.
    Gdb(gdb::Arguments),
    /// Watch slices, environments, frames and TLB of a program while it runs on the model
    ///
    /// q ends, the space bar halts and goes on, + and - change the speed.
    Top(top::Arguments),
    /// Serves gdb, for `gdb`
    #[command(name = gdb_stub::COMMAND, hide = true)]
    GdbStub(gdb_stub::Arguments),
    /// Make a crate of a library operating system of your own, which builds, boots, runs its test and its benchmark at once
    ///
    /// In that crate's directory `cargo exo` is about the crate: `run` boots its program, `test` and `bench` take its programs whose
    /// names end with _test and _bench, and `trace`, `gdb` and `top` know them all. Kernel and libraries are this tree's, whichever
    /// directory the crate is in. See docs/write-your-own.md.
    New(new::Arguments),
    /// Exercises for a course: begin one, and grade it on the model
    ///
    /// A lab is a crate with a part of Aegis or ExOS cut out, which is to be written again. Its assignment is docs/labs/N.md; the grader
    /// uses what was written, misuses it, and plants faults. Without a directory it grades the tree's own solution.
    Lab(lab::Arguments),
    /// Write the header for C and the reference of all calls anew, from aegis/abi, and the line numbers of links in docs
    Interface,
    /// Check formatting, lints and the guest's machine code; in a crate of its own, that crate's
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
        Command::Build(arguments) => build::run(&workspace, arguments, cli.quiet)?,
        Command::Run(arguments) => run::run(&workspace, arguments, cli.quiet)?,
        Command::Test(arguments) => return test::run(&workspace, arguments, cli.quiet),
        Command::Bench(arguments) => bench::run(&workspace, arguments, cli.quiet)?,
        Command::Baseline(arguments) => baseline::run(&workspace, arguments, cli.quiet)?,
        Command::Random(arguments) => random::run(&workspace, arguments, cli.quiet)?,
        Command::Bounds(arguments) => bounds::run(&workspace, arguments, cli.quiet)?,
        Command::Trace(arguments) => trace::run(&workspace, arguments, cli.quiet)?,
        Command::Gdb(arguments) => gdb::run(&workspace, arguments, cli.quiet)?,
        Command::Top(arguments) => top::run(&workspace, arguments, cli.quiet)?,
        Command::GdbStub(arguments) => gdb_stub::run(arguments)?,
        Command::New(arguments) => new::run(&workspace, arguments)?,
        Command::Lab(arguments) => lab::run(&workspace, arguments, cli.quiet)?,
        Command::Interface => interface::run(&workspace)?,
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
