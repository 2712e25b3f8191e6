//! GXemul's DECstation 5000/200, driven as a child process.
//!
//! What it needs from its driver: a standard input that stays open and silent, since it loops for ever at end of file; a
//! standard output that is not block-buffered, since what is in the buffer is lost when it is killed; a time-out; and no
//! attention to its exit status, which is 0 whatever the guest did.

use std::io::{self, BufRead, BufReader, PipeReader, Read, Write};
use std::ops::ControlFlow;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::NamedTempFile;

use super::child::{self, Marker};
use super::gateway::Gateway;
use super::gxemul_trace::TraceReader;
use super::station::Station;
use super::{End, Job, Network, Observer, Watch};
use crate::process::{command, show, tied_command, which};

/// The Debian packages it comes in.
pub const PACKAGES: [&str; 1] = ["gxemul"];

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

/// Who is at the other end of its cable, for as long as this is kept.
enum Other {
    Station(#[expect(dead_code, reason = "it is kept")] Station),
    Gateway(#[expect(dead_code, reason = "it is kept")] Gateway),
}

/// The same with its Ethernet connected, which only a configuration file can say. It is there, and who is at the other end,
/// if that is asked for, for as long as what this gives is kept.
fn add_networked(gxemul: &mut Command, job: &Job, network: &Network) -> Result<(NamedTempFile, Option<Other>)> {
    ensure!(network.machines == 1, "gxemul is one machine; --net {} is the model's", network.machines);
    let others = [network.peer, network.tunnel.is_some(), network.user.is_some()];
    let others = others.into_iter().filter(|&is| is).count();
    ensure!(others <= 1, "gxemul has a station, a tunnel or QEMU's network at the other end, one of them");
    ensure!(network.pcap.is_none(), "gxemul writes no capture; --pcap is for the model and malta");
    let (other, ends) = if network.peer {
        let (station, [there, here]) = Station::on_udp()?;
        (Some(Other::Station(station)), Some((here, there)))
    } else if let Some(user) = network.user {
        let (gateway, [here, there]) = Gateway::start(user)?;
        (Some(Other::Gateway(gateway)), Some((here, there)))
    } else {
        (None, network.tunnel)
    };
    let net = ends
        .map_or(String::new(), |(here, there)| format!("net(local_port({}) add_remote(\"{there}\"))\n", here.port()));
    let memory = job.memory.map_or(String::new(), |megabytes| format!(" memory({megabytes})"));
    let (arguments, image) = (job.arguments, job.image.display());
    let machine =
        format!("machine(type(\"dec\") subtype(\"3max\"){memory} bootarg(\"{arguments}\") load(\"{image}\"))\n");
    let mut file = NamedTempFile::new().context("cannot make a configuration for gxemul")?;
    file.write_all((net + &machine).as_bytes()).context("cannot write gxemul's configuration")?;
    gxemul.args(["-q", "-A"]);
    if job.watch != Watch::Console {
        gxemul.arg("-i");
    }
    gxemul.arg(format!("@{}", file.path().display()));
    Ok((file, other))
}

/// Runs it to its end.
pub fn run(job: &Job, observer: &mut dyn Observer) -> Result<End> {
    let mut gxemul = tied_command("stdbuf");
    // A trace is too long to be written line by line; and who types looks at what is no line yet.
    let buffer = if job.watch != Watch::Console {
        "-o1M"
    } else if job.typed.is_some() {
        "-o0"
    } else {
        "-oL"
    };
    gxemul.arg(buffer).arg("gxemul");
    // What a network needs stays for as long as this is kept.
    let _connected = match &job.network {
        Some(network) => Some(add_networked(&mut gxemul, job, network)?),
        None => {
            add_arguments(&mut gxemul, job);
            None
        }
    };

    let traced = job.watch != Watch::Console;
    child::run(gxemul, job, |reader, judged| match traced {
        true => read_trace(reader, &mut Marker::new(observer, job.watch), judged),
        false => child::read_console(reader, observer, judged),
    })
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
