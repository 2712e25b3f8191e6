//! `test`: everything that can be checked, each test in a process or on a machine of its own, in parallel.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::iter;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aegis_abi::boot::PROGRAM_PREFIX;
use anyhow::{Context, Result, ensure};
use libtest_mimic::{Completion, Failed, Trial};

use crate::build::{self, Guest, Kind};
use crate::directives::Test;
use crate::host_end::{HostEnd, Role};
use crate::latency::{self, Longest};
use crate::machine::{Clock, Cpu, Job, Machine};
use crate::run::{boot_and_type, repeat};
use crate::setup::{Need, ensure_all};
use crate::workspace::Workspace;
use crate::{
    bench, boot_tests, bounds, faults, gdb, host_tests, key, lab_tests, lockstep, new_tests, random, release_tests,
    trace_tests,
};

/// What `test` is asked for.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Run the tests whose names contain one of these; names begin with an area (boot, model, aegis, exos, mini, inject,
    /// hostile, bench, gdb, trace, new, lab, host)
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    /// The machine to boot; all by default, in a crate of its own the model
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
    /// Tell at the end which tests took longest, so many of them
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "10")]
    slowest: Option<usize>,
}

/// How long the tests took that have ended, by name.
static TOOK: Mutex<BTreeMap<String, Duration>> = Mutex::new(BTreeMap::new());

/// A test whose time is taken.
pub fn timed(name: impl Into<String>, run: impl FnOnce() -> Result<(), Failed> + Send + 'static) -> Trial {
    timed_if(name, || Ok(()), run)
}

/// As [`timed`], of one that is ignored if what it needs can't be had.
pub fn timed_if(
    name: impl Into<String>,
    prepare: impl FnOnce() -> Result<()> + Send + 'static,
    run: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let name = name.into();
    let of = name.clone();
    Trial::ignorable_test(name, move || {
        if let Err(error) = prepare() {
            return Ok(Completion::ignored_with(format!("{error:#}")));
        }
        let begun = Instant::now();
        let result = run();
        TOOK.lock().unwrap_or_else(PoisonError::into_inner).insert(of, begun.elapsed());
        result.map(|()| Completion::Completed)
    })
}

/// What the names of tests on machines begin with.
const MACHINE_AREAS: [&str; 12] =
    ["aegis", "bench", "boot", "exos", "gdb", "hostile", "inject", "lab", "mini", "model", "new", "trace"];

/// Those of them that have tests which are no programs.
const OTHER_AREAS: [&str; 7] = ["bench", "boot", "gdb", "lab", "model", "new", "trace"];

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
    if workspace.project.is_none() && (all || !arguments.filters.iter().all(of_machine)) {
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
    // What took long when it last ran begins first, so that nothing long is left alone in the end; then what is new.
    let file = workspace.target.join("test-times.json");
    let mut took: BTreeMap<String, u64> =
        fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    if !arguments.list {
        trials.sort_by_cached_key(|trial| (Reverse(took.get(trial.name()).copied()), trial.name().to_owned()));
    } else {
        trials.sort_by(|one, other| one.name().cmp(other.name()));
    }
    let options = libtest_mimic::Arguments {
        list: arguments.list,
        quiet,
        test_threads: arguments.test_threads.map(usize::from),
        ..Default::default()
    };
    let conclusion = libtest_mimic::run(&options, trials);
    let times = std::mem::take(&mut *TOOK.lock().unwrap_or_else(PoisonError::into_inner));
    took.extend(times.iter().map(|(name, time)| (name.clone(), time.as_millis() as u64)));
    // Without it the next run has another order, and nothing else.
    let _ = fs::write(&file, serde_json::to_vec(&took)?);
    if let Some(count) = arguments.slowest {
        let mut times: Vec<_> = times.into_iter().collect();
        times.sort_by_key(|(_, time)| Reverse(*time));
        let sum: Duration = times.iter().map(|(_, time)| *time).sum();
        println!("slowest of {} tests, which took {:.0} s one after the other:", times.len(), sum.as_secs_f64());
        times.iter().take(count).for_each(|(name, time)| println!("{:>7.1} s  {name}", time.as_secs_f64()));
        println!();
    }
    Ok(conclusion.exit_code())
}

