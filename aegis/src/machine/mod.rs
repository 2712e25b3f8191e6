//! The machine: its devices, and how physical memory is reached. One module for each machine, with the same
//! interface; the feature `malta` chooses the other than the DECstation.

#[cfg(not(feature = "malta"))]
mod decstation;
#[cfg(feature = "malta")]
mod malta;

#[cfg(not(feature = "malta"))]
pub use decstation::{CACHE_BYTES, Machine, Raw, stop, user_status};
#[cfg(feature = "malta")]
pub use malta::{CACHE_BYTES, Machine, Raw, stop, user_status};

use aegis_core::mappings::Piece;
use core::fmt::{self, Write};

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
