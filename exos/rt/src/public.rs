//! What the kernel shows of itself, read word by word from the public page, which every environment has mapped.

use aegis_abi::EnvId;
use aegis_abi::network::{Entry, FILTERS, Interface};
use aegis_abi::public::{Public, Statistics};
use aegis_abi::slice::{COUNT, Slice};
use aegis_abi::vm::PUBLIC_PAGE;

/// The page.
pub const PAGE: *const Public = PUBLIC_PAGE as *const Public;

/// Reads a field of the page.
macro_rules! field {
    ($($field:tt)*) => {
        // SAFETY: the page is always mapped. Volatile, because the kernel changes it.
        unsafe { (&raw const (*PAGE).$($field)*).read_volatile() }
    };
}

/// The clock: time slices that have begun since the start, modulo 2^31.
#[must_use]
pub fn ticks() -> u32 {
    field!(ticks)
}

/// The position in the slice vector that is running.
#[must_use]
pub fn position() -> u32 {
    field!(position)
}

/// The slice at a position.
///
/// # Panics
/// If there is no such position.
#[must_use]
pub fn slice(position: u32) -> Slice {
    let position = position as usize;
    assert!(position < COUNT, "slice {position}");
    field!(slices[position])
}

/// The positions of the slices that an environment owns.
pub fn slices_of(owner: EnvId) -> impl Iterator<Item = u32> {
    (0..COUNT as u32).filter(move |&position| slice(position).owner == owner.0)
}

/// Frames in the table of frames.
#[must_use]
pub fn frames() -> u32 {
    field!(frames)
}

/// The physical address of the table of frames.
#[must_use]
pub fn frame_table() -> u32 {
    field!(frame_table)
}

/// The physical address of the directory of environments.
#[must_use]
pub fn directory() -> u32 {
    field!(directory)
}

/// The physical address of the software TLB.
#[must_use]
pub fn software_tlb() -> u32 {
    field!(software_tlb)
}

/// How many colours frames have.
#[must_use]
pub fn colours() -> u32 {
    field!(colours)
}

/// Physical address and bytes of the boot archive; see [`crate::archive`].
#[must_use]
pub fn archive() -> (u32, u32) {
    (field!(archive), field!(archive_bytes))
}

/// The version of the kernel's interface.
#[must_use]
pub fn version() -> u32 {
    field!(version)
}

/// What has happened since the start.
#[must_use]
pub fn statistics() -> Statistics {
    field!(statistics)
}

/// The network interface.
#[must_use]
pub fn interface() -> Interface {
    field!(interface)
}

/// Who has a packet filter, and where it is.
///
/// # Panics
/// If there can be no such filter.
#[must_use]
pub fn filter(number: u32) -> Entry {
    let number = number as usize;
    assert!(number < FILTERS, "filter {number}");
    field!(filters[number])
}
