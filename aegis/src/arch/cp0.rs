//! Coprocessor 0: the registers that tell about exceptions, and the TLB. Names are the R3000 manual's.

use super::entry::Static;
use aegis_abi::vm::PAGE_BYTES;
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
        /// Interrupt 0, software's, is let through.
        const IM0 = 1 << 8;
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
        /// Interrupt 0, software's, is asking.
        const IP0 = 1 << 8;
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
    /// How far the frame's number is shifted left.
    pub const FRAME_SHIFT: u32 = 12;

    /// A cached page in the frame at the physical address `frame`.
    pub fn page(frame: u32, writable: bool) -> Self {
        let dirty = if writable { Self::DIRTY } else { Self::empty() };
        Self::from_bits_retain(frame) | Self::VALID | dirty
    }

    /// From what programs write: bits of `aegis_abi::vm::entry_lo`, which are this machine's. Never global.
    pub fn from_program(word: u32) -> Self {
        Self::from_bits_retain(word & (Self::FRAME | Self::VALID | Self::DIRTY | Self::UNCACHED).bits())
    }

    /// As programs read it.
    pub fn to_program(self) -> u32 {
        self.bits()
    }

    /// The number of its frame.
    pub fn frame(self) -> u32 {
        self.bits() >> 12
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

/// Cycles of a round of [`wait`], whose code is in the instruction cache from the second on.
pub const ROUND: u32 = 7;

/// Waits until one of some interrupts asks, for so many rounds at most; how many are left.
pub fn wait(interrupts: Cause, mut rounds: u32) -> u32 {
    // SAFETY: reading Cause has no effect. Behind mfc0 stands the instruction that is its delay.
    unsafe {
        asm!(
            ".set noreorder",
            ".set noat",
            "2:",
            "mfc0 {cause}, $13",
            "addiu {rounds}, {rounds}, -1",
            "and {cause}, {cause}, {interrupts}",
            "bne {cause}, $zero, 3f",
            "nop",
            "bne {rounds}, $zero, 2b",
            "nop",
            "3:",
            cause = out(reg) _,
            rounds = inout(reg) rounds,
            interrupts = in(reg) interrupts.bits(),
            options(nostack)
        )
    }
    rounds
}

/// Has interrupt 0, which is software's, ask, or not any more. It comes when the kernel is left.
pub fn ask(asking: bool) {
    let cause = if asking { Cause::IP0.bits() } else { 0 };
    // SAFETY: software can write to nothing of Cause but its two interrupts, and the kernel runs with all of them off.
    unsafe {
        asm!(".set noreorder", ".set noat", "mtc0 {0}, $13", "nop", in(reg) cause, options(nostack, preserves_flags))
    }
}

/// Status.
pub fn status() -> u32 {
    read!(12)
}

/// Random: which entry of the TLB would be replaced next.
pub fn random() -> u32 {
    read!(1)
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

/// Sets Status: of a program that will run when the kernel is left.
///
/// # Safety
/// It is an environment's: with the current mode kernel and interrupts off.
pub unsafe fn set_status(status: Status) {
    // SAFETY: the caller's.
    unsafe {
        asm!(".set noreorder", ".set noat", "mtc0 {0}, $12", "nop", in(reg) status.bits(), options(nostack, preserves_flags))
    }
}

/// Sets EntryHi: which context id addresses are looked up with.
///
/// # Safety
/// The kernel itself uses no mapped address; the program that runs next has this context id.
pub unsafe fn set_entry_hi(entry_hi: u32) {
    // SAFETY: the caller's.
    unsafe {
        asm!(".set noreorder", ".set noat", "mtc0 {0}, $10", "nop", in(reg) entry_hi, options(nostack, preserves_flags))
    }
}

/// What the software TLB's entry for the page of `address` has as its tag, for a context id as in `entry_hi`.
pub fn tag(address: u32, entry_hi: u32) -> u32 {
    address >> 12 << 12 | entry_hi
}

/// Entries of the TLB.
pub fn tlb_entries() -> u32 {
    64
}

/// Index, as software writes it, for an entry of the TLB.
fn index(entry: u32) -> u32 {
    entry << 8
}

/// Where in the TLB `entry_hi` is, and leaves EntryHi so.
fn find(entry_hi: u32) -> Option<u32> {
    let found: i32;
    // SAFETY: the kernel uses no mapped address. An instruction stands between mtc0 and tlbp, and between tlbp and mfc0.
    unsafe {
        asm!(".set noreorder", ".set noat", "mtc0 {0}, $10", "nop", "tlbp", "nop", "mfc0 {0}, $0", "nop",
             inout(reg) entry_hi => found, options(nostack, preserves_flags));
    }
    u32::try_from(found).ok().map(|found| found >> 8)
}

/// What an entry of the TLB maps; changes EntryHi.
fn read_entry(entry: u32) -> (u32, EntryLo) {
    let (high, low): (u32, u32);
    // SAFETY: as in `find`.
    unsafe {
        asm!(".set noreorder", ".set noat", "mtc0 {0}, $0", "nop", "tlbr", "nop", "mfc0 {0}, $10", "mfc0 {1}, $2", "nop",
             inout(reg) index(entry) => high, out(reg) low, options(nostack, preserves_flags));
    }
    (high, EntryLo::from_bits_retain(low))
}

/// Writes an entry of the TLB; changes EntryHi.
///
/// # Safety
/// No other entry is for `entry_hi`: two shut an R3000 down. Its owner may use the frame so.
unsafe fn write_entry(entry: u32, entry_hi: u32, entry_lo: EntryLo) {
    // SAFETY: the caller's. No `nomem`: the mapping changes what memory there is. An instruction stands between each mtc0 and tlbwi.
    unsafe {
        asm!(".set noreorder", ".set noat", "mtc0 {0}, $0", "mtc0 {1}, $10", "mtc0 {2}, $2", "nop", "tlbwi",
             in(reg) index(entry), in(reg) entry_hi, in(reg) entry_lo.bits(), options(nostack, preserves_flags));
    }
}

/// The entry that makes room, all in turn. The hardware's own choice, `tlbwr`, depends on the count of cycles: two pages that
/// a program needs for one instruction, and whose misses take as long each time, could drive each other out for ever.
fn victim() -> u32 {
    static NEXT: Static<u32> = Static::new(0);
    // SAFETY: nobody else refers to it.
    let next = unsafe { NEXT.get() };
    *next = (*next + 1) % tlb_entries();
    *next
}

/// Makes an entry of the TLB stand for a page of kseg0, which is never looked up: for each entry another.
fn clear_entry(entry: u32) {
    // SAFETY: no program can use that page.
    unsafe { write_entry(entry, 0x8000_0000 + (entry << 12), EntryLo::empty()) }
}

/// Does something that changes EntryHi, and sets it back.
fn keeping_entry_hi<R>(work: impl FnOnce() -> R) -> R {
    let entry_hi = entry_hi();
    let result = work();
    // SAFETY: it was so.
    unsafe { set_entry_hi(entry_hi) };
    result
}

/// Enters a page into the TLB: `tag` is its entry's tag in the software TLB, which has been written.
///
/// # Safety
/// The environment whose context id the tag names may use `entry_lo`'s frame in the way that it allows.
pub unsafe fn tlb_write(tag: *const u32, entry_lo: EntryLo) {
    // SAFETY: the caller's; the tag is in the software TLB.
    keeping_entry_hi(|| unsafe {
        let entry_hi = tag.read_volatile();
        write_entry(find(entry_hi).unwrap_or_else(victim), entry_hi, entry_lo);
    });
}

/// Deletes the page with this tag from the TLB.
pub fn tlb_delete(tag: u32) {
    keeping_entry_hi(|| {
        if let Some(entry) = find(tag) {
            clear_entry(entry);
        }
    });
}

/// What the TLB maps the page with this tag to.
pub fn tlb_probe(tag: u32) -> Option<EntryLo> {
    keeping_entry_hi(|| find(tag).map(|entry| read_entry(entry).1))
}

/// Deletes all entries of the TLB.
pub fn tlb_delete_all() {
    keeping_entry_hi(|| (0..tlb_entries()).for_each(clear_entry));
}

/// Deletes all entries of the TLB for which `which` says so; it is given the tag and the EntryLo.
pub fn tlb_delete_where(mut which: impl FnMut(u32, EntryLo) -> bool) {
    keeping_entry_hi(|| {
        for entry in 0..tlb_entries() {
            let (tag, entry_lo) = read_entry(entry);
            if (tag as i32) >= 0 && which(tag, entry_lo) {
                clear_entry(entry);
            }
        }
    });
}

/// Deletes all entries of the TLB that map a frame, which is none of the first. At 16 instructions for two: the index
/// of the next is written while an EntryLo is on its way.
pub fn tlb_delete_frame(frame: u32) {
    keeping_entry_hi(|| {
        let mut from = 0;
        while from < index(tlb_entries()) {
            let mut at = from;
            let found: u32;
            // SAFETY: the kernel uses no mapped address. An instruction stands between mtc0 and tlbr, and between tlbr
            // and mfc0. What differs in nothing but the bits below the frame's number is less than its lowest bit.
            unsafe {
                asm!(
                    ".set noreorder",
                    ".set noat",
                    "mtc0 {at}, $0",
                    "addiu {at}, {at}, {next}",
                    "2:",
                    "tlbr",
                    "nop",
                    "mfc0 {first}, $2",
                    "mtc0 {at}, $0",
                    "xor {first}, {first}, {wanted}",
                    "tlbr",
                    "addiu {at}, {at}, {next}",
                    "mfc0 {second}, $2",
                    "mtc0 {at}, $0",
                    "xor {second}, {second}, {wanted}",
                    "sltiu {first}, {first}, {low}",
                    "sltiu {second}, {second}, {low}",
                    "or {first}, {first}, {second}",
                    "bne {first}, $zero, 3f",
                    " addiu {at}, {at}, {next}",
                    "bne {at}, {end}, 2b",
                    " nop",
                    "3:",
                    at = inout(reg) at,
                    first = out(reg) found,
                    second = out(reg) _,
                    wanted = in(reg) frame << EntryLo::FRAME_SHIFT,
                    end = in(reg) index(tlb_entries() + 1),
                    next = const 1 << 8,
                    low = const 1 << EntryLo::FRAME_SHIFT,
                    options(nostack, preserves_flags)
                );
            }
            // It is one ahead of the next two.
            from = at - index(1);
            if found != 0 {
                let looked_at = (from >> 8) - 2..from >> 8;
                looked_at.filter(|&entry| read_entry(entry).1.frame() == frame).for_each(clear_entry);
            }
        }
    });
}

/// Deletes all entries of the TLB. At 5 instructions each that is less than to look at each.
pub fn tlb_clear() {
    keeping_entry_hi(|| {
        // SAFETY: each entry stands for a page of kseg0 of its own, as in `clear_entry`. An instruction stands between
        // each mtc0 and tlbwi.
        unsafe {
            asm!(
                ".set noreorder",
                ".set noat",
                "mtc0 $zero, $2",
                "2:",
                ".rept 4",
                "mtc0 {index}, $0",
                "mtc0 {high}, $10",
                "addiu {index}, {index}, {next}",
                "tlbwi",
                "addiu {high}, {high}, 0x1000",
                ".endr",
                "bne {high}, {end}, 2b",
                " nop",
                index = inout(reg) 0 => _,
                high = inout(reg) 0x8000_0000_u32 => _,
                end = in(reg) 0x8000_0000_u32 + (64 << 12),
                next = const 1 << 8,
                options(nostack, preserves_flags)
            );
        }
    });
}

/// What one of the [`tlb_entries`] maps: tag and EntryLo.
pub fn tlb_read(entry: u32) -> [(u32, EntryLo); 1] {
    [keeping_entry_hi(|| read_entry(entry))]
}

/// Frames whose numbers differ by a multiple of this have their lines of the instruction cache in the same places, so that
/// one that is flushed takes the others' with it.
pub const INSTRUCTION_COLOURS: u32 = crate::machine::CACHE_BYTES / PAGE_BYTES;

/// Makes the instruction cache forget `bytes` bytes of physical memory from `start` on; both are multiples of 32.
///
/// Cached stores with the caches swapped and the data cache isolated invalidate a word of the instruction cache each; the
/// data cache serves the fetches meanwhile.
pub fn flush_instructions(start: u32, bytes: u32) {
    // SAFETY: neither memory nor the data cache's contents change. The nops are the time that Status needs to take effect,
    // before the first store and behind the last. `bytes` is not 0.
    unsafe {
        asm!(
            ".set noreorder",
            ".set noat",
            "mtc0 {caches}, $12",
            "nop", "nop", "nop",
            "2:",
            "sb $zero, 0({at})", "sb $zero, 4({at})", "sb $zero, 8({at})", "sb $zero, 12({at})",
            "sb $zero, 16({at})", "sb $zero, 20({at})", "sb $zero, 24({at})", "sb $zero, 28({at})",
            "addiu {at}, {at}, 32",
            "bne {at}, {end}, 2b",
            " nop",
            "nop", "nop",
            "mtc0 {status}, $12",
            "nop", "nop", "nop",
            caches = in(reg) 0x0003_0000,          // SwC and IsC; kernel mode, interrupts off
            status = in(reg) status(),
            at = inout(reg) 0x8000_0000 + start => _,
            end = in(reg) 0x8000_0000 + start + bytes,
            options(nostack, preserves_flags)
        );
    }
}

/// Sets Context's PTEBase to 0, which the refill handler relies on, and invalidates the whole TLB: each entry stands for a page of
/// kseg0, which is never looked up, one page an entry.
pub fn initialise() {
    // SAFETY: only the refill handler reads it.
    unsafe { asm!("mtc0 $zero, $4", options(nostack, preserves_flags)) }
    // No program runs yet.
    for entry in 0..tlb_entries() {
        clear_entry(entry);
    }
}
