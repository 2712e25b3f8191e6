//! What this host does while a test runs that is on QEMU's network: it serves files, takes a connection, or visits. So the
//! machine's code meets what nobody here has written: the host's TCP, a server of NFS, curl.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use adler2::Adler32;
use anyhow::{Context, Result, anyhow, ensure};

use crate::file_server::{self, FileServer};
use crate::machine::{Typed, User};
use crate::ports;
use crate::setup::{Need, ensure_all};
use crate::visitors::{self, Visitor};
use crate::workspace::Workspace;

/// Bytes of a stream, each way.
const BYTES: usize = 10 << 20;
/// A stream is these again and again: as many as no buffer has, so that what is lost or doubled shows.
const BLOCK: usize = 3001;
/// How long either side of a connection may be silent.
const SILENCE: Duration = Duration::from_secs(120);

/// What it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It serves files by NFS ([`FileServer`]).
    Files,
    /// It takes a connection through which 10 MB go each way.
    Stream,
    /// It visits the machine by HTTP.
    Visits(Visitor),
}

impl Role {
    /// The one that a directive means.
    pub fn named(key: &str, value: &str) -> Option<Self> {
        match (key, value) {
            ("server", "nfs") => Some(Self::Files),
            ("server", "stream") => Some(Self::Stream),
            ("client", name) => Visitor::named(name).map(Self::Visits),
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
            Self::Visits(_) => ensure_all(workspace, &[Need::Visitors]),
        }
    }
}

/// It, while the machine runs.
pub enum HostEnd {
    /// The server of files.
    Files(FileServer),
    /// Who takes a connection: until it is through, or the machine has ended.
    Stream {
        /// What the machine is told of it.
        argument: String,
        ended: Arc<AtomicBool>,
        thread: JoinHandle<Result<()>>,
    },
    /// Who visits, once it is told that it may.
    Visits {
        ready: Sender<()>,
        /// By whose leaving the machine ends, if it does not end by itself.
        typed: Option<Typed>,
        thread: JoinHandle<Result<()>>,
    },
}

impl HostEnd {
    /// Begins. What is visited is passed on by the network.
    pub fn start(role: Role, workspace: &Workspace, network: &mut User) -> Result<Self> {
        match role {
            Role::Files => FileServer::start(network).map(Self::Files),
            Role::Stream => {
                let ended = Arc::new(AtomicBool::new(false));
                let has_ended = Arc::clone(&ended);
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot open a port")?;
                let argument = format!(",10.0.2.2,{}", listener.local_addr()?.port());
                let thread = thread::spawn(move || exchange(&accept(&listener, &has_ended)?));
                Ok(Self::Stream { argument, ended, thread })
            }
            Role::Visits(visitor) => {
                let port = ports::free()?;
                network.forward = Some((port, visitors::PORT));
                let path = workspace.root.join(crate::build::FILES).join(visitors::PATH);
                let content = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
                let (ready, is_ready) = channel();
                let left = Arc::new(AtomicBool::new(false));
                let (keyboard, keys) = channel();
                let typed = visitor.ends_machine().then(|| Typed::new(keys, Arc::clone(&left)));
                let visit = move || {
                    let result = visitor.visit(port, &content, &is_ready);
                    left.store(true, Ordering::Relaxed);
                    // Nothing was typed, but until now somebody could have.
                    drop(keyboard);
                    result
                };
                Ok(Self::Visits { ready, typed, thread: thread::spawn(visit) })
            }
        }
    }

    /// What the test's first program is told.
    pub fn argument(&self) -> String {
        match self {
            Self::Files(server) => server.argument(),
            Self::Stream { argument, .. } => argument.clone(),
            Self::Visits { .. } => String::new(),
        }
    }

    /// Who leaves the machine's console when it is through, if the machine is to end then.
    pub fn typed(&self) -> Option<Typed> {
        match self {
            Self::Visits { typed, .. } => typed.clone(),
            Self::Files(_) | Self::Stream { .. } => None,
        }
    }

    /// The console shows this line.
    pub fn sees(&self, line: &str) {
        if let Self::Visits { ready, .. } = self
            && line.ends_with(visitors::READY)
        {
            // If it has given up already it says so in the end.
            let _ = ready.send(());
        }
    }

    /// The machine has ended: whether all was as it is to be.
    pub fn finish(self) -> Result<()> {
        let thread = match self {
            Self::Files(server) => return server.compare(),
            Self::Stream { ended, thread, .. } => {
                ended.store(true, Ordering::Relaxed);
                thread
            }
            Self::Visits { ready, thread, .. } => {
                drop(ready);
                thread
            }
        };
        thread.join().map_err(|_| anyhow!("this host's end of the network has panicked"))?
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
