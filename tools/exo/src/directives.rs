//! What a test expects of its run: directives, comments at the top of the test program's source.
//!
//! ```text
//! //@ run: PROGRAM…           what to boot, default the program itself; arguments follow a comma (counter,limit=8)
//! //@ archive: NAME…          programs, or files of exos/apps/files, that the boot archive has, too, but that are not started
//! //@ damaged: NAME OF AT [BYTE]   a program that is another's copy, with another byte at an offset, or cut off there
//! //@ when: TEXT              what the console shows before each of the following texts is typed; blanks around it are left off
//! //@ type: TEXT              what is typed then, and Enter; ^X is a control character, ^[ begins a cursor key, ^ at the end: no Enter
//! //@ verdict: pass|fail|none the guest's verdict, default pass
//! //@ expect: TEXT            a console line must contain TEXT; several are found in this order, maybe in one line
//! //@ forbid: TEXT            no console line may contain TEXT
//! //@ timeout: SECONDS        wall-clock time, default 20
//! //@ network: peer|N|user    its Ethernet is connected to the station that tests ask for frames, N machines to each other, or to
//!                             QEMU's network
//! //@ server: nfs|stream      on QEMU's network this host serves files by NFS, and in the end the directory `copied` there is to have
//!                             what `given` has; or takes a connection through which 10 MB go each way. The first program's last
//!                             arguments say where; for nfs the last is a port of this host that is passed on to the machine's
//!                             port 80. Ignored where no server can be started
//! //@ client: curl            on QEMU's network this host fetches `motd` from the machine's port 80 a thousand times, 16 at once,
//!                             once a line of the console ends with `: ready for visitors`
//! //@ client: wrk             the same, but at least as often, by 16 connections that go on; then the run ends, without a verdict
//! //@ faults: SEED N          of a million frames on it N are lost, N doubled, N come late, and N are damaged
//! //@ clock: NAME…            clocks of the model with which it is run, too, beside the usual
//! //@ ignore-machine: M WHY   not to be run on machine M
//! //@ except-hazard: RULE WHY the hazard checker does not apply RULE to it; benchmark programs may have this one, too
//! //@ helper                  no test by itself; other tests start it
//! ```
//!
//! In TEXT `{self}` stands for the path of the source, and `{line:TAG}` for path and number of the line with the
//! comment `// line: TAG`, so that a test can ask for the source line in a report.

use std::time::Duration;

use aegis_abi::console::{KERNEL_PANIC, LOADER_ERROR};
use anyhow::{Context, Result, anyhow, bail, ensure};
use hazard::Rule;

use crate::console::Verdict;
use crate::host_end::Role;
use crate::machine::{Clock, Machine, Network};
use crate::run::Run;
use crate::typist::Keys;

/// A test: what to boot and what to expect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Test {
    /// The boot arguments.
    pub run: Vec<String>,
    /// What the archive has, too.
    pub archive: Vec<String>,
    /// Damaged copies of programs that it has.
    pub damaged: Vec<Damaged>,
    /// What is typed at the console.
    pub typed: Vec<Keys>,
    /// The verdict that is expected.
    pub verdict: Option<Verdict>,
    /// Texts that console lines contain, in order.
    pub expect: Vec<Expected>,
    /// Texts that no console line contains.
    pub forbid: Vec<String>,
    /// After how long the run is ended.
    pub timeout: Duration,
    /// What its Ethernet is connected to.
    pub network: Option<Network>,
    /// Clocks with which it is run, too.
    pub clocks: Vec<Clock>,
    /// What this host does meanwhile.
    pub host: Option<Role>,
    /// Machines that it cannot run on.
    pub ignored: Vec<Machine>,
}

/// A damaged copy of a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damaged {
    /// What it is called.
    pub name: String,
    /// What it is a copy of.
    pub of: String,
    /// Where it is damaged.
    pub at: usize,
    /// What is there; it ends there if none.
    pub byte: Option<u8>,
}

