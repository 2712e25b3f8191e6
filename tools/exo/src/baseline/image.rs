//! What Linux boots from: the kernel as it was built, with the archive of its first files in memory behind it, in one ELF file that
//! any machine's PROM can load.

use anyhow::{Context, Result, ensure};
use cpio::newc;
use goblin::elf::program_header::PT_LOAD;

use crate::build::Board;
use crate::image::parse;

/// Where the archive is loaded to. The kernel reaches some 4 MB far, and memory 64.
pub const ARCHIVE: u32 = 0x8200_0000;

/// A file, directory or device: name, mode, the device's numbers, contents.
type File<'a> = (&'a str, u32, (u32, u32), &'a [u8]);

/// The archive of the first files: the two programs, a console, and what they mount and map.
pub fn archive(init: &[u8], program: &[u8]) -> Result<Vec<u8>> {
    let files: [File; 6] = [
        ("dev", 0o040_755, (0, 0), &[]),
        ("dev/console", 0o020_600, (5, 1), &[]),
        ("dev/mem", 0o020_600, (1, 1), &[]),
        ("proc", 0o040_755, (0, 0), &[]),
        ("init", 0o100_755, (0, 0), init),
        ("true", 0o100_755, (0, 0), program),
    ];
    let mut archive = Vec::new();
    for (inode, (name, mode, (major, minor), contents)) in (1..).zip(files) {
        let entry = newc::Builder::new(name).ino(inode).mode(mode).nlink(1).rdev_major(major).rdev_minor(minor);
        let bytes = u32::try_from(contents.len()).with_context(|| format!("{name} is too large"))?;
        let mut writer = entry.write(archive, bytes);
        std::io::Write::write_all(&mut writer, contents)?;
        archive = writer.finish()?;
    }
    Ok(newc::trailer(archive)?)
}

/// What the image for a board is called.
pub fn name(board: Board) -> String {
    format!("linux-{board:?}").to_lowercase()
}

/// What tells the kernel where the archive is.
pub fn archive_arguments(archive: &[u8]) -> String {
    format!("rd_start={ARCHIVE:#x} rd_size={:#x}", archive.len())
}

/// The kernel with one more segment.
pub fn image(kernel: &[u8], archive: &[u8]) -> Result<Vec<u8>> {
    const ENTRY_BYTES: usize = 32;
    // Where these fields lie in the header of a 32-bit ELF file.
    const ENTRIES: usize = 0x1c;
    const ENTRY_COUNT: usize = 0x2c;
    let elf = parse(kernel).context("the kernel")?;
    for segment in elf.program_headers.iter().filter(|segment| segment.p_type == PT_LOAD) {
        let end = segment.p_vaddr + segment.p_memsz;
        ensure!(end <= ARCHIVE.into(), "the kernel reaches up to {end:#x}, over the archive of its first files");
    }
    let count = u16::try_from(elf.program_headers.len() + 1).context("the kernel has too many segments")?;
    let old = elf.header.e_phoff as usize;
    let old = kernel.get(old..old + elf.program_headers.len() * ENTRY_BYTES).context("its headers are cut short")?;

    let mut image = kernel.to_vec();
    image.resize(image.len().next_multiple_of(4096), 0);
    let start = u32::try_from(image.len()).context("the kernel is too large")?;
    let bytes = u32::try_from(archive.len()).context("the archive is too large")?;
    image.extend_from_slice(archive);
    image.resize(image.len().next_multiple_of(4), 0);
    let entries = u32::try_from(image.len()).context("the kernel is too large")?;
    image.extend_from_slice(old);
    image.extend([PT_LOAD, start, ARCHIVE, ARCHIVE, bytes, bytes, 6, 4096].map(u32::to_le_bytes).concat());
    image[ENTRIES..ENTRIES + 4].copy_from_slice(&entries.to_le_bytes());
    image[ENTRY_COUNT..ENTRY_COUNT + 2].copy_from_slice(&count.to_le_bytes());
    let elf = parse(&image).context("the image that was built is wrong")?;
    let last = elf.program_headers.last().context("the image that was built has no segment")?;
    ensure!(image.get(last.file_range()) == Some(archive), "the last segment is not the archive");
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::tests::elf;

    #[test]
    fn the_archive_has_what_the_first_process_needs() {
        let archive = archive(b"the first", b"another").unwrap();
        let mut reader = newc::Reader::new(&archive[..]).unwrap();
        let mut found = Vec::new();
        while !reader.entry().is_trailer() {
            let entry = reader.entry();
            found.push((entry.name().to_owned(), entry.mode(), entry.rdev_minor(), entry.file_size()));
            reader = newc::Reader::new(reader.finish().unwrap()).unwrap();
        }
        let expected = [
            ("dev", 0o040_755, 0, 0),
            ("dev/console", 0o020_600, 1, 0),
            ("dev/mem", 0o020_600, 1, 0),
            ("proc", 0o040_755, 0, 0),
            ("init", 0o100_755, 0, 9),
            ("true", 0o100_755, 0, 7),
        ];
        assert_eq!(found, expected.map(|(name, mode, minor, bytes)| (name.to_owned(), mode, minor, bytes)));
    }

    #[test]
    fn the_kernel_is_not_changed() {
        let kernel = elf(&[(0x8004_0000, b"kernel"), (0x8010_0000, b"data")]);
        let image = image(&kernel, b"archive").unwrap();
        let (before, after) = (parse(&kernel).unwrap(), parse(&image).unwrap());
        assert_eq!(after.program_headers.len(), 3);
        assert_eq!(after.program_headers[..2], before.program_headers[..]);
        assert_eq!(after.entry, before.entry);
        let last = &after.program_headers[2];
        assert_eq!((last.p_vaddr, last.p_memsz), (ARCHIVE.into(), 7));
        assert_eq!(archive_arguments(b"archive"), "rd_start=0x82000000 rd_size=0x7");
    }

    #[test]
    fn a_kernel_that_is_none_or_too_large_is_refused() {
        let refusal = |kernel: &[u8]| format!("{:#}", image(kernel, b"archive").unwrap_err());
        assert!(refusal(b"vmlinux").starts_with("the kernel: not a valid ELF file"));
        assert!(refusal(&elf(&[(0x8200_0000, b"too far")])).contains("over the archive"));
    }
}
