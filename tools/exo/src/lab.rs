//! `lab`: exercises for a course. Each is a part of the tree that is cut out, to be written again, and a grader.
//!
//! What a lab is stands in `labs/N/lab.toml`: a crate of the tree, which bodies of functions are cut from it, what is graded, and
//! solutions that are wrong in typical ways, which a test grades. So there is no second copy of anything: a starting tree is cut when it
//! is asked for, and a line that is not in the tree any more is an error. `labs/N/grade.rs` is a program for the machine
//! that plays one case of the lab; each case is a boot of its own, on the model, some with a fault planted at every
//! instruction.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::build::{self, COPIED_KERNEL};
use crate::console::Verdict;
use crate::faults::{self, Fault};
use crate::latency::{CLOCK, Longest};
use crate::machine::{Cpu, Job, Machine, Network};
use crate::new;
use crate::run::{Run, boot_and_watch};
use crate::setup::{Need, ensure_all};
use crate::test::Bench;
use crate::workspace::{Project, Workspace};

/// What `lab` is asked for.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show the labs, with their points and assignments
    List,
    /// Cut the starting tree of a lab: a crate that builds, and that lacks what is to be written
    Start {
        /// The lab's number
        #[arg(value_name = "N")]
        lab: u32,
        /// The crate's directory, anywhere; its last part is the crate's name
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Grade a lab, on the model: points for each criterion, and why others were lost; fails unless all are there
    Grade {
        /// The lab's number
        #[arg(value_name = "N")]
        lab: u32,
        /// The directory that `start` made; without, what stands in the tree itself is graded
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },
}

/// Where the labs are.
pub const LABS: &str = "labs";
/// Where their assignments are.
const ASSIGNMENTS: &str = "docs/labs";
/// The kernel's package.
const KERNEL_PACKAGE: &str = "aegis";
/// The way to the tree in a grader and its manifest.
const TREE: &str = "../..";
/// How long a case may take, in seconds on the machine.
const LIMIT: u64 = 10;

/// A lab.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lab {
    /// Its number, the name of its directory.
    #[serde(skip)]
    pub number: u32,
    title: String,
    /// The sections of the paper that it is about.
    paper: String,
    /// The crate that it is cut from, a directory of the tree.
    pub template: String,
    /// What is cut is the kernel, a copy of which the crate gets.
    #[serde(default)]
    kernel: bool,
    cut: Vec<Cut>,
    case: Vec<Case>,
    #[serde(default)]
    pub mutant: Vec<Mutant>,
}

/// A piece of source that is cut out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cut {
    /// The file, in the crate.
    file: String,
    /// How its first line begins, but for blanks.
    at: String,
    /// What stands there instead; without, a function's body is `todo!`.
    with: Option<String>,
}

/// A criterion, and how it is judged.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// Its name, the argument that the grader's program gets.
    name: String,
    points: u32,
    /// What is asked for.
    what: String,
    /// What is planted at each instruction between the program's marks.
    #[serde(default)]
    faults: Vec<Fault>,
    /// What its Ethernet is connected to.
    network: Option<String>,
    /// A seed, and how many of a million frames on it are lost, doubled, late and damaged each.
    lossy: Option<(u64, u32)>,
    /// Megabytes of memory.
    memory: Option<u32>,
}

/// A solution that is wrong.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// What is wrong.
    pub what: String,
    /// The file, and a text in it that another replaces.
    file: String,
    replace: String,
    with: String,
    /// The cases that it does not pass.
    pub loses: Vec<String>,
}

/// What is graded: the tree itself, or a crate.
#[derive(Debug)]
pub enum Subject {
    Tree,
    Crate(PathBuf),
}

/// How a case went.
pub struct Mark {
    pub name: String,
    points: u32,
    what: String,
    /// Why it has no points.
    pub lost: Option<String>,
}

impl fmt::Display for Mark {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { points, what, .. } = self;
        match &self.lost {
            None => write!(formatter, "  {points} of {points}  {what}"),
            Some(why) => write!(formatter, "  0 of {points}  {what}\n          {why}"),
        }
    }
}

