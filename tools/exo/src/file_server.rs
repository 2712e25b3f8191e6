//! A real server of NFS for a test: `nfs-ganesha` on this host's loop-back interface, at ports of its own, with a directory
//! that is there for the test alone.
//!
//! It registers its ports with `rpcbind`, which has a fixed port and a fixed socket. So both run in a namespace of mounts in
//! which `/run` is empty, and `rpcbind` is told of no transport but its socket there: nothing else on this host sees them,
//! and several may run at once. They end together, with the namespace of processes that they are in, which takes root.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::machine::User;
use crate::ports;
use crate::process::{command, output, tied_command, which};

/// The Debian packages of the server.
pub const PACKAGES: [&str; 3] = ["nfs-ganesha", "nfs-ganesha-vfs", "rpcbind"];

/// Where files have handles that a server can give out, whatever the disk's file system is: they are in memory.
const PLACE: &str = "/dev/shm";
/// The machine's port that it can visit itself by.
const VISITED: u16 = 80;
/// How long it may take to begin.
const PATIENCE: Duration = Duration::from_secs(30);

/// The server, until it is dropped.
pub struct FileServer {
    child: Child,
    directory: TempDir,
    /// NFS' and MOUNT's, and one that is passed on to the machine's port of the web: what it serves of these files it can fetch.
    ports: [u16; 3],
}

/// The server's version, or why there is none.
pub fn version() -> Result<String> {
    ensure!(which("rpcbind").is_some(), "rpcbind is not there");
    let text = output(command("ganesha.nfsd").arg("-v"))?;
    let line = text.lines().next().unwrap_or_default().trim().to_owned();
    ensure!(line.starts_with("NFS-Ganesha"), "`ganesha.nfsd -v` does not tell a version");
    Ok(line)
}

/// Why it can't be started here, if it can't.
pub fn check() -> Result<()> {
    version().context("there is no server of NFS")?;
    ensure!(Path::new(PLACE).is_dir(), "there is no {PLACE}, where a server of NFS has its files");
    let user = output(command("id").arg("-u"))?;
    ensure!(user.trim() == "0", "a server of NFS takes root");
    output(&mut unshare(command("unshare"), &["mount", "-t", "tmpfs", "none", "/run"]))
        .context("a server of NFS takes namespaces of its own")?;
    Ok(())
}

/// A program in namespaces of its own, which ends when this command ends.
fn unshare(mut command: std::process::Command, program: &[&str]) -> std::process::Command {
    command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]).args(program);
    command
}

