//! The project's own model, in this process.
//!
//! It runs strict: whatever silicon leaves undefined ends the run. Its clock is simulated, and so is the time-out; nothing
//! that it does depends on the host.

use std::fs;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use aegis_abi::console::PC;
use anyhow::{Context, Result};
use decstation::{Config, Injection, Limits, Machine, Stop, Violation, profile};

use super::{Clock, End, Fault, Job, Mark, Observer, Step, Watch};

/// Instructions between two looks at what the guest has printed.
const CHUNK: u64 = 1 << 18;
/// Simulated time that the machine may take to halt once the verdict is known, in milliseconds.
const GRACE: u64 = 1000;

/// Cause.IP3: the clock's interrupt line.
const CLOCK_LINE: u32 = 1 << 11;

/// It comes with this program.
pub fn version() -> String {
    format!("built in, version {}", env!("CARGO_PKG_VERSION"))
}

/// The command as a person would type it.
pub fn command_line(job: &Job) -> String {
    let memory = job.memory.map_or(String::new(), |megabytes| format!(" --ram {megabytes}"));
    let (profile, arguments, image) = (job.clock.name(), job.arguments, job.image.display());
    format!("cargo run --release --package decstation -- --profile {profile} --fpu{memory} -o \"{arguments}\" {image}")
}

/// The model's parameters for a clock.
pub fn profile(clock: Clock) -> profile::Profile {
    match clock {
        Clock::Dec2100 => profile::DEC2100,
        Clock::Dec3100 => profile::DEC3100,
        Clock::Dec5000 => profile::DEC5000,
        Clock::Dec5000_200 => profile::DEC5000_200,
    }
}

/// Runs it to its end.
pub fn run(job: &Job, observer: &mut dyn Observer) -> Result<End> {
    let image = fs::read(job.image).with_context(|| format!("cannot read {}", job.image.display()))?;
    let profile = job.profile.unwrap_or_else(|| profile(job.clock));
    let hz = profile.hz;
    let default = Config {
        profile,
        boot_args: job.arguments.to_owned(),
        instant_serial: job.instant_console,
        // Every DECstation has one.
        fpu: true,
        ..Config::default()
    };
    let mut machine = Machine::new(Config { ram_mb: job.memory.unwrap_or(default.ram_mb), ..default });
    machine.load_elf(&image).with_context(|| format!("the machine refuses {}", job.image.display()))?;

    if let Some((fault, instruction)) = job.fault {
        let injection = match fault {
            Fault::Interrupt => Injection::Interrupt { lines: CLOCK_LINE },
            Fault::Tick => Injection::Tick,
            Fault::BusError { start, bytes } => Injection::BusError { start, length: bytes },
        };
        machine.inject(instruction, injection);
    }
    let steps = Arc::new(Mutex::new(Vec::new()));
    if job.watch == Watch::Instructions {
        let steps = Arc::clone(&steps);
        machine.set_tracer(Some(Box::new(move |step| {
            let step = Step { address: step.pc, word: step.word, user: Some(step.user), cycles: Some(step.cycles) };
            steps.lock().unwrap_or_else(PoisonError::into_inner).push(step);
        })));
    }
    let mut marks = 0;
    let mut limit = hz.saturating_mul(job.timeout.as_secs());
    let mut judged = false;
    loop {
        let stop = machine.run(Limits::instructions(CHUNK));
        for mark in machine.take_marks() {
            // The model counts a mark when it is behind it.
            let instructions = mark.instructions - marks - 1;
            marks += 1;
            let cycles = Some(mark.cycles - 1);
            observer.mark(Mark { immediate: u32::from(mark.id), instructions, cycles });
        }
        for step in steps.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            observer.instruction(step);
        }
        if let ControlFlow::Break(()) = observer.console(machine.take_output().as_bytes())
            && !judged
        {
            judged = true;
            limit = limit.min(machine.cycles() + hz * GRACE / 1000);
        }
        match stop {
            Stop::Budget if machine.cycles() < limit => {}
            Stop::Budget if judged => return Ok(End::Stopped),
            Stop::Budget => return Ok(End::TimedOut(Some(machine.pc()))),
            Stop::Halted => return Ok(End::Stopped),
            Stop::Strict(violation) => return Ok(End::Broken(broken(&violation))),
            Stop::Stuck { pc } => {
                return Ok(End::Broken(format!("it loops on itself with interrupts off, {PC}{pc:08x}")));
            }
            stop => return Ok(End::Broken(stop.to_string())),
        }
    }
}

/// A rule that the guest broke, with the address in the form that gets a source line.
fn broken(violation: &Violation) -> String {
    let Violation { rule, pc, detail, .. } = violation;
    format!("it broke the rule {rule}: {detail}, {PC}{pc:08x}")
}
