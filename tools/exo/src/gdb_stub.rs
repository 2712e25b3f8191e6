//! The model as gdb sees it over its remote protocol: one process that can be gone through in both directions.
//!
//! A *step* is one instruction, or the exception that comes instead of it (an interrupt, a fetch that misses). So a step from a
//! branch leads to its delay slot, and from there to where the branch leads; `$pc` is the slot's address in between. Registers
//! are shown with the load in flight, which nothing that runs here can miss.
//!
//! A watchpoint stops before the access, as gdb expects of this processor: it makes the step and compares by itself. Backwards
//! it stops behind the access.

use std::fs;
use std::io::Write;
use std::marker::PhantomData;
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use decstation::state::StateError;
use decstation::{Break, Breaks, Change, History, Machine, Stop};
use gdbstub::arch::{Arch, Registers};
use gdbstub::common::Signal;
use gdbstub::conn::ConnectionExt;
use gdbstub::stub::run_blocking::{BlockingEventLoop, Event, WaitForStopReasonError};
use gdbstub::stub::{BaseStopReason, DisconnectReason, GdbStub, SingleThreadStopReason};
use gdbstub::target::ext::base::BaseOps;
use gdbstub::target::ext::base::reverse_exec::{
    ReplayLogPosition, ReverseCont, ReverseContOps, ReverseStep, ReverseStepOps,
};
use gdbstub::target::ext::base::singlethread::{
    SingleThreadBase, SingleThreadRangeStepping, SingleThreadRangeSteppingOps, SingleThreadResume,
    SingleThreadResumeOps, SingleThreadSingleStep, SingleThreadSingleStepOps,
};
use gdbstub::target::ext::breakpoints::{
    Breakpoints, BreakpointsOps, HwBreakpoint, HwBreakpointOps, HwWatchpoint, HwWatchpointOps, SwBreakpoint,
    SwBreakpointOps, WatchKind,
};
use gdbstub::target::ext::monitor_cmd::{ConsoleOutput, MonitorCmd, MonitorCmdOps, outputln};
use gdbstub::target::{Target, TargetError, TargetResult};

use crate::console::{Console, Verdict};
use crate::machine::{Clock, Job, decstation as model};
use crate::symbols::Symbols;

/// What the process that serves gdb is given; its standard input is the socket it listens on.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The image
    #[arg(long)]
    image: PathBuf,
    /// The boot arguments
    #[arg(long)]
    boot: String,
    /// Whose clock and memory system
    #[arg(long, value_enum)]
    clock: Clock,
    /// Megabytes of memory
    #[arg(long)]
    memory: Option<u32>,
    /// A state to begin with instead
    #[arg(long)]
    restore: Option<PathBuf>,
}

impl Arguments {
    /// What to serve.
    pub fn new(job: &Job) -> Self {
        let (image, boot) = (job.image.to_owned(), job.arguments.to_owned());
        Self { image, boot, clock: job.clock, memory: job.memory, restore: job.restore.map(Path::to_owned) }
    }

    /// As they are typed.
    pub fn words(&self) -> Vec<String> {
        let mut words: Vec<_> =
            [COMMAND, "--image", &self.image.to_string_lossy(), "--boot", &self.boot, "--clock", self.clock.name()]
                .map(str::to_owned)
                .into();
        words.extend(self.memory.into_iter().flat_map(|memory| ["--memory".to_owned(), memory.to_string()]));
        let restore = self.restore.iter();
        words.extend(restore.flat_map(|file| ["--restore".to_owned(), file.to_string_lossy().into_owned()]));
        words
    }

    /// The machine.
    fn machine(&self) -> Result<Machine> {
        let job = Job::new(&self.image, &self.boot, Duration::MAX);
        model::machine(&Job { clock: self.clock, memory: self.memory, restore: self.restore.as_deref(), ..job }, 0)
    }
}

/// The command's name.
pub const COMMAND: &str = "gdb-stub";

/// Serves the one gdb that connects to the socket which is the standard input.
pub fn run(arguments: &Arguments) -> Result<()> {
    let socket = TcpListener::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let machine = arguments.machine()?;
    let (connection, _) = socket.accept().context("nobody connects")?;
    serve(machine, connection)
}

