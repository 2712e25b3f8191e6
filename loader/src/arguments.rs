//! Reads the boot arguments: which programs to start, and with what.

use core::fmt;

use aegis_abi::boot::{ARGUMENT_BYTES, COMMAND_LINE_BYTES};

/// What the PROM passes when the user gave no arguments.
const PROM_DEFAULT: &str = "-a";

/// A word of the boot arguments: a program to start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Word<'a> {
    /// The program's name.
    pub name: &'a str,
    /// What follows the name's comma.
    pub arguments: &'a str,
}

/// What is wrong with the boot arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error<'a> {
    /// They are longer than [`COMMAND_LINE_BYTES`].
    TooLong,
    /// They hold something other than printable characters and spaces.
    NotPrintable,
    /// A word begins with a comma.
    NoName(&'a str),
    /// A program's arguments are longer than [`ARGUMENT_BYTES`].
    LongArguments(&'a str),
}

impl fmt::Display for Error<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::TooLong => write!(f, "the boot arguments have more than {COMMAND_LINE_BYTES} characters"),
            Error::NotPrintable => write!(f, "the boot arguments have other than printable characters"),
            Error::NoName(word) => write!(f, "the boot argument \"{word}\" names no program"),
            Error::LongArguments(name) => {
                write!(f, "the boot arguments give {name} more than {ARGUMENT_BYTES} characters")
            }
        }
    }
}

/// What the user gave: `line` without spaces around it, and nothing if it is only what the PROM passes by itself.
///
/// # Errors
/// [`Error::TooLong`], [`Error::NotPrintable`].
pub fn given(line: &str) -> Result<&str, Error<'_>> {
    let line = line.trim_matches(' ');
    if line.len() > COMMAND_LINE_BYTES {
        return Err(Error::TooLong);
    }
    if !line.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err(Error::NotPrintable);
    }
    Ok(if line == PROM_DEFAULT { "" } else { line })
}

/// The words of `line`, each [`Error::NoName`], [`Error::LongArguments`] or good.
pub fn words(line: &str) -> impl Iterator<Item = Result<Word<'_>, Error<'_>>> {
    line.split(' ').filter(|word| !word.is_empty()).map(|word| {
        let (name, arguments) = word.split_once(',').unwrap_or((word, ""));
        if name.is_empty() {
            return Err(Error::NoName(word));
        }
        if arguments.len() > ARGUMENT_BYTES {
            return Err(Error::LongArguments(name));
        }
        Ok(Word { name, arguments })
    })
}
