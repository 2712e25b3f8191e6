//! A process's address space: 4 MB of the normal segment, under a page table in the form that its program chooses.
//!
//! Data is at its beginning, the heap behind it, the stack at its end; all the rest of a process is pinned (`process.ld`).
//! The table, its place and its entries are those of [`page_table`](crate::page_table). What the low bits of an entry
//! say, besides the rights and what was done:
//!
//! | entry | the page |
//! |---|---|
//! | 0 | is not there: an access ends the process |
//! | a frame, [`OWN`] | is its own |
//! | [`ZERO`] | is full of zeros, and gets a frame when it is touched |
//! | a place, [`ABSENT`] | is paged out, to that place ([`paging`]) |
//! | a frame, [`SHOWN`] | is one of the boot archive, and is copied when it is written to |
//! | a frame, [`LAST`] | likewise, the last of the file's data: it is copied, and its end cleared, when it is touched |
//! | a frame, [`LENT`] | is its own, but children may be reading it: it is copied when it is written to and they are |
//! | a frame, [`BORROWED`] | is its parent's: it is mapped by a capability, and copied when it is written to |
//!
//! Handlers in assembly, the form's, answer a miss that the entry allows. All others go to [`missed`], in Rust, on the
//! pinned stack for exceptions.
//!
//! A program names its form, and so links it: `exos::process!(main, page_table: Linear)`. The functions that the rest of
//! the library has for it, below, are what that macro defines; a maker of a process knows nothing of the form of what it
//! makes, which builds its table itself ([`begin`]), except at a fork, where the two are the same program.

use crate::exception::Context;
pub use crate::page_table::{ABSENT, COPY, OWN, READ, RIGHTS, WRITE};
use crate::page_table::{HARDWARE, Machine, Memory, SHARED, STORED, TABLE, USED, settled};
use crate::process::image::Pages;
use crate::process::{self, Fail, Home, home, lending, paging, signals, store, table::signal};
use crate::state::set as set_state;
use asm_lines::global_asm;
use core::mem::offset_of;
use exos_rt::abi::Error;
use exos_rt::abi::exception::{Code, SavePage};
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES, PAGE_SHIFT, PROTECT_MAX, SAVE_PAGE, entry_lo};
use exos_rt::call::NO_CAPABILITY;
use exos_rt::sequences;
use exos_rt::shared::Shared;
use exos_rt::{call, memory};

/// Where it begins.
pub const START: u32 = NORMAL_START;
/// How many pages it has.
pub const PAGES: u32 = 1024;
/// Where the pinned pages are: what a process's maker tells it, statics, and the stack for exceptions; and the first of
/// its page table. Not a multiple of 16 MB, nor is where the world is: pages whose numbers differ by a multiple of 4096
/// would compete for their entries of the software TLB.
pub const PINNED: u32 = crate::page_table::START;
/// How many.
pub const PINNED_PAGES: u32 = 2;
/// Where the pinned statics end at the latest, and the stack for exceptions begins.
pub const STATICS_END: u32 = PINNED + 0x600;
/// The most pages of a table's that a fork can make.
pub const TABLE_PAGES: u32 = 8;

/// How many words of the pinned page are in use, up to the end of the statics.
#[must_use]
pub fn statics_words() -> usize {
    unsafe extern "C" {
        static exos_pinned_end: u32;
    }
    (&raw const exos_pinned_end as usize - PINNED as usize) / 4
}

/// Behind the stack for exceptions, but for the room that a function's caller keeps.
const FAULT_STACK: u32 = PINNED + PAGE_BYTES;

