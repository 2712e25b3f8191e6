//! Builds boot archives and the ELF files in them, for the tests.

#![allow(dead_code, reason = "each test file uses some of it")]

use std::ops::Deref;

use aegis_abi::boot::{MEMORY_KERNEL, MEMORY_PROGRAM};
use aegis_abi::program::{KERNEL_NOTE_TYPE, NOTE_TYPE, ProgramHeader};
use aegis_loader::memory::{Extent, PROM_END, VECTORS_END};
use aegis_loader::plan::{Inputs, Operation, Plan, Refusal};

/// Where the tests' loader begins.
pub const LOADER_START: u32 = 0x10_0000;
/// Where the archive behind it begins.
pub const ARCHIVE_START: u32 = 0x10_3008;
/// Where the memory of the tests' machine ends.
pub const MEMORY_END: u32 = 0x80_0000;

pub const PT_LOAD: u32 = 1;
pub const PT_NOTE: u32 = 4;
pub const R: u32 = 4;
pub const RW: u32 = 6;
pub const RX: u32 = 5;

/// A segment of an ELF file to be built.
#[derive(Clone, Debug)]
pub struct Segment {
    pub kind: u32,
    pub address: u32,
    pub bytes: Vec<u8>,
    pub memory_bytes: u32,
    pub flags: u32,
}

/// A segment that is loaded.
pub fn load(address: u32, bytes: &[u8], memory_bytes: u32, flags: u32) -> Segment {
    Segment { kind: PT_LOAD, address, bytes: bytes.to_vec(), memory_bytes, flags }
}

/// A segment with one Aegis note.
pub fn note(kind: u32, descriptor: &[u8]) -> Segment {
    let mut bytes = Vec::new();
    for word in [6, descriptor.len() as u32, kind] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(b"Aegis\0\0\0");
    bytes.extend(descriptor);
    Segment { kind: PT_NOTE, address: 0, memory_bytes: bytes.len() as u32, bytes, flags: R }
}

/// A kernel's note.
pub fn kernel_note(version: u32) -> Segment {
    note(KERNEL_NOTE_TYPE, &version.to_le_bytes())
}

/// A program's note: after the version each word is its own index.
pub fn program_note(version: u32) -> Segment {
    let words = std::iter::once(version).chain(1..size_of::<ProgramHeader>() as u32 / 4);
    note(NOTE_TYPE, &words.flat_map(u32::to_le_bytes).collect::<Vec<_>>())
}

/// An ELF file: header, program headers, the segments' bytes, one empty section header.
pub fn elf(entry: u32, segments: &[Segment]) -> Vec<u8> {
    let mut contents = Vec::new();
    let mut headers = Vec::new();
    let base = 52 + 32 * segments.len() as u32;
    for segment in segments {
        contents.resize(contents.len().next_multiple_of(4), 0);
        let offset = base + contents.len() as u32;
        let bytes = segment.bytes.len() as u32;
        let Segment { kind, address, memory_bytes, flags, .. } = *segment;
        headers.extend([kind, offset, address, address, bytes, memory_bytes, flags, 4]);
        contents.extend(&segment.bytes);
    }
    contents.resize(contents.len().next_multiple_of(4), 0);
    let sections = base + contents.len() as u32;
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([2, 0, 8, 0]);
    for word in [1, entry, 52, sections, 0x1001] {
        file.extend(u32::to_le_bytes(word));
    }
    for half in [52, 32, segments.len() as u16, 40, 1, 0] {
        file.extend(half.to_le_bytes());
    }
    file.extend(headers.iter().flat_map(|word| word.to_le_bytes()));
    file.extend(contents);
    file.resize(file.len() + 40, 0);
    file
}

/// A good kernel: vectors, text, data with zeros behind it.
pub fn kernel() -> Vec<u8> {
    let segments = [
        load(0x8000_0000, &[0x11; 0x100], 0x100, RX),
        load(0x8003_0000, &[0x22; 0x234], 0x234, RX),
        load(0x8003_1000, &[0x33; 0x80], 0x1800, RW),
        kernel_note(aegis_abi::VERSION),
    ];
    elf(0x8003_0010, &segments)
}

