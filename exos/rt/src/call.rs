//! The system calls and primitive operations as functions. `aegis_abi::call` is their reference.
//!
//! A call that answers [`Error::Again`] is made again here: no caller sees that error.

use crate::{save_page, sequences};
use aegis_abi::ash::Request;
use aegis_abi::exception::Code;
use aegis_abi::filter::Atom;
use aegis_abi::frame::Capability;
use aegis_abi::program::ProgramHeader;
use aegis_abi::{EnvId, Error, call};
use asm_lines::naked_asm;

/// Makes a call: the result in `$v0`, negative for an error.
///
/// A function of its own and not inline assembly, so that the compiler knows HI and LO to be lost too.
///
/// # Safety
/// The call does with the arguments what its reference says.
#[unsafe(naked)]
pub unsafe extern "C" fn raw(a0: u32, a1: u32, a2: u32, a3: u32, number: u32) -> i32 {
    naked_asm!(
        ".set noreorder",
        "lw    $v0, 16($sp)", // the number
        "nop",                // delay of the load
        "syscall",
        "jr    $ra",
        " nop",
    )
}

/// The result that `$v0` stands for.
///
/// # Errors
/// The call's.
pub fn check(result: i32) -> Result<u32, Error> {
    match result {
        0.. => Ok(result.cast_unsigned()),
        // An error that this version does not know can only come from another kernel, which the loader excludes.
        _ => Err(Error::from_result(result).unwrap_or(Error::NoSuchCall)),
    }
}

/// Makes a call that does no harm to the caller's memory, for as long as there is work left.
#[inline(always)]
fn repeat(number: u32, [a0, a1, a2, a3]: [u32; 4]) -> Result<u32, Error> {
    // SAFETY: the functions below, which alone come here, say why.
    match unsafe { raw_until_done(a0, a1, a2, a3, number) } {
        result @ 0.. => Ok(result.cast_unsigned()),
        result => Err(refused(result)),
    }
}

/// The error that a negative result stands for.
#[cold]
#[inline(never)]
#[unsafe(link_section = ".text.calls")]
fn refused(result: i32) -> Error {
    check(result).err().unwrap_or(Error::NoSuchCall)
}

/// As [`raw`], again and again while the answer is [`Error::Again`]. The arguments wait where a caller keeps room for
/// them.
#[unsafe(naked)]
#[unsafe(link_section = ".text.calls")]
unsafe extern "C" fn raw_until_done(a0: u32, a1: u32, a2: u32, a3: u32, number: u32) -> i32 {
    naked_asm!(
        ".set noreorder",
        "lw    $v0, 16($sp)", // the number
        "sw    $a0, 0($sp)",
        "sw    $a1, 4($sp)",
        "sw    $a2, 8($sp)",
        "sw    $a3, 12($sp)",
        "1:",
        "syscall",
        "addiu $t0, $v0, -({AGAIN})",
        "bne   $t0, $zero, 2f",
        " lw   $v1, 16($sp)",
        "lw    $a0, 0($sp)",
        "lw    $a1, 4($sp)",
        "lw    $a2, 8($sp)",
        "lw    $a3, 12($sp)",
        "b     1b",
        " move $v0, $v1",
        "2:",
        "jr    $ra",
        " nop",
        AGAIN = const Error::Again as i32,
    )
}

/// The id of this environment.
#[must_use]
pub fn self_id() -> EnvId {
    // SAFETY: no arguments, no effect.
    EnvId(unsafe { raw(0, 0, 0, 0, call::SELF) }.cast_unsigned())
}

/// Does nothing.
pub fn null() {
    // SAFETY: no arguments, no effect.
    unsafe { raw(0, 0, 0, 0, call::NULL) };
}

/// Ends the program; 0 means success.
#[unsafe(link_section = ".text.calls")]
pub fn exit(status: u32) -> ! {
    // SAFETY: it takes no pointers.
    unsafe { raw(status, 0, 0, 0, call::EXIT) };
    unreachable!("exit does not return")
}

