//! Fixed addresses of the kernel, and its record of an environment.
//!
//! Two pages stand side by side for every environment: its save page, which the program sees too, and behind it the
//! [`Record`], which only the kernel sees. The fixed distance lets one base register reach both, which is worth an instruction or two on every
//! hot path. The kernel has such a pair of its own: while it runs Rust, that pair is current, so that a fault in the
//! kernel can't be taken for one of the program.

use aegis_abi::boot::NAME_BYTES;
use aegis_abi::env::DirectoryEntry;
use aegis_abi::exception::{CODES, SavePage};
use aegis_abi::frame::{self, Frame as FrameEntry};
use aegis_abi::program::{ProtectedEntries, Range};
use aegis_abi::public::Public;
use aegis_core::frames::Verifier;
use aegis_core::mappings::Mappings;
use core::mem::offset_of;

/// Upper half of the address of the kernel's own pages: `lui` alone reaches them. The stack grows down from there.
pub const KERNEL_PAGES_HIGH: u32 = 0x8005;
/// Address of the kernel's own pages.
pub const KERNEL_PAGES: u32 = KERNEL_PAGES_HIGH << 16;
/// Upper half of the address of the gates; their offset in that half is 0.
pub const GATES_HIGH: u32 = 0x8003;
/// Address of the page that every program can read.
pub const PUBLIC: u32 = KERNEL_PAGES + 0x2000;
/// Address of the directory: one page. From the kernel's own pages an offset of 16 bits reaches it.
pub const DIRECTORY: u32 = KERNEL_PAGES + 0x3000;
/// Upper half of the address of the table of frames; their offset in that half is 0.
pub const FRAMES_HIGH: u32 = 0x8006;
/// Upper half of the address of the verifiers of capabilities, one for each frame; likewise.
pub const VERIFIERS_HIGH: u32 = 0x8008;
/// Address of the frames' nonces.
pub const NONCES: u32 = 0x800c_0400;
/// Address of the software TLB's tags. Its EntryLo words follow [`STLB_DISTANCE`] bytes behind.
pub const STLB: u32 = KERNEL_PAGES + 0x8000;
/// Bytes from the tag of an entry to its EntryLo word.
pub const STLB_DISTANCE: u32 = 0x4000;
/// The bits of Context (VPN << 2) that choose an entry: the software TLB has 4096.
pub const STLB_INDEX_MASK: u32 = 0x3ffc;

/// The bits of a context's hash into the software TLB. The low bits of a page's index are left alone, so that the entries of 64
/// pages in a row, from a multiple of 64 on, lie in a row.
pub const STLB_HASH_MASK: u32 = 0x3f00;

/// Bytes from a save page to its record.
pub const SAVE_DISTANCE: u32 = 0x1000;

/// Cause.IP3, the clock's interrupt on a DECstation. The vector looks at it together with the exception's code; so it is also
/// how far behind what the code alone selects lies what is selected while that interrupt is pending.
pub const PENDING: u32 = 1 << 11;
/// The bits of Cause that select: the exception's code, scaled by 4, and [`PENDING`].
#[cfg(not(feature = "malta"))]
pub const SELECTS: u32 = 0x7c | PENDING;

/// Where the kernel's stack begins, from the kernel's own record: below the slots of its own save page, to which the vector
/// writes before it knows that it is the kernel that has failed.
pub const STACK_TOP: i32 = -0x100;

/// What the kernel knows of an environment: a page.
///
/// Its four contexts, as the paper's section 5.1.2 has them: for exceptions the handlers (and the save page); for interrupts
/// the entries at the start and the end of a slice; the protected entries; for addressing the guaranteed mappings,
/// the context id, Status, and the hash into the software TLB.
#[repr(C, align(4096))]
pub struct Record {
    /// Where each exception goes, by code: to the program, or, where bit 31 is set, to assembly of the kernel.
    pub handlers: [u32; CODES],
    /// Its name.
    pub id: u32,
    /// Status to enter it with: user mode and interrupts on after `rfe`.
    pub status: u32,
    /// EntryHi to enter it with: its context id (the R3000's process identifier, PID).
    pub entry_hi: u32,
    /// The software TLB's address, exclusive-or'ed with this environment's hash.
    pub stlb: u32,
    /// Where it is entered at its next slice: at first the entry point, ever after the start-of-slice entry. Before the
    /// first slice the directory does not let it be yielded to.
    pub next_entry: u32,
    /// From its header.
    pub protected_entries: ProtectedEntries,
    /// Two registers that a primitive operation borrows.
    pub borrowed: [u32; 2],
    /// From its header.
    pub start_of_slice: u32,
    /// From its header.
    pub end_of_slice: u32,
    /// From its header.
    pub return_sequences: Range,
    /// From its header.
    pub resume: Range,
    /// From its header.
    pub revocation: u32,
    /// Its guaranteed mappings.
    pub mappings: Mappings,
    /// What reports call it; zero bytes fill it up.
    pub name: [u8; NAME_BYTES],
    /// Where each exception goes while the clock's interrupt is pending, which comes first. Its alignment puts it [`PENDING`] bytes
    /// behind `handlers`. In the bytes before it, as far behind the save page's slots, registers are stored then that nobody reads:
    /// the instruction is executed again.
    pub pending: Pending,
}

/// A table of handlers at its place in a record.
#[repr(C, align(2048))]
pub struct Pending(pub [u32; CODES]);

/// A save page and its record.
#[repr(C)]
pub struct Pages {
    /// The program's part.
    pub save: SavePage,
    /// The kernel's part.
    pub record: Record,
}

