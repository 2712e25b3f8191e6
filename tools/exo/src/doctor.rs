//! Telling what is there, in which version, and how to get what is missing.

use std::process::Command;

use anyhow::{Result, bail};

use crate::process::{command, host_cargo, output};
use crate::setup::{Need, install_command};
use crate::toolchain;
use crate::workspace::Workspace;

/// Prints one line for each thing; fails if something that a job needs is missing.
pub fn run(workspace: &Workspace) -> Result<()> {
    line("found", "source tree", &workspace.root.display().to_string());
    tool("host compiler", Command::new("rustc").arg("--version"), "install Rust");
    tool("host cargo", host_cargo().arg("--version"), "install Rust");
    tool("rustfmt", host_cargo().args(["fmt", "--version"]), "for lint: rustup component add rustfmt");
    tool("clippy", host_cargo().args(["clippy", "--version"]), "for lint: rustup component add clippy");
    tool("git", command("git").arg("--version"), "for the commit in results: install git");

    for candidate in toolchain::candidates(workspace, "") {
        match candidate.found {
            Ok(toolchain) => line("found", &format!("toolchain {}", candidate.name), &toolchain.version),
            Err(error) => line("unusable", &format!("toolchain {}", candidate.name), &format!("{error:#}")),
        }
    }
    let mut packages = Vec::new();
    for need in Need::all() {
        match need.check(workspace) {
            Ok(version) => line("found", &need.name(), &version),
            Err(error) => {
                let why = match need {
                    // Why was said of each toolchain.
                    Need::Compiler => "none of these toolchains can be used".to_owned(),
                    _ => format!("{error:#}"),
                };
                line("MISSING", &need.name(), &why);
                packages.extend_from_slice(need.packages());
            }
        }
    }
    if !packages.is_empty() {
        bail!("something is missing; `cargo exo setup` installs it (as root: {})", install_command(&packages));
    }
    Ok(())
}

/// A line for a tool without which the main jobs still work.
fn tool(name: &str, version: &mut Command, advice: &str) {
    match output(version) {
        Ok(text) => line("found", name, text.lines().next().unwrap_or_default()),
        Err(_) => line("absent", name, advice),
    }
}

fn line(state: &str, name: &str, text: &str) {
    println!("{state:<9} {name:<42} {text}");
}