fn machine_trials(workspace: &Workspace, arguments: &Arguments, quiet: bool) -> Result<Vec<Trial>> {
    let usual = if workspace.project.is_some() { vec![Machine::Decstation] } else { Machine::ALL.to_vec() };
    let machines = arguments.machine.map_or(usual, |machine| vec![machine]);
    arguments.cpu.check(&machines)?;
    let mut needs = vec![Need::Compiler];
    needs.extend(machines.iter().copied().map(Need::Machine));
    if workspace.project.is_none() {
        needs.push(Need::Witness);
        needs.extend(machines.iter().any(|&machine| machine != Machine::Gxemul).then_some(Need::Debugger));
    }
    ensure_all(workspace, &needs)?;
    if workspace.project.is_some() {
        let guest = build::build(workspace, &machines, quiet)?;
        let bench = Arc::new(Bench { workspace: workspace.clone(), guest, cpu: arguments.cpu });
        let trials = machines.iter().map(|&machine| program_trials(&bench, machine, &format!("@{machine}")));
        return Ok(trials.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect());
    }
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
        if machine != Machine::Gxemul {
            trials.extend(gdb::trials(&bench, machine, &suffix));
        }
        // What is counted is counted on the usual processor.
        if usual {
            trials.extend(bench::trials::trials(&bench, machine, &suffix));
        }
    }
    if machines.contains(&Machine::Decstation) {
        trials.extend(faults::trials(&bench));
        trials.extend(random::trials(&bench));
        trials.extend(key::trials(&bench));
        trials.extend(bounds::trials(&bench));
        trials.extend(release_tests::trials(&bench));
        trials.extend(trace_tests::trials(&bench));
        trials.extend(new_tests::trials(&bench));
        trials.extend(lab_tests::trials(&bench));
    }
    if arguments.machine.is_none() {
        trials.extend(bench::trials::agreement(&bench, [Machine::Decstation, Machine::Gxemul]));
        trials.extend(lockstep::trials(&bench));
    }
    Ok(trials)
}

/// Begins the names of tests of benchmark programs.
const BENCHMARKS: &str = "bench::";

/// Whether all that a filter can choose are tests of benchmark programs: those, or the released one.
fn of_benchmarks(filter: &str) -> bool {
    filter.starts_with(BENCHMARKS) || filter == release_tests::NAME
}

