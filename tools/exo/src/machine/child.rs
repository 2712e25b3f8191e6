//! A machine that is a program of its own, driven as a child process.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::ops::ControlFlow;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{End, Job, Mark, Observer, Step, Typed, Watch};
use crate::process::show;

/// How long the machine may take to halt once the verdict is known.
const GRACE: Duration = Duration::from_secs(1);

/// Starts a machine and has `read` read all that it writes, until it ends or time is up. `read` passes on what its
/// observer says to console text. The machine's standard input stays open and silent. Its standard output and its
/// standard error come in order, through one pipe.
pub fn run(
    machine: Command,
    job: &Job,
    read: impl FnOnce(PipeReader, &mut dyn FnMut(ControlFlow<()>)) -> io::Result<()>,
) -> Result<End> {
    run_with_output(machine, job, None, read)
}

/// The same, but standard output, if there is an `output`, goes there and only standard error is read.
pub fn run_with_output(
    mut machine: Command,
    job: &Job,
    output: Option<PipeWriter>,
    read: impl FnOnce(PipeReader, &mut dyn FnMut(ControlFlow<()>)) -> io::Result<()>,
) -> Result<End> {
    let name = show(&machine);
    let (reader, writer) = io::pipe().context("cannot make a pipe")?;
    let output = output.map_or_else(|| writer.try_clone(), Ok)?;
    machine.stdin(Stdio::piped()).stdout(output).stderr(writer);
    let mut child = machine.spawn().with_context(|| format!("cannot start {name}"))?;
    // The command holds the writing ends, without which the pipe would never end.
    drop(machine);
    let stdin = child.stdin.take().expect("it is piped");

    let (deadline, deadlines) = mpsc::channel();
    let limit = Instant::now() + job.timeout;
    let (over, ended) = mpsc::channel();
    let typed = job.typed.clone();
    let ending = deadline.clone();
    let typist = thread::spawn(move || pass_on(typed, stdin, &ended, &ending));
    let watchdog = thread::spawn(move || watch(child, limit, &deadlines));

    let mut verdict_due = true;
    let mut judged = |flow: ControlFlow<()>| {
        if flow.is_break() && verdict_due {
            verdict_due = false;
            // The watchdog has gone only if the child has, too.
            let _ = deadline.send(Instant::now() + GRACE);
        }
    };
    let read = read(reader, &mut judged);
    drop(over);
    drop(deadline);
    // It keeps the machine's input open as long as the machine runs.
    typist.join().expect("the typist does not panic");
    let in_time = watchdog.join().expect("the watchdog does not panic");
    read.with_context(|| format!("cannot read what {name} writes"))?;
    Ok(if in_time || !verdict_due { End::Stopped } else { End::TimedOut(None) })
}

/// Passes on what is typed, until the run is over; has it end when the person leaves.
fn pass_on(typed: Option<Typed>, mut stdin: ChildStdin, ended: &Receiver<()>, deadline: &Sender<Instant>) {
    const PAUSE: Duration = Duration::from_millis(20);
    let Some(typed) = typed else {
        let _ = ended.recv();
        return;
    };
    while ended.try_recv() == Err(TryRecvError::Empty) {
        if typed.is_left() {
            let _ = deadline.send(Instant::now());
        }
        if let Some(bytes) = typed.take(PAUSE)
            && stdin.write_all(&bytes).and_then(|()| stdin.flush()).is_err()
        {
            return;
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

/// Reads a machine that writes nothing but its guest's console.
pub fn read_console(
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

/// Finds the marks among the instructions of a trace.
pub struct Marker<'a> {
    observer: &'a mut dyn Observer,
    /// Instructions so far, without marks.
    executed: u64,
    watch: Watch,
}

impl<'a> Marker<'a> {
    /// Tells the observer what it wants to know.
    pub fn new(observer: &'a mut dyn Observer, watch: Watch) -> Self {
        Self { observer, executed: 0, watch }
    }
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
