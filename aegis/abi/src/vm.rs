//! Pages, the address map of a program, and what an entry of the TLB says.
//!
//! The addresses of a program are two segments (the paper's section 5.4). A miss in the *normal* segment goes to the
//! program by the shortest way. In the *pinned* segment guaranteed mappings are looked up first: the kernel keeps a
//! list of these for each environment and mends a miss on one by itself, so that the program's exception handlers and
//! page tables are always there.

/// Bytes in a page.
pub const PAGE_BYTES: u32 = 4096;
/// How far a page number is shifted left to be an address.
pub const PAGE_SHIFT: u32 = 12;

/// Programs live below this address (kuseg); at and above it only the kernel may read, write or fetch.
pub const USER_END: u32 = 0x8000_0000;

/// Where the normal segment begins; the pinned one is below.
pub const NORMAL_START: u32 = 0x4000_0000;

/// Where every program's save page is mapped: the last page that an offset from `$zero` reaches, so that a handler
/// needs no base register, with as much as possible left unmapped below it to catch null pointers.
pub const SAVE_PAGE: u32 = 0x7000;
/// The kernel's vectors, and what all calls, interrupts, changes of slices and messages pass through, are in so many pages from the
/// beginning of the instruction cache on: what is executed by turns with the kernel is better off with frames of other colours
/// ([`colours`](crate::public::Public::colours)).
pub const HOT_PAGES: u32 = 7;
/// Where every program sees the [`Public`](crate::public::Public) page, read-only.
pub const PUBLIC_PAGE: u32 = 0x6000;

/// The first address that a program's own segments may have.
pub const PROGRAM_START: u32 = 0x0001_0000;

/// Guaranteed mappings that an environment can have. Each is a range of pages; two are its save page and the public
/// page.
pub const GUARANTEED: usize = 12;

/// The most pages that one call of [`call::TLB_PROTECT`](crate::call::TLB_PROTECT) covers.
pub const PROTECT_MAX: u32 = 128;

/// Addressing contexts that an environment can have: address spaces that it switches between by itself.
pub const CONTEXTS: usize = 4;

/// Bits of an EntryLo word, as the R3000 has them; every machine takes and shows them so. The frame's number stands
/// above them, as in a physical address.
pub mod entry_lo {
    /// The mapping holds. Without it, an access is an exception.
    pub const VALID: u32 = 1 << 9;
    /// Stores are allowed (*dirty*).
    pub const DIRTY: u32 = 1 << 10;
    /// Not to be cached.
    pub const UNCACHED: u32 = 1 << 11;
    /// The frame's number, shifted left by [`PAGE_SHIFT`](super::PAGE_SHIFT).
    pub const FRAME: u32 = 0xffff_f000;
}
