//! Coprocessor 0 of MIPS32: the registers that tell about exceptions, and the TLB, behind the interface that the
//! R3000's has.
//!
//! A TLB entry maps a pair of pages, an even one and the odd one behind it. What is entered here is one page; the other
//! half of its pair is taken from the software TLB, and is invalid if that does not hold it. An access to an invalid
//! half comes through the general vector, where it is treated as the miss that it is (`vectors`).

use super::layout::STLB_DISTANCE;
use core::arch::asm;

bitflags::bitflags! {
    /// Status. An exception sets EXL, which stands for kernel mode with interrupts off whatever the other bits say;
    /// `eret` clears it.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Status: u32 {
        /// Interrupts are on.
        const IE = 1 << 0;
        /// An exception is being taken.
        const EXL = 1 << 1;
        /// User mode.
        const UM = 1 << 4;
        /// Interrupt 7, the timer's, is let through.
        const IM7 = 1 << 15;
    }
}

bitflags::bitflags! {
    /// Cause.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Cause: u32 {
        /// Interrupt 7, the timer's, is asking.
        const IP7 = 1 << 15;
        const _ = !0;
    }
}

impl Cause {
    /// The bits that an R3000 has, too: BD, CE, IP and ExcCode. Programs are shown no others.
    pub const COMMON: u32 = 0xb000_ff7c;

    /// The exception's code.
    pub fn code(self) -> u32 {
        self.bits() >> 2 & 0x1f
    }
}

bitflags::bitflags! {
    /// EntryLo: a frame, and what may be done with it. One for each page of the pair.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct EntryLo: u32 {
        /// It holds at all.
        const VALID = 1 << 1;
        /// Stores are allowed (*dirty*).
        const DIRTY = 1 << 2;
        /// Cached, not coherent with other processors, of which there are none.
        const CACHED = 3 << 3;
        /// The frame.
        const FRAME = 0x03ff_ffc0;
    }
}

impl EntryLo {
    /// A cached page in the frame at the physical address `frame`.
    pub fn page(frame: u32, writable: bool) -> Self {
        let dirty = if writable { Self::DIRTY } else { Self::empty() };
        Self::from_bits_retain(frame >> 6) | Self::VALID | Self::CACHED | dirty
    }
}

/// How far the context id (ASID) is shifted left in EntryHi.
pub const CONTEXT_ID_SHIFT: u32 = 0;

/// The bit of an address that says which page of its pair it is in. EntryHi lacks it; the tags of the software TLB have
/// it.
pub const ODD: u32 = 0x1000;

/// Reads a register of coprocessor 0: its number, and where there are several of that number, which of them.
macro_rules! read {
    ($register:literal, $select:literal) => {{
        let value: u32;
        // SAFETY: reading these registers has no effect.
        unsafe {
            asm!(".set push", ".set noreorder", ".set noat", ".set mips32", concat!("mfc0 {0}, $", $register, ", ", $select), ".set pop",
                 out(reg) value, options(nostack, preserves_flags));
        }
        value
    }};
}

/// Writes one. `ehb` waits until the write has taken effect; on a 4Kc, which has no such instruction, it is a `nop`,
/// and enough.
macro_rules! write {
    ($register:literal, $select:literal, $value:expr) => {
        asm!(".set push", ".set noreorder", ".set noat", ".set mips32", concat!("mtc0 {0}, $", $register, ", ", $select),
             ".word 0x000000c0", ".set pop", in(reg) $value, options(nostack, preserves_flags))
    };
}

/// Cause.
pub fn cause() -> Cause {
    Cause::from_bits_retain(read!(13, 0))
}

/// Status.
pub fn status() -> u32 {
    read!(12, 0)
}

/// Where the exception was.
pub fn epc() -> u32 {
    read!(14, 0)
}

/// The address that an address error or a TLB miss was about.
pub fn bad_vaddr() -> u32 {
    read!(8, 0)
}

/// EntryHi: after a TLB miss, the pair of pages and the context id that were missed.
pub fn entry_hi() -> u32 {
    read!(10, 0)
}