/// What assembly keeps in the kernel's own record page, behind the record.
pub mod global {
    /// The record of the running environment; the kernel's own while Rust runs.
    pub const CURRENT: u32 = 0x0f00;
    /// Its `stlb` word.
    pub const STLB: u32 = 0x0f04;
    /// The caller's `$sp` and `$ra` during a call with a stack.
    pub const SP: u32 = 0x0f08;
    pub const RA: u32 = 0x0f0c;
    /// Not 0 while only the rest of the running slice is lent to who runs.
    pub const LENT: u32 = 0x0f10;
    /// The directory, from the kernel's own pages.
    pub const DIRECTORY: u32 = super::DIRECTORY - super::KERNEL_PAGES;
    /// MIPS32: three registers that the path of a TLB miss borrows.
    #[cfg(feature = "malta")]
    pub const BORROWED: u32 = 0x0ff0;
}

/// Offsets in a [`Record`] and, less [`SAVE_DISTANCE`], in the save page before it.
pub mod offset {
    use super::{DirectoryEntry, FrameEntry, ProtectedEntries, Record, SAVE_DISTANCE, SavePage, offset_of};

    pub const HANDLERS: i32 = offset_of!(Record, handlers) as i32;
    pub const ID: u32 = offset_of!(Record, id) as u32;
    pub const STATUS: u32 = offset_of!(Record, status) as u32;
    pub const ENTRY_HI: u32 = offset_of!(Record, entry_hi) as u32;
    pub const STLB: u32 = offset_of!(Record, stlb) as u32;
    pub const NEXT_ENTRY: u32 = offset_of!(Record, next_entry) as u32;
    #[cfg(not(feature = "malta"))]
    pub const SYNCHRONOUS: u32 =
        (offset_of!(Record, protected_entries) + offset_of!(ProtectedEntries, synchronous)) as u32;
    pub const ASYNCHRONOUS: u32 =
        (offset_of!(Record, protected_entries) + offset_of!(ProtectedEntries, asynchronous)) as u32;
    pub const BORROWED: u32 = offset_of!(Record, borrowed) as u32;
    /// In an entry of the directory.
    #[cfg(not(feature = "malta"))]
    pub const DIRECTORY_SYNCHRONOUS: u32 = offset_of!(DirectoryEntry, synchronous) as u32;
    pub const DIRECTORY_ASYNCHRONOUS: u32 = offset_of!(DirectoryEntry, asynchronous) as u32;
    pub const DIRECTORY_RUNNABLE: u32 = offset_of!(DirectoryEntry, runnable) as u32;
    pub const DIRECTORY_RECORD: u32 = offset_of!(DirectoryEntry, record) as u32;
    /// In an entry of the table of frames.
    pub const FRAME_OWNER: u32 = offset_of!(FrameEntry, owner) as u32;
    pub const FRAME_BINDING: u32 = offset_of!(FrameEntry, binding) as u32;
    pub const SAVED_A0: i32 = offset_of!(SavePage, a0) as i32 - SAVE_DISTANCE as i32;
    pub const SAVED_A1: i32 = offset_of!(SavePage, a1) as i32 - SAVE_DISTANCE as i32;
    pub const SAVED_A2: i32 = offset_of!(SavePage, a2) as i32 - SAVE_DISTANCE as i32;
}

/// The registers of an interrupted program that Rust does not preserve by itself, on top of the kernel's stack.
#[repr(C)]
pub struct Frame {
    pub at: u32,
    pub v: [u32; 2],
    pub a: [u32; 4],
    /// `$t0` to `$t9`.
    pub t: [u32; 10],
    pub sp: u32,
    pub ra: u32,
    pub hi: u32,
    pub lo: u32,
    /// Where to go on.
    pub epc: u32,
    /// The record of the interrupted environment.
    pub record: u32,
}

/// All registers at a fault in the kernel, `$k0` and `$k1` excepted.
#[repr(C)]
pub struct FaultFrame {
    /// By number; those of `$zero`, `$k0` and `$k1` are 0.
    pub registers: [u32; 32],
    pub hi: u32,
    pub lo: u32,
}

const _: () = {
    assert!(KERNEL_PAGES == 0x8005_0000 && STLB == 0x8005_8000, "decstation.ld has these addresses too");
    assert!(size_of::<Pages>() == 2 * SAVE_DISTANCE as usize);
    assert!(offset_of!(Pages, record) == SAVE_DISTANCE as usize);
    assert!(size_of::<Public>() <= 4096 && size_of::<[DirectoryEntry; aegis_abi::EnvId::COUNT]>() == 4096);
    // Assembly scales a frame's number by these sizes.
    assert!(size_of::<FrameEntry>() == 8 && size_of::<Verifier>() == 16);
    assert!((FRAMES_HIGH << 16) + 8 * frame::COUNT as u32 == VERIFIERS_HIGH << 16);
    assert!((VERIFIERS_HIGH << 16) + 16 * frame::COUNT as u32 <= NONCES);
    // The fields end before the globals that assembly keeps in the kernel's own page.
    assert!(offset_of!(Record, pending) + 4 * CODES <= global::CURRENT as usize);
    // Assembly adds the exception code, scaled, to the record's address and finds the handler there.
    assert!(offset_of!(Record, handlers) == 0);
    // And all that it selects once more, behind that.
    assert!(offset_of!(Record, pending) == PENDING as usize);
    assert!((offset_of!(Record, name) + NAME_BYTES) as i32 <= offset::SAVED_A0 + PENDING as i32);
    assert!(STACK_TOP <= offset::SAVED_A0);
};
