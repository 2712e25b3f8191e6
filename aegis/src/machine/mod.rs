//! The machine: its devices, and how physical memory is reached. One module for each machine, with the same
//! interface; the feature `malta` chooses the other than the DECstation.

#[cfg(not(feature = "malta"))]
mod decstation;
mod lance;
#[cfg(feature = "malta")]
mod malta;

#[cfg(not(feature = "malta"))]
pub use decstation::{CACHE_BYTES, Machine, NETWORK_BYTES, Raw, stop, user_status};
#[cfg(feature = "malta")]
pub use malta::{CACHE_BYTES, Machine, NETWORK_BYTES, Raw, stop, user_status};

pub use lance::Arrival;

use aegis_abi::slice;
use aegis_core::mappings::Piece;
use core::fmt::{self, Write};

/// Cycles of a time slice at 25 MHz, as the fastest of the machines has that the kernel's costs are known of.
pub const SLICE_CYCLES: u32 = 25 * slice::MICROSECONDS;

/// Where cached, unmapped addresses begin (kseg0).
const KSEG0: u32 = 0x8000_0000;

/// A pointer to physical memory, cached.
pub fn cached<T>(physical: u32) -> *mut T {
    (KSEG0 + physical) as *mut T
}

/// The physical address behind such a pointer.
pub fn physical<T>(pointer: *const T) -> u32 {
    pointer as u32 - KSEG0
}

/// Memory of a program, to read.
pub fn memory<'a>(piece: Piece) -> &'a [u8] {
    // SAFETY: pieces come from guaranteed mappings, which the loader made of memory that it had found; no program runs while it is read.
    unsafe { core::slice::from_raw_parts(cached(piece.physical), piece.bytes as usize) }
}

/// The words of it, if it begins and ends with one.
pub fn words<'a>(piece: Piece) -> Option<&'a [u32]> {
    let aligned = (piece.physical | piece.bytes).is_multiple_of(4);
    // SAFETY: as above, and it is aligned.
    aligned.then(|| unsafe { core::slice::from_raw_parts(cached(piece.physical), piece.bytes as usize / 4) })
}

/// Copies the words that so many bytes lie in, which begin with one. They are moved eight at a time: a device's memory is not cached, and
/// what is read there waits until all that was stored before has left the write buffer.
///
/// # Safety
/// The caller may do so, and has no reference to either.
pub unsafe fn copy(from: u32, to: u32, bytes: u32) {
    let (mut from, mut to) = (from as *const u32, to as *mut u32);
    let words = bytes.div_ceil(4);
    // SAFETY: the caller's.
    unsafe {
        for _ in 0..words / 8 {
            let read = |word| from.add(word).read_volatile();
            let (a, b, c, d, e, f, g, h) = (read(0), read(1), read(2), read(3), read(4), read(5), read(6), read(7));
            let write = |word, value| to.add(word).write_volatile(value);
            write(0, a);
            write(1, b);
            write(2, c);
            write(3, d);
            write(4, e);
            write(5, f);
            write(6, g);
            write(7, h);
            (from, to) = (from.add(8), to.add(8));
        }
        for word in 0..(words % 8) as usize {
            to.add(word).write_volatile(from.add(word).read_volatile());
        }
    }
}

impl Write for Raw {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                self.send(b'\r');
            }
            self.send(byte);
        }
        Ok(())
    }
}
