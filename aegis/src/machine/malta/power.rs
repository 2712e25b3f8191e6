//! Stopping the machine.

use super::register;
use core::arch::asm;

/// The board's reset register.
const RESET: u32 = 0xbf00_0500;
/// What it has to be told.
const NOW: u32 = 0x42;

/// Has the emulator exit with status 0 or 1.
///
/// It is asked by semihosting (MIPS UHI): the operation's number in `$25`, the status in `$4`, `sdbbp 1`. A machine
/// that does not know that is reset.
pub fn exit(well: bool) -> ! {
    // SAFETY: nothing is left to be done, so nothing is lost whatever the machine makes of it.
    unsafe {
        asm!(".word 0x7000007f", in("$4") u32::from(!well), in("$25") 1, options(nostack, preserves_flags));
        register::<u32>(RESET).write_volatile(NOW);
    }
    #[expect(clippy::empty_loop, reason = "there is nothing left to do")]
    loop {}
}