/// Serves a gdb until it goes.
pub fn serve(machine: Machine, connection: TcpStream) -> Result<()> {
    connection.set_nodelay(true)?;
    let symbols = Symbols::default();
    let mut debugged = Debugged::new(machine, &symbols);
    let connection: Box<dyn ConnectionExt<Error = std::io::Error>> = Box::new(connection);
    match GdbStub::new(connection).run_blocking::<Loop<'_>>(&mut debugged) {
        // Without gdb it comes to its end by itself.
        Ok(DisconnectReason::Disconnect) => debugged.finish(),
        Ok(_) => Ok(()),
        // It went without a word.
        Err(error) if error.is_connection_error() => Ok(()),
        Err(error) => bail!("{error}"),
    }
}

/// The registers, by gdb's numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words([u32; REGISTERS]);

const STATUS: usize = 32;
const LO: usize = 33;
const HI: usize = 34;
const BAD_VADDR: usize = 35;
const CAUSE: usize = 36;
const PC: usize = 37;
const FLOAT: usize = 38;
const FLOAT_CONTROL: usize = 70;
const FLOAT_IDENTITY: usize = 71;
/// The registers of the R3000 that gdb does not know.
const SYSTEM: [&str; 6] = ["epc", "entryhi", "entrylo", "index", "context", "slot"];
const REGISTERS: usize = 72 + SYSTEM.len();

impl Default for Words {
    fn default() -> Self {
        Self([0; REGISTERS])
    }
}

impl Registers for Words {
    type ProgramCounter = u32;

    fn pc(&self) -> u32 {
        self.0[PC]
    }

    fn gdb_serialize(&self, write_byte: impl FnMut(Option<u8>)) {
        self.0.iter().flat_map(|word| word.to_le_bytes()).map(Some).for_each(write_byte);
    }

    fn gdb_deserialize(&mut self, bytes: &[u8]) -> Result<(), ()> {
        let words = bytes.chunks_exact(4).map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
        self.0 = words.collect::<Vec<_>>().try_into().map_err(drop)?;
        Ok(())
    }
}

/// The R3000.
pub enum R3000 {}

impl Arch for R3000 {
    type Usize = u32;
    type Registers = Words;
    type BreakpointKind = usize;
    type RegId = ();
}

/// What is done until gdb hears of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Going {
    On,
    Step,
    /// Steps as long as it is between these addresses.
    Within(u32, u32),
    Back,
    StepBack,
}

/// The machine with what gdb wants of it.
struct Debugged<'a> {
    history: History,
    breaks: Breaks,
    watched: Vec<(Range<u32>, WatchKind)>,
    going: Going,
    /// It has just been told to.
    fresh: bool,
    console: Console<'a>,
    /// It broke a rule, of which gdb was told; it can only be gone back from there.
    broken: bool,
    /// The end is a stop, and no exit.
    stops_at_end: bool,
    /// That stop was told.
    ended: bool,
}

type Reason = SingleThreadStopReason<u32>;

impl<'a> Debugged<'a> {
    fn new(machine: Machine, symbols: &'a Symbols) -> Self {
        Self {
            history: History::new(machine),
            breaks: Breaks::default(),
            watched: Vec::new(),
            going: Going::On,
            fresh: false,
            console: Console::new(symbols, |_| {}),
            broken: false,
            stops_at_end: false,
            ended: false,
        }
    }

