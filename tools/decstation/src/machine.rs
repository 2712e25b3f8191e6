//! The machine: configuration, running and stopping, inspection.

use crate::breaks::Break;
use crate::cache::Caches;
use crate::cp0::{CAUSE_IP, CAUSE_SOFTWARE, Cp0, Exception, SR_SWC};
use crate::cpu::Cpu;
use crate::fork::Written;
use crate::fpu::Fpu;
use crate::image::{Image, ImageError};
use crate::instruments::{Counts, Executions, Hooks, Injection, Mark, MarkSink, Passage, Stall, Tracer};
use crate::kn02::Kn02;
use crate::lance::Lance;
use crate::memory::{self, NO_PAGE, Translations};
use crate::profile::{DEC5000_200, Profile};
use crate::prom;
use crate::stretch::{Stretch, StretchSink, Stretches};
use crate::strict::{Rule, Violation};
use crate::symbols::Symbols;
use crate::tlb::{Tlb, TlbEntry};
use crate::write_buffer::WriteBuffer;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io::Write;
use std::ops::Range;

/// What kind of machine to build.
#[derive(Clone, Debug)]
pub struct Config {
    /// Clock and memory system.
    pub profile: Profile,
    /// Main memory in megabytes, 1 to 480.
    pub ram_mb: u32,
    /// The PROM's boot arguments: `argv[2]`, absent if empty.
    pub boot_args: String,
    /// Stop at whatever silicon leaves undefined.
    pub strict: bool,
    /// Do not stop there, but count: for software that has rules of its own. See [`Machine::broken`].
    pub tolerant: bool,
    /// Model caches' and memory's time. Otherwise every instruction takes one cycle.
    pub timed: bool,
    /// Serial lines without delay.
    pub instant_serial: bool,
    /// Variables added to the PROM's environment.
    pub environment: Vec<(String, String)>,
    /// A floating-point unit is in its socket.
    pub fpu: bool,
    /// An Ethernet controller is in its slot, with this station address in its ROM.
    pub ethernet: Option<[u8; 6]>,
    /// Where the guest's kernel reads Cause to wait for an interrupt that it has turned off.
    pub polls: Range<u32>,
    /// Both caches are empty whenever a stretch of the kernel begins: its paths take as long as they can.
    pub cold: bool,
}

impl Default for Config {
    /// A DECstation 5000/200 with 16 MB: timed and strict.
    fn default() -> Self {
        Config {
            profile: DEC5000_200,
            ram_mb: 16,
            boot_args: String::new(),
            strict: true,
            tolerant: false,
            timed: true,
            instant_serial: false,
            environment: Vec::new(),
            fpu: false,
            ethernet: None,
            polls: 0..0,
            cold: false,
        }
    }
}

/// How far to run. A budget counts from the call of [`Machine::run`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// At most this many instructions.
    pub instructions: Option<u64>,
    /// At most about this many cycles: the run stops at the first instruction that begins after.
    pub cycles: Option<u64>,
}

impl Limits {
    /// No limit.
    pub const NONE: Limits = Limits { instructions: None, cycles: None };

    /// A budget of instructions.
    pub fn instructions(count: u64) -> Limits {
        Limits { instructions: Some(count), cycles: None }
    }

    /// A budget of cycles.
    pub fn cycles(count: u64) -> Limits {
        Limits { instructions: None, cycles: Some(count) }
    }
}

/// Why a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The guest called the PROM's `halt` or `rex('h')`.
    Halted,
    /// The guest asked the PROM to reboot.
    Reboot,
    /// The guest called a PROM function that the model does not have, or took an exception into the PROM.
    PromMissing {
        /// Its offset in the call vector, or its address for what is not in the vector.
        offset: u32,
        /// The return address, or where the exception was.
        caller: u32,
    },
    /// The budget is used up.
    Budget,
    /// Strict mode found a broken rule.
    Strict(Violation),
    /// The CPU loops on itself and no interrupt can end that.
    Stuck {
        /// Where.
        pc: u32,
    },
    /// It came to where a debugger wants it to stop: see [`Machine::run_with`].
    Break(Break),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Halted => f.write_str("halted"),
            Stop::Reboot => f.write_str("the guest asked for a reboot"),
            Stop::PromMissing { offset: prom::REFILL_VECTOR | prom::GENERAL_VECTOR, caller } => {
                write!(f, "an exception at {caller:08x} went to the PROM, because Status.BEV is set")
            }
            Stop::PromMissing { offset, caller } => {
                write!(
                    f,
                    "the guest called PROM function {offset:#x}, which the model does not have, from {caller:08x}"
                )
            }
            Stop::Budget => f.write_str("the budget is used up"),
            Stop::Break(_) => f.write_str("the debugger stops it"),
            Stop::Strict(violation) => violation.fmt(f),
            Stop::Stuck { pc } => write!(f, "stuck at {pc:08x}: it loops on itself with interrupts off"),
        }
    }
}