/// Behind the stack.
pub const STACK_TOP: u32 = START + (PAGES - 12) * PAGE_BYTES;
/// How many pages it may have. The page below them is not there.
pub const STACK_PAGES: u32 = 16;
/// Where a heap must end.
pub const HEAP_END: u32 = STACK_TOP - (STACK_PAGES + 1) * PAGE_BYTES;
/// Where a page is that is read to be copied.
const SOURCE: u32 = START + (PAGES - 1) * PAGE_BYTES;
/// Where pages are that are made for another process: its pinned ones, and one more.
const WINDOW: u32 = STACK_TOP;
/// How many windows there are: for the first pinned page, the table's, and one that is filled in.
pub const WINDOWS: u32 = 2 + TABLE_PAGES;

/// See above, likewise below.
pub const ZERO: u32 = ABSENT | RIGHTS;
/// A page of the boot archive.
pub const SHOWN: u32 = COPY;
/// The last one of a file's data.
pub const LAST: u32 = COPY | ABSENT;
/// One's own page that others may read.
pub const LENT: u32 = COPY | OWN;
/// Another's page.
pub const BORROWED: u32 = COPY | SHARED;
/// The bits that tell these apart.
const KIND: u32 = ABSENT | COPY | OWN | SHARED;

/// Whether an entry is of a kind: of [`OWN`], [`ABSENT`], or those above.
#[must_use]
pub const fn is(entry: u32, kind: u32) -> bool {
    entry & KIND == kind
}

/// The entry of a page of one's own that may be used at once.
#[must_use]
pub const fn owned(frame: u32, rights: u32) -> u32 {
    settled(frame << PAGE_SHIFT | OWN | rights & RIGHTS | USED | STORED)
}

/// The entry of a page that shows a frame, at once for reading.
#[must_use]
pub const fn shown(frame: u32) -> u32 {
    settled(frame << PAGE_SHIFT | SHOWN | RIGHTS | USED)
}

/// The number of a page, counted from [`START`].
#[must_use]
pub const fn number(address: u32) -> u32 {
    (address - START) >> PAGE_SHIFT
}

// --- The page table. --------------------------------------------------------------------------------------------------

/// Which process's table it is about, and so where its words are.
pub enum Table<'a> {
    /// This one's.
    Own,
    /// This one's, whose pages its parent has given already. Their addresses are among the words that it has told.
    Given,
    /// That of one which this one makes.
    New(&'a mut Pages),
}

impl Memory for Table<'_> {
    #[inline]
    fn read(&self, address: u32) -> u32 {
        match self {
            Self::Own | Self::Given => Machine.read(address),
            Self::New(pages) => pages.read(address),
        }
    }

    #[inline]
    fn write(&mut self, address: u32, word: u32) {
        match self {
            Self::Own | Self::Given => Machine.write(address, word),
            Self::New(pages) => pages.write(address, word),
        }
    }

    // A child has it in the page that it begins in.
    #[inline(always)]
    fn page(&mut self) -> Option<u32> {
        match self {
            Self::Own => Machine.page(),
            Self::Given => Some(TABLE),
            Self::New(pages) => pages.table_page(),
        }
    }

    fn empty(&self) -> u32 {
        Machine.empty()
    }
}

// SAFETY: `process_page_table!` defines them so.
unsafe extern "Rust" {
    /// Makes an empty table of a root of whatever contents; false if there is no memory for it.
    safe fn exos_table_clear(table: &mut Table) -> bool;
    /// Makes an empty table of a new root.
    safe fn exos_table_begin(table: &mut Table) -> bool;
    /// Where the entry of the page of an address in this process is, or a word that is 0.
    safe fn exos_table_place(address: u32) -> u32;
    /// Where the entry of a page is, or is to be.
    safe fn exos_table_make(table: &mut Table, page: u32) -> Option<u32>;
    /// The handlers that consult it.
    safe fn exos_table_handlers() -> [(Code, unsafe extern "C" fn()); 3];
}

