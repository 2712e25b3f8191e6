//! Counting the instructions, and on a machine with a clock the cycles, of marked operations.
//!
//! An operation begins and ends with a mark, an instruction that does nothing (see [`aegis_abi::mark`]). What is counted is
//! every instruction executed strictly between the two: in user mode and in the kernel, in delay slots too, but no mark.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use aegis_abi::mark::{END, ID_MASK, LINE, LOOP_LINE};
use anyhow::{Context, Result, bail, ensure};
use decstation::Stretch;
use serde::{Deserialize, Serialize};

use crate::console::Console;
use crate::machine::{Mark, Observer};
use crate::symbols::Symbols;

/// One execution of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// Instructions between its marks.
    pub instructions: u64,
    /// Cycles between them, on a machine with a clock.
    pub cycles: Option<u64>,
}

/// Sees each mark and keeps a window for each execution of each operation.
#[derive(Debug, Default)]
pub struct Counter {
    /// Marks so far.
    marks: u64,
    operations: BTreeMap<u32, Operation>,
    /// The first thing that was wrong with the marks.
    error: Option<String>,
}

#[derive(Debug, Default)]
struct Operation {
    /// Where it began, if it is going on, and how many marks there were before.
    begun: Option<(Mark, u64)>,
    windows: Vec<Window>,
}

impl Counter {
    /// The next mark.
    pub fn mark(&mut self, mark: Mark) {
        let marks = self.marks;
        self.marks += 1;
        let id = mark.immediate & ID_MASK;
        let operation = self.operations.entry(id).or_default();
        let problem = match (mark.immediate & END != 0, operation.begun.take()) {
            (false, None) => {
                operation.begun = Some((mark, marks));
                return;
            }
            (true, Some((begin, before))) => {
                // Each mark counts as a cycle, the beginning's and those of other operations in between.
                let cycles =
                    mark.cycles.zip(begin.cycles).map(|(end, begin)| (end - begin).saturating_sub(marks - before));
                operation.windows.push(Window { instructions: mark.instructions - begin.instructions, cycles });
                return;
            }
            (false, Some(_)) => "begins again before its end",
            (true, None) => "ends without a beginning",
        };
        self.error
            .get_or_insert_with(|| format!("operation {id} {problem} (its {}. time)", operation.windows.len() + 1));
    }

    /// The windows of each operation, by its mark's id; an error if the marks were not in pairs.
    pub fn finish(self) -> Result<BTreeMap<u32, Vec<Window>>> {
        if let Some(error) = self.error {
            bail!("{error}");
        }
        if let Some((id, _)) = self.operations.iter().find(|(_, operation)| operation.begun.is_some()) {
            bail!("operation {id} never ends");
        }
        Ok(self.operations.into_iter().map(|(id, operation)| (id, operation.windows)).collect())
    }
}

/// Watches the console and the marks of a run.
pub struct Watching<'a> {
    /// Its console.
    pub console: Console<'a>,
    /// Its marks.
    pub counter: Counter,
    /// The kernel's longest path, on a machine that tells.
    pub longest: Option<Stretch>,
}

impl<'a> Watching<'a> {
    /// Nothing seen yet. Lines are kept and not shown.
    pub fn new(symbols: &'a Symbols) -> Self {
        Self { console: Console::new(symbols, |_| {}), counter: Counter::default(), longest: None }
    }
}

impl Observer for Watching<'_> {
    fn console(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        self.console.take(bytes)
    }

    fn mark(&mut self, mark: Mark) {
        self.counter.mark(mark);
    }

    fn longest(&mut self, stretch: Stretch) {
        self.longest = Some(stretch);
    }
}

/// What the counts of one operation come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// How many there are.
    pub n: usize,
    /// The least.
    pub min: u64,
    /// The middle one; of two the lower, so that it is a count that occurred.
    pub median: u64,
    /// The largest.
    pub max: u64,
    /// How many differ from the median. An operation of fixed length differs only when an interrupt or a miss of the translation
    /// buffer falls into it.
    pub disturbed: usize,
}

impl Summary {
    /// Sums up; nothing if there are no counts.
    pub fn of(counts: &[u64]) -> Option<Self> {
        let mut sorted = counts.to_vec();
        sorted.sort_unstable();
        let median = *sorted.get(sorted.len().checked_sub(1)? / 2)?;
        let disturbed = sorted.iter().filter(|&&count| count != median).count();
        Some(Self { n: sorted.len(), min: sorted[0], median, max: sorted[sorted.len() - 1], disturbed })
    }
}

/// What a loop stands for: the program's line `loop ID of=ID rounds=N how=TEXT`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Loop {
    /// The id of its marks.
    pub id: u32,
    /// The id of the operation's marks.
    pub of: u32,
    /// Executions of the operation between the marks.
    pub rounds: u32,
    /// What is in the loop.
    pub how: String,
}

impl Loop {
    /// Reads a console line; none if it is about something else.
    pub fn parse(line: &str) -> Result<Option<Self>> {
        let Some(rest) = line.strip_prefix(LOOP_LINE) else { return Ok(None) };
        Self::parse_rest(rest).map(Some).with_context(|| format!("the line {line:?} describes no loop"))
    }

    fn parse_rest(rest: &str) -> Result<Self> {
        let Fields { id, mut fields, how } = Fields::parse(rest, &["of", "rounds"])?;
        let mut number = |key: &str| {
            let value = fields.remove(key).with_context(|| format!("it lacks {key}="))?;
            value.parse::<u32>().ok().filter(|&number| number > 0).with_context(|| format!("{key}= is not a number"))
        };
        Ok(Self { id, of: number("of")?, rounds: number("rounds")?, how })
    }
}

