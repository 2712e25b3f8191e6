//! Checks an ELF file and tells what of it is to be loaded.
//!
//! `xmas-elf` gives the fields their types and names. It trusts offsets and sizes, and panics where they lead out of
//! the file; so everything that it will rely on is checked first, and nothing of it is called that reads a segment or
//! a section.

use core::fmt;

use heapless::Vec;
use xmas_elf::ElfFile;
use xmas_elf::header::{Class, Data, HeaderPt2, Machine, Type};
use xmas_elf::program::{ProgramHeader, Type as SegmentType};

use aegis_abi::program::NOTE_OWNER;

/// The most segments of a file that are loaded.
pub const LOADS: usize = 8;

// Sizes of the parts of a 32-bit ELF file.
const IDENT_BYTES: usize = 16;
const HEADER_BYTES: u16 = 52;
const PROGRAM_HEADER_BYTES: u16 = 32;
/// The bits of the header's flags that tell which MIPS a file was built for; 0 is the first.
const ARCHITECTURE_MASK: u32 = 0xf000_0000;

/// A segment that is loaded: `bytes` bytes of memory, of which the first `file_bytes` come from the file and the rest
/// are zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Load {
    /// Its first address.
    pub address: u32,
    /// Bytes of memory, at least one. They end at 2^32 - 1 or before.
    pub bytes: u32,
    /// Where its bytes in the file begin.
    pub offset: u32,
    /// How many of its bytes are in the file.
    pub file_bytes: u32,
    /// It may be written to.
    pub writable: bool,
    /// It may be executed.
    pub executable: bool,
}

impl Load {
    /// The first address behind it.
    #[must_use]
    pub const fn end(&self) -> u32 {
        self.address + self.bytes
    }
}

/// An ELF file that has passed all checks that don't depend on what it is.
#[derive(Clone, Debug)]
pub struct Elf<'a> {
    /// Where it begins: the address of an instruction in a segment that is executable.
    pub entry: u32,
    /// What is loaded, in order of address, without overlaps.
    pub loads: Vec<Load, LOADS>,
    notes: Vec<&'a [u8], LOADS>,
}

/// What is wrong with an ELF file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// It is not ELF.
    NotElf,
    /// It does not begin on a word boundary.
    Misaligned,
    /// It is not a 32-bit file.
    Class(u8),
    /// It is not little-endian.
    BigEndian(u8),
    /// It is no executable file.
    NotExecutable(u16),
    /// It is for another processor.
    Machine(u16),
    /// It is for a later MIPS.
    Architecture(u32),
    /// It has a header that this version of ELF does not have.
    Header(&'static str),
    /// It ends before the thing named.
    Truncated(&'static str),
    /// It ends inside the segment at an address.
    TruncatedSegment(u32),
    /// It has nothing to load.
    NothingToLoad,
    /// It has more than [`LOADS`] segments to load, or more notes.
    TooManySegments,
    /// The segment at an address has more bytes in the file than in memory.
    FileLargerThanMemory(u32),
    /// The segment at an address does not end in the address space.
    Wraps(u32),
    /// The segments at two addresses overlap.
    Overlap(u32, u32),
    /// The entry point is not on a word boundary.
    EntryMisaligned(u32),
    /// The entry point is not in an executable segment.
    EntryOutside(u32),
    /// A note does not end where its segment does.
    Note,
    /// There are two notes of the same type where one is expected.
    TwoNotes,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Error::NotElf => write!(f, "not an ELF file"),
            Error::Misaligned => write!(f, "not on a word boundary of the archive"),
            Error::Class(class) => write!(f, "not a 32-bit ELF file (class {class})"),
            Error::BigEndian(data) => write!(f, "not a little-endian ELF file (data encoding {data})"),
            Error::NotExecutable(kind) => write!(f, "not an executable ELF file (type {kind})"),
            Error::Machine(machine) => write!(f, "not for MIPS (machine {machine})"),
            Error::Architecture(flags) => write!(f, "for a later MIPS than MIPS I (flags {flags:#010x})"),
            Error::Header(what) => write!(f, "damaged ELF header: {what}"),
            Error::Truncated(what) => write!(f, "cut short: the file ends before its {what}"),
            Error::TruncatedSegment(address) => {
                write!(f, "cut short: the file ends before the segment at {address:#010x} does")
            }
            Error::NothingToLoad => write!(f, "has no segment to load"),
            Error::TooManySegments => write!(f, "has more than {LOADS} segments to load, or more than {LOADS} notes"),
            Error::FileLargerThanMemory(address) => {
                write!(f, "the segment at {address:#010x} has more bytes in the file than in memory")
            }
            Error::Wraps(address) => write!(f, "the segment at {address:#010x} goes beyond the last address"),
            Error::Overlap(first, second) => {
                write!(f, "the segments at {first:#010x} and {second:#010x} overlap")
            }
            Error::EntryMisaligned(entry) => write!(f, "the entry point {entry:#010x} is not on a word boundary"),
            Error::EntryOutside(entry) => write!(f, "the entry point {entry:#010x} is not in an executable segment"),
            Error::Note => write!(f, "has a note that is cut short"),
            Error::TwoNotes => write!(f, "has two Aegis notes of the same type"),
        }
    }
}

