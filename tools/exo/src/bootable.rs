//! What is booted for a program: an image, what the machine is told with it, and what turns its addresses into source lines.
//! It is made of what the tree builds, or was released before.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::build::{self, Guest, Kind};
use crate::directives::Test;
use crate::latency;
use crate::machine::Machine;
use crate::release::Release;
use crate::symbols::Symbols;
use crate::workspace::Workspace;

/// A program that can be booted.
pub struct Bootable {
    /// Its name.
    pub program: String,
    /// The image.
    pub image: PathBuf,
    /// The boot arguments.
    pub arguments: String,
    /// Where the kernel waits for an interrupt.
    pub polls: Range<u32>,
    /// How many machines boot it, on one Ethernet; 0: one, without.
    pub machines: usize,
    /// Its source lines, if it was built here.
    pub symbols: Symbols,
}

/// Where the images of benchmark programs come from.
pub enum Images {
    /// They are made of what the tree builds.
    Tree(Box<Guest>),
    /// They are there already.
    Released(Release),
}

impl Images {
    /// The compiler of the programs.
    pub fn toolchain(&self) -> &str {
        match self {
            Self::Tree(guest) => &guest.toolchain.version,
            Self::Released(release) => release.toolchain(),
        }
    }

    /// The names of all benchmark programs.
    pub fn benchmarks(&self) -> Vec<String> {
        match self {
            Self::Tree(guest) => benchmarks(guest).collect(),
            Self::Released(release) => release.benchmarks(),
        }
    }

    /// A benchmark program for a machine.
    pub fn benchmark(&self, workspace: &Workspace, machine: Machine, program: &str) -> Result<Bootable> {
        match self {
            Self::Tree(guest) => benchmark(workspace, guest, machine, program),
            Self::Released(release) => release.image(program),
        }
    }
}

/// The benchmark programs that were built.
pub fn benchmarks(guest: &Guest) -> impl Iterator<Item = String> {
    guest.programs.iter().filter(|(_, program)| program.kind == Kind::Benchmark).map(|(name, _)| name.clone())
}

/// A benchmark program, of what was built.
pub fn benchmark(workspace: &Workspace, guest: &Guest, machine: Machine, program: &str) -> Result<Bootable> {
    let test = booted(program, &guest.program(program)?.source)?;
    let files = guest.archive_files_with(workspace, machine, &test.run, &test.archive)?;
    let image = guest.write_image_of(workspace, machine, &format!("{machine}-bench-{program}"), &files)?;
    let machines = test.network.map_or(0, |network| network.machines);
    Ok(Bootable { machines, ..of_guest(workspace, guest, machine, program, image, &test.run)? })
}

/// An image that was made of what was built, in which these words are started.
pub fn of_guest(
    workspace: &Workspace,
    guest: &Guest,
    machine: Machine,
    program: &str,
    image: PathBuf,
    words: &[String],
) -> Result<Bootable> {
    let symbols = guest.symbols(workspace, machine);
    let polls = latency::polls(machine, &symbols);
    let arguments = build::boot_arguments(words)?;
    Ok(Bootable { program: program.to_owned(), image, arguments, polls, machines: 0, symbols })
}

/// What a benchmark program is booted with: its source may have the directives `run`, `archive` and `network`, as a test's.
pub fn booted(program: &str, source: &Path) -> Result<Test> {
    let text = fs::read_to_string(source).with_context(|| format!("cannot read {}", source.display()))?;
    Test::parse(program, program, &text)?.with_context(|| format!("{program} is no benchmark"))
}

/// The SHA-256 of a file's contents, in hexadecimal.
pub fn sha256(contents: &[u8]) -> String {
    Sha256::digest(contents).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_standard() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
