//! `gdb`: a debugger for kernel and programs, on malta.
//!
//! QEMU is handed the socket on which it is to wait for gdb, so there is no port to choose and no moment at which
//! nobody listens. Then this process becomes gdb: the terminal and its keys are gdb's, and QEMU ends when gdb does.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;

use crate::build::{self, Guest, boot_arguments, program_name, read};
use crate::image;
use crate::machine::{Cpu, Job, Machine, malta};
use crate::process::{command, output_within, show};
use crate::run::image_name;
use crate::setup::{Need, ensure_all};
use crate::test::Bench;
use crate::workspace::Workspace;

/// The debugger, and the Debian package that it comes in.
pub const DEBUGGER: &str = "gdb-multiarch";

/// What `gdb` is asked for.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Programs to start, as for `run`
    #[arg(value_name = "PROGRAM")]
    programs: Vec<String>,
    /// The program whose symbols gdb is given; by default the first
    ///
    /// All programs are at the same addresses, so gdb can know one.
    #[arg(long, value_name = "PROGRAM")]
    symbols: Option<String>,
    /// Where to stop first: a function, FILE:LINE or *ADDRESS; by default that program's main
    #[arg(long, value_name = "LOCATION")]
    until: Option<String>,
    /// A file of gdb's commands to execute then; may be given more than once
    #[arg(long, value_name = "FILE")]
    command: Vec<PathBuf>,
    /// A command of gdb's to execute then, behind those of files; may be given more than once
    #[arg(long, value_name = "COMMAND")]
    execute: Vec<String>,
    /// End after these commands, instead of reading more from the terminal
    #[arg(long)]
    batch: bool,
    /// The processor
    #[arg(long, value_enum, default_value_t)]
    cpu: Cpu,
    /// Memory of the machine, in megabytes
    #[arg(long, value_name = "MEGABYTES", value_parser = clap::value_parser!(u32).range(4..=480))]
    memory: Option<u32>,
}

/// Builds, starts the machine, and becomes gdb.
pub fn run(workspace: &Workspace, arguments: &Arguments, quiet: bool) -> Result<()> {
    ensure_all(workspace, &[Need::Compiler, Need::Machine(Machine::Malta), Need::Debugger])?;
    let names: Vec<_> = arguments.programs.iter().map(|word| program_name(word)).collect();
    let guest = build::build_programs(workspace, &[Machine::Malta], &names, quiet)?;
    let Some(first) = arguments.programs.first() else { bail!("which program? there are {}", guest.names()) };
    for file in &arguments.command {
        ensure!(file.is_file(), "there is no file {}", file.display());
    }
    let boot = boot_arguments(&arguments.programs)?;
    let name = image_name(&arguments.programs);
    let image = guest.write_image(workspace, Machine::Malta, &name, &arguments.programs)?;
    let job = Job { memory: arguments.memory, cpu: arguments.cpu, ..Job::new(&image, &boot, Duration::MAX) };

    let (socket, address) = socket()?;
    let program = arguments.symbols.as_deref().unwrap_or(program_name(first));
    let mut gdb = debugger(workspace, &guest, program, address, arguments.until.as_deref())?;
    gdb.args(arguments.command.iter().flat_map(|file| ["-x".as_ref(), file.as_os_str()]));
    gdb.args(arguments.execute.iter().flat_map(|command| ["-ex", command]));
    if arguments.batch {
        gdb.arg("-batch");
    }
    let mut qemu = malta::debugged(&job, socket);
    qemu.spawn().with_context(|| format!("cannot start {}", show(&qemu)))?;
    bail!("cannot start {DEBUGGER}: {}", gdb.exec())
}

