//! The processor: all assembly, all of coprocessor 0, and the layouts that both sides of the assembly know.
//!
//! - [`layout`]: fixed addresses, and the kernel's record of an environment with its offsets
//! - `vectors`: TLB refill, exception dispatch, the demultiplexing of system calls (the hot paths)
//! - `gates`: one block of code for each system call
//! - [`handlers`]: the way into handlers for messages, and their calls
//! - `primitives`: the transfers and primitive operations that are in assembly, for their gates
//! - `trap`: the ways from assembly into Rust and back, for interrupts, TLB misses and faults
//! - [`enter`](mod@enter): from the kernel into a program
//! - [`entry`]: the Rust side of those joins
//! - [`bindings`]: the software TLB, and all that maps a page
//! - `protect`: taking rights from many pages
//! - [`fpu`]: the floating-point unit
//! - [`cp0`]: registers of coprocessor 0 and the TLB
//! - `ways`: how assembly calls Rust and returns to programs
//! - `unwind`: how a debugger gets from assembly to the program that it interrupted
//!
//! There are two processors: the R3000, and MIPS32, which takes exceptions and maps pages in another way. What differs
//! is in modules of the same names, those of MIPS32 in the directory `mips32`; the feature `malta` chooses them. The
//! rest is the same source.
//!
//! The kernel runs with interrupts off from the vector to `rfe` (`eret` on MIPS32), in kseg0, on one stack. It takes no
//! exception of its own: one that occurs all the same is a bug, is recognised by the record that is current then, the
//! kernel's own, and ends in a panic.
//!
//! `$k0` and `$k1` are never used by compiled code, so in the kernel they keep their values across calls to Rust; the
//! paths below rely on it.

pub mod bindings;
#[cfg_attr(feature = "malta", path = "mips32/cp0.rs")]
pub mod cp0;
#[cfg_attr(feature = "malta", path = "mips32/enter.rs")]
pub mod enter;
pub mod entry;
#[cfg_attr(feature = "malta", path = "mips32/fpu.rs")]
pub mod fpu;
mod gates;
pub mod handlers;
pub mod layout;
#[cfg_attr(feature = "malta", path = "mips32/primitives.rs")]
mod primitives;
mod protect;
mod trap;
mod unwind;
#[cfg_attr(feature = "malta", path = "mips32/vectors.rs")]
mod vectors;
#[cfg_attr(feature = "malta", path = "mips32/ways.rs")]
mod ways;

/// The same pointer, of which the compiler knows nothing: where it knows the address, it makes that of each field anew, in two instructions.
#[inline(always)]
#[expect(clippy::pointers_in_nomem_asm_block, reason = "nothing is done with it")]
pub fn opaque<T>(pointer: *mut T) -> *mut T {
    let mut same = pointer;
    // SAFETY: it does nothing.
    unsafe { core::arch::asm!("/* {0} */", inout(reg) same, options(pure, nomem, nostack, preserves_flags)) };
    same
}

/// What goes into a handler table for interrupts.
pub fn interrupt_address() -> u32 {
    trap::interrupt as *const () as u32
}

/// What goes into a handler table for an exception that the program does not handle.
pub fn no_handler_address() -> u32 {
    trap::no_handler as *const () as u32
}

/// What goes into the kernel's own handler table.
pub fn kernel_fault_address() -> u32 {
    trap::kernel_fault as *const () as u32
}

/// Whether the TLB may hold an entry that is not valid, as an R3000 does: an access is then the program's exception at once. MIPS32
/// looks such a page up again.
pub const MAY_ENTER_INVALID: bool = cfg!(not(feature = "malta"));

/// A word that assembly keeps in the kernel's own record page.
fn global(offset: u32) -> *mut u32 {
    (layout::KERNEL_PAGES + offset) as *mut u32
}

/// Makes the kernel's own record the current one, for the time until the first program runs.
pub fn make_current(own: &mut layout::Record) {
    // SAFETY: that word is kept for this purpose, behind the record's fields.
    unsafe { global(layout::global::CURRENT).write_volatile(&raw mut *own as u32) }
}

/// Makes the addressing context and Status of an environment those of the processor. Which environment is current when the kernel is left the
/// way out says.
#[inline(always)]
pub fn install(record: &layout::Record) {
    // SAFETY: the context and Status are an environment's; the words are kept for this purpose.
    unsafe {
        cp0::set_entry_hi(record.entry_hi);
        cp0::set_status(cp0::Status::from_bits_retain(record.status));
        global(layout::global::STLB).write_volatile(record.stlb);
    }
}

/// Whether only the rest of the running slice is lent to who runs.
pub fn is_lent() -> bool {
    // SAFETY: the word is kept for this purpose.
    unsafe { global(layout::global::LENT).read_volatile() != 0 }
}

/// Notes that only the rest of the running slice is lent, or that a new slice begins.
pub fn set_lent(lent: bool) {
    // SAFETY: the word is kept for this purpose.
    unsafe { global(layout::global::LENT).write_volatile(u32::from(lent)) }
}

/// The record at an address that the directory names.
///
/// # Safety
/// It is a living environment's, and there is no other reference to it.
pub unsafe fn record_at<'a>(address: u32) -> &'a mut layout::Record {
    // SAFETY: the caller's.
    unsafe { &mut *(address as *mut layout::Record) }
}

/// Calls the generated code that tells messages apart (`aegis_dpf`): the number of the filter that a message is for, or
/// 0.
///
/// # Safety
/// `entry` is where the code begins, the instruction cache is coherent with it, and so many bytes, as many as a message has
/// at least, are at `message`, which is 2 modulo 4.
pub unsafe fn classify(entry: u32, message: *const u8, bytes: u32) -> u32 {
    // SAFETY: the caller's: the code is a function of this type, which reads nothing but the message and its tables.
    let function: extern "C" fn(*const u8, u32) -> u32 = unsafe { core::mem::transmute(entry) };
    function(message, bytes)
}

impl layout::Record {
    /// The save page before this record.
    pub fn save_page(&mut self) -> &mut aegis_abi::exception::SavePage {
        let record: *mut layout::Record = self;
        // SAFETY: records exist only as the second part of `Pages`. The program does not run, so nobody else writes to
        // the page.
        unsafe { &mut (*record.byte_sub(layout::SAVE_DISTANCE as usize).cast::<layout::Pages>()).save }
    }
}
