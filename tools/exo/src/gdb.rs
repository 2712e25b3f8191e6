//! `gdb`: a debugger for kernel and programs, on the model and on malta.
//!
//! The machine is handed the socket on which it is to wait for gdb, so there is no port to choose and no moment at which
//! nobody listens: QEMU, or another process of this program with the model in it. Then this process becomes gdb: the
//! terminal and its keys are gdb's, and the machine ends when gdb does.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;

use crate::build::{self, Guest, boot_arguments, program_name, read};
use crate::machine::{Clock, Cpu, Job, Machine, decstation, malta};
use crate::process::{command, output_within, show, tied_command};
use crate::run::image_name;
use crate::setup::{Need, ensure_all};
use crate::test::{Bench, timed};
use crate::workspace::Workspace;
use crate::{gdb_stub, image};

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
    /// The machine: the model, which can be gone back through, or malta
    #[arg(long, value_enum, default_value_t = Machine::Decstation)]
    machine: Machine,
    /// Go on from a state that `monitor save FILE` wrote, instead of booting; the programs are those that it was booted with
    #[arg(long, value_name = "FILE", conflicts_with = "programs")]
    restore: Option<PathBuf>,
    /// The clock and memory system of the model
    #[arg(long, value_enum, default_value_t = Clock::Dec5000_200)]
    clock: Clock,
    /// The processor of malta
    #[arg(long, value_enum, default_value_t)]
    cpu: Cpu,
    /// Memory of the machine, in megabytes
    #[arg(long, value_name = "MEGABYTES", value_parser = clap::value_parser!(u32).range(4..=480))]
    memory: Option<u32>,
}

/// Builds, starts the machine, and becomes gdb.
pub fn run(workspace: &Workspace, arguments: &Arguments, quiet: bool) -> Result<()> {
    let machine = arguments.machine;
    ensure!(machine != Machine::Gxemul, "gxemul has no debugger; the model and malta have");
    ensure!(arguments.restore.is_none() || machine == Machine::Decstation, "only the model restores a state");
    arguments.cpu.check(&[machine])?;
    let restored = arguments.restore.as_deref().map(started_by).transpose()?;
    let programs = restored.as_ref().unwrap_or(&arguments.programs);
    ensure_all(workspace, &[Need::Compiler, Need::Machine(machine), Need::Debugger])?;
    let names: Vec<_> = programs.iter().map(|word| program_name(word)).collect();
    let guest = build::build_programs(workspace, &[machine], &names, quiet)?;
    let Some(first) = programs.first() else { bail!("which program? there are {}", guest.names()) };
    for file in &arguments.command {
        ensure!(file.is_file(), "there is no file {}", file.display());
    }
    let boot = boot_arguments(programs)?;
    let image = guest.write_image(workspace, machine, &image_name(programs), programs)?;
    let restore = arguments.restore.as_deref();
    let job = Job::new(&image, &boot, Duration::MAX);
    let job = Job { memory: arguments.memory, clock: arguments.clock, cpu: arguments.cpu, restore, ..job };

    let (socket, address) = socket()?;
    let program = arguments.symbols.as_deref().unwrap_or(program_name(first));
    let mut gdb = debugger(workspace, &guest, machine, program, address)?;
    // What was restored may be behind the beginning of main.
    let until = match (&arguments.until, restore) {
        (None, Some(_)) => None,
        (Some(location), _) => Some(location.clone()),
        (None, None) => Some(main_of(program, &read(&guest.program(program)?.file)?)?),
    };
    gdb.args(
        until.iter().flat_map(|location| ["-ex".into(), format!("tbreak {location}"), "-ex".into(), CONTINUE.into()]),
    );
    gdb.args(arguments.command.iter().flat_map(|file| ["-x".as_ref(), file.as_os_str()]));
    gdb.args(arguments.execute.iter().flat_map(|command| ["-ex", command]));
    if arguments.batch {
        gdb.arg("-batch");
    }
    let mut served = served(machine, &job, socket)?;
    served.spawn().with_context(|| format!("cannot start {}", show(&served)))?;
    bail!("cannot start {DEBUGGER}: {}", gdb.exec())
}

const CONTINUE: &str = "continue";

/// What the machine was booted with that a file was saved of.
pub fn started_by(file: &Path) -> Result<Vec<String>> {
    let job = Job { restore: Some(file), ..Job::new(Path::new(""), "", Duration::MAX) };
    let machine = decstation::machine(&job, 0)?;
    Ok(machine.config().boot_args.split_whitespace().map(str::to_owned).collect())
}

/// The machine as a process that waits for the debugger on a socket.
fn served(machine: Machine, job: &Job, socket: TcpListener) -> Result<Command> {
    if machine == Machine::Malta {
        return Ok(malta::debugged(job, socket));
    }
    let mut stub = tied_command(std::env::current_exe().context("this program does not know where it is")?);
    stub.args(gdb_stub::Arguments::new(job).words()).stdin(OwnedFd::from(socket));
    Ok(stub)
}