/// Names the form of the page table of this program's processes.
#[macro_export]
macro_rules! process_page_table {
    ($form:ty) => {
        const _: () = {
            use $crate::page_table::{Form, PageTable, ROOT, parts::Code};
            use $crate::process::space::Table;

            #[inline(always)]
            #[unsafe(no_mangle)]
            fn exos_table_clear(table: &mut Table) -> bool {
                <$form as PageTable>::clear(table, ROOT)
            }
            #[inline(always)]
            #[unsafe(no_mangle)]
            fn exos_table_begin(table: &mut Table) -> bool {
                <$form as PageTable>::begin(table, ROOT)
            }
            #[inline(always)]
            #[unsafe(no_mangle)]
            fn exos_table_place(address: u32) -> u32 {
                <$form as Form>::place(address)
            }
            #[inline(always)]
            #[unsafe(no_mangle)]
            fn exos_table_make(table: &mut Table, page: u32) -> Option<u32> {
                <$form as PageTable>::make(table, ROOT, page)
            }
            #[unsafe(no_mangle)]
            fn exos_table_handlers() -> [(Code, unsafe extern "C" fn()); 3] {
                [
                    (Code::Modified, <$form as Form>::process_modified),
                    (Code::TlbLoad, <$form as Form>::process_load_missed),
                    (Code::TlbStore, <$form as Form>::process_store_missed),
                ]
            }
        };
    };
}

/// The entry of a page, by its number, which is below [`PAGES`].
#[must_use]
pub fn entry(page: u32) -> u32 {
    Machine.read(exos_table_place(START + page * PAGE_BYTES))
}

/// Sets the entry of a page. What the TLBs have of it stays.
///
/// # Safety
/// The page may be accessed so as the language's rules have it.
///
/// # Errors
/// [`Error::Full`] if it has no place in the table yet, and there is no memory for one.
pub unsafe fn add(page: u32, entry: u32) -> Result<(), Error> {
    enter(&mut Table::Own, page, entry)
}

/// Begins a new table.
pub(crate) fn begin_table(table: &mut Table) -> bool {
    exos_table_begin(table)
}

/// Sets the entry of a page in a table.
#[inline]
pub(crate) fn enter(table: &mut Table, page: u32, entry: u32) -> Result<(), Error> {
    let place = exos_table_make(table, (START >> PAGE_SHIFT) + page).ok_or(Error::Full)?;
    table.write(place, entry);
    Ok(())
}

/// Sets the entry of a page that has a place.
///
/// # Safety
/// As for [`add`].
pub unsafe fn set(page: u32, entry: u32) {
    // SAFETY: the caller's.
    if unsafe { add(page, entry) }.is_err() {
        // It never had one. Nothing else is to be done with a table that is not what it was.
        process::faulted(signal::KILL)
    }
}

/// Makes an empty table for this process.
///
/// # Errors
/// [`Error::Full`] if there is no memory for it.
pub(crate) fn begin() -> Result<(), Error> {
    set_state!(backed, PINNED_PAGES);
    set_state!(tables, 0);
    if !exos_table_clear(&mut Table::Own) {
        return Err(Error::Full);
    }
    Ok(())
}

/// Makes this process's table, when the maker has told what it has.
///
/// # Errors
/// [`Error::Full`] if there is no memory for it.
pub(crate) fn begin_with_program() -> Result<(), Error> {
    begin()?;
    let home = home();
    let (file_end, end, loaded) = (home.data_end.get(), home.heap_start.get(), home.loaded.get() != 0);
    for address in (START..end).step_by(PAGE_BYTES as usize) {
        let frame = home.data_frame.get() + number(address);
        let entry = match () {
            () if loaded && file_end > address => owned(frame, RIGHTS),
            () if file_end >= address + PAGE_BYTES => shown(frame),
            () if file_end > address => frame << PAGE_SHIFT | LAST | RIGHTS,
            () => ZERO,
        };
        // SAFETY: it is so.
        unsafe { add(number(address), entry)? };
    }
    let top = number(STACK_TOP);
    for page in top - STACK_PAGES..top - 1 {
        // SAFETY: as above.
        unsafe { add(page, ZERO)? };
    }
    // SAFETY: as above.
    unsafe { add(top - 1, owned(home.stack_frame.get(), RIGHTS)) }
}

