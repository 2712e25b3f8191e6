//! Formatted text on the console: [`print!`](crate::print) and [`println!`](crate::println).
//!
//! What one macro call prints is gathered and sent in pieces of at most [`WRITE_MAX`] bytes; a line that fits is never
//! mixed with another program's. While the console's queue is full the program waits, a tick of the clock at a time.

use crate::call;
use crate::sequences::{HELD, SERVER, current};
use crate::shared::Shared;
use aegis_abi::Error;
use aegis_abi::console::WRITE_MAX;
use core::fmt::{self, Arguments, Write};

/// Prints to the console.
#[macro_export]
macro_rules! print {
    ($($arg:tt)*) => { $crate::console::print(::core::format_args!($($arg)*)) };
}

/// Prints a line to the console.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($($arg:tt)*) => { $crate::console::print(::core::format_args!("{}\n", ::core::format_args!($($arg)*))) };
}

/// What the macros call.
pub fn print(text: Arguments) {
    let mut piece = Piece { bytes: [0; WRITE_MAX as usize], used: 0 };
    // Only a `Display` of the caller's can fail; then what it had written is printed.
    let _ = piece.write_fmt(text);
    piece.send();
}

/// Waits until the console has sent everything.
pub fn flush() {
    while call::console_pending() != 0 {
        pause();
    }
}

/// Lets the console work.
fn pause() {
    call::wait(Some(call::clock() + 1));
}

/// Where each activity's text is while it is written, if its stack is in no guaranteed mapping.
#[unsafe(link_section = ".pinned")]
static ELSEWHERE: [Shared<[u8; WRITE_MAX as usize]>; 2] = [const { Shared::new([0; WRITE_MAX as usize]) }; 2];

/// Writes text from another place if the `error` is that the kernel does not read it where it is.
fn write_elsewhere(text: &[u8], error: Error) -> Result<(), Error> {
    if error != Error::BadPointer {
        return Err(error);
    }
    let mut bytes = [0; WRITE_MAX as usize];
    bytes[..text.len()].copy_from_slice(text);
    let elsewhere = &ELSEWHERE[usize::from(current() == SERVER)];
    let held = HELD.get();
    HELD.set(1);
    elsewhere.set(bytes);
    // SAFETY: the text is in a static, which nobody changes meanwhile.
    let result = call::console_write(unsafe { core::slice::from_raw_parts(elsewhere.as_ptr().cast(), text.len()) });
    HELD.set(held);
    result
}

struct Piece {
    bytes: [u8; WRITE_MAX as usize],
    used: usize,
}

impl Piece {
    fn send(&mut self) {
        loop {
            let text = &self.bytes[..self.used];
            match call::console_write(text).or_else(|error| write_elsewhere(text, error)) {
                Err(Error::Busy) => pause(),
                _ => break,
            }
        }
        self.used = 0;
    }
}

impl Write for Piece {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            if self.used == self.bytes.len() {
                self.send();
            }
            self.bytes[self.used] = byte;
            self.used += 1;
        }
        Ok(())
    }
}
