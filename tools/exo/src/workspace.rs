//! Where things are: the workspace's root and its target directory.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The directories that everything else is found from.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// The directory of the workspace's `Cargo.toml`.
    pub root: PathBuf,
    /// Where cargo puts what it builds for the host.
    pub target: PathBuf,
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
        Ok(Self { root, target })
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

    /// A path as it is shown: relative to the root if it lies in the workspace.
    pub fn show<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

/// Stands beside the description of the machine, by which the tree is recognised.
const TARGET_FILE: &str = "targets/mips-r3000.json";
