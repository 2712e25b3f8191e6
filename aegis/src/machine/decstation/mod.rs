//! The DECstation 5000/200 (KN02): a serial line for the console, a clock for the slices, and the PROM to stop it.
//!
//! | physical | device |
//! |---|---|
//! | 0x1f800000 | Am7990, Ethernet: [`ether`] |
//! | 0x1fe00000 | DC7085, serial lines: [`dz`] |
//! | 0x1fe80000 | MC146818, clock: [`rtc`] |
//! | 0x1ff00000 | control and status register: [`csr`] |
//!
//! Interrupt 2 is the CSR's (the serial lines and Ethernet), interrupt 3 the clock's.

mod csr;
mod dz;
mod ether;
mod prom;
mod rtc;

use super::lance::Lance;
use crate::arch::cp0::{self, Cause, Status};
use crate::console::Console;
use aegis_abi::boot::BootInfo;
use aegis_abi::console::{VERDICT_FAIL, VERDICT_PASS};
use core::fmt::Write;

/// The most bytes that one interrupt sends, on a machine whose line is always ready, and the most that it receives.
const BYTES_AT_ONCE: usize = 16;

/// Bytes of each of the caches of a KN02: direct-mapped, by physical address.
pub const CACHE_BYTES: u32 = 64 * 1024;

/// Bytes of main memory that the network needs.
pub const NETWORK_BYTES: u32 = 0;

/// The devices.
pub struct Machine {
    /// The Ethernet controller.
    pub network: Option<Lance<ether::Slot>>,
}

/// Status for a program: user mode, with interrupts on, after `rfe`; no coprocessor.
pub fn user_status() -> Status {
    Status::KUP | Status::IEP | Status::IM0 | Status::IM2 | Status::IM3
}

impl Machine {
    /// Takes the devices over from the PROM.
    pub fn new(info: &BootInfo) -> Self {
        prom::remember(info.prom);
        dz::initialise();
        csr::enable_serial_and_ethernet();
        Self { network: None }
    }

    /// Has the network get ready, which has memory of its own.
    pub fn prepare_network(&mut self, _: u32) {
        self.network = ether::find();
    }

    /// What nobody who was not there when the machine was switched on can know, as far as a DECstation has such a thing: date and
    /// time of day to the second, and the count of clock cycles, modulo 56, since it was reset.
    pub fn entropy(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..10].copy_from_slice(&rtc::time());
        bytes[10..14].copy_from_slice(&cp0::random().to_le_bytes());
        bytes
    }

    /// Lets the clock tick; how many cycles of the processor a time slice has.
    pub fn start_clock(&mut self) -> u32 {
        rtc::start()
    }

    /// Whether the clock has ticked since the last time.
    pub fn clock_interrupt(&mut self) -> bool {
        cp0::cause().contains(Cause::IP3) && rtc::acknowledge()
    }

    /// Whether a device asks for something.
    pub fn is_asked(&self) -> bool {
        cp0::cause().intersects(Cause::IP0 | Cause::IP2 | Cause::IP3)
    }

    /// Whether the network may ask for something, or the kernel itself for its sake.
    pub fn network_asks(&self) -> bool {
        csr::ethernet_interrupts() || cp0::cause().contains(Cause::IP0)
    }

    /// Takes what was received, and sends what waits, as far as the line takes it: one byte on silicon, and never so many
    /// as to keep the kernel busy.
    pub fn console_interrupt(&mut self, console: &mut Console) {
        if !cp0::cause().contains(Cause::IP2) || !csr::serial_interrupts() {
            return;
        }
        for character in (0..BYTES_AT_ONCE).map_while(|_| dz::receive()) {
            character.into_iter().for_each(|byte| console.take(byte));
        }
        for _ in 0..BYTES_AT_ONCE {
            if !dz::is_ready() {
                return;
            }
            match console.pop() {
                Some(byte) => dz::send(byte),
                None => return dz::disable(),
            }
        }
    }

    /// There is something to send.
    pub fn console_start(&mut self, _: &mut Console) {
        dz::enable();
    }

    /// Sends all that waits and the verdict, and stops the machine.
    pub fn halt(&mut self, console: &mut Console, well: bool) -> ! {
        let mut raw = Raw::new();
        while let Some(byte) = console.pop() {
            raw.send(byte);
        }
        let _ = writeln!(raw, "{}", if well { VERDICT_PASS } else { VERDICT_FAIL });
        stop()
    }
}

/// Stops the machine.
pub fn stop() -> ! {
    dz::flush();
    prom::halt()
}

/// The console without queue or interrupts, for the last words.
pub struct Raw(());

impl Raw {
    /// Takes the line over.
    pub fn new() -> Self {
        dz::initialise();
        dz::enable();
        Self(())
    }

    /// Sends a byte as soon as the line takes it.
    pub fn send(&mut self, byte: u8) {
        dz::wait();
        dz::send(byte);
    }
}
