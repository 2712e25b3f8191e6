//! Decides where everything goes.
//!
//! The kernel goes where it was linked, in kseg0: its exception vectors to the very beginning of memory, the rest
//! between what the PROM keeps and this loader. Programs are mapped by the kernel, so their pages may be anywhere:
//! they follow the boot archive, in the order of their time slices, the pieces of each contiguous.
//!
//! A plan says of every byte of every page that it hands to the kernel or a program what is written to it, so nothing
//! that was in memory before can be seen by a program.

use core::fmt;

use aegis_abi::VERSION;
use aegis_abi::boot::{
    ARCHIVE_MAGIC, ArchiveHeader, BootInfo, KERNEL_NAME, MEMORY_KERNEL, MEMORY_LOADER, MEMORY_PROGRAM, MEMORY_RANGES,
    PROGRAMS, SEGMENTS, Segment,
};
use aegis_abi::program::{KERNEL_NOTE_TYPE, NOTE_TYPE, ProgramHeader, ProtectedEntries, Range};
use aegis_abi::vm::{HOT_PAGES, PAGE_BYTES, PROGRAM_START, USER_END};
use heapless::Vec;

use crate::archive::{self, Archive, File};
use crate::arguments;
use crate::elf::{self, Elf, LOADS, Load};
use crate::memory::{Extent, KSEG0, KSEG0_END, Map, PROM_END, Taken, VECTORS_END};

/// The most operations of a plan: each loaded segment of each file is copied and has zeros before and behind it.
pub const OPERATIONS: usize = (1 + PROGRAMS) * 3 * LOADS;

/// What a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Which machine this is: one of the `MACHINE_` numbers.
    pub machine: u32,
    /// The address of the PROM's call vector.
    pub prom: u32,
    /// The machine's memory, in ascending order.
    pub memory: &'a [Extent],
    /// Where the loader is, the boot archive included.
    pub loader: Extent,
    /// The boot archive.
    pub archive: &'a [u8],
    /// The physical address of the boot archive.
    pub archive_start: u32,
    /// The boot arguments.
    pub arguments: &'a str,
}

/// One step of carrying a plan out. Addresses are physical.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Copies bytes of the archive to memory.
    Copy {
        /// The first byte, counted from the beginning of the archive.
        from: u32,
        /// The address to write them to.
        to: u32,
        /// How many.
        bytes: u32,
    },
    /// Clears memory.
    Zero {
        /// The first address to clear.
        start: u32,
        /// How many bytes.
        bytes: u32,
    },
}

/// Where everything goes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the kernel is entered.
    pub entry: u32,
    /// What the kernel is told.
    pub info: BootInfo,
    /// What is written, in order of files and of addresses within each. No two operations write the same byte.
    pub operations: Vec<Operation, OPERATIONS>,
}

