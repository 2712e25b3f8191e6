//! The table beside ExOS's: `cargo exo bench`. Each is measured in an environment of its own, with the same code.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

use exos::page_table::{Form, TwoLevel};
use exos::vm::{READ, Space, WRITE};
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES};
use exos_rt::environment::spawn;
use exos_rt::{call, mark_begin, mark_end, println, public};
use template::Flat;

/// Where the pages are: not where the software TLB would have them in the places of the program's own text and data.
const START: u32 = NORMAL_START + 0x10_0000;
const PAGES: u32 = 100;

const MISS: u32 = 1;
const DIRTY: u32 = 2;
const PROTECT: u32 = 3;
/// From an operation's mark to that of its loop, and from one table's to the other's.
const LOOP: u32 = 100;
const OTHER: u32 = 10;

fn describe(base: u32, system: &str) {
    let operations = [
        (MISS, "miss", "a load that misses both TLBs, and its repetition"),
        (DIRTY, "dirty", "whether a page is dirty"),
        (PROTECT, "protect", "a page made read-only, in the table and in the TLBs"),
    ];
    for (id, op, how) in operations {
        let id = base + id;
        println!("mark {id} table=template op={op} system={system} how={how}");
        println!("loop {} of={id} rounds={PAGES} how=each of {PAGES} pages, and the loop's own", id + LOOP);
    }
    exos_rt::console::flush();
}

fn load(page: u32) -> u32 {
    // SAFETY: the page is there, and nobody else's.
    unsafe { (page as *const u32).read_volatile() }
}

#[inline(never)]
fn dirty<T: Form>(page: u32) -> bool {
    Space::<T>::dirty(page)
}

#[inline(never)]
fn protect<T: Form>(page: u32) {
    Space::<T>::protect(page, READ).expect("it is mapped");
}

/// Executes something with each page, first between marks of its own, then in a loop between marks.
macro_rules! each_page {
    ($id:expr, $before:expr, $work:expr) => {
        for _ in 0..9 {
            $before;
            for page in pages() {
                mark_begin!($id);
                core::hint::black_box($work(page));
                mark_end!($id);
            }
            $before;
            mark_begin!($id + LOOP);
            for page in pages() {
                core::hint::black_box($work(page));
            }
            mark_end!($id + LOOP);
        }
    };
}

fn pages() -> impl Iterator<Item = u32> {
    (0..PAGES).map(|number| START + number * PAGE_BYTES)
}

fn measure<T: Form, const BASE: u32>(system: &str) {
    describe(BASE, system);
    Space::<T>::install().expect("there is memory for it");
    // SAFETY: nothing else is there.
    unsafe { Space::<T>::zeros(START, PAGES, READ | WRITE).expect("there is room in the table") };
    // Every page has been stored to, and is in the software TLB so.
    let reset = || {
        Space::<T>::give(START, PAGES, READ | WRITE);
        for page in pages() {
            // SAFETY: the page is there, and nobody else's.
            unsafe { (page as *mut u32).write_volatile(1) };
        }
    };
    each_page!(BASE + MISS, pages().for_each(call::tlb_delete), load);
    each_page!(BASE + DIRTY, reset(), dirty::<T>);
    each_page!(BASE + PROTECT, reset(), protect::<T>);
}

extern "C" fn ours(_: u32) -> ! {
    measure::<TwoLevel, OTHER>("exos");
    call::exit(0)
}

fn main() {
    measure::<Flat, 0>("template");
    let (id, _) = spawn(ours, 0, Some((public::position() + 1) % 64)).expect("an environment can be made");
    while call::wake(id).is_ok() {
        call::yield_slice();
    }
}
