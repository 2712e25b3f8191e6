//! Linux, from Debian's source package to the file that boots. What is done already is not repeated.

use std::fs;
use std::io::{BufRead, BufReader, PipeReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail, ensure};

use crate::build::Board;
use crate::process::{command, output, show, tied_command};
use crate::progress::Progress;
use crate::workspace::Workspace;

/// The package that the source is in.
const PACKAGE: &str = "linux-source-6.1";
/// Where it puts it.
const SOURCE: &str = "/usr/src/linux-source-6.1.tar.xz";
/// What the compiler's programs begin with.
const PREFIX: &str = "mipsel-linux-gnu-";

/// The Debian packages that a kernel is built with.
pub const PACKAGES: [&str; 10] =
    [PACKAGE, "gcc-mipsel-linux-gnu", "make", "gcc", "libc6-dev", "bc", "bison", "flex", "xz-utils", "perl"];

/// The configuration that both kernels have.
const COMMON: &str = include_str!("../../baseline/common.config");
/// What a DECstation's has besides.
const DECSTATION: &str = include_str!("../../baseline/decstation.config");
/// Likewise a Malta's.
const MALTA: &str = include_str!("../../baseline/malta.config");

/// What there is to build with, in one line, or why it does not do.
pub fn version() -> Result<String> {
    for program in ["make", "gcc", "bc", "bison", "flex", "xz", "perl"] {
        output(command(program).arg("--version"))?;
    }
    ensure!(Path::new(SOURCE).is_file(), "{SOURCE} is not there (package {PACKAGE})");
    Ok(format!("{}, {}", source_version()?, compiler_version()?))
}

/// The version of the source.
pub fn source_version() -> Result<String> {
    let version = output(command("dpkg-query").args(["--show", "--showformat=${Version}", PACKAGE]))?;
    Ok(format!("{PACKAGE} {version}"))
}

/// The compiler's.
pub fn compiler_version() -> Result<String> {
    let text = output(command(format!("{PREFIX}gcc")).arg("--version"))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Builds the kernel for a board, in a directory that remembers what was done.
pub fn build(workspace: &Workspace, board: Board, progress: &Progress) -> Result<PathBuf> {
    let (name, own) = match board {
        Board::Decstation => ("decstation", DECSTATION),
        Board::Malta => ("malta", MALTA),
    };
    let source = unpack(workspace, progress)?;
    let directory = workspace.baseline().join(name);
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let kernel = directory.join("vmlinux");
    let fragment = format!("{COMMON}\n{own}");
    let made_of = format!("{}\n{}\n{fragment}", source_version()?, compiler_version()?);
    let done = Stamp(directory.join("exo.done"));
    if kernel.is_file() && done.says(&made_of) {
        return Ok(kernel);
    }
    done.take_away()?;

    let asked = directory.join("exo.config");
    write(&asked, &fragment)?;
    let make = |target: &str| {
        // It takes minutes, and may wait for whoever else wants the processors.
        let mut make = tied_command("nice");
        make.arg("make").arg("-C").arg(&source).arg(format!("O={}", directory.display()));
        make.args(["ARCH=mips", &format!("CROSS_COMPILE={PREFIX}")]);
        // Whoever builds it, and when, it is the same.
        make.args(["KBUILD_BUILD_USER=exo", "KBUILD_BUILD_HOST=exo", "KBUILD_BUILD_TIMESTAMP=1995-12-03"]);
        make.arg(target).env("KCONFIG_ALLCONFIG", &asked);
        make
    };
    progress.say(&format!("configuring Linux for {name}"));
    run(make("allnoconfig"), &directory.join("exo.log"), |_| ())?;
    let configured = directory.join(".config");
    let text = fs::read_to_string(&configured).with_context(|| format!("cannot read {}", configured.display()))?;
    if let Some(option) = refused(&fragment, &text) {
        bail!("Linux's configuration for {name} did not take {option}: {} has another", configured.display());
    }
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    let mut compiling = make("vmlinux");
    compiling.arg(format!("-j{jobs}"));
    let mut files = 0;
    run(compiling, &directory.join("exo.log"), |line| {
        files += 1;
        progress.say(&format!("building Linux for {name}, some 1000 files: {files}, {}", line.trim()));
    })?;
    ensure!(kernel.is_file(), "Linux's build made no {}", kernel.display());
    done.put(&made_of)?;
    Ok(kernel)
}

/// The source, unpacked.
fn unpack(workspace: &Workspace, progress: &Progress) -> Result<PathBuf> {
    let baseline = workspace.baseline();
    let source = baseline.join(PACKAGE);
    let version = source_version()?;
    let done = Stamp(baseline.join("source.done"));
    if source.is_dir() && done.says(&version) {
        return Ok(source);
    }
    done.take_away()?;
    progress.say(&format!("unpacking {PACKAGE}, 1.5 GB"));
    if source.exists() {
        fs::remove_dir_all(&source).with_context(|| format!("cannot remove {}", source.display()))?;
    }
    fs::create_dir_all(&baseline).with_context(|| format!("cannot make {}", baseline.display()))?;
    output(tied_command("tar").args(["--extract", "--file", SOURCE, "--directory"]).arg(&baseline))?;
    ensure!(source.is_dir(), "{SOURCE} has no directory {PACKAGE}");
    done.put(&version)?;
    Ok(source)
}

/// A file that says from what something was made. It is there only when that was done.
struct Stamp(PathBuf);

impl Stamp {
    fn says(&self, made_of: &str) -> bool {
        fs::read_to_string(&self.0).is_ok_and(|text| text == made_of)
    }

    fn take_away(&self) -> Result<()> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.0.display()))
            }
            _ => Ok(()),
        }
    }

    fn put(&self, made_of: &str) -> Result<()> {
        write(&self.0, made_of)
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The first option that was asked for and not granted, since it does not exist or something else is against it.
fn refused<'a>(asked: &'a str, configured: &str) -> Option<&'a str> {
    asked.lines().filter(|line| line.starts_with("CONFIG_")).find(|line| !configured.lines().any(|has| has == *line))
}