/// Where a machine is to listen for the debugger, and its address. Whoever connects before it does so waits.
fn socket() -> Result<(TcpListener, SocketAddr)> {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen for the debugger")?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

/// A gdb with the symbols of the program `name` that connects to the machine at `address` and lets it run to the
/// beginning.
fn debugger(
    workspace: &Workspace,
    guest: &Guest,
    name: &str,
    address: SocketAddr,
    until: Option<&str>,
) -> Result<Command> {
    let system = guest.system(Machine::Malta);
    let program = &guest.program(name)?.file;
    let script = workspace.root.join("tools/exo/src/gdb.py");
    let until = until.map_or_else(|| main_of(name, &read(program)?), |location| Ok(location.to_owned()))?;
    let mut gdb = command(DEBUGGER);
    // It is not to look in the net for debug information.
    gdb.env_remove("DEBUGINFOD_URLS").arg("-quiet").arg(&system.kernel);
    for command in [
        "set confirm off",
        // What names no system is of the host's for gdb, which would step over a system call.
        "set osabi none",
        // The files say MIPS I, which does not have all of the kernel's instructions.
        "set architecture mips:isa32",
        // Code is read from the files: in user mode nobody can read the kernel's memory, QEMU included.
        "set trust-readonly-sections on",
        &format!("source {}", script.display()),
        &format!("add-symbol-file \"{}\"", system.loader.display()),
        &format!("add-symbol-file \"{}\"", program.display()),
        &format!("target remote {address}"),
        &format!("tbreak {until}"),
        "continue",
    ] {
        gdb.args(["-ex", command]);
    }
    Ok(gdb)
}

/// Where a program begins: with its `main`, or, without the runtime, with its first instruction.
fn main_of(name: &str, file: &[u8]) -> Result<String> {
    let elf = image::parse(file)?;
    let has_runtime = elf.syms.iter().any(|symbol| elf.strtab.get_at(symbol.st_name) == Some("exos_return"));
    Ok(if has_runtime { format!("{name}::main") } else { format!("*{:#x}", elf.entry) })
}

/// A session with gdb: its name, the program, what is typed, and what is shown, in this order, among other lines.
type Session = (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

/// The commands of a session, and what they show: from a program's main.
const SESSIONS: &[Session] = &[
    (
        "call",
        "boot_hello",
        &["break aegis::call::console_write", "continue", "backtrace"],
        &[
            "#0  aegis::call::console_write (a0=",
            "  gates () at aegis/src/arch/gates.rs:",
            "::call::raw () at exos/rt/src/call.rs:",
            " exos_rt::call::console_write (text=...) at exos/rt/src/call.rs:",
            " boot_hello::main () at tests/src/bin/boot_hello.rs:9",
        ],
    ),
    (
        "step",
        "aegis_yield",
        &[
            "tbreak raw",
            "continue",
            "stepi",
            "stepi",
            "stepi",
            "backtrace",
            "python resume = gdb.newest_frame().older().pc()",
            // To the first instruction of the program's.
            "python while gdb.newest_frame().pc() >> 31: gdb.execute('stepi')",
            "python print('behind the call:', gdb.newest_frame().pc() == resume)",
            "backtrace",
        ],
        &[
            "#0  general () at aegis/src/arch/mips32/vectors.rs:",
            "::call::raw () at exos/rt/src/call.rs:",
            " aegis_yield::main () at tests/src/bin/aegis_yield.rs:",
            "gates () at aegis/src/arch/gates.rs:",
            "aegis::call::clock (",
            "gates () at aegis/src/arch/gates.rs:",
            "::call::raw () at exos/rt/src/call.rs:",
            "behind the call: True",
            "#0  exos_rt[",
            " aegis_yield::main () at tests/src/bin/aegis_yield.rs:",
        ],
    ),
    (
        "miss",
        "aegis_many_pages,seed=1",
        &[
            "tbreak tlb_lookup",
            "continue",
            "backtrace",
            "tbreak aegis::arch::entry::software_tlb_miss",
            "continue",
            "backtrace",
            "frame function aegis_many_pages::main",
            "print $sp > 0 && $sp < 0x7fffffff",
        ],
        &[
            "#0  tlb_lookup () at aegis/src/arch/mips32/vectors.rs:",
            " aegis_many_pages::main () at tests/src/bin/aegis_many_pages.rs:",
            "#0  aegis::arch::entry::software_tlb_miss (frame=",
            "  software_tlb_miss () at aegis/src/arch/trap.rs:",
            " aegis_many_pages::main () at tests/src/bin/aegis_many_pages.rs:",
            "$1 = true",
        ],
    ),
    (
        "primitive",
        "aegis_transfer",
        &[
            // Public memory is mapped where it was missed.
            "tbreak primitive_ends",
            "continue",
            "python said = set()",
            "python while gdb.newest_frame().pc() >> 31: said.add(gdb.newest_frame().older().pc()); gdb.execute('stepi')",
            "python print('where each step said:', said == {gdb.newest_frame().pc()})",
            "tbreak aegis::kernel::Kernel::transfer",
            "continue",
            "backtrace",
        ],
        &[
            "exos_load_missed () at exos/rt/src/sequences.rs:",
            "where each step said: True",
            "#0  aegis::kernel::Kernel::transfer (",
            " aegis::arch::entry::primitive (frame=",
            "  primitive () at aegis/src/arch/trap.rs:",
            " exos_transfer () at exos/rt/src/sequences.rs:",
            " aegis_transfer::main () at tests/src/bin/aegis_transfer.rs:",
        ],
    ),
    (
        "interrupt",
        "aegis_slices",
        &["break aegis::kernel::Kernel::interrupt", "continue", "backtrace", "finish"],
        &[
            "#0  aegis::kernel::Kernel::interrupt (",
            " aegis::arch::entry::interrupt (frame=",
            "  interrupt () at aegis/src/arch/trap.rs:",
            " aegis_slices::main () at tests/src/bin/aegis_slices.rs:",
        ],
    ),
];

/// The tests.
pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let trial = |session: &'static Session| {
        let bench = Arc::clone(bench);
        let test = move || hold(&bench, session).map_err(|error| format!("{error:#}").into());
        Trial::test(format!("gdb::{}", session.0), test)
    };
    SESSIONS.iter().map(trial).collect()
}

/// Holds a session and compares.
fn hold(bench: &Bench, (name, program, commands, expected): &Session) -> Result<()> {
    let words = [(*program).to_owned()];
    let image = bench.guest.write_image(&bench.workspace, Machine::Malta, &format!("gdb-{name}"), &words)?;
    let job = Job { cpu: bench.cpu, ..Job::new(&image, program, Duration::MAX) };
    let (socket, address) = socket()?;
    let mut gdb = debugger(&bench.workspace, &bench.guest, program_name(program), address, None)?;
    gdb.args(["-batch", "-nx"]).args(commands.iter().flat_map(|command| ["-ex", command]));
    let mut qemu = malta::debugged(&job, socket).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let result = output_within(&mut gdb, Duration::from_secs(300));
    // It fails only if it is gone already.
    let _ = qemu.kill();
    qemu.wait()?;
    let (_, text) = result?;
    let mut lines = text.lines();
    for wanted in *expected {
        ensure!(lines.any(|line| line.contains(wanted)), "there is no {wanted:?}, or not in this place:\n{text}");
    }
    Ok(())
}
