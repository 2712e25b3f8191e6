//! Building the guest: kernel, loader and programs, and the proof that none has a pipeline hazard.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use aegis_abi::boot::{ARGUMENT_BYTES, COMMAND_LINE_BYTES, NAME_BYTES, PROGRAM_PREFIX, PROGRAMS};
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::c_library;
use crate::hazards;
use crate::image;
use crate::machine::Machine;
use crate::process::show;
use crate::progress::Progress;
use crate::release;
use crate::setup::{Need, ensure_all};
use crate::symbols::Symbols;
use crate::toolchain::Toolchain;
use crate::workspace::{Project, Workspace};

/// What `build` is asked for.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Also write images that run under the model alone, where there is no compiler for MIPS: one for each benchmark program, and a shell
    #[arg(long)]
    release_images: bool,
    /// The directory of these images [default: target/release-images]
    #[arg(long, value_name = "DIRECTORY", requires = "release_images")]
    out: Option<PathBuf>,
}

/// What the binaries of a guest package are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The kernel.
    Kernel,
    /// The loader.
    Loader,
    /// Programs that test the kernel and the libraries.
    Test,
    /// Programs that the tables are measured on.
    Benchmark,
    /// Programs of ExOS.
    Application,
}

impl Kind {
    /// What a program of a crate of its own is for: its name says it.
    fn of(name: &str) -> Self {
        match name {
            name if name.ends_with("_test") => Self::Test,
            name if name.ends_with("_bench") => Self::Benchmark,
            _ => Self::Application,
        }
    }

    /// Whether it is one of many programs.
    fn is_program(self) -> bool {
        matches!(self, Self::Test | Self::Benchmark | Self::Application)
    }
}

/// The guest packages and their directories. Whatever else is in the workspace runs on the host or is a library.
const PACKAGES: [(&str, Kind, &str); 5] = [
    ("aegis", Kind::Kernel, "aegis"),
    ("aegis-loader", Kind::Loader, "loader"),
    ("aegis-tests", Kind::Test, "tests"),
    ("aegis-bench", Kind::Benchmark, "bench"),
    ("exos-apps", Kind::Application, "exos/apps"),
];

/// Where the files are that go into an archive as they are.
pub const FILES: &str = "exos/apps/files";

/// A kind of machine that kernel and loader are built for. Programs are the same on all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Board {
    /// A DECstation with an R3000.
    Decstation,
    /// A Malta with a MIPS32 processor.
    Malta,
}

/// What a build made.
pub struct Guest {
    /// The compiler it was built with.
    pub toolchain: Toolchain,
    /// Kernel and loader for each board that it was built for.
    pub systems: BTreeMap<Board, System>,
    /// The programs, by name.
    pub programs: BTreeMap<String, Program>,
}

/// What of the guest depends on the board.
#[derive(Clone, Debug, Default)]
pub struct System {
    /// The kernel's ELF file.
    pub kernel: PathBuf,
    /// The loader's ELF file.
    pub loader: PathBuf,
}

/// A program that runs on Aegis.
#[derive(Clone, Debug)]
pub struct Program {
    /// What it is for.
    pub kind: Kind,
    /// Its ELF file.
    pub file: PathBuf,
    /// Its main source file.
    pub source: PathBuf,
}

/// Builds what was asked for.
pub fn run(workspace: &Workspace, arguments: &Arguments, quiet: bool) -> Result<()> {
    if arguments.release_images {
        let directory = arguments.out.clone().unwrap_or_else(|| workspace.target.join("release-images"));
        return release::write(workspace, &directory, quiet);
    }
    build(workspace, &Machine::ALL, quiet).map(drop)
}

/// Builds everything that runs on these machines, having made sure that there is a compiler, and checks it for hazards.
pub fn build(workspace: &Workspace, machines: &[Machine], quiet: bool) -> Result<Guest> {
    build_programs(workspace, machines, &[], quiet)
}

