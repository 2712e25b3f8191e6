//! The paper's own numbers, to stand beside ours.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

/// The paper's tables.
#[derive(Debug, Deserialize)]
pub struct Paper {
    /// Who printed what: a short name, and the title.
    sources: BTreeMap<String, String>,
    /// Its machines, Table 1, by the names of their clocks.
    pub machines: BTreeMap<String, Machine>,
    others: BTreeMap<String, String>,
    table: Vec<Table>,
    figure: Vec<Figure>,
}

/// A figure of the paper.
#[derive(Debug, Deserialize)]
pub struct Figure {
    /// Its number.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// The points' places on its horizontal axis.
    #[serde(default)]
    pub x: Vec<f64>,
    /// The points of each series there.
    #[serde(default)]
    pub series: BTreeMap<String, Vec<f64>>,
    /// Which series grew, from point to point.
    #[serde(default)]
    pub run_order: String,
    /// The last point of each series, as plotted.
    #[serde(default)]
    pub last: BTreeMap<String, f64>,
    /// The last point of each series' ideal line.
    #[serde(default)]
    pub ideal: BTreeMap<String, f64>,
    /// What the one that runs gets in a quantum, in thousands.
    #[serde(rename = "thousand_iterations_per_quantum")]
    pub thousands: Option<f64>,
}

/// A machine of the paper's.
#[derive(Debug, Deserialize)]
pub struct Machine {
    /// Its processor, as printed.
    pub cpu: String,
    /// Its clock.
    pub mhz: f64,
    /// Its SPEC rating.
    pub spec: String,
    /// Million instructions a second, about.
    pub mips: f64,
}

/// A table of the paper.
#[derive(Debug, Deserialize)]
pub struct Table {
    /// Its number.
    pub id: String,
    /// What it is about.
    pub title: String,
    #[serde(default = "sosp95")]
    source: String,
    /// How its author measured.
    pub method: String,
    /// What is done otherwise here: by operation, or `all`.
    #[serde(default)]
    changed: BTreeMap<String, String>,
    unit: Option<String>,
    ops: Vec<String>,
    /// Times by system, machine and operation.
    #[serde(flatten)]
    times: BTreeMap<String, BTreeMap<String, BTreeMap<String, f64>>>,
}

fn sosp95() -> String {
    "sosp95".to_owned()
}

/// The fastest of them: the one whose times are the paper's headline, and that our machine resembles most.
pub const REFERENCE: &str = "dec5000";
/// The machine of the tables of packet filters: another model of the same series with the same clock.
const OF_FILTERS: &str = "dec5000_200";
/// The monolithic system that the paper compares with.
pub const UNIX: &str = "ultrix";

impl Paper {
    /// Reads the data that is compiled in.
    pub fn read() -> Result<Self> {
        toml::from_str(include_str!("../paper.toml")).context("paper.toml is damaged")
    }

    /// The table of this number.
    pub fn table(&self, id: &str) -> Option<&Table> {
        self.table.iter().find(|table| table.id == id)
    }

    /// The figure of this number.
    pub fn figure(&self, id: &str) -> Option<&Figure> {
        self.figure.iter().find(|figure| figure.id == id)
    }

    /// Who printed a table.
    pub fn source(&self, table: &Table) -> &str {
        &self.sources[&table.source]
    }

    /// Where a table stands among the paper's; those that it lacks stand behind.
    pub fn position(&self, id: &str) -> usize {
        self.table.iter().position(|table| table.id == id).unwrap_or(self.table.len())
    }

    /// What a table of ours is that is no table of the paper's.
    pub fn other(&self, id: &str) -> Option<&str> {
        self.others.get(id).map(String::as_str)
    }

    /// The clock of a machine.
    pub fn mhz(&self, machine: &str) -> Option<f64> {
        // Its clock is the same, and Table 1 lacks it.
        let machine = if machine == OF_FILTERS { REFERENCE } else { machine };
        self.machines.get(machine).map(|machine| machine.mhz)
    }
}

impl Figure {
    /// The order in which the series of a schedule grow, for so many points: what the paper's text says was plotted.
    pub fn schedule(&self, points: usize) -> impl Iterator<Item = char> {
        self.run_order.chars().cycle().take(points)
    }
}

impl Table {
    /// Where an operation stands among the table's.
    pub fn position(&self, op: &str) -> usize {
        self.ops.iter().position(|other| other == op).unwrap_or(self.ops.len())
    }

    /// The machine whose times stand for the table: the fastest of those that it has.
    pub fn reference(&self) -> &str {
        let has = |machine: &&str| self.times.values().any(|machines| machines.contains_key(*machine));
        [REFERENCE, OF_FILTERS, "dec3100"].into_iter().find(has).unwrap_or(REFERENCE)
    }

    /// What is done otherwise with every operation.
    pub fn changed(&self) -> Option<&str> {
        self.changed.get("all").map(String::as_str)
    }

    /// What is done otherwise with one.
    pub fn changed_for(&self, op: &str) -> Option<&str> {
        self.changed.get(op).map(String::as_str)
    }

    /// The system of the paper to compare one of ours with: itself, or what played its part.
    pub fn counterpart(&self, system: &str) -> Option<&str> {
        let part = match system {
            "linux" => UNIX,
            "bpf" => "mpf",
            "trie" => "pathfinder",
            other => other,
        };
        self.times.get_key_value(part).map(|(name, _)| name.as_str())
    }

    /// Microseconds that the paper gives for an operation.
    pub fn us(&self, system: &str, machine: &str, op: &str) -> Option<f64> {
        let time = self.times.get(system)?.get(machine)?.get(op);
        let factor = if self.unit.as_deref() == Some("s") { 1e6 } else { 1.0 };
        time.map(|time| time * factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_read() {
        let paper = Paper::read().unwrap();
        let table = paper.table("4").unwrap();
        assert_eq!(table.us("aegis", REFERENCE, "syscall"), Some(1.6));
        assert_eq!(table.us(UNIX, "dec2100", "syscall"), Some(32.2));
        assert_eq!(table.us(UNIX, REFERENCE, "syscall_with_stack"), None);
        assert_eq!(paper.mhz(REFERENCE), Some(25.0));
        assert_eq!(paper.table("9").unwrap().us("exos", REFERENCE, "matrix"), Some(3.7e6));
        assert_eq!(paper.table("7").unwrap().us("dpf", OF_FILTERS, "classify_warm"), Some(1.5));
        assert_eq!(["4", "7", "13"].map(|id| paper.table(id).unwrap().reference()), [REFERENCE, OF_FILTERS, "dec3100"]);
        assert_eq!(paper.table("4").unwrap().counterpart("linux"), Some(UNIX));
        assert_eq!(paper.table("4").unwrap().counterpart("dpf"), None);
        assert!(paper.position("4") < paper.position("10") && paper.position("x") > paper.position("13"));
    }

    #[test]
    fn every_time_belongs_to_a_named_operation() {
        let paper = Paper::read().unwrap();
        for table in &paper.table {
            assert!(!paper.source(table).is_empty(), "table {}", table.id);
            assert!(table.changed.keys().all(|op| op == "all" || table.ops.contains(op)), "table {}", table.id);
            for times in table.times.values().flat_map(BTreeMap::values) {
                assert!(times.keys().all(|op| table.ops.contains(op)), "table {}", table.id);
            }
        }
    }
}
