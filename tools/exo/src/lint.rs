//! `lint`: formatting, the compiler's and clippy's warnings, and the guest's machine code.

use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::build;
use crate::machine::Machine;
use crate::process::{host_cargo, show};
use crate::setup::{Need, ensure_all};
use crate::workspace::Workspace;

/// Runs every check, then fails if one of them failed.
pub fn run(workspace: &Workspace, quiet: bool) -> Result<()> {
    let checks: [&[&str]; 2] =
        [&["fmt", "--all", "--check"], &["clippy", "--quiet", "--all-targets", "--", "--deny", "warnings"]];
    ensure_all(workspace, &[Need::Compiler, Need::Clippy])?;
    let mut failed = Vec::new();
    for check in checks {
        let mut cargo = host_cargo();
        cargo.current_dir(&workspace.root).args(check).stdin(Stdio::null());
        let status = cargo.status().with_context(|| format!("cannot start {}", show(&cargo)))?;
        if !status.success() {
            failed.push(format!("cargo {}", check[0]));
        }
    }
    if let Err(error) = build::clippy(workspace, quiet) {
        failed.push(format!("clippy on the guest ({error:#})"));
    }
    // A build ends with a check of what it made.
    if let Err(error) = build::build(workspace, &Machine::ALL, quiet) {
        failed.push(format!("the guest ({error:#})"));
    }
    if !failed.is_empty() {
        bail!("failed: {}; what they found is above", failed.join(", "));
    }
    Ok(())
}
