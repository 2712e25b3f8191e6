//! The kernel's state, and what it does when a program is interrupted, misses a page, or ends.

use crate::arch::cp0::{self, EntryLo};
use crate::arch::layout::{Frame, Record, STLB_INDEX_MASK};
use crate::boot::enter_environment;
use crate::console::{Console, text};
use crate::machine::Machine;
use aegis_abi::EnvId;
use aegis_abi::boot::PROGRAMS;
use aegis_abi::console::PC;
use aegis_abi::exception::{CODES, Code, END_OF_SLICE_SLOT, EXCESS_MAX};
use aegis_abi::program::RETURN_SEQUENCE_BYTES;
use aegis_core::header::contains;
use aegis_core::slices::{Owner, Slices, Tick};
use core::fmt::Arguments;

/// All that the kernel knows, but for the record of each environment.
pub struct Kernel {
    /// Who owns which time slice.
    pub slices: Slices,
    /// The environments that live.
    pub environments: heapless::Vec<Environment, PROGRAMS>,
    /// Text on its way to the console.
    pub console: Console,
    /// The devices.
    pub machine: Machine,
    /// Ticks of the clock since the start.
    pub ticks: u32,
    /// Environments that ended.
    pub ended: u32,
    /// Environments that ended badly.
    pub failed: u32,
}

/// An environment that lives.
pub struct Environment {
    /// Its index: the owner of its slices.
    pub index: Owner,
    /// Its record.
    pub record: *const Record,
}

impl Kernel {
    /// A miss of the software TLB in user mode: whether a guaranteed mapping mended it.
    pub fn software_tlb_miss(&mut self, record: &mut Record) -> bool {
        let address = cp0::bad_vaddr();
        if let Some(page) = record.mappings.page(address) {
            let entry_lo = EntryLo::page(page.frame, page.writable);
            let tag = (record.stlb ^ (address >> 12 << 2 & STLB_INDEX_MASK)) as *mut u32;
            // SAFETY: `stlb` is the table's address, exclusive-or'ed with bits of the mask: so is `tag`. The mapping is one that
            // the environment was given, and it was missed: the TLB does not hold it.
            unsafe { cp0::tlb_enter(tag, entry_lo) };
            return true;
        }
        // Its handler, if that is what could not be fetched, would miss again and again, each time before the first
        // instruction at which it could be interrupted.
        let epc = cp0::epc();
        if address == epc && record.handlers[Code::TlbLoad as usize] == epc {
            self.destroy(record, format_args!("its handler for {} is unmapped", Code::TlbLoad.text()), epc);
        }
        false
    }

    /// An exception that the program does not handle.
    pub fn no_handler(&mut self, record: &mut Record) -> ! {
        match Code::handled(cp0::cause().code()) {
            Some(code) if code.has_address() => {
                let address = cp0::bad_vaddr();
                self.destroy(record, format_args!("{}, address={address:#010x}, unhandled", code.text()), cp0::epc())
            }
            Some(code) => self.destroy(record, format_args!("{}, unhandled", code.text()), cp0::epc()),
            None => self.destroy(record, format_args!("an exception that no program handles"), cp0::epc()),
        }
    }

    /// An interrupt: goes on with the interrupted program, as `frame` then says, or with another.
    pub fn interrupt(&mut self, record: &mut Record, frame: &mut Frame) {
        // Interrupted where it must not be caught half way, the program begins that anew.
        let resuming = contains(record.resume, frame.epc);
        if resuming {
            frame.epc = record.start_of_slice;
        } else if contains(record.return_sequences, frame.epc) {
            frame.epc &= !(RETURN_SEQUENCE_BYTES - 1);
        }
        self.machine.console_interrupt(&mut self.console);
        if self.machine.clock_interrupt() {
            self.ticks = (self.ticks + 1) & 0x7fff_ffff;
            match self.slices.tick(EnvId(record.id).index()) {
                // Its context is in memory already.
                Tick::End if resuming => self.next_slice(),
                Tick::End => {
                    record.save_page().a0[END_OF_SLICE_SLOT] = frame.a[0];
                    frame.a[0] = frame.epc;
                    frame.epc = record.end_of_slice;
                }
                Tick::Excess => {}
                Tick::Overrun => {
                    let reason =
                        format_args!("kept the processor for {EXCESS_MAX} time slices past the end of its own");
                    self.destroy(record, reason, frame.epc);
                }
            }
        }
    }

    /// Runs the next slice. If no environment is left, the run is over.
    pub fn next_slice(&mut self) -> ! {
        let next = self.slices.advance();
        let Some(environment) = self.environments.iter().find(|environment| Some(environment.index) == next) else {
            self.finish()
        };
        // SAFETY: a record in the table is an environment's that lives, and nothing else refers to it: it is not running.
        let record = unsafe { &mut *environment.record.cast_mut() };
        let pc = core::mem::replace(&mut record.next_entry, record.start_of_slice);
        enter_environment(record, pc)
    }

    /// Ends an environment that can't go on, with a report, and goes on with the next slice.
    pub fn destroy(&mut self, record: &mut Record, reason: Arguments, pc: u32) -> ! {
        let name = record.name;
        self.report(format_args!("{}: destroyed: {reason}, {PC}{pc:08x}", text(&name)));
        self.end(record, false)
    }

    /// Ends an environment, takes back what it had, and goes on with the next slice.
    pub fn end(&mut self, record: &mut Record, well: bool) -> ! {
        let index = EnvId(record.id).index();
        self.slices.release(index);
        self.environments.retain(|environment| environment.index != index);
        record.handlers = [crate::arch::no_handler_address(); CODES];
        self.ended += 1;
        if !well {
            self.failed += 1;
        }
        self.next_slice()
    }

    /// Every program has ended: says how the run went and stops the machine.
    fn finish(&mut self) -> ! {
        let (ended, failed) = (self.ended, self.failed);
        self.report(format_args!("{ended} programs ended, {failed} badly"));
        self.machine.halt(&mut self.console, self.failed == 0 && self.ended > 0)
    }

    /// Says something on the console in the kernel's name.
    pub fn report(&mut self, line: Arguments) {
        self.console.report(line);
        self.machine.console_start(&mut self.console);
    }
}