/// Why there is no plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal<'a> {
    /// The loader has no archive behind it.
    NoArchive,
    /// What stands behind the loader is not a boot archive.
    NotAnArchive(u32),
    /// The archive goes beyond the end of memory.
    ArchiveBeyondMemory {
        /// Where the archive ends.
        end: u64,
        /// Where memory ends.
        memory_end: u32,
    },
    /// The loader goes beyond the end of memory.
    LoaderBeyondMemory {
        /// Where the loader ends.
        end: u32,
    },
    /// The memory is in pieces that this loader can't use, or the loader is not where it says.
    Memory,
    /// Something is wrong with the archive.
    Archive(archive::Error<'a>),
    /// The archive has no kernel.
    NoKernel,
    /// Something is wrong with the boot arguments.
    Arguments(arguments::Error<'a>),
    /// The archive lacks a program that was asked for.
    NoProgram {
        /// The program asked for.
        name: &'a str,
        /// The archive, which tells what there is.
        archive: &'a [u8],
    },
    /// More programs were asked for than [`PROGRAMS`].
    TooManyPrograms(usize),
    /// Something is wrong with a file.
    File(&'a str, Problem),
}

/// What is wrong with a file of the archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem {
    /// It is not a good ELF file.
    Elf(elf::Error),
    /// It has no Aegis note of the right type.
    NoNote,
    /// It was built for another version of the interface.
    Version(u32),
    /// Its note is of the wrong size.
    NoteBytes(usize),
    /// A segment is not where segments of such a file may be.
    OutOfRange {
        /// Its first address.
        address: u32,
        /// The first address behind it.
        end: u32,
        /// Where it may be.
        allowed: &'static str,
    },
    /// A segment goes where something else is: one of the `MEMORY_` numbers.
    Occupied(u32, u32),
    /// Two segments are in the same page, and only one of them may be written to.
    MixedPage(u32),
    /// It needs more than [`SEGMENTS`] mappings.
    TooManySegments,
    /// There is not enough memory for it.
    NoMemory(u32),
    /// Memory would fall into more pieces than the kernel can be told of.
    Pieces,
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NoArchive => write!(f, "no boot archive stands behind the loader"),
            Refusal::NotAnArchive(magic) => {
                write!(f, "what stands behind the loader is not a boot archive (it begins with {magic:#010x})")
            }
            Refusal::ArchiveBeyondMemory { end, memory_end } => {
                write!(f, "too little memory: the boot archive ends at {end:#010x}, memory at {memory_end:#010x}")
            }
            Refusal::LoaderBeyondMemory { end } => {
                write!(f, "too little memory: the loader ends at {end:#010x}, and there is no memory to that address")
            }
            Refusal::Memory => write!(f, "the machine's memory does not begin at 0 or is in too many pieces"),
            Refusal::Archive(error) => error.fmt(f),
            Refusal::NoKernel => write!(f, "no kernel: the boot archive has no file \"{KERNEL_NAME}\""),
            Refusal::Arguments(error) => error.fmt(f),
            Refusal::NoProgram { name, archive } => {
                write!(f, "no program \"{name}\" in the boot archive, which has")?;
                let mut separator = " ";
                // It was read before, so it can be read again.
                let Ok(archive) = Archive::read(archive) else { return Ok(()) };
                for (name, _) in archive.programs() {
                    write!(f, "{separator}{name}")?;
                    separator = ",";
                }
                if separator == " " { write!(f, " no programs") } else { Ok(()) }
            }
            Refusal::TooManyPrograms(count) => {
                write!(f, "too many programs: {count}, and at most {PROGRAMS} can be started")
            }
            Refusal::File(name, problem) => write!(f, "{name}: {problem}"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Problem::Elf(error) => error.fmt(f),
            Problem::NoNote => write!(f, "has no Aegis note, so it was not built for this system"),
            Problem::Version(version) => {
                write!(f, "built for version {version} of the interface, and this system has version {VERSION}")
            }
            Problem::NoteBytes(bytes) => write!(f, "has an Aegis note of the wrong size ({bytes} bytes)"),
            Problem::OutOfRange { address, end, allowed } => {
                write!(f, "the segment from {address:#010x} to {end:#010x} is out of range: it must be in {allowed}")
            }
            Problem::Occupied(address, kind) => {
                let what = match kind {
                    MEMORY_LOADER => "the loader",
                    MEMORY_KERNEL => "another segment",
                    _ => "something else",
                };
                write!(f, "the segment at {address:#010x} overlaps {what}")
            }
            Problem::MixedPage(page) => {
                write!(f, "the page at {page:#010x} belongs to two segments, of which only one is writable")
            }
            Problem::TooManySegments => write!(f, "has more than {SEGMENTS} segments"),
            Problem::NoMemory(bytes) => {
                write!(f, "too little memory: no {} KB are free in one piece", bytes.div_ceil(1024))
            }
            Problem::Pieces => write!(f, "memory falls into more than {MEMORY_RANGES} pieces"),
        }
    }
}

