//! QEMU's Malta, driven as a child process.
//!
//! Its time is virtual: each instruction takes 16 ns of it, whatever the host does. So runs repeat exactly, the clock's
//! interrupts included.

use std::fs::File;
use std::io::{self, BufRead, BufReader, PipeReader, Read};
use std::net::TcpListener;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};

use super::child::{self, Marker};
use super::door::Door;
use super::qemu_trace::{MESSAGE, TraceReader, Words};
use super::station::Station;
use super::{End, Job, Mark, Network, Observer, Watch};
use crate::build::{read, run_cargo};
use crate::process::{command, host_cargo, output, show, tied_command};
use crate::progress::Progress;
use crate::workspace::Workspace;

/// The Debian packages it comes in.
pub const PACKAGES: [&str; 1] = ["qemu-system-mips"];

/// QEMU, which also makes the network for users without rights.
pub const PROGRAM: &str = "qemu-system-mipsel";
/// Megabytes of memory.
const MEMORY: u32 = 64;
/// What an instruction takes: 2^4 ns. A time slice is a million instructions.
const SHIFT: u32 = 4;

/// The version, from the first line of what it says of itself.
pub fn version() -> Result<String> {
    let text = output(command(PROGRAM).arg("--version").stdin(Stdio::null())).context("cannot start QEMU")?;
    let name = text.lines().next().unwrap_or_default().trim();
    ensure!(name.starts_with("QEMU"), "`{PROGRAM} --version` does not tell a version");
    Ok(name.to_owned())
}

/// The last version of QEMU that loads the plugin. What comes after it has another interface for plugins.
const WITH_PLUGIN: u32 = 8;
/// The package of the plugin.
const PLUGIN: &str = "qemu-counter";

/// The plugin that counts, which is built when it is first asked for; none if this QEMU cannot load it.
fn plugin() -> Result<Option<&'static Path>> {
    static BUILT: OnceLock<Result<Option<PathBuf>, String>> = OnceLock::new();
    let build = || -> Result<_> {
        if major(&version()?) > WITH_PLUGIN {
            return Ok(None);
        }
        let mut cargo = host_cargo();
        cargo.current_dir(Workspace::find()?.root).args(["build", "--package", PLUGIN]);
        let artifacts = run_cargo(cargo, &Progress::new(true), &[])?;
        let artifact = artifacts.into_iter().find(|artifact| artifact.package() == PLUGIN);
        let file = artifact.and_then(|artifact| artifact.filenames.into_iter().next());
        Ok(Some(file.with_context(|| format!("the build made no {PLUGIN}"))?))
    };
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.as_ref().map(Option::as_deref).map_err(|error| anyhow!("{error}"))
}

/// The first number of a version, as in `QEMU emulator version 7.2.22 (Debian …)`.
fn major(version: &str) -> u32 {
    let number = version.split(' ').find_map(|word| word.split('.').next()?.parse().ok());
    number.unwrap_or(u32::MAX)
}

/// The command as a person would type it.
pub fn command_line(job: &Job) -> String {
    let mut qemu = Command::new(PROGRAM);
    add_arguments(&mut qemu, job);
    show(&qemu)
}

fn add_arguments(qemu: &mut Command, job: &Job) {
    // With somebody at the console, or at the other end of the cable, time goes at the wall's pace.
    let sleep = if job.typed.is_some() || job.network.is_some() { "on" } else { "off" };
    qemu.arg("-icount").arg(format!("shift={SHIFT},sleep={sleep}"));
    add_machine(qemu, job);
}

/// All but how time passes.
fn add_machine(qemu: &mut Command, job: &Job) {
    qemu.args(["-M", "malta", "-cpu", job.cpu.name(), "-m"]).arg(job.memory.unwrap_or(MEMORY).to_string());
    qemu.args(["-nodefaults", "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot"]);
    // How the guest has it exit.
    qemu.args(["-semihosting-config", "enable=on,target=native"]);
    qemu.arg("-kernel").arg(job.image).arg("-append").arg(job.arguments);
}

/// A machine that waits at its first instruction for a debugger, for which it listens on `socket`.
pub fn debugged(job: &Job, socket: TcpListener) -> Command {
    let mut qemu = tied_command("sh");
    // The socket comes as the standard input, which is the console's.
    qemu.args(["-c", "exec \"$@\" 3<&0 </dev/null", "sh", PROGRAM]).stdin(OwnedFd::from(socket));
    // Without `sleep`, time would go on to the next interrupt of the clock whenever the debugger stops the machine.
    qemu.arg("-icount").arg(format!("shift={SHIFT},sleep=on"));
    add_machine(&mut qemu, job);
    qemu.args(["-S", "-chardev", "socket,id=debugger,fd=3,server=on,wait=off,nodelay=on", "-gdb", "chardev:debugger"]);
    qemu
}