/// Count: a clock of the processor's, which wraps around.
pub fn count() -> u32 {
    read!(9, 0)
}

/// Lets the timer interrupt when Count gets to `at`, and takes its interrupt back if it is asking.
pub fn set_compare(at: u32) {
    // SAFETY: Compare does nothing else.
    unsafe { write!(11, 0, at) }
}

/// Enters the page that was missed last: into the software TLB, where `tag` is its entry's tag, and into the TLB.
///
/// # Safety
/// `tag` is the tag of the software TLB's entry for the page and context id, no exception was taken since the miss, and
/// the context's owner may use `entry_lo`'s frame in the way that it allows.
pub unsafe fn tlb_enter(tag: *mut u32, entry_lo: EntryLo) {
    let (pair, odd) = (entry_hi(), bad_vaddr() & ODD);
    // SAFETY: the entries for the pages of a pair are neighbours, at addresses that differ in one bit: the other page's
    // is in the table.
    let other_lo = unsafe {
        tag.write_volatile(pair | odd);
        tag.byte_add(STLB_DISTANCE as usize).write_volatile(entry_lo.bits());
        let other = (tag as u32 ^ 4) as *mut u32;
        let matches = other.read_volatile() == pair | (odd ^ ODD);
        if matches { other.byte_add(STLB_DISTANCE as usize).read_volatile() } else { 0 }
    };
    let (even_lo, odd_lo) = if odd == 0 { (entry_lo.bits(), other_lo) } else { (other_lo, entry_lo.bits()) };
    // SAFETY: for this page the caller's, for the other what was entered before. EntryHi names the pair; if the TLB has
    // it already, with an invalid half, that entry is replaced. No `nomem`: the mapping changes what memory there is.
    unsafe {
        asm!(
            ".set noreorder",
            ".set noat",
            "mtc0 {even}, $2",     // EntryLo0
            "mtc0 {odd}, $3",      // EntryLo1
            ".word 0x000000c0",    // ehb
            "tlbp",
            ".word 0x000000c0",    // ehb
            "mfc0 {even}, $0",     // Index: negative if there is none
            "nop",
            "bltz {even}, 1f",
            " nop",
            "tlbwi",
            "b    2f",
            " nop",
            "1: tlbwr",
            "2: .word 0x000000c0", // ehb
            even = inout(reg) even_lo => _,
            odd = in(reg) odd_lo,
            options(nostack, preserves_flags)
        );
    }
}

/// Makes all that reset leaves open what the kernel wants it to be, and the TLB empty: each entry stands for a pair of
/// pages of kseg0, which is never looked up, one pair an entry.
pub fn initialise() {
    /// Config: which release of the architecture this is, 0 for the first.
    const RELEASE: u32 = 7 << 10;
    let release = read!(16, 0) & RELEASE;
    // SAFETY: the kernel itself uses no mapped address, and no program runs yet. Registers that only a later release
    // has are written only there.
    unsafe {
        write!(4, 0, 0); // Context: PTEBase
        write!(5, 0, 0); // PageMask: pages of 4 KB
        write!(6, 0, 0); // Wired: all entries are replaced
        write!(13, 0, 0); // Cause: all interrupts through the general vector, Count runs
        if release != 0 {
            write!(7, 0, 0); // HWREna: programs read no registers of the hardware's
            write!(12, 1, 0); // IntCtl: no vectors for single interrupts
            write!(15, 1, 0x8000_0000_u32); // EBase: where the vectors are
        }
    }
    let last = read!(16, 1) >> 25 & 0x3f;
    for index in 0..=last {
        // SAFETY: as above.
        unsafe {
            asm!(
                ".set noreorder",
                ".set noat",
                "mtc0 {index}, $0",
                "mtc0 {high}, $10",
                "mtc0 $zero, $2",
                "mtc0 $zero, $3",
                ".word 0x000000c0", // ehb
                "tlbwi",
                ".word 0x000000c0", // ehb
                index = in(reg) index,
                high = in(reg) 0x8000_0000 + (index << 13),
                options(nostack, preserves_flags)
            );
        }
    }
}
