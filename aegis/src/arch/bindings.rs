//! Bindings of pages to frames: the software TLB, in unmapped memory, and the TLB, which caches it.
//!
//! The software TLB holds 4096 entries, direct-mapped: a tag, which is the EntryHi word of a page, and far behind it the EntryLo word. A
//! page's place is the low bits of its number, exclusive-or'ed with a hash of its context id (the paper's section 5.4).

use super::cp0::{self, CONTEXT_ID_SHIFT, EntryLo};
use super::layout::{KERNEL_PAGES, STLB, STLB_DISTANCE, STLB_HASH_MASK, STLB_INDEX_MASK};
use crate::machine;
use aegis_abi::ash;
use aegis_abi::network::{DESCRIPTORS, Descriptor, Installed};
use aegis_abi::vm::{PAGE_BYTES, PAGE_SHIFT};
use aegis_core::audit::Binding;
use aegis_core::contexts::ContextId;
use aegis_core::hardware::Hardware;

/// The tag of an entry that is not in use: no miss is ever about an address of the kernel's.
const UNUSED: u32 = KERNEL_PAGES;
/// Entries of the software TLB.
const ENTRIES: u32 = STLB_INDEX_MASK / 4 + 1;

/// From so many pages on it takes less to delete all entries of the TLB than to look for each page; what is still
/// needed the software TLB has.
const FEW: u32 = 16;

/// An addressing context as the hardware knows it: a context id and the hash that goes with it.
#[derive(Clone, Copy)]
pub struct Context {
    /// EntryHi without a page.
    pub entry_hi: u32,
    /// The software TLB's address, exclusive-or'ed with the hash.
    pub stlb: u32,
}

impl Context {
    /// The one with this id.
    #[inline(always)]
    pub fn new(ContextId(id): ContextId) -> Self {
        Self { entry_hi: u32::from(id) << CONTEXT_ID_SHIFT, stlb: STLB | (u32::from(id) << 8 & STLB_HASH_MASK) }
    }

    /// The address of the tag for the page of `address`.
    pub fn slot(self, address: u32) -> u32 {
        self.stlb ^ (address >> (PAGE_SHIFT - 2) & STLB_INDEX_MASK)
    }

    /// The tag for the page of `address`.
    pub fn tag(self, address: u32) -> u32 {
        cp0::tag(address, self.entry_hi)
    }

    /// Enters the page of `address`.
    ///
    /// # Safety
    /// The context's owner may use the frame as `entry_lo` says, and the frame's entry in the table of frames says that it may be at this
    /// slot.
    pub unsafe fn enter(self, address: u32, entry_lo: EntryLo) {
        let slot = self.slot(address);
        set(slot, self.tag(address), entry_lo);
        // SAFETY: the caller's.
        unsafe { cp0::tlb_write(slot as *const u32, entry_lo) }
    }

    /// Deletes the page of `address`.
    pub fn delete(self, address: u32) {
        let (slot, tag) = (self.slot(address), self.tag(address));
        if get(slot).0 == tag {
            clear(slot);
        }
        cp0::tlb_delete(tag);
    }

    /// What the page of `address` is mapped to, if either TLB knows.
    pub fn probe(self, address: u32) -> Option<EntryLo> {
        let tag = self.tag(address);
        match get(self.slot(address)) {
            (found, entry_lo) if found == tag => Some(entry_lo),
            _ => cp0::tlb_probe(tag),
        }
    }

    /// Deletes `pages` pages from that of `address` on from the software TLB. Time: 7 instructions a page.
    pub fn delete_range_of_software_tlb(self, address: u32, pages: u32) {
        let (mut at, mut left) = (address, pages);
        while left != 0 {
            // From a multiple of 64 pages on the entries of 64 pages lie in a row.
            let run = left.min(64 - (at >> PAGE_SHIFT) % 64);
            let (mut slot, mut tag) = (self.slot(at), self.tag(at));
            for _ in 0..run {
                // SAFETY: the slots of the run are in the table.
                unsafe {
                    if (slot as *const u32).read_volatile() == tag {
                        (slot as *mut u32).write_volatile(UNUSED);
                    }
                }
                (slot, tag) = (slot + 4, tag.wrapping_add(PAGE_BYTES));
            }
            at = at.wrapping_add(run * PAGE_BYTES);
            left -= run;
        }
    }

