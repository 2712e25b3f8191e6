//! What the Ethernet of a run is connected to, and how that is written.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use ::decstation::segment::Faults;
use anyhow::{Context, Error, Result, ensure};

use super::door::Door;
use crate::ports;

/// A network to run on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Network {
    /// How many machines of the kind are on it, all with the same image.
    pub machines: usize,
    /// Whether the station is on it that sends what it is asked for ([`peer`](crate::peer)).
    pub peer: bool,
    /// What becomes of frames on their way.
    pub faults: Option<Faults>,
    /// Where all that passes is written.
    pub pcap: Option<PathBuf>,
    /// The two ends of a tunnel to other emulators: here and there.
    pub tunnel: Option<(SocketAddr, SocketAddr)>,
    /// QEMU's network for users without rights.
    pub user: Option<User>,
}

/// A network that QEMU makes: it answers DHCP, DNS and pings, and makes the machine's connections its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct User {
    /// A port of this host, and the machine's that connections to it are passed on to.
    pub forward: Option<(u16, u16)>,
}

impl User {
    /// QEMU's option for it, which gives it a name, and the door to the machine's port, if there is one: to be kept as long as QEMU is.
    pub fn netdev(self, name: &str) -> Result<(String, Option<Door>)> {
        let Some((here, there)) = self.forward else { return Ok((format!("user,id={name},ipv6=off"), None)) };
        let behind = ports::free()?;
        let netdev = format!("user,id={name},ipv6=off,hostfwd=tcp:127.0.0.1:{behind}-:{there}");
        Ok((netdev, Some(Door::open(here, behind)?)))
    }
}

impl Default for Network {
    fn default() -> Self {
        Self { machines: 1, peer: false, faults: None, pcap: None, tunnel: None, user: None }
    }
}

impl Network {
    /// Of a million frames so many are lost, doubled, late and damaged each.
    pub fn lose(&mut self, seed: u64, rate: u32) {
        let [loss, duplication, reordering, corruption] = [rate; 4];
        self.faults = Some(Faults { seed, loss, duplication, reordering, corruption, hidden_corruption: 0 });
    }
}

/// The most machines on a network.
const MACHINES_MAX: usize = 8;

impl FromStr for Network {
    type Err = Error;

    /// `N`, `peer`, `udp:HERE:THERE`, `user` and `user:HERE:THERE`, or several of them with commas between.
    fn from_str(text: &str) -> Result<Self> {
        let mut network = Self::default();
        let mut given = [false; 4];
        for word in text.split(',') {
            let machines = word.parse().ok().filter(|machines| (1..=MACHINES_MAX).contains(machines));
            let which = if word == "peer" {
                network.peer = true;
                0
            } else if let Some(ends) = word.strip_prefix("udp:") {
                network.tunnel = Some(tunnel(ends)?);
                1
            } else if word == "user" || word.starts_with("user:") {
                let forward = word.strip_prefix("user:").map(|ends| two_ports(word, ends)).transpose()?;
                network.user = Some(User { forward });
                3
            } else {
                network.machines = machines.with_context(|| {
                    format!(
                        "{word:?} is no network: a number of machines, 1 to {MACHINES_MAX}, peer, udp:HERE:THERE, or user"
                    )
                })?;
                2
            };
            ensure!(!std::mem::replace(&mut given[which], true), "{text:?} says the same twice");
        }
        Ok(network)
    }
}

/// The ends of a tunnel, each a port of this host.
fn tunnel(ends: &str) -> Result<(SocketAddr, SocketAddr)> {
    let (here, there) = two_ports(&format!("udp:{ends}"), ends)?;
    ensure!(here != there, "the ends of a tunnel are two ports, not {here} twice");
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Ok((at(here), at(there)))
}

/// Two ports with a colon between, of a word.
fn two_ports(word: &str, ends: &str) -> Result<(u16, u16)> {
    let port = |text: &str| text.parse().ok().filter(|&port| port != 0);
    let ports = ends.split_once(':').and_then(|(here, there)| Some((port(here)?, port(there)?)));
    let kind = word.split(':').next().unwrap_or_default();
    ports.with_context(|| format!("{word} lacks its two ports, {kind}:HERE:THERE, each 1 to 65535"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read() {
        let read = |text: &str| text.parse::<Network>().unwrap();
        assert_eq!(read("3"), Network { machines: 3, ..Network::default() });
        let both = read("peer,2,udp:7001:7002");
        assert!(both.peer && both.machines == 2);
        let ends = both.tunnel.map(|(here, there)| (here.to_string(), there.to_string()));
        assert_eq!(read("user").user, Some(User { forward: None }));
        assert_eq!(read("user:8080:80").user, Some(User { forward: Some((8080, 80)) }));
        assert_eq!(ends, Some(("127.0.0.1:7001".to_owned(), "127.0.0.1:7002".to_owned())));
    }

    #[test]
    fn mistakes_are_told() {
        for (text, message) in [
            ("", "\"\" is no network: a number of machines, 1 to 8, peer, udp:HERE:THERE, or user"),
            ("9", "\"9\" is no network: a number of machines, 1 to 8, peer, udp:HERE:THERE, or user"),
            ("2,0", "\"0\" is no network: a number of machines, 1 to 8, peer, udp:HERE:THERE, or user"),
            ("2,3", "\"2,3\" says the same twice"),
            ("udp:7001", "udp:7001 lacks its two ports, udp:HERE:THERE, each 1 to 65535"),
            ("udp:0:1", "udp:0:1 lacks its two ports, udp:HERE:THERE, each 1 to 65535"),
            ("udp:1:65536", "udp:1:65536 lacks its two ports, udp:HERE:THERE, each 1 to 65535"),
            ("user:80", "user:80 lacks its two ports, user:HERE:THERE, each 1 to 65535"),
            ("user:0:80", "user:0:80 lacks its two ports, user:HERE:THERE, each 1 to 65535"),
            ("user,user:1:2", "\"user,user:1:2\" says the same twice"),
            ("udp:7:7", "the ends of a tunnel are two ports, not 7 twice"),
        ] {
            assert_eq!(text.parse::<Network>().unwrap_err().to_string(), message);
        }
    }
}
