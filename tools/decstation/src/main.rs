//! `decstation IMAGE.elf`: runs an image on the model, with the console on standard input and output.
//!
//! Exit status: 0 the guest halted or rebooted; 1 the image or an argument is wrong; 2 wrong usage; 3 the budget ran out; 4 a
//! strict-mode rule was broken; 5 the CPU was stuck, called a PROM function that is
//! missing, or took an exception into the PROM.

use anyhow::{Context, Result, bail};
use clap::Parser;
use decstation::pcap::Capture;
use decstation::tunnel::Tunnel;
use decstation::{Config, Limits, Machine, Profile, STALLS, Segment, Stall, Step, Stop, report};
use mips1::Instruction;
use std::io::{IsTerminal, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;

/// An R3000 DECstation: runs an ELF image, console on standard input and output.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The image to boot.
    image: PathBuf,
    /// The machine to be: dec2100, dec3100, dec5000 (5000/125) or dec5000_200.
    #[arg(long, default_value = "dec5000_200")]
    profile: String,
    /// Main memory in megabytes.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=480))]
    ram: u32,
    /// The PROM's boot arguments.
    #[arg(long, short = 'o', default_value = "")]
    args: String,
    /// Print every instruction to standard error.
    #[arg(long)]
    trace: bool,
    /// Stop after this many instructions.
    #[arg(long, value_name = "N")]
    max_instructions: Option<u64>,
    /// Every instruction takes one cycle.
    #[arg(long, conflicts_with = "timed")]
    functional: bool,
    /// Model caches and memory in time (the default).
    #[arg(long)]
    timed: bool,
    /// Stop at what silicon leaves undefined.
    #[arg(long)]
    strict: bool,
    /// Count that instead, and print at the end what it was.
    #[arg(long, requires = "strict")]
    tolerant: bool,
    /// ELF files whose symbols explain addresses, beside the image's own.
    #[arg(long, value_name = "ELF")]
    symbols: Vec<PathBuf>,
    /// Put a floating-point unit in.
    #[arg(long)]
    fpu: bool,
    /// Put an Ethernet controller in, with this station address, such as 08:00:2b:00:00:01.
    #[arg(long, value_name = "ADDRESS", value_parser = station_address)]
    ethernet: Option<[u8; 6]>,
    /// Connect it, in the host's time, to other emulators on this host: each datagram is a frame.
    #[arg(long, value_name = "LOCAL=REMOTE[,REMOTE]", value_parser = tunnel_ends, requires = "ethernet")]
    #[arg(conflicts_with = "max_instructions")]
    tunnel: Option<TunnelEnds>,
    /// Connect it, and write the frames that pass to FILE.
    #[arg(long, value_name = "FILE", requires = "ethernet", conflicts_with = "max_instructions")]
    pcap: Option<PathBuf>,
    /// Serial lines without delay.
    #[arg(long)]
    instant_serial: bool,
    /// Print the N functions that took most cycles to standard error at the end, and the lines of the first.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    hot: Option<u16>,
    /// Write which source lines were executed, and how often, to FILE in lcov's form.
    #[arg(long, value_name = "FILE")]
    coverage: Option<PathBuf>,
    /// Print counts to standard error at the end.
    #[arg(long)]
    stats: bool,
}

/// Where a tunnel receives, and where it sends to.
#[derive(Clone, Debug)]
struct TunnelEnds {
    local: SocketAddr,
    remotes: Vec<SocketAddr>,
}

fn station_address(text: &str) -> Result<[u8; 6], String> {
    let bytes: Option<Vec<u8>> = text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    let address = bytes.and_then(|bytes| bytes.try_into().ok());
    address.filter(|address: &[u8; 6]| address[0] & 1 == 0).ok_or("six hexadecimal bytes, not those of a group".into())
}

fn tunnel_ends(text: &str) -> Result<TunnelEnds, String> {
    let end = |text: &str| text.parse().map_err(|_| format!("{text:?} is not an address and a port"));
    let (local, remotes) = text.split_once('=').ok_or("LOCAL=REMOTE, each an address and a port")?;
    Ok(TunnelEnds { local: end(local)?, remotes: remotes.split(',').map(end).collect::<Result<_, _>>()? })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("can't read {}", path.display()))
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("decstation: {error:#}");
            ExitCode::from(1)
        }
    }
}

