//! Two machines in lockstep: the same image executes the same instructions on the model and on GXemul, until time matters.
//!
//! What GXemul is known to do otherwise than the hardware, and what becomes of it here:
//! - Interrupts come when the host's clock says so, and are only looked for now and then. So the comparison ends at the
//!   first tick of the clock that either machine sees. How long the kernel waits for ticks before any program runs is not compared.
//! - Its serial line takes no time; for this comparison the model's takes none either.
//! - Its PROM always describes 480 MB of memory, so both machines get as much.
//! - Its PROM's code is its own: what is executed there is not compared.
//! - Its Ethernet controller is ready at once, and sends nothing to itself: how long the kernel waits for that is not compared.
//! - Which entry of the TLB is replaced at random is another. So the comparison ends, too, where the kernel first reads
//!   an entry, which it does at the end of a run to check all tables.
//! - A load's delay slot sees the new value, user mode reaches coprocessor 0 and pages of the kernel. The model stops at
//!   code that depends on the first, and none of ours does the second.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::Duration;

use aegis_abi::vm::USER_END;
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use crate::machine::{Job, Machine, Observer, Step, Watch};
use crate::test::{Bench, timed};

/// The kernel's functions that wait for what comes on one machine later than on the other, or not at all: for the first ticks of the
/// clock, for its controller of Ethernet to get ready, and for a frame to itself.
const APART: [&str; 3] = ["::rtc::start", "::gets_ready", "::hears_itself"];
/// Where the PROM's code begins.
const PROM: u32 = 0xbfc0_0000;
/// The vector of interrupts, among others.
const VECTOR: u32 = 0x8000_0080;
/// `mfc0` from Cause, whatever the register: the mask and the word.
const READ_CAUSE: (u32, u32) = (0xffe0_ffff, 0x4000_6800);
/// So few instructions after it, at most, the kernel goes another way if a clock tick is pending.
const DECISION: usize = 6;
/// `tlbr`.
const READ_TLB: u32 = 0x4200_0001;
/// More than a boot takes to its first interrupt.
const MOST: usize = 4_000_000;

/// The instructions of a boot outside of the PROM, as far as they are wanted.
struct Path {
    /// Where these functions are.
    apart: [Range<u32>; APART.len()],
    steps: Vec<(u32, u32)>,
    ended: bool,
}

impl Path {
    fn new(apart: &[Range<u32>; APART.len()]) -> Self {
        Self { apart: apart.clone(), steps: Vec::new(), ended: false }
    }
}

impl Observer for Path {
    fn console(&mut self, _bytes: &[u8]) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn instruction(&mut self, Step { address, word, .. }: Step) {
        self.ended |= word == READ_TLB || self.steps.len() == MOST;
        if address < PROM && !self.apart.iter().any(|apart| apart.contains(&address)) && !self.ended {
            self.steps.push((address, word));
        }
    }
}

/// A boot that is as a rule over before the clock ticks, and one that is not.
pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let trial = |program: &'static str| {
        let bench = Arc::clone(bench);
        timed(format!("model::in_lockstep_with_gxemul::{program}"), move || {
            compare(&bench, program).map_err(|error| format!("{error:#}").into())
        })
    };
    ["boot_hello", "aegis_witness"].map(trial).into()
}

fn compare(bench: &Bench, program: &str) -> Result<()> {
    let image = bench.guest.write_image(
        &bench.workspace,
        Machine::Decstation,
        &format!("lockstep-{program}"),
        &[program.to_owned()],
    )?;
    let job = Job::new(&image, program, Duration::from_secs(30));
    let job = Job { memory: Some(480), instant_console: true, watch: Watch::Instructions, ..job };
    let symbols = bench.guest.symbols(&bench.workspace, Machine::Decstation);
    let apart = APART.map(|function| symbols.of_kernel(function));
    let missing = APART.iter().zip(&apart).find(|(_, range)| range.is_empty());
    ensure!(missing.is_none(), "no function of the kernel's is called {}", missing.map_or("", |(name, _)| name));
    let mut ours = Path::new(&apart);
    Machine::Decstation.run(&job, &mut ours)?;
    let mut theirs = Path::new(&apart);
    Machine::Gxemul.run(&job, &mut theirs)?;

    let same = ours.steps.iter().zip(&theirs.steps).take_while(|(one, other)| one == other).count();
    // GXemul executes some more instructions after it was halted.
    if same == ours.steps.len() {
        return Ok(());
    }
    let (our, their) =
        (ours.steps.get(same).context("the model stopped")?, theirs.steps.get(same).context("gxemul stopped")?);
    let parted = format!(
        "after {same} instructions the model is at {:08x} ({:08x}), gxemul at {:08x} ({:08x})",
        our.0, our.1, their.0, their.1
    );
    // In another interrupt one of them may find that the clock has ticked as well.
    let looked = ours.steps[..same].iter().rev().take(DECISION).any(|(_, word)| word & READ_CAUSE.0 == READ_CAUSE.1);
    ensure!(our.0 == VECTOR || their.0 == VECTOR || looked, "{parted}, and that is not an interrupt");
    let user = ours.steps[..same].iter().filter(|(address, _)| *address < USER_END).count();
    ensure!(user > 0, "{parted}: too early, for no program has run");
    Ok(())
}
