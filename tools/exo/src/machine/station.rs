//! The station that answers questions, for an emulator that is a process of its own: over datagram sockets on this host, of
//! which each datagram is a frame without its check sequence.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{peer, ports};

/// The station, until it is dropped, which is when the emulator is no more.
pub struct Station {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// Where its sockets are, if they are files.
    _directory: Option<TempDir>,
}

/// How long either end waits for the other.
const PATIENCE: Duration = Duration::from_millis(50);

impl Station {
    /// Opens its end of a tunnel of UDP, and chooses a place for the other; the two places, its own first. Datagrams that
    /// come too fast are lost.
    pub fn on_udp() -> Result<(Self, [SocketAddr; 2])> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot open a tunnel")?;
        let here = socket.local_addr()?;
        let there = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()?));
        socket.set_read_timeout(Some(PATIENCE))?;
        let sender = socket.try_clone()?;
        let send = move |frame: &[u8]| sender.send_to(frame, there).map(|_| ());
        Ok((Self::start(None, move |frame| socket.recv(frame), send), [here, there]))
    }

    /// The same with sockets that are files, which lose nothing: who sends waits.
    pub fn on_files() -> Result<(Self, [PathBuf; 2])> {
        let directory = tempfile::tempdir().context("cannot make a directory for a tunnel")?;
        let [here, there] = ["station", "machine"].map(|name| directory.path().join(name));
        let socket = UnixDatagram::bind(&here).context("cannot open a tunnel")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let (sender, to) = (socket.try_clone()?, there.clone());
        let send = move |frame: &[u8]| sender.send_to(frame, &to).map(|_| ());
        Ok((Self::start(Some(directory), move |frame| socket.recv(frame), send), [here, there]))
    }

    fn start(
        directory: Option<TempDir>,
        receive: impl Fn(&mut [u8]) -> io::Result<usize> + Send + 'static,
        send: impl Fn(&[u8]) -> io::Result<()> + Send + 'static,
    ) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        let is_over = move || ended.load(Ordering::Relaxed);
        let thread = thread::spawn(move || {
            let mut frame = [0; 1 << 16];
            while !is_over() {
                let Ok(length) = receive(&mut frame) else { continue };
                for reply in peer::answer(&frame[..length]) {
                    let mut data = reply.data;
                    if !reply.as_it_is {
                        data.resize(data.len().max(60), 0);
                    }
                    // The machine may be too busy to take it. That it is gone nobody is told, as on any cable.
                    while send(&data).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) && !is_over() {}
                }
            }
        });
        Self { over, thread: Some(thread), _directory: directory }
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
