//! A tunnel to other emulators on this host: a UDP datagram is a raw Ethernet frame without its check sequence.
//!
//! GXemul's `net(local_port(A) add_remote("127.0.0.1:B"))` and QEMU's `-netdev dgram` speak it. Datagrams come in the host's
//! time, so no run with a tunnel repeats.

use crate::lance::{FCS, MAX_FRAME, MIN_FRAME, fcs_fits};
use std::io;
use std::net::{SocketAddr, UdpSocket};

/// Bytes of addresses and type.
const HEADER: usize = 14;

/// The tunnel.
#[derive(Debug)]
pub struct Tunnel {
    socket: UdpSocket,
    remotes: Vec<SocketAddr>,
    refused: u64,
}

impl Tunnel {
    /// Receives at one address of this host and sends to others of it. Others than loop-back addresses are an error: the
    /// frames would leave the host.
    pub fn new(local: SocketAddr, remotes: Vec<SocketAddr>) -> io::Result<Tunnel> {
        for address in [local].iter().chain(&remotes) {
            if !address.ip().is_loopback() {
                let message = format!("{address} is not a loop-back address");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        }
        let socket = UdpSocket::bind(local)?;
        socket.set_nonblocking(true)?;
        Ok(Tunnel { socket, remotes, refused: 0 })
    }

    /// Where it receives.
    pub fn local(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Sends a frame as it was on the cable. What no bridge lets through stays here: wrong check sequences, too short, too
    /// long. A remote that is not there is not told from one that is.
    pub fn send(&mut self, frame: &[u8]) {
        if !(MIN_FRAME..=MAX_FRAME).contains(&frame.len()) || !fcs_fits(frame) {
            self.refused += 1;
            return;
        }
        for remote in &self.remotes {
            let _ = self.socket.send_to(&frame[..frame.len() - FCS], remote);
        }
    }

    /// The next frame from outside, if there is one: without padding and check sequence.
    pub fn receive(&mut self) -> Option<Vec<u8>> {
        let mut buffer = [0; 0x1_0000];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(length) if (HEADER..=MAX_FRAME - FCS).contains(&length) => return Some(buffer[..length].to_vec()),
                Ok(_) => self.refused += 1,
                // That nobody listened to an earlier datagram is told here, and is nothing to us.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(_) => return None,
            }
        }
    }

    /// Frames and datagrams that did not get through.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}