/// Runs make, shows each line and keeps them in a file; its error is the first line that speaks of one.
fn run(mut make: Command, log: &Path, mut show_line: impl FnMut(&str)) -> Result<()> {
    let name = show(&make);
    let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
    make.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let child = make.spawn();
    // The command holds the writing ends, without which the pipe would never end.
    drop(make);
    let mut child = child.with_context(|| format!("cannot start {name}"))?;
    let error = follow(reader, log, &mut show_line)?;
    let status = child.wait()?;
    let why = error.unwrap_or_else(|| "it says nothing".to_owned());
    ensure!(status.success(), "Linux can't be built: {why}; {} has more", log.display());
    Ok(())
}

/// Passes lines on and into a file; the first one that speaks of an error.
fn follow(reader: PipeReader, log: &Path, show_line: &mut dyn FnMut(&str)) -> Result<Option<String>> {
    let mut file = fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut error = None;
    for line in BufReader::new(reader).split(b'\n') {
        let line = line?;
        let text = String::from_utf8_lossy(&line);
        show_line(&text);
        writeln!(file, "{text}").with_context(|| format!("cannot write {}", log.display()))?;
        if error.is_none() && (text.contains("error:") || text.contains("***")) {
            error = Some(text.trim().to_owned());
        }
    }
    Ok(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_were_not_taken_are_found() {
        let configured = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=2048\n";
        assert_eq!(refused("# words\nCONFIG_A=y\nCONFIG_C=2048\n", configured), None);
        assert_eq!(refused("CONFIG_A=y\nCONFIG_B=y\n", configured), Some("CONFIG_B=y"));
        assert_eq!(refused("CONFIG_C=204\n", configured), Some("CONFIG_C=204"));
    }

    #[test]
    fn what_was_done_is_remembered_until_something_changes() {
        let directory = tempfile::tempdir().unwrap();
        let stamp = Stamp(directory.path().join("done"));
        stamp.take_away().unwrap();
        assert!(!stamp.says("one"));
        stamp.put("one").unwrap();
        assert!(stamp.says("one") && !stamp.says("two"));
        stamp.take_away().unwrap();
        assert!(!stamp.says("one"));
    }

    #[test]
    fn a_failed_build_says_why() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let mut shown = Vec::new();
        let script = "echo '  CC      init/main.o'; echo 'main.c:3:1: error: no such thing' >&2; echo more; exit 2";
        let mut make = command("sh");
        make.args(["-c", script]);
        let error = run(make, &log, |line| shown.push(line.to_owned())).unwrap_err();
        let expected = "Linux can't be built: main.c:3:1: error: no such thing; ";
        assert!(error.to_string().starts_with(expected), "{error}");
        assert_eq!(shown.len(), 3);
        assert_eq!(fs::read_to_string(log).unwrap().lines().count(), 3);
    }

    #[test]
    fn configurations_ask_for_something() {
        for own in [DECSTATION, MALTA] {
            assert!(own.lines().chain(COMMON.lines()).all(|line| line.is_empty() || line.starts_with(['#', 'C'])));
            assert!(refused(own, "").is_some());
        }
    }
}
