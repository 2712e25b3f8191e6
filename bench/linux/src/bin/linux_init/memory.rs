//! Tables 9 and 10: the multiplication of two matrices; and virtual memory operations, Appel and Li's, on 100 pages in a
//! random order.
//!
//! All pages have frames and are dirty. What a UNIX has no call for, whether a page is dirty, is left out.

use core::cell::UnsafeCell;

use aegis_bench_linux::meter::{ALONE, LOOPS, Meter, describe as line};
use aegis_bench_linux::system::{
    Cause, Mapping, PAGE_BYTES, READ, Saved, Signal, WRITE, handle, map, protect, saved_with_cause, unmap,
};
use aegis_bench_linux::{mark_begin, mark_end};

use crate::matrix::{Matrix, fill, multiply, sum};

/// Pages.
const PAGES: u32 = 100;
const BOTH: u32 = READ | WRITE;

/// Where they are, a page in a mapping of its own, and the matrices: far apart.
const REGION: u32 = 0x1000_0000;
const OWN: u32 = 0x1800_0000;
const MATRICES: u32 = 0x2000_0000;

const MATRIX: u32 = 40;
const PROT1: u32 = 41;
const UNPROT1: u32 = 42;
const PROT1_IN_TURN: u32 = 43;
const PROT1_OWN: u32 = 44;
const PROT100: u32 = 45;
const UNPROT100: u32 = 46;
const TRAP: u32 = 47;
const APPEL1: u32 = 48;
const APPEL2: u32 = 49;

/// A word that handlers and the code that they interrupt have in common.
struct InHandlers(UnsafeCell<u32>);

// SAFETY: there is one thread, and while it handles a signal it does nothing else.
unsafe impl Sync for InHandlers {}

impl InHandlers {
    fn get(&self) -> u32 {
        // SAFETY: as above. A handler comes where the compiler sees none, so each access is made where it stands. Likewise below.
        unsafe { self.0.get().read_volatile() }
    }

    fn set(&self, value: u32) {
        // SAFETY: as above.
        unsafe { self.0.get().write_volatile(value) }
    }
}

/// The page before the one that is touched, and traps that are left.
static BEFORE: InHandlers = InHandlers(UnsafeCell::new(0));
static LEFT: InHandlers = InHandlers(UnsafeCell::new(0));

fn store(page: u32) {
    // SAFETY: the page is data that nobody refers to.
    unsafe { (page as *mut u32).write_volatile(1) };
}

fn set(page: u32, protection: u32) {
    protect(page, 1, protection).expect("the page is this process's");
}

fn set_all(start: u32, protection: u32) {
    protect(start, PAGES, protection).expect("the pages are this process's");
}

/// Every page may be stored to, and has been.
fn reset(start: u32) {
    set_all(start, BOTH);
    (0..PAGES).for_each(|page| store(start + page * PAGE_BYTES));
}

/// The pages' addresses in a random order, always the same.
fn permutation(start: u32) -> [u32; PAGES as usize] {
    let mut pages = [0; PAGES as usize];
    for (number, page) in (0..).zip(&mut pages) {
        *page = start + number * PAGE_BYTES;
    }
    let mut random = 1_u32;
    for last in (1..pages.len()).rev() {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        pages.swap(last, (random >> 8) as usize % (last + 1));
    }
    pages
}

/// The page that the store which failed was to.
///
/// # Safety
/// The kernel told the cause.
unsafe fn page_of(cause: *const Cause) -> u32 {
    // SAFETY: the caller's.
    unsafe { (*cause).address & !(PAGE_BYTES - 1) }
}

/// Returns a number of times, then skips the store.
unsafe extern "C" fn trapped(_: u32, _: *const Cause, saved: *mut Saved) {
    match LEFT.get() {
        // SAFETY: the kernel saved it there.
        0 => unsafe { (*saved_with_cause(saved)).pc += 4 },
        left => LEFT.set(left - 1),
    }
}

/// The same, and shows when it is called.
unsafe extern "C" fn trapped_marked(signal: u32, cause: *const Cause, saved: *mut Saved) {
    if LEFT.get() != 0 {
        mark_end!(TRAP);
    }
    // SAFETY: as the kernel calls this.
    unsafe { trapped(signal, cause, saved) };
    if LEFT.get() != 0 {
        mark_begin!(TRAP);
    }
}

/// Protects the page before, and allows the store.
unsafe extern "C" fn appel1(_: u32, cause: *const Cause, _: *mut Saved) {
    // SAFETY: the kernel told the cause.
    let page = unsafe { page_of(cause) };
    set(BEFORE.get(), READ);
    BEFORE.set(page);
    set(page, BOTH);
}

/// Allows the store.
unsafe extern "C" fn appel2(_: u32, cause: *const Cause, _: *mut Saved) {
    // SAFETY: as above.
    set(unsafe { page_of(cause) }, BOTH);
}

