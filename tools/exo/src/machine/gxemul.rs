//! GXemul's DECstation 5000/200, driven as a child process.
//!
//! What it needs from its driver: a standard input that stays open and silent, since it loops for ever at end of file; a
//! standard output that is not block-buffered, since what is in the buffer is lost when it is killed; a time-out; and no
//! attention to its exit status, which is 0 whatever the guest did.

use std::io::{self, BufRead, BufReader, PipeReader, Read};
use std::ops::ControlFlow;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::gxemul_trace::TraceReader;
use super::{End, Job, Mark, Observer, Step, Watch};
use crate::process::{command, show, tied_command, which};

/// The Debian packages it comes in.
pub const PACKAGES: [&str; 1] = ["gxemul"];

/// How long the machine may take to halt once the verdict is known.
const GRACE: Duration = Duration::from_secs(1);

/// The version, from the first line of its help. With which status it ends after it varies.
pub fn version() -> Result<String> {
    let help = command("gxemul").arg("-h").stdin(Stdio::null()).output().context("cannot start gxemul")?;
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let name = help.lines().next().unwrap_or_default().split("  ").next().unwrap_or_default().trim();
    ensure!(name.starts_with("GXemul"), "`gxemul -h` does not tell a version");
    ensure!(which("stdbuf").is_some(), "stdbuf is not there (package coreutils)");
    Ok(name.to_owned())
}

/// The command as a person would type it.
pub fn command_line(job: &Job) -> String {
    let mut gxemul = Command::new("gxemul");
    add_arguments(&mut gxemul, job);
    format!("(sleep 60) | {}", show(&gxemul))
}

fn add_arguments(gxemul: &mut Command, job: &Job) {
    gxemul.args(["-q", "-A", "-e", "3max"]);
    if let Some(megabytes) = job.memory {
        gxemul.arg("-M").arg(megabytes.to_string());
    }
    if job.watch != Watch::Console {
        gxemul.arg("-i");
    }
    gxemul.arg("-o").arg(job.arguments).arg(job.image);
}

/// Runs it to its end.
pub fn run(job: &Job, observer: &mut dyn Observer) -> Result<End> {
    let mut gxemul = tied_command("stdbuf");
    let traced = job.watch != Watch::Console;
    // A trace is too long to be written line by line.
    gxemul.arg(if traced { "-o1M" } else { "-oL" }).arg("gxemul");
    add_arguments(&mut gxemul, job);

    // One pipe for both streams keeps what is written to them in order.
    let (reader, writer) = io::pipe().context("cannot make a pipe")?;
    gxemul.stdin(Stdio::piped()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = gxemul.spawn().with_context(|| format!("cannot start {}", show(&gxemul)))?;
    // The command holds the writing ends, without which the pipe would never end.
    drop(gxemul);
    let stdin = child.stdin.take();

    let (deadline, deadlines) = mpsc::channel();
    let limit = Instant::now() + job.timeout;
    let watchdog = thread::spawn(move || watch(child, limit, &deadlines));

    let mut verdict_due = true;
    let mut judged = |flow: ControlFlow<()>| {
        if flow.is_break() && verdict_due {
            verdict_due = false;
            // The watchdog has gone only if the child has, too.
            let _ = deadline.send(Instant::now() + GRACE);
        }
    };
    let read = match traced {
        true => read_trace(reader, &mut Marker { observer, executed: 0, watch: job.watch }, &mut judged),
        false => read_console(reader, observer, &mut judged),
    };
    drop(deadline);
    let in_time = watchdog.join().expect("the watchdog does not panic");
    drop(stdin);
    read.context("cannot read what gxemul writes")?;
    Ok(if in_time || !verdict_due { End::Stopped } else { End::TimedOut(None) })
}

/// Finds the marks among the instructions of a trace.
struct Marker<'a> {
    observer: &'a mut dyn Observer,
    /// Instructions so far, without marks.
    executed: u64,
    watch: Watch,
}

impl Observer for Marker<'_> {
    fn console(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        self.observer.console(bytes)
    }

    fn instruction(&mut self, step: Step) {
        match step.mark() {
            Some(immediate) => self.observer.mark(Mark { immediate, instructions: self.executed, cycles: None }),
            None => self.executed += 1,
        }
        if self.watch == Watch::Instructions {
            self.observer.instruction(step);
        }
    }
}

/// Ends the child at the deadline, or as soon as nobody listens any more. Tells whether it was in time.
fn watch(mut child: Child, mut limit: Instant, deadlines: &mpsc::Receiver<Instant>) -> bool {
    let in_time = loop {
        match deadlines.recv_timeout(limit.saturating_duration_since(Instant::now())) {
            Ok(sooner) => limit = limit.min(sooner),
            Err(RecvTimeoutError::Timeout) => break false,
            Err(RecvTimeoutError::Disconnected) => break true,
        }
    };
    // Both fail only if it is gone already.
    let _ = child.kill();
    let _ = child.wait();
    in_time
}

fn read_console(
    mut reader: PipeReader,
    observer: &mut dyn Observer,
    judged: &mut dyn FnMut(ControlFlow<()>),
) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(()),
            count => judged(observer.console(&buffer[..count])),
        }
    }
}

fn read_trace(
    reader: PipeReader,
    observer: &mut dyn Observer,
    judged: &mut dyn FnMut(ControlFlow<()>),
) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 20, reader);
    let mut trace = TraceReader::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        // Nothing of a line is long, but a guest must not be able to fill the memory.
        if (&mut reader).take(1 << 16).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        judged(trace.line(&line, observer));
    }
}
