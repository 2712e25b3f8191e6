//! The page table of an environment, in the form that the program chooses, and the handlers that consult it.
//!
//! A [`Form`] is a type parameter of the library's, so a program that names another links another: lookup and handlers
//! are compiled for it, and nothing is decided on the way of a miss. The forms as data are in `exos_tables`.
//!
//! The table's root lies in the save page, where an offset from `$zero` reaches it; its other pages, and the stack for
//! exceptions, in guaranteed mappings that are made as they are needed, so a miss never misses. A miss on a page that is
//! mapped takes, with two levels, 13 instructions to the kernel's leave, and two and the return sequence from there. An
//! entry that does not allow the access, and one that the kernel refuses, go to [`vm`](crate::vm), in Rust.
//!
//! The TLBs hold copies of entries. What takes rights away deals with them at once; what gives rights may leave that to
//! the exception that finds them out of date.
//!
//! # Entries
//!
//! An entry is an EntryLo word; the hardware has no use for its low nine bits, and they are the library's. What the
//! hardware may do follows from what the program may do and what it has done: `VALID` is `READ` and `USED`, `DIRTY` is
//! `WRITE` and `STORED`. So the first access and the first store are exceptions, which note them; a page that has no
//! frame, or is to be copied, is not used or stored to before it has been dealt with.

use crate::exception::{KEPT, SCRATCH_AT, SCRATCH_V1};
use crate::state::{State, get, set};
use asm_lines::naked_asm;
use core::mem::offset_of;
use exos_rt::abi::Error;
use exos_rt::abi::call::{TLB_DELETE, TLB_WRITE};
use exos_rt::abi::exception::{Code, SavePage};
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES, PAGE_SHIFT, SAVE_PAGE, entry_lo};
use exos_rt::sequences;
use exos_rt::{call, memory};
pub use exos_tables::{Inverted, Linear, Memory, PageTable, Run, TABLE_PAGES, TwoLevel};

/// The page has no frame: its contents are zeros if the bits of the frame are 0, else paged out, to the place they say.
pub const ABSENT: u32 = 1 << 0;
/// A store copies the page first.
pub const COPY: u32 = 1 << 1;
/// The program may access the page.
pub const READ: u32 = 1 << 2;
/// It may store to it.
pub const WRITE: u32 = 1 << 3;
/// It has accessed the page.
pub const USED: u32 = 1 << 4;
/// It has stored to it.
pub const STORED: u32 = 1 << 5;
/// The page keeps its frame.
pub const LOCKED: u32 = 1 << 6;
/// The frame is this environment's.
pub const OWN: u32 = 1 << 7;
/// The frame may be mapped at another page, too.
pub const SHARED: u32 = 1 << 8;

/// The program's rights.
pub const RIGHTS: u32 = READ | WRITE;
/// The hardware's.
pub const HARDWARE: u32 = entry_lo::VALID | entry_lo::DIRTY;
/// How far [`USED`] and [`STORED`] are from `VALID` and `DIRTY`, and [`READ`] and [`WRITE`] from those.
pub(crate) const TO_HARDWARE: u32 = 5;
pub(crate) const TO_DONE: u32 = 2;

/// An entry whose bits of the hardware's are what its others say.
#[must_use]
pub const fn settled(entry: u32) -> u32 {
    entry & !HARDWARE | (entry & entry << TO_DONE & (USED | STORED)) << TO_HARDWARE & HARDWARE
}

/// Where the library's pages are: the stack for exceptions, then those of the table. The page below, on which the stack
/// would overflow, is unmapped.
pub(crate) const START: u32 = NORMAL_START - 32 * PAGE_BYTES;
/// The end of the stack for exceptions. The rest of its page are records of `vm`.
pub(crate) const STACK_TOP: u32 = START + 3072;
/// Where main's handlers begin on it: a function's caller keeps room for four register arguments.
pub(crate) const FAULT_STACK: u32 = STACK_TOP - 16;
/// The first of the table's pages.
pub const TABLE: u32 = START + PAGE_BYTES;
/// The stack of the server activity for exceptions, if it has one.
const SERVER_STACK: u32 = START + (TABLE_PAGES + 2) * PAGE_BYTES;

