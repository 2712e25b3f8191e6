//! The boot image: the loader with the boot archive as its last segment, in one ELF file that any machine's PROM can load.
//!
//! The loader is linked with a last segment that holds an empty archive header. Here the archive, with a header
//! that tells its size, is appended to the file, and that segment is pointed to it.

use std::ops::Range;

use aegis_abi::boot::{ARCHIVE_MAGIC, ArchiveHeader, KERNEL_NAME, PROGRAM_PREFIX};
use aegis_abi::program::NOTE_OWNER;
use anyhow::{Context, Result, bail, ensure};
use cpio::newc;
use goblin::elf::program_header::{PT_LOAD, PT_NOTE};
use goblin::elf::{Elf, ProgramHeader, header};

/// Bytes of a page: what an offset in the file and the address it is loaded to must be congruent by.
const PAGE: u64 = 4096;
/// Where the unmapped, cached half gigabyte ends in which everything is loaded.
const KSEG0: Range<u64> = 0x8000_0000..0xa000_0000;

/// A file of a boot archive: name and contents.
pub type ArchiveFile = (String, Vec<u8>);

/// The files of a boot archive of a kernel and programs. They are ELF files, of which only what is loaded is kept.
pub fn archive_files(kernel: &[u8], programs: &[ArchiveFile]) -> Result<Vec<ArchiveFile>> {
    let mut files = vec![(KERNEL_NAME.to_owned(), without_sections(kernel).context("the kernel")?)];
    for (name, file) in programs {
        let file = without_sections(file).with_context(|| format!("the program {name}"))?;
        files.push((format!("{PROGRAM_PREFIX}{name}"), file));
    }
    Ok(files)
}

/// A boot archive of these files, good or bad. Zero bytes at the end of each have the next begin on a page boundary.
pub fn archive(files: &[ArchiveFile]) -> Result<Vec<u8>> {
    let mut archive = Vec::new();
    for (inode, (name, contents)) in (1..).zip(files) {
        let entry = newc::Builder::new(name).ino(inode).mode(0o100_644).nlink(1);
        let next = files.get(inode as usize).map(|(next, _)| header_bytes(next));
        // An entry begins at a multiple of 4, and what precedes the archive in memory is its header.
        let start = size_of::<ArchiveHeader>() + archive.len() + header_bytes(name);
        let padded = |header: usize| (start + contents.len() + header).next_multiple_of(PAGE as usize) - header - start;
        let bytes = next.map_or(contents.len(), padded);
        let size = u32::try_from(bytes).with_context(|| format!("{name} is too large"))?;
        let mut writer = entry.write(archive, size);
        std::io::Write::write_all(&mut writer, contents)?;
        std::io::Write::write_all(&mut writer, &vec![0; bytes - contents.len()])?;
        archive = writer.finish()?;
    }
    Ok(newc::trailer(archive)?)
}

/// Bytes of what precedes a file of this name: the header, and the name with a zero byte, in a multiple of 4.
fn header_bytes(name: &str) -> usize {
    const HEADER: usize = 110;
    (HEADER + name.len() + 1).next_multiple_of(4)
}

/// The archive's header and the archive: what the last segment holds.
pub fn segment(archive: &[u8]) -> Result<Vec<u8>> {
    let bytes = u32::try_from(archive.len()).context("the archive is too large")?;
    let header = ArchiveHeader { magic: ARCHIVE_MAGIC, bytes };
    Ok([&header.magic.to_le_bytes(), &header.bytes.to_le_bytes(), archive].concat())
}

/// The image: the loader with `segment` as its last segment.
pub fn image(loader: &[u8], segment: &[u8]) -> Result<Vec<u8>> {
    let elf = parse(loader).context("the loader")?;
    let (index, last) = last_load(&elf).context("the loader has no segment to load")?;
    let magic = loader.get(last.p_offset as usize..).and_then(|bytes| bytes.first_chunk());
    ensure!(
        last.p_filesz >= size_of::<ArchiveHeader>() as u64 && magic == Some(&ARCHIVE_MAGIC.to_le_bytes()),
        "the loader's last segment does not begin with the archive's magic number"
    );

    let start = loader.len() as u64;
    let padding = (last.p_vaddr % PAGE + PAGE - start % PAGE) % PAGE;
    let offset = start + padding;
    let bytes = segment.len() as u64;
    let end = last.p_vaddr + bytes;
    ensure!(
        KSEG0.contains(&last.p_vaddr) && KSEG0.contains(&end),
        "the archive would be loaded to {:#x}..{end:#x}, outside of unmapped memory",
        last.p_vaddr
    );
    for (number, other) in elf.program_headers.iter().enumerate() {
        let apart = other.p_vaddr + other.p_memsz <= last.p_vaddr || end <= other.p_vaddr;
        if number != index && other.p_type == PT_LOAD && !apart {
            bail!("the archive would be loaded over the loader's segment at {:#x}", other.p_vaddr);
        }
    }

    let mut image = loader.to_vec();
    image.resize(usize::try_from(offset)?, 0);
    image.extend_from_slice(segment);
    let at = elf.header.e_phoff as usize + index * usize::from(elf.header.e_phentsize);
    let mut set = |field: usize, value: u64| -> Result<()> {
        let value = u32::try_from(value).context("the image is too large")?;
        image[at + field..at + field + 4].copy_from_slice(&value.to_le_bytes());
        Ok(())
    };
    set(PROGRAM_HEADER_OFFSET, offset)?;
    set(PROGRAM_HEADER_FILE_BYTES, bytes)?;
    set(PROGRAM_HEADER_MEMORY_BYTES, bytes)?;
    check(&image, segment).context("the image that was built is wrong")?;
    Ok(image)
}