/// A good program: text, constants in the same page, data with zeros behind it.
pub fn program() -> Vec<u8> {
    let segments = [
        program_note(aegis_abi::VERSION),
        load(0x40_0000, &[0x44; 0x120], 0x120, RX),
        load(0x40_0400, &[0x55; 0x20], 0x20, R),
        load(0x40_1004, &[0x66; 0x1c], 0x1100, RW),
    ];
    elf(0x40_0008, &segments)
}

/// The archive of `files`, written by the `cpio` crate.
pub fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for &(name, contents) in files {
        let entry = cpio::newc::Builder::new(name).mode(0o100_644);
        let mut writer = entry.write(&mut bytes, contents.len() as u32);
        std::io::Write::write_all(&mut writer, contents).unwrap();
        writer.finish().unwrap();
    }
    cpio::newc::trailer(&mut bytes).unwrap();
    bytes
}

/// An archive with a kernel and the programs `one` and `two`.
pub fn good_archive() -> Vec<u8> {
    archive(&[("aegis", &kernel()), ("bin/one", &program()), ("bin/two", &program())])
}

/// Bytes that begin on a word boundary, as an archive does in memory.
pub struct Aligned {
    room: Vec<u8>,
    start: usize,
}

impl Aligned {
    pub fn new(bytes: &[u8]) -> Self {
        let mut room = vec![0; bytes.len() + 4];
        let start = room.as_ptr().align_offset(4);
        room[start..][..bytes.len()].copy_from_slice(bytes);
        room.truncate(start + bytes.len());
        Self { room, start }
    }
}

impl Deref for Aligned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.room[self.start..]
    }
}

/// The memory of the tests' machine.
pub const MEMORY: [Extent; 1] = [Extent { start: 0, end: MEMORY_END }];

/// What the loader is given on the tests' machine.
pub fn inputs<'a>(archive: &'a [u8], arguments: &'a str) -> Inputs<'a> {
    let loader = Extent { start: LOADER_START, end: ARCHIVE_START + archive.len() as u32 };
    Inputs { machine: 1, prom: 0xbfc0_4000, memory: &MEMORY, loader, archive, archive_start: ARCHIVE_START, arguments }
}

/// The plan for an archive.
pub fn plan<'a>(inputs: &Inputs<'a>) -> Result<Box<Plan>, Refusal<'a>> {
    let mut plan = Box::new(Plan::empty());
    plan.make(inputs).map(|()| plan)
}

