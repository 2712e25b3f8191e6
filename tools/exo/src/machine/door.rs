//! The way into QEMU's network from a port of this host.
//!
//! QEMU listens with room for one call. Of several that come at once Linux drops the others' last step: their callers take them for
//! connections, and what they send is put again at ever longer intervals, up to minutes. So this takes the calls, with the room that
//! Linux gives, and passes them on one after another: the next one when the machine has said something to the one before, or that
//! is over, or it was silent for a while.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};

/// How long a machine that says nothing holds up the next call. Some wait for what the caller says.
const SILENCE: Duration = Duration::from_secs(1);
/// How often to look whether the door is to be closed.
const LOOK: Duration = Duration::from_millis(10);

/// The door, until it is dropped. What came through it goes on until it ends by itself.
pub struct Door {
    closed: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Door {
    /// Takes calls to the port `here` and passes them on to the port `to`, both of this host.
    pub fn open(here: u16, to: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, here))
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .with_context(|| format!("cannot open port {here} of this host"))?;
        let closed = Arc::new(AtomicBool::new(false));
        let is_closed = Arc::clone(&closed);
        let thread = thread::spawn(move || {
            while !is_closed.load(Ordering::Relaxed) {
                match listener.accept() {
                    // Who can't be passed on is told by the end of the connection.
                    Ok((caller, _)) => drop(pass_on(caller, to)),
                    // Nobody calls, or one has given up.
                    Err(_) => thread::sleep(LOOK),
                }
            }
        });
        Ok(Self { closed, thread: Some(thread) })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        // It does not panic.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Connects a caller, and waits until the next one may be.
fn pass_on(caller: TcpStream, to: u16) -> io::Result<()> {
    caller.set_nonblocking(false)?;
    let machine = TcpStream::connect((Ipv4Addr::LOCALHOST, to))?;
    for end in [&caller, &machine] {
        end.set_nodelay(true)?;
    }
    let (there, back) = (machine.try_clone()?, caller.try_clone()?);
    let (says, said): (Sender<()>, Receiver<()>) = channel();
    thread::spawn(move || copy(caller, there, None));
    thread::spawn(move || copy(machine, back, Some(says)));
    // Whatever ends this is all right.
    let _ = said.recv_timeout(SILENCE);
    Ok(())
}

/// Copies what comes from one end to the other, until one of them ends; tells once that something came, or that nothing will.
fn copy(mut from: TcpStream, mut to: TcpStream, mut says: Option<Sender<()>>) {
    let mut bytes = [0; 8192];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        drop(says.take());
        if to.write_all(&bytes[..count]).is_err() {
            // Nobody wants more.
            let _ = from.shutdown(Shutdown::Read);
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports;

    /// A listener like QEMU's, which takes a call when it is told to.
    fn machine() -> (TcpListener, u16) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    #[test]
    fn calls_are_passed_on_one_after_another() {
        let (listener, to) = machine();
        let here = ports::free().unwrap();
        let door = Door::open(here, to).unwrap();
        let mut callers: Vec<_> = (0..16).map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, here)).unwrap()).collect();
        for (number, caller) in callers.iter_mut().enumerate() {
            caller.write_all(&[number as u8]).unwrap();
        }
        // Linux keeps the order of those that wait.
        for number in 0..16 {
            let (mut taken, _) = listener.accept().unwrap();
            let mut byte = [0];
            taken.read_exact(&mut byte).unwrap();
            assert_eq!(byte, [number]);
            taken.write_all(&[!number]).unwrap();
            callers[usize::from(number)].read_exact(&mut byte).unwrap();
            assert_eq!(byte, [!number]);
        }
        drop(door);
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, here)).is_err(), "it is closed");
    }

    #[test]
    fn ends_are_passed_on_each_way() {
        let (listener, to) = machine();
        let here = ports::free().unwrap();
        let _door = Door::open(here, to).unwrap();
        let mut caller = TcpStream::connect((Ipv4Addr::LOCALHOST, here)).unwrap();
        let (mut taken, _) = listener.accept().unwrap();
        caller.write_all(b"all").unwrap();
        caller.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        taken.read_to_string(&mut text).unwrap();
        taken.write_all(b"back").unwrap();
        drop(taken);
        caller.read_to_string(&mut text).unwrap();
        assert_eq!(text, "allback");
    }

    #[test]
    fn nobody_behind_it_is_an_end_and_a_taken_port_an_error() {
        let here = ports::free().unwrap();
        let _door = Door::open(here, ports::free().unwrap()).unwrap();
        let mut caller = TcpStream::connect((Ipv4Addr::LOCALHOST, here)).unwrap();
        assert_eq!(caller.read(&mut [0]).unwrap_or(0), 0);
        let error = format!("{:#}", Door::open(here, 1).err().unwrap());
        assert!(error.starts_with(&format!("cannot open port {here} of this host: ")), "{error}");
    }
}