/// A text to look for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expected {
    text: String,
    /// No digit may follow: the text ends with a line number.
    ends_with_number: bool,
}

impl Test {
    /// A test that boots `run`, expects a verdict and nothing else.
    pub fn new(run: Vec<String>, verdict: Verdict) -> Self {
        Self {
            run,
            archive: Vec::new(),
            damaged: Vec::new(),
            typed: Vec::new(),
            verdict: Some(verdict),
            expect: Vec::new(),
            forbid: Vec::new(),
            timeout: Duration::from_secs(20),
            network: None,
            clocks: Vec::new(),
            host: None,
            ignored: Vec::new(),
        }
    }

    /// The test that the source of the program `name` describes; none if it only helps other tests. `path` is the source's
    /// path as debug information has it.
    pub fn parse(name: &str, path: &str, source: &str) -> Result<Option<Self>> {
        let mut test = Self::new(vec![name.to_owned()], Verdict::Pass);
        let mut helper = false;
        let mut when = None;
        for (number, line) in (1..).zip(source.lines()) {
            let Some(directive) = line.trim_start().strip_prefix("//@") else { continue };
            let (key, value) = directive.split_once(':').unwrap_or((directive, ""));
            let result = match (key.trim(), value.trim()) {
                ("helper", "") => {
                    helper = true;
                    Ok(())
                }
                ("when", text) if !text.is_empty() => {
                    when = Some(text.to_owned());
                    Ok(())
                }
                ("type", text) => test.types(when.as_deref(), text),
                (key, value) => test.add(key, value, path, source),
            };
            result.with_context(|| format!("{path}:{number}"))?;
        }
        Ok((!helper).then_some(test))
    }

    fn types(&mut self, when: Option<&str>, text: &str) -> Result<()> {
        let when = when.context("what is to be typed when? The directive `when` says it")?.to_owned();
        self.typed.push(Keys { when, bytes: Keys::bytes(text)? });
        Ok(())
    }

    fn add(&mut self, key: &str, value: &str, path: &str, source: &str) -> Result<()> {
        ensure!(!value.is_empty(), "the directive {key:?} lacks a value or is unknown");
        match key {
            "run" => self.run = value.split_whitespace().map(str::to_owned).collect(),
            "archive" => self.archive.extend(value.split_whitespace().map(str::to_owned)),
            "damaged" => self.damaged.push(Damaged::parse(value)?),
            "verdict" => {
                self.verdict = match value {
                    "pass" => Some(Verdict::Pass),
                    "fail" => Some(Verdict::Fail),
                    "none" => None,
                    _ => bail!("{value:?} is no verdict: pass, fail or none"),
                }
            }
            "expect" => self.expect.push(Expected::new(value, path, source)?),
            "forbid" => self.forbid.push(fill_in(value, path, source)?),
            "timeout" => {
                let seconds = value.parse().ok().filter(|seconds| (1..=3600).contains(seconds));
                self.timeout = Duration::from_secs(seconds.context("a time-out is 1 to 3600 seconds")?);
            }
            "network" => {
                let network: Network = value.parse()?;
                ensure!(network.tunnel.is_none(), "a test's network has no tunnel");
                self.network = Some(network);
            }
            "server" | "client" => {
                let role = Role::named(key, value);
                self.host = Some(
                    role.with_context(|| format!("{value:?} is no {key}: server nfs or stream, client curl or wrk"))?,
                );
                let user = self.network.as_ref().is_some_and(|network| network.user.is_some());
                ensure!(user, "a {key} is reached by the network user, which comes first");
            }
            "faults" => {
                let network = self.network.as_mut().context("faults are those of a network, which comes first")?;
                let numbers =
                    value.split_once(' ').and_then(|(seed, rate)| Some((seed.parse().ok()?, rate.parse().ok()?)));
                let (seed, rate) =
                    numbers.filter(|&(_, rate)| rate <= 250_000).context("faults are SEED N, N to 250000")?;
                network.lose(seed, rate);
            }
            "clock" => {
                for name in value.split_whitespace() {
                    let known = Clock::ALL.into_iter().find(|known| known.name() == name);
                    self.clocks.push(known.with_context(|| format!("there is no clock {name:?}"))?);
                }
            }
            "except-hazard" => drop(excepted_rule(value)?),
            "ignore-machine" => {
                let (machine, reason) = value.split_once(' ').unwrap_or((value, ""));
                let known = Machine::ALL.into_iter().find(|known| known.name() == machine);
                self.ignored.push(known.with_context(|| format!("there is no machine {machine:?}"))?);
                ensure!(!reason.trim().is_empty(), "why is {machine} to be ignored?");
            }
            _ => bail!("there is no directive {key:?}"),
        }
        Ok(())
    }