/// Does what is asked for.
pub fn run(workspace: &Workspace, arguments: &Arguments, quiet: bool) -> Result<()> {
    match &arguments.command {
        Command::List => {
            for lab in all(workspace)? {
                let Lab { number, title, paper, .. } = &lab;
                println!("{number}  {title}: {} points; the paper's {paper}; {ASSIGNMENTS}/{number}.md", lab.points());
            }
            println!("cargo exo lab start N DIR begins one, cargo exo lab grade N DIR grades it");
            Ok(())
        }
        Command::Start { lab, directory } => {
            let lab = Lab::find(workspace, *lab)?;
            lab.start(workspace, directory)?;
            println!(
                "made {} of {}; {ASSIGNMENTS}/{}.md is the assignment",
                directory.display(),
                lab.template,
                lab.number
            );
            for file in lab.files() {
                println!(
                    "  {} lacks what is to be written: look for `lab {}`",
                    directory.join(file).display(),
                    lab.number
                );
            }
            println!("  cargo exo run, in that directory, boots src/bin/{}.rs", name_of(directory));
            println!("  cargo exo lab grade {} {} tells the points", lab.number, directory.display());
            Ok(())
        }
        Command::Grade { lab, directory } => {
            let lab = Lab::find(workspace, *lab)?;
            let subject = match directory {
                None => Subject::Tree,
                Some(directory) => Subject::Crate(directory.clone()),
            };
            println!("lab {}: {}", lab.number, lab.title);
            let mut got = 0;
            lab.grade(workspace, &subject, quiet, |mark| {
                println!("{mark}");
                got += if mark.lost.is_none() { mark.points } else { 0 };
            })?;
            println!("{got} of {} points", lab.points());
            ensure!(got == lab.points(), "lab {} has {got} of {} points", lab.number, lab.points());
            Ok(())
        }
    }
}

