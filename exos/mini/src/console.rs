//! Text on the console, in pieces. What the console has no room for is lost: an event does not wait.

use crate::entries::mini_call;
use aegis_abi::call::CONSOLE_WRITE;
use aegis_abi::console::WRITE_MAX;
use core::fmt::{self, Arguments, Write};

struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.as_bytes().chunks(WRITE_MAX as usize) {
            // SAFETY: the kernel reads the text, which is in a guaranteed mapping as all memory of this program.
            unsafe { mini_call(piece.as_ptr() as u32, piece.len() as u32, CONSOLE_WRITE) };
        }
        Ok(())
    }
}

/// Prints to the console.
pub fn print(text: Arguments) {
    // The console never fails.
    let _ = Console.write_fmt(text);
}
