//! ExOS with another page table: a flat one, in place of its two levels.
//!
//! The space is a window of 64 MB, and the table one array of entries, whose place follows from the address. It needs no
//! directory; what it costs is that it is as long as the highest page in use, and a test whether an address is in the window.
//!
//! A table is a type, which `exos::vm::Space` has as a parameter. What of it is data ([`PageTable`]) is above, what the machine
//! does at a miss ([`Form`](exos::page_table::Form)) below. All that ExOS does with pages, zeros and copies on demand, rights,
//! sharing, paging, works with it.

#![no_std]
#![feature(asm_experimental_arch)]

use exos::page_table::{Memory, PageTable, ROOT, Run, TABLE, TABLE_PAGES};
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES, PAGE_SHIFT};

// The compiler has a fault, which `cargo exo` mends if there is room.
exos_rt::room_for_mends!();

/// The program's address space, with this table.
pub type Vm = exos::vm::Space<Flat>;

/// The form.
pub struct Flat;

/// The number of the window's first page.
const FIRST: u32 = NORMAL_START >> PAGE_SHIFT;
/// Entries of a page of the table's, and of all that it can have.
const ENTRIES: u32 = PAGE_BYTES / 4;
const MOST: u32 = ENTRIES * TABLE_PAGES;
/// The only word of the root: how many entries there are.
const COUNT: u32 = 0;

impl PageTable for Flat {
    const ROOT: usize = 1;

    fn begin(memory: &mut impl Memory, root: u32) -> bool {
        memory.write(root + COUNT, 0);
        true
    }

    fn words(_: &impl Memory, _: u32) -> impl Iterator<Item = u32> {
        0..Self::ROOT as u32
    }

    fn find(memory: &impl Memory, root: u32, page: u32) -> Option<u32> {
        let number = page.wrapping_sub(FIRST);
        let place = TABLE + 4 * number;
        (number < memory.read(root + COUNT) && memory.read(place) != 0).then_some(place)
    }

    fn make(memory: &mut impl Memory, root: u32, page: u32) -> Option<u32> {
        let number = page.checked_sub(FIRST).filter(|&number| number < MOST)?;
        while memory.read(root + COUNT) <= number {
            memory.page()?;
            memory.write(root + COUNT, memory.read(root + COUNT) + ENTRIES);
        }
        Some(TABLE + 4 * number)
    }

    fn remove(memory: &mut impl Memory, root: u32, page: u32) {
        if let Some(place) = Self::find(memory, root, page) {
            memory.write(place, 0);
        }
    }

    fn next(memory: &impl Memory, root: u32, from: u32) -> Option<u32> {
        let end = FIRST + memory.read(root + COUNT);
        (from.max(FIRST)..end).find(|page| memory.read(TABLE + 4 * (page - FIRST)) != 0)
    }

    fn runs(memory: &impl Memory, root: u32, page: u32, count: u32, mut visit: impl FnMut(Run)) {
        let (first, end) = (page.max(FIRST), (page + count).min(FIRST + memory.read(root + COUNT)));
        if first < end {
            visit(Run { place: TABLE + 4 * (first - FIRST), count: end - first, step: 4 });
        }
    }
}

// What is done at a miss: a1 = the address, and a2 is to be the entry, or 0. From the first instruction to the one behind
// syscall: 16; with ExOS's two levels 13.
exos::page_table_form!(Flat, flat, {}, [
    "lui   $a0, {minus_start}",
    "lw    $a2, {root}($zero)",      // how many entries there are
    "addu  $a0, $a0, $a1",
    "srl   $a0, $a0, 12",            // which it is
    "sltu  $a2, $a0, $a2",
    "beq   $a2, $zero, 3f",
    " sll  $a0, $a0, 2",
    "lui   $a2, %hi({table})",
    "addu  $a2, $a2, $a0",
    "lw    $a2, %lo({table})($a2)",  // the entry
    "3:",
    "sw    $v0, {scratch}($zero)",   // and the delay of the load
], root = const ROOT, minus_start = const NORMAL_START.wrapping_neg() >> 16, table = const TABLE,);
