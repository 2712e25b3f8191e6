//! The processor: all assembly, all of coprocessor 0, and the layouts that both sides of the assembly know.
//!
//! - [`layout`]: fixed addresses, and the kernel's record of an environment with its offsets
//! - `vectors`: TLB refill, exception dispatch, the demultiplexing of system calls (the hot paths)
//! - `gates`: one block of code for each system call
//! - `trap`: the ways from assembly into Rust and back, for interrupts, TLB misses and faults
//! - [`enter`](mod@enter): from the kernel into a program
//! - [`entry`]: the Rust side of those joins
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

#[cfg_attr(feature = "malta", path = "mips32/cp0.rs")]
pub mod cp0;
#[cfg_attr(feature = "malta", path = "mips32/enter.rs")]
pub mod enter;
pub mod entry;
mod gates;
pub mod layout;
mod trap;
mod unwind;
#[cfg_attr(feature = "malta", path = "mips32/vectors.rs")]
mod vectors;
#[cfg_attr(feature = "malta", path = "mips32/ways.rs")]
mod ways;

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

/// Makes the kernel's own record the current one, for the time until the first program runs.
pub fn make_current(own: &mut layout::Record) {
    let current = (layout::KERNEL_PAGES + layout::global::CURRENT) as *mut u32;
    // SAFETY: that word is kept for this purpose, behind the record's fields.
    unsafe { current.write_volatile(&raw mut *own as u32) }
}

impl layout::Record {
    /// The save page beside this record.
    pub fn save_page(&mut self) -> &mut aegis_abi::exception::SavePage {
        let record: *mut layout::Record = self;
        // SAFETY: records exist only as the first part of `Pages`. The program does not run, so nobody else writes to
        // the page.
        unsafe { &mut (*record.cast::<layout::Pages>()).save }
    }
}
