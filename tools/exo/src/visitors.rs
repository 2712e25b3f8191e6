//! Who visits the machine by HTTP from this host, once the machine says that it may be visited.

use std::fs;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::process::{command, output};

/// The Debian package of who visits.
pub const PACKAGES: [&str; 1] = ["curl"];

/// The machine's port that is visited.
pub const PORT: u16 = 80;
/// What is fetched.
pub const PATH: &str = "motd";
/// What a line of the console ends with when the machine may be visited. QEMU's network takes a call at any time, and closes it
/// if nobody listens yet.
pub const READY: &str = ": ready for visitors";

/// How often it is fetched, and by how many at once.
const VISITS: usize = 1000;
const AT_ONCE: usize = 16;
/// How long a visitor waits.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until the machine may be visited, which it says through a channel that ends with it.
fn wait(ready: &Receiver<()>) -> Result<()> {
    ready.recv().ok().context("the machine has not said that it is ready for visitors")
}

/// Visits a port with curl as often and by as many as it is to be; each visitor has the file.
pub fn fetch(port: u16, content: &[u8], ready: &Receiver<()>) -> Result<()> {
    let directory = tempfile::tempdir().context("cannot make a directory for what is fetched")?;
    wait(ready)?;
    curl(port, directory.path()).context("not all were answered")?;
    for number in 0..VISITS {
        let fetched = fs::read(directory.path().join(number.to_string())).unwrap_or_default();
        ensure!(fetched == content, "visitor {number} got {:?}", String::from_utf8_lossy(&fetched));
    }
    Ok(())
}

/// Has curl fetch it for each visitor, into a file that has the visitor's number. What is behind `#` is not sent.
fn curl(port: u16, to: &Path) -> Result<()> {
    let mut curl = command("curl");
    curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time"]);
    curl.arg(PATIENCE.as_secs().to_string());
    curl.args(["--parallel", "--parallel-immediate", "--parallel-max"]).arg(AT_ONCE.to_string());
    curl.arg("--output").arg(to.join("#1"));
    curl.arg(format!("http://127.0.0.1:{port}/{PATH}#[0-{}]", VISITS - 1));
    output(&mut curl).map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn nobody_calls_a_machine_that_is_not_ready() {
        let (sender, ready) = channel();
        drop(sender);
        let error = fetch(1, &[], &ready).unwrap_err();
        assert_eq!(error.to_string(), "the machine has not said that it is ready for visitors");
    }
}
