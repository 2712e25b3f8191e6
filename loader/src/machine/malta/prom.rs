//! What a Malta board has in the place of a PROM's functions: YAMON's way of passing arguments, which QEMU imitates,
//! and the devices.

use core::arch::asm;
use core::fmt;

use aegis_abi::boot::MACHINE_MALTA;
use aegis_abi::vm::PAGE_BYTES;
use aegis_loader::memory::{Extent, Extents, KSEG0};
use heapless::String;

/// Which machine this loader is for.
pub const MACHINE: u32 = MACHINE_MALTA;
/// The argument from which on the arguments are the user's: before it stands the name of the image.
pub const FIRST_ARGUMENT: usize = 1;

/// The board's revision register, and what it says of a Malta in bits 7 to 4.
const REVISION: u32 = 0xbfc0_0010;
const MALTA: u32 = 2;
/// The first serial line, a 16550: where bytes are sent, and what tells that there is room for one.
const UART_DATA: u32 = 0xb800_03f8;
const UART_STATUS: u32 = 0xb800_03fd;
const UART_ROOM: u8 = 1 << 5;
/// The reset register, and what it has to be told.
const RESET: u32 = 0xbf00_0500;
const NOW: u32 = 0x42;
/// Just behind all that can be memory: here the PCI bus begins.
const MEMORY_END: u32 = 0x1000_0000;

unsafe extern "C" {
    /// Written before any Rust runs and never after.
    safe static prom_memory_bytes: u32;
}

/// There is none.
pub fn call_vector() -> u32 {
    0
}

/// A register of a device: uncached and unmapped.
fn register<T>(address: u32) -> *mut T {
    core::ptr::with_exposed_provenance_mut(address as usize)
}

/// Writes the text that ends with the first zero byte of `text`, which has one.
pub fn print(text: &[u8]) {
    for &byte in text.iter().take_while(|&&byte| byte != 0) {
        if byte == b'\n' {
            send(b'\r');
        }
        send(byte);
    }
}

fn send(byte: u8) {
    // SAFETY: the chip of a Malta lies there, and its registers have the documented effects only. Whoever started the
    // loader has set the line up.
    unsafe {
        // A line that is broken must not keep the machine from stopping.
        for _ in 0..100_000 {
            if register::<u8>(UART_STATUS).read_volatile() & UART_ROOM != 0 {
                break;
            }
        }
        register::<u8>(UART_DATA).write_volatile(byte);
    }
}

/// Another machine than this loader is for.
pub enum OtherMachine {
    /// Another board, with this revision.
    Board(u32),
    /// A processor without a TLB, with this Config.
    Processor(u32),
}

impl fmt::Display for OtherMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Board(revision) => write!(f, "this machine is not a Malta (revision {revision:#010x})"),
            Self::Processor(config) => write!(f, "the processor is not a MIPS32 with a TLB (config {config:#010x})"),
        }
    }
}

/// Whether this is the machine that this loader is for.
pub fn check_machine() -> Result<(), OtherMachine> {
    // SAFETY: the register of a Malta lies there, and reading it has no effect.
    let revision = unsafe { register::<u32>(REVISION).read_volatile() };
    if revision >> 4 & 0xf != MALTA {
        return Err(OtherMachine::Board(revision));
    }
    let config: u32;
    // SAFETY: reading Config has no effect.
    unsafe {
        asm!(".set noreorder", ".set noat", "mfc0 {0}, $16", "nop", out(reg) config, options(nostack, preserves_flags))
    };
    // Config1 is there (31), MIPS32 (14 to 13), a TLB of the usual kind (9 to 7).
    if config & 0x8000_6380 == 0x8000_0080 { Ok(()) } else { Err(OtherMachine::Processor(config)) }
}

/// Waits until everything that was written is seen by whoever reads memory. [`clear_cache`] does that.
pub fn drain_write_buffer() {}

/// Brings what was written to physical memory from the data cache to memory, and makes the instruction cache forget
/// what it holds of it.
pub fn clear_cache(start: u32, bytes: u32) {
    /// Bytes in the smallest line that a cache has.
    const LINE: usize = 16;
    for line in (start..start + bytes).step_by(LINE) {
        // SAFETY: nothing is lost: the data cache's line is written to memory if memory lacks it.
        unsafe {
            asm!(
                ".set push", ".set noreorder", ".set noat", ".set mips32",
                "cache 0x15, 0({0})",  // data: write back if it is there, and forget it
                "sync",
                "cache 0x10, 0({0})",  // instructions: forget it
                ".set pop",
                in(reg) KSEG0 + line,
                options(nostack, preserves_flags)
            );
        }
    }
}

/// Has the emulator exit with status 1, by semihosting (MIPS UHI); a machine that does not know that is reset.
pub fn halt() -> ! {
    // SAFETY: nothing is left to be done, so nothing is lost whatever the machine makes of it.
    unsafe {
        asm!(".word 0x7000007f", in("$4") 1, in("$25") 1, options(nostack, preserves_flags));
        register::<u32>(RESET).write_volatile(NOW);
    }
    #[expect(clippy::empty_loop, reason = "there is nothing left to do")]
    loop {}
}

/// The machine's memory; `None` if the loader can't use it.
pub fn memory() -> Option<Extents> {
    let end = (prom_memory_bytes & !(PAGE_BYTES - 1)).min(MEMORY_END);
    let mut memory = Extents::new();
    memory.push(Extent { start: 0, end }).ok()?;
    (end > 0).then_some(memory)
}

/// Appends the argument with the number `index` of those whose addresses are at `arguments` to `line`; `None` if it
/// does not fit.
pub fn argument<const BYTES: usize>(arguments: u32, index: usize, line: &mut String<BYTES>) -> Option<()> {
    // SAFETY: who started the loader passed this array and its length, which `index` is below; nobody writes to it.
    let mut at = unsafe { *(arguments as *const *const u8).add(index) };
    loop {
        // SAFETY: an argument ends with a zero byte, and `at` is not behind it.
        let byte = unsafe { *at };
        match byte {
            0 => return Some(()),
            // No matter which: it is refused.
            0x80.. => line.push('\x7f').ok()?,
            _ => line.push(byte.into()).ok()?,
        }
        at = at.wrapping_add(1);
    }
}