/// Where a machine is to listen for the debugger, and its address. Whoever connects before it does so waits.
fn socket() -> Result<(TcpListener, SocketAddr)> {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen for the debugger")?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

/// A gdb with the symbols of the program `name` that connects to the machine at `address`.
fn debugger(
    workspace: &Workspace,
    guest: &Guest,
    machine: Machine,
    name: &str,
    address: SocketAddr,
) -> Result<Command> {
    let system = guest.system(machine);
    let program = &guest.program(name)?.file;
    let script = workspace.root.join("tools/exo/src/gdb.py");
    // Malta's files say MIPS I, which does not have all of the kernel's instructions.
    let architecture = if machine == Machine::Malta { "mips:isa32" } else { "mips:3000" };
    let mut gdb = command(DEBUGGER);
    // It is not to look in the net for debug information.
    gdb.env_remove("DEBUGINFOD_URLS").arg("-quiet").arg(&system.kernel);
    for command in [
        "set confirm off",
        // What names no system is of the host's for gdb, which would step over a system call.
        "set osabi none",
        &format!("set architecture {architecture}"),
        // Code is read from the files: in user mode nobody can read the kernel's memory, QEMU included.
        "set trust-readonly-sections on",
        &format!("source {}", script.display()),
        &format!("add-symbol-file \"{}\"", system.loader.display()),
        &format!("add-symbol-file \"{}\"", program.display()),
        &format!("target remote {address}"),
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
            "::call::raw_until_done () at exos/rt/src/call.rs:",
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
            "exos_on_load_miss () at exos/rt/src/sequences.rs:",
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

/// Sessions that only the model can hold, in which time goes back.
const BACK: &[Session] = &[
    (
        "back",
        "aegis_yield",
        &[
            "python digest = lambda: gdb.execute('monitor digest', to_string=True)",
            "python passed = [digest()]",
            // Through a call, the exception and the kernel.
            "tbreak raw",
            "continue",
            "python for _ in range(40): gdb.execute('stepi'); passed.append(digest())",
            "python print('all different:', len(set(passed)) == 41)",
            "python for at in reversed(passed[1:-1]): gdb.execute('reverse-stepi'); assert at == digest()",
            "python print('all found again:', True)",
            "break aegis::call::clock",
            "continue",
            "python here = digest()",
            "tbreak aegis::call::yield_",
            "continue",
            "stepi 1000",
            "reverse-continue",
            "python print('the same:', here == digest())",
        ],
        &["all different: True", "all found again: True", "Breakpoint 3, aegis::call::clock (", "the same: True"],
    ),
    (
        "watch",
        "aegis_slices",
        &[
            "set width 0",
            // The public page's clock, where the kernel writes it.
            "watch *(0x80052004 as *mut u32)",
            "continue",
            "continue",
            "continue",
            "reverse-continue",
            "reverse-continue",
            "continue",
            "delete",
            "rwatch *(0x80052004 as *mut u32)",
            "continue",
        ],
        &[
            "Old value = 0",
            "New value = 1",
            "Old value = 1",
            "New value = 2",
            "Old value = 2",
            "New value = 3",
            // Back, and forth again.
            "Old value = 3",
            "New value = 2",
            "Old value = 2",
            "New value = 1",
            "Old value = 1",
            "New value = 2",
            "Hardware read watchpoint",
            "Value = 2",
        ],
    ),
    ("exit", "boot_hello", &["continue"], &["[Inferior 1 (process 1) exited normally]"]),
    (
        "failure",
        "aegis_fault_overflow",
        &[
            "monitor end stop",
            "continue",
            "reverse-stepi",
            "break aegis_fault_overflow::main",
            "reverse-continue",
            "delete",
            "monitor end exit",
            "continue",
        ],
        &["No more reverse-execution history.", " aegis_fault_overflow::main () at", "exited with code 01]"],
    ),
];

/// The programs of the tests whose names contain a word.
pub fn programs(filter: &str) -> Vec<&'static str> {
    if !filter.starts_with(AREA) {
        return Vec::new();
    }
    let filter = filter.split('@').next().unwrap_or_default();
    let sessions = SESSIONS.iter().chain(BACK).filter(|(name, ..)| format!("{AREA}{name}").contains(filter));
    sessions.map(|(_, words, ..)| program_name(words)).collect()
}

/// What the tests' names begin with.
const AREA: &str = "gdb::";

/// The tests.
pub fn trials(bench: &Arc<Bench>, machine: Machine, suffix: &str) -> Vec<Trial> {
    let trial = |session: &'static Session| {
        let bench = Arc::clone(bench);
        let test = move || hold(&bench, machine, session).map_err(|error| format!("{error:#}").into());
        timed(format!("{AREA}{}{suffix}", session.0), test)
    };
    let back = if machine == Machine::Decstation { BACK } else { &[] };
    SESSIONS.iter().chain(back).map(trial).collect()
}

/// Holds a session and compares.
fn hold(bench: &Bench, machine: Machine, (name, program, commands, expected): &Session) -> Result<()> {
    let words = [(*program).to_owned()];
    let image = bench.guest.write_image(&bench.workspace, machine, &format!("gdb-{machine}-{name}"), &words)?;
    let job = Job { cpu: bench.cpu, ..Job::new(&image, program, Duration::MAX) };
    let (socket, address) = socket()?;
    let mut gdb = debugger(&bench.workspace, &bench.guest, machine, program_name(program), address)?;
    let main = main_of(program_name(program), &read(&bench.guest.program(program_name(program))?.file)?)?;
    let of_machine = |text: &str| match machine {
        Machine::Malta => text.to_owned(),
        _ => text.replace("mips32/", "").replace("tlb_lookup", "tlb_refill"),
    };
    gdb.args(["-batch", "-nx", "-ex", &format!("tbreak {main}"), "-ex", CONTINUE]);
    gdb.args(commands.iter().flat_map(|command| ["-ex".to_owned(), of_machine(command)]));
    let mut served = served(machine, &job, socket)?.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let result = output_within(&mut gdb, Duration::from_secs(300));
    // It fails only if it is gone already.
    let _ = served.kill();
    served.wait()?;
    let (_, text) = result?;
    let mut lines = text.lines();
    for wanted in expected.iter().map(|wanted| of_machine(wanted)) {
        ensure!(lines.any(|line| line.contains(&wanted)), "there is no {wanted:?}, or not in this place:\n{text}");
    }
    Ok(())
}
