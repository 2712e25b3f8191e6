//! A Malta board with a MIPS32 processor, as QEMU has it: a serial line for the console, the processor's timer for the
//! slices, and the emulator's semihosting to stop it.
//!
//! | physical | device |
//! |---|---|
//! | PCI | PCnet, Ethernet: [`ether`] |
//! | 0x18000040 | i8254, a clock of known frequency: [`timer`] |
//! | 0x180003f8 | 16550, serial line: [`uart`] |
//! | 0x1f000500 | reset register: [`power`] |
//!
//! Interrupt 7 is the processor's timer, interrupt 2 Ethernet's. No other is let through: the serial line is served when
//! there is something to send and at each tick.

mod ether;
mod power;
mod timer;
mod uart;

use super::SLICE_CYCLES;
use super::lance::{self, Lance};
use crate::arch::cp0::{self, Cause, Status};
use crate::console::Console;
use aegis_abi::boot::BootInfo;
use aegis_abi::console::{VERDICT_FAIL, VERDICT_PASS};
use core::fmt::Write;
use timer::Timer;

/// The emulator has no caches; one page makes all frames alike.
pub const CACHE_BYTES: u32 = 4096;

/// Bytes of the line's queue.
const QUEUE: usize = 16;

/// Bytes of main memory that the network needs.
pub const NETWORK_BYTES: u32 = lance::MEMORY_BYTES;

/// The devices.
pub struct Machine {
    timer: Timer,
    /// The Ethernet controller.
    pub network: Option<Lance<ether::Slot>>,
}

/// Status for a program: user mode, with interrupts on, after `eret`; no coprocessor.
pub const fn user_status() -> Status {
    Status::UM.union(Status::IE).union(Status::EXL).union(Status::IM0).union(Status::IM2).union(Status::IM7)
}

/// A device register: uncached and unmapped.
fn register<T>(address: u32) -> *mut T {
    address as *mut T
}

impl Machine {
    /// Takes the devices over from the loader.
    pub fn new(_: &BootInfo) -> Self {
        uart::initialise();
        Self { timer: Timer::new(), network: None }
    }

    /// Has the network get ready, with memory to work in.
    pub fn prepare_network(&mut self, memory: u32) {
        self.network = ether::find(memory);
    }

    /// What nobody who was not there when the machine was switched on can know, as far as it has such a thing: the
    /// processor's count of its own clock, which the emulator makes of the host's.
    pub fn entropy(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&cp0::count().to_le_bytes());
        bytes[4..8].copy_from_slice(&cp0::random().to_le_bytes());
        bytes
    }

    /// Lets the clock tick; how many cycles a time slice has, of the machine that the kernel's costs are those of: what they are
    /// here nobody knows, but no processor that this one may have is as slow.
    pub fn start_clock(&mut self) -> u32 {
        self.timer.start();
        SLICE_CYCLES
    }

    /// Whether the clock has ticked since the last time.
    pub fn clock_interrupt(&mut self) -> bool {
        let asking = cp0::cause().contains(Cause::IP7);
        if asking {
            self.timer.acknowledge();
        }
        asking
    }

    /// Whether a device may ask for something: the line has to be looked at, as it is not listened to.
    pub fn is_asked(&self) -> bool {
        true
    }

    /// Whether the network may ask for something.
    pub fn network_asks(&self) -> bool {
        true
    }

    /// Takes what was received, at most what the line's queue holds, and sends what waits, as far as the line takes it: on
    /// silicon what its queue has room for, in the emulator all.
    pub fn console_interrupt(&mut self, console: &mut Console) {
        (0..QUEUE).map_while(|_| uart::receive()).for_each(|byte| console.take(byte));
        while uart::is_ready() {
            let Some(byte) = console.pop() else { return };
            uart::send(byte);
        }
    }

    /// There is something to send.
    pub fn console_start(&mut self, console: &mut Console) {
        self.console_interrupt(console);
    }

    /// Sends all that waits and the verdict, and stops the machine.
    pub fn halt(&mut self, console: &mut Console, well: bool) -> ! {
        let mut raw = Raw::new();
        while let Some(byte) = console.pop() {
            raw.send(byte);
        }
        let _ = writeln!(raw, "{}", if well { VERDICT_PASS } else { VERDICT_FAIL });
        uart::wait();
        power::exit(well)
    }
}

/// Stops the machine, after a failure.
pub fn stop() -> ! {
    uart::wait();
    power::exit(false)
}

/// The console without queue, for the last words.
pub struct Raw(());

impl Raw {
    /// Takes the line over.
    pub fn new() -> Self {
        uart::initialise();
        Self(())
    }

    /// Sends a byte as soon as the line takes it.
    pub fn send(&mut self, byte: u8) {
        uart::wait();
        uart::send(byte);
    }
}
