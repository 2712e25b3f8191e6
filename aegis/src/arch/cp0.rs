//! Coprocessor 0: the registers that tell about exceptions, and the TLB. Names are the R3000 manual's.

use super::layout::STLB_DISTANCE;
use core::arch::asm;

bitflags::bitflags! {
    /// Status. KU is the mode (set: user) and IE whether interrupts are on, each three deep: current, previous, old.
    /// An exception pushes; `rfe` pops.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Status: u32 {
        /// Interrupts are on.
        const IEC = 1 << 0;
        /// User mode.
        const KUC = 1 << 1;
        /// Interrupts were on.
        const IEP = 1 << 2;
        /// User mode, before the exception.
        const KUP = 1 << 3;
        /// Interrupts were on, before the exception before.
        const IEO = 1 << 4;
        /// User mode, before the exception before.
        const KUO = 1 << 5;
        /// Interrupt 2 is let through.
        const IM2 = 1 << 10;
        /// Interrupt 3 is let through.
        const IM3 = 1 << 11;
    }
}

bitflags::bitflags! {
    /// Cause.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Cause: u32 {
        /// Interrupt 2 is asking.
        const IP2 = 1 << 10;
        /// Interrupt 3 is asking.
        const IP3 = 1 << 11;
        /// EPC is a branch, and the exception was in its delay slot.
        const BD = 1 << 31;
        const _ = !0;
    }
}

impl Cause {
    /// The exception's code.
    pub fn code(self) -> u32 {
        self.bits() >> 2 & 0x1f
    }
}

bitflags::bitflags! {
    /// EntryLo: a frame, and what may be done with it.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct EntryLo: u32 {
        /// The entry holds for every context id.
        const GLOBAL = 1 << 8;
        /// It holds at all.
        const VALID = 1 << 9;
        /// Stores are allowed (*dirty*).
        const DIRTY = 1 << 10;
        /// It is not to be cached.
        const UNCACHED = 1 << 11;
        /// The frame.
        const FRAME = 0xffff_f000;
    }
}

impl EntryLo {
    /// A cached page in the frame at the physical address `frame`.
    pub fn page(frame: u32, writable: bool) -> Self {
        let dirty = if writable { Self::DIRTY } else { Self::empty() };
        Self::from_bits_retain(frame) | Self::VALID | dirty
    }
}

/// How far the context id (PID) is shifted left in EntryHi.
pub const CONTEXT_ID_SHIFT: u32 = 6;

/// Reads a register of coprocessor 0.
macro_rules! read {
    ($register:literal) => {{
        let value: u32;
        // SAFETY: reading these registers has no effect. The nop is the delay of mfc0: its result is not there for the
        // next instruction.
        unsafe {
            asm!(".set noreorder", ".set noat", concat!("mfc0 {0}, $", $register), "nop", out(reg) value,
                 options(nostack, preserves_flags));
        }
        value
    }};
}

/// Cause.
pub fn cause() -> Cause {
    Cause::from_bits_retain(read!(13))
}

/// Status.
pub fn status() -> u32 {
    read!(12)
}

/// Where the exception was.
pub fn epc() -> u32 {
    read!(14)
}

/// The address that an address error or a TLB miss was about.
pub fn bad_vaddr() -> u32 {
    read!(8)
}

/// EntryHi: after a TLB miss, the page and context id that were missed.
pub fn entry_hi() -> u32 {
    read!(10)
}

/// Enters the page that was missed last: into the software TLB, where `tag` is its entry's tag, and into the TLB.
///
/// # Safety
/// `tag` is the tag of the software TLB's entry for the page and context id that EntryHi names, the TLB does not hold these (two entries
/// for one page shut an R3000 down), and the context's owner may use `entry_lo`'s frame in the way that it allows.
pub unsafe fn tlb_enter(tag: *mut u32, entry_lo: EntryLo) {
    // SAFETY: the caller's. No `nomem`: the mapping changes what memory there is. One instruction must separate mtc0 from tlbwr.
    unsafe {
        tag.write_volatile(entry_hi());
        tag.byte_add(STLB_DISTANCE as usize).write_volatile(entry_lo.bits());
        asm!(".set noreorder", ".set noat", "mtc0 {0}, $2", "nop", "tlbwr", in(reg) entry_lo.bits(), options(nostack, preserves_flags));
    }
}

/// Sets Context's PTEBase to 0, which the refill handler relies on, and invalidates the whole TLB: each entry stands for a page of
/// kseg0, which is never looked up, one page an entry.
pub fn initialise() {
    // SAFETY: only the refill handler reads it.
    unsafe { asm!("mtc0 $zero, $4", options(nostack, preserves_flags)) }
    for index in 0..64_u32 {
        // SAFETY: the kernel itself uses no mapped address, and no program runs yet. An instruction stands between each mtc0 and tlbwi.
        unsafe {
            asm!(
                ".set noreorder",
                ".set noat",
                "mtc0 {index}, $0",
                "mtc0 {high}, $10",
                "mtc0 $zero, $2",
                "nop",
                "tlbwi",
                index = in(reg) index << 8,
                high = in(reg) 0x8000_0000 + (index << 12),
                options(nostack, preserves_flags)
            );
        }
    }
}
