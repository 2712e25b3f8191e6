//! QEMU's Malta, driven as a child process.
//!
//! Its time is virtual: each instruction takes 16 ns of it, whatever the host does. So runs repeat exactly, the clock's
//! interrupts included.

use std::io::{self, BufRead, BufReader, PipeReader, Read};
use std::net::TcpListener;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use anyhow::{Context, Result, ensure};

use super::child::{self, Marker};
use super::qemu_trace::{TraceReader, Words};
use super::{End, Job, Observer, Watch};
use crate::build::read;
use crate::process::{command, output, show, tied_command};

/// The Debian packages it comes in.
pub const PACKAGES: [&str; 1] = ["qemu-system-mips"];

const PROGRAM: &str = "qemu-system-mipsel";
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

/// The command as a person would type it.
pub fn command_line(job: &Job) -> String {
    let mut qemu = Command::new(PROGRAM);
    add_arguments(&mut qemu, job);
    show(&qemu)
}

fn add_arguments(qemu: &mut Command, job: &Job) {
    // With a person at the console time goes at the wall's pace.
    let sleep = if job.typed.is_some() { "on" } else { "off" };
    qemu.arg("-icount").arg(format!("shift={SHIFT},sleep={sleep}"));
    add_machine(qemu, job);
}

/// All but how time passes.
fn add_machine(qemu: &mut Command, job: &Job) {
    qemu.args(["-M", "malta", "-cpu", job.cpu.name(), "-m"]).arg(job.memory.unwrap_or(MEMORY).to_string());
    qemu.args(["-nodefaults", "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot"]);
    // How the guest has it exit.
    qemu.args(["-semihosting-config", "enable=on,target=native"]);
    if job.watch != Watch::Console {
        qemu.args(["-singlestep", "-d", "exec,nochain"]);
    }
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
    if job.watch == Watch::Console {
        return child::run(qemu, job, |reader, judged| child::read_console(reader, observer, judged));
    }
    let words = Words::of_image(&read(job.image)?)?;
    let mut marker = Marker::new(observer, job.watch);
    let mut trace = TraceReader::new(words);
    // The console has a pipe of its own, since QEMU does not wait where that is full, and a trace fills any pipe.
    let (console, output) = io::pipe().context("cannot make a pipe")?;
    let (sender, text) = mpsc::channel();
    let reading = thread::spawn(move || read_console(console, &sender));
    let end = child::run_with_output(qemu, job, Some(output), |reader, judged| {
        read_trace(reader, &text, &mut trace, &mut marker, judged)
    });
    // Nothing is left to be read where the machine has ended.
    let _ = reading.join();
    end
}

/// Passes on what is read until nothing is left or nobody wants it.
fn read_console(mut reader: PipeReader, text: &Sender<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = reader.read(&mut buffer) {
        if text.send(buffer[..count].to_vec()).is_err() {
            return;
        }
    }
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