// --- Revocation. -----------------------------------------------------------------------------------------------------

/// Asks the environment `env` for `count` resources of a kind, `what`, within so many ticks, 0 for a request without a
/// deadline; how many were left of what was asked of it before. `authority` is the capability for revocation.
///
/// # Errors
/// [`Error::Denied`], [`Error::NoSuchEnvironment`], or [`Error::BadArgument`] for what can't be asked for.
pub fn revoke(env: EnvId, authority: Capability, what: u32, count: u32, within: u32) -> Result<u32, Error> {
    save_page::present(authority);
    repeat(call::REVOKE, [env.0, what, count, within])
}

/// Takes the frame `frame` from an environment that owes frames.
///
/// # Errors
/// [`Error::BadArgument`] and [`Error::NoSuchEnvironment`] if it is nobody's; [`Error::Denied`] and [`Error::Busy`] if it
/// may not be taken, or not yet.
pub fn frame_repossess(frame: u32, authority: Capability) -> Result<(), Error> {
    save_page::present(authority);
    repeat(call::FRAME_REPOSSESS, [frame, 0, 0, 0]).map(drop)
}

/// Takes the slice at `position` from an environment that owes slices.
///
/// # Errors
/// As for [`frame_repossess`].
pub fn slice_repossess(position: u32, authority: Capability) -> Result<(), Error> {
    save_page::present(authority);
    repeat(call::SLICE_REPOSSESS, [position, 0, 0, 0]).map(drop)
}

/// Takes the filter `number`, and its handler, from an environment that owes filters.
///
/// # Errors
/// As for [`frame_repossess`].
pub fn filter_repossess(number: u32, authority: Capability) -> Result<(), Error> {
    save_page::present(authority);
    repeat(call::FILTER_REPOSSESS, [number, 0, 0, 0]).map(drop)
}

/// Takes the handler of the filter `number` from an environment that owes handlers.
///
/// # Errors
/// As for [`frame_repossess`].
pub fn handler_repossess(number: u32, authority: Capability) -> Result<(), Error> {
    save_page::present(authority);
    repeat(call::HANDLER_REPOSSESS, [number, 0, 0, 0]).map(drop)
}

// --- The processor. --------------------------------------------------------------------------------------------------

/// Gives up the rest of this time slice; returns in a later one. May return early, without having given up anything, if
/// a slice ends just then.
pub fn yield_slice() {
    // A yield is not refused.
    let _ = suspend(0, call::YIELD);
}

/// Gives what is left of this time slice to the environment `to`; returns in a later one. May return early, as
/// [`yield_slice`], and then whatever `to` is.
///
/// # Errors
/// [`Error::NoSuchEnvironment`].
#[inline]
pub fn yield_to(to: EnvId) -> Result<(), Error> {
    // SAFETY: saves and restores all that a function must preserve.
    let result = unsafe { sequences::exos_yield_to(to.0) };
    if result == 0 { Ok(()) } else { check(result).map(drop) }
}

/// Called by assembly instead, in the server activity.
pub(crate) extern "C" fn yield_to_serving(to: u32) -> i32 {
    sequences::give_up();
    // SAFETY: as above.
    unsafe { sequences::exos_suspend(to, call::YIELD_TO) }
}

/// Gives up all slices until another environment's [`wake`], or until the tick `deadline` of the [`clock`]. May return
/// early, so what is waited for must be looked at.
pub fn wait(deadline: Option<u32>) {
    // A wait is not refused.
    let _ = suspend(deadline.unwrap_or(u32::MAX), call::WAIT);
}

fn suspend(argument: u32, number: u32) -> Result<(), Error> {
    sequences::give_up();
    // SAFETY: saves and restores all that a function must preserve.
    check(unsafe { sequences::exos_suspend(argument, number) }).map(drop)
}

/// Ends the wait of the environment `id`, or its next one.
///
/// # Errors
/// [`Error::NoSuchEnvironment`].
#[unsafe(link_section = ".text.calls")]
pub fn wake(id: EnvId) -> Result<(), Error> {
    repeat(call::WAKE, [id.0, 0, 0, 0]).map(drop)
}

