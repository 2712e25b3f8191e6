//! `test`: everything that can be checked, each test in a process or on a machine of its own, in parallel.

use std::collections::BTreeSet;
use std::fs;
use std::process::ExitCode;
use std::sync::Arc;

use aegis_abi::boot::PROGRAM_PREFIX;
use anyhow::{Context, Result, ensure};
use libtest_mimic::{Failed, Trial};

use crate::build::{self, Guest, Kind};
use crate::directives::Test;
use crate::latency::{self, Longest};
use crate::machine::{Cpu, Job, Machine};
use crate::run::{boot_and_watch, repeat};
use crate::setup::{Need, ensure_all};
use crate::workspace::Workspace;
use crate::{bench, boot_tests, bounds, faults, gdb, host_tests, key, lockstep, random};

/// What `test` is asked for.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Run the tests whose names contain one of these; names begin with an area (boot, model, aegis, exos, mini, inject,
    /// hostile, bench, gdb, host)
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    /// The machine to boot; all by default
    #[arg(long, value_enum)]
    machine: Option<Machine>,
    /// The processor of malta
    #[arg(long, value_enum, default_value_t)]
    cpu: Cpu,
    /// List the tests and run none
    #[arg(long)]
    list: bool,
    /// A filter is a whole name
    #[arg(long)]
    exact: bool,
    /// How many tests run at a time; by default as many as there are processors
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    test_threads: Option<u16>,
}

/// What the names of tests on machines begin with.
const MACHINE_AREAS: [&str; 9] = ["aegis", "bench", "boot", "exos", "gdb", "hostile", "inject", "mini", "model"];

/// Those of them that have tests which are no programs.
const OTHER_AREAS: [&str; 4] = ["bench", "boot", "gdb", "model"];

/// What all tests on machines share.
pub struct Bench {
    /// The source tree.
    pub workspace: Workspace,
    /// What was built.
    pub guest: Guest,
    /// The processor of malta.
    pub cpu: Cpu,
}

/// Runs the tests that were asked for.
pub fn run(workspace: &Workspace, arguments: &Arguments, quiet: bool) -> Result<ExitCode> {
    // What is surely not wanted need not be built.
    let of_host = |filter: &String| filter.split(':').next() == Some(host_tests::AREA.trim_end_matches(':'));
    let of_machine = |filter: &String| MACHINE_AREAS.iter().any(|area| filter.starts_with(area));
    let all = arguments.filters.is_empty();
    let mut trials = Vec::new();
    if all || !arguments.filters.iter().all(of_host) {
        trials.extend(machine_trials(workspace, arguments, quiet)?);
    }
    if all || !arguments.filters.iter().all(of_machine) {
        trials.extend(host_tests::trials(workspace, quiet)?);
    }
    trials.retain(|trial| {
        let matches = |filter: &String| match arguments.exact {
            true => trial.name() == filter,
            false => trial.name().contains(filter.as_str()),
        };
        all || arguments.filters.iter().any(matches)
    });
    ensure!(!trials.is_empty(), "no test has such a name; `cargo exo test --list` shows all");
    trials.sort_by(|one, other| one.name().cmp(other.name()));
    let options = libtest_mimic::Arguments {
        list: arguments.list,
        quiet,
        test_threads: arguments.test_threads.map(usize::from),
        ..Default::default()
    };
    Ok(libtest_mimic::run(&options, trials).exit_code())
}

fn machine_trials(workspace: &Workspace, arguments: &Arguments, quiet: bool) -> Result<Vec<Trial>> {
    let machines = arguments.machine.map_or(Machine::ALL.to_vec(), |machine| vec![machine]);
    arguments.cpu.check(&machines)?;
    let mut needs = vec![Need::Compiler, Need::Witness];
    needs.extend(machines.iter().copied().map(Need::Machine));
    needs.extend(machines.contains(&Machine::Malta).then_some(Need::Debugger));
    ensure_all(workspace, &needs)?;
    let names = wanted_programs(workspace, &arguments.filters)?;
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let guest = build::build_programs(workspace, &machines, &names, quiet)?;
    let bench = Arc::new(Bench { workspace: workspace.clone(), guest, cpu: arguments.cpu });
    let mut trials = Vec::new();
    for &machine in &machines {
        let usual = machine != Machine::Malta || arguments.cpu == Cpu::default();
        let suffix = if usual { format!("@{machine}") } else { format!("@{machine}-{}", arguments.cpu.name()) };
        trials.extend(program_trials(&bench, machine, &suffix)?);
        trials.extend(boot_tests::trials(&bench, machine, &suffix));
        // What is counted is counted on the usual processor.
        if usual {
            trials.extend(bench::trials(&bench, machine, &suffix));
        }
    }
    if machines.contains(&Machine::Decstation) {
        trials.extend(faults::trials(&bench));
        trials.extend(random::trials(&bench));
        trials.extend(key::trials(&bench));
        trials.extend(bounds::trials(&bench));
    }
    if machines.contains(&Machine::Malta) {
        trials.extend(gdb::trials(&bench));
    }
    if arguments.machine.is_none() {
        trials.extend(bench::agreement(&bench, [Machine::Decstation, Machine::Gxemul]));
        trials.extend(lockstep::trials(&bench));
    }
    Ok(trials)
}