/// How many bytes the archive behind `header` has, which itself stands at the physical address `start`.
///
/// # Errors
/// [`Refusal::NoArchive`], [`Refusal::NotAnArchive`]; [`Refusal::ArchiveBeyondMemory`] if they are not all in the
/// memory that holds the header.
pub fn archive_bytes(header: ArchiveHeader, start: u32, memory: &[Extent]) -> Result<u32, Refusal<'static>> {
    let Some(extent) = memory.iter().find(|extent| extent.start <= start && start < extent.end) else {
        return Err(Refusal::LoaderBeyondMemory { end: start });
    };
    if header.magic != ARCHIVE_MAGIC {
        return Err(Refusal::NotAnArchive(header.magic));
    }
    if header.bytes == 0 {
        return Err(Refusal::NoArchive);
    }
    let end = u64::from(start) + size_of::<ArchiveHeader>() as u64 + u64::from(header.bytes);
    if end > u64::from(extent.end) {
        return Err(Refusal::ArchiveBeyondMemory { end, memory_end: extent.end });
    }
    Ok(header.bytes)
}

impl Plan {
    /// A plan in which nothing is done yet.
    #[must_use]
    pub const fn empty() -> Self {
        Self { entry: 0, info: BootInfo::EMPTY, operations: Vec::new() }
    }

    /// Makes a plan in place of an empty one. It is large, and there is not much of a stack where it is needed.
    ///
    /// # Errors
    /// See [`Refusal`]. The plan is then unfinished: no use is to be made of it.
    pub fn make<'a>(&mut self, inputs: &Inputs<'a>) -> Result<(), Refusal<'a>> {
        let archive = Archive::read(inputs.archive).map_err(Refusal::Archive)?;
        let line = arguments::given(inputs.arguments).map_err(Refusal::Arguments)?;
        let (map, loader_end) = map_with_loader(inputs)?;
        let mut planner = Planner { map, loader_end, plan: self };

        let kernel = archive.kernel().ok_or(Refusal::NoKernel)?;
        planner.place_kernel(kernel).map_err(|problem| Refusal::File(kernel.name, problem))?;
        if line.is_empty() {
            check_count(archive.programs().count())?;
            for (name, file) in archive.programs() {
                planner.place_program(name, "", file).map_err(|problem| Refusal::File(file.name, problem))?;
            }
        } else {
            check_count(arguments::words(line).count())?;
            for word in arguments::words(line) {
                let word = word.map_err(Refusal::Arguments)?;
                let found = archive.programs().find(|(name, _)| *name == word.name);
                let (name, file) = found.ok_or(Refusal::NoProgram { name: word.name, archive: inputs.archive })?;
                planner
                    .place_program(name, word.arguments, file)
                    .map_err(|problem| Refusal::File(file.name, problem))?;
            }
        }

        let map = planner.map;
        self.info.machine = inputs.machine;
        self.info.prom = inputs.prom;
        self.info.archive_start = inputs.archive_start;
        self.info.archive_bytes = inputs.archive.len() as u32;
        for (range, of_map) in self.info.memory.iter_mut().zip(map.ranges()) {
            *range = *of_map;
        }
        self.info.memory_count = map.ranges().len() as u32;
        fill(&mut self.info.command_line, line);
        Ok(())
    }
}

/// The map of a memory that holds nothing but PROM and loader, and the first page behind the loader.
fn map_with_loader(inputs: &Inputs<'_>) -> Result<(Map, u32), Refusal<'static>> {
    let Extent { start, end } = inputs.loader;
    let archive_end = u64::from(inputs.archive_start) + inputs.archive.len() as u64;
    if inputs.archive_start < start || archive_end > u64::from(end) {
        return Err(Refusal::Memory);
    }
    let mut map = Map::new(inputs.memory).map_err(|_| Refusal::Memory)?;
    map.claim(inputs.loader, MEMORY_LOADER).map_err(|taken| match taken {
        Taken::NoMemory => Refusal::LoaderBeyondMemory { end },
        Taken::By(_) | Taken::Full => Refusal::Memory,
    })?;
    Ok((map, end.next_multiple_of(PAGE_BYTES)))
}

/// Where programs are placed, if there is memory: behind the loader, and so that the first of them begins seven pages into
/// the instruction cache. The kernel's vectors, gates, what they go on to in assembly, and what all interrupts, changes of slices and messages
/// pass through are in those seven, and a program that makes calls would have to fetch both from memory each time. So it does not matter for this how large the loader and
/// its archive are.
#[must_use]
pub const fn programs_start(loader_end: u32) -> u32 {
    const CACHE_BYTES: u32 = 0x1_0000;
    const HOT_END: u32 = HOT_PAGES * PAGE_BYTES;
    loader_end.saturating_sub(HOT_END).next_multiple_of(CACHE_BYTES) + HOT_END
}

/// Refuses more programs than can be started.
fn check_count(programs: usize) -> Result<(), Refusal<'static>> {
    if programs > PROGRAMS { Err(Refusal::TooManyPrograms(programs)) } else { Ok(()) }
}