/// How many instructions may pass before the loop looks whether the guest is stuck.
const LOOK_UP: u64 = 1 << 16;

/// The machine.
pub struct Machine {
    pub(crate) config: Config,
    pub(crate) cpu: Cpu,
    pub(crate) cp0: Cp0,
    pub(crate) fpu: Option<Box<Fpu>>,
    pub(crate) tlb: Tlb,
    pub(crate) caches: Caches,
    pub(crate) ram: Box<[u32]>,
    /// Strict mode: which bytes of each word of memory were ever written.
    pub(crate) written: Box<[u8]>,
    /// Which pages of it differ from a fork's.
    pub(crate) pages: Written,
    pub(crate) write_buffer: WriteBuffer,
    pub(crate) board: Kn02,

    // What the interpreter remembers of address translation.
    pub(crate) translations: Translations,
    pub(crate) context: u32,
    pub(crate) fetch_page: u32,
    pub(crate) fetch_tag: u32,
    pub(crate) fetch_base: usize,
    pub(crate) micro_tlb: [u32; 4],

    pub(crate) counts: Counts,
    pub(crate) marks: Vec<Mark>,
    pub(crate) mark_sink: Option<MarkSink>,
    pub(crate) hooks: Hooks,
    pub(crate) stretches: Stretches,
    /// Rules broken so far, if that is tolerated.
    pub(crate) broken: Vec<(Violation, u64)>,
    pub(crate) stretch_sink: Option<StretchSink>,
    /// The instruction being executed, kept in strict mode.
    pub(crate) word: Option<u32>,
    /// Exceptions in a row that led from a vector to itself.
    pub(crate) loops: u32,
    pub(crate) stop: Option<Stop>,
    pub(crate) instruction_limit: u64,
    pub(crate) cycle_limit: u64,

    /// Planted faults by instruction count, soonest first.
    pub(crate) injections: VecDeque<(u64, Injection)>,
    /// Interrupt lines that an injection holds.
    pub(crate) injected_lines: u32,
    pub(crate) bus_errors: Vec<(u32, u32)>,

    pub(crate) console: Option<Box<dyn Write + Send>>,
    pub(crate) output: Vec<u8>,
    pub(crate) symbols: Symbols,
    /// The PROM's environment: name, address of the value in the ROM, value.
    pub(crate) environment: Vec<(String, u32, String)>,
}

impl Machine {
    /// A machine whose PROM has just finished its own start, with no image loaded.
    pub fn new(config: Config) -> Machine {
        let bytes = config.ram_mb.clamp(1, 480) as usize * (1 << 20);
        let written = if config.strict { bytes / 4 } else { 0 };
        let mut machine = Machine {
            cpu: Cpu::new(0xbfc0_0000),
            cp0: Cp0::default(),
            fpu: config.fpu.then(Box::default),
            tlb: Tlb::default(),
            caches: Caches::default(),
            ram: vec![0; bytes / 4].into_boxed_slice(),
            written: vec![0; written].into_boxed_slice(),
            pages: Written::new(bytes / 4),
            write_buffer: WriteBuffer::new(config.profile.write_buffer),
            board: Kn02::new(config.profile.hz, config.instant_serial),
            translations: memory::translations(),
            context: 0,
            fetch_page: NO_PAGE,
            fetch_tag: 0,
            fetch_base: 0,
            micro_tlb: [NO_PAGE; 4],
            counts: Counts::default(),
            marks: Vec::new(),
            mark_sink: None,
            hooks: Hooks::default(),
            stretches: Stretches::default(),
            broken: Vec::new(),
            stretch_sink: None,
            word: None,
            loops: 0,
            stop: None,
            instruction_limit: 0,
            cycle_limit: 0,
            injections: VecDeque::new(),
            injected_lines: 0,
            bus_errors: Vec::new(),
            console: None,
            output: Vec::new(),
            symbols: Symbols::default(),
            environment: Vec::new(),
            config,
        };
        let Profile { hz, ether, .. } = machine.config.profile;
        machine.board.lance = machine.config.ethernet.map(|station| Box::new(Lance::new(hz, ether, station)));
        machine.start_prom();
        machine.settle_status();
        machine
    }