/// As [`build`], but of the programs those alone that are named, if any are. If there is none of some name all are
/// built, so that a message can say which there are. In a crate of its own all are that crate's.
pub fn build_programs(workspace: &Workspace, machines: &[Machine], names: &[&str], quiet: bool) -> Result<Guest> {
    ensure_all(workspace, &[Need::Compiler])?;
    let toolchain = Toolchain::find(workspace)?;
    let known = names.iter().all(|name| source_of(workspace, name).is_some());
    let names = if known { names } else { &[] };
    let (of_tree, own): (Vec<&str>, Vec<&str>) =
        names.iter().copied().partition(|name| package_of(workspace, name).is_some());
    let of_tree = (!names.is_empty() || workspace.project.is_some()).then_some(&of_tree[..]);
    let mut guest = Guest { toolchain, systems: BTreeMap::new(), programs: BTreeMap::new() };
    // Programs are built with the DECstation's system.
    guest.build(workspace, Board::Decstation, of_tree, quiet)?;
    if machines.iter().any(|machine| machine.board() == Board::Malta) {
        guest.build(workspace, Board::Malta, of_tree, quiet)?;
    }
    if let Some(project) = workspace.project.as_ref().filter(|_| names.is_empty() || !own.is_empty()) {
        guest.build_project(workspace, project, &own, quiet)?;
    }
    if let Some(kernel) = workspace.project.as_ref().and_then(|project| project.kernel.as_deref()) {
        guest.build_kernel(workspace, kernel, quiet)?;
    }
    hazards::mend(workspace, &guest)?;
    hazards::check(workspace, &guest)?;
    Ok(guest)
}

/// The package of the programs that are measured under Linux.
const LINUX: &str = "aegis-bench-linux";

/// Builds what Linux starts to be measured, with the same compiler: its first process, and a program that ends at once.
pub fn build_linux_programs(workspace: &Workspace, quiet: bool) -> Result<[PathBuf; 2]> {
    ensure_all(workspace, &[Need::Compiler])?;
    let mut cargo = Toolchain::find(workspace)?.build_command(workspace);
    cargo.arg("--target-dir").arg(workspace.guest_target()).args(["--package", LINUX, "--bins"]);
    let artifacts = run_cargo(cargo, &Progress::new(quiet), &[])?;
    let find = |name: &str| {
        let file = artifacts.iter().find(|artifact| artifact.target.name == name)?.executable.clone();
        file.filter(|file| file.is_file())
    };
    let [init, program] = ["linux_init", "linux_true"].map(find);
    Ok([init.context("the build made no linux_init")?, program.context("the build made no linux_true")?])
}

/// The names of all programs of ExOS, and of the files that go with them: what an archive has for a shell.
pub fn applications(workspace: &Workspace) -> Result<(Vec<String>, Vec<String>)> {
    Ok((stems(workspace, "exos/apps/src/bin", ".rs")?, stems(workspace, FILES, "")?))
}

/// The names of all benchmark programs: the tree's, or in a crate of its own that crate's.
pub fn benchmarks(workspace: &Workspace) -> Result<Vec<String>> {
    match &workspace.project {
        None => stems(workspace, "bench/src/bin", ".rs"),
        Some(project) => {
            let mut names = own_programs(project)?;
            names.retain(|name| Kind::of(name) == Kind::Benchmark);
            Ok(names)
        }
    }
}

/// The names of the programs of a crate of its own.
fn own_programs(project: &Project) -> Result<Vec<String>> {
    stems_in(&project.root.join("src/bin"), ".rs")
}

/// The names of a directory's files that end so, without that.
fn stems(workspace: &Workspace, directory: &str, extension: &str) -> Result<Vec<String>> {
    stems_in(&workspace.root.join(directory), extension)
}

