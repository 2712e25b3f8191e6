//! The PROM's functions, as a DECstation with a TURBOchannel has them (REX).
//!
//! They are found through a vector of addresses that the PROM passes, follow the o32 calling convention and run on the
//! caller's stack.

use core::fmt;
use core::mem::{MaybeUninit, transmute};
use core::slice;

use aegis_abi::boot::MACHINE_KN02;
use aegis_abi::vm::PAGE_BYTES;
use aegis_loader::memory::{self, Extents, KSEG0, KSEG0_END};
use heapless::String;

/// Which machine this loader is for.
pub const MACHINE: u32 = MACHINE_KN02;
/// The argument from which on the PROM's arguments are the user's: before it stand "boot" and the name of the image.
pub const FIRST_ARGUMENT: usize = 2;
/// What the PROM says of a DECstation 5000/200, in bits 23 to 16 of its system id.
const SYSTEM_KN02: u32 = 2;

// Where in the vector each function's address is.
const PRINTF: u32 = 0x30;
const WBFLUSH: u32 = 0x70;
const CLEAR_CACHE: u32 = 0x7c;
const GETSYSID: u32 = 0x80;
const GETBITMAP: u32 = 0x84;
const HALT: u32 = 0x9c;

unsafe extern "C" {
    /// Written before any Rust runs and never after.
    safe static prom_call_vector: u32;
}

/// The address of the vector.
pub fn call_vector() -> u32 {
    prom_call_vector
}

/// The address of a function of the PROM.
fn function(offset: u32) -> usize {
    // SAFETY: the PROM passed the vector's address together with the number that says it has one (`entry` checks it),
    // and all offsets used here are in it. Nobody writes to it.
    unsafe { *((call_vector() + offset) as *const usize) }
}

/// Writes the text that ends with the first zero byte of `text`, which has one.
pub fn print(text: &[u8]) {
    // SAFETY: this is `int printf(const char *, ...)`. Through "%s" nothing in the text is taken for a format. Both
    // strings end with a zero byte.
    unsafe {
        let printf: unsafe extern "C" fn(*const u8, *const u8) -> i32 = transmute(function(PRINTF));
        printf(c"%s".as_ptr().cast(), text.as_ptr());
    }
}

/// Another machine than this loader is for: what the PROM says it is.
pub struct OtherMachine(u32);

impl fmt::Display for OtherMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this machine is not a DECstation 5000/200 (system id {:#010x})", self.0)
    }
}

/// Whether this is the machine that this loader is for.
pub fn check_machine() -> Result<(), OtherMachine> {
    // SAFETY: this is `int getsysid(void)`, which has no effect.
    let system = unsafe {
        let getsysid: unsafe extern "C" fn() -> u32 = transmute(function(GETSYSID));
        getsysid()
    };
    if system >> 16 & 0xff == SYSTEM_KN02 { Ok(()) } else { Err(OtherMachine(system)) }
}

/// Waits until everything that was written is in memory: the R3000's data cache writes through, so memory is right once the
/// write buffer is empty. Only the instruction cache may hold what stood there before.
pub fn drain_write_buffer() {
    // SAFETY: this is `void wbflush(void)`, which only waits.
    unsafe {
        let wbflush: unsafe extern "C" fn() = transmute(function(WBFLUSH));
        wbflush();
    }
}

/// Makes the caches forget what they hold of physical memory.
pub fn clear_cache(start: u32, bytes: u32) {
    // SAFETY: this is `void clear_cache(char *, int)`. The data cache holds nothing that memory lacks, so nothing is
    // lost.
    unsafe {
        let clear_cache: unsafe extern "C" fn(u32, u32) = transmute(function(CLEAR_CACHE));
        clear_cache(KSEG0 + start, bytes);
    }
}

/// Stops the machine.
pub fn halt() -> ! {
    // SAFETY: this is `void halt(int *, int)`, which is not expected to return; both arguments may be 0.
    unsafe {
        let halt: unsafe extern "C" fn(u32, u32) = transmute(function(HALT));
        halt(0, 0);
    }
    // An emulated machine may run on for a moment.
    #[expect(clippy::empty_loop, reason = "there is nothing left to do")]
    loop {}
}

/// The PROM's memory map: how large its pages are, and a bit for each.
#[repr(C)]
struct Bitmap {
    page_bytes: u32,
    /// Room for all memory that kseg0 reaches, more than a machine with this PROM can have.
    bits: [u32; BITMAP_WORDS],
}

/// Words of a bitmap of all that kseg0 reaches.
const BITMAP_WORDS: usize = ((KSEG0_END - KSEG0) / PAGE_BYTES / u32::BITS) as usize;

/// The machine's memory; `None` if the loader can't use it.
// Not inlined, so that the bitmap is off the stack again when a plan is made.
#[inline(never)]
pub fn memory() -> Option<Extents> {
    let mut map = MaybeUninit::<Bitmap>::uninit();
    let map = map.as_mut_ptr();
    // SAFETY: this is `int getbitmap(memmap *)`: it fills in the size of a page and the bitmap, and tells how many
    // bytes the latter has, which are all that is read. `map` has room for as much as any machine with this PROM can
    // tell.
    let (page_bytes, bits) = unsafe {
        let getbitmap: unsafe extern "C" fn(*mut Bitmap) -> usize = transmute(function(GETBITMAP));
        let written = (getbitmap(map) / size_of::<u32>()).min(BITMAP_WORDS);
        ((*map).page_bytes, slice::from_raw_parts((&raw const (*map).bits).cast(), written))
    };
    memory::from_bitmap(page_bytes, bits)
}

/// Appends the argument with the number `index` of those whose addresses are at `arguments` to `line`; `None` if it
/// does not fit.
pub fn argument<const BYTES: usize>(arguments: u32, index: usize, line: &mut String<BYTES>) -> Option<()> {
    // SAFETY: the PROM passed this array and its length, which `index` is below; nobody writes to it.
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
