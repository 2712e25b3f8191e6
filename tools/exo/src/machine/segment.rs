//! Models on an Ethernet segment, in this process: as many as the job wants, and the station that answers questions.
//!
//! The first is the one that is watched. Of the others the console's lines are shown with their number before them; the
//! run is over when all have halted, and broken if one of them does not pass.

use std::fs::File;
use std::io::BufWriter;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use aegis_abi::console::VERDICT_PASS;
use anyhow::{Context, Result, ensure};
use decstation::lance::{FCS, with_fcs};
use decstation::pcap::Capture;
use decstation::tunnel::Tunnel;
use decstation::{Segment, Stop};

use super::decstation::{GRACE, broken, machine, tracer};
use super::gateway::Gateway;
use super::{End, Job, Mark, Network, Observer, Watch};
use crate::peer;

/// Simulated time between two looks at what has happened, in nanoseconds.
const STEP: u64 = 100_000;

/// Runs it to its end.
pub fn run(job: &Job, network: &Network, observer: &mut dyn Observer) -> Result<End> {
    ensure!(
        network.tunnel.is_none() || network.user.is_none(),
        "the model has a tunnel or QEMU's network at the other end, not both"
    );
    let mut segment = Segment::new();
    for number in 0..network.machines {
        segment.join(machine(job, number as u8)?)?;
    }
    if let Some(faults) = network.faults {
        segment.set_faults(faults);
    }
    let stretches = Arc::new(Mutex::new(Vec::new()));
    if job.cold {
        let stretches = Arc::clone(&stretches);
        segment.machine_mut(0).on_stretch(Box::new(move |stretch| {
            stretches.lock().unwrap_or_else(PoisonError::into_inner).push(*stretch);
        }));
    }
    for &address in &job.chilled {
        segment.machine_mut(0).chill(address);
    }
    let steps = Arc::new(Mutex::new(Vec::new()));
    if job.watch == Watch::Instructions {
        segment.machine_mut(0).set_tracer(Some(tracer(&steps)));
    }
    let passed = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&passed);
    segment.listen(Box::new(move |frame| seen.lock().unwrap_or_else(PoisonError::into_inner).push(frame.clone())));
    let mut capture = match &network.pcap {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            Some(Capture::new(BufWriter::new(file))?)
        }
        None => None,
    };
    // The gateway stays for as long as this is kept.
    let gateway = network.user.map(Gateway::start).transpose()?;
    let ends = gateway.as_ref().map(|&(_, [here, there])| (here, there)).or(network.tunnel);
    let mut tunnel = match ends {
        Some((local, remote)) => Some(Tunnel::new(local, vec![remote]).context("cannot open the tunnel")?),
        None => None,
    };
    let begun = Instant::now();
    let mut consoles = vec![Console::default(); network.machines];
    let mut limit = job.timeout.as_nanos() as u64;
    let mut judged = false;
    let mut marks = 0;
    let end = loop {
        let stopped = segment.run(STEP);
        for frame in passed.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            if let Some(capture) = &mut capture {
                capture.write(&frame).context("cannot write the capture")?;
            }
            if frame.from.is_none() {
                continue;
            }
            if let Some(tunnel) = &mut tunnel {
                tunnel.send(&frame.frame);
            }
            if network.peer {
                for reply in peer::answer(&frame.frame[..frame.frame.len().saturating_sub(FCS)]) {
                    send(&mut segment, &reply);
                }
            }
        }
        if let Some(tunnel) = &mut tunnel {
            while let Some(data) = tunnel.receive() {
                segment.send(&data);
            }
        }
        // At the wall's pace, as whoever is at the other end of the tunnel, or at the keyboard of the first machine.
        let ahead = Duration::from_nanos(segment.now()).saturating_sub(begun.elapsed());
        if let Some(typed) = &job.typed {
            if typed.is_left() {
                break End::Stopped;
            }
            if let Some(bytes) = typed.take(ahead) {
                segment.machine_mut(0).type_input(&bytes);
            }
        } else if tunnel.is_some() {
            thread::sleep(ahead);
        }
        for mark in segment.machine_mut(0).take_marks() {
            // The model counts a mark when it is behind it.
            let instructions = mark.instructions - marks - 1;
            marks += 1;
            observer.mark(Mark { immediate: u32::from(mark.id), instructions, cycles: Some(mark.cycles - 1) });
        }
        for step in steps.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            observer.instruction(step);
        }
        for stretch in stretches.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            observer.stretch(stretch);
        }
        let mut flow = ControlFlow::Continue(());
        for (number, console) in consoles.iter_mut().enumerate().rev() {
            let text = segment.machine_mut(number).take_output();
            let lines = console.take(number, &text);
            // Who types looks at what is no line yet.
            let shown = if number == 0 && job.typed.is_some() { text } else { lines };
            flow = observer.console(shown.as_bytes());
        }
        if flow.is_break() && !judged {
            judged = true;
            limit = limit.min(segment.now() + GRACE * 1_000_000);
        }
        match stopped {
            None | Some((_, Stop::Halted)) => {}
            Some((0, stop)) => break broken(&stop),
            Some((number, stop)) => break End::Broken(format!("machine {}: {stop}", number + 1)),
        }
        let halted = (0..network.machines).all(|number| segment.stop(number) == Some(&Stop::Halted));
        if halted || segment.now() >= limit {
            let pc = segment.machine(0).pc();
            break match consoles.iter().skip(1).position(|console| !console.passed) {
                _ if !halted && !judged => End::TimedOut(Some(pc)),
                Some(other) => End::Broken(format!("machine {} did not pass", other + 2)),
                None => End::Stopped,
            };
        }
    };
    if let Some(capture) = capture {
        capture.finish().context("cannot write the capture")?;
    }
    if let Some(stretch) = segment.machine(0).longest_stretch() {
        observer.longest(stretch);
    }
    Ok(end)
}

fn send(segment: &mut Segment, reply: &peer::Reply) {
    let mut data = reply.data.clone();
    if !reply.as_it_is && !reply.damaged {
        return segment.send(&data);
    }
    if !reply.as_it_is {
        data.resize(data.len().max(60), 0);
    }
    let mut frame = with_fcs(&data);
    if reply.damaged
        && let Some(last) = frame.last_mut()
    {
        *last ^= 1;
    }
    segment.send_raw(&frame);
}

/// What a machine has said.
#[derive(Clone, Default)]
struct Console {
    /// What it has said of its present line.
    line: String,
    passed: bool,
}

impl Console {
    /// The lines that are whole now, with the machine's number before those of all but the first.
    fn take(&mut self, number: usize, text: &str) -> String {
        let mut lines = String::new();
        for part in text.split_inclusive('\n') {
            self.line.push_str(part);
            if self.line.ends_with('\n') {
                self.passed |= self.line.trim_end() == VERDICT_PASS;
                if number > 0 {
                    lines.push_str(&format!("machine {}: ", number + 1));
                }
                lines.push_str(&std::mem::take(&mut self.line));
            }
        }
        lines
    }
}
