//! The boot archive, in place: programs, and whatever else the image holds, as bytes that everybody can read.
//!
//! It is a cpio archive in the `newc` format, which the loader has checked. Its frames are public, so a program maps a
//! file wherever it likes, from the physical address on that [`File::physical`] gives; programs begin on a page
//! boundary.

use crate::public;
use crate::sequences::window;

/// A file of the archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct File {
    /// Its name: `bin/NAME` for a program.
    pub name: &'static str,
    /// Its bytes. Those of a program are its ELF file, and zeros behind.
    pub bytes: &'static [u8],
}

impl File {
    /// The physical address of its first byte.
    #[must_use]
    pub fn physical(&self) -> u32 {
        self.bytes.as_ptr() as u32 - window(0)
    }
}

/// The files, in their order in the archive.
pub fn files() -> impl Iterator<Item = File> {
    let (start, bytes) = public::archive();
    // SAFETY: the archive's frames are public and never change; the window maps them when they are missed.
    let archive: &'static [u8] = unsafe { core::slice::from_raw_parts(window(start) as *const u8, bytes as usize) };
    let mut rest = archive;
    core::iter::from_fn(move || {
        let (file, next) = entry(rest)?;
        rest = next;
        Some(file)
    })
}

/// The file of that name.
#[must_use]
pub fn find(name: &str) -> Option<File> {
    files().find(|file| file.name == name)
}

/// Bytes of an entry's header: a magic number of 6 digits, and 13 numbers of 8.
const HEADER: usize = 6 + 13 * 8;
/// Where in it the length of the file is, and that of its name with a zero byte.
const FILE_BYTES: usize = 6 + 6 * 8;
const NAME_BYTES: usize = 6 + 11 * 8;
/// The name of the entry that closes the archive.
const TRAILER: &str = "TRAILER!!!";

/// The first entry of what is left of the archive, and what is behind it.
fn entry(archive: &'static [u8]) -> Option<(File, &'static [u8])> {
    let number = |at: usize| {
        let mut digits = archive.get(at..at + 8)?.iter();
        digits.try_fold(0, |number, &digit| Some(number << 4 | (digit as char).to_digit(16)? as usize))
    };
    let (file_bytes, name_bytes) = (number(FILE_BYTES)?, number(NAME_BYTES)?);
    let name = archive.get(HEADER..HEADER.checked_add(name_bytes)?.checked_sub(1)?)?;
    let start = (HEADER + name_bytes).next_multiple_of(4);
    let end = start.checked_add(file_bytes)?;
    let file = File { name: core::str::from_utf8(name).ok()?, bytes: archive.get(start..end)? };
    let next = archive.get(end.checked_next_multiple_of(4)?..).unwrap_or_default();
    (file.name != TRAILER).then_some((file, next))
}