/// Makes the form's handlers this process's: where they are others than `process.ld` has put into the header.
pub(crate) fn set_handlers() {
    let header = process::me().header.get();
    for (code, handler) in exos_table_handlers() {
        let handler = handler as *const () as u32;
        // SAFETY: nobody looks at the header of a process that runs, but who makes its child of it, or kills it: then
        // either will do, since all that is needed for its end is pinned.
        let word = unsafe { &raw mut (*header).handlers[code as usize] };
        // SAFETY: as above. The handlers do what handlers must.
        unsafe {
            if word.read() != handler {
                word.write(handler);
                let _ = call::set_handler(code, Some(handler));
            }
        }
    }
}

/// Called by assembly in a process that was made by a fork, on its stack for exceptions: takes over the table that its
/// parent has made.
#[unsafe(link_section = ".text.process_fork")]
pub(crate) extern "C" fn adopt() {
    let home = home();
    exos_table_clear(&mut Table::Given);
    for word in &home.root[..home.root_words.get() as usize] {
        Machine.write(word.place.get(), word.value.get());
    }
    set_state!(backed, 1 + home.tables.get());
    set_state!(tables, home.tables.get());
}

// --- Windows. ---------------------------------------------------------------------------------------------------------

/// Where a window is.
#[must_use]
pub const fn window(number: u32) -> u32 {
    WINDOW + number * PAGE_BYTES
}

/// Maps a frame of this process's at a window, to fill it in for another; where that is.
///
/// # Safety
/// Nobody uses the window, nor the frame.
///
/// # Errors
/// As for [`add`].
pub unsafe fn open(window: u32, frame: u32) -> Result<*mut u8, Error> {
    let address = self::window(window);
    // SAFETY: the caller's.
    unsafe { add(number(address), owned(frame, RIGHTS))? };
    call::tlb_delete(address);
    Ok(address as *mut u8)
}

/// Makes another environment the owner of the frame at a window, which is empty again; which frame.
///
/// # Safety
/// Nobody uses what is there.
///
/// # Errors
/// Those of [`call::frame_give`].
pub unsafe fn give(window: u32, to: exos_rt::abi::EnvId) -> Result<u32, Error> {
    let page = number(WINDOW) + window;
    let frame = entry(page) >> PAGE_SHIFT;
    // SAFETY: the caller's. The call breaks the mapping.
    unsafe {
        set(page, 0);
        call::frame_give(frame, to).map(|()| frame)
    }
}

/// Frees the frame at a window.
///
/// # Safety
/// Nobody uses what is there.
pub unsafe fn discard(window: u32) {
    let page = number(WINDOW) + window;
    let frame = entry(page) >> PAGE_SHIFT;
    // SAFETY: the caller's; the frame is this process's.
    unsafe {
        set(page, 0);
        let _ = call::frame_free(frame);
    }
}

// --- Misses. ----------------------------------------------------------------------------------------------------------

/// Called by assembly for a page that does not allow an access, or that the kernel refuses: sees to it that it can be
/// tried again, or ends the process.
#[doc(hidden)]
#[unsafe(link_section = ".text.process_space")]
pub extern "C" fn missed(context: &mut Context) {
    let slot = (SAVE_PAGE + offset_of!(SavePage, capability) as u32) as *mut [u32; 2];
    // SAFETY: it is in the save page. What was interrupted may be about to make a call with what is there, and the calls
    // that are made here use it.
    let capability = unsafe { slot.read_volatile() };
    if !answer(context.address, context.code != Code::TlbLoad as u32) {
        // Who handles it tries again.
        if !signals::fault(signal::SEGV, context.pc(), context.address) {
            process::faulted(signal::SEGV)
        }
    }
    // SAFETY: as above.
    unsafe { slot.write_volatile(capability) }
}

