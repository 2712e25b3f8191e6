//! Coprocessor 0 of MIPS32: the registers that tell about exceptions, and the TLB, behind the interface that the
//! R3000's has.
//!
//! A TLB entry maps a pair of pages, an even one and the odd one behind it. What is entered here is one page; the other
//! half of its pair is taken from the software TLB, and is invalid if that does not hold it. An access to an invalid
//! half comes through the general vector, where it is treated as the miss that it is (`vectors`).

use super::layout::STLB_DISTANCE;
use aegis_abi::vm::entry_lo;
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
        /// Interrupt 0, software's, is let through.
        const IM0 = 1 << 8;
        /// Interrupt 2, Ethernet's, is let through.
        const IM2 = 1 << 10;
        /// Interrupt 7, the timer's, is let through.
        const IM7 = 1 << 15;
    }
}

bitflags::bitflags! {
    /// Cause.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Cause: u32 {
        /// Interrupt 0, software's, is asking.
        const IP0 = 1 << 8;
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
        /// Not cached.
        const UNCACHED = 2 << 3;
        /// The frame.
        const FRAME = 0x03ff_ffc0;
    }
}

impl EntryLo {
    /// How far the frame's number is shifted left.
    pub const FRAME_SHIFT: u32 = 6;

    /// A cached page in the frame at the physical address `frame`.
    pub fn page(frame: u32, writable: bool) -> Self {
        let dirty = if writable { Self::DIRTY } else { Self::empty() };
        Self::from_bits_retain(frame >> 6) | Self::VALID | Self::CACHED | dirty
    }

    /// From what programs write: bits of `aegis_abi::vm::entry_lo`. Never global.
    pub fn from_program(word: u32) -> Self {
        let bits = [(entry_lo::VALID, Self::VALID), (entry_lo::DIRTY, Self::DIRTY)];
        let set = bits.into_iter().filter(|&(bit, _)| word & bit != 0).map(|(_, set)| set).collect();
        let cached = if word & entry_lo::UNCACHED == 0 { Self::CACHED } else { Self::UNCACHED };
        Self::from_bits_retain((word & entry_lo::FRAME) >> 6) | cached | set
    }

    /// As programs read it.
    pub fn to_program(self) -> u32 {
        let bits = [(entry_lo::VALID, Self::VALID), (entry_lo::DIRTY, Self::DIRTY)];
        let set: u32 = bits.into_iter().filter(|&(_, bit)| self.contains(bit)).map(|(set, _)| set).sum();
        let uncached = if self.contains(Self::CACHED) { 0 } else { entry_lo::UNCACHED };
        self.frame() << 12 | uncached | set
    }

    /// The number of its frame.
    pub fn frame(self) -> u32 {
        self.bits() >> 6 & 0xf_ffff
    }