/// Runs it to its end.
pub fn run(job: &Job, observer: &mut dyn Observer) -> Result<End> {
    let mut qemu = tied_command(PROGRAM);
    add_arguments(&mut qemu, job);
    // What is at the other end stays for as long as this is kept.
    let _other = job.network.as_ref().map(|network| connect(&mut qemu, network)).transpose()?;
    if job.watch == Watch::Console {
        return child::run(qemu, job, |reader, judged| child::read_console(reader, observer, judged));
    }
    let plugin = if job.watch == Watch::Marks { plugin()? } else { None };
    match plugin {
        Some(plugin) => qemu.arg("-plugin").arg(plugin),
        None => qemu.args(["-singlestep", "-d", "exec,nochain"]),
    };
    // The console has a pipe of its own, since QEMU does not wait where that is full, and a trace fills any pipe.
    let (console, output) = io::pipe().context("cannot make a pipe")?;
    let (sender, text) = mpsc::channel();
    let reading = thread::spawn(move || read_console(console, &sender));
    let end = if plugin.is_some() {
        child::run_with_output(qemu, job, Some(output), |reader, judged| read_marks(reader, &text, observer, judged))
    } else {
        let mut trace = TraceReader::new(Words::of_image(&read(job.image)?)?);
        let mut marker = Marker::new(observer, job.watch);
        child::run_with_output(qemu, job, Some(output), |reader, judged| {
            read_trace(reader, &text, &mut trace, &mut marker, judged)
        })
    };
    // Nothing is left to be read where the machine has ended.
    let _ = reading.join();
    end
}

/// Connects its Ethernet, and starts the station, or opens the door, if that is at the other end.
fn connect(qemu: &mut Command, network: &Network) -> Result<(Option<Station>, Option<Door>)> {
    ensure!(network.machines == 1, "malta is one machine; --net {} is the model's", network.machines);
    let others = [network.peer, network.tunnel.is_some(), network.user.is_some()];
    let others = others.into_iter().filter(|&is| is).count();
    ensure!(others <= 1, "malta has a station, a tunnel or QEMU's network at the other end, one of them");
    let (mut station, mut door) = (None, None);
    let netdev = if let Some(user) = network.user {
        let (netdev, opened) = user.netdev(CABLE)?;
        door = opened;
        netdev
    } else if let Some((here, there)) = network.tunnel {
        format!("socket,id={CABLE},udp={there},localaddr={here}")
    } else if network.peer {
        let (started, [other, own]) = Station::on_files()?;
        station = Some(started);
        let (other, own) = (other.display(), own.display());
        format!("dgram,id={CABLE},local.type=unix,local.path={own},remote.type=unix,remote.path={other}")
    } else {
        format!("hubport,id={CABLE},hubid=0")
    };
    qemu.arg("-netdev").arg(netdev);
    qemu.arg("-device").arg(format!("pcnet,netdev={CABLE},addr=0x0b,romfile="));
    if let Some(file) = &network.pcap {
        // QEMU would go on without.
        File::create(file).with_context(|| format!("cannot write {}", file.display()))?;
        qemu.arg("-object").arg(format!("filter-dump,id=capture,netdev={CABLE},file={}", file.display()));
    }
    Ok((station, door))
}

/// QEMU's name of what its Ethernet is connected to.
const CABLE: &str = "cable";

/// Passes on what is read until nothing is left or nobody wants it.
fn read_console(mut reader: PipeReader, text: &Sender<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = reader.read(&mut buffer) {
        if text.send(buffer[..count].to_vec()).is_err() {
            return;
        }
    }
}

/// Reads what the plugin and QEMU say, and now and then the console's text.
fn read_marks(
    reader: PipeReader,
    text: &Receiver<Vec<u8>>,
    observer: &mut dyn Observer,
    judged: &mut dyn FnMut(ControlFlow<()>),
) -> io::Result<()> {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut reader).take(1 << 16).read_until(b'\n', &mut line)? == 0 {
            text.iter().for_each(|text| judged(observer.console(&text)));
            return Ok(());
        }
        if let Some(mark) = mark(&line) {
            observer.mark(mark);
        } else if line.starts_with(MESSAGE) {
            judged(observer.console(&line));
        }
        text.try_iter().for_each(|text| judged(observer.console(&text)));
    }
}

/// What a line of the plugin's says: `mark IMMEDIATE COUNT`.
fn mark(line: &[u8]) -> Option<Mark> {
    let numbers = std::str::from_utf8(line).ok()?.strip_prefix("mark ")?.trim_end();
    let (immediate, instructions) = numbers.split_once(' ')?;
    Some(Mark { immediate: immediate.parse().ok()?, instructions: instructions.parse().ok()?, cycles: None })
}

/// Reads a trace, and now and then the console's text.
fn read_trace(
    reader: PipeReader,
    text: &Receiver<Vec<u8>>,
    trace: &mut TraceReader,
    observer: &mut dyn Observer,
    judged: &mut dyn FnMut(ControlFlow<()>),
) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 20, reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        // Nothing of a line is long, but a guest must not be able to fill the memory.
        if (&mut reader).take(1 << 16).read_until(b'\n', &mut line)? == 0 {
            trace.end(observer);
            text.iter().for_each(|text| judged(observer.console(&text)));
            return Ok(());
        }
        judged(trace.line(&line, observer));
        if reader.buffer().is_empty() {
            text.try_iter().for_each(|text| judged(observer.console(&text)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        assert_eq!(major("QEMU emulator version 7.2.22 (Debian 1:7.2)"), 7);
        assert_eq!(major("QEMU emulator version 10.0.2 (Debian 1:10.0.2)"), 10);
        assert_eq!(major("QEMU"), u32::MAX);
    }

    #[test]
    fn marks_are_read() {
        let expected = Mark { immediate: 32769, instructions: 1_530_317, cycles: None };
        assert_eq!(mark(b"mark 32769 1530317\n"), Some(expected));
        for other in [&b"mark 1\n"[..], b"mark x 1\n", b"qemu-system-mipsel: mark 1 2\n", b"\xff\n"] {
            assert_eq!(mark(other), None);
        }
    }
}