fn stems_in(path: &Path, extension: &str) -> Result<Vec<String>> {
    let entries = fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(extension).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// The main source file of a program, the tree's or the crate's that the command runs in.
pub fn source_of(workspace: &Workspace, name: &str) -> Option<PathBuf> {
    if let Some((_, source)) = package_of(workspace, name) {
        return Some(source);
    }
    let source = workspace.project.as_ref()?.root.join("src/bin").join(name).with_extension("rs");
    source.is_file().then_some(source)
}

/// The package of a program of the tree's, and its main source file.
pub fn package_of(workspace: &Workspace, name: &str) -> Option<(&'static str, PathBuf)> {
    PACKAGES.iter().filter(|(_, kind, _)| kind.is_program()).find_map(|&(package, _, directory)| {
        let source = workspace.root.join(directory).join("src/bin").join(name).with_extension("rs");
        source.is_file().then_some((package, source))
    })
}

/// Adds to a cargo command what of the workspace runs on a board, of its programs those that are named if names are given. Each
/// board has a directory of its own, since cargo gives kernels that differ in their features the same name.
fn add_packages(cargo: &mut Command, workspace: &Workspace, board: Board, names: Option<&[&str]>) {
    cargo.arg("--target-dir");
    match board {
        Board::Decstation => cargo.arg(workspace.guest_target()),
        Board::Malta => cargo.arg(workspace.guest_target().join("malta")).args(["--features", MALTA_FEATURES]),
    };
    let is_of = |name: &&str, package| package_of(workspace, name).is_some_and(|(of, _)| of == package);
    let wanted = |package| names.is_none_or(|names| names.iter().any(|name| is_of(name, package)));
    for (package, kind, _) in PACKAGES {
        if !kind.is_program() {
            cargo.args(["--package", package, "--bin", package]);
        } else if board == Board::Decstation && wanted(package) {
            cargo.args(["--package", package]);
        }
    }
    match names {
        None => _ = cargo.arg("--bins"),
        Some(names) if board == Board::Decstation => names.iter().for_each(|name| _ = cargo.args(["--bin", name])),
        Some(_) => {}
    }
}

/// The package of a kernel that a crate has of its own.
pub const COPIED_KERNEL: &str = "kernel";

/// What makes kernel and loader a Malta's.
const MALTA_FEATURES: &str = "aegis/malta,aegis-loader/malta";

/// Runs clippy over everything that runs on the machines, and over the libraries it is made of.
pub fn clippy(workspace: &Workspace, quiet: bool) -> Result<()> {
    if let Some(project) = &workspace.project {
        let mut cargo = Toolchain::find(workspace)?.clippy_command(workspace)?;
        copy_lock(workspace, &project.root)?;
        cargo.current_dir(&project.root).arg("--target-dir").arg(workspace.guest_target()).args(["--lib", "--bins"]);
        if project.has_c {
            cargo.env(C_LIBRARY, c_library::ensure(workspace, quiet)?);
        }
        return run_cargo(cargo, &Progress::new(quiet), &["--", "--deny", "warnings"]).map(drop);
    }
    for board in [Board::Decstation, Board::Malta] {
        let mut cargo = Toolchain::find(workspace)?.clippy_command(workspace)?;
        add_packages(&mut cargo, workspace, board, None);
        if board == Board::Decstation {
            cargo.args(["--lib", "--package", "exos-rt", "--package", "exos-c", "--package", LINUX]);
        }
        run_cargo(cargo, &Progress::new(quiet), &["--", "--deny", "warnings"])?;
    }
    Ok(())
}

/// Tells the build script of programs in C where their library is (`exos/c/compile.rs`).
const C_LIBRARY: &str = "AEGIS_C_LIBRARY";

/// Has a crate of its own begin with the tree's lock file, so that what it shares with the tree has the tree's versions.
fn copy_lock(workspace: &Workspace, root: &Path) -> Result<()> {
    let lock = root.join("Cargo.lock");
    if !lock.exists() {
        put(&lock, &read(&workspace.root.join("Cargo.lock"))?)?;
    }
    Ok(())
}

/// Forgets what was built of another crate of the same name, where builds go. To cargo, which knows crates by their names and their
/// places in a workspace, the two are one.
fn forget_namesake(builds: &Path, package: &str, root: &Path) -> Result<()> {
    let note = builds.join("projects").join(package);
    let root = root.display().to_string();
    if fs::read_to_string(&note).is_ok_and(|last| last != root) {
        let prefix = format!("{package}-");
        for directory in ["guest/.fingerprint", "mips-r3000/guest/.fingerprint"] {
            for entry in fs::read_dir(builds.join(directory)).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().starts_with(&prefix) {
                    fs::remove_dir_all(entry.path())
                        .with_context(|| format!("cannot remove {}", entry.path().display()))?;
                }
            }
        }
    }
    Ok(put(&note, root.as_bytes())?)
}

