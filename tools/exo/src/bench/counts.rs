//! The counts that the tree keeps, in `bench/counts.toml`, and the results in `README.md` that follow from them.
//!
//! A path that is written by hand takes exactly as many instructions as are kept. So does a path that a compiler makes, with the
//! compiler of which the file was written: one more is a change that has to be meant, one less a reason to write the file anew.
//! `cargo exo bench --update` does that. Which paths are written by hand, a person says there: a path stays where it stands, and a
//! new one begins among the compiler's.
//!
//! An operation into which a tick or a miss of the TLB falls more often than not has no exact count: it is held to a hundredth.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::measure::{Measured, Outcome};
use super::{Outcomes, UNSTEADY};
use crate::machine::{Clock, Machine};
use crate::paper::Paper;
use crate::report::alike;
use crate::workspace::Workspace;

/// A number for each operation: by program, system and operation.
type Numbers<T> = BTreeMap<String, BTreeMap<String, BTreeMap<String, T>>>;

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// The compiler that the second list is of.
    toolchain: String,
    /// Instructions of paths that are written by hand.
    #[serde(default)]
    hand: Numbers<u64>,
    /// Instructions of paths that the compiler makes.
    #[serde(default)]
    compiled: Numbers<u64>,
    /// Cycles a round of the loops that the README shows, on each of the paper's clocks, the slowest first.
    #[serde(default)]
    cycles: Numbers<Vec<f64>>,
    /// The first two on MIPS32.
    #[serde(default)]
    malta: Malta,
}

/// See [`Counts::malta`].
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Malta {
    #[serde(default)]
    hand: Numbers<u64>,
    #[serde(default)]
    compiled: Numbers<u64>,
}

const FILE: &str = "bench/counts.toml";
const KEPT: &str = include_str!("../../../../bench/counts.toml");

/// An operation of a row of the README: program, system, operation, and what it is called there.
const SHOWN: &[(&str, &str, &str, &str, &str)] = &[
    ("table4", "4", "aegis", "procedure_call", "null procedure call (Table 4)"),
    ("table4", "4", "aegis", "syscall", "null system call (Table 4)"),
    ("table4", "4", "aegis", "syscall_with_stack", "null system call with a stack (Table 4)"),
    ("table5", "5", "aegis", "overflow", "exception dispatch, overflow (Table 5)"),
    ("table6", "6", "aegis", "pct", "protected control transfer, one way (Table 6)"),
    ("table7", "7", "dpf", "classify_warm", "one of ten TCP/IP filters found (Table 7), in user space"),
    ("table8", "8", "exos", "pipe", "a word through a pipe, one way (Table 8)"),
    ("table8", "8", "exos", "shm", "a word through shared memory, one way (Table 8)"),
    ("table8", "8", "exos", "lrpc", "LRPC, both ways (Table 8)"),
    ("table10", "10", "exos", "dirty", "whether a page is dirty (Table 10)"),
    ("table10", "10", "exos", "prot1", "one page protected (Table 10)"),
    ("table10", "10", "exos", "prot100", "100 pages protected (Table 10)"),
    ("table10", "10", "exos", "unprot100", "100 pages unprotected (Table 10)"),
    ("table10", "10", "exos", "trap", "a protection trap handled in Rust (Table 10)"),
    ("table10", "10", "exos", "appel1", "trap, another page protected, this unprotected (Table 10)"),
    ("table10", "10", "exos", "appel2", "100 pages protected, each trapped and unprotected, a page (Table 10)"),
    ("table12", "12", "exos", "tlrpc", "trusted LRPC, both ways (Table 12)"),
    (
        "stlb",
        "5.4",
        "aegis",
        "stlb_hit",
        "software TLB hit (section 5.4), the load that misses and its repetition counted",
    ),
    ("miss", "5.4", "aegis", "miss", "miss that the program answers from its page table, likewise"),
];

impl Counts {
    /// What the tree keeps.
    pub fn read() -> Result<Self> {
        toml::from_str(KEPT).with_context(|| format!("{FILE} is damaged"))
    }

