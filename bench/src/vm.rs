//! The operations of Tables 10 and 13, for a space with any page table: Appel and Li's, on 100 pages in a random order.
//!
//! All pages have frames and are dirty. Each operation is measured once at a time, and in loops of 100, one for each
//! page; what is counted is the call of the library's function, through a pointer, so that nothing of it is left out.

use aegis_bench::naked_asm;
use exos::exception::{Context, handle};
use exos::page_table::Form;
use exos::vm::{READ, Space, WRITE};
use exos_rt::abi::exception::{Code, SavePage};
use exos_rt::abi::mark::{END, WORD};
use exos_rt::abi::program::RETURN_SEQUENCE_BYTES;
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES, SAVE_PAGE};
use exos_rt::shared::Shared;
use exos_rt::{call, mark_begin, mark_end, println};

/// Where they are: not where the software TLB would have them in the places of the program's own text and data.
const START: u32 = NORMAL_START + 0x10_0000;
/// Pages.
const PAGES: u32 = 100;
const BOTH: u32 = READ | WRITE;
/// How often each loop is run.
const LOOPS: u32 = 9;

const DIRTY: u32 = 1;
const PROT1: u32 = 2;
const UNPROT1: u32 = 3;
const PROT100: u32 = 4;
const UNPROT100: u32 = 5;
const PROT100_EACH: u32 = 6;
const UNPROT100_EACH: u32 = 7;
const TRAP: u32 = 8;
const APPEL1: u32 = 9;
const APPEL2: u32 = 10;
const TRAP_ASSEMBLY: u32 = 11;
/// From an operation's mark to that of its loop.
const LOOP: u32 = 100;

/// The page before the one that is touched, and traps that are left.
static BEFORE: Shared<u32> = Shared::new(0);
static LEFT: Shared<u32> = Shared::new(0);

/// The pages' addresses in a random order, always the same.
fn permutation() -> [u32; PAGES as usize] {
    let mut pages = [0; PAGES as usize];
    for (number, page) in (0..).zip(&mut pages) {
        *page = START + number * PAGE_BYTES;
    }
    let mut random = 1_u32;
    for last in (1..pages.len()).rev() {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        pages.swap(last, (random >> 8) as usize % (last + 1));
    }
    pages
}

fn store(page: u32) {
    // SAFETY: the page is data that nobody refers to.
    unsafe { (page as *mut u32).write_volatile(1) };
}

/// A handler that counts down, and skips the store when it comes to 0.
#[unsafe(naked)]
unsafe extern "C" fn counting() {
    naked_asm!(
        ".set noreorder",
        "sw    $a0, {pc}($zero)",
        "lui   $a1, %hi({left})",
        "lw    $a2, %lo({left})($a1)",
        "nop",
        "addiu $a2, $a2, -1",
        "bne   $a2, $zero, exos_return + {sequence}",
        " sw   $a2, %lo({left})($a1)",
        "addiu $a0, $a0, 4",
        "j     exos_return + {sequence}",
        " sw   $a0, {pc}($zero)",
        pc = const PC,
        left = sym LEFT,
        sequence = const RETURN_SEQUENCE_BYTES * Code::Modified as u32,
    )
}

/// The same, with marks.
#[unsafe(naked)]
unsafe extern "C" fn counting_marked<const BASE: u32>() {
    naked_asm!(
        ".set noreorder",
        "sw    $a0, {pc}($zero)",
        "lui   $a1, %hi({left})",
        "lw    $a2, %lo({left})($a1)",
        ".word {end}",
        "addiu $a2, $a2, -1",
        "beq   $a2, $zero, 1f",
        " sw   $a2, %lo({left})($a1)",
        ".word {begin}",
        "j     exos_return + {sequence}",
        " nop",
        "1:",
        "addiu $a0, $a0, 4",
        "j     exos_return + {sequence}",
        " sw   $a0, {pc}($zero)",
        pc = const PC,
        left = sym LEFT,
        sequence = const RETURN_SEQUENCE_BYTES * Code::Modified as u32,
        begin = const WORD | (BASE + TRAP_ASSEMBLY),
        end = const WORD | END | (BASE + TRAP_ASSEMBLY),
    )
}

/// Where the return sequence goes back to.
const PC: u32 = SAVE_PAGE + (core::mem::offset_of!(SavePage, pc) + 4 * Code::Modified as usize) as u32;