fn name_of(directory: &Path) -> String {
    directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// All labs, in order.
pub fn all(workspace: &Workspace) -> Result<Vec<Lab>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(workspace.root.join(LABS)).with_context(|| format!("cannot read {LABS}"))? {
        numbers.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    numbers.into_iter().map(|number| Lab::find(workspace, number)).collect()
}

impl Lab {
    /// The lab with a number.
    pub fn find(workspace: &Workspace, number: u32) -> Result<Self> {
        let place = format!("{LABS}/{number}/lab.toml");
        let path = workspace.root.join(&place);
        ensure!(path.is_file(), "there is no lab {number}; `cargo exo lab list` shows all");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {place}"))?;
        let lab: Self = toml::from_str(&text).with_context(|| format!("{place} is wrong"))?;
        Ok(Self { number, ..lab })
    }

    fn points(&self) -> u32 {
        self.case.iter().map(|case| case.points).sum()
    }

    /// The names of its cases.
    pub fn cases(&self) -> impl Iterator<Item = &str> {
        self.case.iter().map(|case| case.name.as_str())
    }

    /// The files that something is cut from.
    fn files(&self) -> Vec<&str> {
        let mut files: Vec<_> = self.cut.iter().map(|cut| cut.file.as_str()).collect();
        files.dedup();
        files
    }

    /// Makes a crate in which what is to be written is as it stands in the tree.
    pub fn whole(&self, workspace: &Workspace, directory: &Path) -> Result<()> {
        new::make(workspace, &workspace.root.join(&self.template), directory)?;
        if self.kernel {
            copy_kernel(workspace, &directory.join(COPIED_KERNEL))?;
        }
        // What is not written yet leaves much without use.
        let path = directory.join("Cargo.toml");
        let manifest = fs::read_to_string(&path)?;
        fs::write(&path, manifest + "\n[lints.rust]\nunused = \"allow\"\n")?;
        Ok(())
    }

    /// Makes a crate to begin with.
    pub fn start(&self, workspace: &Workspace, directory: &Path) -> Result<()> {
        self.whole(workspace, directory)?;
        for cut in &self.cut {
            let path = directory.join(&cut.file);
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let text = cut.apply(self.number, &text).with_context(|| format!("{} of lab {}", cut.file, self.number))?;
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    /// Grades it, and gives each mark to `show` as it comes.
    pub fn grade(
        &self,
        workspace: &Workspace,
        subject: &Subject,
        quiet: bool,
        mut show: impl FnMut(&Mark),
    ) -> Result<Vec<Mark>> {
        ensure_all(workspace, &[Need::Compiler])?;
        let workspace = &self.grader(workspace, subject)?;
        let guest = build::build_programs(workspace, &Machine::ALL[..1], &[], quiet)?;
        let bench = Bench { workspace: workspace.clone(), guest, cpu: Cpu::default() };
        let grade = |case: &Case| -> Result<Mark> {
            let Case { name, points, what, .. } = case;
            let lost = self.play(&bench, case)?;
            let mark = Mark { name: name.clone(), points: *points, what: what.clone(), lost };
            show(&mark);
            Ok(mark)
        };
        self.case.iter().map(grade).collect()
    }

    /// The grader's program, which links what is graded.
    fn program(&self) -> String {
        format!("lab{}_grade", self.number)
    }

    /// Makes the grader's crate: the workspace in which it is what the command is about.
    fn grader(&self, workspace: &Workspace, subject: &Subject) -> Result<Workspace> {
        let (place, name, kernel) = match subject {
            Subject::Tree => (workspace.root.join(&self.template), "template".to_owned(), None),
            Subject::Crate(directory) => {
                let found = directory.canonicalize().ok();
                let project = found.as_deref().map(Project::around).transpose()?.flatten();
                let project = project.filter(|project| Some(&project.root) == found.as_ref());
                let advice = format!("`cargo exo lab start {} {}` makes it", self.number, directory.display());
                let project =
                    project.with_context(|| format!("{} has no lab's crate; {advice}", directory.display()))?;
                ensure!(
                    project.kernel.is_some() == self.kernel,
                    "{} is not of lab {}: {}",
                    directory.display(),
                    self.number,
                    if self.kernel { "it has no kernel" } else { "it has a kernel of its own" }
                );
                (project.root, project.package, project.kernel)
            }
        };
        let (program, tree) = (self.program(), workspace.root.to_str().context("the tree's path is not UTF-8")?);
        let root = workspace.target.join(LABS).join(self.number.to_string());
        fs::create_dir_all(root.join("src/bin")).with_context(|| format!("cannot make {}", root.display()))?;
        let labs = workspace.root.join(LABS);
        let source = fs::read_to_string(labs.join(self.number.to_string()).join("grade.rs"))?;
        let source = source.replace(TREE, tree);
        let manifest = fs::read_to_string(labs.join("grade.toml")).context("cannot read the grader's manifest")?;
        let manifest = manifest.replace("PROGRAM", &program).replace(TREE, tree).replace("NAME", &name);
        let manifest = manifest.replace("PLACE", place.to_str().context("its path is not UTF-8")?);
        build::put(&root.join(format!("src/bin/{program}.rs")), source.as_bytes())?;
        build::put(&root.join("Cargo.toml"), manifest.as_bytes())?;
        let project = Project { root, package: program, has_c: false, kernel };
        Ok(Workspace { project: Some(project), ..workspace.clone() })
    }

    /// Plays a case; why it is not passed, if it is not.
    fn play(&self, bench: &Bench, case: &Case) -> Result<Option<String>> {
        let program = format!("{},{}", self.program(), case.name);
        let line = format!("{}: {} passed", self.program(), case.name);
        let workspace = &bench.workspace;
        let image =
            bench.guest.write_image(workspace, Machine::Decstation, &self.program(), std::slice::from_ref(&program))?;
        let mut network = case.network.as_deref().map(str::parse::<Network>).transpose()?;
        if let (Some(network), Some((seed, rate))) = (&mut network, case.lossy) {
            network.lose(seed, rate);
        }
        let job = Job {
            network,
            memory: case.memory,
            clock: CLOCK,
            ..Job::new(&image, &program, Duration::from_secs(LIMIT))
        };
        let symbols = bench.guest.symbols(workspace, Machine::Decstation);
        let run = boot_and_watch(Machine::Decstation, &job, &symbols, |_| {})?;
        if let Some(why) = failed(&run, &line) {
            return Ok(Some(why));
        }
        for &fault in &case.faults {
            let case = faults::Case {
                name: &self.program(),
                program: &program,
                line: &line,
                instructions: 1..u64::MAX,
                faults: &[],
            };
            if let Err(error) = faults::everywhere(bench, &case, fault) {
                return Ok(Some(format!("{error:#}")));
            }
        }
        Ok(None)
    }
}

/// Why a run has not come to the line that a case ends with.
fn failed(run: &Run, line: &str) -> Option<String> {
    if let Some(told) = run.told() {
        return Some(told);
    }
    let said = run.lines.iter().any(|said| said == line);
    if let Err(error) = run.judge() {
        return Some(error.to_string());
    }
    if run.verdict != Some(Verdict::Pass) || !said {
        return Some(format!(
            "it ended before the case was over; its last lines are {:?}",
            run.lines.iter().rev().take(3).collect::<Vec<_>>()
        ));
    }
    run.longest.as_ref().and_then(|longest| Longest::check(longest).err()).map(|error| error.to_string())
}

impl Cut {
    /// The text without the piece.
    fn apply(&self, lab: u32, text: &str) -> Result<String> {
        let lines: Vec<_> = text.lines().collect();
        let mut places = (0..lines.len()).filter(|&number| lines[number].trim_start().starts_with(&self.at));
        let first = places.next().with_context(|| format!("no line begins with {:?}", self.at))?;
        ensure!(places.next().is_none(), "several lines begin with {:?}", self.at);
        let last = closing(&lines, first).with_context(|| format!("what {:?} begins has no end", self.at))?;
        let name = lines[first].split("fn ").nth(1).and_then(|rest| rest.split(['(', '<']).next());
        let stub = match (&self.with, name) {
            (Some(with), _) => with.trim_end().to_owned(),
            (None, Some(name)) => {
                let indent = &lines[first][..indentation(lines[first])];
                format!("{}\n{indent}    todo!(\"lab {lab}: {name}\")\n{}", lines[first], lines[last])
            }
            (None, None) => bail!("{:?} begins no function, and nothing is to stand there", self.at),
        };
        let (before, behind) = (&lines[..first], &lines[last + 1..]);
        Ok([before, &[stub.as_str()], behind].concat().join("\n") + "\n")
    }
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The line that ends what a line begins. As rustfmt has it that is the next one as far to the right which closes a bracket; or the
/// line itself, if nothing is open at its end and it is no documentation of what follows.
fn closing(lines: &[&str], first: usize) -> Option<usize> {
    let line = lines[first].trim();
    if !line.ends_with(['{', '[', '(']) && !line.starts_with("///") {
        return Some(first);
    }
    let closes =
        |line: &str| indentation(line) == indentation(lines[first]) && line.trim_start().starts_with(['}', ']', ')']);
    (first + 1..lines.len()).find(|&number| closes(lines[number]))
}

impl Mutant {
    /// Makes a crate that is wrong.
    pub fn make(&self, lab: &Lab, workspace: &Workspace, directory: &Path) -> Result<()> {
        lab.whole(workspace, directory)?;
        let path = directory.join(&self.file);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", self.file))?;
        let count = text.matches(&self.replace).count();
        ensure!(count == 1, "{} has {:?} {count} times", self.file, self.replace);
        fs::write(&path, text.replace(&self.replace, &self.with))?;
        Ok(())
    }
}

/// Copies the kernel's package, with a manifest that leads back to the tree.
fn copy_kernel(workspace: &Workspace, directory: &Path) -> Result<()> {
    let from = workspace.root.join(KERNEL_PACKAGE);
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    for entry in fs::read_dir(&from)? {
        let path = entry?.path();
        let target = directory.join(path.file_name().unwrap_or_default());
        // Other packages of the tree lie beside its source, and stay there.
        if path.is_file() {
            fs::copy(&path, &target)?;
        } else if path.ends_with("src") {
            copy_sources(&path, &target)?;
        }
    }
    fs::write(directory.join("Cargo.toml"), kernel_manifest(workspace)?)?;
    Ok(())
}

fn copy_sources(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_sources(&path, &target)?;
        } else {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

/// The manifest of the kernel's package as one of a workspace of its own: what it has from the tree's stands in it.
fn kernel_manifest(workspace: &Workspace) -> Result<String> {
    let read = |path: &str| -> Result<toml::Table> {
        let text = fs::read_to_string(workspace.root.join(path)).with_context(|| format!("cannot read {path}"))?;
        text.parse().with_context(|| format!("{path} is wrong"))
    };
    let (mut tree, mut package) = (read("Cargo.toml")?, read(&format!("{KERNEL_PACKAGE}/Cargo.toml"))?);
    let of_tree = tree.get_mut("workspace").and_then(toml::Value::as_table_mut).context("the tree is no workspace")?;
    of_tree.remove("members");
    of_tree.remove("default-members");
    let lints = toml::Table::from_iter([("unused".to_owned(), "allow".into())]);
    of_tree.insert("lints".to_owned(), toml::Table::from_iter([("rust".to_owned(), lints.into())]).into());
    let dependencies =
        of_tree.get_mut("dependencies").and_then(toml::Value::as_table_mut).context("it has no dependencies")?;
    for (_, dependency) in dependencies.iter_mut() {
        if let Some(path) = dependency.get_mut("path") {
            *path = workspace.root.join(path.as_str().unwrap_or_default()).display().to_string().into();
        }
    }
    // Of packages that are built in another way those alone that a kernel has, or cargo would warn.
    let beside = |name: &str| {
        let directory = name.strip_prefix(KERNEL_PACKAGE).and_then(|name| name.strip_prefix('-'));
        directory.is_some_and(|directory| workspace.root.join(KERNEL_PACKAGE).join(directory).is_dir())
    };
    let mut profiles = tree.get("profile").and_then(toml::Value::as_table).cloned().unwrap_or_default();
    profiles.retain(|name, _| name == "guest");
    if let Some(packages) = profiles.get_mut("guest").and_then(|guest| guest.get_mut("package")) {
        packages.as_table_mut().context("it has no packages")?.retain(|name, _| beside(name));
    }
    let named = |table: &mut toml::Value| {
        table.as_table_mut().map(|table| table.insert("name".to_owned(), COPIED_KERNEL.into()))
    };
    package.get_mut("package").and_then(named).context("it has no package")?;
    let programs = package.get_mut("bin").and_then(toml::Value::as_array_mut).context("it makes no kernel")?;
    programs.iter_mut().for_each(|program| _ = named(program));
    package.insert("workspace".to_owned(), tree.remove("workspace").context("the tree is no workspace")?);
    package.insert("profile".to_owned(), profiles.into());
    let text = toml::to_string(&package).context("cannot write the kernel's manifest")?;
    Ok(format!("# Made of {KERNEL_PACKAGE}/Cargo.toml and the tree's.\n\n{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "fn one() -> u32 {\n    if true {\n        1\n    } else {\n        2\n    }\n}\n\n/// Two.\nfn two() {\n    one();\n}\n\
        let list = [\n    1,\n], 2;\n";

    fn cut(at: &str, with: Option<&str>) -> Result<String> {
        let cut = Cut { file: String::new(), at: at.to_owned(), with: with.map(str::to_owned) };
        cut.apply(7, SOURCE)
    }

    #[test]
    fn pieces_are_cut() {
        let without_one = cut("fn one(", None).unwrap();
        assert!(
            without_one.starts_with("fn one() -> u32 {\n    todo!(\"lab 7: one\")\n}\n\n/// Two."),
            "{without_one}"
        );
        assert!(cut("/// Two.", Some("// lab 7\n")).unwrap().contains("}\n\n// lab 7\nlet list = ["));
        assert!(cut("let list", Some("let list = 2;")).unwrap().ends_with("}\nlet list = 2;\n"));
        assert!(cut("let list", None).is_err() && cut("fn three", None).is_err() && cut("fn ", None).is_err());
    }

    #[test]
    fn labs_can_be_cut_and_have_an_assignment() {
        let workspace = Workspace::find().unwrap();
        let labs = all(&workspace).unwrap();
        assert!(labs.len() >= 5);
        for lab in labs {
            let directory = tempfile::tempdir().unwrap();
            let place = directory.path().join("mine");
            lab.start(&workspace, &place).unwrap();
            for file in lab.files() {
                let text = fs::read_to_string(place.join(file)).unwrap();
                assert!(text.contains(&format!("lab {}", lab.number)), "{file} does not say what is missing");
            }
            let wrong = directory.path().join("wrong");
            for mutant in &lab.mutant {
                mutant.make(&lab, &workspace, &wrong).unwrap();
                fs::remove_dir_all(&wrong).unwrap();
                assert!(mutant.loses.iter().all(|name| lab.cases().any(|case| case == name)), "{}", mutant.what);
            }
            assert!(workspace.root.join(ASSIGNMENTS).join(format!("{}.md", lab.number)).is_file());
            assert_eq!(lab.points(), 10, "lab {}", lab.number);
        }
    }
}
