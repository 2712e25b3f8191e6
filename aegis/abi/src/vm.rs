//! Pages and the address map of a program.

/// Bytes in a page.
pub const PAGE_BYTES: u32 = 4096;
/// How far a page number is shifted left to be an address.
pub const PAGE_SHIFT: u32 = 12;

/// Programs live below this address (kuseg); at and above it only the kernel may read, write or fetch.
pub const USER_END: u32 = 0x8000_0000;

/// Where every program's save page is mapped: the last page that an offset from `$zero` reaches, so that a handler
/// needs no base register, with as much as possible left unmapped below it to catch null pointers.
pub const SAVE_PAGE: u32 = 0x7000;

/// The first address that a program's own segments may have.
pub const PROGRAM_START: u32 = 0x0001_0000;
