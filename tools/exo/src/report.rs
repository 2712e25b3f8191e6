//! The report of what was measured: rows of tables and series of figures, and what they were measured on.
//!
//! Everything that is shown is shown from this: the terminal's tables, the page, the file of `--json`, from which it can be
//! read again.

pub mod html;
pub mod plot;
pub mod terminal;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bench::measure::Measured;
use crate::figure::Series;
use crate::linux::{Linux, Op};
use crate::machine::{Clock, Machine};
use crate::paper::{Paper, REFERENCE, Table};

/// The monolithic system of today on the same machine, as results name it.
pub const LINUX: &str = "linux";

/// How far, as a part, the model was off where real machines were measured and no parameter was read off that
/// (docs/model.md, "Against measurements": the misses).
pub const MODEL_ERROR: f64 = 0.1;

/// What marks a time of the paper's from which ours is not further than that: neither is faster.
pub const ALIKE: &str = "\u{2248}";

/// [`ALIKE`], if times are that near to each other, else nothing.
pub fn alike(ours: f64, theirs: f64) -> &'static str {
    let apart = (ours / theirs).max(theirs / ours);
    if apart <= 1.0 + MODEL_ERROR { ALIKE } else { "" }
}

/// The form of the file.
pub const SCHEMA: u32 = 1;

/// What was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The commit that was measured, marked if the tree differs from it; absent if there is none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The guest's compiler.
    pub toolchain: String,
    /// The machine.
    pub machine: String,
    /// Its version.
    pub machine_version: String,
    /// The clocks that time was measured on, the slowest first; none if the machine has none.
    #[serde(default)]
    pub clocks: Vec<String>,
    /// The other machines that counted instructions, with their versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub witnesses: BTreeMap<String, String>,
    /// What is known of the Linux beside ours: names and versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub linux: BTreeMap<String, String>,
    /// The kernel's longest path, on a machine that tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest: Option<String>,
    /// Operations and series, as the paper's tables are ordered.
    pub results: Vec<Line>,
}

/// A series of a figure, or an operation of a table. What has points is read as the former.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// A series.
    Series(Series),
    /// An operation.
    Row(Box<Row>),
}

/// An operation of a table, of one system. A field that was not measured is absent.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Row {
    /// The table.
    pub table: String,
    /// The operation.
    pub op: String,
    /// The system.
    pub system: String,
    /// How often it was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<usize>,
    /// Instructions: the median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<f64>,
    /// The least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions_min: Option<u64>,
    /// The most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions_max: Option<u64>,
    /// How many of `n` differ from the median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disturbed: Option<usize>,
    /// Instructions on other machines.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub witnesses: BTreeMap<String, f64>,
    /// Instructions a round of the loop that is timed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loop_instructions: Option<f64>,
    /// Rounds of the loop, and how often it was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loop_rounds: Option<u32>,
    /// See above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loop_n: Option<usize>,
    /// Cycles a round of the loop, on `clock`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycles: Option<f64>,
    /// Microseconds a round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub us: Option<f64>,
    /// The clock of both: the paper's fastest, or what there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<String>,
    /// The same on each clock that was measured.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clocks: BTreeMap<String, OnClock>,
    /// The paper's time, of its fastest machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paper_us: Option<f64>,
    /// The paper's time by ours, if both are of that machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// The system of the paper that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paper_system: Option<String>,
    /// The machine of the paper that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paper_machine: Option<String>,
    /// The operation's name in the paper, if it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paper_op: Option<String>,
    /// Instructions that Linux executes for the same on this machine: round against round, or if ours has no loop one alone
    /// against one alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linux_instructions: Option<f64>,
    /// How many times ours that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linux_ratio: Option<f64>,
    /// What is counted.
    pub how: String,
    /// What is timed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loop_how: Option<String>,
}

/// A round's time on a clock, beside the paper's.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct OnClock {
    /// Cycles.
    pub cycles: f64,
    /// Microseconds.
    pub us: f64,
    /// The paper's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paper_us: Option<f64>,
}

