//! The system calls as functions. `aegis_abi::call` is their reference.

use crate::sequences;
use aegis_abi::exception::Code;
use aegis_abi::{EnvId, Error, call};
use asm_lines::naked_asm;

/// Makes a call: the result in `$v0`, negative for an error.
///
/// A function of its own and not inline assembly, so that the compiler knows HI and LO to be lost too.
///
/// # Safety
/// The call does with the arguments what its reference says.
#[unsafe(naked)]
pub unsafe extern "C" fn raw(a0: u32, a1: u32, a2: u32, number: u32) -> i32 {
    naked_asm!(
        ".set noreorder",
        "move  $v0, $a3", // the number
        "syscall",
        "jr    $ra",
        " nop",
    )
}

fn check(result: i32) -> Result<u32, Error> {
    match result {
        0.. => Ok(result.cast_unsigned()),
        // An error that this version does not know can only come from another kernel, which the loader excludes.
        _ => Err(Error::from_result(result).unwrap_or(Error::NoSuchCall)),
    }
}

/// The id of this environment.
#[must_use]
pub fn self_id() -> EnvId {
    // SAFETY: no arguments, no effect.
    EnvId(unsafe { raw(0, 0, 0, call::SELF) }.cast_unsigned())
}

/// Does nothing.
pub fn null() {
    // SAFETY: no arguments, no effect.
    unsafe { raw(0, 0, 0, call::NULL) };
}

/// Gives up the rest of this time slice; returns in a later one. May return early, without having given up anything, if
/// a slice ends just then.
pub fn yield_slice() {
    // SAFETY: saves and restores all that a function must preserve.
    unsafe { sequences::exos_yield() }
}

/// Ends the program; 0 means success.
pub fn exit(status: u32) -> ! {
    // SAFETY: it takes no pointers.
    unsafe { raw(status, 0, 0, call::EXIT) };
    unreachable!("exit does not return")
}

/// Sends text to the console in one piece.
///
/// # Errors
/// [`Error::BadArgument`] if it is longer than [`WRITE_MAX`](aegis_abi::console::WRITE_MAX), [`Error::Busy`] if the
/// console's queue has no room for it now.
pub fn console_write(text: &[u8]) -> Result<(), Error> {
    // SAFETY: the kernel only reads the bytes.
    check(unsafe { raw(text.as_ptr() as u32, text.len() as u32, 0, call::CONSOLE_WRITE) }).map(drop)
}

/// How many bytes wait to be sent to the console.
#[must_use]
pub fn console_pending() -> u32 {
    // SAFETY: no arguments, no effect.
    unsafe { raw(0, 0, 0, call::CONSOLE_PENDING) }.cast_unsigned()
}

/// Sets where the program is entered for exceptions of a code, `None` for nowhere; what it was before.
///
/// # Safety
/// There is code at `handler` that deals with the exception as `aegis_abi::exception` describes.
///
/// # Errors
/// [`Error::BadArgument`] if the address is not a word-aligned one in user space.
pub unsafe fn set_handler(code: Code, handler: Option<u32>) -> Result<Option<u32>, Error> {
    // SAFETY: the caller's.
    let old = check(unsafe { raw(code as u32, handler.unwrap_or(0), 0, call::SET_HANDLER) })?;
    Ok(Some(old).filter(|&old| old != 0))
}

/// Time slices that have begun since the machine started.
#[must_use]
pub fn clock() -> u32 {
    // SAFETY: no arguments, no effect.
    unsafe { raw(0, 0, 0, call::CLOCK) }.cast_unsigned()
}
