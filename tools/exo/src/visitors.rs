//! Who visits the machine by HTTP from this host, once the machine says that it may be visited.

use std::fs;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::process::{command, output, which};

/// The Debian packages of who visits.
pub const PACKAGES: [&str; 2] = ["curl", "wrk"];

/// Their versions, or which is not there.
pub fn version() -> Result<String> {
    let curl = output(command("curl").arg("--version"))?;
    ensure!(which("wrk").is_some(), "wrk is not there");
    Ok(format!("{}, and wrk", curl.lines().next().unwrap_or_default()))
}

/// One of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Visitor {
    /// Fetches a file a thousand times, and has it whole each time.
    Curl,
    /// Asks for it again and again by as many connections as it keeps, a thousand times at least.
    Wrk,
}

/// The machine's port that is visited.
pub const PORT: u16 = 80;
/// What is fetched.
pub const PATH: &str = "motd";
/// What a line of the console ends with when the machine may be visited. QEMU's network takes a call at any time, and closes it
/// if nobody listens yet.
pub const READY: &str = ": ready for visitors";

/// How often it is asked for, and by how many at once.
const VISITS: usize = 1000;
const AT_ONCE: usize = 16;
/// How long a visitor waits.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long wrk goes on before it closes its connections.
const ROUND: &str = "5s";

impl Visitor {
    /// The one with this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "curl" => Some(Self::Curl),
            "wrk" => Some(Self::Wrk),
            _ => None,
        }
    }

    /// Whether the machine goes on when the visitor is through, and is to be ended.
    pub fn ends_machine(self) -> bool {
        self == Self::Wrk
    }

    /// Waits until the machine may be visited, which it says through a channel that ends with it, and visits the port, behind which
    /// is a file with this content.
    pub fn visit(self, port: u16, content: &[u8], ready: &Receiver<()>) -> Result<()> {
        ready.recv().ok().context("the machine has not said that it is ready for visitors")?;
        match self {
            Self::Curl => fetch(port, content),
            Self::Wrk => ask(port),
        }
    }
}

/// Fetches it with curl as often and by as many as it is to be; each visitor has the file.
fn fetch(port: u16, content: &[u8]) -> Result<()> {
    let directory = tempfile::tempdir().context("cannot make a directory for what is fetched")?;
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

/// Asks for it with wrk, a round after the other, until it was asked for as often as it is to be. How many requests a round makes is
/// a matter of the host's speed, and decides nothing.
fn ask(port: u16) -> Result<()> {
    let mut requests = 0;
    while requests < VISITS {
        let mut wrk = command("wrk");
        wrk.args(["--threads", "1", "--duration", ROUND]);
        wrk.arg("--connections").arg(AT_ONCE.to_string());
        wrk.arg("--timeout").arg(format!("{}s", PATIENCE.as_secs()));
        wrk.arg(format!("http://127.0.0.1:{port}/{PATH}"));
        requests += answered(&output(&mut wrk)?).with_context(|| format!("after {requests} requests"))?;
    }
    Ok(())
}

/// How many requests were answered in a round of which wrk says this; fails if it tells of any that was not, or not well.
fn answered(said: &str) -> Result<usize> {
    // It tells of these only if there are any.
    if let Some(line) = said.lines().find(|line| line.contains("errors:") || line.contains("Non-2xx")) {
        bail!("wrk says {:?}", line.trim());
    }
    let count = said.lines().find_map(|line| line.split_once(" requests in ")?.0.trim().parse().ok());
    count.with_context(|| format!("wrk does not tell how many requests it has made: {said:?}"))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn nobody_calls_a_machine_that_is_not_ready() {
        let (sender, ready) = channel();
        drop(sender);
        let error = Visitor::Curl.visit(1, &[], &ready).unwrap_err();
        assert_eq!(error.to_string(), "the machine has not said that it is ready for visitors");
    }

    #[test]
    fn who_is_not_answered_is_told_of() {
        let port = crate::ports::free().unwrap();
        for (visitor, name) in [(Visitor::Curl, "curl"), (Visitor::Wrk, "wrk")] {
            let (sender, ready) = channel();
            sender.send(()).unwrap();
            let error = format!("{:#}", visitor.visit(port, &[], &ready).unwrap_err());
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn what_wrk_says_is_read() {
        let said = |behind: &str| {
            format!(
                "Running 5s test @ http://127.0.0.1:1/motd\n  1 threads and 16 connections\n  Thread Stats   Avg\n  \
                 2173 requests in 5.01s, 1.20MB read\n{behind}Requests/sec:    433.73\n"
            )
        };
        assert_eq!(answered(&said("")).unwrap(), 2173);
        for (behind, error) in [
            (
                "  Socket errors: connect 0, read 3, write 0, timeout 0\n",
                "wrk says \"Socket errors: connect 0, read 3, write 0, timeout 0\"",
            ),
            ("  Non-2xx or 3xx responses: 7\n", "wrk says \"Non-2xx or 3xx responses: 7\""),
        ] {
            assert_eq!(answered(&said(behind)).unwrap_err().to_string(), error);
        }
        assert_eq!(answered("x").unwrap_err().to_string(), "wrk does not tell how many requests it has made: \"x\"");
    }
}