// Where fields lie in a program header of a 32-bit ELF file.
const PROGRAM_HEADER_OFFSET: usize = 4;
const PROGRAM_HEADER_FILE_BYTES: usize = 16;
const PROGRAM_HEADER_MEMORY_BYTES: usize = 20;
// Where fields lie in the header of a 32-bit ELF file.
const HEADER_SECTIONS: usize = 0x20;
const HEADER_SECTION_COUNT: usize = 0x30;
const HEADER_SECTION_NAMES: usize = 0x32;

/// Reads an image as a PROM would and compares what it finds.
fn check(image: &[u8], segment: &[u8]) -> Result<()> {
    let elf = parse(image)?;
    let (_, last) = last_load(&elf).context("nothing is loaded")?;
    ensure!(last.p_offset % PAGE == last.p_vaddr % PAGE, "the last segment is out of step with its pages");
    let found = image.get(last.file_range()).context("the last segment is cut short")?;
    ensure!(found == segment && last.p_memsz == last.p_filesz, "the last segment is not the archive");
    Ok(())
}

/// The boot archive of an image.
pub fn archive_of(image: &[u8]) -> Result<&[u8]> {
    let elf = parse(image)?;
    let (_, last) = last_load(&elf).context("nothing is loaded")?;
    let segment = image.get(last.file_range()).context("the last segment is cut short")?;
    segment.get(size_of::<ArchiveHeader>()..).context("the image has no boot archive")
}

/// Reads a 32-bit, little-endian, executable MIPS file whose segments lie within the file.
pub fn parse(file: &[u8]) -> Result<Elf<'_>> {
    let elf = Elf::parse(file).context("not a valid ELF file")?;
    ensure!(!elf.is_64, "a 64-bit ELF file, not a 32-bit one");
    ensure!(elf.little_endian, "a big-endian ELF file, not a little-endian one");
    ensure!(elf.header.e_machine == header::EM_MIPS, "an ELF file for machine {}, not for MIPS", elf.header.e_machine);
    ensure!(elf.header.e_type == header::ET_EXEC, "an ELF file that is not an executable");
    ensure!(elf.header.e_phentsize == 32, "an ELF file with program headers of a strange size");
    for segment in loaded(&elf) {
        let end = segment.p_offset.checked_add(segment.p_filesz);
        ensure!(end.is_some_and(|end| end <= file.len() as u64), "an ELF file whose segments are cut short");
        ensure!(segment.p_filesz <= segment.p_memsz, "an ELF file with a segment larger than its memory");
    }
    Ok(elf)
}

/// Where the content of the one Aegis note of a type lies in an ELF file.
pub fn note(file: &[u8], kind: u32) -> Result<Range<usize>> {
    let elf = parse(file)?;
    let mut notes = elf.iter_note_headers(file).into_iter().flatten().flatten();
    let note = notes.find(|note| note.name == NOTE_OWNER && note.n_type == kind);
    let content = note.with_context(|| format!("it has no {NOTE_OWNER} note of type {kind}"))?.desc;
    let start = content.as_ptr() as usize - file.as_ptr() as usize;
    Ok(start..start + content.len())
}

/// The loaded segment that the file's program headers name last, and its number.
fn last_load<'a>(elf: &'a Elf) -> Option<(usize, &'a ProgramHeader)> {
    elf.program_headers.iter().enumerate().rfind(|(_, segment)| segment.p_type == PT_LOAD)
}

fn loaded<'a>(elf: &'a Elf) -> impl Iterator<Item = &'a ProgramHeader> {
    elf.program_headers.iter().filter(|segment| [PT_LOAD, PT_NOTE].contains(&segment.p_type))
}

