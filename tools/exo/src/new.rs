//! `new`: a crate of a library operating system of one's own, from the templates in `exos/templates`.
//!
//! A template is a crate that builds, boots, and has a test and a benchmark, as it stands in the tree. To make a crate of it is to copy
//! it, with the crate's name instead of its, and the way to the tree instead of `../../..`.

use std::fs;
use std::path::{Path, PathBuf};

use aegis_abi::boot::NAME_BYTES;
use anyhow::{Context, Result, ensure};

use crate::build::package_of;
use crate::lab::LABS;
use crate::parts;
use crate::workspace::Workspace;

/// What `new` is asked for.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The crate's directory, anywhere, in the tree or not; its last part is the crate's name
    #[arg(value_name = "NAME", required_unless_present = "list")]
    path: Option<PathBuf>,
    /// Begin with ExOS, this part of it replaced; without, with the runtime alone
    #[arg(long, value_enum, value_name = "PART")]
    replace: Option<Part>,
    /// Begin with a program in C
    #[arg(long, conflicts_with = "replace")]
    c: bool,
    /// Show the parts that ExOS is made of, and their size
    #[arg(long, conflicts_with_all = ["path", "replace", "c"])]
    list: bool,
}

/// A part of ExOS that can be replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Part {
    /// What a page is mapped to: a table and its handlers of a miss
    PageTable,
    /// Who runs next: a policy
    Scheduler,
    /// How environments talk: a channel in shared memory
    Ipc,
    /// What is said on the Ethernet: a protocol and its filter
    Protocol,
}

impl Part {
    fn template(part: Option<Self>) -> &'static str {
        match part {
            None => "scratch",
            Some(Self::PageTable) => "page-table",
            Some(Self::Scheduler) => "scheduler",
            Some(Self::Ipc) => "ipc",
            Some(Self::Protocol) => "protocol",
        }
    }
}

/// Where the templates are.
const TEMPLATES: &str = "exos/templates";
/// What stands in a template for the crate's name, and for the tree.
const NAME: &str = "template";
const TREE: &str = "../../..";
/// The longest name of a program is the crate's with this behind.
const LONGEST: &str = "_astray_test";

/// Makes the crate, or lists the parts.
pub fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let Some(path) = arguments.path.as_ref().filter(|_| !arguments.list) else { return parts::list(workspace) };
    let template = if arguments.c { "c" } else { Part::template(arguments.replace) };
    let name = make(workspace, &workspace.root.join(TEMPLATES).join(template), path)?;

    println!("made {} from {TEMPLATES}/{template}; in that directory", path.display());
    println!("  cargo exo run      boots src/bin/{name}.rs");
    println!("  cargo exo test     boots src/bin/{name}_test.rs, and every other program whose name ends so");
    println!("  cargo exo bench    measures src/bin/{name}_bench.rs, likewise");
    let library = if arguments.c { path.join("c") } else { path.join("src/lib.rs") };
    println!("{} is what to change; docs/write-your-own.md goes on from here", library.display());
    Ok(())
}

/// Makes a crate of a template, in a directory whose last part is its name; that name.
pub fn make(workspace: &Workspace, template: &Path, path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let most = NAME_BYTES - 1 - LONGEST.len();
    let fits = name.len() <= most && name.starts_with(|first: char| first.is_ascii_lowercase());
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    ensure!(
        fits && plain,
        "{name:?} is no name: a small letter, then small letters, digits and _, at most {most} in all"
    );
    ensure!(package_of(workspace, name).is_none(), "the tree has a program {name}; choose another name");
    ensure!(!TAKEN.contains(&name), "the tree has a library {name}; choose another name");
    ensure!(!path.exists(), "{} is there already", path.display());

    let tree = workspace.root.to_str().context("the tree's path is not UTF-8")?;
    let templates = workspace.root.join(TEMPLATES);
    copy(template, path, name, tree)?;
    copy(&templates.join(".cargo"), &path.join(".cargo"), name, tree)?;
    copy_file(&templates.join(".gitignore"), &path.join(".gitignore"), name, tree)?;
    copy_file(&workspace.root.join("rustfmt.toml"), &path.join("rustfmt.toml"), name, tree)?;
    Ok(name.to_owned())
}

/// Names of libraries that a crate may depend on, and of the language's own.
const TAKEN: [&str; 10] =
    ["alloc", "core", "exos", "exos_apps", "exos_mini", "exos_net", "exos_policy", "exos_rt", "exos_tables", "std"];

/// The sources of all templates, in Rust, and of what the labs have beside them.
pub fn sources(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    Ok([parts::files(&workspace.root.join(TEMPLATES))?, parts::files(&workspace.root.join(LABS))?].concat())
}

/// Copies a directory, with another name and another way to the tree in its files.
pub fn copy(from: &Path, to: &Path, name: &str, tree: &str) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry?.path();
        let file = path.file_name().and_then(|file| file.to_str()).context("a template's file has a strange name")?;
        let target = to.join(file.replace(NAME, name));
        match path.is_dir() {
            true => copy(&path, &target, name, tree)?,
            false if file == "Cargo.lock" => {}
            false => copy_file(&path, &target, name, tree)?,
        }
    }
    Ok(())
}

pub fn copy_file(from: &Path, to: &Path, name: &str, tree: &str) -> Result<()> {
    let text = fs::read_to_string(from).with_context(|| format!("cannot read {}", from.display()))?;
    // A path of the host's stands in TOML alone.
    let tree = tree.replace('\\', r"\\").replace('"', "\\\"");
    let text = text.replace(TREE, &tree).replace(NAME, name);
    fs::write(to, text).with_context(|| format!("cannot write {}", to.display()))
}
