//! Tests of the labs: what stands in the tree has all points, a starting tree builds and has none for what is missing, and each wrong
//! solution loses just the points that it should.

use std::fs;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use crate::lab::{self, LABS, Lab, Subject};
use crate::new_tests::{exo, refused};
use crate::test::{Bench, timed};
use crate::workspace::Workspace;

/// What their names begin with.
const AREA: &str = "lab::";

/// The programs of the tree that these tests need, if the filter names them: one, for they build what they need themselves.
pub fn programs(filter: &str) -> Vec<&'static str> {
    if filter.starts_with(AREA) { vec!["boot_hello"] } else { Vec::new() }
}

/// The tests: one for each lab, for what it builds has a name of its own.
pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let labs = match lab::all(&bench.workspace) {
        Ok(labs) => labs,
        Err(error) => return vec![timed(format!("{AREA}all"), move || Err(format!("{error:#}").into()))],
    };
    let trial = |lab: Lab| {
        let bench = Arc::clone(bench);
        timed(format!("{AREA}{}", lab.number), move || {
            all_of(&bench.workspace, &lab).map_err(|error| format!("{error:#}").into())
        })
    };
    let of = Arc::clone(bench);
    let commands =
        timed(format!("{AREA}commands"), move || commands(&of.workspace).map_err(|error| format!("{error:#}").into()));
    labs.into_iter().map(trial).chain([commands]).collect()
}

/// What is said of labs, and what is refused.
fn commands(workspace: &Workspace) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let at = directory.path();
    let list = exo(workspace, at, &["lab", "list"])?;
    ensure!(list.contains("2  a page table: 10 points; ") && list.contains("; docs/labs/2.md"), "{list}");
    let start = exo(workspace, at, &["lab", "start", "4", "mine"])?;
    ensure!(start.contains("mine/src/lib.rs lacks what is to be written: look for `lab 4`"), "{start}");
    let refuse = |words: &[&str], why: &str| refused(workspace, at, &[&["lab"], words].concat(), why);
    refuse(&["start", "4", "mine"], "mine is there already")?;
    refuse(&["start", "4", "exos"], "the tree has a library exos")?;
    refuse(&["start", "6", "other"], "there is no lab 6")?;
    refuse(&["grade", "0"], "there is no lab 0")?;
    refuse(&["grade", "one"], "invalid value")?;
    refuse(&["grade", "4", "nowhere"], "nowhere has no lab's crate; `cargo exo lab start 4 nowhere` makes it")?;
    refuse(&["grade", "1", "mine"], "mine is not of lab 1: it has no kernel")
}

fn all_of(workspace: &Workspace, lab: &Lab) -> Result<()> {
    let lost = |subject: Subject| -> Result<Vec<(String, String)>> {
        let marks = lab.grade(workspace, &subject, true, |_| {})?;
        Ok(marks.into_iter().filter_map(|mark| Some((mark.name, mark.lost?))).collect())
    };
    let whole = lost(Subject::Tree).context("what stands in the tree")?;
    ensure!(whole.is_empty(), "what stands in the tree loses {whole:?}");
    let directory = workspace.target.join(LABS).join(format!("{}-tests", lab.number));
    let clear = || if directory.exists() { fs::remove_dir_all(&directory) } else { Ok(()) };
    clear()?;
    // Crates that are no templates of `new` are tested as those are.
    if lab.template.starts_with(LABS) {
        let place = directory.join("solved");
        lab.whole(workspace, &place)?;
        exo(workspace, &place, &["run"])?;
        let tested = exo(workspace, &place, &["test"])?;
        ensure!(tested.contains("solved_test@decstation") && tested.contains("1 passed"), "{tested}");
    }
    let start = directory.join("begun");
    lab.start(workspace, &start)?;
    let begun = lost(Subject::Crate(start)).context("the starting tree")?;
    let missing = format!("lab {}", lab.number);
    ensure!(
        begun.iter().any(|(_, why)| why.contains(&missing)),
        "a starting tree does not say what is missing: {begun:?}"
    );
    ensure!(begun.len() == lab.cases().count(), "a starting tree has points already: it loses {begun:?} alone");
    for mutant in &lab.mutant {
        clear()?;
        let place = directory.join("wrong");
        mutant.make(lab, workspace, &place)?;
        let lost = lost(Subject::Crate(place)).with_context(|| mutant.what.clone())?;
        let names: Vec<_> = lost.iter().map(|(name, _)| name).collect();
        ensure!(names.iter().copied().eq(&mutant.loses), "{}: loses {lost:?}, not {:?}", mutant.what, mutant.loses);
    }
    clear()?;
    Ok(())
}
