//! What choosing frames by colour buys (the paper's section 3.2.1): the same walk over the same number of pages, in frames that compete for
//! the same lines of the data cache, and in frames that do not.
//!
//! Only a machine with caches shows a difference: the model. The instructions are the same.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use aegis_bench::loop_of;
use asm_lines::naked_asm;
use exos::vm::{READ, Vm};
use exos_rt::abi::Error;
use exos_rt::abi::mark::{END, WORD};
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES};
use exos_rt::{memory, println, public};

exos_rt::program!(main);

const ALIKE: u32 = 1;
const DIFFERENT: u32 = 2;

/// Pages of a walk. A cache of a DECstation has room for 16.
const PAGES: u32 = 8;
/// Walks in a loop.
const WALKS: u32 = 16;

/// Defines two functions that read a word in every sixteen bytes of the pages from `$a0` on: once, and in a loop.
macro_rules! walk {
    ($alone:ident, $looped:ident, $id:expr) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $alone(start: u32) {
            naked_asm!(
                ".set noreorder",
                "addiu $t0, $a0, {half}",
                "addiu $t0, $t0, {half}",
                ".word {begin}",
                "1:",
                "lw    $t1, 0($a0)",
                "addiu $a0, $a0, 16",
                "bne   $a0, $t0, 1b",
                " nop",
                ".word {end}",
                "jr    $ra",
                " nop",
                half = const PAGES * PAGE_BYTES / 2,
                begin = const WORD | $id,
                end = const WORD | END | $id,
            )
        }

        #[unsafe(naked)]
        unsafe extern "C" fn $looped(start: u32) {
            naked_asm!(
                ".set noreorder",
                "addiu $t0, $a0, {half}",
                "addiu $t0, $t0, {half}",
                "addiu $t3, $zero, {walks}",
                ".word {begin}",
                "1:",
                "move  $t2, $a0",
                "2:",
                "lw    $t1, 0($t2)",
                "addiu $t2, $t2, 16",
                "bne   $t2, $t0, 2b",
                " nop",
                "addiu $t3, $t3, -1",
                "bne   $t3, $zero, 1b",
                " nop",
                ".word {end}",
                "jr    $ra",
                " nop",
                half = const PAGES * PAGE_BYTES / 2,
                walks = const WALKS,
                begin = const WORD | loop_of($id),
                end = const WORD | END | loop_of($id),
            )
        }
    };
}

walk!(walk_alike, walks_alike, ALIKE);
walk!(walk_different, walks_different, DIFFERENT);

/// Maps pages from `start` on to frames whose colours are as `colour` says.
fn map(start: u32, colour: impl Fn(u32) -> u32) -> Result<(), Error> {
    for page in 0..PAGES {
        let frame = memory::allocate_of_colour(colour(page))?;
        // SAFETY: the frame is new, and nothing else is at this address; it is only read.
        unsafe { Vm::own(start + page * PAGE_BYTES, frame, READ)? };
    }
    Ok(())
}

fn main() {
    let colours = public::colours();
    for (id, op, how) in [
        (ALIKE, "walk_one_colour", "a word in every 16 bytes of 8 pages, read; all frames of one colour"),
        (DIFFERENT, "walk_8_colours", "the same; all frames of different colours"),
    ] {
        println!("mark {id} table=colour op={op} system=aegis how={how} of {colours}");
        println!("loop {} of={id} rounds={WALKS} how=the walk, and the loop's four", loop_of(id));
    }
    exos_rt::console::flush();
    Vm::install().expect("there is memory for it");
    let alike = NORMAL_START;
    let different = NORMAL_START + PAGES * PAGE_BYTES;
    map(alike, |_| 0).and_then(|()| map(different, |page| page + 1)).expect("there are frames of every colour");
    for _ in 0..9 {
        // SAFETY: the pages are mapped.
        unsafe {
            walk_alike(alike);
            walk_different(different);
            walks_alike(alike);
            walks_different(different);
        }
    }
    // SAFETY: nothing is there that is used.
    unsafe { Vm::unmap(alike, 2 * PAGES) };
}