    /// Compares a run with what is expected; fails with one line.
    pub fn check(&self, run: &Run) -> Result<()> {
        let expects = |prefix: &str| self.expect.iter().any(|expected| expected.text.contains(prefix.trim_end()));
        for prefix in [KERNEL_PANIC, LOADER_ERROR] {
            let found = run.lines.iter().find(|line| line.starts_with(prefix) && !expects(prefix));
            ensure!(found.is_none(), "the console says {:?}", found.expect("it was just found"));
        }
        for text in &self.forbid {
            let found = run.lines.iter().find(|line| line.contains(text.as_str()));
            ensure!(found.is_none(), "forbidden on the console: {:?}", found.expect("it was just found"));
        }
        let mut lines = run.lines.iter().map(String::as_str);
        let mut rest = "";
        for expected in &self.expect {
            loop {
                match expected.find(rest) {
                    Some(end) => {
                        rest = &rest[end..];
                        break;
                    }
                    None => rest = lines.next().with_context(|| expected.missing(run))?,
                }
            }
        }
        if self.verdict.is_some() {
            run.judge()?;
        }
        let name = |verdict: Option<Verdict>| match verdict {
            Some(Verdict::Pass) => "pass",
            Some(Verdict::Fail) => "fail",
            None => "none",
        };
        let (wanted, got) = (name(self.verdict), name(run.verdict));
        ensure!(wanted == got, "the guest's verdict is {got}, expected {wanted}");
        Ok(())
    }
}

impl Damaged {
    fn parse(value: &str) -> Result<Self> {
        let mut words = value.split_whitespace();
        let mut next = || words.next().context("a damaged program is NAME OF AT [BYTE]");
        let (name, of, at) = (next()?.to_owned(), next()?.to_owned(), next()?.parse()?);
        let byte = words.next().map(str::parse).transpose()?;
        ensure!(words.next().is_none(), "a damaged program is NAME OF AT [BYTE]");
        Ok(Self { name, of, at, byte })
    }

    /// Damages a copy.
    pub fn damage(&self, mut file: Vec<u8>) -> Result<Vec<u8>> {
        ensure!(self.at < file.len(), "{} has {} bytes, and none at {}", self.of, file.len(), self.at);
        match self.byte {
            Some(byte) => file[self.at] = byte,
            None => file.truncate(self.at),
        }
        Ok(file)
    }
}

/// The rules that the hazard checker is not to apply to a program with this source.
pub fn excepted_rules(source: &str) -> Result<Vec<Rule>> {
    let values = source.lines().filter_map(|line| line.trim().strip_prefix("//@ except-hazard:"));
    values.map(|value| excepted_rule(value.trim())).collect()
}

fn excepted_rule(value: &str) -> Result<Rule> {
    let (name, reason) = value.split_once(' ').unwrap_or((value, ""));
    ensure!(!reason.trim().is_empty(), "why is the rule {name} not to be applied?");
    name.parse().map_err(|error| anyhow!("{name:?}: {error}"))
}

