//! The KN02 board: physical map, control and status register, error register, and the wiring of interrupts.

use crate::dz::Dz;
use crate::lance::{self, Lance};
use crate::rtc::Rtc;
use borsh::{BorshDeserialize, BorshSerialize};
use std::sync::Arc;

/// Start of the system ROM.
pub const ROM: u32 = 0x1fc0_0000;
/// Its size as modelled.
pub const ROM_SIZE: u32 = 0x4_0000;
/// ECC check bits and syndrome of the last error.
pub const CHKSYN: u32 = 0x1fd0_0000;
/// Address of the last error; a write clears it.
pub const ERRADR: u32 = 0x1fd8_0000;
/// The serial controller.
pub const DZ: u32 = 0x1fe0_0000;
/// The clock.
pub const RTC: u32 = 0x1fe8_0000;
/// Control and status register.
pub const CSR: u32 = 0x1ff0_0000;

/// CSR: interrupt of the Ethernet controller.
pub const CSR_INT_LANCE: u32 = 0x40;
/// CSR: interrupt of the serial controller (among the I/O interrupts, bits 7..0).
pub const CSR_INT_DZ: u32 = 0x80;
/// CSR: 38400 instead of 19200 as the external serial clock.
pub const CSR_BAUD38: u32 = 0x100;
/// CSR: the manufacturing-mode jumper is absent.
pub const CSR_NRMMOD: u32 = 0x0100_0000;
/// CSR bits that software can write: 8 to 15 and the interrupt enables.
const CSR_WRITABLE: u32 = 0x00ff_ff00;

/// ERRADR: the rest is valid.
pub const ERR_VALID: u32 = 0x8000_0000;
/// ERRADR: the CPU was at it, not an option's DMA.
pub const ERR_CPU: u32 = 0x4000_0000;
/// ERRADR: it was a write.
pub const ERR_WRITE: u32 = 0x2000_0000;
/// ERRADR: word address.
pub const ERR_ADDRESS: u32 = 0x07ff_ffff;

/// Cause bit of the CSR's interrupts (hardware interrupt 0).
pub const IP_CSR: u32 = 1 << 10;
/// Cause bit of the clock (hardware interrupt 1).
pub const IP_RTC: u32 = 1 << 11;
/// Cause bit of memory errors (hardware interrupt 3).
pub const IP_MEMORY: u32 = 1 << 13;

/// Cause bit of the floating-point unit (hardware interrupt 5); the line comes from the unit, not through the board.
pub const IP_FPU: u32 = 1 << 15;

/// No device answers at this address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout;

/// The board's devices.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub struct Kn02 {
    /// Serial controller.
    pub dz: Dz,
    /// Clock.
    pub rtc: Rtc,
    /// Ethernet controller, if there is one.
    pub lance: Option<Box<Lance>>,
    /// Forks share it.
    rom: Arc<[u32]>,
    csr: u32,
    erradr: u32,
}

impl Kn02 {
    /// The board at a CPU clock, as the PROM leaves it.
    pub fn new(hz: u64, instant_serial: bool) -> Kn02 {
        Kn02 {
            dz: Dz::new(hz, instant_serial),
            rtc: Rtc::new(hz),
            lance: None,
            rom: vec![0; ROM_SIZE as usize / 4].into(),
            csr: 0,
            erradr: 0,
        }
    }

    /// Writes the ROM, as the PROM's maker does.
    pub fn program_rom(&mut self, pa: u32, word: u32) {
        if let Some(slot) = Arc::make_mut(&mut self.rom).get_mut(pa.wrapping_sub(ROM) as usize / 4) {
            *slot = word;
        }
    }

    /// The word of the ROM at this physical address.
    pub fn rom_word(&self, pa: u32) -> Option<u32> {
        self.rom.get(pa.wrapping_sub(ROM) as usize / 4).copied()
    }

