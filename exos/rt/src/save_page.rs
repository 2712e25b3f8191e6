//! The save page: what of it is the kernel's and this library's, and who writes what.
//!
//! Everything in it is read and written as volatile: the kernel, and a slice's end, change it between two instructions.

use aegis_abi::exception::SavePage;
use aegis_abi::frame::Capability;
use aegis_abi::vm::SAVE_PAGE;

/// The page.
pub const PAGE: *mut SavePage = SAVE_PAGE as *mut SavePage;

/// The capability that a call has made.
#[must_use]
pub fn capability() -> Capability {
    // SAFETY: the page is always mapped, and the word is the program's to read.
    unsafe { (&raw const (*PAGE).capability).read_volatile() }
}

/// Presents a capability to the next call.
pub fn present(capability: Capability) {
    // SAFETY: as above, and to write.
    unsafe { (&raw mut (*PAGE).capability).write_volatile(capability) }
}