/// The programs that are needed if the filters name whole areas in which all tests are programs; else none, for all.
fn wanted_programs(workspace: &Workspace, filters: &[String]) -> Result<Vec<String>> {
    let of_programs = |filter: &String| {
        let of_area = |(area, _)| MACHINE_AREAS.contains(&area) && !OTHER_AREAS.contains(&area);
        filter.split_once("::").is_some_and(of_area) || !programs_of_models(filter).is_empty() || of_benchmarks(filter)
    };
    let mut names: BTreeSet<String> =
        filters.iter().flat_map(|filter| programs_of_models(filter)).map(str::to_owned).collect();
    if !filters.iter().all(of_programs) {
        return Ok(Vec::new());
    }
    if filters.iter().any(|filter| filter == release_tests::NAME) {
        names.insert(release_tests::PROGRAM.to_owned());
    }
    if filters.iter().any(|filter| filter.starts_with(BENCHMARKS)) {
        names.extend(bench::with_companions(workspace, build::benchmarks(workspace)?)?);
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

/// The programs that tests which are no programs themselves need, if the filter names such.
fn programs_of_models(filter: &str) -> Vec<&'static str> {
    let random = if filter.starts_with(random::TESTS) { vec![random::PROGRAM] } else { Vec::new() };
    [
        faults::programs(filter),
        gdb::programs(filter),
        new_tests::programs(filter),
        lab_tests::programs(filter),
        trace_tests::programs(filter),
        random,
    ]
    .concat()
}

/// The tests that are programs.
fn program_trials(bench: &Arc<Bench>, machine: Machine, suffix: &str) -> Result<Vec<Trial>> {
    let mut trials = Vec::new();
    let own = bench.workspace.project.is_some();
    for (name, program) in bench.guest.programs.iter().filter(|(_, program)| program.kind == Kind::Test) {
        let path = bench.workspace.show(&program.source).to_string_lossy().into_owned();
        let source = fs::read_to_string(&program.source).with_context(|| format!("cannot read {path}"))?;
        let Some(test) = Test::parse(name, &path, &source)? else { continue };
        let ignored = test.ignored.contains(&machine);
        let shown = if own { name.clone() } else { trial_name(name) };
        let clocks =
            test.clocks.iter().filter(|_| machine.has_clock()).map(|&clock| (clock, format!("-{}", clock.name())));
        for (clock, of_clock) in iter::once((latency::CLOCK, String::new())).chain(clocks) {
            let (bench, program, test) = (Arc::clone(bench), name.clone(), test.clone());
            let host = test.host.map(|role| (role, bench.workspace.clone()));
            // What this host can't do is no failure of the machine's.
            let prepare = move || host.map_or(Ok(()), |(role, workspace)| prepare_host(role, &workspace));
            let run = move || bench.boot(machine, clock, &program, &test);
            trials.push(timed_if(format!("{shown}{suffix}{of_clock}"), prepare, run).with_ignored_flag(ignored));
        }
    }
    Ok(trials)
}

/// Whether this host can do its part; what that needs is installed if that can be done.
fn prepare_host(role: Role, workspace: &Workspace) -> Result<()> {
    // One after the other: all tests in which it has one begin with this.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _installing = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    role.prepare(workspace)
}

/// `aegis_fault_spin` is `fault_spin` in the area `aegis`.
fn trial_name(program: &str) -> String {
    program.replacen('_', "::", 1)
}

impl Bench {
    /// Boots what a test names and compares.
    fn boot(&self, machine: Machine, clock: Clock, name: &str, test: &Test) -> Result<(), Failed> {
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
        let mut network = test.network.clone();
        let user = network.as_mut().and_then(|network| network.user.as_mut());
        let host = test.host.zip(user).map(|(role, user)| HostEnd::start(role, &self.workspace, user));
        let host = match host.transpose() {
            Ok(host) => host,
            Err(error) => return Err(format!("{error:#}").into()),
        };
        let mut words = test.run.clone();
        if let (Some(host), Some(first)) = (&host, words.first_mut()) {
            first.push_str(&host.argument());
        }
        let arguments = || build::boot_arguments(&words);
        let (image, arguments) = match image().and_then(|image| Ok((image, arguments()?))) {
            Ok(ready) => ready,
            Err(error) => return Err(format!("{error:#}").into()),
        };
        let typed = host.as_ref().and_then(HostEnd::typed);
        let job = Job { clock, network, typed, ..Job::new(&image, &arguments, test.timeout) };
        let run = self.run(machine, &job, test, |line| {
            if let Some(host) = &host {
                host.sees(line);
            }
        });
        let host = host.map_or(Ok(()), HostEnd::finish);
        // What the machine says of its failure tells more.
        run.and(host.map_err(|error| format!("{error:#}").into()))
    }

    /// Makes a run, giving each line to `show` as it comes, and compares it with what a test, and the bound on the kernel's
    /// paths, expect. A failure shows the end of the console.
    pub fn run(&self, machine: Machine, job: &Job, test: &Test, show: impl FnMut(&str)) -> Result<(), Failed> {
        const TAIL: usize = 30;
        let symbols = self.guest.symbols(&self.workspace, machine);
        let job = &Job { cpu: self.cpu, ..job.clone() };
        let run = boot_and_type(machine, job, &symbols, &test.typed, show).map_err(|error| format!("{error:#}"))?;
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