    /// What is to be kept of outcomes; paths that were written by hand are still.
    pub fn of(toolchain: &str, outcomes: &Outcomes) -> Self {
        // A file that cannot be read is written anew.
        let old = Self::read().unwrap_or_default();
        let mut new = Self { toolchain: toolchain.to_owned(), ..Self::default() };
        for ((program, machine), outcome) in outcomes {
            if UNSTEADY.contains(&program.as_str()) {
                continue;
            }
            let on_malta = *machine == Machine::Malta.name();
            let was_by_hand = if on_malta { &old.malta.hand } else { &old.hand };
            for measured in &outcome.measured {
                let by_hand = find(was_by_hand, program, measured).is_some();
                let list = match (on_malta, by_hand) {
                    (false, true) => &mut new.hand,
                    (false, false) => &mut new.compiled,
                    (true, true) => &mut new.malta.hand,
                    (true, false) => &mut new.malta.compiled,
                };
                *entry(list, program, measured) = measured.summary.median;
                let is_shown = |(shown, _, system, op, _): &&(&str, &str, &str, &str, &str)| {
                    (*shown, *system, *op) == (program, &measured.description.system, &measured.description.op)
                };
                let cycles = measured.timed.as_ref().map(|timed| &timed.cycles).filter(|cycles| !cycles.is_empty());
                if let (false, Some(_), Some(cycles)) = (on_malta, SHOWN.iter().find(is_shown), cycles) {
                    *entry(&mut new.cycles, program, measured) = of_paper(cycles);
                }
            }
        }
        new
    }

    /// Fails unless a program's outcome is what is kept.
    pub fn check(&self, toolchain: &str, machine: Machine, program: &str, outcome: &Outcome) -> Result<()> {
        let on_malta = machine == Machine::Malta;
        let (hand, compiled) =
            if on_malta { (&self.malta.hand, &self.malta.compiled) } else { (&self.hand, &self.compiled) };
        let same_compiler = toolchain == self.toolchain;
        for measured in &outcome.measured {
            let (op, count) = (&measured.description.op, measured.summary.median);
            let by_hand = find(hand, program, measured);
            match by_hand.or(find(compiled, program, measured)).copied() {
                None if same_compiler => {
                    bail!("{program}: {op} takes {count} instructions, and {FILE} lacks it; {UPDATE}")
                }
                Some(kept) if by_hand.is_none() && is_disturbed(measured) && count.abs_diff(kept) <= kept / 100 => {}
                Some(kept) if count != kept && (by_hand.is_some() || same_compiler) => {
                    let path = if by_hand.is_some() { "a path written by hand" } else { "a path of the compiler's" };
                    let change = if count > kept { "grew" } else { "shrank" };
                    bail!("{program}: {op}, {path}, {change} from {kept} instructions to {count}; {UPDATE}")
                }
                _ => {}
            }
            let cycles = measured.timed.as_ref().and_then(|timed| timed.cycles.get(Clock::Dec5000.name()));
            let kept = find(&self.cycles, program, measured).and_then(|kept| kept.last());
            if let (true, Some(cycles), Some(kept)) = (same_compiler, cycles, kept) {
                let op = &measured.description.op;
                ensure!(
                    rounded(*cycles) == *kept,
                    "{program}: a round of {op} takes {cycles} cycles, and {FILE} says {kept}; {UPDATE}"
                );
            }
        }
        let kept = [hand, compiled].into_iter().filter_map(|list| list.get(program)).flatten();
        for (system, ops) in kept {
            for op in ops.keys() {
                let is_it = |one: &Measured| one.description.system == *system && one.description.op == *op;
                ensure!(
                    outcome.measured.iter().any(is_it),
                    "{program}: {op} of {system} stands in {FILE} and is not measured"
                );
            }
        }
        Ok(())
    }

    /// Writes the file, and the README's results.
    pub fn write(&self, workspace: &Workspace, paper: &Paper) -> Result<()> {
        let file = workspace.root.join(FILE);
        fs::write(&file, self.text()).with_context(|| format!("cannot write {}", file.display()))?;
        let readme = workspace.root.join("README.md");
        let old = fs::read_to_string(&readme).with_context(|| format!("cannot read {}", readme.display()))?;
        let new = with_results(&old, &self.results(paper))?;
        fs::write(&readme, new).with_context(|| format!("cannot write {}", readme.display()))
    }

