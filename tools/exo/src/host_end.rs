//! What this host does while a test runs that is on QEMU's network: it serves files, takes a connection, or visits. So the
//! machine's code meets what nobody here has written: the host's TCP, a server of NFS, curl.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use adler2::Adler32;
use anyhow::{Context, Result, anyhow, ensure};

use crate::file_server::{self, FileServer};
use crate::machine::User;
use crate::ports;
use crate::process::{command, output};
use crate::setup::{Need, ensure_all};
use crate::workspace::Workspace;

/// The Debian package of who visits.
pub const PACKAGES: [&str; 1] = ["curl"];

/// Bytes of a stream, each way.
const BYTES: usize = 10 << 20;
/// A stream is these again and again: as many as no buffer has, so that what is lost or doubled shows.
const BLOCK: usize = 3001;
/// How long either side of a connection may be silent.
const SILENCE: Duration = Duration::from_secs(120);

/// The machine's port that is visited.
const PORT: u16 = 80;
/// What is fetched, how often, and by how many at once.
const PATH: &str = "motd";
const VISITS: usize = 1000;
const AT_ONCE: usize = 16;

/// What it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It serves files by NFS ([`FileServer`]).
    Files,
    /// It takes a connection through which 10 MB go each way.
    Stream,
    /// It visits the machine by HTTP: 1,000 times, 16 at once, with curl.
    Visits,
}

impl Role {
    /// The one that a directive means.
    pub fn named(key: &str, value: &str) -> Option<Self> {
        match (key, value) {
            ("server", "nfs") => Some(Self::Files),
            ("server", "stream") => Some(Self::Stream),
            ("client", "curl") => Some(Self::Visits),
            _ => None,
        }
    }

    /// Why it can't be had here, if it can't. What it needs is installed, if that can be done.
    pub fn prepare(self, workspace: &Workspace) -> Result<()> {
        match self {
            Self::Files => {
                ensure_all(workspace, &[Need::FileServer])?;
                file_server::check()
            }
            Self::Stream => Ok(()),
            Self::Visits => ensure_all(workspace, &[Need::Visitor]),
        }
    }
}

/// It, while the machine runs.
pub enum HostEnd {
    /// The server of files.
    Files(FileServer),
    /// What goes on in a thread of its own: until it is through, or the machine has ended.
    Running {
        /// What the machine is told of it.
        argument: String,
        ended: Arc<AtomicBool>,
        thread: JoinHandle<Result<()>>,
    },
}

impl HostEnd {
    /// Begins. What is visited is passed on by the network.
    pub fn start(role: Role, workspace: &Workspace, network: &mut User) -> Result<Self> {
        let ended = Arc::new(AtomicBool::new(false));
        let has_ended = Arc::clone(&ended);
        match role {
            Role::Files => FileServer::start(network).map(Self::Files),
            Role::Stream => {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot open a port")?;
                let argument = format!(",10.0.2.2,{}", listener.local_addr()?.port());
                let thread = thread::spawn(move || exchange(&accept(&listener, &has_ended)?));
                Ok(Self::Running { argument, ended, thread })
            }
            Role::Visits => {
                let port = ports::free()?;
                network.forward = Some((port, PORT));
                let path = workspace.root.join(crate::build::FILES).join(PATH);
                let content = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
                let thread = thread::spawn(move || visit(port, &content, &has_ended));
                Ok(Self::Running { argument: String::new(), ended, thread })
            }
        }
    }

    /// What the test's first program is told.
    pub fn argument(&self) -> String {
        match self {
            Self::Files(server) => server.argument(),
            Self::Running { argument, .. } => argument.clone(),
        }
    }

    /// The machine has ended: whether all was as it is to be.
    pub fn finish(self) -> Result<()> {
        match self {
            Self::Files(server) => server.compare(),
            Self::Running { ended, thread, .. } => {
                ended.store(true, Ordering::Relaxed);
                thread.join().map_err(|_| anyhow!("this host's end of the network has panicked"))?
            }
        }
    }
}

/// Waits for the one connection.
fn accept(listener: &TcpListener, ended: &AtomicBool) -> Result<TcpStream> {
    listener.set_nonblocking(true)?;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("cannot take a connection"),
        }
        ensure!(!ended.load(Ordering::Relaxed), "the machine has not connected to this host");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The host's end of a stream as `tests/src/long.rs` has it: bytes and their sum each way at once, and the sums are compared.