    /// Goes on for a while.
    fn advance(&mut self) -> Option<Reason> {
        /// Between two looks whether gdb wants it to stop.
        const CHUNK: u64 = 1 << 18;
        // gdb steps over what it was told of: what is watched here now it does not know of.
        if std::mem::take(&mut self.fresh)
            && let Some(found @ (Break::Load(_) | Break::Store(_))) = self.history.machine().break_at(&self.breaks)
        {
            return Some(self.reason(found));
        }
        let stop = match self.going {
            Going::On | Going::Step | Going::Within(..) if self.ended => return Some(self.exit()),
            Going::On => self.history.run(CHUNK, &self.breaks),
            Going::Step => self.history.step().unwrap_or(Stop::Break(Break::Step)),
            Going::Within(start, end) => {
                let begun = self.history.machine().moment();
                loop {
                    if let Some(stop) = self.history.step() {
                        break stop;
                    }
                    let machine = self.history.machine();
                    if let Some(found) = machine.break_at(&self.breaks) {
                        break Stop::Break(found);
                    }
                    if !(start..end).contains(&machine.pc()) {
                        break Stop::Break(Break::Step);
                    }
                    if machine.instructions() > begun.instructions + CHUNK {
                        break Stop::Budget;
                    }
                }
            }
            Going::Back => {
                self.leave_end();
                let found = self.history.run_back(&self.breaks);
                return Some(found.map_or_else(beginning, |found| self.reason(found)));
            }
            Going::StepBack => {
                self.leave_end();
                return Some(if self.history.step_back() { BaseStopReason::DoneStep } else { beginning() });
            }
        };
        self.show();
        match stop {
            Stop::Budget => None,
            Stop::Break(found) => Some(self.reason(found)),
            Stop::Halted if self.stops_at_end => {
                self.ended = true;
                Some(BaseStopReason::ReplayLog { tid: None, pos: ReplayLogPosition::End })
            }
            Stop::Halted => Some(self.exit()),
            _ if self.broken => Some(BaseStopReason::Exited(BROKEN)),
            stop => {
                self.broken = true;
                // Without symbols it says no place; gdb does.
                println!("exo: the machine was stopped: {}", self.history.machine().describe(&stop));
                Some(BaseStopReason::Signal(Signal::SIGILL))
            }
        }
    }

    /// It goes back from wherever it came to.
    fn leave_end(&mut self) {
        (self.broken, self.ended) = (false, false);
    }

    fn reason(&self, found: Break) -> Reason {
        // gdb has one kind for both, which it asked for.
        let kind = |store: bool, address: u32| {
            let watched = self.watched.iter().find(|(range, kind)| {
                let touches = address < range.end && address.saturating_add(4) > range.start;
                touches && (*kind == WatchKind::ReadWrite || (*kind == WatchKind::Write) == store)
            });
            let (addr, kind) = watched.map_or((address, WatchKind::ReadWrite), |(range, kind)| (range.start, *kind));
            BaseStopReason::Watch { tid: (), kind, addr }
        };
        match found {
            Break::Code => BaseStopReason::SwBreak(()),
            Break::Load(address) => kind(false, address),
            Break::Store(address) => kind(true, address),
            Break::Mode | Break::Step => BaseStopReason::DoneStep,
        }
    }

    /// How the guest's end is an exit: 0 if its verdict is pass, 1 if not, 2 for a bug of the kernel's.
    fn exit(&self) -> Reason {
        let status = match self.console.verdict {
            _ if self.console.panic().is_some() => 2,
            Some(Verdict::Pass) => 0,
            _ => 1,
        };
        BaseStopReason::Exited(status)
    }

    /// Shows what the guest has written.
    fn show(&mut self) {
        let bytes = self.history.take_output();
        if !bytes.is_empty() {
            let _ = self.console.take(&bytes);
            let mut output = std::io::stdout().lock();
            // If nobody sees it there is nobody to tell.
            let _ = output.write_all(&bytes).and_then(|()| output.flush());
        }
    }

    /// Runs it to its end.
    fn finish(&mut self) -> Result<()> {
        loop {
            let stop = self.history.run(1 << 20, &Breaks::default());
            self.show();
            if stop != Stop::Budget {
                return Ok(());
            }
        }
    }

    fn watch(&mut self) {
        let of = |kind| self.watched.iter().filter(move |(_, other)| *other != kind).map(|(range, _)| range.clone());
        self.breaks.loads = of(WatchKind::Write).collect();
        self.breaks.stores = of(WatchKind::Read).collect();
    }

    fn registers(&mut self) -> Words {
        let machine = self.history.machine();
        let mut words = Words::default();
        for (i, word) in words.0[..32].iter_mut().enumerate() {
            *word = machine.landed_register(i);
        }
        let cp0 = machine.cp0();
        (words.0[HI], words.0[LO]) = machine.hi_lo();
        (words.0[STATUS], words.0[BAD_VADDR], words.0[CAUSE]) = (cp0.status, cp0.bad_vaddr, cp0.cause);
        words.0[PC] = machine.pc();
        if let Some(fpu) = machine.fpu() {
            (0..32).for_each(|i| words.0[FLOAT + i] = fpu.register(i));
            words.0[FLOAT_CONTROL] = fpu.control();
            words.0[FLOAT_IDENTITY] = machine.config().profile.fpu_identity;
        }
        let system = [cp0.epc, cp0.entry_hi, cp0.entry_lo, cp0.index, cp0.context, u32::from(machine.in_delay_slot())];
        words.0[72..].copy_from_slice(&system);
        words
    }
}

