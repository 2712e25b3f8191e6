//! Planted faults, on the model: interrupts where they hurt most, and memory that fails under the kernel.
//!
//! An interrupt comes, or a slice ends, at every instruction of the kernel's hot paths, of what programs do around
//! them, and of the sequences that are begun anew when they are interrupted; nothing may be lost or done twice. There
//! is one a run, each run one instruction later. The programs compare registers, values, and how often what was done;
//! here it is made sure that every fault was one, and that the program came to the same end.
//!
//! The runs share what comes before the fault, and most end with the program's line; some go on through the kernel's
//! audit.

use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aegis_abi::console::PC;
use aegis_abi::mark::END;
use anyhow::{Context, Result, ensure};
use decstation::Injection;
use libtest_mimic::Trial;
use serde::Deserialize;

use crate::build;
use crate::console::{Console, Verdict};
use crate::machine::decstation::{CLOCK_LINE, Run};
use crate::machine::{Job, Machine, Mark, Observer, Watch};
use crate::run::conclude;
use crate::symbols::Symbols;
use crate::test::{Bench, timed};

/// Where faults are planted: between the marks of a program.
pub struct Case<'a> {
    /// What it is about.
    pub name: &'a str,
    /// The program and its arguments: as a rule two rounds, the first with a cold TLB, the second with a warm one. Before it,
    /// those that run beside it.
    pub program: &'a str,
    /// What it says if all went well.
    pub line: &'a str,
    /// How many instructions there are between the marks, about: so that it is noticed if hardly any are left.
    pub instructions: Range<u64>,
    /// What is planted.
    pub faults: &'a [Fault],
}

/// What is planted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// An interrupt that no device asked for, as soon as the guest lets it through.
    Interrupt,
    /// A tick of the clock, beside its regular ticks: the end of a slice.
    Tick,
    /// A tick at the first mark, and an interrupt in what follows.
    Both,
}

