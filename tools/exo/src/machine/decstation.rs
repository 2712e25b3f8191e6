//! The project's own model, in this process.
//!
//! It runs strict: whatever silicon leaves undefined ends the run. Its clock is simulated, and so is the time-out; nothing
//! that it does depends on the host.

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aegis_abi::console::PC;
use anyhow::{Context, Result};
use decstation::cp0::CAUSE_IP;
use decstation::{Config, Injection, Limits, Machine, Stop, Stretch, Violation, profile};

use super::{Clock, End, Job, Mark, Observer, Step, Watch, segment};

/// Instructions between two looks at what the guest has printed.
const CHUNK: u64 = 1 << 18;
/// Simulated time that the machine may take to halt once the verdict is known, in milliseconds.
pub const GRACE: u64 = 1000;

/// Cause.IP3: the clock's interrupt line.
pub const CLOCK_LINE: u32 = 1 << 11;

/// It comes with this program.
pub fn version() -> String {
    format!("built in, version {}", env!("CARGO_PKG_VERSION"))
}

/// The command as a person would type it.
pub fn command_line(job: &Job) -> String {
    let memory = job.memory.map_or(String::new(), |megabytes| format!(" --ram {megabytes}"));
    let (profile, arguments, image) = (job.clock.name(), job.arguments, job.image.display());
    format!(
        "cargo run --release --package decstation -- --profile {profile} --fpu --ethernet 08:00:2b:00:00:01{memory} -o \"{arguments}\" {image}"
    )
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
    if let Some(network) = &job.network {
        return segment::run(job, network, observer);
    }
    let mut run = Run::start(job)?;
    let begun = Instant::now();
    loop {
        if let Some(typed) = &job.typed {
            if typed.is_left() {
                return Ok(End::Stopped);
            }
            // The machine's clock goes as fast as the wall's, and no faster.
            let clock = Duration::from_secs_f64(run.machine.cycles() as f64 / run.machine.config().profile.hz as f64);
            if let Some(bytes) = typed.take(clock.saturating_sub(begun.elapsed())) {
                run.machine.type_input(&bytes);
            }
        }
        if let Some(end) = run.go_on(CHUNK, observer) {
            return Ok(end);
        }
    }
}

/// The machine with this number: at its first instruction, or in the state that was saved.
pub fn machine(job: &Job, number: u8) -> Result<Machine> {
    if let Some(file) = job.restore {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        return Machine::restore(&bytes).with_context(|| format!("cannot restore {}", file.display()));
    }
    let image = fs::read(job.image).with_context(|| format!("cannot read {}", job.image.display()))?;
    let default = Config {
        profile: job.profile.unwrap_or_else(|| profile(job.clock)),
        boot_args: job.arguments.to_owned(),
        instant_serial: job.instant_console,
        // Every DECstation has one.
        fpu: true,
        ethernet: Some([0x08, 0x00, 0x2b, 0x00, 0x00, number + 1]),
        polls: job.polls.clone(),
        cold: job.cold,
        tolerant: job.foreign,
        ..Config::default()
    };
    let mut machine = Machine::new(Config { ram_mb: job.memory.unwrap_or(default.ram_mb), ..default });
    machine.load_elf(&image).with_context(|| format!("the machine refuses {}", job.image.display()))?;
    Ok(machine)
}

/// Keeps all instructions.
pub fn tracer(steps: &Arc<Mutex<Vec<Step>>>) -> ::decstation::instruments::Tracer {
    let steps = Arc::clone(steps);
    Box::new(move |step| {
        let step = Step { address: step.pc, word: step.word, user: Some(step.user), cycles: Some(step.cycles) };
        steps.lock().unwrap_or_else(PoisonError::into_inner).push(step);
    })
}

/// A run under way.
pub struct Run {
    machine: Machine,
    /// What the tracer has seen since it was last asked, if instructions are watched.
    steps: Arc<Mutex<Vec<Step>>>,
    /// The kernel's paths since then, if the job is a cold one.
    stretches: Arc<Mutex<Vec<Stretch>>>,
    /// Marks so far.
    marks: u64,
    /// The cycle at which it is ended.
    limit: u64,
    /// Whether nothing more is expected of it.
    judged: bool,
}