/// The exit status of a machine that broke a rule.
const BROKEN: u8 = 3;

fn beginning() -> Reason {
    BaseStopReason::ReplayLog { tid: None, pos: ReplayLogPosition::Begin }
}

impl Target for Debugged<'_> {
    type Arch = R3000;
    type Error = StateError;

    fn base_ops(&mut self) -> BaseOps<'_, R3000, StateError> {
        BaseOps::SingleThread(self)
    }

    fn support_breakpoints(&mut self) -> Option<BreakpointsOps<'_, Self>> {
        Some(self)
    }

    fn support_monitor_cmd(&mut self) -> Option<MonitorCmdOps<'_, Self>> {
        Some(self)
    }

    fn support_target_description_xml_override(
        &mut self,
    ) -> Option<gdbstub::target::ext::target_description_xml_override::TargetDescriptionXmlOverrideOps<'_, Self>> {
        Some(self)
    }
}

impl gdbstub::target::ext::target_description_xml_override::TargetDescriptionXmlOverride for Debugged<'_> {
    fn target_description_xml(
        &self,
        annex: &[u8],
        offset: u64,
        length: usize,
        buffer: &mut [u8],
    ) -> TargetResult<usize, Self> {
        if annex != b"target.xml" {
            return Err(TargetError::NonFatal);
        }
        let xml = description();
        let rest = xml.as_bytes().get(offset as usize..).unwrap_or_default();
        let length = length.min(rest.len()).min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

/// The registers' names and numbers as gdb reads them.
fn description() -> String {
    let register = |name: &str, number: usize, kind: &str| {
        format!("<reg name=\"{name}\" bitsize=\"32\" regnum=\"{number}\"{kind}/>")
    };
    let feature =
        |name: &str, registers: Vec<String>| format!("<feature name=\"{name}\">{}</feature>", registers.concat());
    let mut core: Vec<_> = (0..32).map(|i| register(&format!("r{i}"), i, "")).collect();
    core.extend([("lo", LO), ("hi", HI), ("pc", PC)].map(|(name, number)| register(name, number, "")));
    let cp0 = [("status", STATUS), ("badvaddr", BAD_VADDR), ("cause", CAUSE)];
    let cp0 = cp0.map(|(name, number)| register(name, number, "")).into();
    let single = " type=\"ieee_single\"";
    let mut float: Vec<_> = (0..32).map(|i| register(&format!("f{i}"), FLOAT + i, single)).collect();
    let control = [("fcsr", FLOAT_CONTROL), ("fir", FLOAT_IDENTITY)];
    float.extend(control.map(|(name, number)| register(name, number, " group=\"float\"")));
    let system = (72..).zip(SYSTEM).map(|(number, name)| register(name, number, " group=\"system\"")).collect();
    [
        "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target version=\"1.0\">".to_owned(),
        "<architecture>mips</architecture>".to_owned(),
        feature("org.gnu.gdb.mips.cpu", core),
        feature("org.gnu.gdb.mips.cp0", cp0),
        feature("org.gnu.gdb.mips.fpu", float),
        feature("org.aegis.r3000", system),
        "</target>".to_owned(),
    ]
    .concat()
}

impl SingleThreadBase for Debugged<'_> {
    fn read_registers(&mut self, registers: &mut Words) -> TargetResult<(), Self> {
        *registers = self.registers();
        Ok(())
    }

    fn write_registers(&mut self, registers: &Words) -> TargetResult<(), Self> {
        let now = self.registers();
        let changed: Vec<_> = (0..REGISTERS).filter(|&i| registers.0[i] != now.0[i]).collect();
        // The others are not for a debugger to write: what they do they do when an instruction writes them.
        if changed.iter().any(|i| !matches!(*i, 1..=31 | LO | HI | PC)) {
            return Err(TargetError::NonFatal);
        }
        for i in changed {
            let value = registers.0[i];
            self.history.change(match i {
                PC => Change::Pc(value),
                LO | HI => Change::HiLo(registers.0[HI], registers.0[LO]),
                register => Change::Register(register, value),
            });
        }
        Ok(())
    }

    fn read_addrs(&mut self, start: u32, data: &mut [u8]) -> TargetResult<usize, Self> {
        let machine = self.history.machine();
        let mut read = 0;
        for (at, byte) in (0..).zip(data) {
            let Some(found) = start.checked_add(at).and_then(|address| machine.see_byte(address)) else { break };
            *byte = found;
            read += 1;
        }
        if read == 0 { Err(TargetError::NonFatal) } else { Ok(read) }
    }

    fn write_addrs(&mut self, start: u32, data: &[u8]) -> TargetResult<(), Self> {
        let machine = self.history.machine();
        let reaches = |at: u32| start.checked_add(at).and_then(|address| machine.see_byte(address)).is_some();
        if !(0..data.len() as u32).all(reaches) {
            return Err(TargetError::NonFatal);
        }
        self.history.change(Change::Memory(start, data.to_vec()));
        Ok(())
    }

    fn support_resume(&mut self) -> Option<SingleThreadResumeOps<'_, Self>> {
        Some(self)
    }
}