impl<'a> Elf<'a> {
    /// Checks `file`.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn read(file: &'a [u8]) -> Result<Self, Error> {
        let (elf, header) = header(file)?;
        let mut loads = Vec::new();
        let mut notes = Vec::new();
        for index in 0..header.ph_count() {
            let segment = elf.program_header(index).map_err(Error::Header)?;
            // What `xmas-elf` has no name for is none of the loader's business.
            match segment.get_type() {
                Ok(SegmentType::Load) => {
                    if let Some(load) = load(file, &segment)? {
                        loads.push(load).map_err(|_| Error::TooManySegments)?;
                    }
                }
                Ok(SegmentType::Note) => {
                    let bytes = piece(file, segment.offset() as u32, segment.file_size() as u32);
                    notes.push(bytes.ok_or(Error::Note)?).map_err(|_| Error::TooManySegments)?;
                }
                _ => {}
            }
        }
        loads.sort_unstable_by_key(|load: &Load| load.address);
        for pair in loads.windows(2) {
            if let [first, second] = pair
                && first.end() > second.address
            {
                return Err(Error::Overlap(first.address, second.address));
            }
        }
        if loads.is_empty() {
            return Err(Error::NothingToLoad);
        }

        let entry = header.entry_point() as u32;
        if !entry.is_multiple_of(4) {
            return Err(Error::EntryMisaligned(entry));
        }
        let holds_entry = |load: &Load| {
            load.executable
                && load.address <= entry
                && load.file_bytes >= 4
                && entry - load.address <= load.file_bytes - 4
        };
        if !loads.iter().any(holds_entry) {
            return Err(Error::EntryOutside(entry));
        }
        Ok(Self { entry, loads, notes })
    }

    /// The descriptor of the one Aegis note of type `kind`, if there is one.
    ///
    /// # Errors
    /// [`Error::Note`], [`Error::TwoNotes`].
    pub fn note(&self, kind: u32) -> Result<Option<&'a [u8]>, Error> {
        let mut found = None;
        for &segment in &self.notes {
            let mut rest = segment;
            while !rest.is_empty() {
                let note = note(rest).ok_or(Error::Note)?;
                if note.owner == NOTE_OWNER.as_bytes() && note.kind == kind && found.replace(note.descriptor).is_some()
                {
                    return Err(Error::TwoNotes);
                }
                rest = note.rest;
            }
        }
        Ok(found)
    }
}