const _: () = assert!(SERVER_STACK + PAGE_BYTES <= NORMAL_START - 12 * PAGE_BYTES);

#[repr(C, align(4096))]
struct Empty([u32; 1024]);

/// Where a table has nothing.
static EMPTY: Empty = Empty([0; 1024]);

/// The table's memory on the machine.
pub struct Machine;

/// Where the root is.
pub const ROOT: u32 = sequences::FREE + offset_of!(State, root) as u32;

impl Memory for Machine {
    fn read(&self, address: u32) -> u32 {
        // SAFETY: a table reads its own words only. Volatile, because handlers change them. Likewise below.
        unsafe { (address as *const u32).read_volatile() }
    }

    fn write(&mut self, address: u32, word: u32) {
        // SAFETY: as above.
        unsafe { (address as *mut u32).write_volatile(word) }
    }

    fn page(&mut self) -> Option<u32> {
        let number = get!(tables);
        if number == TABLE_PAGES || 1 + number == get!(backed) && back(number).is_err() {
            return None;
        }
        set!(tables, number + 1);
        Some(TABLE + number * PAGE_BYTES)
    }

    fn empty(&self) -> u32 {
        &raw const EMPTY as u32
    }
}

/// Sees to it that there is a stack for exceptions, and a page for the table.
pub(crate) fn prepare() -> Result<(), Error> {
    if get!(backed) == 0 {
        back(2)?;
        set!(protected.code, Code::Modified as u32);
        sequences::set_fault_stacks([FAULT_STACK, 0]);
    }
    Ok(())
}

/// Gives `more` further pages of the library's frames, or as many as there are, at least one. That it is more each time
/// makes for few guaranteed mappings.
fn back(more: u32) -> Result<(), Error> {
    let backed = get!(backed);
    let mut more = more.min(1 + TABLE_PAGES - backed);
    let frames = loop {
        match memory::allocate_run(more, 1) {
            Err(_) if more > 1 => more /= 2,
            result => break result?,
        }
    };
    let (me, entry_lo) = (call::self_id(), frames << PAGE_SHIFT | entry_lo::DIRTY);
    // SAFETY: these addresses are the library's, and nothing is there yet.
    let mapped = unsafe { call::env_map(me, call::NO_CAPABILITY, START + backed * PAGE_BYTES, entry_lo, more) };
    if let Err(error) = mapped {
        for frame in frames..frames + more {
            // SAFETY: nothing has been done with it. It is this environment's, so this does not fail.
            let _ = unsafe { call::frame_free(frame) };
        }
        return Err(error);
    }
    set!(backed, backed + more);
    Ok(())
}

/// Gives the server activity a stack of its own for exceptions. Without it they are handled on its own stack, which
/// therefore is in a guaranteed mapping.
///
/// # Errors
/// [`Error::Full`].
pub fn server_stack() -> Result<(), Error> {
    prepare()?;
    let frame = memory::allocate()?;
    // SAFETY: as above.
    unsafe {
        call::env_map(call::self_id(), call::NO_CAPABILITY, SERVER_STACK, frame << PAGE_SHIFT | entry_lo::DIRTY, 1)?;
    }
    sequences::set_fault_stacks([FAULT_STACK, SERVER_STACK + PAGE_BYTES]);
    Ok(())
}

/// A form of a page table, with its handlers of a miss.
pub trait Form: PageTable {
    /// For [`Code::Modified`], [`Code::TlbLoad`] and [`Code::TlbStore`].
    const HANDLERS: [(Code, unsafe extern "C" fn()); 3];

