//! Executable images: what the PROM's loader accepts, and a clear word about everything else.

use goblin::elf::{Elf, header, program_header, section_header};
use thiserror::Error;

/// Why an image can't be loaded.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ImageError {
    /// Not ELF at all.
    #[error("not an ELF file")]
    NotElf,
    /// ELF, but broken.
    #[error("a damaged ELF file: {0}")]
    Damaged(String),
    /// For another machine.
    #[error("not an image for this machine: {0} (wanted: 32-bit little-endian MIPS executable)")]
    WrongMachine(&'static str),
    /// A segment that would not be in main memory.
    #[error(
        "segment at {address:08x} with {size} bytes does not lie in kseg0 or kseg1 within {ram} bytes of main memory"
    )]
    OutsideMemory {
        /// Its virtual address.
        address: u32,
        /// Its size.
        size: u64,
        /// Main memory.
        ram: u64,
    },
    /// Nothing to load.
    #[error("the image has no loadable segment")]
    Empty,
    /// An entry point that can't be executed.
    #[error("the entry point {0:08x} is not an aligned address in kseg0 or kseg1")]
    Entry(u32),
}

/// A piece of memory.
#[derive(Debug, PartialEq, Eq)]
pub struct Segment {
    /// Physical address.
    pub physical: u32,
    /// Contents, with the zeros that the file leaves out.
    pub data: Vec<u8>,
}

/// A parsed image.
#[derive(Debug, PartialEq, Eq)]
pub struct Image {
    /// What to load.
    pub segments: Vec<Segment>,
    /// Where to start.
    pub entry: u32,
    /// The value of `_gp`, 0 without one.
    pub gp: u32,
}

/// Whether an address lies in kseg0 or kseg1.
fn unmapped(address: u32) -> bool {
    (0x8000_0000..0xc000_0000).contains(&address)
}

fn parse(bytes: &[u8]) -> Result<Elf<'_>, ImageError> {
    if !bytes.starts_with(header::ELFMAG) {
        return Err(ImageError::NotElf);
    }
    let elf = Elf::parse(bytes).map_err(|error| ImageError::Damaged(error.to_string()))?;
    if elf.is_64 {
        return Err(ImageError::WrongMachine("64-bit"));
    }
    if !elf.little_endian {
        return Err(ImageError::WrongMachine("big-endian"));
    }
    if elf.header.e_machine != header::EM_MIPS {
        return Err(ImageError::WrongMachine("another processor"));
    }
    Ok(elf)
}

impl Image {
    /// Parses an ELF executable for a machine with so many bytes of main memory.
    pub fn parse(bytes: &[u8], ram: u64) -> Result<Image, ImageError> {
        let elf = parse(bytes)?;
        if elf.header.e_type != header::ET_EXEC {
            return Err(ImageError::WrongMachine("not an executable"));
        }
        let mut segments = Vec::new();
        for header in elf.program_headers.iter().filter(|header| header.p_type == program_header::PT_LOAD) {
            if header.p_memsz == 0 {
                continue;
            }
            let outside = ImageError::OutsideMemory { address: header.p_vaddr as u32, size: header.p_memsz, ram };
            let physical = header.p_vaddr as u32 & 0x1fff_ffff;
            let end = u64::from(physical).checked_add(header.p_memsz);
            if !unmapped(header.p_vaddr as u32) || end.is_none_or(|end| end > ram) {
                return Err(outside);
            }
            let file = header
                .p_offset
                .checked_add(header.p_filesz)
                .and_then(|end| bytes.get(header.p_offset as usize..end as usize))
                .ok_or_else(|| ImageError::Damaged("a segment ends after the file".into()))?;
            if header.p_filesz > header.p_memsz {
                return Err(ImageError::Damaged("a segment is larger in the file than in memory".into()));
            }
            let mut data = file.to_vec();
            data.resize(header.p_memsz as usize, 0);
            segments.push(Segment { physical, data });
        }
        if segments.is_empty() {
            return Err(ImageError::Empty);
        }
        let entry = elf.entry as u32;
        if !unmapped(entry) || entry & 3 != 0 {
            return Err(ImageError::Entry(entry));
        }
        let gp = elf
            .syms
            .iter()
            .find(|symbol| {
                elf.strtab.get_at(symbol.st_name) == Some("_gp")
                    && symbol.st_shndx != section_header::SHN_UNDEF as usize
            })
            .map_or(0, |symbol| symbol.st_value as u32);
        Ok(Image { segments, entry, gp })
    }

    /// Checks that symbols can be read from a file.
    pub fn check_symbols(bytes: &[u8]) -> Result<(), ImageError> {
        parse(bytes).map(|_| ())
    }
}