pub fn describe() {
    line(MATRIX, "9", "matrix", "two matrices of 150x150 integers, in memory of the process", 1, "once");
    let operation = |id, op, rounds, how| line(id, "10", op, how, rounds, "the same, and the loop's own");
    operation(PROT1, "prot1", PAGES, "a random page of 100 in one mapping is protected: mprotect");
    operation(UNPROT1, "unprot1", PAGES, "likewise unprotected");
    operation(PROT1_IN_TURN, "prot1_in_turn", 2 * PAGES, "one page of 100 is protected, or unprotected, in turn");
    operation(PROT1_OWN, "prot1_own", 2 * PAGES, "likewise the only page of a mapping");
    operation(PROT100, "prot100", 1, "100 pages in a row are protected: one mprotect");
    operation(UNPROT100, "unprot100", 1, "likewise unprotected");
    operation(
        TRAP,
        "trap",
        1000,
        "a store to a protected page, to a handler in Rust that returns; from one to the next",
    );
    let how = "a store to a random protected page; the handler protects another and unprotects this";
    operation(APPEL1, "appel1", PAGES, how);
    let how = "100 pages are protected in one call; a store to each, in random order, whose handler unprotects it";
    operation(APPEL2, "appel2", PAGES, how);
}

pub fn measure(meter: &Meter) {
    matrix(meter);
    let start = map(PAGES, Mapping::Private(REGION)).expect("there is memory");
    let pages = permutation(start);
    let protected = || {
        reset(start);
        set_all(start, READ);
    };
    let each = |protection| move |_| pages.iter().for_each(|&page| set(page, protection));
    macro_rules! each_page {
        ($id:ident, $before:expr, $protection:expr) => {
            for _ in 0..LOOPS {
                $before();
                for &page in &pages {
                    mark_begin!($id);
                    set(page, $protection);
                    mark_end!($id);
                }
            }
            meter.time::<$id>(LOOPS, PAGES, $before, each($protection));
        };
    }
    each_page!(PROT1, || reset(start), READ);
    each_page!(UNPROT1, protected, BOTH);
    reset(start);
    in_turn::<PROT1_IN_TURN>(meter, pages[0]);
    let own = map(1, Mapping::Private(OWN)).expect("there is memory");
    store(own);
    in_turn::<PROT1_OWN>(meter, own);
    macro_rules! all_pages {
        ($id:ident, $before:expr, $protection:expr) => {
            for _ in 0..ALONE {
                $before();
                mark_begin!($id);
                set_all(start, $protection);
                mark_end!($id);
            }
            meter.time::<$id>(ALONE, 1, $before, |_| set_all(start, $protection));
        };
    }
    all_pages!(PROT100, || reset(start), READ);
    all_pages!(UNPROT100, protected, BOTH);
    reset(start);
    traps(meter, pages[0]);

    // SAFETY: the handler does what it is for. Likewise below.
    unsafe { handle(Signal::Segment, appel1, true) };
    protected();
    set(pages[99], BOTH);
    BEFORE.set(pages[99]);
    for _ in 0..LOOPS {
        for &page in &pages {
            mark_begin!(APPEL1);
            store(page);
            mark_end!(APPEL1);
        }
    }
    meter.time::<APPEL1>(LOOPS, PAGES, || (), |_| pages.iter().for_each(|&page| store(page)));

    // SAFETY: as above.
    unsafe { handle(Signal::Segment, appel2, true) };
    for _ in 0..LOOPS {
        protected();
        for &page in &pages {
            mark_begin!(APPEL2);
            store(page);
            mark_end!(APPEL2);
        }
    }
    let work = |_| {
        set_all(start, READ);
        pages.iter().for_each(|&page| store(page));
    };
    meter.time::<APPEL2>(LOOPS, PAGES, || reset(start), work);
    // SAFETY: nobody refers to them.
    unsafe {
        unmap(start, PAGES);
        unmap(own, 1);
    }
}

/// One page, protected and unprotected in turn.
fn in_turn<const ID: u32>(meter: &Meter, page: u32) {
    for _ in 0..ALONE {
        for protection in [READ, BOTH] {
            mark_begin!(ID);
            set(page, protection);
            mark_end!(ID);
        }
    }
    let work = |rounds: u32| {
        for _ in 0..rounds / 2 {
            set(page, READ);
            set(page, BOTH);
        }
    };
    meter.time::<ID>(LOOPS, 2 * PAGES, || (), work);
}

fn traps(meter: &Meter, page: u32) {
    set(page, READ);
    // SAFETY: the handler does what it is for. Likewise below.
    unsafe { handle(Signal::Segment, trapped_marked, true) };
    LEFT.set(ALONE);
    mark_begin!(TRAP);
    store(page);
    // SAFETY: as above.
    unsafe { handle(Signal::Segment, trapped, true) };
    // The last one skips the store.
    meter.time::<TRAP>(LOOPS, 1000, || LEFT.set(999), |_| store(page));
    set(page, BOTH);
}

fn matrix(meter: &Meter) {
    let pages = (3 * size_of::<Matrix>() as u32).div_ceil(PAGE_BYTES);
    let memory = map(pages, Mapping::Private(MATRICES)).expect("there is memory");
    // SAFETY: the memory is there, for this alone, and any words are numbers.
    let matrices = unsafe { &mut *(memory as *mut [Matrix; 3]) };
    fill(matrices);
    mark_begin!(MATRIX);
    multiply(matrices);
    mark_end!(MATRIX);
    let before = sum(matrices);
    meter.time::<MATRIX>(3, 1, || (), |_| multiply(matrices));
    assert_eq!(sum(matrices), before);
    // SAFETY: nobody refers to it any more.
    unsafe { unmap(memory, pages) };
}
