//! Formatted text on a descriptor: [`print!`](crate::print), [`println!`](crate::println), and
//! [`complain!`](crate::complain), which writes to the one for errors.
//!
//! What one macro call prints is gathered and written in pieces. What can't be written is lost; who wants to know uses
//! [`file::write`].

use crate::process::{Fail, file};
use core::fmt::{Arguments, Write};

/// Prints to the output.
#[macro_export]
macro_rules! print {
    ($($arg:tt)*) => { _ = $crate::console::print($crate::process::file::OUTPUT, ::core::format_args!($($arg)*)) };
}

/// Prints a line to the output.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($($arg:tt)*) => { $crate::print!("{}\n", ::core::format_args!($($arg)*)) };
}

/// Prints a line to the output for errors, behind the program's name.
#[macro_export]
macro_rules! complain {
    ($($arg:tt)*) => {
        _ = $crate::console::print(
            $crate::process::file::ERROR,
            ::core::format_args!("{}: {}\n", $crate::process::called(), ::core::format_args!($($arg)*)),
        )
    };
}

/// What the macros call.
///
/// # Errors
/// Those of [`file::write`].
pub fn print(descriptor: u32, text: Arguments) -> Result<(), Fail> {
    let mut piece = Piece { descriptor, bytes: [0; 128], used: 0, result: Ok(()) };
    // Only a `Display` of the caller's can fail; then what it had written is printed.
    let _ = piece.write_fmt(text);
    piece.send();
    piece.result
}

struct Piece {
    descriptor: u32,
    bytes: [u8; 128],
    used: usize,
    result: Result<(), Fail>,
}

impl Piece {
    fn send(&mut self) {
        if self.used != 0 && self.result.is_ok() {
            self.result = file::write(self.descriptor, &self.bytes[..self.used]);
        }
        self.used = 0;
    }
}

impl Write for Piece {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
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