    /// For the same, in a process ([`process`](mod@crate::process)), which has rules of its own for what an entry does not
    /// allow.
    ///
    /// # Safety
    /// Here and below: it is entered by the kernel only.
    unsafe extern "C" fn process_modified();
    /// See above.
    ///
    /// # Safety
    /// See above.
    unsafe extern "C" fn process_load_missed();
    /// See above.
    ///
    /// # Safety
    /// See above.
    unsafe extern "C" fn process_store_missed();

    /// Where the entry of the page of an address in user space is, or a word that is 0 if it is not mapped.
    #[must_use]
    fn place(address: u32) -> u32 {
        Self::find(&Machine, ROOT, address >> PAGE_SHIFT).unwrap_or(&raw const EMPTY as u32)
    }
}

/// Changes entries to what they have in common with a mask.
///
/// # Safety
/// They are there.
pub(crate) unsafe fn keep(Run { place, count, step }: Run, mask: u32) {
    // SAFETY: the caller's.
    unsafe {
        if step == 4 {
            keep_row(place, count, mask);
        } else {
            keep_apart(place, count, mask, step);
        }
    }
}

/// [`keep`], for entries that are `step` bytes apart.
///
/// # Safety
/// As for it; at least one.
#[unsafe(naked)]
unsafe extern "C" fn keep_apart(place: u32, count: u32, mask: u32, step: u32) {
    // a0 = the first entry, a1 = how many, a2 = the mask, a3 = the step. 10 instructions for two entries.
    naked_asm!(
        ".set noreorder",
        "andi  $t0, $a1, 1",
        "beq   $t0, $zero, 2f",
        " nop",
        "lw    $t0, 0($a0)",
        "addiu $a1, $a1, -1", // and the delay of the load
        "and   $t0, $t0, $a2",
        "sw    $t0, 0($a0)",
        "addu  $a0, $a0, $a3",
        "2:",
        "beq   $a1, $zero, 4f",
        " nop",
        "3:",
        "lw    $t0, 0($a0)",
        "addu  $t1, $a0, $a3", // t1: the second; and the delay of the load
        "and   $t0, $t0, $a2",
        "sw    $t0, 0($a0)",
        "lw    $t0, 0($t1)",
        "addiu $a1, $a1, -2",
        "and   $t0, $t0, $a2",
        "sw    $t0, 0($t1)",
        "bne   $a1, $zero, 3b",
        " addu $a0, $t1, $a3",
        "4:",
        "jr    $ra",
        " nop",
    )
}

/// [`keep`], for entries side by side.
///
/// # Safety
/// As for it.
#[unsafe(naked)]
unsafe extern "C" fn keep_row(place: u32, count: u32, mask: u32) {
    // a0 = the first entry, a1 = how many, a2 = the mask. 15 instructions for four entries, 10 for one that is left over.
    naked_asm!(
        ".set noreorder",
        "1:",
        "andi  $t0, $a1, 3",
        "beq   $t0, $zero, 2f",
        " nop",
        "lw    $t0, 0($a0)",
        "addiu $a1, $a1, -1",
        "and   $t0, $t0, $a2",
        "sw    $t0, 0($a0)",
        "b     1b",
        " addiu $a0, $a0, 4",
        "2:",
        "beq   $a1, $zero, 4f",
        " sll  $a1, $a1, 2",
        "addu  $a1, $a1, $a0", // a1: where they end
        "3:",
        "lw    $t0, 0($a0)",
        "lw    $t1, 4($a0)",
        "lw    $t2, 8($a0)",
        "lw    $t3, 12($a0)",
        "and   $t0, $t0, $a2",
        "sw    $t0, 0($a0)",
        "and   $t1, $t1, $a2",
        "sw    $t1, 4($a0)",
        "and   $t2, $t2, $a2",
        "sw    $t2, 8($a0)",
        "and   $t3, $t3, $a2",
        "sw    $t3, 12($a0)",
        "addiu $a0, $a0, 16",
        "bne   $a0, $a1, 3b",
        " nop",
        "4:",
        "jr    $ra",
        " nop",
    )
}

