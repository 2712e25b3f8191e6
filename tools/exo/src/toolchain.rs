//! The guest compiler: finding one that can build `core` for the R3000.
//!
//! No compiler comes with a `core` for MIPS I, so it is built along with the guest, from the compiler's own library source.
//! Two kinds of toolchain have that source beside them: one of rustup's with the component `rust-src`, and Debian's, made of
//! separate packages. What is found is probed by compiling and linking an empty program, since a version number
//! says nothing about which targets are in a compiler and whether it reads our target file.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{command, output, which};
use crate::workspace::Workspace;

/// Debian's packages that together are a guest compiler.
pub const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-22"];

/// Debian's package that has clippy for it.
pub const DEBIAN_CLIPPY: [&str; 1] = ["rust-web-clippy"];

/// Chooses a toolchain by a part of its name, where the first usable one is not the right one.
pub const CHOICE: &str = "EXO_TOOLCHAIN";

/// A compiler that was probed and can build the guest.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// Its compiler's version and LLVM's, in one line.
    pub version: String,
    /// Where its programs are.
    bin: PathBuf,
    /// The linker, if it is not the one that the target file names.
    linker: Option<&'static str>,
}

/// A place where a compiler may be, and what is there.
#[derive(Debug)]
pub struct Candidate {
    /// Whose it is: `debian` or rustup's name for it.
    pub name: String,
    /// What was found, or why it cannot be used.
    pub found: Result<Toolchain>,
}

impl Toolchain {
    /// The toolchain to build the guest with: the first usable candidate, or the one that was chosen.
    pub fn find(workspace: &Workspace) -> Result<Self> {
        let choice = env::var(CHOICE).unwrap_or_default();
        let mut reasons = Vec::new();
        for candidate in candidates(workspace, &choice) {
            match candidate.found {
                Ok(toolchain) => return Ok(toolchain),
                Err(error) => reasons.push(format!("{}: {error:#}", candidate.name)),
            }
        }
        if reasons.is_empty() {
            bail!("no toolchain's name contains {choice:?} ({CHOICE} is set)");
        }
        bail!("no compiler for the guest ({})", reasons.join("; "))
    }

    /// A cargo command that builds with this toolchain for the R3000; the packages and the target directory are to be added.
    pub fn build_command(&self, workspace: &Workspace) -> Command {
        self.cargo_command(workspace, "build")
    }

    /// The same for clippy; an error if this toolchain has none.
    pub fn clippy_command(&self, workspace: &Workspace) -> Result<Command> {
        let driver = self.bin.join("clippy-driver");
        if !driver.is_file() {
            bail!("{} is not there", driver.display());
        }
        // Cargo looks for its subcommands in the path, where another toolchain's may come first.
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths([self.bin.clone()].into_iter().chain(env::split_paths(&path)))?;
        let mut clippy = self.cargo_command(workspace, "clippy");
        clippy.env("PATH", path);
        Ok(clippy)
    }

    fn cargo_command(&self, workspace: &Workspace, job: &str) -> Command {
        let mut cargo = command(self.bin.join("cargo"));
        cargo.current_dir(&workspace.root).env("RUSTC_BOOTSTRAP", "1").env("RUSTC", self.bin.join("rustc"));
        if let Some(linker) = self.linker {
            cargo.env("CARGO_TARGET_MIPS_R3000_LINKER", linker);
        }
        if let Some(layout) = workspace.layout {
            cargo.env(LAYOUT, layout.to_string());
        }
        cargo.args([job, "--profile", "guest", "--target"]).arg(workspace.target_file());
        cargo.args(BUILD_FLAGS);
        cargo
    }
}

/// Tells the build script of programs in which order their functions are linked (`exos/link_programs.rs`).
const LAYOUT: &str = "AEGIS_LAYOUT";

/// What cargo needs to be told in order to build `core` for a target that a file describes.
const BUILD_FLAGS: [&str; 3] =
    ["-Zbuild-std=core,alloc", "-Zbuild-std-features=compiler-builtins-mem", "-Zjson-target-spec"];

