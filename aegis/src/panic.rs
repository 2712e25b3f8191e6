//! The end of a kernel that has a bug: one line with a fixed beginning, the registers, a failing verdict.

use crate::arch::cp0::{self, Cause};
use crate::arch::layout::FaultFrame;
use crate::machine::{self, Raw};
use aegis_abi::console::{KERNEL_PANIC, PC, VERDICT_FAIL};
use core::fmt::Write;
use core::panic::PanicInfo;

/// The kernel found itself in a state that its own rules exclude.
#[panic_handler]
fn panic(info: &PanicInfo) -> ! {
    let mut console = Raw::new();
    let _ = write!(console, "\n{KERNEL_PANIC}{}", info.message());
    if let Some(place) = info.location() {
        let _ = write!(console, " ({}:{})", place.file(), place.line());
    }
    let _ = write!(
        console,
        "\n  last exception: {PC}{:08x} cause={:#010x} badvaddr={:#010x} status={:#010x} entryhi={:#010x}\n",
        cp0::epc(),
        cp0::cause().bits(),
        cp0::bad_vaddr(),
        cp0::status(),
        cp0::entry_hi()
    );
    finish(console)
}

/// The kernel caused an exception.
pub fn fault(frame: &FaultFrame, cause: Cause, epc: u32, address: u32) -> ! {
    let mut console = Raw::new();
    let _ = writeln!(
        console,
        "\n{KERNEL_PANIC}exception {} in the kernel, badvaddr={address:#010x}, {PC}{epc:08x}",
        cause.code()
    );
    for (row, registers) in frame.registers.chunks(4).enumerate() {
        for (column, register) in registers.iter().enumerate() {
            let _ = write!(console, "  ${:<2} {register:08x}", row * 4 + column);
        }
        let _ = writeln!(console);
    }
    let _ = writeln!(console, "  hi  {:08x}  lo  {:08x}  cause {:08x}", frame.hi, frame.lo, cause.bits());
    finish(console)
}

fn finish(mut console: Raw) -> ! {
    let _ = writeln!(console, "{VERDICT_FAIL}");
    machine::stop()
}