impl Run {
    /// At its first instruction.
    pub fn start(job: &Job) -> Result<Self> {
        let mut machine = machine(job, 0)?;
        let steps = Arc::new(Mutex::new(Vec::new()));
        if job.watch == Watch::Instructions {
            machine.set_tracer(Some(tracer(&steps)));
        }
        let stretches = Arc::new(Mutex::new(Vec::new()));
        if job.cold {
            let stretches = Arc::clone(&stretches);
            machine.on_stretch(Box::new(move |stretch| {
                stretches.lock().unwrap_or_else(PoisonError::into_inner).push(*stretch);
            }));
        }
        let limit = machine.cycles() + machine.config().profile.hz.saturating_mul(job.timeout.as_secs());
        Ok(Self { machine, steps, stretches, marks: 0, limit, judged: false })
    }

    /// The same run once more, from here on. Its instructions and the kernel's paths are not watched.
    pub fn fork(&self) -> Self {
        Self { machine: self.machine.fork(), steps: Arc::default(), stretches: Arc::default(), ..*self }
    }

    /// The same in place of its last fork, which is no longer wanted: that costs little.
    pub fn fork_over(&mut self, old: Self) -> Self {
        Self { machine: self.machine.fork_over(old.machine), steps: Arc::default(), stretches: Arc::default(), ..*self }
    }

    /// Plants a fault before the next instruction.
    pub fn inject(&mut self, fault: Injection) {
        self.machine.inject(self.machine.instructions(), fault);
    }

    /// Instructions executed so far, marks counted.
    pub fn instructions(&self) -> u64 {
        self.machine.instructions()
    }

    /// The address of the next instruction.
    pub fn pc(&self) -> u32 {
        self.machine.pc()
    }

    /// Goes on elsewhere.
    pub fn set_pc(&mut self, pc: u32) {
        self.machine.set_pc(pc);
    }

    /// A general register.
    pub fn register(&self, number: usize) -> u32 {
        self.machine.register(number)
    }

    /// A word of memory, by its physical address.
    pub fn word(&self, physical: u32) -> Option<u32> {
        self.machine.read_physical(physical)
    }

    /// Counts the executions of each instruction from here on.
    pub fn start_profile(&mut self) {
        self.machine.start_profile();
    }

    /// The addresses of the instructions that were executed since.
    pub fn executed(&mut self) -> BTreeSet<u32> {
        self.machine.take_profile().into_keys().collect()
    }

    /// Whether a program is running, and not the kernel.
    pub fn in_user_mode(&self) -> bool {
        self.machine.user_mode()
    }

    /// Whether a device asks for an interrupt already.
    pub fn is_asked(&self) -> bool {
        self.machine.cp0().cause & CAUSE_IP != 0
    }

    /// Executes so many instructions, or fewer if it comes to its end.
    pub fn go_on(&mut self, instructions: u64, observer: &mut dyn Observer) -> Option<End> {
        let machine = &mut self.machine;
        let stop = machine.run(Limits::instructions(instructions));
        for mark in machine.take_marks() {
            // The model counts a mark when it is behind it.
            let instructions = mark.instructions - self.marks - 1;
            self.marks += 1;
            let cycles = Some(mark.cycles - 1);
            observer.mark(Mark { immediate: u32::from(mark.id), instructions, cycles });
        }
        for step in self.steps.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            observer.instruction(step);
        }
        for stretch in self.stretches.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            observer.stretch(stretch);
        }
        if let ControlFlow::Break(()) = observer.console(machine.take_output().as_bytes())
            && !self.judged
        {
            self.judged = true;
            self.limit = self.limit.min(machine.cycles() + machine.config().profile.hz * GRACE / 1000);
        }
        let end = match stop {
            Stop::Budget if machine.cycles() < self.limit => return None,
            Stop::Budget if self.judged => End::Stopped,
            Stop::Budget => End::TimedOut(Some(machine.pc())),
            Stop::Halted => End::Stopped,
            // Nothing more is expected of it than that it ends.
            Stop::Reboot if self.judged => End::Stopped,
            stop => broken(&stop),
        };
        for (first, times) in machine.broken() {
            observer.rule_broken(&rule_broken(first), *times);
        }
        if let Some(stretch) = machine.longest_stretch() {
            observer.longest(stretch);
        }
        Some(end)
    }
}

/// Why it was stopped, with the address in the form that gets a source line.
pub fn broken(stop: &Stop) -> End {
    End::Broken(match stop {
        Stop::Strict(violation) => rule_broken(violation),
        Stop::Stuck { pc } => format!("it loops on itself with interrupts off, {PC}{pc:08x}"),
        stop => stop.to_string(),
    })
}

/// A rule that the guest broke.
fn rule_broken(violation: &Violation) -> String {
    let Violation { rule, pc, detail, .. } = violation;
    format!("it broke the rule {rule}: {detail}, {PC}{pc:08x}")
}
