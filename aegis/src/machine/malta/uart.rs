//! The first serial line, a 16550, never interrupting.

use super::register;

const BASE: u32 = 0xb800_03f8;
/// The byte to send, or that was received.
const DATA: u32 = BASE;
/// Which interrupts are on.
const INTERRUPTS: u32 = BASE + 1;
/// The queues; write only.
const QUEUES: u32 = BASE + 2;
/// Bits of a character.
const LINE: u32 = BASE + 3;
/// Line status.
const STATUS: u32 = BASE + 5;

/// QUEUES: on.
const QUEUES_ON: u8 = 1;
/// LINE: eight bits, one stop bit, no parity. The speed is left as it is.
const EIGHT_BITS: u8 = 3;
/// STATUS: a byte was received.
const RECEIVED: u8 = 1;
/// STATUS: there is room for a byte to send.
const ROOM: u8 = 1 << 5;

/// Sets the line up.
pub fn initialise() {
    // SAFETY: the chip of a Malta lies there; here and below the registers have the documented effects only.
    unsafe {
        register::<u8>(INTERRUPTS).write_volatile(0);
        register::<u8>(LINE).write_volatile(EIGHT_BITS);
        register::<u8>(QUEUES).write_volatile(QUEUES_ON);
    }
}

/// Whether the line takes a byte now.
pub fn is_ready() -> bool {
    // SAFETY: as above.
    unsafe { register::<u8>(STATUS).read_volatile() & ROOM != 0 }
}

/// Sends a byte; the line must be ready.
pub fn send(byte: u8) {
    // SAFETY: as above.
    unsafe { register::<u8>(DATA).write_volatile(byte) }
}

/// A byte that was received.
pub fn receive() -> Option<u8> {
    // SAFETY: as above.
    unsafe { (register::<u8>(STATUS).read_volatile() & RECEIVED != 0).then(|| register::<u8>(DATA).read_volatile()) }
}

/// Waits until the line takes a byte, but not for ever: a line that is broken must not keep the machine from stopping.
pub fn wait() {
    for _ in 0..100_000 {
        if is_ready() {
            return;
        }
    }
}
