//! The tests that run on the host, each found in a test program that cargo builds and run in a process of its own.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use libtest_mimic::{Failed, Trial};

use crate::build::{Artifact, run_cargo};
use crate::process::{command, host_cargo, output, output_within, tied_command};
use crate::progress::Progress;
use crate::test::timed;
use crate::workspace::Workspace;

/// Begins the names of host tests.
pub const AREA: &str = "host";

/// How long one test may take.
const LIMIT: Duration = Duration::from_secs(300);

/// Builds the host's test programs and gives their tests.
pub fn trials(workspace: &Workspace, quiet: bool) -> Result<Vec<Trial>> {
    let mut build = host_cargo();
    build.current_dir(&workspace.root).args(["test", "--no-run"]);
    let artifacts = run_cargo(build, &Progress::new(quiet), &[])?;
    let mut trials = Vec::new();
    for artifact in artifacts.iter().filter(|artifact| artifact.profile.test) {
        let Some(program) = &artifact.executable else { continue };
        let list = output(command(program).args(["--list", "--format", "terse"]))?;
        for name in list.lines().filter_map(|line| line.strip_suffix(": test")) {
            trials.push(trial(artifact, program.clone(), name));
        }
    }
    let root = workspace.root.clone();
    trials.push(timed(format!("{AREA}::documentation"), move || {
        let mut cargo = host_cargo();
        judge(cargo.current_dir(&root).args(["test", "--quiet", "--doc"]))
    }));
    Ok(trials)
}

fn trial(artifact: &Artifact, program: PathBuf, name: &str) -> Trial {
    let package = artifact.package();
    // The unit tests of a package need no further name, its other test programs have one.
    let place = match artifact.target.name.replace('_', "-") == package {
        true => package.to_owned(),
        false => format!("{package}::{}", artifact.target.name),
    };
    let manifest = artifact.manifest_path.clone();
    let test = name.to_owned();
    timed(format!("{AREA}::{place}::{name}"), move || {
        let mut run = tied_command(&program);
        run.args(["--exact", &test]);
        // As cargo does for the tests that it runs.
        if let Some(directory) = manifest.parent() {
            run.current_dir(directory).env("CARGO_MANIFEST_DIR", directory);
        }
        judge(&mut run)
    })
}

fn judge(test: &mut Command) -> Result<(), Failed> {
    match output_within(test, LIMIT) {
        Ok((true, _)) => Ok(()),
        Ok((false, text)) => Err(text.into()),
        Err(error) => Err(format!("{error:#}").into()),
    }
}