/// Time slices that have begun since the machine started, modulo 2^31.
#[must_use]
pub fn clock() -> u32 {
    // SAFETY: no arguments, no effect.
    unsafe { raw(0, 0, 0, 0, call::CLOCK) }.cast_unsigned()
}

/// Makes the slice at `position` of the vector this environment's.
///
/// # Errors
/// [`Error::BadArgument`], or [`Error::Busy`] if it has an owner.
pub fn slice_allocate(position: u32) -> Result<(), Error> {
    repeat(call::SLICE_ALLOCATE, [position, 0, 0, 0]).map(drop)
}

/// Frees the slice at `position`.
///
/// # Errors
/// [`Error::BadArgument`], or [`Error::Denied`] if it is another's.
pub fn slice_free(position: u32) -> Result<(), Error> {
    repeat(call::SLICE_FREE, [position, 0, 0, 0]).map(drop)
}

/// Makes the environment `to` the owner of the slice at `position`.
///
/// # Errors
/// [`Error::BadArgument`], [`Error::NoSuchEnvironment`], or [`Error::Denied`] if the slice is another's.
pub fn slice_give(position: u32, to: EnvId) -> Result<(), Error> {
    repeat(call::SLICE_GIVE, [position, to.0, 0, 0]).map(drop)
}

/// Takes the slice at `position` back from whom a transfer has lent it to.
///
/// # Errors
/// [`Error::BadArgument`], or [`Error::Denied`] if it is another's.
pub fn slice_reclaim(position: u32) -> Result<(), Error> {
    repeat(call::SLICE_RECLAIM, [position, 0, 0, 0]).map(drop)
}

// --- Environments. ---------------------------------------------------------------------------------------------------

/// Makes an environment of the frames `frame`, which is even, and `frame` + 1; its id, and the right over it.
///
/// # Errors
/// [`Error::BadArgument`], [`Error::Denied`] if one of the frames is another's, [`Error::Full`].
pub fn env_create(frame: u32) -> Result<(EnvId, Capability), Error> {
    let id = EnvId(repeat(call::ENV_CREATE, [frame, 0, 0, 0])?);
    Ok((id, save_page::capability()))
}

/// Sets where the environment `id` is entered, and that its next slice begins at `entry`. `control` is not looked at if
/// the environment is this one.
///
/// # Safety
/// If it is this one: `entry` and what `header` names do what the interface asks of them.
///
/// # Errors
/// [`Error::NoSuchEnvironment`], [`Error::Denied`]; [`Error::BadPointer`] if the header is not in a guaranteed mapping;
/// [`Error::BadArgument`] if it is not a good one.
pub unsafe fn env_setup(id: EnvId, control: Capability, header: &ProgramHeader, entry: u32) -> Result<(), Error> {
    save_page::present(control);
    repeat(call::ENV_SETUP, [id.0, &raw const *header as u32, entry, 0]).map(drop)
}

/// Destroys the environment `id`.
///
/// # Errors
/// [`Error::NoSuchEnvironment`], [`Error::Denied`].
pub fn env_destroy(id: EnvId, control: Capability) -> Result<(), Error> {
    save_page::present(control);
    repeat(call::ENV_DESTROY, [id.0, 0, 0, 0]).map(drop)
}

/// Gives the environment `id` a guaranteed mapping of `pages` pages from `address` on to the frames from that in
/// `entry_lo` on.
///
/// # Safety
/// If it is this environment: nothing relies on what is not mapped at those addresses, and the frames are not in use in
/// another way.
///
/// # Errors
/// [`Error::NoSuchEnvironment`], [`Error::Denied`], [`Error::BadArgument`], [`Error::Full`].
pub unsafe fn env_map(id: EnvId, control: Capability, address: u32, entry_lo: u32, pages: u32) -> Result<(), Error> {
    save_page::present(control);
    repeat(call::ENV_MAP, [id.0, address, entry_lo, pages]).map(drop)
}