/// Sees to it that an access can be tried again; false if it is not allowed.
fn answer(address: u32, store: bool) -> bool {
    if let Some(public) = sequences::unwindow(address) {
        // SAFETY: the kernel maps public memory only, and only for reading.
        return !store && unsafe { call::tlb_write(address, public, NO_CAPABILITY) }.is_ok();
    }
    if let Some(mapped) = store::missed(address) {
        return mapped.is_ok();
    }
    if address.wrapping_sub(START) >= PAGES * PAGE_BYTES {
        return false;
    }
    let page = number(address);
    let needed = if store { RIGHTS } else { READ };
    if entry(page) & needed != needed || !provide(page, store) {
        return false;
    }
    let entry = entry(page);
    let capability = if is(entry, BORROWED) {
        lending::capability(if page == number(SOURCE) { SOURCE_PAGE.get() } else { page })
    } else {
        // What it does not need it is not marked with, so that the handler does not ask the kernel in vain.
        let used = settled(entry | USED | if store { STORED } else { 0 });
        // SAFETY: it may be accessed so.
        unsafe { set(page, used) };
        NO_CAPABILITY
    };
    let allowed = if is(entry, BORROWED) { entry_lo::VALID } else { self::entry(page) & HARDWARE };
    // SAFETY: as the entry says.
    unsafe { call::tlb_write(address, entry & entry_lo::FRAME | allowed, capability) }.is_ok()
}

/// Gives a page a frame, if it has none, and one of its own if it is to be stored to: whether there was memory for it.
#[unsafe(link_section = ".text.process_space")]
fn provide(page: u32, store: bool) -> bool {
    let entry = entry(page);
    let source = settled(entry & (entry_lo::FRAME | OWN) | COPY | READ | USED);
    match entry & KIND {
        ABSENT => match paging::frame() {
            Some(frame) => {
                if entry >> PAGE_SHIFT != 0 && !paging::fetch(entry >> PAGE_SHIFT, frame) {
                    return false;
                }
                // SAFETY: the frame has what the page is to have, and is new.
                unsafe { set(page, owned(frame, entry)) };
                true
            }
            None => false,
        },
        LAST => copy(page, settled(entry & entry_lo::FRAME | COPY | READ | USED)),
        SHOWN if store => copy(page, source),
        LENT if store && lending::is_wanted() => {
            let copied = copy(page, source);
            if copied {
                lending::retire(page, entry >> PAGE_SHIFT);
            }
            copied
        }
        LENT if store => {
            // SAFETY: it is this process's own, and nobody else reads it.
            unsafe { set(page, owned(entry >> PAGE_SHIFT, entry)) };
            call::tlb_delete(START + page * PAGE_BYTES);
            true
        }
        BORROWED if store => copy(page, entry & entry_lo::FRAME | BORROWED | READ),
        0 => false,
        // It has what it needs; that the handler did not know.
        _ => true,
    }
}

/// Makes a page that is not to be written to this process's own, whatever rights it has: whether there was memory for it.
pub(crate) fn own(page: u32) -> bool {
    is(entry(page), OWN) || provide(page, true)
}

/// The number of the page that is at [`SOURCE`].
#[unsafe(link_section = ".pinned")]
static SOURCE_PAGE: Shared<u32> = Shared::new(0);

