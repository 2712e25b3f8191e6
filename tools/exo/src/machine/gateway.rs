//! QEMU's network for users without rights, for a machine that QEMU does not make: a QEMU without a machine, at the other end
//! of a tunnel of UDP, of which each datagram is a frame without its check sequence.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Stdio};

use anyhow::{Context, Error, Result, bail, ensure};

use super::door::Door;
use super::malta::{PACKAGES, PROGRAM};
use super::network::User;
use crate::ports;
use crate::process::{tied_command, which};

/// The gateway, until it is dropped.
pub struct Gateway {
    qemu: Child,
    _door: Option<Door>,
}

impl Gateway {
    /// Starts it, and chooses the two ends of the tunnel: the machine's, and the gateway's own.
    pub fn start(user: User) -> Result<(Self, [SocketAddr; 2])> {
        ensure!(which(PROGRAM).is_some(), "--net user needs {PROGRAM}; Debian has it in {}", PACKAGES.join(" "));
        let free = || Ok::<_, Error>(SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()?)));
        let (machine, own) = (free()?, free()?);
        let mut qemu = tied_command(PROGRAM);
        qemu.args(["-M", "none", "-nodefaults", "-display", "none", "-qmp", "stdio"]);
        let end =
            |which, at: SocketAddr| format!("{which}.type=inet,{which}.host={},{which}.port={}", at.ip(), at.port());
        let tunnel = format!("dgram,id=tunnel,{},{}", end("local", own), end("remote", machine));
        let (user, door) = user.netdev("user")?;
        for netdev in [user, tunnel] {
            qemu.arg("-netdev").arg(netdev);
        }
        for (port, of) in [("a", "user"), ("b", "tunnel")] {
            qemu.arg("-netdev").arg(format!("hubport,id={port},hubid=0,netdev={of}"));
        }
        qemu.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut gateway = Self { qemu: qemu.spawn().context("cannot start QEMU")?, _door: door };
        gateway.wait_until_ready().context("QEMU makes no network")?;
        Ok((gateway, [machine, own]))
    }

    /// It answers the first command on its standard input once it has opened all that it was told to.
    fn wait_until_ready(&mut self) -> Result<()> {
        let Child { stdin: Some(stdin), stdout: Some(stdout), stderr: Some(stderr), .. } = &mut self.qemu else {
            bail!("it has no pipes");
        };
        // If it has ended already, the reason is on its standard error.
        let _ = stdin.write_all(b"{\"execute\":\"qmp_capabilities\"}\n");
        let answered = BufReader::new(stdout).lines().map_while(Result::ok).any(|line| line.contains("\"return\""));
        if answered {
            return Ok(());
        }
        let mut said = String::new();
        let _ = stderr.read_to_string(&mut said);
        bail!("{}", said.lines().next_back().unwrap_or("it ended and said nothing"));
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}
