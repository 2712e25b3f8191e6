//! `trace --json`: a whole run as a trace that Perfetto and Chrome open, each environment a track.
//!
//! On a track are the times for which its environment runs, and in these its paths through the kernel: system calls,
//! transfers, misses, interrupts, other exceptions. Arrows lead from a transfer to where it goes. Times are simulated.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path as File;
use std::time::Duration;

use aegis_abi::call::{NUMBER_MASK, TRANSFER, TRANSFER_ASYNC, YIELD_TO};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::calls;
use crate::crossings::{Boot, Path, Way, follow};
use crate::machine::Clock;
use crate::shown::Environment;

/// Writes it.
pub fn run(boot: &Boot, clock: Clock, file: &File) -> Result<()> {
    let job = boot.job(clock, Duration::from_secs(60));
    let mut timeline = Timeline::new(clock.mhz());
    let ended = follow(&job, &boot.symbols, |line| println!("{line}"), |_, path| timeline.add(&path));
    let events = timeline.finish();
    let count = events.len();
    // What was seen of a run that fails is what one wants to see.
    let trace = json!({ "traceEvents": events, "displayTimeUnit": "ns" });
    fs::write(file, trace.to_string()).with_context(|| format!("cannot write {}", file.display()))?;
    println!("{count} events are in {}", file.display());
    ended
}

/// The process of the trace, which the whole machine is.
const MACHINE: u32 = 1;

/// A trace being made.
pub struct Timeline {
    mhz: f64,
    events: Vec<Value>,
    /// The tracks so far, by environment.
    names: BTreeMap<u32, String>,
    /// Who runs, and since which cycle.
    running: Option<(u32, u64)>,
    ticks: u32,
    arrows: u32,
    end: u64,
}

impl Timeline {
    /// An empty one, at a clock.
    pub fn new(mhz: f64) -> Self {
        Self { mhz, events: Vec::new(), names: BTreeMap::new(), running: None, ticks: 0, arrows: 0, end: 0 }
    }

    /// The time of a cycle, in microseconds.
    fn time(&self, cycle: u64) -> f64 {
        cycle as f64 / self.mhz
    }

    /// The track of an environment.
    fn track(&mut self, environment: Option<&Environment>) -> u32 {
        let Some(environment) = environment else { return 0 };
        self.names.entry(environment.id).or_insert_with(|| environment.name.clone());
        environment.id
    }

    /// Something that lasts, on a track.
    fn lasts(&mut self, track: u32, name: &str, category: &str, begins: u64, ends: u64, details: Value) {
        self.events.push(json!({
            "ph": "X", "pid": MACHINE, "tid": track, "name": name, "cat": category, "args": details,
            "ts": self.time(begins), "dur": self.time(ends) - self.time(begins),
        }));
    }

    /// Adds a path through the kernel; they come in the order of time.
    pub fn add(&mut self, path: &Path) {
        let (from, to) = (self.track(path.from.as_ref()), self.track(path.to.as_ref()));
        // Before its first path nobody was seen to run.
        let (runner, since) = *self.running.get_or_insert((from, path.entered));
        let (category, details) = match &path.way {
            Way::Call(number, _) if [TRANSFER, TRANSFER_ASYNC, YIELD_TO].contains(&(number & NUMBER_MASK)) => {
                ("transfer", json!({ "call": calls::show(path), "pc": hex(path.pc) }))
            }
            Way::Call(..) => ("call", json!({ "call": calls::show(path), "pc": hex(path.pc) })),
            Way::Miss(address) => ("miss", json!({ "address": hex(*address), "pc": hex(path.pc) })),
            Way::Interrupt => ("interrupt", json!({ "pc": hex(path.pc) })),
            Way::Exception(_) => ("exception", json!({ "pc": hex(path.pc), "handler": hex(path.next) })),
        };
        self.lasts(runner, &path.way.name(), category, path.entered, path.left, details);
        if path.ticks != self.ticks {
            self.ticks = path.ticks;
            self.events.push(json!({
                "ph": "i", "s": "p", "pid": MACHINE, "tid": to, "ts": self.time(path.left), "cat": "slice",
                "name": format!("slice {}", path.ticks),
            }));
        }
        if to != runner {
            self.lasts(runner, "runs", "run", since, path.left, json!({}));
            self.running = Some((to, path.left));
            if category == "transfer" {
                self.arrows += 1;
                let arrow = |ph: &str, track: u32, time: f64| {
                    json!({
                        "ph": ph, "bp": "e", "id": self.arrows, "pid": MACHINE, "tid": track, "ts": time,
                        "name": "transfer", "cat": "transfer",
                    })
                };
                let arrows = [arrow("s", runner, self.time(path.entered)), arrow("f", to, self.time(path.left))];
                self.events.extend(arrows);
            }
        }
        self.end = path.left;
    }

