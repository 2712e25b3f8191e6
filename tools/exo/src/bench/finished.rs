//! Boots that were measured before: what they gave is kept in the target directory, so that a run of the benchmarks that was
//! broken off, or is made again, does only what is left to do.
//!
//! What is kept holds for the very image, machine, clock and arguments, and for the very command that measured it: a changed
//! byte of any of them has it measured again.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::measure::Outcome;
use crate::bootable::sha256;
use crate::build;
use crate::machine::{Job, Machine};
use crate::workspace::Workspace;

/// Where what was measured is kept.
pub struct Finished {
    directory: PathBuf,
    /// The sum of this command.
    command: String,
    /// Whether what is there may be used.
    use_kept: bool,
}

/// What is kept of a boot.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// The sum of all that it depends on.
    key: String,
    outcome: Outcome,
}

impl Finished {
    /// What the target directory has; with `again` none of it is used.
    pub fn open(workspace: &Workspace, again: bool) -> Result<Self> {
        let command = std::env::current_exe().and_then(fs::read).context("cannot read this command's file")?;
        Ok(Self { directory: workspace.target.join("bench"), command: sha256(&command), use_kept: !again })
    }

    /// The outcome of a boot: what is kept of it, or what `measure` gives, which is kept then. Tells whether it was kept.
    pub fn or_measure(
        &self,
        name: &str,
        machine: Machine,
        job: &Job,
        measure: impl FnOnce() -> Result<Outcome>,
    ) -> Result<(Outcome, bool)> {
        let image = fs::read(job.image).with_context(|| format!("cannot read {}", job.image.display()))?;
        let parts = [
            self.command.as_str(),
            &sha256(&image),
            machine.name(),
            &machine.version()?,
            job.clock.name(),
            job.arguments,
            &format!("{:?} {:?} {:?}", job.polls, job.memory, job.cpu),
        ];
        let key = sha256(parts.join("\n").as_bytes());
        let clock = if machine.has_clock() { format!("-{}", job.clock.name()) } else { String::new() };
        let file = self.directory.join(format!("{name}@{machine}{clock}.json"));
        // What cannot be read, or is of another time, is as good as absent.
        let kept = fs::read(&file).ok().and_then(|text| serde_json::from_slice::<Kept>(&text).ok());
        if let Some(kept) = kept.filter(|kept| self.use_kept && kept.key == key) {
            return Ok((kept.outcome, true));
        }
        let outcome = measure()?;
        let kept = Kept { key, outcome };
        let text = serde_json::to_vec(&kept)?;
        build::put(&file, &text).with_context(|| format!("cannot write {}", file.display()))?;
        Ok((kept.outcome, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::time::Duration;

    #[test]
    fn what_is_kept_is_of_the_very_same() {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("image");
        fs::write(&image, "one").unwrap();
        let finished =
            |use_kept| Finished { directory: directory.path().join("kept"), command: "x".to_owned(), use_kept };
        let times = Cell::new(0);
        let boot = |finished: &Finished, arguments: &str| {
            let measure = || {
                times.set(times.get() + 1);
                Ok(Outcome { measured: Vec::new(), series: Vec::new(), longest: None })
            };
            let job = Job::new(&image, arguments, Duration::from_secs(1));
            finished.or_measure("p", Machine::Decstation, &job, measure).unwrap().1
        };
        assert!(!boot(&finished(true), "p"));
        assert!(boot(&finished(true), "p"));
        assert!(!boot(&finished(true), "q"), "other arguments");
        assert!(boot(&finished(true), "q"));
        fs::write(&image, "two").unwrap();
        assert!(!boot(&finished(true), "q"), "another image");
        assert!(!boot(&finished(false), "q"), "it is not wanted");
        let other = Finished { command: "y".to_owned(), ..finished(true) };
        assert!(!boot(&other, "q"), "another command");
        fs::write(directory.path().join("kept/p@decstation-dec5000_200.json"), "{").unwrap();
        assert!(!boot(&other, "q"), "what is kept is damaged");
        assert_eq!(times.get(), 6);
    }
}