/// Gives rights to those of the entries that are not 0, and the hardware those of them that have been used.
///
/// # Safety
/// They are there.
pub(crate) unsafe fn grant(Run { place, count, step }: Run, rights: u32) {
    // SAFETY: the caller's.
    unsafe { grant_apart(place, count, rights, step) };
}

/// [`grant`].
///
/// # Safety
/// As for it; at least one.
#[unsafe(naked)]
unsafe extern "C" fn grant_apart(place: u32, count: u32, rights: u32, step: u32) {
    // a0 = the first entry, a1 = how many, a2 = the rights, a3 = from one to the next. 10 instructions an entry.
    naked_asm!(
        ".set noreorder",
        "sll   $t2, $a2, {to_hardware}", // t2: the same rights, the hardware's
        "1:",
        "lw    $t0, 0($a0)",
        "addiu $a1, $a1, -1",           // and the delay of the load
        "beq   $t0, $zero, 2f",
        " sll  $t1, $t0, {TO_HARDWARE}",
        "and   $t1, $t1, $t2",
        "or    $t1, $t1, $a2",
        "or    $t0, $t0, $t1",
        "sw    $t0, 0($a0)",
        "2:",
        "bne   $a1, $zero, 1b",
        " addu $a0, $a0, $a3",
        "jr    $ra",
        " nop",
        to_hardware = const TO_DONE + TO_HARDWARE,
        TO_HARDWARE = const TO_HARDWARE,
    )
}

/// Sets the rights of a page whose entry is at `place`, in the table and in the TLBs. Negative if it is not mapped.
///
/// # Safety
/// It is the place of the entry of the page of `address`.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn set_rights(place: u32, address: u32, rights: u32) -> i32 {
    // a0 = the entry's place, a1 = the address, a2 = the rights. 16 with syscall.
    naked_asm!(
        ".set noreorder",
        "lw    $t0, 0($a0)",
        "sll   $t2, $a2, {to_hardware}", // what they allow the hardware
        "beq   $t0, $zero, 2f",
        " sll  $t1, $t0, {TO_HARDWARE}", // what has been done
        "and   $t1, $t1, $t2",
        "or    $t1, $t1, $a2",
        "addiu $t2, $zero, ~({HARDWARE} | {RIGHTS})",
        "and   $t0, $t0, $t2",
        "or    $a2, $t0, $t1",
        "sw    $a2, 0($a0)",
        "andi  $t0, $a2, {VALID} | {OWN}",
        "xori  $t0, $t0, {VALID} | {OWN}",
        "bne   $t0, $zero, 1f",
        " addiu $v0, $zero, {TLB_WRITE}",
        "syscall",                       // the page is mapped so already, but for the rights
        "jr    $ra",
        " nop",
        "1:",
        "addiu $v0, $zero, {TLB_DELETE}",
        "syscall",
        "jr    $ra",
        " nop",
        "2:",
        "jr    $ra",
        " addiu $v0, $zero, -1",
        to_hardware = const TO_DONE + TO_HARDWARE,
        TO_HARDWARE = const TO_HARDWARE,
        HARDWARE = const HARDWARE,
        RIGHTS = const RIGHTS,
        VALID = const entry_lo::VALID,
        OWN = const OWN,
        TLB_WRITE = const TLB_WRITE,
        TLB_DELETE = const TLB_DELETE,
    )
}

/// What [`page_table_form!`](crate::page_table_form) makes handlers of, wherever it is used.
#[doc(hidden)]
pub mod parts {
    pub use super::WRITE;
    use super::{KEPT, SAVE_PAGE, SavePage};
    use crate::exception::Context;
    pub use crate::process::space::missed as process_missed;
    pub use crate::vm::missed;
    pub use asm_lines::naked_asm;
    use core::mem::offset_of;
    pub use exos_rt::abi::call::TLB_WRITE;
    pub use exos_rt::abi::exception::Code;
    pub use exos_rt::sequences::{CURRENT, FAULT_STACK_WORD, HANDLER_SCRATCH};

