//! The PROM's console.

use core::fmt::{self, Write};

use super::prom;

/// Writes `text`.
pub fn say(text: fmt::Arguments<'_>) {
    let mut console = Console { _before: 0, buffer: [0; BUFFER_BYTES], used: 0 };
    // The console takes everything.
    let _ = console.write_fmt(text);
    console.flush();
}

/// Bytes that are given to the PROM at once, the closing zero byte included.
const BUFFER_BYTES: usize = 128;

/// Collects text, so that the PROM is not called for each piece of it.
///
/// The buffer begins at an odd address: the `printf` of GXemul's PROM takes a string whose address ends with a zero
/// byte for an empty one.
#[repr(C, align(2))]
struct Console {
    _before: u8,
    buffer: [u8; BUFFER_BYTES],
    used: usize,
}

impl Console {
    /// Gives the PROM what there is.
    fn flush(&mut self) {
        self.buffer[self.used] = 0;
        prom::print(&self.buffer);
        self.used = 0;
    }
}

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            if self.used == BUFFER_BYTES - 1 {
                self.flush();
            }
            self.buffer[self.used] = byte;
            self.used += 1;
        }
        Ok(())
    }
}