    /// Loads an ELF executable as the PROM does: each segment to its virtual address, which must lie in kseg0 or kseg1.
    /// The entry point and `$gp` come from the image; everything else is as the PROM leaves it.
    pub fn load_elf(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        let image = Image::parse(bytes, self.ram.len() as u64 * 4)?;
        for segment in &image.segments {
            self.load_physical(segment.physical, &segment.data);
        }
        self.cpu.jump(image.entry);
        self.cpu.regs[28] = image.gp;
        self.forget_fetch();
        self.symbols.add(bytes);
        Ok(())
    }

    /// Adds the symbols and line numbers of another ELF file, such as a user program's.
    pub fn add_symbols(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        Image::check_symbols(bytes)?;
        self.symbols.add(bytes);
        Ok(())
    }

    /// The guest's symbols.
    pub fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// Sends console output here from now on. Without a sink it is kept for [`Machine::take_output`].
    pub fn set_console(&mut self, sink: Box<dyn Write + Send>) {
        self.console = Some(sink);
        self.flush_output();
    }

    /// Console output since the last call, when there is no sink.
    pub fn take_output(&mut self) -> String {
        self.collect_output();
        String::from_utf8_lossy(&std::mem::take(&mut self.output)).into_owned()
    }

    /// Types characters at the console. They arrive one by one, at the line's speed.
    pub fn type_input(&mut self, bytes: &[u8]) {
        let now = self.cycles();
        for &byte in bytes {
            self.board.dz.type_character(now, byte);
        }
        self.attention();
    }

    /// Runs until the guest halts, a limit is reached or a rule is broken. Can be called again to go on.
    pub fn run(&mut self, limits: Limits) -> Stop {
        let far = u64::MAX / 2;
        self.instruction_limit = self.cpu.instructions.saturating_add(limits.instructions.unwrap_or(far)).min(far);
        self.cycle_limit = self.cycles().saturating_add(limits.cycles.unwrap_or(far)).min(far);
        self.attention();
        let stop = match (self.config.timed, self.config.strict, self.hooks.is_active()) {
            (false, false, false) => self.execute::<false, false, false>(),
            (false, true, false) => self.execute::<false, true, false>(),
            (true, false, false) => self.execute::<true, false, false>(),
            (true, true, false) => self.execute::<true, true, false>(),
            (false, false, true) => self.execute::<false, false, true>(),
            (false, true, true) => self.execute::<false, true, true>(),
            (true, false, true) => self.execute::<true, false, true>(),
            (true, true, true) => self.execute::<true, true, true>(),
        };
        self.flush_output();
        stop
    }

    /// Executes one instruction; an interrupt that is due is taken before it.
    pub fn step(&mut self) -> Option<Stop> {
        match self.run(Limits::instructions(1)) {
            Stop::Budget => None,
            stop => Some(stop),
        }
    }

    /// Asks the machine to stop before the next instruction.
    pub(crate) fn halt(&mut self, stop: Stop) {
        self.stop.get_or_insert(stop);
        self.attention();
    }

    /// Stops a strict run. The message is made only if it is wanted.
    #[cold]
    #[inline(never)]
    pub(crate) fn violation(&mut self, rule: Rule, pc: u32, detail: impl FnOnce() -> String) {
        if !self.config.strict || self.stop.is_some() {
            return;
        }
        if let Some((_, times)) = self.broken.iter_mut().find(|(first, _)| first.rule == rule) {
            *times += 1;
            return;
        }
        let fetched = self.cpu.pc != pc;
        let violation = Violation {
            rule,
            pc,
            word: if fetched { self.word } else { self.peek_word(pc) },
            detail: detail(),
            instructions: self.cpu.instructions,
        };
        match self.config.tolerant {
            true => self.broken.push((violation, 1)),
            false => self.halt(Stop::Strict(violation)),
        }
    }

    /// The rules that the guest has broken, if that is tolerated: the first time for each, and how many times there were.
    pub fn broken(&self) -> &[(Violation, u64)] {
        &self.broken
    }