/// Takes the guaranteed mapping that begins at `address` from the environment `id`.
///
/// # Safety
/// If it is this environment: what is mapped there is not used any more.
///
/// # Errors
/// [`Error::NoSuchEnvironment`], [`Error::Denied`], [`Error::BadArgument`].
pub unsafe fn env_unmap(id: EnvId, control: Capability, address: u32) -> Result<(), Error> {
    save_page::present(control);
    repeat(call::ENV_UNMAP, [id.0, address, 0, 0]).map(drop)
}

/// Sets where the program is entered for exceptions of a code, `None` for nowhere; what it was before.
///
/// # Safety
/// There is code at `handler` that deals with the exception as `aegis_abi::exception` describes.
///
/// # Errors
/// [`Error::BadArgument`] if the address is not a word-aligned one in user space.
pub unsafe fn set_handler(code: Code, handler: Option<u32>) -> Result<Option<u32>, Error> {
    let old = repeat(call::SET_HANDLER, [code as u32, handler.unwrap_or(0), 0, 0])?;
    Ok(Some(old).filter(|&old| old != 0))
}

// --- Memory. ---------------------------------------------------------------------------------------------------------

/// Makes the frame with the number `frame` this environment's: full of zeros, and mapped nowhere.
///
/// # Errors
/// [`Error::BadArgument`], or [`Error::Busy`] if it has an owner.
pub fn frame_allocate(frame: u32) -> Result<(), Error> {
    repeat(call::FRAME_ALLOCATE, [frame, 0, 0, 0]).map(drop)
}

/// Frees a frame: breaks every mapping of it and voids its capabilities.
///
/// # Safety
/// Nothing that is mapped to it is used any more.
///
/// # Errors
/// [`Error::BadArgument`], [`Error::Denied`] if it is another's, [`Error::Busy`] if it is the save page.
pub unsafe fn frame_free(frame: u32) -> Result<(), Error> {
    repeat(call::FRAME_FREE, [frame, 0, 0, 0]).map(drop)
}

/// Makes the environment `to` the owner of a frame. Every mapping of it is broken and its capabilities are void.
///
/// # Safety
/// As for [`frame_free`].
///
/// # Errors
/// As for [`frame_free`], and [`Error::NoSuchEnvironment`].
pub unsafe fn frame_give(frame: u32, to: EnvId) -> Result<(), Error> {
    repeat(call::FRAME_GIVE, [frame, to.0, 0, 0]).map(drop)
}

/// Voids all capabilities for a frame and breaks every mapping of it, so that it must be mapped again to be used.
///
/// # Errors
/// [`Error::BadArgument`], or [`Error::Denied`] if it is another's.
pub fn frame_renew(frame: u32) -> Result<(), Error> {
    repeat(call::FRAME_RENEW, [frame, 0, 0, 0]).map(drop)
}

/// A capability for a frame of this environment's, with the right `right`.
///
/// # Errors
/// [`Error::BadArgument`], or [`Error::Denied`] if the frame is another's.
pub fn capability(frame: u32, right: u32) -> Result<Capability, Error> {
    repeat(call::CAPABILITY, [frame, right, 0, 0])?;
    Ok(save_page::capability())
}

/// Makes the instruction cache coherent with `bytes` bytes, at most a page, of physical memory.
///
/// # Errors
/// [`Error::BadArgument`].
pub fn icache_flush(physical: u32, bytes: u32) -> Result<(), Error> {
    repeat(call::ICACHE_FLUSH, [physical, bytes, 0, 0]).map(drop)
}

// --- The console. ----------------------------------------------------------------------------------------------------

/// Sends text to the console in one piece.
///
/// # Errors
/// [`Error::BadArgument`] if it is longer than [`WRITE_MAX`](aegis_abi::console::WRITE_MAX), [`Error::Busy`] if the
/// console's queue has no room for it now.
pub fn console_write(text: &[u8]) -> Result<(), Error> {
    repeat(call::CONSOLE_WRITE, [text.as_ptr() as u32, text.len() as u32, 0, 0]).map(drop)
}