    /// Takes the rights that are clear in `rights`, a word as programs write it, from `pages` pages from that of `address` on.
    pub fn restrict(self, address: u32, pages: u32, rights: u32) {
        let mut at = address;
        let mut left = pages;
        while left != 0 {
            // From a multiple of 64 pages on the entries of 64 pages lie in a row.
            let run = left.min(64 - (at >> PAGE_SHIFT) % 64);
            // SAFETY: the slots of the run are in the table.
            unsafe { super::protect::restrict(self.slot(at), self.tag(at), run, rights) };
            at = at.wrapping_add(run * PAGE_BYTES);
            left -= run;
        }
        if pages < FEW {
            (0..pages).for_each(|page| cp0::tlb_delete(self.tag(address) + page * PAGE_BYTES));
        } else {
            cp0::tlb_clear();
        }
    }
}

/// Deletes `pages` pages from that of `address` on from both TLBs, in several contexts; the TLB is walked once.
pub fn delete_range(contexts: impl Iterator<Item = Context> + Clone, address: u32, pages: u32) {
    for context in contexts.clone() {
        context.delete_range_of_software_tlb(address, pages);
    }
    cp0::tlb_delete_where(|tag, _| {
        let page = (tag & !(PAGE_BYTES - 1)).wrapping_sub(address) >> PAGE_SHIFT;
        page < pages && contexts.clone().any(|context| tag & (PAGE_BYTES - 1) == context.entry_hi)
    });
}

fn get(slot: u32) -> (u32, EntryLo) {
    // SAFETY: slots are addresses of tags in the table: `Context::slot` makes no others, and `Translation` checks.
    unsafe {
        let tag = slot as *const u32;
        (tag.read_volatile(), EntryLo::from_bits_retain(tag.byte_add(STLB_DISTANCE as usize).read_volatile()))
    }
}

fn set(slot: u32, tag: u32, entry_lo: EntryLo) {
    // SAFETY: as in `get`.
    unsafe {
        let at = slot as *mut u32;
        at.write_volatile(tag);
        at.byte_add(STLB_DISTANCE as usize).write_volatile(entry_lo.bits());
    }
}

fn clear(slot: u32) {
    // SAFETY: as in `get`.
    unsafe { (slot as *mut u32).write_volatile(UNUSED) }
}

/// Whether this is the address of a tag.
fn is_slot(slot: u32) -> bool {
    slot.is_multiple_of(4) && slot.wrapping_sub(STLB) <= STLB_INDEX_MASK
}

/// The hardware's part in breaking bindings.
pub struct Translation;

impl Hardware for Translation {
    fn unbind_slot(&mut self, slot: u32, frame: u32) {
        if is_slot(slot) && get(slot).1.frame() == frame {
            clear(slot);
        }
    }

    fn unbind_tlb(&mut self, frame: u32) {
        cp0::tlb_delete_frame(frame);
    }

    fn unbind_range(&mut self, frame: u32, from: u32, count: u32) {
        let end = (from + count).min(ENTRIES);
        let mut entry = from;
        while entry < end {
            // SAFETY: the entries are in the table, and their number is a multiple of eight.
            entry = unsafe { find_frame(frame, entry, end) };
            for entry in entry..(entry + GROUP).min(end) {
                self.unbind_slot(STLB + 4 * entry, frame);
            }
            entry += GROUP;
        }
    }