/// A space that is measured, with marks from `BASE` on.
pub struct Measured<T, const BASE: u32>(core::marker::PhantomData<T>);

impl<T: Form, const BASE: u32> Measured<T, BASE> {
    #[inline(never)]
    extern "C" fn dirty(page: u32) -> bool {
        Space::<T>::dirty(page)
    }

    #[inline(never)]
    extern "C" fn protect(page: u32) {
        let _ = Space::<T>::protect(page, READ);
    }

    #[inline(never)]
    extern "C" fn unprotect(page: u32) {
        let _ = Space::<T>::protect(page, BOTH);
    }

    /// Every page may be stored to, has been, and is in the software TLB so.
    fn reset() {
        Space::<T>::give(START, PAGES, BOTH);
        (0..PAGES).for_each(|page| store(START + page * PAGE_BYTES));
    }

    /// Returns a number of times, then allows the store.
    extern "C" fn trapped(context: &mut Context) {
        let left = LEFT.get();
        if left == 0 {
            Self::unprotect(context.address);
        } else {
            LEFT.set(left - 1);
        }
    }

    /// The same, and shows when it is called.
    extern "C" fn trapped_marked(context: &mut Context) {
        if LEFT.get() != 0 {
            mark_end!(BASE + TRAP);
        }
        Self::trapped(context);
        if LEFT.get() != 0 {
            mark_begin!(BASE + TRAP);
        }
    }

    /// Protects the page before, and allows the store.
    extern "C" fn appel1(context: &mut Context) {
        let _ = Space::<T>::protect(BEFORE.get(), READ);
        BEFORE.set(context.address);
        let _ = Space::<T>::protect(context.address, BOTH);
    }

    /// Allows the store.
    extern "C" fn appel2(context: &mut Context) {
        let _ = Space::<T>::protect(context.address, BOTH);
    }

    /// Traps to handlers that the kernel enters: they count down, and skip the last store.
    fn trap_assembly(page: u32) {
        let old = |handler: unsafe extern "C" fn()| {
            // SAFETY: it does what a handler must.
            unsafe { call::set_handler(Code::Modified, Some(handler as *const () as u32)) }.ok().flatten()
        };
        Self::reset();
        Self::protect(page);
        let page_tables = old(counting_marked::<BASE>);
        for _ in 0..LOOPS {
            LEFT.set(100);
            mark_begin!(BASE + TRAP_ASSEMBLY);
            store(page);
        }
        old(counting);
        for _ in 0..LOOPS {
            LEFT.set(1000);
            mark_begin!(BASE + TRAP_ASSEMBLY + LOOP);
            store(page);
            mark_end!(BASE + TRAP_ASSEMBLY + LOOP);
        }
        // SAFETY: it was so before.
        let _ = unsafe { call::set_handler(Code::Modified, page_tables) };
    }

    fn describe(table: u32, system: &str) {
        let operations = [
            (DIRTY, "dirty", 100, "whether a random page is dirty: a lookup"),
            (PROT1, "prot1", 100, "a random page is protected: looked up, changed, and told the TLBs"),
            (UNPROT1, "unprot1", 100, "likewise unprotected"),
            (PROT100, "prot100", 1, "100 pages in a row are protected: one call of the library's, one of the kernel's"),
            (
                UNPROT100,
                "unprot100",
                1,
                "likewise unprotected, in the table: the TLBs learn of it when a page is stored to",
            ),
            (PROT100_EACH, "prot100_each", 1, "100 pages in a row are protected, page by page"),
            (UNPROT100_EACH, "unprot100_each", 1, "likewise unprotected, in the TLBs, too"),
            (
                TRAP,
                "trap",
                1000,
                "a store to a protected page, to a handler in Rust that returns; from one to the next",
            ),
            (TRAP_ASSEMBLY, "trap_assembly", 1000, "likewise, to a handler in assembly, for which nothing is saved"),
            (
                APPEL1,
                "appel1",
                100,
                "a store to a random protected page; the handler protects another and unprotects this",
            ),
            (
                APPEL2,
                "appel2",
                100,
                "100 pages are protected in one call; a store to each, in random order, whose handler unprotects it",
            ),
        ];
        for (id, op, rounds, how) in operations {
            let id = BASE + id;
            println!("mark {id} table={table} op={op} system={system} how={how}");
            println!("loop {} of={id} rounds={rounds} how=the same, and the loop's own", LOOP + id);
        }
        exos_rt::console::flush();
    }