    /// Words of the save page, as offsets from `$zero`.
    pub const PC: u32 = SAVE_PAGE + offset_of!(SavePage, pc) as u32;
    pub const SAVED_A0: u32 = SAVE_PAGE + offset_of!(SavePage, a0) as u32;
    pub const HANDLER: u32 = crate::exception::HANDLERS + 4;
    /// Those in which main's context is kept.
    pub const V: u32 = KEPT + offset_of!(Context, v) as u32;
    pub const AT: u32 = KEPT + offset_of!(Context, at) as u32;
    pub const A3: u32 = KEPT + offset_of!(Context, a3) as u32;
    pub const T: u32 = KEPT + offset_of!(Context, t) as u32;
    pub const RA: u32 = KEPT + offset_of!(Context, ra) as u32;
    pub const SP: u32 = KEPT + offset_of!(Context, resume.sp) as u32;
    pub const ADDRESS: u32 = KEPT + offset_of!(Context, address) as u32;
}

/// Makes a type that is a [`PageTable`] a [`Form`]: `page_table_form!(Type, module, {items}, [lines], operands)` defines its
/// handlers, in a module of their own. The lines look up the entry of the page of `$a1`; they may use `$a0` and `$v0`, which
/// they save in the word `{scratch}($zero)`, and leave the entry, or 0, in `$a2`. The first one changes nothing but `$a0`. What
/// else they name are operands; the items are those of [`Form`] that are to be others than the usual ones.
#[macro_export]
macro_rules! page_table_form {
    ($form:ty, $module:ident, {$($entry:item)*}, [$first:literal, $($line:literal),* $(,)?], $($operands:tt)*) => {
        impl $crate::page_table::Form for $form {
            $($entry)*

            const HANDLERS: [($crate::page_table::parts::Code, unsafe extern "C" fn()); 3] = {
                use $crate::page_table::parts::Code;
                [
                    (Code::Modified, $module::modified),
                    (Code::TlbLoad, $module::load),
                    (Code::TlbStore, $module::store),
                ]
            };

            $crate::page_table_form!(@handler [unsafe extern "C" fn process_load_missed()],
                [$crate::page_table::parts::process_missed], 2, 9, [$first, $($line),*], $($operands)*);
            $crate::page_table_form!(@handler [unsafe extern "C" fn process_store_missed()],
                [$crate::page_table::parts::process_missed], 3, 9, [$first, $($line),*], $($operands)*);
            $crate::page_table_form!(@handler [unsafe extern "C" fn process_modified()],
                [$crate::page_table::parts::process_missed], 1, 10, [$first, $($line),*], $($operands)*);
        }

        mod $module {
            use super::*;
            use $crate::page_table::parts;
            $crate::page_table_form!(@handler [pub(super) unsafe extern "C" fn load()],
                [parts::missed::<$form>], 2, 9, [$first, $($line),*], $($operands)*);
            $crate::page_table_form!(@handler [pub(super) unsafe extern "C" fn store()],
                [parts::missed::<$form>], 3, 9, [$first, $($line),*], $($operands)*);
            $crate::page_table_form!(@handler [pub(super) unsafe extern "C" fn modified_general()],
                [parts::missed::<$form>], 1, 10, [$first, $($line),*], $($operands)*);
            $crate::page_table_form!(@modified $form, $first, [$($line),*], $($operands)*);
        }
    };
    // `missed` is a function that is called with the context if the entry, or the kernel, does not allow the access.
    (@handler [$($head:tt)*], [$($missed:tt)*], $code:literal, $bit:literal, [$($line:literal),*], $($operands:tt)*) => {
        /// a0 = EPC, a1 = BadVAddr, a2 = Cause.
        #[unsafe(naked)]
        $($head)* {
            $crate::page_table::parts::naked_asm!(
                ".set noreorder",
                ".set noat",
                "sw    $a0, {pc} + 4*{code}($zero)",
                $($line,)*
                concat!("sll   $a0, $a2, 31 - ", stringify!($bit)),
                "bgez  $a0, 1f",
                " addiu $v0, $zero, {TLB_WRITE}",
                "syscall",                 // a0 and a3 are no capability's tag: the frame is the program's own
                "bgez  $v0, exos_return + 32*{code}",
                " lw   $v0, {scratch}($zero)",
                "1:",
                "lui   $v0, %hi({missed})",
                "addiu $v0, $v0, %lo({missed})",
                "j     exos_call_handler",
                " addiu $a2, $zero, {code}",
                code = const $code,
                pc = const $crate::page_table::parts::PC,
                TLB_WRITE = const $crate::page_table::parts::TLB_WRITE,
                scratch = const $crate::page_table::parts::HANDLER_SCRATCH,
                missed = sym $($missed)*,
                $($operands)*
            )
        }
    };
    // A store to a page that the program may not store to: if it has a handler, that is called by the shorter way, for
    // main, and if its stack for exceptions is free. Memory takes one store in two cycles, so some of what that way
    // saves is saved here, where there is other work between. From the move of $sp on no other thread runs, so that what
    // is saved is nobody else's.
    (@modified $form:ty, $first:literal, [$($line:literal),*], $($operands:tt)*) => {
        /// a0 = EPC, a1 = BadVAddr, a2 = Cause.
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn modified() {
            parts::naked_asm!(
                ".set noreorder",
                ".set noat",
                "lw    $a2, {CURRENT}($zero)",
                "sw    $a0, {pc}($zero)",      // and the delay of the load
                "bne   $a2, $zero, {general} + 4", // behind the same store
                " lw   $a0, {main_stack}($zero)",
                "move  $a2, $sp",              // and the delay of the load
                "beq   $a0, $zero, 13f",       // something is on that stack
                " move $sp, $a0",
                "sw    $a2, {sp}($zero)",
                $first,
                "sw    $at, {at}($zero)",
                "sw    $v1, {v1}($zero)",
                "sw    $a3, {a3}($zero)",
                "sw    $a1, {address}($zero)",
                "sw    $ra, {ra}($zero)",
                "sw    $t7, {t} + 28($zero)",
                $($line,)*
                "andi  $a0, $a2, {WRITE}",
                "sw    $t8, {t} + 32($zero)",
                "bne   $a0, $zero, 12f",
                " lw   $v0, {handler}($zero)",
                "sw    $t0, {t}($zero)",       // and the delay of the load
                "sw    $t9, {t} + 36($zero)",
                "bne   $v0, $zero, exos_protected",
                " lw   $t0, {saved_a0}($zero)",
                "lw    $t0, {t}($zero)",
                "11:",                         // to Rust, by the general way
                "lw    $a0, {scratch}($zero)",
                "lui   $v0, %hi({missed})",
                "sw    $a0, {HANDLER_SCRATCH}($zero)",
                "lw    $sp, {sp}($zero)",
                "addiu $v0, $v0, %lo({missed})",
                "j     exos_call_handler",
                " addiu $a2, $zero, {code}",
                "12:",                         // the program may; does the hardware know?
                "sll   $a0, $a2, 31 - 10",
                "bgez  $a0, 11b",
                " addiu $v0, $zero, {TLB_WRITE}",
                "syscall",                     // as above
                "bltz  $v0, 11b",
                " lw   $v0, {scratch}($zero)",
                "j     exos_return + 32*{code}",
                " lw   $sp, {sp}($zero)",
                "13:",
                "j     {general} + 4",
                " move $sp, $a2",
                code = const 1,
                pc = const parts::PC + 4,
                saved_a0 = const parts::SAVED_A0 + 4,
                TLB_WRITE = const parts::TLB_WRITE,
                HANDLER_SCRATCH = const parts::HANDLER_SCRATCH,
                CURRENT = const parts::CURRENT,
                main_stack = const parts::FAULT_STACK_WORD,
                WRITE = const parts::WRITE,
                handler = const parts::HANDLER,
                scratch = const parts::V,
                at = const parts::AT,
                v1 = const parts::V + 4,
                a3 = const parts::A3,
                t = const parts::T,
                ra = const parts::RA,
                sp = const parts::SP,
                address = const parts::ADDRESS,
                missed = sym parts::missed::<$form>,
                general = sym modified_general,
                $($operands)*
            )
        }
    };
}

