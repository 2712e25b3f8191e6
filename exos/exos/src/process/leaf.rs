//! The page table that a process has unless its program names another: one leaf of the two-level one, which is all that
//! 4 MB need. It is full from the beginning, so an entry's place is a matter of arithmetic.

use crate::page_table::{Form, Machine, Memory, PageTable, Run, TABLE};
use crate::process::space::{PAGES, START};
use core::arch::global_asm;
use exos_rt::abi::vm::PAGE_SHIFT;

/// The form.
pub struct Leaf;

/// The number of its first page.
const FIRST: u32 = START >> PAGE_SHIFT;

impl PageTable for Leaf {
    const ROOT: usize = 0;

    fn begin(memory: &mut impl Memory, _: u32) -> bool {
        memory.page().is_some()
    }

    fn words(_: &impl Memory, _: u32) -> impl Iterator<Item = u32> {
        0..0
    }

    fn find(memory: &impl Memory, _: u32, page: u32) -> Option<u32> {
        let place = TABLE + 4 * page.wrapping_sub(FIRST);
        (page.wrapping_sub(FIRST) < PAGES && memory.read(place) != 0).then_some(place)
    }

    fn make(_: &mut impl Memory, _: u32, page: u32) -> Option<u32> {
        (page.wrapping_sub(FIRST) < PAGES).then_some(TABLE + 4 * page.wrapping_sub(FIRST))
    }

    fn remove(memory: &mut impl Memory, root: u32, page: u32) {
        if let Some(place) = Self::find(memory, root, page) {
            memory.write(place, 0);
        }
    }

    fn next(memory: &impl Memory, _: u32, from: u32) -> Option<u32> {
        (from.max(FIRST)..FIRST + PAGES).find(|page| memory.read(TABLE + 4 * (page - FIRST)) != 0)
    }

    fn runs(_: &impl Memory, _: u32, page: u32, count: u32, mut visit: impl FnMut(Run)) {
        let (first, end) = (page.max(FIRST), (page + count).min(FIRST + PAGES));
        if first < end {
            visit(Run { place: TABLE + 4 * (first - FIRST), count: end - first, step: 4 });
        }
    }
}

// From the first instruction to the one behind syscall: 15.
crate::page_table_form!(Leaf, leaf, {
    fn place(address: u32) -> u32 {
        let number = (address >> PAGE_SHIFT).wrapping_sub(FIRST);
        if number < PAGES { TABLE + 4 * number } else { Machine.empty() }
    }
}, [
    "srl   $a0, $a1, 22",
    "addiu $a0, $a0, -{first}",
    "bne   $a0, $zero, 3f",        // not in this space
    " move $a2, $zero",
    "srl   $a2, $a1, 10",
    "andi  $a2, $a2, 0xffc",
    "lui   $a0, %hi({table})",
    "addu  $a2, $a2, $a0",
    "lw    $a2, %lo({table})($a2)", // the entry
    "3:",
    "sw    $v0, {scratch}($zero)", // and the delay of the load
], first = const START >> 22, table = const TABLE,);

// `process.ld` has these in the header of a process, so that they are there from its first instruction on.
global_asm!(
    ".globl process_modified, process_load_missed, process_store_missed",
    ".set process_modified, {modified}",
    ".set process_load_missed, {load}",
    ".set process_store_missed, {store}",
    modified = sym <Leaf as Form>::process_modified,
    load = sym <Leaf as Form>::process_load_missed,
    store = sym <Leaf as Form>::process_store_missed,
);

const _: () = assert!(START >> 22 << 22 == START && PAGES == 1024);