impl Row {
    /// The row of what was measured, beside the paper.
    pub fn new(measured: &Measured, paper: &Paper) -> Self {
        let Measured { description, summary, timed } = measured;
        let on = |clock: &Clock| {
            let cycles = *timed.as_ref()?.cycles.get(clock.name())?;
            Some((clock.name().to_owned(), OnClock { cycles, us: cycles / clock.mhz(), paper_us: None }))
        };
        let row = Self {
            table: description.table.clone(),
            op: description.op.clone(),
            system: description.system.clone(),
            n: Some(summary.n),
            instructions: Some(summary.median as f64),
            instructions_min: Some(summary.min),
            instructions_max: Some(summary.max),
            disturbed: Some(summary.disturbed),
            loop_instructions: timed.as_ref().map(|timed| timed.instructions),
            loop_rounds: timed.as_ref().map(|timed| timed.repeats.rounds),
            loop_n: timed.as_ref().map(|timed| timed.n),
            clocks: Clock::ALL.iter().filter_map(on).collect(),
            paper_op: (description.paper_op != description.op).then(|| description.paper_op.clone()),
            how: description.how.clone(),
            loop_how: timed.as_ref().map(|timed| timed.repeats.how.clone()),
            ..Self::default()
        };
        row.beside(paper)
    }

    /// What the tree keeps of an operation of Linux for this machine, if anything.
    pub fn of_linux(op: &Op, paper: &Paper, machine: Machine) -> Option<Self> {
        let on = |clock: &Clock| {
            let cycles = op.cycles(clock.name()).filter(|_| machine.has_clock())?;
            Some((clock.name().to_owned(), OnClock { cycles, us: cycles / clock.mhz(), paper_us: None }))
        };
        let mut row = Self {
            table: op.table.clone(),
            op: op.op.clone(),
            system: LINUX.to_owned(),
            loop_instructions: op.looped(machine.name()),
            clocks: Clock::ALL.iter().filter_map(on).collect(),
            how: op.how.clone(),
            loop_how: op.loop_how.clone(),
            ..Self::default()
        };
        if machine.has_clock() {
            row.n = Some(op.n);
            row.instructions = Some(op.instructions as f64);
            row.instructions_min = Some(op.instructions_min);
            row.instructions_max = Some(op.instructions_max);
            row.disturbed = Some(op.disturbed);
        }
        let is_measured = row.instructions.or(row.loop_instructions).is_some();
        is_measured.then(|| row.beside(paper))
    }

    /// With what Linux takes for the same.
    pub fn against(mut self, linux: &Linux, machine: Machine) -> Self {
        let theirs = |op: &Op| match self.loop_instructions {
            Some(ours) => Some((op.looped(machine.name())?, ours)),
            None if machine.has_clock() => Some((op.instructions as f64, self.instructions?)),
            None => None,
        };
        if let Some((theirs, ours)) = linux.counterpart(&self.table, &self.op).and_then(theirs) {
            self.linux_instructions = Some(theirs);
            self.linux_ratio = Some(theirs / ours);
        }
        self
    }

    /// With the paper's times, and what follows from those on each clock.
    pub fn beside(mut self, paper: &Paper) -> Self {
        let table = paper.table(&self.table);
        let system = table.and_then(|table| table.counterpart(&self.system));
        let op = self.paper_op.as_ref().unwrap_or(&self.op);
        let us = |machine: &str| table?.us(system?, machine, op);
        for (clock, time) in &mut self.clocks {
            time.paper_us = us(clock);
        }
        let reference = table.map_or(REFERENCE, Table::reference);
        let paper_us = us(reference);
        let clock = [reference, REFERENCE].into_iter().chain(self.clocks.keys().map(String::as_str));
        let clock = clock.into_iter().find(|clock| self.clocks.contains_key(*clock)).map(str::to_owned);
        let time = clock.as_ref().map(|clock| &self.clocks[clock]);
        self.cycles = time.map(|time| time.cycles).or(self.cycles);
        self.us = time.map(|time| time.us).or(self.us);
        self.ratio = time.and_then(|time| Some(time.paper_us? / time.us));
        self.clock = clock;
        self.paper_us = paper_us;
        self.paper_system = paper_us.and(system).map(str::to_owned);
        self.paper_machine = paper_us.map(|_| reference.to_owned());
        self
    }

    /// What the paper calls the operation.
    pub fn in_paper(&self) -> &str {
        self.paper_op.as_ref().unwrap_or(&self.op)
    }
}

