//! `lint`: formatting, the compiler's and clippy's warnings, and the guest's machine code.

use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::build;
use crate::machine::Machine;
use crate::new;
use crate::process::{command, host_cargo, show};
use crate::setup::{Need, ensure_all};
use crate::workspace::Workspace;

/// Runs every check, then fails if one of them failed.
pub fn run(workspace: &Workspace, quiet: bool) -> Result<()> {
    let checks: [&[&str]; 2] =
        [&["fmt", "--all", "--check"], &["clippy", "--quiet", "--all-targets", "--", "--deny", "warnings"]];
    ensure_all(workspace, &[Need::Compiler, Need::Clippy])?;
    let mut failed = Vec::new();
    // What a crate of its own has runs on the machine alone.
    let (root, checks) = match &workspace.project {
        None => (&workspace.root, &checks[..]),
        Some(project) => (&project.root, &checks[..1]),
    };
    for check in checks {
        let mut cargo = host_cargo();
        cargo.current_dir(root).args(*check).stdin(Stdio::null());
        let status = cargo.status().with_context(|| format!("cannot start {}", show(&cargo)))?;
        if !status.success() {
            failed.push(format!("cargo {}", check[0]));
        }
    }
    if workspace.project.is_none() && !templates_are_formatted(workspace)? {
        failed.push("rustfmt on the templates of `new`".to_owned());
    }
    if let Err(error) = build::clippy(workspace, quiet) {
        failed.push(format!("clippy on the guest ({error:#})"));
    }
    // A build ends with a check of what it made.
    let machines = if workspace.project.is_some() { &Machine::ALL[..1] } else { &Machine::ALL };
    if let Err(error) = build::build(workspace, machines, quiet) {
        failed.push(format!("the guest ({error:#})"));
    }
    if !failed.is_empty() {
        bail!("failed: {}; what they found is above", failed.join(", "));
    }
    Ok(())
}

/// Templates have workspaces of their own, so that cargo does not format them.
fn templates_are_formatted(workspace: &Workspace) -> Result<bool> {
    let mut rustfmt = command("rustfmt");
    rustfmt.current_dir(&workspace.root).args(["--edition", "2024", "--check"]).args(new::sources(workspace)?);
    let status = rustfmt.stdin(Stdio::null()).status().with_context(|| format!("cannot start {}", show(&rustfmt)))?;
    Ok(status.success())
}