/// The words of a describing line, `ID KEY=VALUE… how=TEXT`.
struct Fields {
    id: u32,
    fields: BTreeMap<String, String>,
    how: String,
}

impl Fields {
    fn parse(rest: &str, keys: &[&str]) -> Result<Self> {
        let (words, how) = rest.split_once(" how=").context("it lacks how=")?;
        let mut words = words.split(' ');
        let id = words.next().and_then(|id| id.parse().ok()).filter(|id| *id <= ID_MASK);
        let mut fields = BTreeMap::new();
        for word in words {
            let (key, value) =
                word.split_once('=').with_context(|| format!("{word:?} is not of the form key=value"))?;
            ensure!(keys.contains(&key), "{key:?} means nothing");
            ensure!(fields.insert(key.to_owned(), value.to_owned()).is_none(), "{key:?} stands there twice");
        }
        Ok(Self { id: id.context("the mark's id is not a number or too large")?, fields, how: how.to_owned() })
    }
}

/// What a mark stands for: the program's line `mark ID table=T op=O system=S [paper=OP] how=TEXT`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Description {
    /// The mark's id.
    pub id: u32,
    /// The table that the operation belongs to.
    pub table: String,
    /// The operation's name.
    pub op: String,
    /// The system that is measured.
    pub system: String,
    /// The operation's name in the paper.
    pub paper_op: String,
    /// How it is measured.
    pub how: String,
}

impl Description {
    /// Reads a console line; none if it is about something else.
    pub fn parse(line: &str) -> Result<Option<Self>> {
        let Some(rest) = line.strip_prefix(LINE) else { return Ok(None) };
        Self::parse_rest(rest).map(Some).with_context(|| format!("the line {line:?} describes no mark"))
    }

    fn parse_rest(rest: &str) -> Result<Self> {
        let Fields { id, mut fields, how } = Fields::parse(rest, &["table", "op", "system", "paper"])?;
        let mut field = |key: &str| fields.remove(key);
        let op = field("op").context("it lacks op=")?;
        Ok(Self {
            id,
            table: field("table").context("it lacks table=")?,
            system: field("system").context("it lacks system=")?,
            paper_op: field("paper").unwrap_or_else(|| op.clone()),
            op,
            how,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Marks as (immediate, instructions before it, cycles before it).
    fn count(marks: &[(u32, u64, u64)]) -> Result<BTreeMap<u32, Vec<Window>>> {
        let mut counter = Counter::default();
        for &(immediate, instructions, cycles) in marks {
            counter.mark(Mark { immediate, instructions, cycles: Some(cycles) });
        }
        counter.finish()
    }

    fn window(instructions: u64, cycles: u64) -> Window {
        Window { instructions, cycles: Some(cycles) }
    }

    #[test]
    fn counts_what_is_strictly_between() {
        let windows = count(&[(1, 10, 20), (END | 1, 12, 25), (1, 13, 30), (END | 1, 13, 31)]).unwrap();
        assert_eq!(windows, BTreeMap::from([(1, vec![window(2, 4), window(0, 0)])]));
    }

    #[test]
    fn nested_marks_cost_nothing() {
        let windows = count(&[(1, 0, 0), (2, 1, 2), (END | 1, 2, 4), (END | 2, 4, 7)]).unwrap();
        assert_eq!(windows, BTreeMap::from([(1, vec![window(2, 2)]), (2, vec![window(3, 3)])]));
    }

    #[test]
    fn marks_must_be_in_pairs() {
        assert!(count(&[(END | 1, 0, 0)]).unwrap_err().to_string().contains("operation 1 ends without a beginning"));
        assert!(count(&[(1, 0, 0), (1, 1, 1)]).unwrap_err().to_string().contains("begins again"));
        assert!(count(&[(2, 0, 0)]).unwrap_err().to_string().contains("operation 2 never ends"));
    }

    #[test]
    fn loops_are_read() {
        let expected = Loop { id: 11, of: 1, rounds: 1000, how: "so".to_owned() };
        assert_eq!(Loop::parse("loop 11 of=1 rounds=1000 how=so").unwrap(), Some(expected));
        assert_eq!(Loop::parse("loops").unwrap(), None);
        for wrong in
            ["loop 1 of=1 how=x", "loop 1 of=1 rounds=0 how=x", "loop 1 of=x rounds=1 how=x", "loop 1 of=1 rounds=1"]
        {
            assert!(Loop::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn summary_is_of_counts_that_occurred() {
        let summary = Summary::of(&[7, 5, 5, 900]).unwrap();
        assert_eq!(summary, Summary { n: 4, min: 5, median: 5, max: 900, disturbed: 2 });
        assert_eq!(Summary::of(&[3, 4]).unwrap().median, 3);
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn descriptions_are_read() {
        let line = "mark 3 table=4 op=syscall_x system=aegis paper=syscall how=a call: self, how=that";
        let description = Description::parse(line).unwrap().unwrap();
        assert_eq!((description.id, description.table.as_str(), description.op.as_str()), (3, "4", "syscall_x"));
        assert_eq!((description.paper_op.as_str(), description.how.as_str()), ("syscall", "a call: self, how=that"));
        assert_eq!(Description::parse("remarks").unwrap(), None);
        for wrong in [
            "mark",
            "mark x table=4 op=o system=s how=",
            "mark 40000 table=4 op=o system=s how=x",
            "mark 1 table=4 op=o how=x",
            "mark 1 table=4 op=o op=p system=s how=x",
            "mark 1 table=4 op=o system=s color=red how=x",
            "mark 1 table=4 op=o system=s",
        ] {
            assert!(!matches!(Description::parse(wrong), Ok(Some(_))), "{wrong}");
        }
    }
}