// From the first instruction to the one behind syscall: 13.
page_table_form!(TwoLevel, two_level, {
    fn place(address: u32) -> u32 {
        Machine.read(ROOT + (address >> 20 & 0x7fc)) + (address >> 10 & 0xffc)
    }
}, [
    "srl   $a0, $a1, 20",
    "andi  $a0, $a0, 0x7fc",
    "lw    $a0, {root}($a0)",              // the leaf
    "srl   $a2, $a1, 10",
    "andi  $a2, $a2, 0xffc",
    "addu  $a2, $a2, $a0",
    "lw    $a2, 0($a2)",                   // the entry
    "sw    $v0, {scratch}($zero)",         // and the delay of the load
], root = const ROOT,);

// 14, and 8 for each step of the search, 3 more if it goes up.
page_table_form!(Linear, linear, {}, [
    "lw    $a0, {root} + 4($zero)",        // the first element that is left
    "sw    $v0, {scratch}($zero)",
    "lw    $v0, {root}($zero)",            // how many are left
    "sw    $v1, {scratch_v1}($zero)",
    "sw    $at, {scratch_at}($zero)",
    "srl   $v1, $a1, 12",                  // what is looked for
    "1:",
    "beq   $v0, $zero, 8f",
    " srl  $a2, $v0, 1",
    "sll   $a2, $a2, 3",
    "addu  $at, $a0, $a2",                 // the one in the middle
    "lw    $a2, 0($at)",
    "nop",
    "beq   $a2, $v1, 7f",
    " sltu $a2, $a2, $v1",
    "bne   $a2, $zero, 2f",
    " srl  $a2, $v0, 1",
    "b     1b",
    " move $v0, $a2",
    "2:",
    "addiu $a0, $at, 8",
    "subu  $v0, $v0, $a2",
    "b     1b",
    " addiu $v0, $v0, -1",
    "7:",
    "b     9f",
    " lw   $a2, 4($at)",                   // the entry
    "8:",
    "move  $a2, $zero",
    "9:",
    "lw    $v1, {scratch_v1}($zero)",
    "lw    $at, {scratch_at}($zero)",
    "nop",
], root = const ROOT, scratch_v1 = const SCRATCH_V1, scratch_at = const SCRATCH_AT,);