    /// The file's text.
    fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        let _ = writeln!(text, "\ntoolchain = {:?}", self.toolchain);
        text.push_str("\n# Written by hand, in assembly, or generated by what is.\n");
        add(&mut text, "hand", &self.hand);
        text.push_str("\n# The compiler's.\n");
        add(&mut text, "compiled", &self.compiled);
        text.push_str(
            "\n# Cycles a round of the loops that README.md shows, on a DECstation 2100, 3100 and 5000/125.\n",
        );
        add(&mut text, "cycles", &self.cycles);
        text.push_str("\n# On MIPS32. docs/malta.md explains the differences.\n");
        add(&mut text, "malta.hand", &self.malta.hand);
        add(&mut text, "malta.compiled", &self.malta.compiled);
        text
    }

    /// The README's table.
    fn results(&self, paper: &Paper) -> String {
        let mut text =
            "| operation | instructions | cycles | us on a DECstation 2100, 3100, 5000/125 | the paper's us | \
                        the paper's by ours |\n|---|---|---|---|---|---|\n"
                .to_owned();
        for (program, table, system, op, name) in SHOWN {
            let of = |numbers: &Numbers<u64>| numbers.get(*program)?.get(*system)?.get(*op).copied();
            let instructions = of(&self.hand).or(of(&self.compiled));
            let cycles = self.cycles.get(*program).and_then(|systems| systems.get(*system)?.get(*op));
            let us: Vec<f64> =
                cycles.into_iter().flatten().zip(Clock::PAPER).map(|(cycles, clock)| cycles / clock.mhz()).collect();
            let of_paper = |clock: Clock| paper.table(table)?.us(system, clock.name(), op);
            let theirs: Vec<f64> = Clock::PAPER.into_iter().filter_map(of_paper).collect();
            let ratio = us
                .last()
                .zip(theirs.last())
                .map_or(String::new(), |(us, theirs)| format!("{}{:.2}", alike(*us, *theirs), theirs / us));
            let list =
                |numbers: &[f64], show: fn(&f64) -> String| numbers.iter().map(show).collect::<Vec<_>>().join(", ");
            // Where the paper has another machine than these three.
            let other = paper.table(table).and_then(|table| table.us(system, table.reference(), op));
            let other = other.map_or(String::new(), |us| format!("{us} on a 5000/200"));
            let _ = writeln!(
                text,
                "| {name} | {} | {} | {} | {} | {ratio} |",
                instructions.map_or(String::new(), |count| count.to_string()),
                cycles.and_then(|cycles| cycles.last()).map_or(String::new(), |cycles| shown(*cycles)),
                list(&us, significant),
                if theirs.is_empty() { other } else { list(&theirs, f64::to_string) },
            );
        }
        text
    }
}

const UPDATE: &str = "if that is meant, `cargo exo bench --update` writes it down";

const HEAD: &str = "\
# Instructions of every path that is measured and whose count is steady, by benchmark program, system and operation: what the tests
# compare with what is counted. `cargo exo bench --update` writes this file, and README.md's results from it. One instruction more is a change
# that has to be meant: a commit that changes a path changes its number here.
#
# Which paths are written by hand a person says: move a line, and it stays where it stands. Their counts hold with any compiler,
# the others with the one that is named.
";

/// Whether most of its counts differ.
fn is_disturbed(measured: &Measured) -> bool {
    2 * measured.summary.disturbed >= measured.summary.n
}

/// Cycles on each of the paper's clocks.
fn of_paper(cycles: &BTreeMap<String, f64>) -> Vec<f64> {
    Clock::PAPER.iter().filter_map(|clock| cycles.get(clock.name())).map(|cycles| rounded(*cycles)).collect()
}

/// As they are kept.
fn rounded(cycles: f64) -> f64 {
    (cycles * 1000.0).round() / 1000.0
}

/// As they are shown: a digit behind the point if there is anything.
fn shown(cycles: f64) -> String {
    let text = format!("{cycles:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// With three digits that mean something.
fn significant(us: &f64) -> String {
    let digits = match us {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{us:.digits$}")
}

fn find<'a, T>(numbers: &'a Numbers<T>, program: &str, measured: &Measured) -> Option<&'a T> {
    numbers.get(program)?.get(&measured.description.system)?.get(&measured.description.op)
}

fn entry<'a, T: Default>(numbers: &'a mut Numbers<T>, program: &str, measured: &Measured) -> &'a mut T {
    let systems = numbers.entry(program.to_owned()).or_default();
    let ops = systems.entry(measured.description.system.clone()).or_default();
    ops.entry(measured.description.op.clone()).or_default()
}

/// Adds a list as TOML.
fn add<T: std::fmt::Debug>(text: &mut String, name: &str, numbers: &Numbers<T>) {
    for (program, systems) in numbers {
        let _ = writeln!(text, "\n[{name}.{program}]");
        for (system, ops) in systems {
            for (op, number) in ops {
                let _ = writeln!(text, "{system}.{op} = {number:?}");
            }
        }
    }
}

/// Where the README's results stand.
const BEGIN: &str = "<!-- Written by `cargo exo bench --update`. -->\n";
const END: &str = "<!-- To here. -->\n";

