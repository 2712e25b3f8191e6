//! Installing what a job lacks, by package name, saying so.

use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};

use crate::baseline;
use crate::c_library;
use crate::file_server;
use crate::gdb::DEBUGGER;
use crate::machine::Machine;
use crate::process::{command, output, show, which};
use crate::toolchain::{self, Toolchain};
use crate::visitors;
use crate::workspace::Workspace;

/// Something that a job needs and that does not come with the source tree.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// A compiler for the guest.
    Compiler,
    /// Clippy for the guest, which only `lint` needs.
    Clippy,
    /// The programs that a machine consists of.
    Machine(Machine),
    /// The emulator of user programs that the model is compared with in its tests.
    Witness,
    /// The debugger of `gdb`.
    Debugger,
    /// The server of files that a test asks.
    FileServer,
    /// Who visits a server of HTTP in tests.
    Visitors,
    /// What programs in C are built with, which only they need.
    C,
    /// Linux's source, and what it is built with, which only `baseline` needs.
    Baseline,
}

impl Need {
    /// All that any job needs, but for the source of another system.
    pub fn all() -> Vec<Self> {
        [Self::Compiler, Self::Clippy, Self::Witness, Self::Debugger, Self::FileServer, Self::Visitors, Self::C]
            .into_iter()
            .chain(Machine::ALL.into_iter().map(Self::Machine))
            .collect()
    }

    /// What it is, for a person.
    pub fn name(self) -> String {
        match self {
            Self::Compiler => "guest compiler".to_owned(),
            Self::Clippy => "guest clippy".to_owned(),
            Self::Machine(machine) => format!("machine {machine}"),
            Self::Witness => "witness qemu-mipsel".to_owned(),
            Self::Debugger => format!("debugger {DEBUGGER}"),
            Self::FileServer => "server of NFS".to_owned(),
            Self::Visitors => "visitors by HTTP".to_owned(),
            Self::C => "compiler for C".to_owned(),
            Self::Baseline => "source of Linux".to_owned(),
        }
    }

    /// The Debian packages that satisfy it.
    pub fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Compiler => &toolchain::DEBIAN_PACKAGES,
            Self::Clippy => &toolchain::DEBIAN_CLIPPY,
            Self::Machine(machine) => machine.packages(),
            Self::Witness => &["qemu-user"],
            Self::Debugger => &[DEBUGGER],
            Self::FileServer => &file_server::PACKAGES,
            Self::Visitors => &visitors::PACKAGES,
            Self::C => &c_library::PACKAGES,
            Self::Baseline => &baseline::PACKAGES,
        }
    }

    /// What there is, with its version, or why it does not do.
    pub fn check(self, workspace: &Workspace) -> Result<String> {
        match self {
            Self::Compiler => Ok(Toolchain::find(workspace)?.version),
            Self::Clippy => {
                Toolchain::find(workspace)?.clippy_command(workspace)?;
                Ok("beside the compiler".to_owned())
            }
            Self::Machine(machine) => machine.version(),
            Self::Witness => version("qemu-mipsel"),
            Self::Debugger => version(DEBUGGER),
            Self::FileServer => file_server::version(),
            Self::Visitors => visitors::version(),
            Self::C => c_library::version(),
            Self::Baseline => baseline::version(),
        }
    }
}

/// The first line of what a program says of its version.
fn version(program: &str) -> Result<String> {
    let version = output(command(program).arg("--version"))?;
    Ok(version.lines().next().unwrap_or_default().to_owned())
}

