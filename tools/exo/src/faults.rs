//! Planted faults, on the model: interrupts where they hurt most, and memory that fails under the kernel.
//!
//! An interrupt comes at every instruction of exception dispatch, of the return from an exception, of giving up a slice and of
//! resuming it; nothing may be lost or done twice. There is one interrupt a run, each run one instruction later. The program compares its own registers; here it is
//! made sure that every interrupt was one, and that the program came to the same end.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use aegis_abi::mark::END;
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use crate::console::{Console, Verdict};
use crate::machine::{Fault, Job, Machine, Mark, Observer, Watch};
use crate::run::conclude;
use crate::test::Bench;

/// What is run. Two rounds: the first with a cold TLB, the second with a warm one.
const PROGRAM: &str = "aegis_handler,rounds=2";
/// What it says if all went well.
const LINE: &str = "aegis_handler: 2 overflows and 2 misaligned loads handled, in 0 of them a register changed";
/// The kernel's own data, its stack not included.
const KERNEL: std::ops::Range<u32> = 0x3_0000..0x4_e000;
/// The mark around what is to be interrupted.
const MARK: u32 = 1;

/// The tests.
pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let trial = |(name, fault)| {
        let bench = Arc::clone(bench);
        Trial::test(format!("model::{name}_at_every_instruction"), move || {
            everywhere(&bench, fault).map_err(|error| format!("{error:#}").into())
        })
    };
    let mut trials: Vec<_> = [("interrupted", Fault::Interrupt), ("end_of_slice", Fault::Tick)].map(trial).into();
    let bench = Arc::clone(bench);
    trials.push(Trial::test("model::kernel_fault_is_reported", move || {
        kernel_fault(&bench).map_err(|error| format!("{error:#}").into())
    }));
    trials
}

/// Memory of the kernel that is not answered: the kernel says where it was, and no program is told.
fn kernel_fault(bench: &Bench) -> Result<()> {
    let image =
        bench.guest.write_image(&bench.workspace, Machine::Decstation, "kernel-fault", &[PROGRAM.to_owned()])?;
    let job = Job::new(&image, PROGRAM, Duration::from_secs(5));
    let job = Job { instant_console: true, watch: Watch::Marks, ..job };
    let (start, _) = run(bench, &job)?;
    let job =
        Job { fault: Some((Fault::BusError { start: KERNEL.start, bytes: KERNEL.end - KERNEL.start }, start)), ..job };
    let error = run(bench, &job).err().context("the kernel did not notice")?.to_string();
    let reported = error.starts_with("the kernel stopped on a bug of its own: exception 7 in the kernel, badvaddr=");
    ensure!(reported && error.contains("pc=0x8003") && error.contains("(aegis/"), "{error}");
    Ok(())
}

fn everywhere(bench: &Bench, fault: Fault) -> Result<()> {
    let image =
        bench.guest.write_image(&bench.workspace, Machine::Decstation, &format!("{fault:?}"), &[PROGRAM.to_owned()])?;
    let job = Job::new(&image, PROGRAM, Duration::from_secs(5));
    let job = Job { instant_console: true, watch: Watch::Marks, ..job };
    let (start, end) = run(bench, &job)?;
    ensure!((200..5000).contains(&(end - start)), "{} instructions are not what this test expects", end - start);
    for instruction in start..end {
        let job = Job { fault: Some((fault, instruction)), ..job.clone() };
        let (_, later) = run(bench, &job).with_context(|| format!("interrupt at {instruction}"))?;
        // Most of them make the run longer; one that hits the program as it gives up its slice saves it that.
        ensure!(later != end, "the interrupt at {instruction} did not happen");
    }
    Ok(())
}

/// Runs the program; at which instructions its marks are.
fn run(bench: &Bench, job: &Job) -> Result<(u64, u64)> {
    struct Watching<'a> {
        console: Console<'a>,
        start: Option<u64>,
        end: Option<u64>,
    }
    impl Observer for Watching<'_> {
        fn console(&mut self, bytes: &[u8]) -> ControlFlow<()> {
            self.console.take(bytes)
        }

        fn mark(&mut self, mark: Mark) {
            match mark.immediate {
                MARK => self.start = Some(mark.instructions),
                immediate if immediate == MARK | END => self.end = Some(mark.instructions),
                _ => {}
            }
        }
    }
    let symbols = bench.guest.symbols(&bench.workspace, Machine::Decstation);
    let mut watch = Watching { console: Console::new(&symbols, |_| {}), start: None, end: None };
    let end = Machine::Decstation.run(job, &mut watch)?;
    let run = conclude(watch.console, end, job, &symbols);
    run.judge()?;
    ensure!(
        run.verdict == Some(Verdict::Pass) && run.lines.iter().any(|line| line == LINE),
        "{}",
        run.lines.join("; ")
    );
    watch.start.zip(watch.end).context("the program executed no marks")
}