impl Guest {
    /// Builds the programs of a crate of its own, or those that are named if any are.
    fn build_project(&mut self, workspace: &Workspace, project: &Project, names: &[&str], quiet: bool) -> Result<()> {
        for name in own_programs(project)? {
            let taken = package_of(workspace, &name);
            ensure!(taken.is_none(), "the program {name} has the name of one of the tree's; call it otherwise");
        }
        copy_lock(workspace, &project.root)?;
        forget_namesake(&workspace.guest_target(), &project.package, &project.root)?;
        let mut cargo = self.toolchain.build_command(workspace);
        cargo.current_dir(&project.root).arg("--target-dir").arg(workspace.guest_target());
        if project.has_c {
            cargo.env(C_LIBRARY, c_library::ensure(workspace, quiet)?);
        }
        match names {
            [] => _ = cargo.arg("--bins"),
            names => names.iter().for_each(|name| _ = cargo.args(["--bin", name])),
        }
        for artifact in run_cargo(cargo, &Progress::new(quiet), &[])? {
            if let (true, Some(file)) = (artifact.package() == project.package, artifact.executable) {
                self.add_program(Kind::of(&artifact.target.name), file, artifact.target)?;
            }
        }
        Ok(())
    }

    /// Builds a kernel that a crate has of its own, for each board, in the tree's place.
    fn build_kernel(&mut self, workspace: &Workspace, kernel: &Path, quiet: bool) -> Result<()> {
        copy_lock(workspace, kernel)?;
        for (board, system) in &mut self.systems {
            let builds = match board {
                Board::Decstation => workspace.guest_target(),
                Board::Malta => workspace.guest_target().join("malta"),
            };
            forget_namesake(&builds, COPIED_KERNEL, kernel)?;
            let mut cargo = self.toolchain.build_command(workspace);
            cargo.current_dir(kernel).arg("--target-dir").arg(builds);
            if *board == Board::Malta {
                cargo.args(["--features", "malta"]);
            }
            let artifacts = run_cargo(cargo, &Progress::new(quiet), &[])?;
            let file = artifacts.into_iter().find_map(|artifact| artifact.executable);
            system.kernel = file.with_context(|| format!("{} makes no kernel", kernel.display()))?;
        }
        Ok(())
    }

    fn add_program(&mut self, kind: Kind, file: PathBuf, Target { name, src_path: source }: Target) -> Result<()> {
        ensure!(name.len() < NAME_BYTES, "the program name {name} is longer than {} bytes", NAME_BYTES - 1);
        self.programs.insert(name, Program { kind, file, source });
        Ok(())
    }

    /// Builds what runs on a board, of the programs those that are named if names are given.
    fn build(&mut self, workspace: &Workspace, board: Board, names: Option<&[&str]>, quiet: bool) -> Result<()> {
        let mut cargo = self.toolchain.build_command(workspace);
        add_packages(&mut cargo, workspace, board, names);
        let artifacts = run_cargo(cargo, &Progress::new(quiet), &[])?;

        let mut system = System::default();
        for artifact in artifacts {
            let kind = PACKAGES.iter().find(|(package, ..)| *package == artifact.package()).map(|(_, kind, _)| *kind);
            let (Some(kind), Some(file)) = (kind, artifact.executable) else { continue };
            match kind {
                Kind::Kernel => system.kernel = file,
                Kind::Loader => system.loader = file,
                Kind::Test | Kind::Benchmark | Kind::Application => self.add_program(kind, file, artifact.target)?,
            }
        }
        for (file, what) in [(&system.kernel, "kernel"), (&system.loader, "loader")] {
            ensure!(file.is_file(), "the build made no {what}");
        }
        self.systems.insert(board, system);
        Ok(())
    }

    /// Kernel and loader for a machine.
    pub fn system(&self, machine: Machine) -> &System {
        &self.systems[&machine.board()]
    }

    /// What turns addresses into source lines.
    pub fn symbols(&self, workspace: &Workspace, machine: Machine) -> Symbols {
        let System { kernel, loader } = self.system(machine);
        let programs = self.programs.iter().map(|(name, program)| (name.as_str(), program.file.as_path()));
        Symbols::new(&workspace.root, [kernel.as_path(), loader.as_path()], programs)
    }

    /// The program of that name.
    pub fn program(&self, name: &str) -> Result<&Program> {
        self.programs.get(name).with_context(|| format!("there is no program {name:?}; there are {}", self.names()))
    }