/// Installs whatever is missing of `needs`. Does and says nothing if nothing is.
pub fn ensure_all(workspace: &Workspace, needs: &[Need]) -> Result<()> {
    let missing: Vec<_> = needs.iter().copied().filter(|need| need.check(workspace).is_err()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if std::env::var_os(toolchain::CHOICE).is_some() {
        // Whoever chose a toolchain wants no other one.
        for need in missing.iter().filter(|need| matches!(need, Need::Compiler)) {
            need.check(workspace)?;
        }
    }
    let names = missing.iter().map(|need| need.name()).collect::<Vec<_>>().join(", ");
    let packages: Vec<_> = missing.iter().flat_map(|need| need.packages()).copied().collect();
    if packages.is_empty() {
        bail!("missing: {names}; see `cargo exo doctor`");
    }
    install(&names, &packages)?;
    for need in missing {
        if let Err(error) = need.check(workspace) {
            bail!("{} was installed, yet there is no {}: {error:#}", packages.join(" "), need.name());
        }
    }
    Ok(())
}

/// The command that installs packages, as a person would type it.
pub fn install_command(packages: &[&str]) -> String {
    format!("apt-get install --no-install-recommends {}", packages.join(" "))
}

fn install(names: &str, packages: &[&str]) -> Result<()> {
    let by_hand = install_command(packages);
    ensure!(
        which("apt-get").is_some(),
        "missing: {names}; this system has no apt-get, so install by hand what Debian has in {}, \
         or for the compiler a rustup toolchain with the component rust-src",
        packages.join(" ")
    );
    let user = output(command("id").arg("-u"))?;
    ensure!(user.trim() == "0", "missing: {names}; run as root: apt-get update && {by_hand}");

    eprintln!("exo: missing: {names}; installing {}", packages.join(" "));
    apt_get(names, &["update"], &[])?;
    let mut packages: Vec<_> = packages.iter().map(|&package| package.to_owned()).collect();
    for package in in_the_way(&packages)? {
        let release = output(command("apt-cache").args(["madison", &package]))?;
        let version = release.split('|').nth(1).map(str::trim).with_context(|| {
            format!(
                "cannot install {names}: {package} is in the way and no repository has a version beside which it can be"
            )
        })?;
        eprintln!("exo: {package}, as it is installed, cannot be beside them; {package} {version} takes its place");
        packages.push(format!("{package}={version}"));
    }
    // Nothing that the user has installed is removed for this.
    apt_get(names, &["install", "--yes", "--no-remove", "--allow-downgrades", "--no-install-recommends"], &packages)?;
    Ok(())
}

/// Runs one step of apt-get, to install what a person knows as `names`.
fn apt_get(names: &str, step: &[&str], packages: &[String]) -> Result<String> {
    let mut command = command("apt-get");
    command.args(["--quiet", "--quiet", "--option", "DPkg::Lock::Timeout=600"]).args(step).args(packages);
    command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    output(&mut command).with_context(|| format!("cannot install {names}; `{}` shows more", show(&command)))
}

/// The installed packages that `packages` would push out, as a backport of one of QEMU's parts does with the other parts.
fn in_the_way(packages: &[String]) -> Result<Vec<String>> {
    let plan = output(
        command("apt-get")
            .args(["--quiet", "--quiet", "--simulate", "install", "--no-install-recommends"])
            .args(packages),
    )?;
    Ok(removed(&plan).map(str::to_owned).collect())
}

/// The names of the packages that a simulated installation removes.
fn removed(plan: &str) -> impl Iterator<Item = &str> {
    plan.lines().filter_map(|line| line.strip_prefix("Remv ")?.split_whitespace().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_is_exact() {
        assert_eq!(install_command(&["a", "b"]), "apt-get install --no-install-recommends a b");
    }

    #[test]
    fn removals_are_found() {
        let plan = "Remv qemu-utils [1:10.0]\nInst qemu-system-mips (1:7.2 Debian:12.15/oldstable [amd64])\n";
        assert_eq!(removed(plan).collect::<Vec<_>>(), ["qemu-utils"]);
    }

    #[test]
    fn every_need_can_be_installed() {
        let built_in = |need: &Need| matches!(need, Need::Machine(Machine::Decstation));
        assert!(Need::all().iter().all(|need| built_in(need) || !need.packages().is_empty()));
    }
}