    fn copy(&mut self, from: u32, to: u32) {
        let [from, to] = [from, to].map(|frame| machine::cached::<u32>(frame << PAGE_SHIFT));
        // SAFETY: both are environments' frames, or being taken from one, and not the same; nobody refers to them.
        // Unrolled: 19 instructions for 8 words.
        unsafe {
            core::arch::asm!(
                ".set noreorder",
                ".set noat",
                "2:",
                ".irp n, 8,9,10,11,12,13,14,15",
                "lw    $\\n, 4*\\n - 32({from})",
                ".endr",
                "addiu {from}, {from}, 32",
                ".irp n, 8,9,10,11,12,13,14,15",
                "sw    $\\n, 4*\\n - 32({to})",
                ".endr",
                "bne   {from}, {end}, 2b",
                " addiu {to}, {to}, 32",
                from = inout(reg) from => _,
                to = inout(reg) to => _,
                end = in(reg) from as u32 + PAGE_BYTES,
                out("$8") _, out("$9") _, out("$10") _, out("$11") _,
                out("$12") _, out("$13") _, out("$14") _, out("$15") _,
                options(nostack, preserves_flags)
            );
        }
    }

    fn flush(&mut self) {
        clear_all();
        cp0::tlb_delete_all();
    }

    fn zero(&mut self, frame: u32) {
        // SAFETY: the frame has no owner, or one that asked for it to be emptied; nobody refers to it.
        unsafe { fill(machine::cached(frame << PAGE_SHIFT), PAGE_BYTES, 0) }
    }

    fn flush_instructions(&mut self, frame: u32) {
        cp0::flush_instructions(frame << PAGE_SHIFT, PAGE_BYTES);
    }

    fn colours(&self) -> u32 {
        cp0::INSTRUCTION_COLOURS
    }

    fn installed(&mut self, frame: u32) -> &mut Installed {
        // SAFETY: the frame is public and a filter's, so nobody but the kernel writes to it, and this is the one reference;
        // every bit pattern is good.
        unsafe { &mut *super::opaque(machine::cached(frame << PAGE_SHIFT)) }
    }

    fn handler(&mut self, frame: u32) -> &mut ash::Installed {
        // SAFETY: as for `installed`: the frame is public and a handler's, or has just been given back and is mapped
        // nowhere.
        unsafe { &mut *super::opaque(machine::cached(frame << PAGE_SHIFT)) }
    }

    fn descriptor(&mut self, ring: u32, place: u32) -> Descriptor {
        // SAFETY: the frame is memory, an environment's, and its page has that many; no program runs, and every bit
        // pattern is good.
        unsafe {
            super::opaque(machine::cached::<Descriptor>(ring << PAGE_SHIFT))
                .add((place % DESCRIPTORS) as usize)
                .read_volatile()
        }
    }

    fn set_length(&mut self, ring: u32, place: u32, bytes: u32) {
        // SAFETY: as for `descriptor`; and it is a ring that its owner wants the kernel to write to.
        unsafe {
            let ring = super::opaque(machine::cached::<Descriptor>(ring << PAGE_SHIFT));
            let descriptor = ring.add((place % DESCRIPTORS) as usize);
            (&raw mut (*descriptor).length).write_volatile(bytes);
        }
    }
}

/// Empties the software TLB.
pub fn clear_all() {
    // SAFETY: the words from STLB on are the table's tags, as many as are written.
    unsafe { fill(STLB as *mut u32, 4 * ENTRIES, UNUSED) }
}

/// Writes a word all over memory. Of what the kernel does in one piece this is most, so it is unrolled: 67 instructions
/// for 64 words.
///
/// # Safety
/// The `bytes` bytes from `start` on, a multiple of 256 and not 0, are the caller's to write.
unsafe fn fill(start: *mut u32, bytes: u32, word: u32) {
    // SAFETY: the caller's.
    unsafe {
        core::arch::asm!(
            ".set noreorder",
            ".set noat",
            "2:",
            ".set place, 0",
            ".rept 64",
            "sw    {word}, 4*place({at})",
            ".set place, place + 1",
            ".endr",
            "addiu {at}, {at}, 256",
            "bne   {at}, {end}, 2b",
            " nop",
            at = inout(reg) start => _,
            end = in(reg) start.byte_add(bytes as usize),
            word = in(reg) word,
            options(nostack, preserves_flags)
        );
    }
}