impl FileServer {
    /// Starts it, with a tree of files in its directory `given`, and waits until it answers.
    pub fn start(network: &mut User) -> Result<Self> {
        let directory = tempfile::tempdir_in(PLACE).context("cannot make a directory for a server of NFS")?;
        let path = directory.path();
        give(&path.join("export/given")).context("cannot make the files for a server of NFS")?;
        let ports = [ports::free()?, ports::free()?, ports::free()?];
        network.forward = Some((ports[2], VISITED));
        let shown = path.display();
        fs::write(path.join("ganesha.conf"), configuration(path, ports))?;
        fs::write(path.join("netconfig"), "local tpi_cots_ord - loopback - - -\n")?;
        let script = format!(
            "set -e\n\
             mount -t tmpfs none /run\n\
             mkdir /run/ganesha\n\
             unshare --mount sh -c 'mount --bind {shown}/netconfig /etc/netconfig && exec rpcbind -f' &\n\
             while [ ! -S /run/rpcbind.sock ]; do kill -0 $! && sleep 0.05; done\n\
             exec ganesha.nfsd -F -L {shown}/log -f {shown}/ganesha.conf -p /run/ganesha.pid\n"
        );
        let mut server = unshare(tied_command("unshare"), &["sh", "-c", &script]);
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(path.join("errors"))?);
        let child = server.spawn().context("cannot start a server of NFS")?;
        let mut server = Self { child, directory, ports };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// It answers both programs' procedure that does nothing.
    fn wait_until_ready(&mut self) -> Result<()> {
        let socket = UdpSocket::bind("127.0.0.1:0").context("cannot open a port")?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        let limit = Instant::now() + PATIENCE;
        for (port, program) in self.ports.into_iter().zip([100_003_u32, 100_005]) {
            let call: Vec<u8> = [1, 0, 2, program, 3, 0, 0, 0, 0, 0].into_iter().flat_map(u32::to_be_bytes).collect();
            while socket.send_to(&call, (Ipv4Addr::LOCALHOST, port)).is_err() || socket.recv(&mut [0; 64]).is_err() {
                let ended = self.child.try_wait()?;
                if ended.is_some() || Instant::now() > limit {
                    let said = |name: &str| fs::read_to_string(self.directory.path().join(name)).unwrap_or_default();
                    let said = said("errors") + &said("log");
                    bail!(
                        "the server of NFS does not begin: {}",
                        said.lines().next_back().unwrap_or("it says nothing")
                    );
                }
                // That nobody listens yet is told at once.
                thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    /// What a program is told: where the server is, as a machine on QEMU's network sees it, and its ports.
    pub fn argument(&self) -> String {
        let [nfs, mount, web] = self.ports;
        format!(",10.0.2.2,{nfs},{mount},{web}")
    }

    /// Whether all that was given is in `copied`, too, and nothing else is there.
    pub fn compare(&self) -> Result<()> {
        let export = self.directory.path().join("export");
        ensure!(names(&export)? == ["copied", "given"], "the server's directory has {:?}", names(&export)?);
        same(&export.join("given"), &export.join("copied"))
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(path: &Path, [nfs, mount, _]: [u16; 3]) -> String {
    format!(
        "NFS_CORE_PARAM {{\n  Bind_addr = 127.0.0.1;\n  NFS_Port = {nfs};\n  MNT_Port = {mount};\n  Protocols = 3;\n  \
         Enable_NLM = false;\n  Enable_RQUOTA = false;\n  Enable_UDP = true;\n  mount_path_pseudo = true;\n}}\n\
         NFS_KRB5 {{ Active_krb5 = false; }}\n\
         EXPORT {{\n  Export_Id = 1;\n  Path = {}/export;\n  Pseudo = /exo;\n  Access_Type = RW;\n  \
         Squash = No_Root_Squash;\n  Transports = UDP;\n  Protocols = 3;\n  SecType = sys;\n  FSAL {{ Name = VFS; }}\n}}\n",
        path.display()
    )
}

/// Makes the files that are to be copied: of sizes around a block's, some below others.
fn give(to: &Path) -> Result<()> {
    for (directory, sizes) in
        [("", [0, 1, 1023, 1024]), ("some", [1025, 2048, 20_000, 4]), ("some/more", [3, 8191, 2, 5])]
    {
        fs::create_dir_all(to.join(directory))?;
        for size in sizes {
            let bytes: Vec<u8> = (0..size).map(|at: u32| (at.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
            fs::write(to.join(directory).join(format!("file {size}")), bytes)?;
        }
    }
    fs::create_dir(to.join("empty"))?;
    // So many names that a list has several parts.
    for number in 0..40 {
        fs::write(to.join(format!("some/more/a file with quite a long name, number {number}")), b"")?;
    }
    Ok(())
}

/// The names in a directory, in order.
fn names(directory: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let names: Result<Vec<_>> = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect();
    let mut names = names?;
    names.sort();
    Ok(names)
}

fn same(one: &Path, other: &Path) -> Result<()> {
    if !one.is_dir() {
        ensure!(fs::read(one)? == fs::read(other)?, "{} differs", other.display());
        return Ok(());
    }
    let names = names(one)?;
    ensure!(names == self::names(other)?, "{} has other names", other.display());
    names.iter().try_for_each(|name| same(&one.join(name), &other.join(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_same_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| directory.path().join(name));
        give(&one).unwrap();
        give(&other).unwrap();
        same(&one, &other).unwrap();
        fs::write(other.join("some/file 4"), b"abcd").unwrap();
        assert!(same(&one, &other).unwrap_err().to_string().contains("some/file 4 differs"));
        fs::remove_file(other.join("some/file 4")).unwrap();
        assert!(same(&one, &other).unwrap_err().to_string().contains("some has other names"));
    }
}
