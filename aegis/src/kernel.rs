//! The kernel's state, and what it does when a program is interrupted, misses a page, or ends.

use crate::arch;
use crate::arch::bindings::{self, Context, Translation};
use crate::arch::cp0::{self, EntryLo};
use crate::arch::layout::{Frame, Record};
use crate::console::{Console, text};
use crate::handlers::Making;
use crate::machine::Machine;
use crate::network::{self, Seen};
use aegis_abi::EnvId;
use aegis_abi::console::PC;
use aegis_abi::exception::{Code, END_OF_SLICE_SLOT, EXCESS_MAX};
use aegis_abi::network::Interface;
use aegis_abi::program::RETURN_SEQUENCE_BYTES;
use aegis_core::environments::Begin;
use aegis_core::header::contains;
use aegis_core::slices::{Next, Tick};
use aegis_core::system::System;
use core::fmt::Arguments;

/// All that the kernel knows, but for the record of each environment.
pub struct Kernel {
    /// Who owns what.
    pub system: System<'static>,
    /// What of the public page changes all the time.
    pub public: Changing,
    /// Text on its way to the console.
    pub console: Console,
    /// The devices.
    pub machine: Machine,
    /// Cycles of the processor in a time slice.
    pub slice_cycles: u32,
    /// What is left of the cycles that frames and handlers may take in this time slice.
    pub left: i32,
    /// How many a frame takes of them.
    pub frame: i32,
    /// What is known of the message that was received first, from an earlier interrupt.
    pub seen: Seen,
    /// The handler that is being made.
    pub making: Making,
    /// Programs of the boot archive that could not be started.
    pub refused: u32,
    /// Environments that ended badly.
    pub failed: u32,
    /// Whether there is a floating-point unit.
    pub has_fpu: bool,
    /// The environment that turned it on last: the only one that may use it, and whose values its registers hold.
    pub fpu_user: EnvId,
}

/// Parts of [`Public`](aegis_abi::public::Public).
pub struct Changing {
    pub ticks: &'static mut u32,
    pub position: &'static mut u32,
    pub interface: &'static mut Interface,
}

impl Kernel {
    /// The record of an environment that lives.
    pub fn record(&mut self, id: EnvId) -> &mut Record {
        debug_assert!(self.system.lives(id));
        // SAFETY: the directory holds the address of a living environment's record, which nothing else refers to while the
        // kernel runs: a reference lives no longer than this one to the kernel's state.
        unsafe { arch::record_at(self.record_address(id)) }
    }

    /// The address of an environment's record.
    pub fn record_address(&self, id: EnvId) -> u32 {
        self.system.environments.entry(id.index()).record
    }

    /// A miss of the software TLB in user mode: whether a guaranteed mapping mended it.
    pub fn software_tlb_miss(&mut self, id: EnvId) -> bool {
        let address = cp0::bad_vaddr();
        if let Some(page) = self.record(id).mappings.page(address).filter(|&page| self.system.holds(page)) {
            self.map(id, address, EntryLo::page(page.frame, page.writable));
            self.system.statistics.guaranteed = self.system.statistics.guaranteed.wrapping_add(1);
            return true;
        }
        // Its handler, if that is what could not be fetched, would miss again and again, each time before the first
        // instruction at which it could be interrupted.
        let epc = cp0::epc();
        if address == epc && self.record(id).handlers[Code::TlbLoad as usize] == epc {
            self.destroy(id, format_args!("its handler for {} is unmapped", Code::TlbLoad.text()), epc);
        }
        false
    }

    /// Enters a page that the environment may use into its current addressing context.
    pub fn map(&mut self, id: EnvId, address: u32, entry_lo: EntryLo) {
        let context = self.context(id);
        self.system.bind(entry_lo.frame(), context.slot(address));
        // SAFETY: the caller's checks; and the frame's entry has just been told.
        unsafe { context.enter(address, entry_lo) }
    }

    /// An exception that the program does not handle.
    pub fn no_handler(&mut self, id: EnvId) -> ! {
        match Code::handled(cp0::cause().code()) {
            Some(code) if code.has_address() => {
                let address = cp0::bad_vaddr();
                self.destroy(id, format_args!("{}, address={address:#010x}, unhandled", code.text()), cp0::epc())
            }
            Some(code) => self.destroy(id, format_args!("{}, unhandled", code.text()), cp0::epc()),
            None => self.destroy(id, format_args!("an exception that no program handles"), cp0::epc()),
        }
    }

    /// An interrupt: goes on with the interrupted program, as `frame` then says, or with another.
    pub fn interrupt(&mut self, id: EnvId, frame: &mut Frame) {
        let record = self.record(id);
        // Interrupted where it must not be caught half way, the program begins that anew.
        let resuming = contains(record.resume, frame.epc);
        if resuming {
            frame.epc = record.start_of_slice;
        } else if contains(record.return_sequences, frame.epc) {
            frame.epc &= !(RETURN_SEQUENCE_BYTES - 1);
        }
        if self.machine.clock_interrupt() {
            self.count_tick();
            match self.system.slices.tick(id, arch::is_lent()) {
                Tick::End if resuming => {}
                Tick::End => {
                    let record = self.record(id);
                    record.save_page().a0[END_OF_SLICE_SLOT] = frame.a[0];
                    frame.a[0] = frame.epc;
                    frame.epc = record.end_of_slice;
                }
                Tick::Excess => {}
                Tick::Overrun(asked) => {
                    let reason =
                        format_args!("kept the processor for {EXCESS_MAX} time slices past the end of its own");
                    if asked == id {
                        self.destroy(id, reason, frame.epc);
                    }
                    // Who runs was not asked yet, and goes on until the next tick asks it.
                    self.report_destroyed(asked, format_args!("{reason}, while another ran"));
                    self.end(asked, false);
                }
            }
        } else {
            // Not both at once, each of which takes its time. What came is still there at the next interrupt.
            self.serve_network();
        }
        self.serve_console();
        // Its context is in memory already, and the slice is over: it was about to give it back, or would now have to.
        if resuming && self.system.slices.asked() == Some(id) {
            self.next_slice();
        }
    }

