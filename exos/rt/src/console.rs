//! Formatted text on the console: [`print!`](crate::print) and [`println!`](crate::println).
//!
//! What one macro call prints is gathered and sent in pieces of at most [`WRITE_MAX`] bytes; a line that fits is never
//! mixed with another program's. While the console's queue is full the program waits, a tick of the clock at a time.

use crate::call;
use aegis_abi::Error;
use aegis_abi::console::WRITE_MAX;
use core::cell::UnsafeCell;
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

/// Where a piece is for the kernel to read, if the stack is in memory that it does not read.
struct Pinned(UnsafeCell<[u8; WRITE_MAX as usize]>);

// SAFETY: see where it is used.
unsafe impl Sync for Pinned {}

#[unsafe(link_section = ".pinned")]
static PINNED: Pinned = Pinned(UnsafeCell::new([0; WRITE_MAX as usize]));

struct Piece {
    bytes: [u8; WRITE_MAX as usize],
    used: usize,
}

impl Piece {
    fn send(&mut self) {
        loop {
            match call::console_write(&self.bytes[..self.used]) {
                Err(Error::Busy) => pause(),
                // The stack is not pinned.
                Err(Error::BadPointer) => {
                    let pinned = PINNED.0.get();
                    // SAFETY: only one flow of control of a program whose stack is not pinned prints.
                    if unsafe {
                        pinned.replace(self.bytes);
                        call::console_write(&(&*pinned)[..self.used])
                    } == Err(Error::Busy)
                    {
                        pause();
                    } else {
                        break;
                    }
                }
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
