//! What Linux takes for the same operations on the same machine: the measurements that the tree keeps.
//!
//! `cargo exo baseline` makes them; nothing else needs Linux, its source or its compiler.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The measurements, and what was measured.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Linux {
    /// Name and version of all that has a part in them: the kernel, compilers, machines.
    pub versions: BTreeMap<String, String>,
    /// The operations, in the order of the tables.
    #[serde(rename = "op", default)]
    pub ops: Vec<Op>,
}

/// An operation.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Op {
    /// The table that it belongs to.
    pub table: String,
    /// Its name, that of ours which does the same.
    pub op: String,
    /// What is counted between the marks of one alone.
    pub how: String,
    /// What the loop around it contains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loop_how: Option<String>,
    /// Instructions of one alone, on the model: how often it was measured, the median, and how far they lie apart.
    pub n: usize,
    /// Likewise.
    pub instructions: u64,
    /// Likewise.
    pub instructions_min: u64,
    /// Likewise.
    pub instructions_max: u64,
    /// How many differ from the median.
    pub disturbed: usize,
    /// Instructions a round of the loop, by machine.
    #[serde(default)]
    pub looped: BTreeMap<String, f64>,
    /// Cycles a round of the loop, by the model's clock.
    #[serde(default)]
    pub cycles: BTreeMap<String, f64>,
}

impl Linux {
    /// Reads what is compiled in.
    pub fn read() -> Result<Self> {
        Self::parse(KEPT)
    }

    /// Reads the file's form.
    pub fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).context("linux.toml is damaged")
    }

    /// Its form as a file.
    pub fn to_text(&self) -> Result<String> {
        Ok(format!("{HEAD}\n{}", toml::to_string(self).context("this can't be written")?))
    }

    /// The operation of that table and name.
    pub fn op(&self, table: &str, op: &str) -> Option<&Op> {
        self.ops.iter().find(|one| one.table == table && one.op == op)
    }

    /// What Linux does where one of our systems does this; none where it has nothing like it.
    pub fn counterpart(&self, table: &str, op: &str) -> Option<&Op> {
        let (table, op) = match (table, op) {
            ("4", "syscall_with_stack") => ("4", "syscall"),
            ("8", "pipe_inlined") => ("8", "pipe"),
            ("13", op) => ("10", op),
            other => other,
        };
        self.op(table, if op == "trap_assembly" { "trap" } else { op })
    }
}

impl Op {
    /// Instructions a round of the loop on a machine, by its name.
    pub fn looped(&self, machine: &str) -> Option<f64> {
        self.looped.get(machine).copied()
    }

    /// Cycles a round of the loop on a clock of the model's, by its name.
    pub fn cycles(&self, clock: &str) -> Option<f64> {
        self.cycles.get(clock).copied()
    }
}

/// Where the measurements are kept, from the root of the source tree.
pub const FILE: &str = "tools/exo/baseline/linux.toml";

const KEPT: &str = include_str!("../baseline/linux.toml");

/// Begins the file.
const HEAD: &str = "\
# What Linux takes on the same machines, measured. `cargo exo baseline` writes this file; docs/baseline.md says what is
# compared. Instructions are those of the user's process and of the kernel, `looped` and `cycles` a round of a loop.
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    fn op(table: &str, op: &str) -> Op {
        Op {
            table: table.to_owned(),
            op: op.to_owned(),
            how: "so".to_owned(),
            loop_how: None,
            n: 3,
            instructions: 100,
            instructions_min: 99,
            instructions_max: 120,
            disturbed: 2,
            looped: BTreeMap::from([("decstation".to_owned(), 104.5), ("gxemul".to_owned(), 104.25)]),
            cycles: BTreeMap::from([("dec5000".to_owned(), 300.0)]),
        }
    }

    fn linux() -> Linux {
        let versions = BTreeMap::from([("kernel".to_owned(), "Linux 6.1".to_owned())]);
        Linux { versions, ops: vec![op("4", "syscall"), op("8", "pipe"), op("10", "trap"), op("10", "prot1")] }
    }

    #[test]
    fn what_is_written_is_read() {
        let linux = linux();
        let text = linux.to_text().unwrap();
        assert_eq!(Linux::parse(&text).unwrap(), linux);
        assert!(Linux::parse("op = 3").unwrap_err().to_string().contains("damaged"));
    }

    #[test]
    fn ours_have_counterparts() {
        let linux = linux();
        let name = |table, op| linux.counterpart(table, op).map(|op| (op.table.as_str(), op.op.as_str()));
        assert_eq!(name("4", "syscall"), Some(("4", "syscall")));
        assert_eq!(name("4", "syscall_with_stack"), Some(("4", "syscall")));
        assert_eq!(name("8", "pipe_inlined"), Some(("8", "pipe")));
        assert_eq!(name("13", "prot1"), Some(("10", "prot1")));
        assert_eq!(name("13", "trap_assembly"), Some(("10", "trap")));
        assert_eq!(name("10", "dirty"), None);
        assert_eq!(name("7", "syscall"), None);
    }

    #[test]
    fn numbers_are_told_by_machine_and_clock() {
        let op = op("4", "syscall");
        assert_eq!((op.looped("gxemul"), op.looped("malta")), (Some(104.25), None));
        assert_eq!((op.cycles("dec5000"), op.cycles("dec2100")), (Some(300.0), None));
    }

    #[test]
    fn what_is_kept_is_whole() {
        let linux = Linux::read().unwrap();
        assert!(["kernel", "decstation", "gxemul"].iter().all(|name| linux.versions.contains_key(*name)));
        for op in &linux.ops {
            let name = format!("{} of table {}", op.op, op.table);
            assert!(op.instructions_min <= op.instructions && op.instructions <= op.instructions_max, "{name}");
            assert!(op.n > 0 && op.disturbed < op.n, "{name}");
            if op.loop_how.is_some() {
                for machine in Machine::ALL.map(Machine::name) {
                    assert_eq!(
                        op.looped(machine).is_some(),
                        linux.versions.contains_key(machine),
                        "{name} on {machine}"
                    );
                }
                assert!(["dec2100", "dec3100", "dec5000"].iter().all(|clock| op.cycles(clock).is_some()), "{name}");
            }
        }
        for (table, op) in [("4", "syscall"), ("5", "overflow"), ("8", "pipe"), ("9", "matrix"), ("10", "appel2")] {
            assert!(linux.op(table, op).is_some(), "{op} of table {table}");
        }
    }
}