/// A plan in the making.
struct Planner<'p> {
    map: Map,
    /// Programs are placed behind this.
    loader_end: u32,
    plan: &'p mut Plan,
}

impl Planner<'_> {
    /// Places the kernel.
    fn place_kernel(&mut self, file: File<'_>) -> Result<(), Problem> {
        let elf = Elf::read(file.bytes).map_err(Problem::Elf)?;
        let note = elf.note(KERNEL_NOTE_TYPE).map_err(Problem::Elf)?.ok_or(Problem::NoNote)?;
        check_version(note)?;
        if note.len() != 4 {
            return Err(Problem::NoteBytes(note.len()));
        }

        // The vectors share their page with the PROM, so it is only their bytes that are written.
        let vectors = elf.loads.iter().take_while(|load| load.address < KSEG0 + PROM_END).count();
        let (vectors, rest) = elf.loads.split_at(vectors);
        for load in vectors {
            if load.address < KSEG0 || load.end() > KSEG0 + VECTORS_END {
                return Err(out_of_range(load, "0x80000000-0x80000200 (the vectors) or 0x80030000-0xa0000000"));
            }
        }
        if let Some(load) = rest.iter().find(|load| load.end() > KSEG0_END) {
            return Err(out_of_range(load, "0x80000000-0x80000200 (the vectors) or 0x80030000-0xa0000000"));
        }
        for load in vectors {
            self.write(file, core::slice::from_ref(load), load.address, load.end(), load.address - KSEG0);
        }

        for group in groups(rest, |_| true) {
            let Some((start, end)) = pages(group) else { continue };
            let physical = Extent { start: start - KSEG0, end: end - KSEG0 };
            self.map.claim(physical, MEMORY_KERNEL).map_err(|taken| match taken {
                Taken::By(kind) => Problem::Occupied(start, kind),
                Taken::NoMemory => Problem::NoMemory(end - start),
                Taken::Full => Problem::Pieces,
            })?;
            self.write(file, group, start, end, physical.start);
        }
        self.plan.entry = elf.entry;
        Ok(())
    }

    /// Places a program and enters it in the boot info.
    fn place_program(&mut self, name: &str, arguments: &str, file: File<'_>) -> Result<(), Problem> {
        let elf = Elf::read(file.bytes).map_err(Problem::Elf)?;
        let note = elf.note(NOTE_TYPE).map_err(Problem::Elf)?.ok_or(Problem::NoNote)?;
        check_version(note)?;
        let header = program_header(note).ok_or(Problem::NoteBytes(note.len()))?;

        if let Some(load) = elf.loads.iter().find(|load| load.address < PROGRAM_START || load.end() > USER_END) {
            return Err(out_of_range(load, "0x00010000-0x80000000"));
        }
        for pair in elf.loads.windows(2) {
            if let [first, second] = pair
                && first.writable != second.writable
                && page_of(first.end() - 1) == page_of(second.address)
            {
                return Err(Problem::MixedPage(page_of(second.address)));
            }
        }
        let mut segments = Vec::<Segment, SEGMENTS>::new();
        for group in groups(&elf.loads, |pair| pair[0].writable == pair[1].writable) {
            let Some((start, end)) = pages(group) else { continue };
            let bytes = end - start;
            let mut behind = |from| self.map.allocate(bytes, from, MEMORY_PROGRAM);
            let physical_start =
                behind(programs_start(self.loader_end)).or_else(|_| behind(self.loader_end)).map_err(|taken| {
                    match taken {
                        Taken::Full => Problem::Pieces,
                        Taken::NoMemory | Taken::By(_) => Problem::NoMemory(bytes),
                    }
                })?;
            let writable = group.iter().any(|load| load.writable).into();
            let segment = Segment { virtual_start: start, physical_start, bytes, writable };
            segments.push(segment).map_err(|_| Problem::TooManySegments)?;
            self.write(file, group, start, end, physical_start);
        }

        // That there are no more than there is room for was checked before the first was placed.
        let info = &mut self.plan.info;
        if let Some(program) = info.programs.get_mut(info.program_count as usize) {
            fill(&mut program.name, name);
            fill(&mut program.arguments, arguments);
            program.entry = elf.entry;
            program.header = header;
            program.segment_count = segments.len() as u32;
            for (slot, segment) in program.segments.iter_mut().zip(segments) {
                *slot = segment;
            }
            info.program_count += 1;
        }
        Ok(())
    }

    /// Writes `loads` to memory at `physical`, which stands for the addresses from `start` to `end`, and zeros where
    /// they have nothing.
    fn write(&mut self, file: File<'_>, loads: &[Load], start: u32, end: u32, physical: u32) {
        let mut at = start;
        for load in loads {
            self.operate(Operation::Zero { start: physical + (at - start), bytes: load.address - at });
            let to = physical + (load.address - start);
            self.operate(Operation::Copy { from: file.offset + load.offset, to, bytes: load.file_bytes });
            at = load.address + load.file_bytes;
        }
        self.operate(Operation::Zero { start: physical + (at - start), bytes: end - at });
    }

    /// Adds an operation, if there is anything to do.
    fn operate(&mut self, operation: Operation) {
        if let Operation::Copy { bytes: 0, .. } | Operation::Zero { bytes: 0, .. } = operation {
            return;
        }
        // There is room for as many as the limits on files and segments allow.
        let added = self.plan.operations.push(operation);
        debug_assert!(added.is_ok());
    }
}

