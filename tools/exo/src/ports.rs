//! Ports of this host for programs that open them themselves, a moment after they were chosen.
//!
//! They are below those that Linux gives out by itself (from 32768 on), so that no connection gets one in that moment, and
//! none is chosen twice.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

const PORTS: Range<u16> = 12_000..32_000;

/// A port that nobody has, of TCP or of UDP.
pub fn free() -> Result<u16> {
    // Others on this host choose, too: each begins elsewhere.
    static NEXT: OnceLock<AtomicU32> = OnceLock::new();
    let next = NEXT.get_or_init(|| AtomicU32::new(RandomState::new().hash_one(0) as u32 >> 1));
    let mut tried = PORTS.map(|_| PORTS.start + (next.fetch_add(1, Ordering::Relaxed) % PORTS.len() as u32) as u16);
    tried.find(|&port| is_free(port)).context("no port of this host is free")
}

fn is_free(port: u16) -> bool {
    let all = [SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))];
    // Those of the later version may be both's; where there is none of it the earlier one decides.
    let opens = |at: &SocketAddr| TcpListener::bind(at).is_ok() && UdpSocket::bind(at).is_ok();
    opens(&all[0]) && (opens(&all[1]) || UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_not_given() {
        let port = free().unwrap();
        assert!(PORTS.contains(&port) && is_free(port));
        let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(!is_free(port));
        drop(taken);
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(!is_free(port));
        assert_ne!(free().unwrap(), port);
    }
}