/// Probes every place where a compiler may be whose name contains `choice`, the preferred first.
pub fn candidates(workspace: &Workspace, choice: &str) -> impl Iterator<Item = Candidate> {
    let debian = ("debian".to_owned(), PathBuf::from("/usr"), &["rust-lld", "ld.lld-22"][..]);
    let places = rustup_toolchains().into_iter().map(|(name, root)| (name, root, &["rust-lld"][..])).chain([debian]);
    let choice = choice.to_owned();
    let workspace = workspace.clone();
    places
        .filter(move |(name, ..)| name.contains(&choice))
        .map(move |(name, root, linkers)| Candidate { found: probe(&workspace, &root, linkers), name })
}

/// The toolchains that rustup has installed: names and directories.
fn rustup_toolchains() -> Vec<(String, PathBuf)> {
    let home = env::var_os("RUSTUP_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".rustup")));
    let Some(entries) = home.and_then(|home| home.join("toolchains").read_dir().ok()) else { return Vec::new() };
    let mut found: Vec<_> =
        entries.flatten().map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())).collect();
    found.sort();
    found
}

/// Tries the toolchain below `root` with each of the linkers.
fn probe(workspace: &Workspace, root: &Path, linkers: &[&'static str]) -> Result<Toolchain> {
    let (rustc, cargo) = (root.join("bin/rustc"), root.join("bin/cargo"));
    for program in [&rustc, &cargo] {
        if !program.is_file() {
            bail!("{} is not there", program.display());
        }
    }
    if !root.join("lib/rustlib/src/rust/library/core/src/lib.rs").is_file() {
        bail!("it has no library source (rust-src)");
    }
    let version = version(&output(command(&rustc).arg("-vV"))?);
    // Cargo checks these names before it looks at the command, so an older one is told apart without a build.
    output(command(&cargo).env("RUSTC_BOOTSTRAP", "1").args(BUILD_FLAGS).arg("version"))?;

    let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
    let source = directory.path().join("probe.rs");
    std::fs::write(&source, "#![feature(no_core)]\n#![no_core]\n#![no_main]\n")?;
    let mut error = None;
    for linker in linkers {
        let mut compile = command(&rustc);
        compile.current_dir(directory.path()).env("RUSTC_BOOTSTRAP", "1");
        compile.args(["-Zunstable-options", "--crate-type=bin", "-Clink-arg=--entry=0"]);
        compile.arg(format!("-Clinker={linker}")).arg("--target").arg(workspace.target_file()).arg(&source);
        match output(&mut compile) {
            Ok(_) => {
                let linker = (*linker != "rust-lld").then_some(*linker);
                return Ok(Toolchain { version, bin: root.join("bin"), linker });
            }
            Err(_) if which(linker).is_none() && linkers.len() > 1 => {
                error = Some(anyhow::anyhow!("{version} has no linker: none of {} is there", linkers.join(", ")));
            }
            Err(failure) => return Err(failure.context(format!("{version} cannot compile for the R3000"))),
        }
    }
    Err(error.expect("there is at least one linker"))
}

/// `rustc -vV` in one line.
fn version(verbose: &str) -> String {
    let first = verbose.lines().next().unwrap_or("rustc of unknown version").trim();
    let llvm = verbose.lines().find_map(|line| line.strip_prefix("LLVM version: ")).unwrap_or("unknown").trim();
    format!("{first}, LLVM {llvm}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_names_llvm() {
        let verbose = "rustc 1.96.0 (ac68faa20 2026-05-25)\nbinary: rustc\nrelease: 1.96.0\nLLVM version: 22.1.8\n";
        assert_eq!(version(verbose), "rustc 1.96.0 (ac68faa20 2026-05-25), LLVM 22.1.8");
        assert_eq!(version(""), "rustc of unknown version, LLVM unknown");
    }

    #[test]
    fn absent_toolchain_is_refused() {
        let workspace = Workspace::find().unwrap();
        let error = probe(&workspace, Path::new("/nowhere"), &["rust-lld"]).unwrap_err();
        assert_eq!(error.to_string(), "/nowhere/bin/rustc is not there");
    }
}
