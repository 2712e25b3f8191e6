//! Text on its way to the console and from it: a queue that calls fill and the device's interrupt empties, and one the
//! other way round.

use aegis_abi::EnvId;
use aegis_abi::boot::NAME_BYTES;
use aegis_abi::console::KERNEL;
use core::fmt::{self, Arguments, Write};

/// Bytes that can wait. A power of two.
const CAPACITY: usize = 4096;
/// Of these, what programs leave to the kernel's own reports.
const RESERVED: usize = 512;

/// Bytes that were typed and not read yet. A power of two.
const TYPED: usize = 256;

/// The queues, and whose the second is.
pub struct Console {
    output: heapless::Deque<u8, CAPACITY>,
    input: heapless::Deque<u8, TYPED>,
    /// Who may read what is typed.
    pub reader: EnvId,
    /// The reader has asked in vain since something was typed last.
    wanted: bool,
}

impl Console {
    /// Empty queues, and no reader.
    pub const fn new() -> Self {
        Self { output: heapless::Deque::new(), input: heapless::Deque::new(), reader: EnvId(0), wanted: false }
    }

    /// Takes a byte that was typed. What does not fit is lost.
    pub fn take(&mut self, byte: u8) {
        let _ = self.input.push_back(byte);
    }

    /// Whether there is something to read.
    pub fn has_input(&self) -> bool {
        !self.input.is_empty()
    }

    /// The next byte that was typed.
    pub fn read(&mut self) -> Option<u8> {
        let byte = self.input.pop_front();
        self.wanted = byte.is_none();
        byte
    }

    /// Gives what is typed from now on, and what was and is not read yet, to another reader.
    pub fn give(&mut self, reader: EnvId) {
        self.reader = reader;
        self.wanted = false;
    }

    /// Whether the reader has found nothing and may be waiting for it.
    pub fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Whether a program may add this many bytes, though each be the end of a line, which is sent as two.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.output.len() + 2 * bytes <= CAPACITY - RESERVED
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.output.is_empty()
    }

    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.output.len()
    }

    /// Adds bytes. What does not fit is dropped; nothing is, if `has_room` said so.
    pub fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                let _ = self.output.push_back(b'\r');
            }
            let _ = self.output.push_back(byte);
        }
    }

    /// The next byte to send.
    pub fn pop(&mut self) -> Option<u8> {
        self.output.pop_front()
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
