//! Released images, used by the command itself where there is no compiler; and a damaged one, which it must refuse.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use crate::process::command;
use crate::release;
use crate::test::{Bench, timed};
use crate::toolchain;

/// The test's name.
pub const NAME: &str = "model::release_images";
/// What is released.
pub const PROGRAM: &str = "table4";

/// The tests.
pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let bench = Arc::clone(bench);
    vec![timed(NAME, move || run(&bench).map_err(|error| format!("{error:#}").into()))]
}

fn run(bench: &Bench) -> Result<()> {
    let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
    let images = directory.path();
    release::write_of(&bench.workspace, &bench.guest, images, &[PROGRAM.to_owned()], None)?;

    let measured = without_compiler(&["bench", "--again", "--clock", "dec5000", "4"], images)?;
    ensure!(measured.status.success(), "it cannot be measured: {}", String::from_utf8_lossy(&measured.stderr));
    let text = String::from_utf8_lossy(&measured.stdout);
    ensure!(text.contains("Table 4") && text.contains("procedure_call"), "it measures no Table 4: {text}");
    let booted = without_compiler(&["run", PROGRAM], images)?;
    ensure!(booted.status.success(), "it cannot be booted: {}", String::from_utf8_lossy(&booted.stderr));

    let image = images.join(format!("{PROGRAM}.elf"));
    let mut contents = fs::read(&image)?;
    let middle = contents.len() / 2;
    contents[middle] ^= 1;
    fs::write(&image, contents)?;
    for job in [&["bench", "4"][..], &["run", PROGRAM]] {
        let refused = without_compiler(job, images)?;
        let error = String::from_utf8_lossy(&refused.stderr);
        let message = format!("exo: error: {} is damaged: its SHA-256 is ", image.display());
        ensure!(!refused.status.success() && refused.stdout.is_empty(), "a damaged image was run");
        ensure!(error.lines().count() == 1 && error.starts_with(&message), "it says {error:?} and not {message:?}");
    }
    Ok(())
}

/// Runs this command on the images. A compiler cannot be found: there is nothing on the path, and a name is asked for that
/// none has.
fn without_compiler(job: &[&str], images: &Path) -> Result<Output> {
    let this = std::env::current_exe().context("cannot find this command's file")?;
    let mut command = command(this);
    command.args(job).arg("--images").arg(images).env("PATH", images).env(toolchain::CHOICE, "none of them");
    command.output().context("cannot start this command")
}