/// How many bytes wait to be sent to the console.
#[must_use]
pub fn console_pending() -> u32 {
    // SAFETY: no arguments, no effect.
    unsafe { raw(0, 0, 0, 0, call::CONSOLE_PENDING) }.cast_unsigned()
}

/// The next byte that was typed, if this environment is the console's reader.
///
/// # Errors
/// [`Error::Denied`] if it is not; [`Error::Busy`] if there is nothing to read: who waits is woken when there is.
pub fn console_read() -> Result<u8, Error> {
    repeat(call::CONSOLE_READ, [0; 4]).map(|byte| byte as u8)
}

/// Makes another environment the console's reader.
///
/// # Errors
/// [`Error::Denied`] if neither is this one it nor is the reader dead; [`Error::NoSuchEnvironment`].
pub fn console_give(to: EnvId) -> Result<(), Error> {
    repeat(call::CONSOLE_GIVE, [to.0, 0, 0, 0]).map(drop)
}

// --- The network. ----------------------------------------------------------------------------------------------------

/// Installs a packet filter, for which it gives `frame`, that nothing maps; its number. `allowed` is the right over an
/// environment with whose filters it may overlap.
///
/// # Errors
/// [`Error::NoSuchDevice`]; [`Error::BadArgument`] if the atoms are no filter; [`Error::Denied`] if the frame is another's,
/// or the filter may accept a message of another's; [`Error::Busy`] if the frame may be mapped, or the filter is there
/// already; [`Error::Full`].
pub fn filter_insert(frame: u32, atoms: &[Atom], allowed: Capability) -> Result<u32, Error> {
    save_page::present(allowed);
    repeat(call::FILTER_INSERT, [frame, atoms.as_ptr() as u32, atoms.len() as u32, 0])
}

/// Removes a filter of this environment's. The frame is its own again, to be freed or renewed.
///
/// # Errors
/// [`Error::BadArgument`], or [`Error::Denied`] if it is another's.
pub fn filter_remove(number: u32) -> Result<(), Error> {
    repeat(call::FILTER_REMOVE, [number, 0, 0, 0]).map(drop)
}

/// Makes a frame of this environment's the ring of its filter `number`; 0 for none.
///
/// # Errors
/// As for [`filter_remove`], for the frame, too; [`Error::Busy`] if it is the save page.
pub fn filter_ring(number: u32, frame: u32) -> Result<(), Error> {
    repeat(call::FILTER_RING, [number, frame, 0, 0]).map(drop)
}

/// Sends a message.
///
/// # Errors
/// [`Error::NoSuchDevice`]; [`Error::BadArgument`] if it is too short or too long; [`Error::Busy`] if there is no room just
/// now; [`Error::Denied`] if it is not in this environment's name.
pub fn network_send(message: &[u8]) -> Result<(), Error> {
    repeat(call::NETWORK_SEND, [message.as_ptr() as u32, message.len() as u32, 0, 0]).map(drop)
}

/// Installs a handler for the messages of this environment's filter `number`; [`ash::install`](crate::ash::install) knows why one is refused.
///
/// # Errors
/// As for [`filter_remove`], for all frames, too; [`Error::BadArgument`] if it is no good handler, [`Error::Busy`] if there is one.
///
/// # Safety
/// The handler writes to the region.
pub unsafe fn handler_install(number: u32, request: &Request) -> Result<(), Error> {
    // The kernel reads the code, and pipes, where the request says.
    repeat(call::HANDLER_INSTALL, [number, &raw const *request as u32, 0, 0]).map(drop)
}

/// Removes the handler of this environment's filter `number`. Its two frames are its own again.
///
/// # Errors
/// As for [`filter_remove`]; [`Error::BadArgument`] if there is none.
pub fn handler_remove(number: u32) -> Result<(), Error> {
    repeat(call::HANDLER_REMOVE, [number, 0, 0, 0]).map(drop)
}

// --- Primitive operations: each changes no register but $v0. ---------------------------------------------------------

