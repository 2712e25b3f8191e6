//! Counting the instructions of marked operations.
//!
//! An operation begins and ends with a mark, an instruction that does nothing (see [`aegis_abi::mark`]). What is counted is
//! every instruction executed strictly between the two: in user mode and in the kernel, in delay slots too, but no mark.

use std::collections::BTreeMap;

use aegis_abi::mark::{END, ID_MASK, LINE, WORD};
use anyhow::{Context, Result, bail, ensure};

/// Sees each executed instruction and keeps a count for each execution of each operation.
#[derive(Debug, Default)]
pub struct Counter {
    executed: u64,
    operations: BTreeMap<u32, Operation>,
    /// The first thing that was wrong with the marks.
    error: Option<String>,
}

#[derive(Debug, Default)]
struct Operation {
    /// What was executed before it began, if it is going on.
    begun: Option<u64>,
    counts: Vec<u64>,
}

impl Counter {
    /// The next instruction.
    pub fn instruction(&mut self, word: u32) {
        if word & !(END | ID_MASK) != WORD {
            self.executed += 1;
            return;
        }
        let id = word & ID_MASK;
        let operation = self.operations.entry(id).or_default();
        let problem = match (word & END != 0, operation.begun) {
            (false, None) => {
                operation.begun = Some(self.executed);
                return;
            }
            (true, Some(begun)) => {
                operation.counts.push(self.executed - begun);
                operation.begun = None;
                return;
            }
            (false, Some(_)) => "begins again before its end",
            (true, None) => "ends without a beginning",
        };
        self.error
            .get_or_insert_with(|| format!("operation {id} {problem} (its {}. time)", operation.counts.len() + 1));
    }

    /// The counts of each operation, by its mark's id; an error if the marks were not in pairs.
    pub fn finish(self) -> Result<BTreeMap<u32, Vec<u64>>> {
        if let Some(error) = self.error {
            bail!("{error}");
        }
        let unfinished = self.operations.iter().find(|(_, operation)| operation.begun.is_some());
        ensure!(unfinished.is_none(), "operation {} never ends", unfinished.expect("it was just found").0);
        Ok(self.operations.into_iter().map(|(id, operation)| (id, operation.counts)).collect())
    }
}

/// What the counts of one operation come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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

/// What a mark stands for: the program's line `mark ID table=T op=O system=S [paper=OP] how=TEXT`.
#[derive(Clone, PartialEq, Eq, Debug)]
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
        let (fields, how) = rest.split_once(" how=").context("it lacks how=")?;
        let mut words = fields.split(' ');
        let id = words.next().and_then(|id| id.parse().ok()).filter(|id| *id <= ID_MASK);
        let mut fields = BTreeMap::new();
        for word in words {
            let (key, value) =
                word.split_once('=').with_context(|| format!("{word:?} is not of the form key=value"))?;
            ensure!(["table", "op", "system", "paper"].contains(&key), "{key:?} means nothing");
            ensure!(fields.insert(key, value).is_none(), "{key:?} stands there twice");
        }
        let field = |key: &str| fields.get(key).map(|value| (*value).to_owned());
        let op = field("op").context("it lacks op=")?;
        Ok(Self {
            id: id.context("the mark's id is not a number or too large")?,
            table: field("table").context("it lacks table=")?,
            system: field("system").context("it lacks system=")?,
            paper_op: field("paper").unwrap_or_else(|| op.clone()),
            op,
            how: how.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN_1: u32 = WORD | 1;
    const END_1: u32 = WORD | END | 1;
    const BEGIN_2: u32 = WORD | 2;
    const END_2: u32 = WORD | END | 2;

    fn count(words: &[u32]) -> Result<BTreeMap<u32, Vec<u64>>> {
        let mut counter = Counter::default();
        words.iter().for_each(|&word| counter.instruction(word));
        counter.finish()
    }

    #[test]
    fn counts_what_is_strictly_between() {
        let counts = count(&[0, BEGIN_1, 0, 0x3c01_0001, END_1, 0, BEGIN_1, END_1]).unwrap();
        assert_eq!(counts, BTreeMap::from([(1, vec![2, 0])]));
    }

    #[test]
    fn nested_marks_cost_nothing() {
        let counts = count(&[BEGIN_1, 0, BEGIN_2, 0, END_1, 0, 0, END_2]).unwrap();
        assert_eq!(counts, BTreeMap::from([(1, vec![2]), (2, vec![3])]));
    }

    #[test]
    fn marks_must_be_in_pairs() {
        assert!(count(&[END_1]).unwrap_err().to_string().contains("operation 1 ends without a beginning"));
        assert!(count(&[BEGIN_1, BEGIN_1]).unwrap_err().to_string().contains("begins again"));
        assert!(count(&[BEGIN_2, 0]).unwrap_err().to_string().contains("operation 2 never ends"));
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
