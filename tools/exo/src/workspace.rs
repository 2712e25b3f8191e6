//! Where things are: the workspace's root, its target directory, and the crate outside of it that the command is about.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::build::COPIED_KERNEL;

/// The directories that everything else is found from.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// The directory of the workspace's `Cargo.toml`.
    pub root: PathBuf,
    /// Where cargo puts what it builds for the host.
    pub target: PathBuf,
    /// The crate that the command runs in, if it is one that `new` has made.
    pub project: Option<Project>,
    /// In which order of chance the functions of programs are linked; `None` for the compiler's.
    pub layout: Option<u32>,
}

/// A crate of programs with a workspace of its own, wherever it lies.
#[derive(Clone, Debug)]
pub struct Project {
    /// The directory of its `Cargo.toml`.
    pub root: PathBuf,
    /// Its package's name.
    pub package: String,
    /// Whether it has programs in C.
    pub has_c: bool,
    /// The kernel that it has of its own, in its directory `kernel`, instead of the tree's.
    pub kernel: Option<PathBuf>,
}

impl Project {
    /// The one that a directory belongs to: the nearest `Cargo.toml` has the table `package.metadata.exo`.
    pub fn around(directory: &Path) -> Result<Option<Self>> {
        #[derive(Deserialize)]
        struct Manifest {
            package: Option<Package>,
        }
        #[derive(Deserialize)]
        struct Package {
            name: String,
            metadata: Option<toml::Table>,
        }
        let Some(root) = directory.ancestors().find(|directory| directory.join("Cargo.toml").is_file()) else {
            return Ok(None);
        };
        let path = root.join("Cargo.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let manifest: Manifest = toml::from_str(&text).with_context(|| format!("{} is wrong", path.display()))?;
        let Some(Package { name, metadata: Some(metadata) }) = manifest.package else { return Ok(None) };
        let Some(table) = metadata.get("exo") else { return Ok(None) };
        let has_c = table.get("c").and_then(toml::Value::as_bool).unwrap_or(false);
        Ok(Some(Self { root: root.to_owned(), package: name, has_c, kernel: Self::kernel_in(root) }))
    }

    /// The kernel of a crate in this directory, if it has one of its own.
    pub fn kernel_in(root: &Path) -> Option<PathBuf> {
        Some(root.join(COPIED_KERNEL)).filter(|kernel| kernel.join("Cargo.toml").is_file())
    }
}

impl Workspace {
    /// Finds them. Cargo tells where this package lies when it runs the command; without cargo it lies where it was built.
    pub fn find() -> Result<Self> {
        let package = match env::var("CARGO_PKG_NAME").as_deref() {
            Ok(env!("CARGO_PKG_NAME")) => env::var("CARGO_MANIFEST_DIR").ok(),
            _ => None,
        };
        let package = package.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").to_owned());
        let root = Path::new(&package).join("../..");
        let root = root.canonicalize().with_context(|| format!("the source tree is not at {}", root.display()))?;
        ensure!(root.join(TARGET_FILE).is_file(), "{} is not there: this is not Aegis's source tree", TARGET_FILE);
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(directory) => env::current_dir()?.join(directory),
            None => root.join("target"),
        };
        let project = Project::around(&env::current_dir()?)?;
        Ok(Self { root, target, project, layout: None })
    }

    /// The compiler's description of the machine.
    pub fn target_file(&self) -> PathBuf {
        self.root.join(TARGET_FILE)
    }

    /// Where guest programs are built.
    pub fn guest_target(&self) -> PathBuf {
        self.target.join("mips")
    }

    /// Where boot images are put.
    pub fn images(&self) -> PathBuf {
        self.guest_target().join("images")
    }

    /// Where Linux is built, to be measured.
    pub fn baseline(&self) -> PathBuf {
        self.target.join("baseline")
    }

    /// A path as it is shown: relative to the root if it lies in the workspace.
    pub fn show<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

/// Stands beside the description of the machine, by which the tree is recognised.
const TARGET_FILE: &str = "targets/mips-r3000.json";