macro_rules! primitives {
    ($($(#[$doc:meta])* $vis:vis $name:ident = $number:ident;)*) => {
        $(
            $(#[$doc])*
            ///
            /// The arguments are registers; it changes none but `$v0`, in which the result is.
            ///
            /// # Safety
            /// It does with the arguments what its reference says.
            #[unsafe(naked)]
            $vis unsafe extern "C" fn $name(a0: u32, a1: u32, a2: u32, a3: u32) -> i32 {
                naked_asm!(
                    ".set noreorder",
                    "addiu $v0, $zero, {number}",
                    "syscall",
                    "jr    $ra",
                    " nop",
                    number = const call::$number,
                )
            }
        )*
    };
}

primitives! {
    /// `$a1`: the address; `$a2`: EntryLo; `$a0`, `$a3`: a capability's tag.
    pub raw_tlb_write = TLB_WRITE;
    /// `$a1`: the address.
    pub raw_tlb_delete = TLB_DELETE;
    /// `$a1`: the address.
    pub raw_tlb_probe = TLB_PROBE;
    /// `$a0`: the rights; `$a1`: the address; `$a2`: how many pages.
    pub raw_tlb_protect = TLB_PROTECT;
    /// `$a1`: the context.
    pub raw_context_switch = CONTEXT_SWITCH;
    /// `$a1`: 0 or 1.
    pub raw_fpu_mode = FPU_MODE;
}

/// No capability: for frames of this environment's, and public ones.
pub const NO_CAPABILITY: Capability = Capability([0; 2]);

/// Enters a mapping of the page of `address` into the TLBs, with a capability for a frame of another's.
///
/// # Safety
/// The frame may be accessed at this address as the language's rules have it.
///
/// # Errors
/// [`Error::BadArgument`] if the address is the kernel's, [`Error::Denied`].
pub unsafe fn tlb_write(address: u32, entry_lo: u32, Capability([tag0, tag1]): Capability) -> Result<(), Error> {
    // SAFETY: the caller's.
    check(unsafe { raw_tlb_write(tag0, address, entry_lo, tag1) }).map(drop)
}

/// Deletes the mapping of the page of `address` from the TLBs.
pub fn tlb_delete(address: u32) {
    // SAFETY: TLBs may lose a mapping at any time.
    unsafe { raw_tlb_delete(0, address, 0, 0) };
}

/// The EntryLo word that the TLBs map the page of `address` to, if they do.
#[must_use]
pub fn tlb_probe(address: u32) -> Option<u32> {
    // SAFETY: no effect.
    Some(unsafe { raw_tlb_probe(0, address, 0, 0) }.cast_unsigned()).filter(|&entry_lo| entry_lo != 0)
}

/// Takes the rights that are clear in `rights` from the mappings that the TLBs hold of `pages` pages from `address` on.
///
/// # Errors
/// [`Error::BadArgument`] if there are more than [`PROTECT_MAX`](aegis_abi::vm::PROTECT_MAX), or some are the kernel's.
pub fn tlb_protect(rights: u32, address: u32, pages: u32) -> Result<(), Error> {
    // SAFETY: TLBs may lose a mapping at any time.
    check(unsafe { raw_tlb_protect(rights, address, pages, 0) }).map(drop)
}

/// Installs the addressing context `context`.
///
/// # Safety
/// What the program uses next is in guaranteed mappings, or mapped in that context, too.
///
/// # Errors
/// [`Error::BadArgument`] if there is no such context.
pub unsafe fn context_switch(context: u32) -> Result<(), Error> {
    // SAFETY: the caller's.
    check(unsafe { raw_context_switch(0, context, 0, 0) }).map(drop)
}

/// Lets the program use the floating-point unit, or not.
///
/// # Errors
/// [`Error::NoSuchDevice`].
pub fn fpu_mode(on: bool) -> Result<(), Error> {
    // SAFETY: compiled code does not use the unit.
    check(unsafe { raw_fpu_mode(0, on.into(), 0, 0) }).map(drop)
}
