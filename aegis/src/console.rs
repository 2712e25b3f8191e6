//! Text on its way to the console: a queue that calls fill and the device's interrupt empties.

use aegis_abi::boot::NAME_BYTES;
use aegis_abi::console::KERNEL;
use core::fmt::{self, Arguments, Write};

/// Bytes that can wait. A power of two.
const CAPACITY: usize = 4096;
/// Of these, what programs leave to the kernel's own reports.
const RESERVED: usize = 512;

/// The queue.
pub struct Console(heapless::Deque<u8, CAPACITY>);

impl Console {
    /// An empty queue.
    pub const fn new() -> Self {
        Self(heapless::Deque::new())
    }

    /// Whether a program may add this many bytes, though each be the end of a line, which is sent as two.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.0.len() + 2 * bytes <= CAPACITY - RESERVED
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds bytes. What does not fit is dropped; nothing is, if `has_room` said so.
    pub fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                let _ = self.0.push_back(b'\r');
            }
            let _ = self.0.push_back(byte);
        }
    }

    /// The next byte to send.
    pub fn pop(&mut self) -> Option<u8> {
        self.0.pop_front()
    }

    /// Adds a line in the kernel's name.
    pub fn report(&mut self, line: Arguments) {
        // What does not fit is dropped, so this can't fail.
        let _ = self.write_fmt(format_args!("{KERNEL}{line}\n"));
    }
}

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

/// A name that zero bytes fill up, for a report.
pub fn text(name: &[u8; NAME_BYTES]) -> &str {
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(NAME_BYTES);
    core::str::from_utf8(&name[..end]).unwrap_or("(a name that is not UTF-8)")
}