    /// Measures all.
    ///
    /// # Panics
    /// If there is no memory.
    pub fn run(table: u32, system: &str) {
        Self::describe(table, system);
        Space::<T>::install().expect("there is memory for the table");
        // SAFETY: nothing else is there. Likewise below: the handlers do what they are for.
        unsafe { Space::<T>::zeros(START, PAGES, BOTH).expect("there is room in the table") };
        let pages = permutation();
        Self::reset();
        macro_rules! each_page {
            ($id:expr, $function:ident, $before:expr) => {
                for _ in 0..LOOPS {
                    $before;
                    for &page in &pages {
                        mark_begin!(BASE + $id);
                        core::hint::black_box(Self::$function(page));
                        mark_end!(BASE + $id);
                    }
                    $before;
                    mark_begin!(BASE + $id + LOOP);
                    for &page in &pages {
                        core::hint::black_box(Self::$function(page));
                    }
                    mark_end!(BASE + $id + LOOP);
                }
            };
        }
        each_page!(DIRTY, dirty, Self::reset());
        each_page!(PROT1, protect, Self::reset());
        each_page!(UNPROT1, unprotect, {
            Self::reset();
            Space::<T>::take(START, PAGES, WRITE)
        });
        macro_rules! all_pages {
            ($id:expr, $before:expr, $work:expr) => {
                for _ in 0..LOOPS {
                    $before;
                    mark_begin!(BASE + $id);
                    $work;
                    mark_end!(BASE + $id);
                    $before;
                    mark_begin!(BASE + $id + LOOP);
                    $work;
                    mark_end!(BASE + $id + LOOP);
                }
            };
        }
        let protected = || {
            Self::reset();
            Space::<T>::take(START, PAGES, WRITE);
        };
        all_pages!(PROT100, Self::reset(), Space::<T>::take(START, PAGES, WRITE));
        all_pages!(UNPROT100, protected(), Space::<T>::give(START, PAGES, WRITE));
        all_pages!(PROT100_EACH, Self::reset(), {
            let _ = Space::<T>::protect_each(START, PAGES, READ);
        });
        all_pages!(UNPROT100_EACH, protected(), {
            let _ = Space::<T>::protect_each(START, PAGES, BOTH);
        });
        for _ in 0..LOOPS {
            for (handler, traps, id) in
                [(Self::trapped_marked as _, 100, BASE + TRAP), (Self::trapped as _, 999, BASE + TRAP + LOOP)]
            {
                // SAFETY: as above.
                unsafe { handle(Code::Modified, Some(handler)) }.expect("there is an exception stack");
                Self::reset();
                LEFT.set(traps);
                Self::protect(pages[0]);
                if id == BASE + TRAP {
                    mark_begin!(BASE + TRAP);
                    store(pages[0]);
                } else {
                    mark_begin!(BASE + TRAP + LOOP);
                    store(pages[0]);
                    mark_end!(BASE + TRAP + LOOP);
                }
            }
        }
        Self::trap_assembly(pages[0]);
        // SAFETY: as above.
        unsafe { handle(Code::Modified, Some(Self::appel1)) }.expect("there is an exception stack");
        for _ in 0..LOOPS {
            protected();
            Self::unprotect(pages[99]);
            BEFORE.set(pages[99]);
            for &page in &pages {
                mark_begin!(BASE + APPEL1);
                store(page);
                mark_end!(BASE + APPEL1);
            }
            mark_begin!(BASE + APPEL1 + LOOP);
            for &page in &pages {
                store(page);
            }
            mark_end!(BASE + APPEL1 + LOOP);
        }
        // SAFETY: as above.
        unsafe { handle(Code::Modified, Some(Self::appel2)) }.expect("there is an exception stack");
        for _ in 0..LOOPS {
            protected();
            for &page in &pages {
                mark_begin!(BASE + APPEL2);
                store(page);
                mark_end!(BASE + APPEL2);
            }
            mark_begin!(BASE + APPEL2 + LOOP);
            Space::<T>::take(START, PAGES, WRITE);
            for &page in &pages {
                store(page);
            }
            mark_end!(BASE + APPEL2 + LOOP);
        }
        // SAFETY: nobody refers to it.
        unsafe { Space::<T>::unmap(START, PAGES) };
    }
}