/// Splits segments in order of address where there are whole pages between two, or where `together` is false of the
/// two.
fn groups(loads: &[Load], together: impl Fn(&[Load; 2]) -> bool) -> impl Iterator<Item = &[Load]> {
    loads.chunk_by(move |first, second| {
        first.end().next_multiple_of(PAGE_BYTES) >= page_of(second.address) && together(&[*first, *second])
    })
}

/// The pages that segments in order of address take.
fn pages(loads: &[Load]) -> Option<(u32, u32)> {
    Some((page_of(loads.first()?.address), loads.last()?.end().next_multiple_of(PAGE_BYTES)))
}

/// The beginning of the page that `address` is in.
fn page_of(address: u32) -> u32 {
    address & !(PAGE_BYTES - 1)
}

/// The refusal of a segment that is not in `allowed`.
fn out_of_range(load: &Load, allowed: &'static str) -> Problem {
    Problem::OutOfRange { address: load.address, end: load.end(), allowed }
}

/// Refuses a file whose note, which begins with the version of the interface, is for another.
fn check_version(note: &[u8]) -> Result<(), Problem> {
    let version = note.first_chunk().map(|bytes| u32::from_le_bytes(*bytes)).ok_or(Problem::NoteBytes(note.len()))?;
    if version == VERSION { Ok(()) } else { Err(Problem::Version(version)) }
}

/// The program header that a note holds; `None` if it has another size.
fn program_header(note: &[u8]) -> Option<ProgramHeader> {
    if note.len() != size_of::<ProgramHeader>() {
        return None;
    }
    let (words, _) = note.as_chunks::<4>();
    let mut words = words.iter().map(|word| u32::from_le_bytes(*word));
    // The fields in their order; struct expressions are evaluated as they are written.
    let mut next = || words.next();
    Some(ProgramHeader {
        abi_version: next()?,
        start_of_slice: next()?,
        end_of_slice: next()?,
        handlers: {
            let mut handlers = [0; 16];
            for handler in &mut handlers {
                *handler = next()?;
            }
            handlers
        },
        protected_entries: ProtectedEntries { synchronous: next()?, asynchronous: next()? },
        return_sequences: Range { start: next()?, end: next()? },
        resume: Range { start: next()?, end: next()? },
        revocation: next()?,
    })
}

/// Puts `text`, which was checked to fit, into a field of zero bytes.
fn fill(field: &mut [u8], text: &str) {
    for (byte, &of_text) in field.iter_mut().zip(text.as_bytes()) {
        *byte = of_text;
    }
}