fn exchange(stream: &TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    thread::scope(|scope| {
        let sending = scope.spawn(|| send(stream).context("this host's bytes did not get through"));
        let received = receive(stream);
        let sent = sending.join().map_err(|_| anyhow!("this host's end of the stream has panicked"))?;
        received.and(sent)
    })
}

fn send(mut stream: &TcpStream) -> Result<()> {
    let block: Vec<u8> = (0..BLOCK as u32).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
    let mut sum = Adler32::new();
    let mut left = BYTES;
    while left > 0 {
        let piece = &block[..left.min(BLOCK)];
        stream.write_all(piece)?;
        sum.write_slice(piece);
        left -= piece.len();
    }
    Ok(stream.write_all(&sum.checksum().to_be_bytes())?)
}

fn receive(mut stream: &TcpStream) -> Result<()> {
    let mut sum = Adler32::new();
    let mut piece = [0; 8192];
    let mut left = BYTES;
    while left > 0 {
        let most = left.min(piece.len());
        let count = stream.read(&mut piece[..most]).with_context(|| format!("{left} bytes are left"))?;
        ensure!(count != 0, "the machine has closed its stream, and {left} bytes are left");
        sum.write_slice(&piece[..count]);
        left -= count;
    }
    let mut told = [0; 4];
    stream.read_exact(&mut told).context("the machine does not tell its sum")?;
    ensure!(u32::from_be_bytes(told) == sum.checksum(), "what came of the machine's stream has another sum");
    Ok(())
}

/// Visits until there is an answer, then as often and by as many as it is to be; each has the file.
fn visit(port: u16, content: &[u8], ended: &AtomicBool) -> Result<()> {
    let directory = tempfile::tempdir().context("cannot make a directory for what is fetched")?;
    // Nobody may listen yet, which shows as a connection that is closed.
    while fetch(port, directory.path(), 0..1).is_err() {
        ensure!(!ended.load(Ordering::Relaxed), "the machine has answered nobody");
        thread::sleep(Duration::from_millis(100));
    }
    fetch(port, directory.path(), 1..VISITS).context("not all were answered")?;
    for number in 0..VISITS {
        let fetched = fs::read(directory.path().join(number.to_string())).unwrap_or_default();
        ensure!(fetched == content, "visitor {number} got {:?}", String::from_utf8_lossy(&fetched));
    }
    Ok(())
}

/// Has curl fetch it for each of some numbers, which are the names of the files that it makes. What is behind `#` is not sent.
fn fetch(port: u16, to: &Path, numbers: std::ops::Range<usize>) -> Result<()> {
    let mut curl = command("curl");
    curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time"]);
    curl.arg(SILENCE.as_secs().to_string());
    curl.args(["--parallel", "--parallel-immediate", "--parallel-max"]).arg(AT_ONCE.to_string());
    curl.arg("--output").arg(to.join("#1"));
    curl.arg(format!("http://127.0.0.1:{port}/{PATH}#[{}-{}]", numbers.start, numbers.end - 1));
    output(&mut curl).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_a_stream_agree() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let other = thread::spawn(move || exchange(&TcpStream::connect(address).unwrap()));
        exchange(&accept(&listener, &AtomicBool::new(false)).unwrap()).unwrap();
        other.join().unwrap().unwrap();
    }

    #[test]
    fn who_closes_early_or_lies_is_told_of() {
        let told = |act: fn(TcpStream)| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let other = thread::spawn(move || act(TcpStream::connect(address).unwrap()));
            let error = exchange(&accept(&listener, &AtomicBool::new(false)).unwrap()).unwrap_err();
            other.join().unwrap();
            error.to_string()
        };
        let early = told(drop);
        assert!(early.contains("bytes are left"), "{early}");
        let wrong = told(|mut stream| {
            let mut reader = stream.try_clone().unwrap();
            let reading = thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
            stream.write_all(&vec![7; BYTES + 4]).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let _ = reading.join().unwrap();
        });
        assert_eq!(wrong, "what came of the machine's stream has another sum");
        let nobody = accept(&TcpListener::bind("127.0.0.1:0").unwrap(), &AtomicBool::new(true)).unwrap_err();
        assert_eq!(nobody.to_string(), "the machine has not connected to this host");
    }
}