    /// The names of all programs, for a message.
    pub fn names(&self) -> String {
        self.programs.keys().map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// The boot archive's files for what `words` start and for what `others` name, which are not started: the kernel, and
    /// each program once. What is no program's name is a file of [`FILES`].
    pub fn archive_files_with(
        &self,
        workspace: &Workspace,
        machine: Machine,
        words: &[String],
        others: &[String],
    ) -> Result<Vec<image::ArchiveFile>> {
        let (programs, files): (Vec<_>, Vec<_>) = others.iter().partition(|name| self.programs.contains_key(*name));
        let all: Vec<_> = words.iter().chain(programs).cloned().collect();
        let mut archive = self.archive_files(machine, &all)?;
        for name in files {
            archive.push((name.clone(), read(&workspace.root.join(FILES).join(name))?));
        }
        Ok(archive)
    }

    /// The boot archive's files for what `words` start: the kernel and each program once.
    pub fn archive_files(&self, machine: Machine, words: &[String]) -> Result<Vec<image::ArchiveFile>> {
        let mut programs: Vec<image::ArchiveFile> = Vec::new();
        for word in words {
            let name = program_name(word);
            if !programs.iter().any(|(other, _)| other == name) {
                programs.push((name.to_owned(), read(&self.program(name)?.file)?));
            }
        }
        image::archive_files(&read(&self.system(machine).kernel)?, &programs)
    }

    /// Writes the image that holds what `words` start on a machine, under a name of its own.
    pub fn write_image(
        &self,
        workspace: &Workspace,
        machine: Machine,
        name: &str,
        words: &[String],
    ) -> Result<PathBuf> {
        self.write_image_of(workspace, machine, name, &self.archive_files(machine, words)?)
    }

    /// Writes an image that holds these files.
    pub fn write_image_of(
        &self,
        workspace: &Workspace,
        machine: Machine,
        name: &str,
        files: &[image::ArchiveFile],
    ) -> Result<PathBuf> {
        let segment = image::segment(&image::archive(files)?)?;
        write(workspace, name, &image::image(&read(&self.system(machine).loader)?, &segment)?)
    }
}

/// Writes an image file. It appears in one piece, so that a run that is starting meanwhile reads the old one or the new one.
pub fn write(workspace: &Workspace, name: &str, image: &[u8]) -> Result<PathBuf> {
    let path = workspace.images().join(format!("{name}.elf"));
    put(&path, image).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Writes a file in one piece: whoever reads it meanwhile reads the old one or the new one.
pub fn put(path: &Path, contents: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let mut new = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o644)).tempfile_in(directory)?;
    new.write_all(contents)?;
    new.persist(path)?;
    Ok(())
}

/// Reads a file that the build made.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The program's name in a boot argument, as `counter` in `counter,limit=8`.
pub fn program_name(word: &str) -> &str {
    word.split_once(',').map_or(word, |(name, _)| name)
}

/// The boot arguments for these words, if the boot-info block has room for them.
pub fn boot_arguments(words: &[String]) -> Result<String> {
    for word in words {
        let plain = word.chars().all(|c| c.is_ascii_graphic());
        ensure!(plain && !word.is_empty(), "the boot argument {word:?} has characters other than visible ASCII");
        let arguments = word.len() - program_name(word).len();
        ensure!(arguments <= ARGUMENT_BYTES, "the arguments in {word:?} are longer than {} bytes", ARGUMENT_BYTES - 1);
        ensure!(!program_name(word).starts_with(PROGRAM_PREFIX), "programs are named without {PROGRAM_PREFIX}");
    }
    ensure!(words.len() <= PROGRAMS, "{} programs; at most {PROGRAMS} can start at boot", words.len());
    let arguments = words.join(" ");
    ensure!(
        arguments.len() < COMMAND_LINE_BYTES,
        "the boot arguments are longer than {} bytes",
        COMMAND_LINE_BYTES - 1
    );
    Ok(arguments)
}

/// What cargo says of a file it made, in its own form.
#[derive(Debug, Deserialize)]
pub struct Artifact {
    package_id: String,
    /// The target it was built from.
    pub target: Target,
    /// The program, if it is one.
    pub executable: Option<PathBuf>,
    /// All files.
    #[serde(default)]
    pub filenames: Vec<PathBuf>,
    /// How it was built.
    pub profile: Profile,
    /// The package's `Cargo.toml`.
    pub manifest_path: PathBuf,
}

/// See [`Artifact`].
#[derive(Debug, Deserialize)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Its main source file.
    pub src_path: PathBuf,
}

/// See [`Artifact`].
#[derive(Debug, Deserialize)]
pub struct Profile {
    /// Whether it is a test program.
    pub test: bool,
}

