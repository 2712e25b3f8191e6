//! What a program tells about itself: the header that every program carries.
//!
//! It is the descriptor of the program's one ELF note of type [`NOTE_TYPE`] and owner [`NOTE_OWNER`], in a `PT_NOTE`
//! segment. The loader passes it on and the kernel checks it once, before the program runs for the first time; so there
//! is no moment at which a program runs without its handlers.

/// Owner's name of the ELF note, without its closing zero byte.
pub const NOTE_OWNER: &str = "Aegis";
/// Type of the note in a program: its descriptor is a [`ProgramHeader`].
pub const NOTE_TYPE: u32 = 1;
/// Type of the note in a kernel: its descriptor is the version of this interface, one word.
pub const KERNEL_NOTE_TYPE: u32 = 2;

/// Bytes of one return sequence.
pub const RETURN_SEQUENCE_BYTES: u32 = 32;

/// Where the kernel enters a program and where the program must not be caught half way: the exception, interrupt and
/// protected entry contexts of its environment. (The fourth, the addressing context, is made of the program's
/// segments.)
///
/// Addresses are in user space and word aligned. `$k0` and `$k1` do not survive an interrupt or a TLB miss, yet a
/// program that returns to an interrupted address must hold it in one of them. Two ranges make that safe: the kernel
/// never resumes a program inside them, but at their beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct ProgramHeader {
    /// The version of this interface that the program was built for; [`VERSION`](crate::VERSION).
    pub abi_version: u32,
    /// Where it is entered at the beginning of each slice but its first, which begins at the ELF entry point.
    pub start_of_slice: u32,
    /// Where it is entered at the end of each slice.
    pub end_of_slice: u32,
    /// Where it is entered for each exception, by code; 0 for nowhere.
    pub handlers: [u32; 16],
    /// Where transfers of control from other environments enter it.
    pub protected_entries: ProtectedEntries,
    /// An array of return sequences, [`RETURN_SEQUENCE_BYTES`] each and aligned to it. Interrupted within one, it is
    /// begun anew. Each lies in one page, and touches one page of data, the save page.
    pub return_sequences: Range,
    /// The code that resumes a slice. All the while the program's context is complete in memory; so interrupted in it
    /// the program is not asked to save anything: at the end of a slice the next slice's owner runs at once, and after
    /// any other interrupt the program goes on at `start_of_slice`, which therefore lies in the range.
    pub resume: Range,
    /// Where it is entered at the beginning of its next slice, instead of `start_of_slice`, when something is asked of
    /// it or was taken ([`revocation`](crate::revocation)), once for all that has happened since the last time; 0 for
    /// nowhere. As at the start of a slice no register is defined. An interrupt in `resume` would forget it, so it does
    /// not lie there.
    pub revocation: u32,
}

/// The protected entry context (the paper's section 5.1.2): where an environment is entered by those that transfer
/// control to it. 0 where it takes no transfers.
///
/// On entry every register is the caller's, but for `$k0` and `$k1`, which are undefined, and `$v1`, which is the
/// caller's id; see [`call::TRANSFER`](crate::call::TRANSFER).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct ProtectedEntries {
    /// For transfers that donate all later instances of the caller's time slice, too.
    pub synchronous: u32,
    /// For transfers that donate the rest of the current one.
    pub asynchronous: u32,
}

/// Addresses from `start` to just before `end`. Empty if both are 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Range {
    /// The first address inside.
    pub start: u32,
    /// The first address behind.
    pub end: u32,
}

const _: () = assert!(size_of::<ProgramHeader>() == 104);
