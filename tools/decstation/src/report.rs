//! What a profile of a run says in terms of the guest's source: where the cycles went, and which lines were executed.

use crate::instruments::Executions;
use crate::symbols::Symbols;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

/// A function or line, and what it cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// A function's name, or `file:line`.
    pub name: String,
    /// Instructions executed and their cycles.
    pub executions: Executions,
}

/// Where the PROM's functions lie; it has no symbols.
const PROM: std::ops::Range<u32> = 0xbfc0_0000..0xc000_0000;

fn function(symbols: &Symbols, address: u32) -> (u32, String) {
    match symbols.function(address) {
        Some((name, offset)) => (address - offset, name.to_string()),
        None if PROM.contains(&address) => (PROM.start, "the PROM".into()),
        None => (0, "without a symbol".into()),
    }
}

/// Adds up what the addresses of each key cost, dearest first.
fn costs<K: Ord>(counts: impl Iterator<Item = (K, Executions)>, name: impl Fn(&K) -> String) -> Vec<(K, Cost)> {
    let mut sums = BTreeMap::<K, Executions>::new();
    for (key, executions) in counts {
        let sum = sums.entry(key).or_default();
        sum.count += executions.count;
        sum.cycles += executions.cycles;
    }
    let mut costs: Vec<_> = sums
        .into_iter()
        .map(|(key, executions)| {
            let name = name(&key);
            (key, Cost { name, executions })
        })
        .collect();
    costs.sort_by_key(|(_, cost)| std::cmp::Reverse((cost.executions.cycles, cost.executions.count)));
    costs
}

/// The functions of a profile, dearest first, with their addresses.
pub fn functions(profile: &HashMap<u32, Executions>, symbols: &Symbols) -> Vec<(u32, Cost)> {
    let counts = profile.iter().map(|(&address, &executions)| (function(symbols, address), executions));
    costs(counts, |(_, name)| name.clone()).into_iter().map(|((address, _), cost)| (address, cost)).collect()
}

/// The lines of the function at this address, dearest first. What was inlined into it has lines elsewhere.
pub fn lines(profile: &HashMap<u32, Executions>, symbols: &Symbols, start: u32) -> Vec<Cost> {
    let line = |address| match symbols.line(address) {
        Some(place) => format!("{}:{}", place.file, place.line),
        None => format!("{address:08x}"),
    };
    let inside = profile.iter().filter(|&(&address, _)| function(symbols, address).0 == start);
    let counts = inside.map(|(&address, &executions)| (line(address), executions));
    costs(counts, |name| name.clone()).into_iter().map(|(_, cost)| cost).collect()
}

/// Tables of the `count` dearest functions, and of the dearest one's dearest lines.
pub fn hot(profile: &HashMap<u32, Executions>, symbols: &Symbols, count: usize) -> String {
    let total: u64 = profile.values().map(|executions| executions.cycles).sum();
    let mut text = String::new();
    let mut table = |what: &str, costs: &[&Cost]| {
        let _ = writeln!(text, "{:>14} {:>7} {:>14}  {what}", "cycles", "", "instructions");
        for Cost { name, executions } in costs.iter().take(count) {
            let share = executions.cycles as f64 * 100.0 / total.max(1) as f64;
            let _ = writeln!(text, "{:>14} {share:>6.1}% {:>14}  {name}", executions.cycles, executions.count);
        }
    };
    let functions = functions(profile, symbols);
    table("function", &functions.iter().map(|(_, cost)| cost).collect::<Vec<_>>());
    if let Some((start, first)) = functions.first() {
        let lines = lines(profile, symbols, *start);
        table(&format!("line, within {}", first.name), &lines.iter().collect::<Vec<_>>());
    }
    text
}

/// How often each source line of the guest was executed, in the form that `genhtml` and editors read: an `SF` for each file,
/// then a `DA` for each line that has instructions. A line's count is that of its instruction that was executed most often.
pub fn coverage(profile: &HashMap<u32, Executions>, symbols: &Symbols) -> String {
    let mut files = BTreeMap::<String, BTreeMap<u32, u64>>::new();
    for row in symbols.rows() {
        let addresses = (row.start..).step_by(4).take(row.length.div_ceil(4) as usize);
        let executed = addresses.filter_map(|address| profile.get(&address)).map(|executions| executions.count).max();
        let count = files.entry(row.place.file).or_default().entry(row.place.line).or_default();
        *count = (*count).max(executed.unwrap_or(0));
    }
    let mut text = String::new();
    for (file, lines) in files {
        let _ = writeln!(text, "SF:{file}");
        for (line, count) in &lines {
            let _ = writeln!(text, "DA:{line},{count}");
        }
        let hit = lines.values().filter(|&&count| count != 0).count();
        let _ = writeln!(text, "LH:{hit}\nLF:{}\nend_of_record", lines.len());
    }
    text
}