    /// The events of all, each track named.
    pub fn finish(mut self) -> Vec<Value> {
        if let Some((runner, since)) = self.running.take().filter(|(runner, _)| *runner != 0) {
            self.lasts(runner, "runs", "run", since, self.end, json!({}));
        }
        let name = |kind: &str, track: u32, name: &str| json!({ "ph": "M", "pid": MACHINE, "tid": track, "name": kind, "args": { "name": name } });
        let mut events = vec![name("process_name", 0, "Aegis")];
        events.extend(self.names.iter().map(|(&id, called)| name("thread_name", id, &format!("{called} ({id:#x})"))));
        events.append(&mut self.events);
        events
    }
}

fn hex(value: u32) -> String {
    format!("{value:#010x}")
}

/// Fails unless on each track whatever lasts lies within what has begun before, or behind it.
pub fn check_nesting(events: &[Value]) -> Result<()> {
    /// Less than a cycle is rounding.
    const ROUNDING: f64 = 0.01;
    let mut tracks: BTreeMap<u64, Vec<(f64, f64)>> = BTreeMap::new();
    for event in events.iter().filter(|event| event["ph"] == "X") {
        let (track, start, length) = (event["tid"].as_u64(), event["ts"].as_f64(), event["dur"].as_f64());
        let (track, start, length) = (|| Some((track?, start?, length?)))().context("an event lacks its numbers")?;
        ensure!(length >= 0.0, "an event ends before it begins: {event}");
        tracks.entry(track).or_default().push((start, start + length));
    }
    ensure!(!tracks.is_empty(), "nothing lasts");
    for (track, mut lasting) in tracks {
        lasting.sort_by(|one, other| one.0.total_cmp(&other.0).then(other.1.total_cmp(&one.1)));
        let mut open: Vec<f64> = Vec::new();
        for (start, end) in lasting {
            open.retain(|&until| until > start + ROUNDING);
            let within = open.iter().all(|&until| end <= until + ROUNDING);
            ensure!(within, "{start}..{end} on track {track:#x} is within and without another");
            open.push(end);
            ensure!(open.len() <= 2, "there are runs, and paths in them; {start} on track {track:#x} is deeper");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aegis_abi::env::DirectoryEntry;

    #[test]
    fn events_nest_and_arrows_meet() {
        let environment = |id| Some(Environment { id, name: format!("e{id}"), entry: DirectoryEntry::default() });
        let path = |from, to, way, entered, left, ticks| Path {
            from: environment(from),
            way,
            pc: 0x1_0000,
            entered,
            to: environment(to),
            next: 0x1_0004,
            result: [0; 2],
            left,
            ticks,
        };
        let mut timeline = Timeline::new(25.0);
        timeline.add(&path(1, 1, Way::Miss(0x2_0000), 1000, 1017, 1));
        timeline.add(&path(1, 2, Way::Call(TRANSFER, [2, 0, 0, 0, 0]), 1100, 1130, 1));
        timeline.add(&path(2, 2, Way::Call(aegis_abi::call::NULL, [0; 5]), 1200, 1240, 1));
        timeline.add(&path(2, 1, Way::Interrupt, 1300, 1500, 2));
        timeline.add(&path(1, 1, Way::Exception(12), 1600, 1620, 2));
        let events = timeline.finish();
        check_nesting(&events).unwrap();
        let runs: Vec<_> = events.iter().filter(|event| event["name"] == "runs").collect();
        let span = |event: &Value| (event["tid"].as_u64(), event["ts"].as_f64(), event["dur"].as_f64());
        assert_eq!(
            runs.into_iter().map(span).collect::<Vec<_>>(),
            [(1, 40.0, 5.2), (2, 45.2, 14.8), (1, 60.0, 4.8)].map(|(track, start, length): (u64, f64, f64)| {
                (Some(track), Some(start), Some((start + length) - start))
            })
        );
        let arrows: Vec<_> = events.iter().filter(|event| event["cat"] == "transfer" && event["ph"] != "X").collect();
        assert_eq!(
            arrows.iter().map(|arrow| (&arrow["ph"], &arrow["tid"])).collect::<Vec<_>>(),
            [(&json!("s"), &json!(1)), (&json!("f"), &json!(2))]
        );
        assert_eq!(events.iter().filter(|event| event["cat"] == "slice").count(), 2);
        let text = json!({ "traceEvents": events }).to_string();
        assert!(serde_json::from_str::<Value>(&text).unwrap()["traceEvents"].is_array());
    }
}