impl Artifact {
    /// The package's name. Cargo's id is `URL#NAME@VERSION`, or `URL#VERSION` if the URL ends with the name.
    pub fn package(&self) -> &str {
        let (url, rest) = self.package_id.rsplit_once('#').unwrap_or((&self.package_id, ""));
        match rest.split_once('@') {
            Some((name, _)) => name,
            None => url.rsplit('/').next().unwrap_or(url),
        }
    }
}

/// Runs cargo, which builds something, and gives the files that it made. Its diagnostics go to standard error. `last` is added
/// behind all other arguments.
pub fn run_cargo(mut cargo: Command, progress: &Progress, last: &[&str]) -> Result<Vec<Artifact>> {
    let name = show(&cargo);
    cargo.arg("--message-format").arg(if progress.is_visible() {
        "json-diagnostic-rendered-ansi,json-render-diagnostics"
    } else {
        "json-render-diagnostics"
    });
    cargo.args(last);
    let mut child = cargo
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    let (stdout, stderr) = (child.stdout.take().expect("it is piped"), child.stderr.take().expect("it is piped"));
    let artifacts = thread::scope(|scope| {
        scope.spawn(|| {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                match kind_of_line(&line) {
                    CargoLine::Status(status) => progress.say(status),
                    CargoLine::Noise => {}
                    CargoLine::Diagnostic => progress.above(&line),
                }
            }
        });
        let messages = BufReader::new(stdout).lines().map_while(Result::ok);
        // Other messages have another form, and are none of ours.
        messages.filter_map(|line| serde_json::from_str::<Artifact>(&line).ok()).collect()
    });
    progress.done();
    let status = child.wait()?;
    if !status.success() {
        bail!("the build failed ({status}); its errors are above; the command was {name}");
    }
    Ok(artifacts)
}

#[derive(PartialEq, Eq, Debug)]
enum CargoLine<'a> {
    /// What cargo is doing: shown while it does it.
    Status(&'a str),
    /// Not worth a line.
    Noise,
    /// Something that a person should read.
    Diagnostic,
}

fn kind_of_line(line: &str) -> CargoLine<'_> {
    const VERBS: [&str; 12] = [
        "Compiling",
        "Checking",
        "Finished",
        "Fresh",
        "Updating",
        "Locking",
        "Downloading",
        "Downloaded",
        "Adding",
        "Blocking",
        "Building",
        "Executable",
    ];
    let text = line.trim();
    match text.split(' ').next() {
        // LLVM says this of every file that is compiled, and the target file was chosen in full knowledge of it.
        _ if text == "warning: MIPS-I support is experimental" => CargoLine::Noise,
        Some(verb) if line.starts_with(' ') && VERBS.contains(&verb) => CargoLine::Status(text),
        _ => CargoLine::Diagnostic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart() {
        assert_eq!(kind_of_line("   Compiling core v0.0.0 (/usr)"), CargoLine::Status("Compiling core v0.0.0 (/usr)"));
        assert_eq!(kind_of_line("warning: MIPS-I support is experimental"), CargoLine::Noise);
        for line in ["warning: unused", "error[E0425]: x", "  --> src/main.rs:1", "Compiling is text", ""] {
            assert_eq!(kind_of_line(line), CargoLine::Diagnostic, "{line}");
        }
    }

    #[test]
    fn packages_are_named() {
        let package = |id: &str| {
            let text = format!(
                r#"{{"reason":"compiler-artifact","package_id":"{id}","manifest_path":"/w/Cargo.toml",
                "target":{{"name":"x","src_path":"/w/x.rs","kind":["bin"]}},"profile":{{"test":false}},"executable":"/t/x"}}"#
            );
            serde_json::from_str::<Artifact>(&text).unwrap().package().to_owned()
        };
        assert_eq!(package("path+file:///w/tests#aegis-tests@0.1.0"), "aegis-tests");
        assert_eq!(package("path+file:///w/aegis#0.1.0"), "aegis");
    }

    #[test]
    fn boot_arguments_must_fit() {
        let words = |words: &[&str]| boot_arguments(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
        assert_eq!(words(&["counter,limit=8", "other"]).unwrap(), "counter,limit=8 other");
        assert!(words(&["two words"]).is_err());
        assert!(words(&[""]).is_err());
        assert!(words(&[&"x".repeat(300)]).is_err());
        assert!(words(&[&format!("x,{}", "y".repeat(200))]).is_err());
        assert!(words(&["x"; 17]).is_err());
        assert_eq!(program_name("counter,limit=8"), "counter");
    }
}