const CASES: &[Case<'static>] = &[
    // Dispatch, the return sequences, giving up a slice, the resume range.
    Case {
        name: "exception",
        program: "aegis_handler,rounds=2",
        line: "aegis_handler: 2 overflows and 2 misaligned loads handled, in 0 of them a register changed",
        instructions: 1000..10_000,
        faults: &[Fault::Interrupt, Fault::Tick],
    },
    // The end of a slice itself.
    Case {
        name: "slice",
        program: "inject_slice,rounds=1",
        line: "inject_slice: 1 rounds, registers changed in 0; each slice that was given back another had",
        instructions: 10..5000,
        faults: &[Fault::Interrupt, Fault::Tick, Fault::Both],
    },
    // The way of a miss in the normal segment, the page table's handlers, TLB_WRITE.
    Case {
        name: "miss",
        program: "inject_miss,rounds=2",
        line: "inject_miss: 2 rounds, registers changed in 0, wrong values in 0, elsewhere 0",
        instructions: 700..3000,
        faults: &[Fault::Interrupt, Fault::Tick],
    },
    // CONTEXT_SWITCH, TLB_WRITE, TLB_PROBE, TLB_PROTECT, TLB_DELETE.
    Case {
        name: "primitives",
        program: "inject_primitives,rounds=2",
        line: "inject_primitives: 2 rounds, registers changed in 0, wrong values in 0, elsewhere 0",
        instructions: 500..8000,
        faults: &[Fault::Interrupt, Fault::Tick],
    },
    // Synchronous transfers, there and back.
    Case {
        name: "transfer",
        program: "inject_transfer,rounds=2",
        line: "inject_transfer: 2 calls, 2 served, 0 wrong answers, registers changed in 0",
        instructions: 300..5000,
        faults: &[Fault::Interrupt, Fault::Tick, Fault::Both],
    },
    // An answer in another slice: an asynchronous transfer.
    Case {
        name: "transfer_across_slices",
        program: "inject_transfer,rounds=1,slices=1",
        line: "inject_transfer: 1 calls, 1 served, 0 wrong answers, registers changed in 0",
        instructions: 1000..8000,
        faults: &[Fault::Interrupt, Fault::Tick],
    },
    // Calls within calls, while others call as well.
    Case {
        name: "transfer_nested",
        program: "aegis_transfer_nested,rounds=1",
        line: "aegis_transfer_nested: 1 calls of four environments deep, each answered",
        instructions: 3000..30_000,
        faults: &[Fault::Tick],
    },
    // Asynchronous transfers, and yields back.
    Case {
        name: "message",
        program: "inject_message,rounds=2",
        line: "inject_message: 2 sent, 2 taken, their sum 3, registers changed in 0",
        instructions: 150..1000,
        faults: &[Fault::Interrupt, Fault::Tick],
    },
    // LRPC, by a caller that saves its registers.
    Case {
        name: "lrpc",
        program: "inject_lrpc,rounds=2",
        line: "inject_lrpc: 2 calls, 0 wrong answers, registers changed in 0; the other was answered and refused",
        instructions: 200..3000,
        faults: &[Fault::Interrupt, Fault::Tick, Fault::Both],
    },
    // The same, by one that trusts the server with them.
    Case {
        name: "lrpc_trusted",
        program: "inject_lrpc,rounds=2,trusted",
        line: "inject_lrpc: 2 calls, 0 wrong answers, registers changed in 0; the other was answered and refused",
        instructions: 150..3000,
        faults: &[Fault::Interrupt, Fault::Tick, Fault::Both],
    },
    // Pipes, there and back.
    Case {
        name: "pipe",
        program: "inject_pipe,rounds=2",
        line: "inject_pipe: 2 words there and back, 0 wrong, registers changed in 0",
        instructions: 500..8000,
        faults: &[Fault::Interrupt, Fault::Tick],
    },
    // The same with locks, and so the long way.
    Case {
        name: "pipe_locked",
        program: "inject_pipe,rounds=1,locked",
        line: "inject_pipe: 1 words there and back, 0 wrong, registers changed in 0",
        instructions: 500..8000,
        faults: &[Fault::Tick],
    },
    // Yields to a named environment.
    Case {
        name: "yield_to",
        program: "inject_yield,rounds=2",
        line: "inject_yield: 2 yields, registers changed in 0; the other environment went its rounds in order",
        instructions: 200..1500,
        faults: &[Fault::Interrupt, Fault::Tick],
    },
    // Being told of revocation: the way to the program's policy and back.
    Case {
        name: "revocation",
        program: "inject_revocation,rounds=2",
        line: "inject_revocation: 2 rounds, registers changed in 0; 2 frames asked for and given, no other was",
        instructions: 500..12_000,
        faults: &[Fault::Interrupt, Fault::Tick],
    },
    // Threads that change over by themselves: a mutex, condition variables, the switch.
    Case {
        name: "threads",
        program: "inject_threads,rounds=2",
        line: "inject_threads: 2 passed, their sum 3, registers changed in 0",
        instructions: 1000..20_000,
        faults: &[Fault::Interrupt, Fault::Tick],
    },
    // A thread that loses the processor at the end of a slice while others can run, and goes on whole.
    Case {
        name: "thread_changed",
        program: "inject_threads,rounds=1,count=1",
        line: "inject_threads: 1 passed, their sum 1, registers changed in 0",
        instructions: 10..40_000,
        faults: &[Fault::Tick, Fault::Both],
    },
    // A store to a protected page, with the context that all threads have in common.
    Case {
        name: "protected",
        program: "inject_protected,rounds=2",
        line: "inject_protected: 2 stores, registers changed in 0x0",
        instructions: 100..10_000,
        faults: &[Fault::Interrupt, Fault::Tick, Fault::Both],
    },
    // A call of a program of the other library operating system.
    Case {
        name: "mini",
        program: "mini_counter mini_beside,rounds=2",
        line: "mini_beside: 2 calls, the sum 3, registers changed in 0",
        instructions: 300..5000,
        faults: &[Fault::Interrupt, Fault::Tick, Fault::Both],
    },
];

/// The mark around what is to be interrupted.
const MARK: u32 = 1;
/// A path through the kernel that is longer than this is not a hot one. Interrupts are off there, so one comes at its
/// end, wherever it was planted: from here on only one in so many is.
const HOT: u64 = 128;
const HERE_AND_THERE: u64 = 16;
/// More than the kernel executes for an interrupt.
const AN_INTERRUPT: u64 = 256;
/// One run in so many goes on to the verdict.
const WHOLE: u64 = 64;
/// Instructions between two looks at what a program has said.
const CHUNK: u64 = 1 << 14;
/// Megabytes of memory: enough.
const MEMORY: u32 = 4;
/// The kernel's own text and data, its stack not included.
const KERNEL: [Range<u32>; 2] = [0x3_0000..0x4_e000, 0x5_4000..0x5_8000];

