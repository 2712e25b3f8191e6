//! Images that run under the model alone: `build --release-images` makes them, `--images` of `bench` and `run` runs them.
//!
//! A directory holds an image for each benchmark program and one of a shell, `manifest.json`, which says what each is, and
//! `SHA256SUMS`, the sums of all these files in the form that `sha256sum --check` reads. Nothing is run whose sum is another.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::bench::{tree_commit, with_companions};
use crate::bootable::{Bootable, benchmark, sha256};
use crate::build::{self, Board, Guest};
use crate::machine::Machine;
use crate::run::shell;
use crate::symbols::Symbols;
use crate::workspace::Workspace;

const MANIFEST: &str = "manifest.json";
const SUMS: &str = "SHA256SUMS";
/// The image of `run` without a program.
pub const SHELL: &str = "shell";
const FORM: u32 = 1;

/// What a directory of images says of itself.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    /// [`FORM`].
    schema: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    toolchain: String,
    /// The version of the kernel's interface.
    abi: u32,
    /// What the images are for.
    board: String,
    images: BTreeMap<String, Entry>,
}

/// An image.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    file: String,
    bytes: usize,
    /// What the machine is told with it.
    arguments: String,
    /// Where its kernel waits for an interrupt.
    polls: Range<u32>,
    /// How many machines boot it, on one Ethernet; 0: one, without.
    #[serde(default)]
    machines: usize,
    /// Whether it is a benchmark.
    measures: bool,
}

/// A directory of images, all of which are what they were.
#[derive(Debug)]
pub struct Release {
    directory: PathBuf,
    manifest: Manifest,
}

/// Builds what is measured, and a shell, and writes the images into a directory.
pub fn write(workspace: &Workspace, directory: &Path, quiet: bool) -> Result<()> {
    let machine = Machine::Decstation;
    let names = build::benchmarks(workspace)?;
    let mut wanted = with_companions(workspace, names.clone())?;
    wanted.extend(build::applications(workspace)?.0);
    let wanted: Vec<_> = wanted.iter().map(String::as_str).collect();
    let guest = build::build_programs(workspace, &[machine], &wanted, quiet)?;
    let shell = shell(workspace, &guest, machine)?;
    write_of(workspace, &guest, directory, &names, Some(shell))?;
    let count = names.len() + 1;
    println!("{count} images, {MANIFEST} and {SUMS} are in {}", workspace.show(directory).display());
    Ok(())
}

/// Writes the images of these benchmark programs, and of a shell.
pub fn write_of(
    workspace: &Workspace,
    guest: &Guest,
    directory: &Path,
    names: &[String],
    shell: Option<Bootable>,
) -> Result<()> {
    let machine = Machine::Decstation;
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let mut manifest = Manifest {
        schema: FORM,
        commit: tree_commit(workspace),
        toolchain: guest.toolchain.version.clone(),
        abi: aegis_abi::VERSION,
        board: name(machine.board()).to_owned(),
        images: BTreeMap::new(),
    };
    let mut sums = String::new();
    let mut put = |file: &str, contents: &[u8]| -> Result<()> {
        let path = directory.join(file);
        fs::write(&path, contents).with_context(|| format!("cannot write {}", path.display()))?;
        sums.push_str(&format!("{}  {file}\n", sha256(contents)));
        Ok(())
    };
    let bootables = names.iter().map(|name| benchmark(workspace, guest, machine, name)).chain(shell.map(Ok));
    for bootable in bootables {
        let Bootable { program, image, arguments, polls, machines, .. } = bootable?;
        let contents = build::read(&image)?;
        let file = format!("{program}.elf");
        put(&file, &contents)?;
        let measures = program != SHELL;
        manifest.images.insert(program, Entry { file, bytes: contents.len(), arguments, polls, machines, measures });
    }
    put(MANIFEST, (serde_json::to_string_pretty(&manifest)? + "\n").as_bytes())?;
    let path = directory.join(SUMS);
    fs::write(&path, sums).with_context(|| format!("cannot write {}", path.display()))
}

