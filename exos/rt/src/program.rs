//! What the program is called, and its arguments.

use aegis_abi::boot::NAME_BYTES;
use aegis_abi::exception::SavePage;
use aegis_abi::vm::SAVE_PAGE;

fn save_page() -> *const SavePage {
    SAVE_PAGE as *const SavePage
}

/// The name as it stands in the save page.
pub(crate) fn name_bytes() -> [u8; NAME_BYTES] {
    // SAFETY: as for the name.
    unsafe { (*save_page()).name }
}

/// Sets the name, before anybody has asked for it.
pub fn set_name(name: [u8; NAME_BYTES]) {
    // SAFETY: the page is the program's own.
    unsafe { (*save_page().cast_mut()).name = name }
}

fn text(bytes: &'static [u8]) -> &'static str {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    core::str::from_utf8(&bytes[..end]).unwrap_or("?")
}

/// The program's name in the boot archive.
#[must_use]
pub fn name() -> &'static str {
    // SAFETY: the kernel filled it in before the program started, and nobody writes to it.
    text(unsafe { &(*save_page()).name })
}

/// Its arguments, without those that the runtime took.
pub fn arguments() -> impl Iterator<Item = &'static str> {
    // SAFETY: as for the name.
    let all = text(unsafe { &(*save_page()).arguments });
    all.split(',').filter(|argument| !argument.is_empty() && !argument.starts_with(LIMIT))
}

/// The number behind `name=` among the arguments, if it is there and is one.
#[must_use]
pub fn number(name: &str) -> Option<u32> {
    arguments().find_map(|argument| argument.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

const LIMIT: &str = "limit=";

/// The number of time slices that the program may use, if it is limited.
pub(crate) fn limit() -> Option<u32> {
    // SAFETY: as for the name.
    let all = text(unsafe { &(*save_page()).arguments });
    all.split(',').find_map(|argument| argument.strip_prefix(LIMIT)?.parse().ok())
}
