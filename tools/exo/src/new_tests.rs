//! Tests of `new`: from each template a crate is made outside of the tree, as a person does it, and is booted, tested and measured;
//! and the guide is followed, step by step.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;

use crate::c_library::{self, LUA, LZ4, PICOLIBC, Source};
use crate::process::{output_within, show, tied_command};
use crate::test::{Bench, timed_if};
use crate::workspace::Workspace;

/// What their names begin with.
const AREA: &str = "new::";

/// How long one command may take: it may have to build libraries, beside other builds.
const LIMIT: Duration = Duration::from_secs(1800);

/// The templates: the options that choose each, and what its program says. Each has a name of its own here: to cargo crates of one name
/// are one, if they are built beside each other.
const TEMPLATES: [(&str, &[&str], &str); 6] = [
    ("c", &["--c"], "environment 0x1000, interface"),
    ("scratch", &[], "the page at 0x40000000 has 1995"),
    ("page_table", &["--replace", "page-table"], "100 pages mapped, 1 touched, where 1995 is"),
    ("scheduler", &["--replace", "scheduler"], "with shares of [3, 2, 1] they counted to"),
    ("ipc", &["--replace", "ipc"], "the numbers from 1 to 1000 are 500500"),
    ("protocol", &["--replace", "protocol"], "Exokernels eliminate management."),
];

/// A test.
type Case = Box<dyn FnOnce(&Workspace) -> Result<()> + Send>;

/// The guide.
const GUIDE: &str = "docs/write-your-own.md";

/// The programs of the tree that these tests need, if the filter names them: one, for they build what they need themselves.
pub fn programs(filter: &str) -> Vec<&'static str> {
    if filter.starts_with(AREA) { vec!["boot_hello"] } else { Vec::new() }
}

/// The tests.
pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let trial = |name: &str, sources: &'static [&Source], test: Case| {
        let (bench, of) = (Arc::clone(bench), Arc::clone(bench));
        let fetch = move || sources.iter().try_for_each(|source| c_library::unpack(&of.workspace, source).map(drop));
        let test = move || test(&bench.workspace).map_err(|error| format!("{error:#}").into());
        timed_if(format!("{AREA}{name}"), fetch, test)
    };
    let mut trials = vec![
        trial("guide", &[], Box::new(guide)),
        trial("refusals", &[], Box::new(refusals)),
        trial("namesakes", &[], Box::new(namesakes)),
        trial(
            "c_lua",
            &[&PICOLIBC, &LUA],
            Box::new(|workspace| published(workspace, &LUA, "src", "lua", &["luac.c"], &[])),
        ),
        trial(
            "c_lz4",
            &[&PICOLIBC, &LZ4],
            Box::new(|workspace| published(workspace, &LZ4, "lib", "lz4", &[], &["lz4.c", "lz4.h"])),
        ),
    ];
    for (name, options, says) in TEMPLATES {
        let sources: &[&Source] = if name == "c" { &[&PICOLIBC] } else { &[] };
        trials.push(trial(name, sources, Box::new(move |workspace| template(workspace, name, options, says))));
    }
    trials
}

/// A crate is made, and everything that is said to work does.
fn template(workspace: &Workspace, name: &str, options: &[&str], says: &str) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let name = format!("my_{name}");
    exo(workspace, directory.path(), &[&["new", &name], options].concat())?;
    let within = directory.path().join(&name);
    let run = exo(workspace, &within, &["run"])?;
    ensure!(run.contains(&format!("{name}: {says}")), "it does not say {says:?}:\n{run}");
    let tested = exo(workspace, &within, &["test"])?;
    ensure!(tested.contains(&format!("{name}_test@decstation")) && tested.contains("test result: ok"), "{tested}");
    // The very same programs, on machines by others.
    for machine in ["gxemul", "malta"] {
        let tested = exo(workspace, &within, &["test", "--machine", machine])?;
        ensure!(tested.contains(&format!("{name}_test@{machine}")) && tested.contains("test result: ok"), "{tested}");
    }
    let measured = exo(workspace, &within, &["bench", "--clock", "dec5000"])?;
    ensure!(measured.contains(&format!("{name} (not in the paper)")) && measured.contains("cycles"), "{measured}");
    Ok(())
}