/// The tests.
pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for case in CASES {
        for &fault in case.faults {
            let bench = Arc::clone(bench);
            trials.push(timed(trial_name(case, fault), move || {
                everywhere(&bench, case, fault).map_err(|error| format!("{error:#}").into())
            }));
        }
    }
    let bench = Arc::clone(bench);
    trials.push(timed("model::kernel_fault_is_reported", move || {
        kernel_fault(&bench).map_err(|error| format!("{error:#}").into())
    }));
    trials
}

fn trial_name(case: &Case, fault: Fault) -> String {
    let what = match fault {
        Fault::Interrupt => "interrupted",
        Fault::Tick => "end_of_slice",
        Fault::Both => "interrupted_after_end_of_slice",
    };
    format!("model::{what}_at_every_instruction::{}", case.name)
}

/// The programs that the tests need whose names contain a filter that begins with their area; none if others may have
/// such names.
pub fn programs(filter: &str) -> Vec<&'static str> {
    if !filter.starts_with("model::") || !filter.contains("_at_every_instruction::") {
        return Vec::new();
    }
    let wanted = |case: &&Case| case.faults.iter().any(|&fault| trial_name(case, fault).contains(filter));
    let programs = CASES.iter().filter(wanted).flat_map(|case| case.program.split(' '));
    programs.map(build::program_name).collect()
}

/// Plants a fault at each instruction between the marks of a program.
pub fn everywhere(bench: &Bench, case: &Case, fault: Fault) -> Result<()> {
    let image = image(bench, case, &format!("{fault:?}-{}", case.name))?;
    let stage = Stage::new(bench, case, &image);
    let mut starts = stage.finish(&mut Run::start(&stage.job)?, true)?.starts;
    if fault == Fault::Both {
        // The tick changes where the others are.
        starts.truncate(1);
    }
    let (mut run, mut watch) = (Run::start(&stage.job)?, stage.watch());
    let mut disturbed = run.fork();
    let (mut instructions, mut planted) = (0, 0);
    let (mut in_vain, mut asked, mut in_user_mode) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for start in starts {
        run.go_on(start - watch.executed(&run), &mut watch);
        if fault == Fault::Both {
            run.inject(Injection::Tick);
            // Two at a time are one interrupt.
            run.go_on(1, &mut watch);
        }
        disturbed = run.fork_over(disturbed);
        let end = stage.finish(&mut disturbed, false)?.end()?;
        let mut in_kernel = 0;
        while watch.executed(&run) < end {
            let at = watch.executed(&run);
            in_kernel = if run.in_user_mode() { 0 } else { in_kernel + 1 };
            if in_kernel == 0 {
                in_user_mode.insert(at);
            }
            if run.is_asked() {
                asked.insert(at);
            }
            if in_kernel <= HOT || in_kernel % HERE_AND_THERE == 0 {
                disturbed = run.fork_over(disturbed);
                disturbed.inject(fault.injection());
                let marks = stage.finish(&mut disturbed, at % WHOLE == 0).and_then(|marks| marks.end());
                let place = || format!("{fault:?} before instruction {at}, {}", stage.place(&run));
                // Most make it longer; one that comes as the program gives up its slice saves it that.
                if marks.with_context(place)? == end {
                    in_vain.push((at, place()));
                }
                planted += 1;
            }
            run.go_on(1, &mut watch);
            instructions += 1;
        }
    }
    // One that comes while a regular one is pending, or is still to be let through or dealt with when that comes, is one with it.
    in_vain.retain(|(at, _)| {
        let let_through = in_user_mode.range(at..).next().unwrap_or(at);
        asked.range(at..&(let_through + AN_INTERRUPT)).next().is_none()
    });
    let few = in_vain.len() as u64 <= planted / 100;
    ensure!(few, "nothing came of {} of {planted}, the first of them {}", in_vain.len(), in_vain[0].1);
    let expected = &case.instructions;
    ensure!(expected.contains(&instructions), "{instructions} instructions, and this test expects {expected:?}");
    Ok(())
}