/// Panics unless a plan is one that can be carried out: whatever was accepted must satisfy this.
pub fn check(plan: &Plan, inputs: &Inputs<'_>) {
    let info = &plan.info;
    let ranges = &info.memory[..info.memory_count as usize];

    // The map covers all memory, each byte once, and the PROM and the loader are where they are.
    let mut map: Vec<Extent> = Vec::new();
    for range in ranges {
        assert!(range.bytes > 0 && range.bytes.is_multiple_of(4096) && range.start.is_multiple_of(4096), "{range:x?}");
        let end = range.start + range.bytes;
        match map.last_mut() {
            Some(last) if last.end == range.start => last.end = end,
            last => {
                assert!(last.is_none_or(|last| last.end < range.start), "{ranges:x?}");
                map.push(Extent { start: range.start, end });
            }
        }
    }
    let mut memory: Vec<Extent> = Vec::new();
    for &extent in inputs.memory {
        match memory.last_mut() {
            Some(last) if last.end == extent.start => last.end = extent.end,
            _ => memory.push(extent),
        }
    }
    assert_eq!(map, memory);
    let kind_at = |at: u32| {
        ranges.iter().find(|range| range.start <= at && at - range.start < range.bytes).map(|range| range.kind)
    };
    assert_eq!(kind_at(0), Some(1));
    assert_eq!(kind_at(PROM_END - 1), Some(1));
    for page in (inputs.loader.start..inputs.loader.end).step_by(4096) {
        assert_eq!(kind_at(page), Some(3));
    }

    // What is written lies in the archive, is written once, and only to the vectors, the kernel's pages and the
    // programs' pages.
    let mut written: Vec<Extent> = Vec::new();
    for operation in &plan.operations {
        let (start, bytes) = match *operation {
            Operation::Copy { from, to, bytes } => {
                assert!(inputs.archive.len() as u64 >= u64::from(from) + u64::from(bytes), "{operation:x?}");
                (to, bytes)
            }
            Operation::Zero { start, bytes } => (start, bytes),
        };
        assert!(bytes > 0);
        written.push(Extent { start, end: start.checked_add(bytes).unwrap() });
    }
    written.sort_by_key(|extent| extent.start);
    assert!(written.windows(2).all(|pair| pair[0].end <= pair[1].start), "{written:x?}");

    // Of the pages of kernel and programs every byte is written.
    written.retain(|extent| extent.end > VECTORS_END);
    let mut whole: Vec<Extent> = Vec::new();
    for extent in written {
        match whole.last_mut() {
            Some(last) if last.end == extent.start => last.end = extent.end,
            _ => whole.push(extent),
        }
    }
    let mut owned: Vec<Extent> = Vec::new();
    for range in ranges.iter().filter(|range| matches!(range.kind, MEMORY_KERNEL | MEMORY_PROGRAM)) {
        let end = range.start + range.bytes;
        match owned.last_mut() {
            Some(last) if last.end == range.start => last.end = end,
            _ => owned.push(Extent { start: range.start, end }),
        }
    }
    assert_eq!(whole, owned);

    // The kernel is entered where something of it was copied to.
    let entry = plan.entry - 0x8000_0000;
    let copied = |at: u32| {
        plan.operations
            .iter()
            .any(|operation| matches!(*operation, Operation::Copy { to, bytes, .. } if to <= at && at - to < bytes))
    };
    assert!(plan.entry.is_multiple_of(4) && copied(entry));
    assert!(kind_at(entry) == Some(MEMORY_KERNEL) || entry < VECTORS_END);

    // Programs: pages of their own, in user space, with the entry in one of them.
    let mut pages = std::collections::HashSet::new();
    for program in &info.programs[..info.program_count as usize] {
        assert!(program.name[0] != 0);
        let segments = &program.segments[..program.segment_count as usize];
        for segment in segments {
            assert!(segment.bytes > 0 && segment.writable <= 1);
            assert!(segment.virtual_start >= 0x1_0000 && segment.virtual_start + segment.bytes <= 0x8000_0000);
            for offset in (0..segment.bytes).step_by(4096) {
                let page = segment.physical_start + offset;
                assert!(page.is_multiple_of(4096) && page >= inputs.loader.end);
                assert_eq!(kind_at(page), Some(MEMORY_PROGRAM));
                assert!(pages.insert(page));
            }
        }
        assert!(segments.windows(2).all(|pair| pair[0].virtual_start + pair[0].bytes <= pair[1].virtual_start));
        let within = |segment: &&aegis_abi::boot::Segment| {
            segment.virtual_start <= program.entry && program.entry - segment.virtual_start < segment.bytes
        };
        let segment = segments.iter().find(within).expect("entry in a segment");
        assert!(copied(program.entry - segment.virtual_start + segment.physical_start));
    }
    let of_programs =
        ranges.iter().filter(|range| range.kind == MEMORY_PROGRAM).map(|range| range.bytes / 4096).sum::<u32>();
    assert_eq!(pages.len() as u32, of_programs);

    assert!(info.archive_start >= inputs.loader.start);
    assert!(u64::from(info.archive_start) + u64::from(info.archive_bytes) <= u64::from(inputs.loader.end));
}