/// What others have published in C runs as it is: of the sources in a directory of theirs all, but for those that are left out, or some
/// alone. What is ours is in `exos/c/tests`.
fn published(
    workspace: &Workspace,
    source: &Source,
    within: &str,
    test: &str,
    without: &[&str],
    only: &[&str],
) -> Result<()> {
    let directory = tempfile::tempdir()?;
    exo(workspace, directory.path(), &["new", test, "--c"])?;
    let mine = directory.path().join(test);
    for old in ["c", "src/bin"] {
        fs::remove_dir_all(mine.join(old))?;
    }
    let c = mine.join(format!("c/{test}_test"));
    fs::create_dir_all(&c)?;
    fs::create_dir_all(mine.join("src/bin"))?;
    let ours = workspace.root.join("exos/c/tests").join(test);
    fs::copy(ours.join("program.rs"), mine.join(format!("src/bin/{test}_test.rs")))?;
    for place in [c_library::unpack(workspace, source)?.join(within), ours] {
        for entry in fs::read_dir(&place)? {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let is_c = name.ends_with(".c") || name.ends_with(".h");
            let wanted = only.is_empty() || only.contains(&name) || name == "main.c";
            if is_c && wanted && !without.contains(&name) {
                fs::copy(&path, c.join(name))?;
            }
        }
    }
    let tested = exo(workspace, &mine, &["test"])?;
    ensure!(tested.contains("1 passed"), "{tested}");
    Ok(())
}

/// Whether the command is refused for a reason.
pub fn refused(workspace: &Workspace, at: &Path, words: &[&str], why: &str) -> Result<()> {
    let error = exo(workspace, at, words).err().map(|error| format!("{error:#}")).unwrap_or_default();
    ensure!(error.contains(why), "{words:?}: {error:?}, expected {why:?}");
    Ok(())
}

/// Two crates of one name in two places stay two.
fn namesakes(workspace: &Workspace) -> Result<()> {
    let places = [tempfile::tempdir()?, tempfile::tempdir()?];
    let kinds = [(&[][..], TEMPLATES[1].2), (&["--replace", "ipc"], TEMPLATES[4].2)];
    for (place, (options, _)) in places.iter().zip(kinds) {
        exo(workspace, place.path(), &[&["new", "twin"], options].concat())?;
    }
    for _ in 0..2 {
        for (place, (_, says)) in places.iter().zip(kinds) {
            let run = exo(workspace, &place.path().join("twin"), &["run"])?;
            ensure!(run.contains(&format!("twin: {says}")), "it does not say {says:?}:\n{run}");
        }
    }
    Ok(())
}

fn refusals(workspace: &Workspace) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let refuse = |words: &[&str], why: &str| refused(workspace, directory.path(), words, why);
    refuse(&["new", "Mine"], "is no name")?;
    refuse(&["new", "a-b"], "is no name")?;
    refuse(&["new", "a_name_that_is_much_too_long"], "is no name")?;
    refuse(&["new", "boot_hello"], "the tree has a program boot_hello")?;
    refuse(&["new", "exos"], "the tree has a library exos")?;
    refuse(&["new"], "required")?;
    refuse(&["new", "mine", "--replace", "kernel"], "invalid value")?;
    exo(workspace, directory.path(), &["new", "mine"])?;
    refuse(&["new", "mine"], "is there already")?;
    ensure!(exo(workspace, directory.path(), &["new", "--list"])?.contains("page tables"), "it lists no parts");
    Ok(())
}

/// Follows the guide: its commands are executed and must say what it says they do, its files are written, and what it quotes must
/// stand where it says.
fn guide(workspace: &Workspace) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mut reader = Reader { workspace, at: directory.path().to_owned() };
    let text = fs::read_to_string(workspace.root.join(GUIDE)).with_context(|| format!("cannot read {GUIDE}"))?;
    let mut lines = (1..).zip(text.lines());
    let mut steps = 0;
    while let Some((number, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let block: Vec<_> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
        reader.follow(info, &block).with_context(|| format!("{GUIDE}:{number}"))?;
        steps += 1;
    }
    ensure!(steps > 8, "the guide has {steps} steps");
    Ok(())
}

