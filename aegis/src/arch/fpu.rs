//! The floating-point unit, coprocessor 1: an R3010 on a DECstation.
//!
//! Its instructions are written as words, since the target has none.

use super::cp0::{Status, set_status, status as status_now};
use core::arch::asm;

/// Status: the unit may be used.
const USABLE: u32 = 1 << 29;

/// Whether there is one: its implementation number is not 0.
pub fn exists() -> bool {
    with(|| {
        // Where there is none, nothing answers and the register stays as it is.
        let mut implementation = 0;
        // SAFETY: the unit is usable. cfc1 $8, $0; the nop is its delay.
        unsafe {
            asm!(".set noreorder", ".word 0x44480000", "nop", inout("$8") implementation, options(nostack, preserves_flags));
        }
        implementation & 0xff00 != 0
    })
}

/// Whether a program with this Status may use it.
pub fn is_on(status: u32) -> bool {
    status & USABLE != 0
}

/// A program's Status with the unit on or off.
pub fn status(status: u32, on: bool) -> u32 {
    if on { status | USABLE } else { status & !USABLE }
}

/// Makes all its registers 0, so that nothing of another program's is seen.
pub fn clear() {
    with(|| {
        // SAFETY: the unit is usable; no program's values are in its registers.
        unsafe {
            asm!(
                ".set noreorder",
                ".set noat",
                ".word 0x44c0f800", // ctc1 $zero, $31
                ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
                ".word 0x44800000 + \\n * 0x800", // mtc1 $zero, $f
                ".endr",
                options(nostack, preserves_flags)
            );
        }
    });
}

/// Does something while the unit is usable.
fn with<R>(work: impl FnOnce() -> R) -> R {
    let before = Status::from_bits_retain(status_now());
    // SAFETY: still kernel mode with interrupts off. The instructions between are the time that the change takes.
    unsafe {
        set_status(Status::from_bits_retain(before.bits() | USABLE));
        asm!("nop", "nop", "nop", options(nostack, preserves_flags));
        let result = work();
        set_status(before);
        result
    }
}