/// Puts rows in order: as the paper's tables and their operations, and others behind, each table in the order in which its
/// operations first come.
pub fn sort(rows: &mut [Row], paper: &Paper) {
    let mut first = BTreeMap::new();
    for (place, row) in rows.iter().enumerate() {
        first.entry((row.table.clone(), row.op.clone())).or_insert(place);
    }
    rows.sort_by_cached_key(|row| {
        let within = paper.table(&row.table).map_or(0, |table| table.position(&row.op));
        (paper.position(&row.table), row.table.clone(), within, first[&(row.table.clone(), row.op.clone())])
    });
}

impl Report {
    /// Its rows, table by table.
    pub fn tables(&self) -> Vec<Vec<&Row>> {
        let rows = self.results.iter().filter_map(|line| if let Line::Row(row) = line { Some(&**row) } else { None });
        let rows: Vec<_> = rows.collect();
        rows.chunk_by(|one, other| one.table == other.table).map(<[_]>::to_vec).collect()
    }

    /// Its series, figure by figure.
    pub fn figures(&self) -> Vec<Vec<&Series>> {
        let series = self.results.iter().filter_map(|line| if let Line::Series(one) = line { Some(one) } else { None });
        let series: Vec<_> = series.collect();
        series.chunk_by(|one, other| one.table == other.table).map(<[_]>::to_vec).collect()
    }

    /// The row of an operation.
    pub fn row(&self, table: &str, op: &str, system: &str) -> Option<&Row> {
        self.tables().concat().into_iter().find(|row| row.table == table && row.op == op && row.system == system)
    }

    /// The clocks that it has times of.
    pub fn clocks(&self) -> Vec<Clock> {
        Clock::ALL.into_iter().filter(|clock| self.clocks.iter().any(|name| name == clock.name())).collect()
    }

    /// Those of a table: also that of a machine which the paper has in this table only.
    pub fn clocks_of(&self, rows: &[&Row]) -> Vec<Clock> {
        let has = |clock: &Clock| rows.iter().any(|row| row.clocks.contains_key(clock.name()));
        let mut clocks = self.clocks();
        clocks.extend(Clock::ALL.into_iter().filter(|clock| has(clock) && !self.clocks().contains(clock)));
        clocks
    }
}