impl SingleThreadResume for Debugged<'_> {
    fn resume(&mut self, _signal: Option<Signal>) -> Result<(), StateError> {
        (self.going, self.fresh) = (Going::On, true);
        Ok(())
    }

    fn support_single_step(&mut self) -> Option<SingleThreadSingleStepOps<'_, Self>> {
        Some(self)
    }

    fn support_range_step(&mut self) -> Option<SingleThreadRangeSteppingOps<'_, Self>> {
        Some(self)
    }

    fn support_reverse_step(&mut self) -> Option<ReverseStepOps<'_, (), Self>> {
        Some(self)
    }

    fn support_reverse_cont(&mut self) -> Option<ReverseContOps<'_, (), Self>> {
        Some(self)
    }
}

impl SingleThreadSingleStep for Debugged<'_> {
    fn step(&mut self, _signal: Option<Signal>) -> Result<(), StateError> {
        self.going = Going::Step;
        Ok(())
    }
}

impl SingleThreadRangeStepping for Debugged<'_> {
    fn resume_range_step(&mut self, start: u32, end: u32) -> Result<(), StateError> {
        self.going = Going::Within(start, end);
        Ok(())
    }
}

impl ReverseCont<()> for Debugged<'_> {
    fn reverse_cont(&mut self) -> Result<(), StateError> {
        self.going = Going::Back;
        Ok(())
    }
}

impl ReverseStep<()> for Debugged<'_> {
    fn reverse_step(&mut self, (): ()) -> Result<(), StateError> {
        self.going = Going::StepBack;
        Ok(())
    }
}

impl Breakpoints for Debugged<'_> {
    fn support_sw_breakpoint(&mut self) -> Option<SwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_breakpoint(&mut self) -> Option<HwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_watchpoint(&mut self) -> Option<HwWatchpointOps<'_, Self>> {
        Some(self)
    }
}

/// Either kind changes nothing in the machine.
impl SwBreakpoint for Debugged<'_> {
    fn add_sw_breakpoint(&mut self, address: u32, _kind: usize) -> TargetResult<bool, Self> {
        self.breaks.code.push(address);
        Ok(true)
    }

    fn remove_sw_breakpoint(&mut self, address: u32, _kind: usize) -> TargetResult<bool, Self> {
        let place = self.breaks.code.iter().position(|&other| other == address);
        place.map(|place| self.breaks.code.swap_remove(place));
        Ok(place.is_some())
    }
}

impl HwBreakpoint for Debugged<'_> {
    fn add_hw_breakpoint(&mut self, address: u32, kind: usize) -> TargetResult<bool, Self> {
        self.add_sw_breakpoint(address, kind)
    }

    fn remove_hw_breakpoint(&mut self, address: u32, kind: usize) -> TargetResult<bool, Self> {
        self.remove_sw_breakpoint(address, kind)
    }
}

