//! The KN02's control and status register: which devices may interrupt.

use super::dz::register;

const CSR: u32 = 0xbff0_0000;
/// Enable the interrupts of the serial lines and of Ethernet; the bits at 23 to 16 enable what the bits at 7 to 0 show.
const ENABLE: u32 = 1 << (16 + 7) | 1 << (16 + 6);

/// The serial lines interrupt; Ethernet does.
const SERIAL: u32 = 1 << 7;
const ETHERNET: u32 = 1 << 6;

/// Whether the serial lines interrupt.
pub fn serial_interrupts() -> bool {
    read() & SERIAL != 0
}

/// Whether Ethernet interrupts.
pub fn ethernet_interrupts() -> bool {
    read() & ETHERNET != 0
}

fn read() -> u32 {
    // SAFETY: the CSR of a KN02 lies there, and reading it changes nothing.
    unsafe { register::<u32>(CSR).read_volatile() }
}

/// Lets the serial lines and Ethernet interrupt, and no other device of the CSR's.
pub fn enable_serial_and_ethernet() {
    let csr = register::<u32>(CSR);
    // SAFETY: the CSR of a KN02 lies there, and reading and writing it has the documented effect only. The bits that are kept are
    // its settings for memory and LEDs.
    unsafe { csr.write_volatile(csr.read_volatile() & 0xff00_ff00 | ENABLE) }
}
