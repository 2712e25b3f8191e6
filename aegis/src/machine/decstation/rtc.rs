//! The clock chip, an MC146818: a periodic interrupt at 64 Hz, one for each time slice.

use super::dz::register;
use crate::arch::cp0::{self, Cause};
use crate::machine::SLICE_CYCLES;

const BASE: u32 = 0xbfe8_0000;
/// Registers lie a word apart.
const A: u32 = BASE + 10 * 4;
const B: u32 = BASE + 11 * 4;
const C: u32 = BASE + 12 * 4;

/// Register A: the 32,768 Hz time base, divided down to a period of 15.625 ms.
const PERIOD: u8 = 0x20 | 0x0a;
/// Register B: periodic interrupt on, binary data, 24 hours.
const PERIODIC: u8 = 0x40 | 0x04 | 0x02;
/// Register C: the periodic interrupt is asking.
const PERIODIC_FLAG: u8 = 0x40;

/// No processor has fewer cycles in a period.
const LEAST: u32 = SLICE_CYCLES / 4;

/// Starts it. A period has just begun then, and how many cycles of the processor it has was counted from one interrupt to the next.
///
/// A clock that does not tick when one should is none to count by. The processor is taken for one of 25 MHz then, and a faster one, for
/// which the wait is not long enough, always is.
///
/// Not inlined: who compares two machines has to know where one waits.
#[inline(never)]
pub fn start() -> u32 {
    // SAFETY: the chip of a KN02 lies there; the registers do nothing else.
    unsafe {
        register::<u8>(A).write_volatile(PERIOD);
        register::<u8>(B).write_volatile(PERIODIC);
    }
    acknowledge();
    let tick = || {
        let left = cp0::wait(Cause::IP3, SLICE_CYCLES / cp0::ROUND);
        acknowledge().then_some(SLICE_CYCLES - left * cp0::ROUND)
    };
    // The first comes in the midst of a period.
    let counted = tick().and_then(|_| tick());
    counted.filter(|&cycles| cycles >= LEAST).unwrap_or(SLICE_CYCLES)
}

/// Takes the interrupt back; whether it was the periodic one.
pub fn acknowledge() -> bool {
    // SAFETY: as above; reading register C clears it.
    unsafe { register::<u8>(C).read_volatile() & PERIODIC_FLAG != 0 }
}

/// The time of day and the date, as far as the chip counts them.
pub fn time() -> [u8; 10] {
    // SAFETY: as above; reading these registers does nothing else.
    core::array::from_fn(|n| unsafe { register::<u8>(BASE + 4 * n as u32).read_volatile() })
}
