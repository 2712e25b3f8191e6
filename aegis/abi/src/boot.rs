//! What the loader hands to the kernel.
//!
//! The image that a machine boots is one ELF file: the loader, with the *boot archive* as its last segment. The segment
//! begins with an [`ArchiveHeader`]; a cpio archive in the `newc` format follows. In it `aegis` is the kernel and
//! `bin/NAME` a program, each an ELF file; whoever makes the archive fills these up with zero bytes so that each but the
//! first begins on a page boundary. Every program can read the archive, which stays where the loader found it.
//!
//! The boot arguments are words separated by spaces, each the name of a program to start, in the order of their time
//! slices. A comma may follow the name, and what follows the comma are the program's arguments, as in
//! `counter,limit=8`. With no words every program of the archive is started.
//!
//! The kernel is entered at its ELF entry point in kernel mode, interrupts off, caches coherent with memory, `$a0`
//! holding the address (kseg0) of a [`BootInfo`] and `$a1` [`MAGIC`]. No other register is defined.

use crate::program::ProgramHeader;

/// Tells a boot-info block: `AeBI`.
pub const MAGIC: u32 = 0x4942_6541;
/// Tells a boot archive: `AeAR`.
pub const ARCHIVE_MAGIC: u32 = 0x5241_6541;

/// The kernel's name in the boot archive.
pub const KERNEL_NAME: &str = "aegis";
/// Begins the name of each program in the boot archive.
pub const PROGRAM_PREFIX: &str = "bin/";

/// Bytes for a program's name.
pub const NAME_BYTES: usize = 32;
/// Bytes for a program's arguments.
pub const ARGUMENT_BYTES: usize = 128;
/// Bytes for the boot arguments.
pub const COMMAND_LINE_BYTES: usize = 256;
/// The most ranges of memory.
pub const MEMORY_RANGES: usize = 16;
/// The most files of a boot archive.
pub const ARCHIVE_FILES: usize = 128;
/// The most programs that are started at boot.
pub const PROGRAMS: usize = 16;
/// The most segments of a program that are loaded.
pub const SEGMENTS: usize = 6;

/// Stands before the archive in its segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct ArchiveHeader {
    /// [`ARCHIVE_MAGIC`].
    pub magic: u32,
    /// Bytes of the archive that follows, 0 if there is none.
    pub bytes: u32,
}

/// The block that the loader fills in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct BootInfo {
    /// [`MAGIC`].
    pub magic: u32,
    /// [`VERSION`](crate::VERSION) of the loader.
    pub version: u32,
    /// Bytes of this block.
    pub bytes: u32,
    /// Which machine this is: one of the `MACHINE_` numbers.
    pub machine: u32,
    /// Physical address of the PROM's call vector, as a kernel address; 0 if the machine has none.
    pub prom: u32,
    /// How many of `memory` are used.
    pub memory_count: u32,
    /// All of the machine's memory, in ascending order without overlaps.
    pub memory: [MemoryRange; MEMORY_RANGES],
    /// Physical address of the boot archive, behind its header.
    pub archive_start: u32,
    /// Its bytes.
    pub archive_bytes: u32,
    /// How many of `programs` are used.
    pub program_count: u32,
    /// The programs to start, placed in memory, in the order of their time slices.
    pub programs: [Program; PROGRAMS],
    /// The boot arguments; zero bytes fill it up.
    pub command_line: [u8; COMMAND_LINE_BYTES],
}

/// A DECstation 5000/200 (KN02).
pub const MACHINE_KN02: u32 = 1;
/// A Malta board with a MIPS32 processor.
pub const MACHINE_MALTA: u32 = 2;

/// A range of physical memory and what is in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct MemoryRange {
    /// Physical address, on a page boundary.
    pub start: u32,
    /// Bytes, whole pages.
    pub bytes: u32,
    /// What is in it: one of the `MEMORY_` numbers.
    pub kind: u32,
}

/// Nothing yet.
pub const MEMORY_FREE: u32 = 0;
/// The exception vectors and what the PROM keeps for itself.
pub const MEMORY_PROM: u32 = 1;
/// The kernel: text, data and stack.
pub const MEMORY_KERNEL: u32 = 2;
/// The loader, the boot archive and this block.
pub const MEMORY_LOADER: u32 = 3;
/// A program.
pub const MEMORY_PROGRAM: u32 = 4;

/// A program to start, placed in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Program {
    /// Its name, without [`PROGRAM_PREFIX`]; zero bytes fill it up.
    pub name: [u8; NAME_BYTES],
    /// Its arguments; zero bytes fill it up.
    pub arguments: [u8; ARGUMENT_BYTES],
    /// Where it begins.
    pub entry: u32,
    /// What it told of itself.
    pub header: ProgramHeader,
    /// How many of `segments` are used.
    pub segment_count: u32,
    /// Where its parts are.
    pub segments: [Segment; SEGMENTS],
}

/// A contiguous part of a program, which becomes one guaranteed mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Segment {
    /// Virtual address, on a page boundary.
    pub virtual_start: u32,
    /// Physical address, on a page boundary.
    pub physical_start: u32,
    /// Bytes, whole pages.
    pub bytes: u32,
    /// 1 if the program may write to it, else 0.
    pub writable: u32,
}

const _: () = assert!(size_of::<Segment>() == 16);
const _: () = assert!(size_of::<Program>() == 32 + 128 + 4 + 104 + 4 + 16 * SEGMENTS);

impl BootInfo {
    /// A block with nothing in it.
    pub const EMPTY: Self = Self {
        magic: MAGIC,
        version: crate::VERSION,
        bytes: size_of::<Self>() as u32,
        machine: 0,
        prom: 0,
        memory_count: 0,
        memory: [MemoryRange { start: 0, bytes: 0, kind: 0 }; MEMORY_RANGES],
        archive_start: 0,
        archive_bytes: 0,
        program_count: 0,
        programs: [Program::EMPTY; PROGRAMS],
        command_line: [0; COMMAND_LINE_BYTES],
    };
}

impl Program {
    /// A program with nothing in it.
    pub const EMPTY: Self = Self {
        name: [0; NAME_BYTES],
        arguments: [0; ARGUMENT_BYTES],
        entry: 0,
        header: ProgramHeader {
            abi_version: 0,
            start_of_slice: 0,
            end_of_slice: 0,
            handlers: [0; 16],
            protected_entries: crate::program::ProtectedEntries { synchronous: 0, asynchronous: 0 },
            return_sequences: crate::program::Range { start: 0, end: 0 },
            resume: crate::program::Range { start: 0, end: 0 },
            revocation: 0,
        },
        segment_count: 0,
        segments: [Segment { virtual_start: 0, physical_start: 0, bytes: 0, writable: 0 }; SEGMENTS],
    };
}