    /// Sends and receives what there is; whether the reader was woken for it.
    pub fn serve_console(&mut self) -> bool {
        let had_input = self.console.has_input();
        self.machine.console_interrupt(&mut self.console);
        !had_input && self.console.has_input() && self.system.wake(self.console.reader).is_ok()
    }

    fn count_tick(&mut self) {
        *self.public.ticks = (*self.public.ticks + 1) & 0x7fff_ffff;
        self.listen_again();
    }

    /// Runs the next slice, as soon as somebody has work. If nobody owns a slice, the run is over.
    pub fn next_slice(&mut self) -> ! {
        loop {
            match self.system.next(*self.public.ticks) {
                Next::Run(id) => self.run(id),
                Next::Idle => self.idle(),
                Next::Nobody => self.finish(),
            }
        }
    }

    /// Runs the slice of an environment.
    #[inline(always)]
    fn run(&mut self, id: EnvId) -> ! {
        arch::set_lent(false);
        *self.public.position = self.system.slices.position();
        let pc = self.start(id);
        self.install(id);
        // SAFETY: the record is a living environment's, and its entries were checked when they were set.
        unsafe { arch::enter::enter(self.record(id), pc) }
    }

    /// A slice of an environment begins, and the later ones will at its start-of-slice entry, which assembly relies on.
    /// Where this one does.
    #[inline(always)]
    pub fn start(&mut self, id: EnvId) -> u32 {
        let begin = self.system.begin(id);
        let record = self.record(id);
        let next = core::mem::replace(&mut record.next_entry, record.start_of_slice);
        match begin {
            Begin::First | Begin::Slice => next,
            Begin::Revocation => record.revocation,
        }
    }

    /// Makes the addressing context and Status of an environment those of the processor.
    #[inline(always)]
    pub fn install(&mut self, id: EnvId) {
        let context = Context::new(self.system.context(&mut Translation, id));
        let record = self.record(id);
        record.entry_hi = context.entry_hi;
        record.stlb = context.stlb;
        arch::install(record);
    }

    /// Waits for a tick while nobody has work. There is no instruction to wait by on an R3000, so this polls.
    ///
    /// Not inlined: the model tells a poll from the rest of the kernel by its address.
    #[inline(never)]
    fn idle(&mut self) {
        self.system.statistics.idle = self.system.statistics.idle.wrapping_add(1);
        let left = self.listen(network::ALL);
        loop {
            // The clock first: who came here has taken its time, and what follows takes its own.
            if self.machine.clock_interrupt() {
                return self.count_tick();
            }
            // The network next, in which somebody waits for every microsecond.
            if self.serve_network() || self.serve_console() {
                self.left = left;
                return;
            }
            let reader = self.console.is_wanted() && self.system.lives(self.console.reader);
            let awaited = reader || self.machine.network.is_some() && self.system.awaits_messages();
            if self.console.is_empty() && !awaited && !self.system.anybody_waits_for_the_clock() {
                self.report(format_args!("every environment waits for another"));
                self.failed += 1;
                self.finish();
            }
            // Nothing else changes anything.
            while !self.machine.is_asked() {}
        }
    }

    /// Ends an environment that can't go on, with a report, and goes on with the next slice.
    pub fn destroy(&mut self, id: EnvId, reason: Arguments, pc: u32) -> ! {
        self.report_destroyed(id, format_args!("{reason}, {PC}{pc:08x}"));
        self.end(id, false);
        self.next_slice()
    }

    fn report_destroyed(&mut self, id: EnvId, reason: Arguments) {
        let name = self.record(id).name;
        self.report(format_args!("{}: destroyed: {reason}", text(&name)));
    }

    /// Ends an environment and takes back what it had.
    pub fn end(&mut self, id: EnvId, well: bool) {
        self.system.env_destroy(id);
        if !well {
            self.failed += 1;
        }
    }

    /// Nobody owns a slice any more: checks the tables, says how the run went and stops the machine.
    pub fn finish(&mut self) -> ! {
        if let Err(violation) = self.audit() {
            self.report(format_args!("audit: {violation}"));
            self.failed += 1;
        }
        let left = self.system.environments.alive();
        if left != 0 {
            self.report(format_args!("{left} environments without a slice are left"));
        }
        let ended = self.system.statistics.ended + self.refused;
        let failed = self.failed + self.refused;
        self.report(format_args!("{ended} programs ended, {failed} badly"));
        self.machine.halt(&mut self.console, failed == 0 && ended > 0)
    }

    /// Checks all invariants of ownership; see `aegis_core::audit`.
    fn audit(&mut self) -> Result<(), aegis_core::audit::Violation> {
        self.system.audit(bindings::all())
    }

    /// Says something on the console in the kernel's name.
    pub fn report(&mut self, line: Arguments) {
        self.console.report(line);
        self.machine.console_start(&mut self.console);
    }
}