/// What a table is, in a line.
pub fn title(id: &str, paper: &Paper) -> String {
    match (paper.table(id), id) {
        (Some(table), id) if id.parse::<u32>().is_ok() => format!("Table {id}: {}", table.title),
        (Some(table), _) => {
            let mut title = table.title.clone();
            title[..1].make_ascii_uppercase();
            title
        }
        (None, id) => match paper.other(id) {
            Some(other) => format!("Not in the paper: {other}"),
            None => format!("{id} (not in the paper)"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::measure::tests::measured;

    #[test]
    fn rows_have_the_documented_form() {
        let paper = Paper::read().unwrap();
        let json = serde_json::to_value(Row::new(&measured(), &paper)).unwrap();
        let expected = serde_json::json!({
            "table": "4", "op": "syscall", "system": "aegis", "n": 4, "instructions": 18.0, "instructions_min": 18,
            "instructions_max": 300, "disturbed": 1, "loop_instructions": 22.0, "loop_rounds": 1000, "loop_n": 9,
            "cycles": 25.0, "us": 1.0, "clock": "dec5000",
            "clocks": { "dec5000": { "cycles": 25.0, "us": 1.0, "paper_us": 1.6 } },
            "paper_us": 1.6, "ratio": 1.6, "paper_system": "aegis", "paper_machine": "dec5000", "how": "self",
            "loop_how": "round and round",
        });
        assert_eq!(json, expected);
        let again: Row = serde_json::from_value(json).unwrap();
        assert_eq!(again, Row::new(&measured(), &paper));
    }

    #[test]
    fn lines_are_read_as_what_they_are() {
        let lines = ["figure 3 series=A system=exos unit=iterations how=so", "point 3 series=A x=1 y=50"];
        let series = crate::figure::parse(&lines.map(str::to_owned), None, |_| None).unwrap().remove(0);
        let row = Box::new(Row::new(&measured(), &Paper::read().unwrap()));
        for line in [Line::Series(series), Line::Row(row)] {
            let again: Line = serde_json::from_str(&serde_json::to_string(&line).unwrap()).unwrap();
            assert_eq!(again, line);
        }
    }

    #[test]
    fn times_are_alike_within_the_error() {
        for (ours, theirs) in [(1.0, 1.0), (1.0, 1.09), (1.09, 1.0)] {
            assert_eq!(alike(ours, theirs), ALIKE);
        }
        assert!(alike(1.0, 1.11).is_empty() && alike(1.11, 1.0).is_empty());
    }

    #[test]
    fn what_the_paper_lacks_is_absent() {
        let paper = Paper::read().unwrap();
        let mut measured = measured();
        measured.description.paper_op = "return".to_owned();
        let json = serde_json::to_value(Row::new(&measured, &paper)).unwrap();
        assert!(json.get("paper_us").is_none() && json.get("paper_system").is_none() && json.get("ratio").is_none());
    }

    /// Linux with a system call of so many instructions.
    fn linux() -> Linux {
        Linux::parse(
            r#"
            [versions]
            [[op]]
            table = "4"
            op = "syscall"
            how = "getpid"
            n = 200
            instructions = 178
            instructions_min = 178
            instructions_max = 300
            disturbed = 2
            looped = { decstation = 187.0, malta = 176.0 }
            cycles = { dec5000 = 250.0 }
            "#,
        )
        .unwrap()
    }

    #[test]
    fn linux_has_rows_of_the_same_form() {
        let (linux, paper) = (linux(), Paper::read().unwrap());
        let json = |machine| {
            serde_json::to_value(
                linux.ops.iter().filter_map(|op| Row::of_linux(op, &paper, machine)).collect::<Vec<_>>(),
            )
            .unwrap()
        };
        let expected = serde_json::json!([{
            "table": "4", "op": "syscall", "system": "linux", "n": 200, "instructions": 178.0, "instructions_min": 178,
            "instructions_max": 300, "disturbed": 2, "loop_instructions": 187.0, "cycles": 250.0, "us": 10.0,
            "clock": "dec5000", "clocks": { "dec5000": { "cycles": 250.0, "us": 10.0, "paper_us": 21.3 } },
            "paper_us": 21.3, "ratio": 2.13, "paper_system": "ultrix", "paper_machine": "dec5000", "how": "getpid",
        }]);
        assert_eq!(json(Machine::Decstation), expected);
        let expected = serde_json::json!([{
            "table": "4", "op": "syscall", "system": "linux", "loop_instructions": 176.0, "how": "getpid",
            "paper_us": 21.3, "paper_system": "ultrix", "paper_machine": "dec5000",
        }]);
        assert_eq!(json(Machine::Malta), expected);
        assert_eq!(json(Machine::Gxemul), serde_json::json!([]));
    }

    #[test]
    fn linux_is_compared_like_for_like() {
        let paper = Paper::read().unwrap();
        let against = |measured: &Measured, machine| {
            let row = Row::new(measured, &paper).against(&linux(), machine);
            row.linux_instructions.zip(row.linux_ratio)
        };
        assert_eq!(against(&measured(), Machine::Decstation), Some((187.0, 8.5)));
        assert_eq!(against(&measured(), Machine::Malta), Some((176.0, 8.0)));
        assert_eq!(against(&measured(), Machine::Gxemul), None);
        let mut other = Measured { timed: None, ..measured() };
        assert_eq!(against(&other, Machine::Decstation), Some((178.0, 178.0 / 18.0)));
        assert_eq!(against(&other, Machine::Malta), None);
        other.description.op = "dirty".to_owned();
        assert_eq!(against(&other, Machine::Decstation), None);
    }

    #[test]
    fn tables_are_ordered_as_in_the_paper() {
        let row = |table: &str, op: &str, system: &str| Row {
            table: table.to_owned(),
            op: op.to_owned(),
            system: system.to_owned(),
            ..Row::default()
        };
        let mut rows = vec![
            row("calls", "self", "aegis"),
            row("5", "return", "aegis"),
            row("5", "overflow", "aegis"),
            row("4", "syscall", "aegis"),
            row("calls", "clock", "aegis"),
            row("5", "overflow", "linux"),
        ];
        sort(&mut rows, &Paper::read().unwrap());
        let order: Vec<_> = rows.iter().map(|row| format!("{} {} {}", row.table, row.op, row.system)).collect();
        let expected = [
            "4 syscall aegis",
            "5 overflow aegis",
            "5 overflow linux",
            "5 return aegis",
            "calls self aegis",
            "calls clock aegis",
        ];
        assert_eq!(order, expected);
    }
}
