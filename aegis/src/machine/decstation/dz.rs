//! The serial lines, a DC7085. Line 3 is the console when there is no keyboard and screen.
//!
//! The chip scans the lines that are enabled for sending and shows one that is ready in its CSR.

const BASE: u32 = 0xbfe0_0000;
/// Control and status.
const CSR: u32 = BASE;
/// Line parameters; write only.
const LPR: u32 = BASE + 0x08;
/// What was received; read only. Reading takes it out of the silo.
const RBUF: u32 = BASE + 0x08;
/// Transmit control: which lines have something to send.
const TCR: u32 = BASE + 0x10;
/// Transmit data of the line that the CSR shows; write only.
const TDR: u32 = BASE + 0x18;

/// CSR: the line that it shows is ready for a byte.
const READY: u16 = 1 << 15;
/// CSR: interrupt when a line is.
const INTERRUPT: u16 = 1 << 14;
/// CSR: interrupt when something was received.
const RECEIVE_INTERRUPT: u16 = 1 << 6;
/// CSR: scan the lines.
const SCAN: u16 = 1 << 5;
/// CSR: which line it shows.
const SHOWN: u16 = 7 << 8;

const LINE: u16 = 3;
/// LPR: receiver on, 9600 baud, eight bits, one stop bit, no parity.
const PARAMETERS: u16 = 1 << 12 | 0xe << 8 | 3 << 3 | LINE;

/// RBUF: there is a character.
const RECEIVED: u16 = 1 << 15;
/// RBUF: it was received with a framing or parity error.
const DAMAGED: u16 = 3 << 12;

/// A device register: uncached and unmapped.
pub fn register<T>(address: u32) -> *mut T {
    address as *mut T
}

/// Sets the console's line up, with nothing to send.
pub fn initialise() {
    // SAFETY: the chip of a KN02 lies there; here and below the registers have the documented effects only.
    unsafe {
        register::<u16>(CSR).write_volatile(SCAN | INTERRUPT | RECEIVE_INTERRUPT);
        register::<u16>(LPR).write_volatile(PARAMETERS);
        register::<u16>(TCR).write_volatile(0);
    }
}

/// There is something to send: the line will interrupt when it is ready.
pub fn enable() {
    // SAFETY: as above.
    unsafe { register::<u16>(TCR).write_volatile(1 << LINE) }
}

/// There is nothing left to send.
pub fn disable() {
    // SAFETY: as above.
    unsafe { register::<u16>(TCR).write_volatile(0) }
}

/// Whether the line takes a byte now.
pub fn is_ready() -> bool {
    // SAFETY: as above.
    let csr = unsafe { register::<u16>(CSR).read_volatile() };
    csr & (READY | SHOWN) == READY | LINE << 8
}

/// Sends a byte; the line must be ready.
pub fn send(byte: u8) {
    // SAFETY: as above.
    unsafe { register::<u16>(TDR).write_volatile(u16::from(byte)) }
}

/// What was received, if anything was: on the console's line, and whole, or else `None` in it.
pub fn receive() -> Option<Option<u8>> {
    // SAFETY: as above.
    let character = unsafe { register::<u16>(RBUF).read_volatile() };
    let good = character & (SHOWN | DAMAGED) == LINE << 8;
    (character & RECEIVED != 0).then_some(good.then_some(character as u8))
}

/// Waits until the line takes a byte, but not for ever: a line that is broken must not keep the machine from stopping.
pub fn wait() {
    for _ in 0..100_000 {
        if is_ready() {
            return;
        }
    }
}

/// Waits until all has been sent.
pub fn flush() {
    wait();
    disable();
}