impl HwWatchpoint for Debugged<'_> {
    fn add_hw_watchpoint(&mut self, address: u32, length: u32, kind: WatchKind) -> TargetResult<bool, Self> {
        self.watched.push((address..address.saturating_add(length), kind));
        self.watch();
        Ok(true)
    }

    fn remove_hw_watchpoint(&mut self, address: u32, length: u32, kind: WatchKind) -> TargetResult<bool, Self> {
        let watched = (address..address.saturating_add(length), kind);
        let place = self.watched.iter().position(|other| *other == watched);
        place.map(|place| self.watched.swap_remove(place));
        self.watch();
        Ok(place.is_some())
    }
}

/// What `monitor help` says.
const HELP: &str = "\
save FILE       keep the whole machine; `cargo exo gdb --restore FILE` and `cargo exo run --restore FILE` go on from there
time            instructions, exceptions, cycles and simulated time so far
digest          a number that is the same only for the same state of the whole machine
tlb             the TLB's entries, as they are
type TEXT       type a line at the console
end stop|exit   whether the machine's end is a stop, from which one can go back, or the process's exit";

impl MonitorCmd for Debugged<'_> {
    fn handle_monitor_cmd(&mut self, command: &[u8], mut out: ConsoleOutput<'_>) -> Result<(), StateError> {
        let command = String::from_utf8_lossy(command);
        let (word, rest) = command.trim().split_once(' ').unwrap_or((command.trim(), ""));
        let machine = self.history.machine();
        match (word, rest.trim()) {
            ("save", file @ ("" | "-")) => outputln!(out, "save to which file, not {file:?}?"),
            ("save", file) => match machine.save() {
                Ok(bytes) => match fs::write(file, &bytes) {
                    Ok(()) => outputln!(out, "saved to {file}: {} bytes", bytes.len()),
                    Err(error) => outputln!(out, "cannot write {file}: {error}"),
                },
                Err(error) => outputln!(out, "cannot save: {error}"),
            },
            ("time", "") => outputln!(
                out,
                "{} instructions, {} exceptions, {} cycles, {:.2} us",
                machine.instructions(),
                machine.moment().exceptions,
                machine.cycles(),
                machine.microseconds()
            ),
            ("digest", "") => outputln!(out, "{:016x}", machine.digest()),
            ("tlb", "") => {
                for (i, entry) in machine.tlb().iter().enumerate().filter(|(_, entry)| entry.lo & 0x200 != 0) {
                    let bits = [(0x800, 'N'), (0x400, 'D'), (0x200, 'V'), (0x100, 'G')];
                    let bits = bits.map(|(bit, name)| if entry.lo & bit != 0 { name } else { '-' });
                    let (page, context, frame) = (entry.hi >> 12, entry.hi >> 6 & 63, entry.lo >> 12);
                    let bits = String::from_iter(bits);
                    outputln!(out, "{i:2}  page {page:05x}  context {context:2}  frame {frame:05x}  {bits}");
                }
            }
            ("type", text) => {
                let line = [text.as_bytes(), b"\r"].concat();
                self.history.change(Change::Typed(line));
            }
            ("end", "stop") => self.stops_at_end = true,
            ("end", "exit") => self.stops_at_end = false,
            _ => HELP.lines().for_each(|line| outputln!(out, "{line}")),
        }
        Ok(())
    }
}

/// Runs the machine between gdb's commands.
struct Loop<'a>(PhantomData<&'a ()>);

impl<'a> BlockingEventLoop for Loop<'a> {
    type Target = Debugged<'a>;
    type Connection = Box<dyn ConnectionExt<Error = std::io::Error>>;
    type StopReason = Reason;

    fn wait_for_stop_reason(
        debugged: &mut Self::Target,
        connection: &mut Self::Connection,
    ) -> Result<Event<Reason>, WaitForStopReasonError<StateError, std::io::Error>> {
        loop {
            if let Some(reason) = debugged.advance() {
                return Ok(Event::TargetStopped(reason));
            }
            if connection.peek().map_err(WaitForStopReasonError::Connection)?.is_some() {
                let byte = connection.read().map_err(WaitForStopReasonError::Connection)?;
                return Ok(Event::IncomingData(byte));
            }
        }
    }