/// The programs that are needed if the filters name whole areas in which all tests are programs; else none, for all.
fn wanted_programs(workspace: &Workspace, filters: &[String]) -> Result<Vec<String>> {
    let of_programs = |filter: &String| {
        let of_area = |(area, _)| MACHINE_AREAS.contains(&area) && !OTHER_AREAS.contains(&area);
        filter.split_once("::").is_some_and(of_area) || !faults::programs(filter).is_empty()
    };
    let mut names: BTreeSet<String> =
        filters.iter().flat_map(|filter| faults::programs(filter)).map(str::to_owned).collect();
    if !filters.iter().all(of_programs) {
        return Ok(Vec::new());
    }
    let directory = workspace.root.join("tests/src/bin");
    for entry in fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))? {
        let path = entry?.path();
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
        if filters.iter().any(|filter| trial_name(name).contains(filter.as_str())) {
            let source = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let Some(test) = Test::parse(name, name, &source)? else { continue };
            names.insert(name.to_owned());
            names.extend(test.run.iter().map(|word| build::program_name(word).to_owned()));
            let is_program = |name: &&String| build::source_of(workspace, name).is_some();
            names.extend(test.archive.iter().filter(is_program).cloned());
        }
    }
    Ok(names.into_iter().collect())
}

/// The tests that are programs.
fn program_trials(bench: &Arc<Bench>, machine: Machine, suffix: &str) -> Result<Vec<Trial>> {
    let mut trials = Vec::new();
    for (name, program) in bench.guest.programs.iter().filter(|(_, program)| program.kind == Kind::Test) {
        let path = bench.workspace.show(&program.source).to_string_lossy().into_owned();
        let source = fs::read_to_string(&program.source).with_context(|| format!("cannot read {path}"))?;
        let Some(test) = Test::parse(name, &path, &source)? else { continue };
        let ignored = test.ignored.contains(&machine);
        let (bench, program) = (Arc::clone(bench), name.clone());
        let run = move || bench.boot(machine, &program, &test);
        trials.push(Trial::test(trial_name(name) + suffix, run).with_ignored_flag(ignored));
    }
    Ok(trials)
}

/// `aegis_fault_spin` is `fault_spin` in the area `aegis`.
fn trial_name(program: &str) -> String {
    program.replacen('_', "::", 1)
}

impl Bench {
    /// Boots what a test names and compares.
    fn boot(&self, machine: Machine, name: &str, test: &Test) -> Result<(), Failed> {
        let image = || {
            let mut files = self.guest.archive_files_with(&self.workspace, machine, &test.run, &test.archive)?;
            for damaged in &test.damaged {
                let of = format!("{PROGRAM_PREFIX}{}", damaged.of);
                let (_, file) =
                    files.iter().find(|(name, _)| *name == of).context("a copy of what is not in the archive")?;
                files.push((format!("{PROGRAM_PREFIX}{}", damaged.name), damaged.damage(file.clone())?));
            }
            self.guest.write_image_of(&self.workspace, machine, &format!("{machine}-{name}"), &files)
        };
        let arguments = || build::boot_arguments(&test.run);
        let (image, arguments) = match image().and_then(|image| Ok((image, arguments()?))) {
            Ok(ready) => ready,
            Err(error) => return Err(format!("{error:#}").into()),
        };
        let job = Job { clock: latency::CLOCK, ..Job::new(&image, &arguments, test.timeout) };
        self.run(machine, &job, test)
    }

    /// Makes a run and compares it with what a test, and the bound on the kernel's paths, expect. A failure shows the
    /// end of the console.
    pub fn run(&self, machine: Machine, job: &Job, test: &Test) -> Result<(), Failed> {
        const TAIL: usize = 30;
        let symbols = self.guest.symbols(&self.workspace, machine);
        let job = &Job { cpu: self.cpu, ..job.clone() };
        let run = boot_and_watch(machine, job, &symbols, |_| {}).map_err(|error| format!("{error:#}"))?;
        let bounded = || run.longest.as_ref().map_or(Ok(()), Longest::check);
        let Err(error) = test.check(&run).and_then(|()| bounded()) else { return Ok(()) };
        let skipped = run.lines.len().saturating_sub(TAIL);
        let mut message = format!("{error:#}\n");
        if skipped > 0 {
            message.push_str(&format!("    ({skipped} lines before)\n"));
        }
        run.lines[skipped..].iter().for_each(|line| message.push_str(&format!("    {line}\n")));
        message.push_str(&repeat(machine, job, &self.workspace));
        Err(message.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_with_the_area() {
        assert_eq!(trial_name("aegis_fault_spin"), "aegis::fault_spin");
        assert_eq!(trial_name("boot_hello"), "boot::hello");
    }
}