/// The beginning of an ELF file up to the end of its last segment: all that a loader reads. Sections, symbols and debug
/// information, nine tenths of the file, stand behind it.
pub fn without_sections(file: &[u8]) -> Result<Vec<u8>> {
    let elf = parse(file)?;
    let headers = elf.header.e_phoff + u64::from(elf.header.e_phnum) * u64::from(elf.header.e_phentsize);
    let end = loaded(&elf).map(|segment| segment.p_offset + segment.p_filesz).fold(headers, u64::max);
    let mut kept = file.get(..usize::try_from(end)?).context("its program headers are cut short")?.to_vec();
    kept[HEADER_SECTIONS..HEADER_SECTIONS + 4].fill(0);
    kept[HEADER_SECTION_COUNT..HEADER_SECTION_COUNT + 2].fill(0);
    kept[HEADER_SECTION_NAMES..HEADER_SECTION_NAMES + 2].fill(0);
    Ok(kept)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A little ELF file: `segments` are addresses and contents.
    pub fn elf(segments: &[(u32, &[u8])]) -> Vec<u8> {
        let mut file = Vec::new();
        file.extend([0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        file.extend([2_u16, 8].map(u16::to_le_bytes).concat());
        let entry = segments.first().map_or(0, |segment| segment.0);
        file.extend([1, entry, 52, 0, 0].map(u32::to_le_bytes).concat());
        file.extend([52, 32, segments.len() as u16, 0, 0, 0].map(u16::to_le_bytes).concat());
        let mut offset = 52 + 32 * segments.len() as u32;
        for (address, contents) in segments {
            let bytes = contents.len() as u32;
            file.extend([1, offset, *address, *address, bytes, bytes, 5, 4].map(u32::to_le_bytes).concat());
            offset += bytes;
        }
        segments.iter().for_each(|(_, contents)| file.extend_from_slice(contents));
        file
    }

    fn empty_header() -> Vec<u8> {
        segment(&[]).unwrap()
    }

    fn loader() -> Vec<u8> {
        elf(&[(0x8010_0000, &[0; 40]), (0x8010_1010, &empty_header())])
    }

    fn refusal(loader: &[u8]) -> String {
        format!("{:#}", image(loader, &segment(b"archive").unwrap()).unwrap_err())
    }

    #[test]
    fn archive_becomes_the_last_segment() {
        let kernel = elf(&[(0x8003_0000, b"kernel")]);
        let programs = [("counter".to_owned(), elf(&[(0x1_0000, b"counter")]))];
        let archive = archive(&archive_files(&kernel, &programs).unwrap()).unwrap();
        let image = image(&loader(), &segment(&archive).unwrap()).unwrap();

        let elf = parse(&image).unwrap();
        let last = elf.program_headers.last().unwrap();
        assert_eq!((last.p_vaddr, last.p_offset % 4096, last.p_filesz), (0x8010_1010, 0x10, last.p_memsz));
        let found = &image[last.file_range()];
        assert_eq!(found[..8], [ARCHIVE_MAGIC.to_le_bytes(), (archive.len() as u32).to_le_bytes()].concat());

        let first = newc::Reader::new(&found[8..]).unwrap();
        assert_eq!(first.entry().name(), "aegis");
        let size = first.entry().file_size() as usize;
        assert!(size >= kernel.len());
        assert_eq!((8 + header_bytes("aegis") + size + header_bytes("bin/counter")) % 4096, 0);
        let second = newc::Reader::new(first.finish().unwrap()).unwrap();
        assert_eq!(second.entry().name(), "bin/counter");
        let end = newc::Reader::new(second.finish().unwrap()).unwrap();
        assert!(end.entry().is_trailer());
    }

    #[test]
    fn only_what_is_loaded_is_kept() {
        let mut file = elf(&[(0x1_0000, b"text")]);
        let loaded = file.clone();
        let end = file.len() as u32;
        file[HEADER_SECTIONS..HEADER_SECTIONS + 4].copy_from_slice(&end.to_le_bytes());
        file[0x2e..0x34].copy_from_slice(&[40, 0, 1, 0, 0, 0]);
        file.extend([0; 40]);
        let kept = without_sections(&file).unwrap();
        assert_eq!(kept.len(), loaded.len());
        assert!(parse(&kept).unwrap().section_headers.is_empty());
    }

    #[test]
    fn foreign_loaders_are_refused() {
        let with = |at: usize, value: u8| {
            let mut file = loader();
            file[at] = value;
            refusal(&file)
        };
        assert_eq!(with(18, 62), "the loader: an ELF file for machine 62, not for MIPS");
        assert_eq!(with(16, 3), "the loader: an ELF file that is not an executable");
        assert!(with(0, 0).starts_with("the loader: not a valid ELF file"));
        assert!(with(4, 2).starts_with("the loader: "));
        assert!(with(5, 2).starts_with("the loader: "));
        let no_archive = elf(&[(0x8010_0000, &[0; 40])]);
        assert_eq!(refusal(&no_archive), "the loader's last segment does not begin with the archive's magic number");
        assert_eq!(refusal(&elf(&[])), "the loader has no segment to load");
        assert!(refusal(&loader()[..loader().len() - 1]).starts_with("the loader: "));
        for length in 0..loader().len() {
            refusal(&loader()[..length]);
        }
    }

    #[test]
    fn archive_must_not_overlap() {
        let below = elf(&[(0x8010_2000, &[0; 40]), (0x8010_1ffc, &empty_header())]);
        assert_eq!(refusal(&below), "the archive would be loaded over the loader's segment at 0x80102000");
        let outside = elf(&[(0x8010_0000, &[0; 40]), (0x9fff_fff8, &empty_header())]);
        assert!(refusal(&outside).contains("outside of unmapped memory"));
        let user = elf(&[(0x8010_0000, &[0; 40]), (0x1_0000, &empty_header())]);
        assert!(refusal(&user).contains("outside of unmapped memory"));
    }
}
