//! The C library of programs in C: picolibc, from Debian's source package, built for the R3000 with Debian's cross compiler.
//!
//! Nothing of it is in the tree: it is fetched when a program first needs it, and compared with what is written here.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

use crate::bootable::sha256;
use crate::process::{command, output};
use crate::setup::{Need, ensure_all};
use crate::workspace::Workspace;

/// Debian's packages that it is built with.
pub const PACKAGES: [&str; 3] = ["gcc-mipsel-linux-gnu", "meson", "ninja-build"];

/// A file of Debian's, and what it is.
pub struct Source {
    /// Its name without the ending, and its directory's in the archive it is.
    pub name: &'static str,
    /// Where it is in Debian's archive.
    path: &'static str,
    sha256: &'static str,
}

/// The library.
pub const PICOLIBC: Source = Source {
    name: "picolibc-1.8.10",
    path: "pool/main/p/picolibc/picolibc_1.8.10.orig.tar.gz",
    sha256: "d1fc2a20f217472f8d9da084a519a25678e8d91852a41c7f3f1840d3508f7163",
};

/// A compressor, with which a test has a megabyte go round.
pub const LZ4: Source = Source {
    name: "lz4-1.9.4",
    path: "pool/main/l/lz4/lz4_1.9.4.orig.tar.gz",
    sha256: "0b0e3aa07c8c063ddf40b082bdf7e37a1562bda40a0ff5272957f3e987e0e54b",
};

/// An interpreter, which a test has read a program.
pub const LUA: Source = Source {
    name: "lua-5.4.4",
    path: "pool/main/l/lua5.4/lua5.4_5.4.4.orig.tar.gz",
    sha256: "164c7849653b80ae67bec4b7473b884bf5cc8d2dca05653475ec2ed27b9ebf61",
};

/// How meson is told of compiler and machine.
const CROSS: &str = "[binaries]
c = ['mipsel-linux-gnu-gcc', '-EL', '-march=mips1', '-mno-llsc', '-mabi=32', '-msoft-float', '-mno-abicalls', '-fno-pic', '-fno-pie', '-G0',
    '-nostdlib', '-ffreestanding', '-fno-stack-protector']
ar = 'mipsel-linux-gnu-ar'
as = 'mipsel-linux-gnu-as'
strip = 'mipsel-linux-gnu-strip'
[host_machine]
system = 'none'
cpu_family = 'mips'
cpu = 'mips1'
endian = 'little'
[properties]
skip_sanity_check = true
";

/// What there is to choose: one library, no threads, files by `open` and its like, everything that `printf` knows.
const OPTIONS: [&str; 10] = [
    "-Dmultilib=false",
    "-Dpicocrt=false",
    "-Dsemihost=false",
    "-Dtests=false",
    "-Dspecsdir=none",
    "-Dthread-local-storage=false",
    "-Dsingle-thread=true",
    // An R3000 has no instructions for it, so `-mno-llsc`.
    "-Datomic-ungetc=false",
    "-Dformat-default=double",
    "-Dc_args=-Os",
];

/// The compiler's version, if all tools are there.
pub fn version() -> Result<String> {
    for tool in ["meson", "ninja"] {
        output(command(tool).arg("--version"))?;
    }
    let version = output(command("mipsel-linux-gnu-gcc").arg("--version"))?;
    Ok(version.lines().next().unwrap_or_default().to_owned())
}

/// Where the library is; it is built first if it is not there.
pub fn ensure(workspace: &Workspace, quiet: bool) -> Result<PathBuf> {
    ensure_all(workspace, &[Need::C])?;
    let place = workspace.target.join("c").join(PICOLIBC.name);
    let installed = place.join("installed");
    let source = unpack(workspace, &PICOLIBC)?;
    let _lock = lock(workspace)?;
    if installed.join("lib/libc.a").is_file() {
        return Ok(installed);
    }
    if !quiet {
        eprintln!("exo: building {} for programs in C, once", PICOLIBC.name);
    }
    let cross = place.join("cross.txt");
    fs::create_dir_all(&place).and_then(|()| fs::write(&cross, CROSS)).context("cannot write into target/c")?;
    let build = place.join("build");
    let mut meson = command("meson");
    meson.arg("setup").arg("--cross-file").arg(&cross).args(OPTIONS);
    meson.arg("--prefix").arg(&installed).arg(&build).arg(&source);
    // What an earlier attempt has left is no use.
    let _ = fs::remove_dir_all(&build);
    output(&mut meson)?;
    output(command("ninja").arg("-C").arg(&build).arg("install"))?;
    Ok(installed)
}

/// Keeps others from doing the same meanwhile, for as long as the file is open.
fn lock(workspace: &Workspace) -> Result<fs::File> {
    let directory = workspace.target.join("c");
    fs::create_dir_all(&directory)?;
    let file = fs::File::create(directory.join("lock")).context("cannot write into target/c")?;
    file.lock()?;
    Ok(file)
}

/// Fetches a source and unpacks it; where it is.
pub fn unpack(workspace: &Workspace, source: &Source) -> Result<PathBuf> {
    let directory = workspace.target.join("c");
    let _lock = lock(workspace)?;
    let unpacked = directory.join("source").join(source.name);
    if unpacked.is_dir() {
        return Ok(unpacked);
    }
    fs::create_dir_all(directory.join("source"))?;
    let archive = directory.join(format!("{}.tar.gz", source.name));
    fetch(source, &archive)?;
    let within = tempfile::tempdir_in(&directory)?;
    output(
        command("tar")
            .arg("--extract")
            .arg("--strip-components=1")
            .arg("--directory")
            .arg(within.path())
            .arg("--file")
            .arg(&archive),
    )?;
    fs::rename(within.keep(), &unpacked).with_context(|| format!("cannot make {}", unpacked.display()))?;
    Ok(unpacked)
}

/// Fetches a source from where this machine has Debian's packages from. It belongs to apt, and compares.
fn fetch(source: &Source, to: &Path) -> Result<()> {
    if fs::read(to).is_ok_and(|contents| sha256(&contents) == source.sha256) {
        return Ok(());
    }
    let archives = output(command("apt-get").args(["indextargets", "--format", "$(REPO_URI)"]))?;
    let mut archives: Vec<_> = archives.lines().collect();
    archives.sort_unstable();
    archives.dedup();
    let mut result = Err(anyhow!("apt has no archive; `apt-get update` reads which there are"));
    for archive in archives {
        let mut helper = command("/usr/lib/apt/apt-helper");
        helper.arg("download-file").arg(format!("{archive}{}", source.path)).arg(to);
        helper.arg(format!("SHA256:{}", source.sha256));
        result = output(&mut helper).map(drop);
        if result.is_ok() {
            break;
        }
    }
    result.with_context(|| format!("cannot fetch {}", source.name))
}