fn run(arguments: &Arguments) -> Result<u8> {
    let Some(profile) = Profile::by_name(&arguments.profile) else {
        let names = decstation::PROFILES.map(|profile| profile.name).join(", ");
        bail!("no profile {:?}; there are {names}", arguments.profile);
    };
    let mut machine = Machine::new(Config {
        profile,
        ram_mb: arguments.ram,
        boot_args: arguments.args.clone(),
        strict: arguments.strict,
        tolerant: arguments.tolerant,
        timed: !arguments.functional,
        instant_serial: arguments.instant_serial,
        fpu: arguments.fpu,
        ethernet: arguments.ethernet,
        ..Config::default()
    });
    let show = |path: &Path| path.display().to_string();
    machine.load_elf(&read(&arguments.image)?).with_context(|| show(&arguments.image))?;
    for path in &arguments.symbols {
        machine.add_symbols(&read(path)?).with_context(|| show(path))?;
    }
    machine.set_console(Box::new(std::io::stdout()));
    if arguments.trace {
        machine.set_tracer(Some(Box::new(print_step)));
    }
    // A file that can't be written is told before the run, not after.
    let create =
        |path: &PathBuf| std::fs::File::create(path).with_context(|| format!("can't write {}", path.display()));
    let mut coverage = arguments.coverage.as_ref().map(create).transpose()?;
    if arguments.hot.is_some() || coverage.is_some() {
        machine.start_profile();
    }
    let typed = read_input(&mut machine);
    let stop;
    if arguments.tunnel.is_some() || arguments.pcap.is_some() {
        (machine, stop) = run_on_segment(machine, arguments, &typed)?;
    } else {
        stop = run_with_console(&mut machine, arguments.max_instructions, &typed);
    }
    let profile = machine.take_profile();
    if let (Some(file), Some(path)) = (&mut coverage, &arguments.coverage) {
        let text = report::coverage(&profile, machine.symbols());
        file.write_all(text.as_bytes()).with_context(|| format!("can't write {}", path.display()))?;
    }
    if let Some(count) = arguments.hot {
        eprint!("{}", report::hot(&profile, machine.symbols(), count.into()));
    }
    if arguments.stats {
        print_statistics(&machine);
    }
    for (first, times) in machine.broken() {
        eprintln!("decstation: {}, the first of {times}", machine.describe(&Stop::Strict(first.clone())));
    }
    Ok(match stop {
        Stop::Halted | Stop::Reboot => 0,
        Stop::Budget | Stop::Break(_) => complain(&machine, &stop, 3),
        Stop::Strict(_) => complain(&machine, &stop, 4),
        Stop::Stuck { .. } | Stop::PromMissing { .. } => complain(&machine, &stop, 5),
    })
}

fn complain(machine: &Machine, stop: &Stop, code: u8) -> u8 {
    eprintln!("decstation: {}", machine.describe(stop));
    code
}

/// What is typed. A pipe or a file is typed before the start, so that such a run repeats exactly; a terminal is read as it
/// goes.
fn read_input(machine: &mut Machine) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    if std::io::stdin().is_terminal() {
        std::thread::spawn(move || {
            let mut buffer = [0; 256];
            while let Ok(length @ 1..) = std::io::stdin().read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
    } else {
        // An open pipe that stays silent must not hold the machine up, so reading has a thread of its own here too.
        std::thread::spawn(move || {
            let mut all = Vec::new();
            if std::io::stdin().read_to_end(&mut all).is_ok() {
                let _ = sender.send(all);
            }
        });
        if let Ok(input) = receiver.recv_timeout(std::time::Duration::from_millis(20)) {
            machine.type_input(&input);
        }
    }
    receiver
}

/// Runs in pieces, between which what was typed reaches the machine.
fn run_with_console(machine: &mut Machine, budget: Option<u64>, typed: &mpsc::Receiver<Vec<u8>>) -> Stop {
    const PIECE: u64 = 1 << 20;
    let mut left = budget.unwrap_or(u64::MAX);
    loop {
        while let Ok(input) = typed.try_recv() {
            machine.type_input(&input);
        }
        let piece = left.min(PIECE);
        match machine.run(Limits::instructions(piece)) {
            Stop::Budget if left > piece => left -= piece,
            stop => return stop,
        }
    }
}

/// The same as the only machine of a segment, which is given back.
fn run_on_segment(machine: Machine, arguments: &Arguments, typed: &mpsc::Receiver<Vec<u8>>) -> Result<(Machine, Stop)> {
    /// In nanoseconds.
    const PIECE: u64 = 10_000_000;
    let tunnel = |ends: &TunnelEnds| Tunnel::new(ends.local, ends.remotes.clone()).context("no tunnel");
    let mut tunnel = arguments.tunnel.as_ref().map(tunnel).transpose()?;
    let name = |path: &PathBuf| format!("can't write {}", path.display());
    let create = |path: &PathBuf| std::fs::File::create(path).and_then(Capture::new).with_context(|| name(path));
    let mut capture = arguments.pcap.as_ref().map(create).transpose()?;
    let mut segment = Segment::new();
    let number = segment.join(machine)?;
    let (sender, passed) = mpsc::channel();
    segment.listen(Box::new(move |frame| {
        let _ = sender.send(frame.clone());
    }));
    let stop = loop {
        while let Ok(input) = typed.try_recv() {
            segment.machine_mut(number).type_input(&input);
        }
        let stop = match &mut tunnel {
            Some(tunnel) => segment.run_bridged(PIECE, tunnel),
            None => segment.run(PIECE),
        };
        for frame in passed.try_iter() {
            if let (Some(capture), Some(path)) = (&mut capture, &arguments.pcap) {
                capture.write(&frame).with_context(|| name(path))?;
            }
        }
        if let Some((_, stop)) = stop {
            break stop;
        }
    };
    let machine = segment.into_machines().pop().context("the segment has lost its machine")?;
    Ok((machine, stop))
}

fn print_step(step: &Step) {
    let slot = if step.slot { " (d)" } else { "" };
    let address = step.address.map_or(String::new(), |address| format!("  [{address:08x}]"));
    let text = Instruction::decode(step.word).map_or("?".into(), |instruction| instruction.at(step.pc).to_string());
    let _ = writeln!(std::io::stderr(), "{:08x}: {:08x}{slot}\t{text}{address}", step.pc, step.word);
}

fn print_statistics(machine: &Machine) {
    let counts = machine.counts();
    eprintln!(
        "{} instructions, {} cycles, {:.1} us on a {}",
        machine.instructions(),
        machine.cycles(),
        machine.microseconds(),
        machine.config().profile
    );
    for kind in STALLS.into_iter().filter(|&kind| kind != Stall::Float || machine.fpu().is_some()) {
        eprintln!("{:>16} {:>12}", kind.name(), counts.stalls.get(kind));
    }
    if let Some(stretch) = machine.longest_stretch() {
        eprintln!("longest stretch of the kernel: {stretch}");
    }
}