impl Release {
    /// Opens a directory and checks the sum of each of its files.
    pub fn open(directory: &Path) -> Result<Self> {
        let read = |file: &str| {
            let path = directory.join(file);
            fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let sums = String::from_utf8(read(SUMS)?).ok();
        let sums: Option<Vec<_>> =
            sums.as_ref().and_then(|sums| sums.lines().map(|line| line.split_once("  ")).collect());
        let sums = sums.with_context(|| format!("{} holds no sums", directory.join(SUMS).display()))?;
        for (sum, file) in &sums {
            ensure!(is_plain(file), "{SUMS} names {file:?}, which is no file of the directory");
            let found = sha256(&read(file)?);
            let path = directory.join(file);
            ensure!(*sum == found, "{} is damaged: its SHA-256 is {found}, and {SUMS} says {sum}", path.display());
        }
        let is_summed = |file: &str| sums.iter().any(|(_, summed)| *summed == file);
        ensure!(is_summed(MANIFEST), "{SUMS} lacks {MANIFEST}");
        let manifest: Manifest = serde_json::from_slice(&read(MANIFEST)?)
            .with_context(|| format!("{} is damaged", directory.join(MANIFEST).display()))?;
        ensure!(
            manifest.schema == FORM,
            "the images' manifest has the form {}, and this command knows {FORM}",
            manifest.schema
        );
        for Entry { file, .. } in manifest.images.values() {
            ensure!(is_summed(file), "{SUMS} lacks {file}");
        }
        Ok(Self { directory: directory.to_owned(), manifest })
    }

    /// Fails unless the images run on this machine.
    pub fn check_machine(&self, machine: Machine) -> Result<()> {
        let board = &self.manifest.board;
        ensure!(name(machine.board()) == board, "the images are for a {board}, and {machine} is none");
        Ok(())
    }

    /// The compiler that they were built with.
    pub fn toolchain(&self) -> &str {
        &self.manifest.toolchain
    }

    /// The commit that they were built of.
    pub fn commit(&self) -> Option<String> {
        self.manifest.commit.clone()
    }

    /// The names of those that measure something.
    pub fn benchmarks(&self) -> Vec<String> {
        let images = self.manifest.images.iter();
        images.filter(|(_, entry)| entry.measures).map(|(name, _)| name.clone()).collect()
    }

    /// The image of a name. Addresses in it have no source lines.
    pub fn image(&self, name: &str) -> Result<Bootable> {
        let Some(Entry { file, arguments, polls, machines, .. }) = self.manifest.images.get(name) else {
            let names: Vec<_> = self.manifest.images.keys().map(String::as_str).collect();
            bail!("{} has no image {name:?}; there are {}", self.directory.display(), names.join(" "))
        };
        Ok(Bootable {
            program: name.to_owned(),
            image: self.directory.join(file),
            arguments: arguments.clone(),
            polls: polls.clone(),
            machines: *machines,
            symbols: Symbols::default(),
        })
    }
}

/// A board, as the manifest names it.
fn name(board: Board) -> &'static str {
    match board {
        Board::Decstation => "decstation",
        Board::Malta => "malta",
    }
}

/// Whether a name is of a file and leads nowhere else.
fn is_plain(file: &str) -> bool {
    Path::new(file).file_name().is_some_and(|name| name == file)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with an image that is none.
    fn directory() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let manifest = r#"{ "schema": 1, "toolchain": "t", "abi": 3, "board": "decstation", "images": {
            "table4": { "file": "table4.elf", "bytes": 3, "arguments": "table4", "polls": { "start": 1, "end": 2 }, "measures": true } } }"#;
        let mut sums = String::new();
        for (file, text) in [("table4.elf", "abc"), (MANIFEST, manifest)] {
            fs::write(directory.path().join(file), text).unwrap();
            sums.push_str(&format!("{}  {file}\n", sha256(text.as_bytes())));
        }
        fs::write(directory.path().join(SUMS), sums).unwrap();
        directory
    }

    #[test]
    fn images_are_found() {
        let directory = directory();
        let release = Release::open(directory.path()).unwrap();
        assert_eq!(release.benchmarks(), ["table4"]);
        let image = release.image("table4").unwrap();
        assert_eq!((image.arguments.as_str(), image.polls), ("table4", 1..2));
        let error = release.image("table5").map(|_| ()).unwrap_err().to_string();
        assert!(error.ends_with("has no image \"table5\"; there are table4"), "{error}");
        assert!(release.check_machine(Machine::Gxemul).is_ok());
        assert!(release.check_machine(Machine::Malta).is_err());
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let refusal = |damage: fn(&Path)| {
            let directory = directory();
            damage(directory.path());
            format!("{:#}", Release::open(directory.path()).unwrap_err())
        };
        let error = refusal(|directory| fs::write(directory.join("table4.elf"), "abd").unwrap());
        assert!(error.contains("table4.elf is damaged: its SHA-256 is a52d159f"), "{error}");
        let error = refusal(|directory| fs::write(directory.join(MANIFEST), "{}").unwrap());
        assert!(error.contains("manifest.json is damaged"), "{error}");
        let error = refusal(|directory| fs::remove_file(directory.join("table4.elf")).unwrap());
        assert!(error.contains("cannot read"), "{error}");
        let error = refusal(|directory| fs::write(directory.join(SUMS), "x\n").unwrap());
        assert!(error.contains("holds no sums"), "{error}");
        let error = refusal(|directory| fs::write(directory.join(SUMS), "x  ../y\n").unwrap());
        assert!(error.contains("no file of the directory"), "{error}");
        let error = refusal(|directory| fs::write(directory.join(SUMS), "").unwrap());
        assert!(error.contains("lacks manifest.json"), "{error}");
        let error = refusal(|directory| {
            let text = fs::read_to_string(directory.join(SUMS)).unwrap();
            fs::write(directory.join(SUMS), text.lines().skip(1).map(|line| format!("{line}\n")).collect::<String>())
                .unwrap();
        });
        assert!(error.contains("lacks table4.elf"), "{error}");
    }
}