/// Checks everything in the header, and that the tables it tells of are in the file. Behind this `xmas-elf` can read
/// each program header without leaving the file.
fn header(file: &[u8]) -> Result<(ElfFile<'_>, HeaderPt2<'_>), Error> {
    if !file.starts_with(&xmas_elf::header::MAGIC) {
        return Err(Error::NotElf);
    }
    if !file.as_ptr().addr().is_multiple_of(align_of::<u32>()) {
        return Err(Error::Misaligned);
    }
    // The class comes first: the fields of a 64-bit header must not even be looked at.
    let [_, _, _, _, class, data, version, ..] = *file.get(..IDENT_BYTES).ok_or(Error::Truncated("header ends"))?
    else {
        return Err(Error::Truncated("header ends"));
    };
    if class != 1 {
        return Err(Error::Class(class));
    }
    if file.len() < usize::from(HEADER_BYTES) {
        return Err(Error::Truncated("header ends"));
    }
    let elf = ElfFile::new(file).map_err(Error::Header)?;
    let header = elf.header.pt2;
    let HeaderPt2::Header32(fields) = header else { return Err(Error::Class(class)) };
    if elf.header.pt1.class() != Class::ThirtyTwo || elf.header.pt1.data() != Data::LittleEndian {
        return Err(Error::BigEndian(data));
    }
    if header.machine().as_machine() != Machine::Mips {
        return Err(Error::Machine(u16_at(file, 18)));
    }
    if header.type_().as_type() != Type::Executable {
        return Err(Error::NotExecutable(header.type_().0));
    }
    if version != 1 || header.version() != 1 {
        return Err(Error::Header("unknown version"));
    }
    if fields.flags & ARCHITECTURE_MASK != 0 {
        return Err(Error::Architecture(fields.flags));
    }
    if header.header_size() != HEADER_BYTES {
        return Err(Error::Header("wrong size"));
    }
    if header.ph_count() == 0 || header.ph_offset() == 0 {
        return Err(Error::NothingToLoad);
    }
    if header.ph_entry_size() != PROGRAM_HEADER_BYTES {
        return Err(Error::Header("wrong size of a program header"));
    }
    if !header.ph_offset().is_multiple_of(4) {
        return Err(Error::Header("misaligned program headers"));
    }
    if !table_fits(file, header.ph_offset(), header.ph_entry_size(), header.ph_count()) {
        return Err(Error::Truncated("program headers do"));
    }
    // The loader does not read sections. They stand at the end of the file, so that a file cut short lacks them.
    if !table_fits(file, header.sh_offset(), header.sh_entry_size(), header.sh_count()) {
        return Err(Error::Truncated("section headers do"));
    }
    Ok((elf, header))
}

/// Whether a table of `count` entries lies in the file.
fn table_fits(file: &[u8], offset: u64, entry_bytes: u16, count: u16) -> bool {
    count == 0 || offset + u64::from(entry_bytes) * u64::from(count) <= file.len() as u64
}

/// Checks a segment that is loaded; `None` if there is nothing in it.
fn load(file: &[u8], segment: &ProgramHeader<'_>) -> Result<Option<Load>, Error> {
    let load = Load {
        address: segment.virtual_addr() as u32,
        bytes: segment.mem_size() as u32,
        offset: segment.offset() as u32,
        file_bytes: segment.file_size() as u32,
        writable: segment.flags().is_write(),
        executable: segment.flags().is_execute(),
    };
    if load.file_bytes > load.bytes {
        return Err(Error::FileLargerThanMemory(load.address));
    }
    if load.address.checked_add(load.bytes).is_none() {
        return Err(Error::Wraps(load.address));
    }
    if piece(file, load.offset, load.file_bytes).is_none() {
        return Err(Error::TruncatedSegment(load.address));
    }
    Ok((load.bytes > 0).then_some(load))
}

/// A note, and what follows it in its segment.
struct Note<'a> {
    owner: &'a [u8],
    kind: u32,
    descriptor: &'a [u8],
    rest: &'a [u8],
}

/// Reads the first note of `bytes`: the lengths of the owner's name (with a zero byte) and of the descriptor, the
/// type, then name and descriptor, each filled up to a multiple of 4. The filling of the last one may be missing.
fn note(bytes: &[u8]) -> Option<Note<'_>> {
    let (header, rest) = bytes.split_at_checked(12)?;
    let word = |at| Some(u32::from_le_bytes(*header.get(at..)?.first_chunk()?));
    let (owner_bytes, descriptor_bytes, kind) = (word(0)?, word(4)?, word(8)?);
    let (owner, rest) = filled_up(rest, owner_bytes)?;
    let (descriptor, rest) = filled_up(rest, descriptor_bytes)?;
    Some(Note { owner: owner.strip_suffix(&[0]).unwrap_or(owner), kind, descriptor, rest })
}

/// The first `length` bytes, and what stands behind their filling.
fn filled_up(bytes: &[u8], length: u32) -> Option<(&[u8], &[u8])> {
    let length = usize::try_from(length).ok()?;
    let taken = bytes.get(..length)?;
    Some((taken, bytes.get(length.checked_next_multiple_of(4)?..).unwrap_or_default()))
}

/// `length` bytes of the file from `offset` on, if they are there.
fn piece(file: &[u8], offset: u32, length: u32) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    // An empty piece may stand anywhere.
    if length == 0 { Some(&[]) } else { file.get(start..start.checked_add(usize::try_from(length).ok()?)?) }
}

/// The half word at `at`, for a message.
fn u16_at(file: &[u8], at: usize) -> u16 {
    file.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u16::from_le_bytes(*bytes))
}