/// Entries that [`find_frame`] looks at together.
const GROUP: u32 = 4;

/// The first of a group of entries of the software TLB, from `entry` on, one of which may map a frame, or `end`: 19
/// instructions for four entries.
///
/// # Safety
/// The entries from `entry` to `end` are in the table, and a multiple of four.
unsafe fn find_frame(frame: u32, entry: u32, end: u32) -> u32 {
    if entry == end {
        return end;
    }
    let at = |entry| STLB + STLB_DISTANCE + 4 * entry;
    let found: u32;
    // SAFETY: the words are EntryLo words of the table, the caller's. Only they are read.
    unsafe {
        core::arch::asm!(
            ".set noreorder",
            ".set noat",
            "2:",
            "lw    {a}, 0({at})",
            "lw    {b}, 4({at})",
            "lw    {c}, 8({at})",
            "lw    {d}, 12({at})",
            // What differs in nothing but the bits below the frame's number is less than its lowest bit.
            "xor   {a}, {a}, {wanted}",
            "xor   {b}, {b}, {wanted}",
            "xor   {c}, {c}, {wanted}",
            "xor   {d}, {d}, {wanted}",
            "sltiu {a}, {a}, {low}",
            "sltiu {b}, {b}, {low}",
            "sltiu {c}, {c}, {low}",
            "sltiu {d}, {d}, {low}",
            "or    {a}, {a}, {b}",
            "or    {c}, {c}, {d}",
            "or    {a}, {a}, {c}",
            "bne   {a}, $zero, 3f",
            " nop",
            "addiu {at}, {at}, 16",
            "bne   {at}, {end}, 2b",
            " nop",
            "3:",
            a = out(reg) _,
            b = out(reg) _,
            c = out(reg) _,
            d = out(reg) _,
            at = inout(reg) at(entry) => found,
            end = in(reg) at(end),
            wanted = in(reg) frame << EntryLo::FRAME_SHIFT,
            low = const 1 << EntryLo::FRAME_SHIFT,
            options(nostack, preserves_flags, readonly)
        );
    }
    (found - at(0)) / 4
}

/// Everything that the software TLB and the TLB map, for the audit.
pub fn all() -> impl Iterator<Item = Binding> {
    let entries = (0..ENTRIES).map(|entry| STLB + 4 * entry);
    let software = entries.map(|slot| (slot, get(slot))).filter(|(_, (tag, _))| *tag != UNUSED);
    let hardware = (0..cp0::tlb_entries()).flat_map(cp0::tlb_read).filter(|(tag, _)| (*tag as i32) >= 0);
    let software = software.map(|(slot, (tag, entry_lo))| binding(tag, entry_lo, Some(slot)));
    software
        .chain(hardware.map(|(tag, entry_lo)| binding(tag, entry_lo, None)))
        .filter(|&(_, entry_lo)| entry_lo.contains(EntryLo::VALID))
        .map(|(binding, _)| binding)
}

/// One of them, in the audit's terms; `slot` is where it is in the software TLB.
fn binding(tag: u32, entry_lo: EntryLo, slot: Option<u32>) -> (Binding, EntryLo) {
    let context = ((tag & (PAGE_BYTES - 1)) >> CONTEXT_ID_SHIFT) as u8;
    let binding = Binding {
        context,
        page: tag >> PAGE_SHIFT,
        slot: slot.unwrap_or(Context::new(ContextId(context)).slot(tag)),
        frame: entry_lo.frame(),
        write: entry_lo.contains(EntryLo::DIRTY),
        in_software_tlb: slot.is_some(),
    };
    (binding, entry_lo)
}