// 15, and 7 for each node that is passed over.
page_table_form!(Inverted, inverted, {}, [
    "lw    $a0, {root}($zero)",            // where the chains begin
    "srl   $a2, $a1, 10",
    "andi  $a2, $a2, 0xffc",
    "addu  $a2, $a2, $a0",
    "lw    $a2, 0($a2)",                   // the first node
    "sw    $v0, {scratch}($zero)",
    "srl   $v0, $a1, 12",                  // what is looked for
    "3:",
    "beq   $a2, $zero, 4f",
    " nop",
    "lw    $a0, 0($a2)",
    "nop",
    "beq   $a0, $v0, 5f",
    " nop",
    "lw    $a2, 8($a2)",                   // the next one
    "b     3b",
    " nop",
    "5:",
    "lw    $a2, 4($a2)",                   // the entry
    "nop",
    "4:",
], root = const ROOT,);

const _: () = {
    assert!(Code::Modified as u32 == 1 && Code::TlbLoad as u32 == 2 && Code::TlbStore as u32 == 3);
    assert!(entry_lo::VALID == 1 << 9 && entry_lo::DIRTY == 1 << 10);
    assert!(USED << TO_HARDWARE == entry_lo::VALID && STORED << TO_HARDWARE == entry_lo::DIRTY);
    assert!(READ << TO_DONE == USED && WRITE << TO_DONE == STORED);
};
