//! Loads and stores that may fail: what the programs that test translation share.

use core::arch::{global_asm, naked_asm};
use exos_rt::abi::exception::{Code, OWN_WORDS, SavePage};
use exos_rt::abi::vm::SAVE_PAGE;
use exos_rt::call;

/// A word near the end of the save page's own part: the code of the exception, 0 for none.
const SEEN: usize = SAVE_PAGE as usize + core::mem::offset_of!(SavePage, own) + 4 * (OWN_WORDS - 8);

/// Bytes of a handler.
const HANDLER_BYTES: u32 = 24;

// A handler for each code: a0 = EPC. Each notes its code and goes on behind the instruction.
global_asm!(
    ".set noreorder",
    ".set noat",
    "attempt_handlers:",
    ".set code, 0",
    ".rept 6",
    "    addiu $a0, $a0, 4",
    "    sw    $a0, {pc} + 4*code($zero)",
    "    addiu $a1, $zero, code",
    "    sw    $a1, {seen}($zero)",
    "    j     exos_return + 32*code",
    "     nop",
    "    .set code, code + 1",
    ".endr",
    seen = const SEEN,
    pc = const SAVE_PAGE as usize + core::mem::offset_of!(SavePage, pc),
);

unsafe extern "C" {
    fn attempt_handlers();
}

/// `lw`.
#[unsafe(naked)]
unsafe extern "C" fn lw(address: u32, value: u32) -> u32 {
    naked_asm!(".set noreorder", "lw    $v0, 0($a0)", "jr    $ra", " nop")
}

/// `sw`.
#[unsafe(naked)]
unsafe extern "C" fn sw(address: u32, value: u32) -> u32 {
    naked_asm!(".set noreorder", "sw    $a1, 0($a0)", "jr    $ra", " nop")
}

/// The word at an address, or why it can't be read.
#[allow(dead_code, reason = "not every program needs it")]
pub fn load(address: u32) -> Result<u32, Code> {
    attempt(lw, address, 0)
}

/// Writes a word, or tells why that can't be.
///
/// # Safety
/// The word is the caller's to write, if it can be written.
#[allow(dead_code, reason = "not every program needs it")]
pub unsafe fn store(address: u32, value: u32) -> Result<(), Code> {
    attempt(sw, address, value).map(drop)
}

/// Accesses an address while the handlers above are set.
fn attempt(access: unsafe extern "C" fn(u32, u32) -> u32, address: u32, value: u32) -> Result<u32, Code> {
    const CODES: [Code; 5] = [Code::Modified, Code::TlbLoad, Code::TlbStore, Code::AddressLoad, Code::AddressStore];
    let seen = SEEN as *mut u32;
    // SAFETY: the word in the save page is nobody else's, the handlers do what handlers must, and the access is one
    // instruction, which they pass over.
    unsafe {
        seen.write_volatile(0);
        let former = CODES.map(|code| {
            let handler = attempt_handlers as *const () as u32 + HANDLER_BYTES * code as u32;
            call::set_handler(code, Some(handler)).expect("a handler for it may be set")
        });
        let value = access(address, value);
        for (code, handler) in CODES.into_iter().zip(former) {
            call::set_handler(code, handler).expect("it was set before");
        }
        Code::handled(seen.read_volatile()).map_or(Ok(value), Err)
    }
}
