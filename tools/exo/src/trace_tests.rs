//! Tests of what is seen of whole runs, on the model: calls, timeline, and the screen of `top`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::build::program_name;
use crate::calls;
use crate::crossings::{Boot, follow};
use crate::machine::Clock;
use crate::test::{Bench, timed};
use crate::timeline::{Timeline, check_nesting};
use crate::top;

/// What their names begin with.
const AREA: &str = "trace::";

/// A test: its name, what is started, and itself.
type Case = (&'static str, &'static [&'static str], fn(&Boot) -> Result<()>);

const CASES: [Case; 4] = [
    ("calls", &["boot_hello"], calls_of_hello),
    ("timeline", &SLICES, timeline_of_slices),
    ("timeline_of_transfers", &["aegis_transfer"], timeline_of_transfers),
    ("top", &SLICES, top_of_slices),
];

/// Three programs that share the processor.
const SLICES: [&str; 3] = ["aegis_slices,name=a", "aegis_slices,name=b", "aegis_slices,name=c"];

/// The programs of the tests whose names contain a word.
pub fn programs(filter: &str) -> Vec<&'static str> {
    if !filter.starts_with(AREA) {
        return Vec::new();
    }
    let cases = CASES.iter().filter(|(name, ..)| format!("{AREA}{name}").contains(filter));
    cases.flat_map(|(_, words, _)| words.iter().map(|word| program_name(word))).collect()
}

/// The tests.
pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let trial = |&(name, words, test): &Case| {
        let bench = Arc::clone(bench);
        timed(format!("{AREA}{name}"), move || {
            let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
            let boot = Boot::of(&bench.workspace, &bench.guest, &format!("trace-test-{name}"), &words, &[]);
            boot.and_then(|boot| test(&boot)).map_err(|error| format!("{error:#}").into())
        })
    };
    CASES.iter().map(trial).collect()
}

fn calls_of_hello(boot: &Boot) -> Result<()> {
    let mut shown = Vec::new();
    let mut cycles = 0;
    let job = boot.job(Clock::Dec5000, Duration::from_secs(20));
    follow(
        &job,
        &boot.symbols,
        |_| {},
        |_, path| {
            if let Some(call) = calls::show(&path) {
                let name = path.from.as_ref().map_or("?", |from| &from.name);
                shown.push(format!("{name}: {call}"));
                cycles += path.left - path.entered;
            }
        },
    )?;
    let find = |text: &str| {
        shown.iter().position(|line| line.contains(text)).with_context(|| format!("no {text:?}: {shown:#?}"))
    };
    let write = find("boot_hello: console_write(")?;
    ensure!(shown[write].ends_with(", 18) = 0"), "{}", shown[write]);
    let exit = find("boot_hello: exit(0)")?;
    ensure!(write < exit && exit == shown.len() - 1, "{shown:#?}");
    ensure!(cycles > 0, "they took no time");
    Ok(())
}

/// The timeline of a run.
fn events(boot: &Boot) -> Result<Vec<Value>> {
    let mut timeline = Timeline::new(Clock::Dec5000.mhz());
    let job = boot.job(Clock::Dec5000, Duration::from_secs(20));
    follow(&job, &boot.symbols, |_| {}, |_, path| timeline.add(&path))?;
    let events = timeline.finish();
    check_nesting(&events)?;
    // What is written is read as the same.
    let text = serde_json::to_string(&events)?;
    ensure!(serde_json::from_str::<Value>(&text)?.as_array().map(Vec::len) == Some(events.len()), "it does not parse");
    Ok(events)
}

fn timeline_of_slices(boot: &Boot) -> Result<()> {
    let events = events(boot)?;
    let tracks = events.iter().filter(|event| event["name"] == "thread_name");
    let tracks: Vec<_> = tracks.map(|track| track["args"]["name"].as_str().unwrap_or_default()).collect();
    ensure!(tracks.len() == 3 && tracks.iter().all(|name| name.starts_with("aegis_slices")), "{tracks:?}");
    // They take turns: each has run ten times at least, and about as long as the others.
    let mut times: BTreeMap<u64, (u32, f64)> = BTreeMap::new();
    for event in events.iter().filter(|event| event["name"] == "runs") {
        let time = times.entry(event["tid"].as_u64().unwrap_or_default()).or_default();
        *time = (time.0 + 1, time.1 + event["dur"].as_f64().unwrap_or_default());
    }
    // With the last one's exit the kernel stays to send what is left for the console.
    for exit in events.iter().filter(|event| event["name"] == "exit") {
        let time = times.entry(exit["tid"].as_u64().unwrap_or_default()).or_default();
        time.1 -= exit["dur"].as_f64().unwrap_or_default();
    }
    ensure!(times.len() == 3, "{times:?}");
    for (runs, time) in times.values() {
        ensure!(*runs >= 10 && (135_000.0..220_000.0).contains(time), "{times:?}");
    }
    let ticks = events.iter().filter(|event| event["cat"] == "slice").count();
    ensure!((28..=36).contains(&ticks), "{ticks} slices");
    Ok(())
}

fn timeline_of_transfers(boot: &Boot) -> Result<()> {
    let events = events(boot)?;
    let count = |kind: &str| events.iter().filter(|event| event["ph"] == kind).count();
    ensure!(count("s") > 0 && count("s") == count("f"), "{} arrows begin, {} end", count("s"), count("f"));
    let of = |category: &str| events.iter().filter(|event| event["cat"] == category && event["ph"] == "X").count();
    for category in ["transfer", "call", "miss"] {
        ensure!(of(category) > 0, "there is no {category}");
    }
    Ok(())
}

fn top_of_slices(boot: &Boot) -> Result<()> {
    let screen = top::once(boot, Clock::Dec5000, 300)?;
    let text = screen.join("\n");
    let has = |wanted: &str| text.contains(wanted);
    ensure!(screen[0].starts_with("300."), "{text}");
    ensure!(has("ENVIRONMENTS: 3") && has(" of 64 entries valid"), "{text}");
    // Each has the slice that it was started with, and frames.
    for letter in ["A", "B", "C"] {
        let row = screen.iter().find(|line| line.starts_with(&format!("  {letter} 0x"))).context("a row is missing")?;
        let words: Vec<_> = row.split_whitespace().collect();
        let frames = words.get(4).and_then(|word| word.parse::<u32>().ok());
        ensure!(words.get(2) == Some(&"aegis_slices") && words.get(3) == Some(&"1"), "{text}");
        ensure!(frames.is_some_and(|frames| frames > 4), "{text}");
    }
    let slices = screen.iter().position(|line| line.starts_with("SLICES")).context("no slices")?;
    ensure!(screen[slices + 1].trim().starts_with("ABC."), "{text}");
    let later = top::once(boot, Clock::Dec5000, 20_000)?.join("\n");
    ensure!(later.contains("aegis: verdict: pass") && later.contains("(halted)"), "{later}");
    Ok(())
}