    fn on_interrupt(_debugged: &mut Self::Target) -> Result<Option<Reason>, StateError> {
        Ok(Some(BaseStopReason::Signal(Signal::SIGINT)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image;
    use decstation::Config;
    use std::io::Read;
    use std::thread;

    /// Stores 5 to 1 to 0x80030100 and halts.
    const PROGRAM: [u32; 10] = [
        0x3c08_8003, // lui   $t0, 0x8003
        0x2409_0005, // li    $t1, 5
        0xad09_0100, // sw    $t1, 0x100($t0)
        0x2529_ffff, // addiu $t1, $t1, -1
        0x1520_fffd, // bnez  $t1, back to the store
        0x0000_0000, //  nop
        0x3c19_bfc0, // lui   $t9, 0xbfc0
        0x3739_8138, // ori   $t9, $t9, 0x8138
        0x0320_0008, // jr    $t9
        0x0000_0000, //  nop
    ];

    fn machine() -> Machine {
        machine_of(&PROGRAM)
    }

    fn machine_of(program: &[u32]) -> Machine {
        let code: Vec<_> = program.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut machine = Machine::new(Config { ram_mb: 4, ..Config::default() });
        machine.load_elf(&image::tests::elf(&[(0x8003_0000, &code)])).unwrap();
        machine
    }

    /// A gdb that says just what it is told to.
    struct Client(TcpStream);

    impl Client {
        fn new() -> Client {
            Client::of(machine())
        }

        fn of(machine: Machine) -> Client {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            thread::spawn(move || serve(machine, listener.accept().unwrap().0).unwrap());
            let stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            Client(stream)
        }

        fn byte(&mut self) -> u8 {
            let mut byte = [0];
            self.0.read_exact(&mut byte).unwrap();
            byte[0]
        }

        /// The answer to a packet, its checksum checked.
        fn ask(&mut self, packet: &str) -> String {
            let sum = packet.bytes().fold(0_u8, u8::wrapping_add);
            write!(self.0, "${packet}#{sum:02x}").unwrap();
            self.answer()
        }

        /// What `monitor` says.
        fn monitor(&mut self, command: &str) -> String {
            let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
            let mut answer = self.ask(&format!("qRcmd,{}", hex(command)));
            let mut text = String::new();
            while let Some(said) = answer.strip_prefix('O').filter(|said| *said != "K") {
                let bytes = (0..said.len()).step_by(2).map(|i| u8::from_str_radix(&said[i..i + 2], 16).unwrap());
                text.extend(bytes.map(char::from));
                answer = self.answer();
            }
            assert_eq!(answer, "OK");
            text
        }

        fn answer(&mut self) -> String {
            while self.byte() != b'$' {}
            let mut answer = Vec::new();
            loop {
                match self.byte() {
                    b'#' => break,
                    byte => answer.push(byte),
                }
            }
            let sum = answer.iter().copied().fold(0_u8, u8::wrapping_add);
            assert_eq!([self.byte(), self.byte()], *format!("{sum:02x}").as_bytes());
            self.0.write_all(b"+").unwrap();
            // Runs of a character are shortened.
            let mut text = String::new();
            let mut bytes = answer.into_iter();
            while let Some(byte) = bytes.next() {
                match (byte, text.chars().last()) {
                    (b'*', Some(last)) => {
                        let times = bytes.next().unwrap() - 29;
                        text.extend(std::iter::repeat_n(last, times.into()));
                    }
                    _ => text.push(char::from(byte)),
                }
            }
            text
        }

        /// A register, by gdb's number.
        fn register(&mut self, number: usize) -> u32 {
            let all = self.ask("g");
            assert_eq!(all.len(), REGISTERS * 8);
            u32::from_str_radix(&all[number * 8..][..8], 16).unwrap().swap_bytes()
        }
    }

    #[test]
    fn registers_memory_and_steps() {
        let mut gdb = Client::new();
        let features = gdb.ask("qSupported:multiprocess+;swbreak+;hwbreak+;xmlRegisters=i386");
        for feature in ["ReverseStep+", "ReverseContinue+", "qXfer:features:read+", "swbreak+"] {
            assert!(features.contains(feature), "{features}");
        }
        assert_eq!(gdb.register(PC), 0x8003_0000);
        assert_eq!(gdb.ask("m80030000,8"), "0380083c05000924");
        assert!(gdb.ask("m00001000,4").starts_with('E'), "not mapped");
        assert!(gdb.ask("s").starts_with('S'));
        assert_eq!((gdb.register(PC), gdb.register(8)), (0x8003_0004, 0x8003_0000));
        // Back, and there is nothing before.
        gdb.ask("bs");
        assert_eq!((gdb.register(PC), gdb.register(8)), (0x8003_0000, 0));
        assert!(gdb.ask("bs").contains("replaylog:begin"));
        // What is written holds.
        assert_eq!(gdb.ask("M80030100,4:78563412"), "OK");
        assert_eq!(gdb.ask("m80030100,4"), "78563412");
        assert!(gdb.ask("M00001000,4:78563412").starts_with('E'));
    }

    #[test]
    fn breakpoints_and_watchpoints_in_both_directions() {
        let mut gdb = Client::new();
        // In a branch's delay slot.
        assert_eq!(gdb.ask("Z0,80030014,4"), "OK");
        for left in (2..5).rev() {
            assert!(gdb.ask("c").starts_with('T'));
            assert_eq!((gdb.register(PC), gdb.register(9), gdb.register(77)), (0x8003_0014, left, 1));
        }
        gdb.ask("bc");
        assert_eq!((gdb.register(PC), gdb.register(9)), (0x8003_0014, 3));
        assert_eq!(gdb.ask("z0,80030014,4"), "OK");
        assert_eq!(gdb.ask("Z2,80030100,4"), "OK");
        assert!(gdb.ask("c").contains("watch:80030100"));
        // Before the store, and behind it.
        assert_eq!((gdb.register(PC), gdb.register(9)), (0x8003_0008, 3));
        assert_eq!(gdb.ask("m80030100,4"), "04000000");
        assert!(gdb.ask("bc").contains("watch:80030100"));
        assert_eq!((gdb.register(PC), gdb.ask("m80030100,4").as_str()), (0x8003_000c, "04000000"));
        assert_eq!(gdb.ask("z2,80030100,4"), "OK");
        assert_eq!(gdb.ask("Z3,80030100,4"), "OK");
        // Nothing loads it, and it halts without a verdict.
        assert_eq!(gdb.ask("c"), "W01");
    }

    #[test]
    fn what_is_saved_goes_on_alike() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("state");
        let mut gdb = Client::new();
        assert_eq!(gdb.ask("Z0,80030014,4"), "OK");
        gdb.ask("c");
        assert!(gdb.monitor(&format!("save {}", file.display())).starts_with("saved to "));
        let job = Job { restore: Some(&file), ..Job::new(Path::new(""), "", Duration::MAX) };
        let mut other = Client::of(model::machine(&job, 0).unwrap());
        assert_eq!(gdb.ask("g"), other.ask("g"));
        assert_eq!(gdb.monitor("digest"), other.monitor("digest"));
        assert_eq!(other.ask("Z0,80030014,4"), "OK");
        for _ in 0..3 {
            assert_eq!(gdb.ask("c"), other.ask("c"));
            assert_eq!(gdb.monitor("digest"), other.monitor("digest"));
        }
        // Its history begins where it was restored.
        gdb.ask("bc");
        assert_eq!(gdb.register(9), 2);
        (0..3).for_each(|_| drop(other.ask("bc")));
        assert!(other.ask("bc").contains("replaylog:begin"));
        fs::write(&file, "something else").unwrap();
        let refused = model::machine(&job, 0).err().unwrap();
        assert!(format!("{refused:#}").ends_with("it is no saved state of a machine"));
    }

    #[test]
    fn what_never_ends_is_stopped() {
        // addiu $t1, $t1, 1; b back; nop
        let mut gdb = Client::of(machine_of(&[0x2529_0001, 0x1000_fffe, 0]));
        gdb.0.write_all(b"$c#63").unwrap();
        thread::sleep(Duration::from_millis(50));
        gdb.0.write_all(&[3]).unwrap();
        assert_eq!(gdb.answer().get(..3), Some("S02"));
        assert!(gdb.register(9) > 0);
        // Back is as well possible.
        assert!(gdb.ask("bc").contains("replaylog:begin"));
        assert_eq!(gdb.register(9), 0);
    }

    #[test]
    fn nonsense_is_refused() {
        let mut gdb = Client::new();
        assert_eq!(gdb.ask("nonsense"), "");
        assert!(gdb.monitor("bad word").contains("save FILE"), "help");
        assert!(gdb.monitor("save /no/such/directory/file").contains("cannot write"));
        assert_eq!(gdb.register(PC), 0x8003_0000);
    }
}