impl Expected {
    fn new(value: &str, path: &str, source: &str) -> Result<Self> {
        let ends_with_number = value.ends_with('}') && value.rfind('{').is_some_and(|at| value[at..].starts_with(LINE));
        Ok(Self { text: fill_in(value, path, source)?, ends_with_number })
    }

    /// Any text.
    pub fn text(text: &str) -> Self {
        Self { text: text.to_owned(), ends_with_number: false }
    }

    /// Where the text ends in a line that contains it.
    fn find(&self, line: &str) -> Option<usize> {
        let ends = line.match_indices(self.text.as_str()).map(|(start, found)| start + found.len());
        let digit_follows = |end: usize| line[end..].starts_with(|c: char| c.is_ascii_digit());
        ends.into_iter().find(|&end| !(self.ends_with_number && digit_follows(end)))
    }

    fn missing(&self, run: &Run) -> String {
        let anywhere = run.lines.iter().any(|line| self.find(line).is_some());
        let order = if anywhere { " (only before another expected text)" } else { "" };
        let failure = run.judge().err().map_or(String::new(), |error| format!("; {error}"));
        format!("missing on the console: {:?}{order}{failure}", self.text)
    }
}

/// Begins a place for a line number.
const LINE: &str = "{line:";

/// Replaces `{self}` and `{line:TAG}`.
fn fill_in(text: &str, path: &str, source: &str) -> Result<String> {
    let text = text.replace("{self}", path);
    let Some((before, rest)) = text.split_once(LINE) else { return Ok(text) };
    let (tag, behind) = rest.split_once('}').with_context(|| format!("{LINE} without a closing brace"))?;
    let comment = format!("// line: {tag}");
    let mut tagged = (1..).zip(source.lines()).filter(|(_, line)| line.trim_end().ends_with(&comment));
    let (number, _) = tagged.next().with_context(|| format!("no line ends with the comment `{comment}`"))?;
    ensure!(tagged.next().is_none(), "several lines end with the comment `{comment}`");
    Ok(format!("{before}{path}:{number}{}", fill_in(behind, path, source)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "//! Overflow.\n//@ run: one,a=1 two\n//@ verdict: fail\n//@ expect: pc=0x\n\
        //@ expect: {line:fault}\n//@ forbid: {self}:9\n//@ timeout: 3\n\nfault(); // line: fault\n";

    fn test(source: &str) -> Result<Option<Test>> {
        Test::parse("one", "tests/one.rs", source)
    }

    fn run(lines: &[&str], verdict: Option<Verdict>) -> Run {
        Run::of(lines, verdict)
    }

    #[test]
    fn directives_are_read() {
        let test = test(SOURCE).unwrap().unwrap();
        assert_eq!(test.run, ["one,a=1", "two"]);
        assert_eq!(test.verdict, Some(Verdict::Fail));
        assert_eq!(test.expect[1], Expected { text: "tests/one.rs:9".to_owned(), ends_with_number: true });
        assert_eq!(test.forbid, ["tests/one.rs:9"]);
        assert_eq!(test.timeout, Duration::from_secs(3));
    }

    #[test]
    fn defaults_hold() {
        let default = test("fn main() {}").unwrap().unwrap();
        assert_eq!(default, Test::new(vec!["one".to_owned()], Verdict::Pass));
        assert_eq!(test("//@ helper\n").unwrap(), None);
    }

    #[test]
    fn mistakes_are_refused_with_their_line() {
        for (source, message) in [
            ("\n//@ expected: x", "tests/one.rs:2: there is no directive \"expected\""),
            ("//@ helper: x", "tests/one.rs:1: there is no directive \"helper\""),
            ("//@ expect:", "tests/one.rs:1: the directive \"expect\" lacks a value or is unknown"),
            ("//@ verdict: maybe", "tests/one.rs:1: \"maybe\" is no verdict: pass, fail or none"),
            ("//@ timeout: 0", "tests/one.rs:1: a time-out is 1 to 3600 seconds"),
            ("//@ expect: {line:x}", "tests/one.rs:1: no line ends with the comment `// line: x`"),
            ("//@ expect: {line:x\n", "tests/one.rs:1: {line: without a closing brace"),
            (
                "//@ forbid: {line:x}\n// line: x\n// line: x",
                "tests/one.rs:1: several lines end with the comment `// line: x`",
            ),
            ("//@ ignore-machine: vax too old", "tests/one.rs:1: there is no machine \"vax\""),
            ("//@ faults: 1 2", "tests/one.rs:1: faults are those of a network, which comes first"),
            ("//@ server: nfs", "tests/one.rs:1: a server is reached by the network user, which comes first"),
            (
                "//@ network: 2\n//@ client: curl",
                "tests/one.rs:2: a client is reached by the network user, which comes first",
            ),
            ("//@ client: wget", "tests/one.rs:1: \"wget\" is no client: server nfs or stream, client curl or wrk"),
            ("//@ clock: dec3100 vax", "tests/one.rs:1: there is no clock \"vax\""),
            (
                "//@ network: user\n//@ server: nfs4",
                "tests/one.rs:2: \"nfs4\" is no server: server nfs or stream, client curl or wrk",
            ),
            ("//@ network: 2\n//@ faults: 1 250001", "tests/one.rs:2: faults are SEED N, N to 250000"),
            ("//@ except-hazard: fpu", "tests/one.rs:1: why is the rule fpu not to be applied?"),
            ("//@ except-hazard: gpu none", "tests/one.rs:1: \"gpu\": there is no such rule"),
            ("//@ ignore-machine: gxemul", "tests/one.rs:1: why is gxemul to be ignored?"),
        ] {
            assert_eq!(format!("{:#}", test(source).unwrap_err()), message);
        }
    }

    #[test]
    fn hazards_are_excepted() {
        let source = "//! Text.\n//@ except-hazard: fpu so\n//@ except-hazard: privileged so\n";
        assert_eq!(excepted_rules(source).unwrap(), [Rule::Fpu, Rule::Privileged]);
        assert!(test(source).unwrap().is_some());
    }

    #[test]
    fn expectations_are_in_order() {
        let test = test("//@ expect: a\n//@ expect: b\n").unwrap().unwrap();
        let check = |lines: &[&str]| test.check(&run(lines, Some(Verdict::Pass))).map_err(|error| error.to_string());
        assert_eq!(check(&["a", "x", "b"]), Ok(()));
        assert_eq!(check(&["xaxbx"]), Ok(()), "one line may hold both");
        assert!(check(&["b", "a"]).unwrap_err().contains("only before"));
        assert!(check(&["ba"]).unwrap_err().contains("only before"));
        assert_eq!(check(&["a"]), Err("missing on the console: \"b\"".to_owned()));
    }

    #[test]
    fn line_numbers_are_whole() {
        let test = test(SOURCE).unwrap().unwrap();
        let expected = &test.expect[1];
        assert!(expected.find("pc=0x10 (tests/one.rs:9 in main)").is_some());
        assert!(expected.find("tests/one.rs:9").is_some());
        assert!(expected.find("tests/one.rs:90 in main").is_none());
    }

    #[test]
    fn unexpected_reports_fail_a_test() {
        let plain = Test::new(vec![], Verdict::Fail);
        assert!(plain.check(&run(&["aegis: PANIC: x"], Some(Verdict::Fail))).is_err());
        assert!(plain.check(&run(&["loader: error: x"], Some(Verdict::Fail))).is_err());
        assert!(plain.check(&run(&[], Some(Verdict::Pass))).is_err());
        assert!(plain.check(&run(&[], None)).is_err());
        assert!(plain.check(&run(&[], Some(Verdict::Fail))).is_ok());
        let refused = Test { expect: vec![Expected::text("loader: error: x")], ..plain };
        assert!(refused.check(&run(&["loader: error: x"], Some(Verdict::Fail))).is_ok());
    }
}