    /// What the loop does between instructions when its deadline has come: devices, interrupts, limits.
    #[inline(never)]
    pub(crate) fn service<const TIMED: bool>(&mut self) -> Option<Stop> {
        if let Some(stop) = self.stop.take() {
            return Some(stop);
        }
        let count = self.cpu.instructions;
        if count >= self.cp0.effective_at {
            self.settle_status();
        }
        while let Some(&(at, injection)) = self.injections.front()
            && at <= count
        {
            self.injections.pop_front();
            self.inject_now(injection);
        }
        let event = self.look_up();
        if count >= self.instruction_limit || self.cycles() >= self.cycle_limit {
            return Some(Stop::Budget);
        }
        let due = self.interrupt_due();
        // What a test injects comes at the instruction that it names.
        let waits = due && self.injected_lines == 0 && self.has_exception();
        if waits {
            // Should the instruction go through after all, the interrupt comes behind it.
            self.cpu.deadline = count + 1;
            return None;
        }
        if due {
            let pc = self.cpu.pc;
            let slot = self.cpu.next_in_slot();
            self.injected_lines = 0;
            self.exception(Exception::Int, pc, slot);
            if TIMED {
                let profile = &self.config.profile;
                let cycles = profile.exception + profile.interrupt;
                self.stall(Stall::Exception, cycles.into());
            }
        } else if (event == u64::MAX && !self.board.awaits_input() || self.cp0.effective & crate::cp0::SR_IEC == 0)
            && let Some(pc) = self.stuck()
        {
            return Some(Stop::Stuck { pc });
        }
        let injection = self.injections.front().map_or(u64::MAX, |&(at, _)| at);
        self.cpu.deadline = (count + LOOK_UP)
            .min(self.instruction_limit)
            .min(self.cycle_limit.saturating_sub(self.cpu.stalls))
            .min(self.cp0.effective_at)
            .min(injection)
            .min(event.saturating_sub(self.cpu.stalls));
        None
    }

    /// Brings the devices and the lines of their interrupts up to date; when one next changes by itself.
    pub(crate) fn look_up(&mut self) -> u64 {
        let event = self.board.advance(self.cycles());
        self.flush_output();
        self.cp0.cause = self.cp0.cause & !(CAUSE_IP & !CAUSE_SOFTWARE)
            | self.board.interrupts()
            | self.injected_lines
            | self.fpu_line();
        event
    }

    /// Whether the guest jumps to itself, with an empty delay slot and nothing that could interrupt it.
    fn stuck(&self) -> Option<u32> {
        if self.cpu.next_in_slot()
            || self.cp0.effective_at != u64::MAX
            || !self.injections.is_empty()
            || self.cp0.effective & SR_SWC != 0
        {
            return None;
        }
        let pc = self.cpu.pc;
        let word = self.peek_word(pc)?;
        let itself = match word >> 26 {
            2 => pc & 0xf000_0000 | word << 2 & 0x0fff_ffff,
            4 if word >> 21 & 31 == word >> 16 & 31 => {
                pc.wrapping_add(4).wrapping_add((word as u16 as i16 as i32 as u32) << 2)
            }
            _ => return None,
        };
        (itself == pc && self.peek_word(pc.wrapping_add(4))? == 0).then_some(pc)
    }

    fn inject_now(&mut self, injection: Injection) {
        match injection {
            Injection::Interrupt { lines } => self.injected_lines |= lines & CAUSE_IP & !CAUSE_SOFTWARE,
            Injection::BusError { start, length } => {
                self.bus_errors.push((start, start.saturating_add(length)));
                // Only loads that take the long way look for it.
                self.forget_translations();
            }
            Injection::SerialError { bits } => self.board.dz.inject_error(bits),
            Injection::Tick => self.board.rtc.inject_tick(self.cpu.instructions + self.cpu.stalls),
        }
    }

    /// Whether a planted bus error lies at this address; it goes off once.
    pub(crate) fn injected_bus_error(&mut self, pa: u32) -> bool {
        match self.bus_errors.iter().position(|&(start, end)| (start..end).contains(&pa)) {
            Some(i) => {
                self.bus_errors.remove(i);
                true
            }
            None => false,
        }
    }

    /// Whether a planted bus error lies on the page of this address, so that its translation must not be remembered.
    pub(crate) fn bus_error_near(&self, pa: u32) -> bool {
        self.bus_errors.iter().any(|&(start, end)| start < (pa | 0xfff) && end > pa & !0xfff)
    }

    /// Plants a fault that goes off before the instruction with this count (as [`Machine::instructions`] counts).
    pub fn inject(&mut self, at: u64, injection: Injection) {
        let place = self.injections.partition_point(|&(other, _)| other <= at);
        self.injections.insert(place, (at, injection));
        self.attention();
    }

    pub(crate) fn collect_output(&mut self) {
        if self.board.dz.has_output() {
            let bytes = self.board.dz.take_output();
            self.output.extend(bytes);
        }
    }

    /// Hands console output to the sink, if there is one. A sink that fails loses its output: the guest can't know.
    fn flush_output(&mut self) {
        self.collect_output();
        if let Some(sink) = &mut self.console
            && !self.output.is_empty()
        {
            let _ = sink.write_all(&self.output).and_then(|()| sink.flush());
            self.output.clear();
        }
    }