/// Who reads the guide.
struct Reader<'a> {
    workspace: &'a Workspace,
    /// The directory that the reader is in.
    at: PathBuf,
}

impl Reader<'_> {
    fn follow(&mut self, info: &str, block: &[&str]) -> Result<()> {
        let option = |name| info.split(',').find_map(|word| word.strip_prefix(name));
        let text = || block.join("\n") + "\n";
        if info == "console" {
            return self.commands(block);
        } else if let Some(path) = option("file=") {
            fs::write(self.at.join(path), text()).with_context(|| format!("cannot write {path}"))?;
        } else if let Some(path) = option("in=") {
            let file = fs::read_to_string(self.at.join(path)).with_context(|| format!("cannot read {path}"))?;
            ensure!(file.contains(&text()), "this is not in {path} any more");
        } else {
            bail!("a block is `console`, or has `file=` or `in=` behind its language");
        }
        Ok(())
    }

    /// Executes what stands behind `$ `, and compares what is said with the lines below it.
    fn commands(&mut self, block: &[&str]) -> Result<()> {
        let mut rest = block;
        while let Some((command, more)) = rest.split_first() {
            let command = command.strip_prefix("$ ").context("a command begins with `$ `")?;
            let end = more.iter().position(|line| line.starts_with("$ ")).unwrap_or(more.len());
            let (expected, next) = more.split_at(end);
            let words: Vec<_> = command.split_whitespace().collect();
            match words[..] {
                ["cd", directory] => self.at = self.at.join(directory).canonicalize().context("no such directory")?,
                ["cargo", "exo", ref words @ ..] => {
                    let said = exo(self.workspace, &self.at, words)?;
                    compare(expected, &said).with_context(|| format!("`{command}` says\n{said}"))?;
                }
                _ => bail!("the guide's commands are `cd` and `cargo exo`"),
            }
            rest = next;
        }
        Ok(())
    }
}

/// Whether all lines that are expected are there, in order. Numbers need not be the same, nor blanks and rules; `…` stands for
/// anything.
fn compare(expected: &[&str], said: &str) -> Result<()> {
    let mut lines = said.lines().map(shape);
    for line in expected.iter().filter(|line| **line != "…") {
        let parts: Vec<_> = line.split('…').map(shape).collect();
        let fits = |said: &String| {
            let mut rest = said.as_str();
            parts.iter().all(|part| rest.find(part).map(|at| rest = &rest[at + part.len()..]).is_some())
        };
        ensure!(lines.any(|said| fits(&said)), "nothing like {line:?}");
    }
    Ok(())
}

/// A line without what may differ.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    for c in line.trim().chars() {
        let c = match c {
            '0'..='9' => '0',
            '─' | '═' | '╌' | ' ' => ' ',
            c => c,
        };
        // Of a number with a fraction one digit remains, as of one without.
        let repeated = shape.ends_with(c) && [' ', '0'].contains(&c);
        if !repeated {
            shape.push(c);
        }
    }
    shape.replace("0.0", "0")
}

/// Runs this command in a directory, as a person does; what it says.
pub fn exo(workspace: &Workspace, at: &Path, words: &[&str]) -> Result<String> {
    let mut command = tied_command(env::current_exe()?);
    command.current_dir(at).env("CARGO_TARGET_DIR", &workspace.target).args(words);
    let (success, text) = output_within(&mut command, LIMIT)?;
    ensure!(success, "{} failed:\n{text}", show(&command));
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_may_differ() {
        let said = "│ miss ┆ mine ┆      104 ┆ 35.25 │\nend\n";
        assert!(compare(&["│ miss ┆ mine ┆ 106 ┆ 9 │", "…", "end"], said).is_ok());
        assert!(compare(&["│ miss … │"], said).is_ok());
        assert!(compare(&["│ hit ┆ mine ┆ 106 ┆ 9 │"], said).is_err());
        assert!(compare(&["end", "│ miss …"], said).is_err());
    }
}