/// Memory of the kernel that is not answered: the kernel says where it was, and no program is told.
fn kernel_fault(bench: &Bench) -> Result<()> {
    let case = &CASES[0];
    let image = image(bench, case, "kernel-fault")?;
    let stage = Stage::new(bench, case, &image);
    let starts = stage.finish(&mut Run::start(&stage.job)?, true)?.starts;
    let mut run = Run::start(&stage.job)?;
    run.go_on(*starts.first().context("it has no marks")?, &mut stage.watch());
    for Range { start, end } in KERNEL {
        run.inject(Injection::BusError { start, length: end - start });
    }
    let error = stage.finish(&mut run, true).err().context("the kernel did not notice")?.to_string();
    let reported = error.starts_with("the kernel stopped on a bug of its own: exception 7 in the kernel, badvaddr=");
    ensure!(reported && error.contains("pc=0x8003") && error.contains("(aegis/"), "{error}");
    Ok(())
}

fn image(bench: &Bench, case: &Case, name: &str) -> Result<PathBuf> {
    bench.guest.write_image(&bench.workspace, Machine::Decstation, name, &words(case))
}

/// The programs of a case, with their arguments.
fn words(case: &Case) -> Vec<String> {
    case.program.split(' ').map(str::to_owned).collect()
}

/// What all runs of a case have in common.
struct Stage<'a> {
    job: Job<'a>,
    /// What the program is to say.
    line: &'a str,
    symbols: Symbols,
}

impl<'a> Stage<'a> {
    fn new(bench: &Bench, case: &'a Case, image: &'a Path) -> Self {
        let job = Job::new(image, case.program, Duration::from_secs(5));
        let job = Job { instant_console: true, memory: Some(MEMORY), watch: Watch::Marks, ..job };
        Self { job, line: case.line, symbols: bench.guest.symbols(&bench.workspace, Machine::Decstation) }
    }

    fn watch(&self) -> Watching<'_> {
        Watching { console: Console::new(&self.symbols, |_| {}), marks: Marks::default() }
    }

    /// Goes on until the program has said its line, and to the verdict if the whole run is wanted; fails if it does
    /// not come to that. The marks on the way.
    fn finish(&self, run: &mut Run, whole: bool) -> Result<Marks> {
        let mut watch = self.watch();
        let (end, said) = loop {
            let end = run.go_on(CHUNK, &mut watch);
            let said = watch.console.lines.iter().any(|line| line == self.line);
            match end {
                Some(end) => break (end, said),
                None if said && !whole => return Ok(watch.marks),
                None => {}
            }
        };
        let run = conclude(watch.console, end, &self.job, &self.symbols);
        run.judge()?;
        ensure!(run.verdict == Some(Verdict::Pass) && said, "{}", run.lines.join("; "));
        Ok(watch.marks)
    }

    /// Where a run is.
    fn place(&self, run: &Run) -> String {
        self.symbols.annotate_as(self.job.first_program(), &format!("{PC}{:08x}", run.pc()))
    }
}

/// The marks of a run: after how many instructions each was, marks not counted.
#[derive(Default)]
struct Marks {
    count: u64,
    starts: Vec<u64>,
    ends: Vec<u64>,
}

impl Marks {
    /// Where the first pair ended.
    fn end(&self) -> Result<u64> {
        self.ends.first().copied().context("it did not come to its second mark")
    }
}

struct Watching<'a> {
    console: Console<'a>,
    marks: Marks,
}

impl Watching<'_> {
    /// Instructions that a run which was watched from its beginning has executed, marks not counted.
    fn executed(&self, run: &Run) -> u64 {
        run.instructions() - self.marks.count
    }
}

impl Observer for Watching<'_> {
    fn console(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        self.console.take(bytes)
    }

    fn mark(&mut self, mark: Mark) {
        self.marks.count += 1;
        match mark.immediate {
            MARK => self.marks.starts.push(mark.instructions),
            immediate if immediate == MARK | END => self.marks.ends.push(mark.instructions),
            _ => {}
        }
    }
}

impl Fault {
    fn injection(self) -> Injection {
        match self {
            Self::Interrupt | Self::Both => Injection::Interrupt { lines: CLOCK_LINE },
            Self::Tick => Injection::Tick,
        }
    }
}