    /// Reads the device word that holds this physical address; `bus_error` latches addresses where nothing answers.
    pub fn read(&mut self, now: u64, pa: u32) -> Result<u32, Timeout> {
        match pa & 0xfff8_0000 {
            ROM => self.rom_word(pa).ok_or(Timeout),
            CHKSYN => Ok(0),
            ERRADR => Ok(self.erradr),
            DZ => Ok(self.dz.read(now, pa & 0x18).into()),
            RTC => Ok(self.rtc.read(now, pa >> 2 & 63).into()),
            CSR => {
                self.dz.advance(now);
                Ok(self.csr | CSR_NRMMOD | self.pending())
            }
            _ => {
                let (lance, offset) = (self.lance.as_ref(), ether_offset(pa));
                lance.zip(offset).and_then(|(lance, offset)| lance.read(offset)).ok_or(Timeout)
            }
        }
    }

    /// Whether this is the memory beside the Ethernet controller: reading or writing it changes nothing else.
    pub fn is_ether_memory(pa: u32) -> bool {
        ether_offset(pa).is_some_and(Lance::is_memory)
    }

    /// Whether reading this address can change an interrupt: the serial controller's RBUF and the clock's register C.
    pub fn read_acts(pa: u32) -> bool {
        match pa & 0xfff8_0000 {
            DZ => pa & 0x18 == 8,
            RTC => pa >> 2 & 63 == 12,
            _ => false,
        }
    }

    /// Writes the bytes under `mask` of the device word that holds this address.
    pub fn write(&mut self, now: u64, pa: u32, value: u32, mask: u32) -> Result<(), Timeout> {
        match pa & 0xfff8_0000 {
            CHKSYN => {}
            ERRADR => self.erradr = 0,
            DZ => self.dz.write(now, pa & 0x18, value as u16, mask as u16),
            RTC if mask & 0xff != 0 => self.rtc.write(now, pa >> 2 & 63, value as u8),
            RTC => {}
            CSR => {
                let mask = mask & CSR_WRITABLE;
                self.csr = self.csr & !mask | value & mask;
                self.dz.fast_external = self.csr & CSR_BAUD38 != 0;
            }
            _ => {
                let (lance, offset) = (self.lance.as_mut(), ether_offset(pa));
                let written = lance.zip(offset).and_then(|(lance, offset)| lance.write(now, offset, value, mask));
                return written.ok_or(Timeout);
            }
        }
        Ok(())
    }

    /// Latches a bus timeout. The first is kept until software clears it. A write's is told by an interrupt, since the CPU
    /// has long gone on; a read's by a bus error exception.
    pub fn bus_error(&mut self, pa: u32, write: bool) {
        if self.erradr & ERR_VALID == 0 {
            self.erradr = ERR_VALID | ERR_CPU | if write { ERR_WRITE } else { 0 } | pa >> 2 & ERR_ADDRESS;
        }
    }

    fn pending(&self) -> u32 {
        let lance = self.lance.as_ref().is_some_and(|lance| lance.interrupt());
        (if self.dz.interrupt() { CSR_INT_DZ } else { 0 }) | if lance { CSR_INT_LANCE } else { 0 }
    }

    /// The Cause bits that the board's interrupt lines set.
    pub fn interrupts(&self) -> u32 {
        let mut lines = 0;
        if self.pending() & self.csr >> 16 != 0 {
            lines |= IP_CSR;
        }
        if self.rtc.interrupt() {
            lines |= IP_RTC;
        }
        if self.erradr & (ERR_VALID | ERR_WRITE) == ERR_VALID | ERR_WRITE {
            lines |= IP_MEMORY;
        }
        lines
    }

    /// Brings the devices up to date and says when one next changes by itself.
    pub fn advance(&mut self, now: u64) -> u64 {
        self.dz.advance(now);
        self.rtc.advance(now);
        let mut next = self.dz.next_event().min(self.rtc.next_event());
        if let Some(lance) = &mut self.lance {
            lance.advance(now);
            next = next.min(lance.next_event());
        }
        next
    }

    /// Whether something from outside could still interrupt.
    pub fn awaits_input(&self) -> bool {
        self.dz.awaits_input() || self.lance.as_ref().is_some_and(|lance| lance.awaits_input())
    }
}

/// The place of an address in the Ethernet controller's slot.
fn ether_offset(pa: u32) -> Option<u32> {
    pa.checked_sub(lance::BASE).filter(|&offset| offset < lance::SLOT)
}
