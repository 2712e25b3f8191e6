//! The Rust side of the joins with assembly: turns what assembly passes into references, once, and calls safe code.

use super::cp0;
use super::layout::{FaultFrame, Frame, KERNEL_PAGES, Record};
use crate::kernel::Kernel;
use aegis_abi::EnvId;
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;

/// A static that is used without a lock.
#[repr(transparent)]
pub struct Static<T>(UnsafeCell<T>);

// SAFETY: there is one processor, and the kernel runs with interrupts off from its entry to its exit: nothing is ever concurrent.
unsafe impl<T> Sync for Static<T> {}

impl<T> Static<T> {
    /// One that holds `value`.
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// What it holds.
    ///
    /// # Safety
    /// There is no other reference to it as long as this one is used.
    #[expect(clippy::mut_from_ref, reason = "the caller sees to it that there is only one")]
    pub unsafe fn get(&'static self) -> &'static mut T {
        // SAFETY: the caller's.
        unsafe { &mut *self.0.get() }
    }
}

static KERNEL: Static<MaybeUninit<Kernel>> = Static(UnsafeCell::new(MaybeUninit::uninit()));

/// Bytes of the stack for reporting a fault of the kernel.
pub const FAULT_STACK_BYTES: u32 = 4096;
/// The stack for reporting a fault of the kernel, whose own may be what is broken.
pub static FAULT_STACK: Static<MaybeUninit<[u64; FAULT_STACK_BYTES as usize / 8]>> =
    Static(UnsafeCell::new(MaybeUninit::uninit()));
/// The registers at a fault of the kernel.
pub static FAULT_FRAME: Static<FaultFrame> = Static(UnsafeCell::new(FaultFrame { registers: [0; 32], hi: 0, lo: 0 }));

/// Puts the kernel's state in its place.
///
/// # Safety
/// Called once, before any program runs.
pub unsafe fn install(kernel: Kernel) -> &'static mut Kernel {
    // SAFETY: the caller's: nobody has a reference to the state yet.
    unsafe { (*KERNEL.0.get()).write(kernel) }
}

/// The kernel's state.
///
/// # Safety
/// Called once on each way into the kernel, after `install`, so that there is never a second reference: the kernel is not re-entered, and each
/// way out of it (a return to assembly, or `enter`) ends the life of the first.
unsafe fn kernel() -> &'static mut Kernel {
    // SAFETY: the caller's.
    unsafe { (*super::opaque(KERNEL.0.get())).assume_init_mut() }
}

/// Makes a program's call with the kernel's state and the caller's id.
///
/// # Safety
/// Only from a function that a gate calls, with the record that the gate passed.
pub unsafe fn with_kernel<R>(record: *const Record, call: impl FnOnce(&mut Kernel, EnvId) -> R) -> R {
    // SAFETY: a gate is a way into the kernel; the record was current, so it is a living environment's.
    unsafe { call(kernel(), EnvId((*record).id)) }
}

/// The environment that was interrupted.
///
/// # Safety
/// Assembly has filled the frame in.
unsafe fn interrupted(frame: &Frame) -> EnvId {
    // SAFETY: the record was current, so it is a living environment's.
    EnvId(unsafe { (*(frame.record as *const Record)).id })
}

/// A miss of the software TLB: whether it was mended. 0 sends the exception to the program.
pub unsafe extern "C" fn software_tlb_miss(frame: &mut Frame) -> u32 {
    // SAFETY: assembly passes its frame, and this is a way into the kernel.
    unsafe { u32::from(kernel().software_tlb_miss(interrupted(frame))) }
}

/// An interrupt. Goes on as the frame says when it returns.
pub unsafe extern "C" fn interrupt(frame: &mut Frame) {
    // SAFETY: as for `software_tlb_miss`.
    unsafe { kernel().interrupt(interrupted(frame), frame) }
}

/// A transfer or a primitive operation. Goes on as the frame says when it returns.
pub unsafe extern "C" fn primitive(frame: &mut Frame) {
    // SAFETY: as for `software_tlb_miss`.
    unsafe { kernel().primitive(interrupted(frame), frame) }
}

/// An exception that the program has no handler for.
pub unsafe extern "C" fn no_handler(frame: &mut Frame) -> ! {
    // SAFETY: as for `software_tlb_miss`.
    unsafe { kernel().no_handler(interrupted(frame)) }
}

/// A fault in the kernel: a bug.
pub unsafe extern "C" fn kernel_fault(frame: &FaultFrame) -> ! {
    crate::panic::fault(frame, cp0::cause(), cp0::epc(), cp0::bad_vaddr())
}

/// Ends the run at once.
pub unsafe extern "C" fn finish() -> ! {
    // SAFETY: this is a way into the kernel like the others.
    unsafe { kernel().finish() }
}

/// The kernel's own record, for the time before the first program runs.
///
/// # Safety
/// Only while the kernel starts.
pub unsafe fn kernel_record() -> &'static mut Record {
    // SAFETY: the linker script keeps these pages for it, the loader zeroed them, and all zero is a valid record but for its
    // mappings, an empty vector, which all zero also is.
    unsafe { &mut *(KERNEL_PAGES as *mut Record) }
}