    /// Instructions executed: every instruction that began, with those in delay slots and those that raised an exception;
    /// not those whose fetch failed or that an interrupt forestalled.
    pub fn instructions(&self) -> u64 {
        self.cpu.instructions
    }

    /// Cycles since the image was started.
    pub fn cycles(&self) -> u64 {
        self.cpu.instructions + self.cpu.stalls
    }

    /// Simulated time in microseconds.
    pub fn microseconds(&self) -> f64 {
        self.config.profile.microseconds(self.cycles())
    }

    /// Stall cycles and exceptions.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The longest time so far that the guest's kernel took between two instructions of user mode, with
    /// [`Config::polls`] in between none.
    pub fn longest_stretch(&self) -> Option<Stretch> {
        self.stretches.longest()
    }

    /// Shows every stretch of the guest's kernel to this function when it has come to its end.
    pub fn on_stretch(&mut self, sink: StretchSink) {
        self.stretch_sink = Some(sink);
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The address of the next instruction.
    pub fn pc(&self) -> u32 {
        self.cpu.pc
    }

    /// Starts at this address instead.
    pub fn set_pc(&mut self, pc: u32) {
        self.cpu.jump(pc);
        self.forget_fetch();
    }

    /// A general register. A load in flight has not reached it.
    pub fn register(&self, index: usize) -> u32 {
        self.cpu.regs[index & 31]
    }

    /// Sets a general register.
    pub fn set_register(&mut self, index: usize, value: u32) {
        if index & 31 != 0 {
            self.cpu.regs[index & 31] = value;
        }
    }

    /// HI and LO.
    pub fn hi_lo(&self) -> (u32, u32) {
        (self.cpu.hi, self.cpu.lo)
    }

    /// The system control registers.
    pub fn cp0(&self) -> &Cp0 {
        &self.cp0
    }

    /// The Ethernet controller.
    pub fn ethernet(&self) -> Option<&Lance> {
        self.board.lance.as_deref()
    }

    /// The TLB.
    pub fn tlb(&self) -> &[TlbEntry; 64] {
        self.tlb.entries()
    }

    /// The marks executed since the last call, when there is no sink.
    pub fn take_marks(&mut self) -> Vec<Mark> {
        std::mem::take(&mut self.marks)
    }

    /// Sends marks here from now on.
    pub fn on_mark(&mut self, sink: MarkSink) {
        self.mark_sink = Some(sink);
    }

    /// Shows every instruction to this function before it is executed, or to nobody.
    pub fn set_tracer(&mut self, tracer: Option<Tracer>) {
        self.hooks.tracer = tracer;
    }

    /// Records each time the guest comes to this virtual address, such as a symbol's, from the next run on.
    pub fn watch(&mut self, address: u32) {
        self.hooks.watched.insert(address);
    }

    /// Empties both caches each time the guest comes to this virtual address, from the next run on: what follows takes as long
    /// as it can.
    pub fn chill(&mut self, address: u32) {
        self.hooks.chilled.insert(address);
    }

    /// The passages of watched addresses since the last call.
    pub fn take_passages(&mut self) -> Vec<Passage> {
        std::mem::take(&mut self.hooks.passages)
    }

    /// Starts counting executions by virtual address: a profile, and coverage.
    pub fn start_profile(&mut self) {
        self.hooks.profile = Some(HashMap::new());
        self.hooks.current = None;
    }

    /// Ends counting and returns the counts.
    pub fn take_profile(&mut self) -> HashMap<u32, Executions> {
        let mut profile = self.hooks.profile.take().unwrap_or_default();
        if let Some((pc, began)) = self.hooks.current.take() {
            profile.entry(pc).or_default().cycles += self.cycles() - began;
        }
        profile
    }

    /// A message for a stop, with the guest's function and source line where they are known.
    pub fn describe(&self, stop: &Stop) -> String {
        let pc = match stop {
            Stop::Strict(violation) => violation.pc,
            Stop::Stuck { pc } => *pc,
            Stop::PromMissing { offset: prom::REFILL_VECTOR | prom::GENERAL_VECTOR, caller } => *caller,
            Stop::PromMissing { caller, .. } => caller.wrapping_sub(8),
            Stop::Budget | Stop::Break(_) => self.cpu.pc,
            Stop::Halted | Stop::Reboot => return stop.to_string(),
        };
        let place = self.symbols.describe(pc);
        let at = if matches!(stop, Stop::Budget) { format!(" at {pc:08x}") } else { String::new() };
        match place {
            Some(place) => format!("{stop}{at} [{place}]"),
            None => format!("{stop}{at}"),
        }
    }
}
