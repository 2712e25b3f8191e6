//! The KN02's control and status register: which devices may interrupt.

use super::dz::register;

const CSR: u32 = 0xbff0_0000;
/// Enables the interrupt of the serial lines; the bits at 23 to 16 enable what the bits at 7 to 0 show.
const ENABLE_SERIAL: u32 = 1 << (16 + 7);

/// Lets the serial lines interrupt, and no other device of the CSR's.
pub fn enable_serial() {
    let csr = register::<u32>(CSR);
    // SAFETY: the CSR of a KN02 lies there, and reading and writing it has the documented effect only. The bits that are kept are
    // its settings for memory and LEDs.
    unsafe { csr.write_volatile(csr.read_volatile() & 0xff00_ff00 | ENABLE_SERIAL) }
}