/// Gives a page a new frame, with the contents of the one that an entry maps.
#[unsafe(link_section = ".text.process_space")]
fn copy(page: u32, from: u32) -> bool {
    let address = START + page * PAGE_BYTES;
    let entry = entry(page);
    // SAFETY: it is this function's.
    if unsafe { add(number(SOURCE), from) }.is_err() {
        return false;
    }
    let Some(frame) = paging::frame() else { return false };
    // Behind the end of a file is what follows it in the archive, or nothing.
    let bytes = if is(entry, LAST) { home().data_end.get() % PAGE_BYTES } else { PAGE_BYTES };
    SOURCE_PAGE.set(page);
    // SAFETY: the frame is new, and nobody else sees its page before it is filled in; SOURCE is this function's, which
    // is not entered again, since what it touches is not to be copied.
    unsafe {
        set(page, owned(frame, RIGHTS));
        call::tlb_delete(address);
        memory::copy_words(address as *mut u32, SOURCE as *const u32, bytes as usize / 4);
        for byte in bytes & !3..bytes {
            ((address + byte) as *mut u8).write(((SOURCE + byte) as *const u8).read());
        }
        set(number(SOURCE), 0);
        if entry & RIGHTS != RIGHTS {
            set(page, owned(frame, entry));
            call::tlb_delete(address);
        }
    }
    call::tlb_delete(SOURCE);
    true
}

/// Sets what the process may do with `pages` pages from that of `address` on: [`READ`] and [`WRITE`], or 0. An access that
/// they do not allow is a fault.
///
/// # Errors
/// [`Fail::BadAddress`] if one of them is not there; then nothing has happened.
pub fn protect(address: u32, pages: u32, rights: u32) -> Result<(), Fail> {
    let first = address.checked_sub(START).ok_or(Fail::BadAddress)? >> PAGE_SHIFT;
    let range = first..first.checked_add(pages).filter(|&end| end <= number(STACK_TOP)).ok_or(Fail::BadAddress)?;
    if range.clone().any(|page| entry(page) == 0) {
        return Err(Fail::BadAddress);
    }
    for page in range.clone() {
        let entry = entry(page);
        // SAFETY: it is there, and what it may be used for is the program's business.
        unsafe { set(page, settled(entry & !RIGHTS | rights & RIGHTS)) };
    }
    // What the TLBs have is taken at once; what they do not have is found out when it is missed.
    let stay = settled(rights & RIGHTS | USED | STORED) & HARDWARE;
    let mut page = range.start;
    while stay & entry_lo::DIRTY == 0 && page < range.end {
        let count = (range.end - page).min(PROTECT_MAX);
        call::tlb_protect(stay, START + page * PAGE_BYTES, count)?;
        page += count;
    }
    Ok(())
}

/// Called by assembly for any other exception: ends the process.
unsafe extern "C" fn failed(pc: u32, address: u32, cause: u32) -> ! {
    let number = match Code::handled(cause >> 2 & 0x1f) {
        Some(Code::Breakpoint) => signal::TRAP,
        Some(Code::Overflow) => signal::FPE,
        Some(Code::Reserved | Code::Coprocessor) => signal::ILL,
        _ => signal::BUS,
    };
    signals::fault(number, pc, address);
    process::faulted(number)
}

/// The stack for exceptions, which the main activity has.
pub const FAULT_STACKS: [u32; 2] = [FAULT_STACK - 16, 0];

global_asm!(
    ".section .text.process_space, \"ax\", @progbits",
    ".set noreorder",
    ".set noat",
    "",
    // --- Any exception but a miss: a0 = EPC, a1 = BadVAddr, a2 = Cause. It is the process's last. --------------------
    ".globl process_failed",
    ".type process_failed, @function",
    "process_failed:",
    "    lw    $sp, {CURRENT}($zero)",
    "    lui   $v0, {fault_top} >> 16", // and the delay of the load
    "    sw    $zero, {fault_stack}($sp)", // in use
    "    j     {failed}",
    "     ori  $sp, $v0, {fault_top} & 0xffff",
    ".size process_failed, . - process_failed",
    "    .balign 16",
    ".text",
    failed = sym failed,
    CURRENT = const sequences::CURRENT,
    fault_stack = const sequences::FAULT_STACK_WORD,
    fault_top = const FAULT_STACK - 16,
);

const _: () = {
    assert!(WINDOW + WINDOWS * PAGE_BYTES <= SOURCE && PINNED & 0xffff == 0);
    assert!(size_of::<Home>() <= 0x200);
};
