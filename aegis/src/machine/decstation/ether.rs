//! The Ethernet controller of a KN02: a LANCE with 128 KB of memory of its own, which alone it sees, from 0 on.

use super::dz::register;
use crate::machine::lance::{Bus, Lance};

const BASE: u32 = 0xbf80_0000;
/// Register data port, and which register it is.
const RDP: u32 = BASE + 0x10_0000;
const RAP: u32 = BASE + 0x10_0004;
/// The station address, a byte in each word; behind it its sum, both again in other orders, and a pattern.
const ROM: u32 = BASE + 0x1c_0000;
const PATTERN_AT: u32 = 24;
const PATTERN: [u8; 4] = [0xff, 0x00, 0x55, 0xaa];

/// Its place on the board.
pub struct Slot;

/// Starts it, if it is there.
pub fn find() -> Option<Lance<Slot>> {
    let there = (PATTERN_AT..).zip(PATTERN).all(|(at, byte)| rom(at) == byte);
    there.then(|| Lance::new(Slot, core::array::from_fn(|at| rom(at as u32))))
}

fn rom(at: u32) -> u8 {
    // SAFETY: the slot of a KN02's controller lies there, and every KN02 has one; reading its ROM does nothing else.
    unsafe { register::<u32>(ROM + 4 * at).read_volatile() as u8 }
}

impl Bus for Slot {
    fn memory(&self) -> u32 {
        BASE
    }

    fn seen_from_chip(&self) -> u32 {
        0
    }

    fn select(&self, number: u16) {
        // SAFETY: the registers of the controller, which is given no other memory than its own; here and below.
        unsafe { register::<u16>(RAP).write_volatile(number) }
    }

    fn read(&self) -> u16 {
        // SAFETY: as above.
        unsafe { register::<u16>(RDP).read_volatile() }
    }

    fn write(&self, value: u16) {
        // SAFETY: as above.
        unsafe { register::<u16>(RDP).write_volatile(value) }
    }
}
