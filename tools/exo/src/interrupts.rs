//! An interrupt at every instruction: of exception dispatch, of the return from an exception, of giving up a slice and of
//! resuming it. Nothing may be lost or done twice.
//!
//! The model plants one interrupt a run, each run one instruction later. The program compares its own registers; here it is
//! made sure that every interrupt was one, and that the program came to the same end.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use aegis_abi::mark::END;
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use crate::console::{Console, Verdict};
use crate::machine::{Interrupt, Job, Machine, Mark, Observer, Watch};
use crate::run::conclude;
use crate::test::Bench;

/// What is run. Two rounds: the first with a cold TLB, the second with a warm one.
const PROGRAM: &str = "aegis_handler,rounds=2";
/// What it says if all went well.
const LINE: &str = "aegis_handler: 2 overflows and 2 misaligned loads handled, in 0 of them a register changed";
/// The mark around what is to be interrupted.
const MARK: u32 = 1;

/// A test for each kind of interrupt.
pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let trial = |(name, interrupt)| {
        let bench = Arc::clone(bench);
        Trial::test(format!("model::{name}_at_every_instruction"), move || {
            everywhere(&bench, interrupt).map_err(|error| format!("{error:#}").into())
        })
    };
    [("interrupted", Interrupt::Spurious), ("end_of_slice", Interrupt::Tick)].map(trial).into()
}

fn everywhere(bench: &Bench, interrupt: Interrupt) -> Result<()> {
    let image = bench.guest.write_image(&bench.workspace, &format!("{interrupt:?}"), &[PROGRAM.to_owned()])?;
    let job = Job::new(&image, PROGRAM, Duration::from_secs(5));
    let job = Job { instant_console: true, watch: Watch::Marks, ..job };
    let (start, end) = run(bench, &job)?;
    ensure!((200..5000).contains(&(end - start)), "{} instructions are not what this test expects", end - start);
    for instruction in start..end {
        let job = Job { interrupt: Some((interrupt, instruction)), ..job.clone() };
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
    let symbols = bench.guest.symbols(&bench.workspace);
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
