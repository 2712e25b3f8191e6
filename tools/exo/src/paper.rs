//! The paper's own numbers, to stand beside ours.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

/// The paper's tables.
#[derive(Debug, Deserialize)]
pub struct Paper {
    machines: BTreeMap<String, Machine>,
    table: Vec<Table>,
}

#[derive(Debug, Deserialize)]
struct Machine {
    mhz: f64,
}

/// A table of the paper.
#[derive(Debug, Deserialize)]
pub struct Table {
    /// Its number.
    pub id: String,
    /// What it is about.
    pub title: String,
    unit: Option<String>,
    ops: Vec<String>,
    /// Times by system, machine and operation.
    #[serde(flatten)]
    times: BTreeMap<String, BTreeMap<String, BTreeMap<String, f64>>>,
}

/// The fastest of them: the one whose times are the paper's headline, and that our machine resembles most.
pub const REFERENCE: &str = "dec5000";
/// What some tables say in place of [`REFERENCE`]: another model of the same series with the same clock.
const REFERENCE_ALSO: &str = "dec5000_200";
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

    /// Where a table stands among the paper's; those that it lacks stand behind.
    pub fn position(&self, id: &str) -> usize {
        self.table.iter().position(|table| table.id == id).unwrap_or(self.table.len())
    }

    /// The clock of a machine.
    pub fn mhz(&self, machine: &str) -> Option<f64> {
        self.machines.get(machine).map(|machine| machine.mhz)
    }
}

impl Table {
    /// Where an operation stands among the table's.
    pub fn position(&self, op: &str) -> usize {
        self.ops.iter().position(|other| other == op).unwrap_or(self.ops.len())
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
        let machines = self.times.get(system)?;
        let also = (machine == REFERENCE).then_some(REFERENCE_ALSO);
        let time = [Some(machine), also].into_iter().flatten().find_map(|machine| machines.get(machine)?.get(op));
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
        assert_eq!(paper.table("7").unwrap().us("dpf", REFERENCE, "classify_warm"), Some(1.5));
        assert_eq!(paper.table("4").unwrap().counterpart("linux"), Some(UNIX));
        assert_eq!(paper.table("4").unwrap().counterpart("dpf"), None);
        assert!(paper.position("4") < paper.position("10") && paper.position("x") > paper.position("13"));
    }

    #[test]
    fn every_time_belongs_to_a_named_operation() {
        for table in Paper::read().unwrap().table {
            for times in table.times.values().flat_map(BTreeMap::values) {
                assert!(times.keys().all(|op| table.ops.contains(op)), "table {}", table.id);
            }
        }
    }
}