    /// Without the rights that are clear in `rights`, a word as programs write it.
    pub fn restricted(self, rights: u32) -> Self {
        Self::from_program(self.to_program() & (rights | !(entry_lo::VALID | entry_lo::DIRTY)))
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

/// Has interrupt 0, which is software's, ask, or not any more. It comes when the kernel is left.
pub fn ask(asking: bool) {
    let mut cause = cause();
    cause.set(Cause::IP0, asking);
    // SAFETY: what else software can write to is as it was, and the kernel runs with interrupts off.
    unsafe { write!(13, 0, cause.bits()) }
}

/// Status.
pub fn status() -> u32 {
    read!(12, 0)
}

/// Random: which entry of the TLB would be replaced next.
pub fn random() -> u32 {
    read!(1, 0)
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

/// Sets Status: of a program that will run when the kernel is left. Here every program has the same, which the way out
/// of the kernel sets.
///
/// # Safety
/// It is an environment's.
pub unsafe fn set_status(_: Status) {}

/// Sets EntryHi: which context id addresses are looked up with.
///
/// # Safety
/// The kernel itself uses no mapped address; the program that runs next has this context id.
pub unsafe fn set_entry_hi(entry_hi: u32) {
    // SAFETY: the caller's.
    unsafe { write!(10, 0, entry_hi) }
}

/// What the software TLB's entry for the page of `address` has as its tag, for a context id as in `entry_hi`.
pub fn tag(address: u32, entry_hi: u32) -> u32 {
    address >> 12 << 12 | entry_hi
}

/// Where in the TLB the pair of the page with this tag is, and leaves EntryHi so.
fn find(tag: u32) -> Option<u32> {
    let found: i32;
    // SAFETY: the kernel uses no mapped address.
    unsafe {
        write!(10, 0, tag & !ODD);
        asm!(".set noreorder", "tlbp", ".word 0x000000c0", "mfc0 {0}, $0", out(reg) found, options(nostack, preserves_flags));
    }
    u32::try_from(found).ok()
}

/// What an entry of the TLB maps: the tag of its even page, and the EntryLo of both; changes EntryHi.
fn read_entry(entry: u32) -> (u32, [EntryLo; 2]) {
    let (even, odd): (u32, u32);
    // SAFETY: as in `find`.
    unsafe {
        write!(0, 0, entry);
        asm!(".set noreorder", "tlbr", ".word 0x000000c0", "mfc0 {0}, $2", "mfc0 {1}, $3", out(reg) even, out(reg) odd,
             options(nostack, preserves_flags));
    }
    (entry_hi(), [EntryLo::from_bits_retain(even), EntryLo::from_bits_retain(odd)])
}

/// Writes an entry of the TLB, or a random one; changes EntryHi.
///
/// # Safety
/// No other entry is for this pair. Its owner may use the frames so.
unsafe fn write_entry(entry: Option<u32>, entry_hi: u32, [even, odd]: [EntryLo; 2]) {
    // SAFETY: the caller's. No `nomem`: the mapping changes what memory there is.
    unsafe {
        write!(10, 0, entry_hi);
        write!(2, 0, even.bits());
        write!(3, 0, odd.bits());
        match entry {
            Some(entry) => {
                write!(0, 0, entry);
                asm!("tlbwi", ".word 0x000000c0", options(nostack, preserves_flags));
            }
            None => asm!("tlbwr", ".word 0x000000c0", options(nostack, preserves_flags)),
        }
    }
}

/// Makes an entry of the TLB stand for a pair of pages of kseg0, which is never looked up: for each entry another.
fn clear_entry(entry: u32) {
    // SAFETY: no program can use these pages.
    unsafe { write_entry(Some(entry), 0x8000_0000 + (entry << 13), [EntryLo::empty(); 2]) }
}

/// Does something that changes EntryHi, and sets it back.
fn keeping_entry_hi<R>(work: impl FnOnce() -> R) -> R {
    let entry_hi = entry_hi();
    let result = work();
    // SAFETY: it was so.
    unsafe { set_entry_hi(entry_hi) };
    result
}

/// Enters a page into the TLB: `tag` is its entry's tag in the software TLB, which has been written. The other page of
/// its pair is what the software TLB has.
///
/// # Safety
/// The environment whose context id the tag names may use `entry_lo`'s frame in the way that it allows.
pub unsafe fn tlb_write(tag: *const u32, entry_lo: EntryLo) {
    // SAFETY: the caller's; entries for the pages of a pair are neighbours, at addresses that differ in one bit.
    keeping_entry_hi(|| unsafe {
        let this = tag.read_volatile();
        let neighbour = (tag as u32 ^ 4) as *const u32;
        let other_lo = if neighbour.read_volatile() == this ^ ODD {
            EntryLo::from_bits_retain(neighbour.byte_add(STLB_DISTANCE as usize).read_volatile())
        } else {
            EntryLo::empty()
        };
        let pair = if this & ODD == 0 { [entry_lo, other_lo] } else { [other_lo, entry_lo] };
        write_entry(find(this), this & !ODD, pair);
    });
}

/// Deletes the page with this tag from the TLB, and with it the other one of its pair.
pub fn tlb_delete(tag: u32) {
    keeping_entry_hi(|| {
        if let Some(entry) = find(tag) {
            clear_entry(entry);
        }
    });
}

/// What the TLB maps the page with this tag to.
pub fn tlb_probe(tag: u32) -> Option<EntryLo> {
    let entry_lo = keeping_entry_hi(|| find(tag).map(|entry| read_entry(entry).1[usize::from(tag & ODD != 0)]));
    entry_lo.filter(|entry_lo| entry_lo.contains(EntryLo::VALID))
}

/// Deletes all entries of the TLB.
pub fn tlb_delete_all() {
    tlb_delete_where(|_, _| true);
}

/// Deletes all entries of the TLB for which `which` says so of either page; it is given the tag and the EntryLo.
pub fn tlb_delete_where(mut which: impl FnMut(u32, EntryLo) -> bool) {
    keeping_entry_hi(|| {
        for entry in 0..tlb_entries() {
            let (tag, [even, odd]) = read_entry(entry);
            let mut delete = |tag, entry_lo: EntryLo| entry_lo.contains(EntryLo::VALID) && which(tag, entry_lo);
            if (tag as i32) >= 0 && delete(tag, even) | delete(tag | ODD, odd) {
                clear_entry(entry);
            }
        }
    });
}

/// Deletes all entries of the TLB that map a frame.
pub fn tlb_delete_frame(frame: u32) {
    tlb_delete_where(|_, entry_lo| entry_lo.frame() == frame);
}

/// Deletes all entries of the TLB.
pub fn tlb_clear() {
    tlb_delete_where(|_, _| true);
}

/// Entries of the TLB.
pub fn tlb_entries() -> u32 {
    (read!(16, 1) >> 25 & 0x3f) + 1
}

/// What one of the [`tlb_entries`] maps: tag and EntryLo of both pages.
pub fn tlb_read(entry: u32) -> [(u32, EntryLo); 2] {
    let (tag, [even, odd]) = keeping_entry_hi(|| read_entry(entry));
    [(tag, even), (tag | ODD, odd)]
}

/// Frames are flushed one by one: each has a colour of its own.
pub const INSTRUCTION_COLOURS: u32 = aegis_abi::frame::COUNT as u32;

/// Makes the instruction cache forget `bytes` bytes of physical memory from `start` on; both are multiples of 32. The
/// data cache writes back what it has of them.
pub fn flush_instructions(start: u32, bytes: u32) {
    for line in (start..start + bytes).step_by(16) {
        // SAFETY: no contents of memory change. D-cache hit writeback invalidate, I-cache hit invalidate.
        unsafe {
            asm!(".set push", ".set mips32", "cache 0x15, 0({0})", "cache 0x10, 0({0})", ".set pop",
                 in(reg) 0x8000_0000 + line, options(nostack, preserves_flags));
        }
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
    // No program runs yet.
    for entry in 0..tlb_entries() {
        clear_entry(entry);
    }
}
