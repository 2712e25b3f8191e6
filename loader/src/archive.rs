//! Reads the boot archive: cpio, `newc` format.
//!
//! An entry is a header of 110 bytes, a name that ends with a zero byte, and the file. Zero bytes bring name and file
//! up to a multiple of 4. A header is the magic `070701` and thirteen numbers of eight hexadecimal digits. The entry
//! with the name `TRAILER!!!` closes the archive.
//!
//! The reader takes less than the format allows: regular files with printable names that are unique, and nothing but
//! zero bytes behind the trailer. Entries of directories are passed over.

use core::fmt;

use aegis_abi::boot::{ARCHIVE_FILES, KERNEL_NAME, NAME_BYTES, PROGRAM_PREFIX};
use heapless::Vec;

/// Bytes of an entry's header.
const HEADER_BYTES: usize = 110;
/// What every header begins with.
const MAGIC: &[u8] = b"070701";
/// The name of the entry that closes an archive.
const TRAILER: &str = "TRAILER!!!";

/// Numbers in a header.
const NUMBERS: usize = 13;
// Which of them is which.
const MODE: usize = 1;
const FILE_BYTES: usize = 6;
const NAME_LENGTH: usize = 11;

// The bits of the mode that tell what an entry is. Archives written by programs often leave them 0 for a regular file.
const TYPE_MASK: u32 = 0o170_000;
const TYPE_DIRECTORY: u32 = 0o040_000;
const TYPE_REGULAR: u32 = 0o100_000;

/// A file of the archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct File<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where its bytes begin, counted from the beginning of the archive; a multiple of 4.
    pub offset: u32,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// The files of an archive, in their order.
#[derive(Clone, Debug)]
pub struct Archive<'a> {
    files: Vec<File<'a>, ARCHIVE_FILES>,
}

/// What is wrong with an archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error<'a> {
    /// It has no files.
    Empty,
    /// It ends inside the entry that begins at the byte `at`.
    CutShort {
        /// Where the entry begins.
        at: usize,
    },
    /// The entry that begins at the byte `at` is no entry.
    Damaged {
        /// Where the entry begins.
        at: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Something other than zero bytes stands behind the trailer.
    BehindTrailer {
        /// Where the trailer ends.
        at: usize,
    },
    /// A name is longer than [`NAME_BYTES`].
    LongName(&'a str),
    /// Two files have the same name.
    Duplicate(&'a str),
    /// An entry is neither a regular file nor a directory.
    NotAFile(&'a str),
    /// There are more files than [`ARCHIVE_FILES`].
    TooMany,
}

impl fmt::Display for Error<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Empty => write!(f, "the boot archive is empty"),
            Error::CutShort { at } => write!(f, "the boot archive is cut short in the entry at byte {at}"),
            Error::Damaged { at, what } => write!(f, "the boot archive is damaged: the entry at byte {at} {what}"),
            Error::BehindTrailer { at } => {
                write!(f, "the boot archive is damaged: something stands behind its end at byte {at}")
            }
            Error::LongName(name) => {
                write!(f, "{name}: a name in the boot archive may have at most {NAME_BYTES} characters")
            }
            Error::Duplicate(name) => write!(f, "{name}: twice in the boot archive"),
            Error::NotAFile(name) => write!(f, "{name}: is not a regular file"),
            Error::TooMany => write!(f, "the boot archive has more than {ARCHIVE_FILES} files"),
        }
    }
}

impl<'a> Archive<'a> {
    /// Reads the whole archive.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn read(bytes: &'a [u8]) -> Result<Self, Error<'a>> {
        let mut files: Vec<File<'a>, ARCHIVE_FILES> = Vec::new();
        let mut at = 0;
        loop {
            let entry = entry(bytes, at)?;
            at = entry.next;
            if entry.file.name == TRAILER {
                break;
            }
            let file = entry.file;
            match entry.mode & TYPE_MASK {
                TYPE_DIRECTORY => continue,
                TYPE_REGULAR | 0 => {}
                _ => return Err(Error::NotAFile(file.name)),
            }
            if file.name.len() > NAME_BYTES {
                return Err(Error::LongName(file.name));
            }
            if files.iter().any(|other| other.name == file.name) {
                return Err(Error::Duplicate(file.name));
            }
            files.push(file).map_err(|_| Error::TooMany)?;
        }
        if bytes.get(at..).is_some_and(|rest| rest.iter().any(|&byte| byte != 0)) {
            return Err(Error::BehindTrailer { at });
        }
        if files.is_empty() { Err(Error::Empty) } else { Ok(Self { files }) }
    }

    /// Its files, in their order.
    #[must_use]
    pub fn files(&self) -> &[File<'a>] {
        &self.files
    }

    /// The kernel, if it is there.
    #[must_use]
    pub fn kernel(&self) -> Option<File<'a>> {
        self.files.iter().find(|file| file.name == KERNEL_NAME).copied()
    }

    /// The names of its programs, without the prefix, and their files.
    pub fn programs(&self) -> impl Iterator<Item = (&'a str, File<'a>)> {
        self.files.iter().filter_map(|file| {
            let name = file.name.strip_prefix(PROGRAM_PREFIX)?;
            (!name.is_empty()).then_some((name, *file))
        })
    }
}

/// An entry of an archive.
struct Entry<'a> {
    file: File<'a>,
    mode: u32,
    /// Where the next one begins.
    next: usize,
}

/// Reads the entry that begins at the byte `at`.
fn entry(bytes: &[u8], at: usize) -> Result<Entry<'_>, Error<'_>> {
    let cut_short = Error::CutShort { at };
    let damaged = |what| Error::Damaged { at, what };
    let header = piece(bytes, at, HEADER_BYTES).ok_or(cut_short)?;
    if !header.starts_with(MAGIC) {
        return Err(damaged("has no newc header"));
    }
    // All are looked at, though three are used: a header that is damaged anywhere is not to be trusted.
    let mut numbers = [0; NUMBERS];
    for (number, digits) in numbers.iter_mut().zip(header[MAGIC.len()..].chunks(8)) {
        *number = hexadecimal(digits).ok_or(damaged("has a header with something other than digits"))?;
    }
    let (mode, file_bytes, name_length) = (numbers[MODE], numbers[FILE_BYTES], numbers[NAME_LENGTH]);

    let name_at = at + HEADER_BYTES;
    let name = piece(bytes, name_at, name_length as usize).ok_or(cut_short)?;
    let Some((&0, name)) = name.split_last() else { return Err(damaged("has a name without an end")) };
    if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
        return Err(damaged("has a name with other than printable characters"));
    }
    let name = core::str::from_utf8(name).map_err(|_| damaged("has a name with other than printable characters"))?;

    let offset = aligned(name_at + name_length as usize).ok_or(cut_short)?;
    let file = piece(bytes, offset, file_bytes as usize).ok_or(cut_short)?;
    let next = aligned(offset + file.len()).ok_or(cut_short)?;
    // The trailer is the last thing in the archive, so what fills it up may be missing.
    if next > bytes.len() && name != TRAILER {
        return Err(cut_short);
    }
    let offset = u32::try_from(offset).map_err(|_| cut_short)?;
    Ok(Entry { file: File { name, offset, bytes: file }, mode, next })
}

/// `length` bytes from the byte `at` on, if they are there.
fn piece(bytes: &[u8], at: usize, length: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(length)?)
}

/// `at`, rounded up to a multiple of 4.
fn aligned(at: usize) -> Option<usize> {
    at.checked_next_multiple_of(4)
}

/// The number that hexadecimal digits stand for.
fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, &digit| Some(value << 4 | char::from(digit).to_digit(16)?))
}
