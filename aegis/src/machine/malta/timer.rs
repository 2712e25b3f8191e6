//! The clock: the processor's Count and Compare, 64 times a second, one interrupt for each time slice.
//!
//! How fast Count counts differs from one processor, and one emulator, to the next. It is measured at the start,
//! against an i8254 timer, whose frequency is the same in every machine that has one.

use super::register;
use crate::arch::cp0;
use aegis_abi::slice;

/// The i8254's counter 0.
const COUNTER: u32 = 0xb800_0040;
/// Its control word.
const CONTROL: u32 = 0xb800_0043;
/// CONTROL: counter 0, count down from a number of 16 bits and begin anew (mode 2).
const COUNT_DOWN: u8 = 2 << 1 | 3 << 4;
/// CONTROL: keep the value of counter 0 as it is now, to be read.
const KEEP: u8 = 0;
/// Its frequency.
const HZ: u32 = 1_193_182;

/// How many times longer a slice is than what is measured.
const PARTS: u32 = 16;
/// What is measured, in ticks of the i8254.
const TICKS: u16 = (HZ as u64 * slice::MICROSECONDS as u64 / 1_000_000 / PARTS as u64) as u16;

/// The clock.
pub struct Timer {
    /// What Count counts in a slice.
    period: u32,
    /// When it is to interrupt next.
    next: u32,
}

impl Timer {
    /// Measures how fast Count counts. That takes a millisecond.
    pub fn new() -> Self {
        // SAFETY: the chip of a Malta lies there; counter 0 does nothing but count.
        unsafe {
            register::<u8>(CONTROL).write_volatile(COUNT_DOWN);
            register::<u8>(COUNTER).write_volatile(0xff);
            register::<u8>(COUNTER).write_volatile(0xff);
        }
        let (ticks, count) = (now(), cp0::count());
        while ticks.wrapping_sub(now()) < TICKS {}
        Self { period: cp0::count().wrapping_sub(count) * PARTS, next: 0 }
    }

    /// Starts it.
    pub fn start(&mut self) {
        self.next = cp0::count().wrapping_add(self.period);
        cp0::set_compare(self.next);
    }

    /// Takes the interrupt back. Periods that have passed altogether are lost, as they are with any clock that nobody
    /// listens to.
    pub fn acknowledge(&mut self) {
        self.next = self.next.wrapping_add(self.period);
        cp0::set_compare(self.next);
        if cp0::count().wrapping_sub(self.next).cast_signed() >= 0 {
            self.start();
        }
    }
}

/// The i8254's counter, which counts down.
fn now() -> u16 {
    // SAFETY: as above. The two halves of what is kept are read one after the other.
    unsafe {
        register::<u8>(CONTROL).write_volatile(KEEP);
        let low = register::<u8>(COUNTER).read_volatile();
        u16::from_le_bytes([low, register::<u8>(COUNTER).read_volatile()])
    }
}