/// The README with these results in place of those that it has.
fn with_results(readme: &str, results: &str) -> Result<String> {
    let parts = || {
        let (before, rest) = readme.split_once(BEGIN)?;
        let (_, behind) = rest.split_once(END)?;
        Some((before, behind))
    };
    let (before, behind) =
        parts().with_context(|| format!("README.md lacks {:?} or {:?}", BEGIN.trim(), END.trim()))?;
    Ok(format!("{before}{BEGIN}{results}{END}{behind}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::measure::tests::measured;
    use crate::count::Summary;

    fn outcome(median: u64, cycles: f64) -> Outcome {
        let mut measured = measured();
        measured.summary = Summary::of(&[median]).unwrap();
        for clock in Clock::PAPER {
            measured.timed.as_mut().unwrap().cycles.insert(clock.name().to_owned(), cycles);
        }
        Outcome { measured: vec![measured], series: Vec::new(), longest: None }
    }

    #[test]
    fn readme_shows_what_is_kept() {
        let readme = include_str!("../../../../README.md");
        let expected = with_results(readme, &Counts::read().unwrap().results(&Paper::read().unwrap())).unwrap();
        assert!(
            readme == expected,
            "README.md's results are not those of {FILE}; `cargo exo bench --update` writes both"
        );
    }

    #[test]
    fn what_is_kept_is_written_as_it_is_read() {
        let kept = Counts::read().unwrap();
        assert_eq!(kept.text(), KEPT);
        let again: Counts = toml::from_str(&kept.text()).unwrap();
        assert_eq!(again.text(), KEPT);
    }

    #[test]
    fn a_path_that_changes_is_named() {
        let counts = |by_hand: bool| {
            let mut counts = Counts { toolchain: "one".to_owned(), ..Counts::default() };
            let list = if by_hand { &mut counts.hand } else { &mut counts.compiled };
            *entry(list, "table4", &measured()) = 18;
            *entry(&mut counts.cycles, "table4", &measured()) = vec![25.0, 25.0, 25.0];
            counts
        };
        let check = |by_hand, toolchain, median, cycles| {
            let checked = counts(by_hand).check(toolchain, Machine::Decstation, "table4", &outcome(median, cycles));
            checked.err().map(|error| error.to_string())
        };
        for by_hand in [true, false] {
            assert_eq!(check(by_hand, "one", 18, 25.0), None);
        }
        let grown = |path| Some(format!("table4: syscall, {path}, grew from 18 instructions to 19; {UPDATE}"));
        assert_eq!(check(true, "one", 19, 25.0), grown("a path written by hand"));
        assert_eq!(check(true, "other", 19, 25.0), grown("a path written by hand"));
        assert_eq!(check(false, "one", 19, 25.0), grown("a path of the compiler's"));
        assert_eq!(check(false, "other", 19, 25.0), None, "it is another compiler");
        assert!(check(false, "one", 17, 25.0).unwrap().contains("shrank from 18 instructions to 17"));
        assert!(check(true, "one", 18, 26.0).unwrap().contains("a round of syscall takes 26 cycles"));
        let mut wide = outcome(190, 25.0);
        wide.measured[0].summary = Summary::of(&[1888, 1889, 1902]).unwrap();
        let mut kept = counts(false);
        *entry(&mut kept.compiled, "table4", &measured()) = 1900;
        assert!(kept.check("one", Machine::Decstation, "table4", &wide).is_ok(), "no two are alike");
        *entry(&mut kept.compiled, "table4", &measured()) = 1800;
        assert!(kept.check("one", Machine::Decstation, "table4", &wide).is_err());
        let none = Outcome { measured: Vec::new(), series: Vec::new(), longest: None };
        let error = counts(true).check("one", Machine::Decstation, "table4", &none).unwrap_err().to_string();
        assert!(error.contains("is not measured"), "{error}");
        let error = Counts { toolchain: "one".to_owned(), ..Counts::default() };
        let error = error.check("one", Machine::Decstation, "table4", &outcome(18, 25.0)).unwrap_err().to_string();
        assert!(error.contains("lacks it"), "{error}");
    }

    #[test]
    fn results_stand_between_their_marks() {
        let readme = format!("a\n{BEGIN}old\n{END}b\n");
        assert_eq!(with_results(&readme, "new\n").unwrap(), format!("a\n{BEGIN}new\n{END}b\n"));
        assert!(with_results("a\n", "new\n").is_err());
    }
}
