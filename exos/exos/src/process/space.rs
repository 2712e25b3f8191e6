//! A process's address space: 4 MB of the normal segment, under a page table of one page.
//!
//! Data is at its beginning, the heap behind it, the stack at its end; all the rest of a process is pinned (`process.ld`).
//! An entry is an EntryLo word whose low bits, which the hardware does not have, say what the page is:
//!
//! | entry | the page |
//! |---|---|
//! | 0 | is not there: an access ends the process |
//! | a frame, `VALID`, `DIRTY` | is its own |
//! | [`ZERO`] | is full of zeros, and gets a frame when it is touched |
//! | a frame, `VALID`, [`SHOWN`] | is one of the boot archive, and is copied when it is written to |
//! | a frame, [`SHOWN`] | likewise, the last of the file's data: it is copied, and its end cleared, when it is touched |
//! | a frame, `VALID`, [`LENT`] | is its own, but children may be reading it: it is copied when it is written to and they are |
//! | a frame, [`BORROWED`] | is its parent's: it is mapped by a capability, and copied when it is written to |
//!
//! A miss on a page that allows the access takes 18 instructions to the kernel's leave. All others go to [`missed`], in
//! Rust, on the pinned stack for exceptions.

use crate::process::{self, lending, table::signal};
use asm_lines::global_asm;
use core::mem::offset_of;
use exos_rt::abi::Error;
use exos_rt::abi::call::TLB_WRITE;
use exos_rt::abi::exception::{Code, SavePage};
use exos_rt::abi::frame::Capability;
use exos_rt::abi::program::ProgramHeader;
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES, PAGE_SHIFT, SAVE_PAGE, entry_lo};
use exos_rt::call::NO_CAPABILITY;
use exos_rt::sequences::{self, CURRENT, FAULT_STACK_WORD, HANDLER_SCRATCH};
use exos_rt::shared::Shared;
use exos_rt::{call, memory};

/// Where it begins.
pub const START: u32 = NORMAL_START;
/// How many pages it has.
pub const PAGES: u32 = PAGE_BYTES / 4;
/// Where the pinned pages are: what a process's maker tells it, statics, and the stack for exceptions; and its page
/// table. Not a multiple of 16 MB, nor is where the world is: pages whose numbers differ by a multiple of 4096 would
/// compete for their entries of the software TLB.
pub const PINNED: u32 = 0x3050_0000;
/// How many.
pub const PINNED_PAGES: u32 = 2;
/// Where the pinned statics end at the latest, and the stack for exceptions begins.
pub const STATICS_END: u32 = PINNED + 0x600;
/// The page table.
const TABLE: u32 = PINNED + PAGE_BYTES;
/// Behind the stack for exceptions, but for the room that a function's caller keeps.
const FAULT_STACK: u32 = TABLE;

/// Behind the stack.
pub const STACK_TOP: u32 = START + (PAGES - 4) * PAGE_BYTES;
/// How many pages it may have. The page below them is not there.
pub const STACK_PAGES: u32 = 16;
/// Where a heap must end.
pub const HEAP_END: u32 = STACK_TOP - (STACK_PAGES + 1) * PAGE_BYTES;
/// Where a page is that is read to be copied.
const SOURCE: u32 = START + (PAGES - 1) * PAGE_BYTES;
/// Where pages are that are made for another process.
const WINDOW: u32 = START + (PAGES - 4) * PAGE_BYTES;

/// The rights over a page of one's own.
pub const OWN: u32 = entry_lo::VALID | entry_lo::DIRTY;
/// See above, likewise below.
pub const ZERO: u32 = 1;
/// A page of the boot archive.
pub const SHOWN: u32 = 2;
/// One's own page that others may read.
pub const LENT: u32 = 4;
/// Another's page.
pub const BORROWED: u32 = 8;

/// The number of a page, counted from [`START`].
#[must_use]
pub const fn number(address: u32) -> u32 {
    (address - START) >> PAGE_SHIFT
}

fn slot(page: u32) -> *mut u32 {
    debug_assert!(page < PAGES);
    (TABLE as *mut u32).wrapping_add(page as usize % PAGES as usize)
}

/// The entry of a page, by its number, which is below [`PAGES`].
#[must_use]
pub fn entry(page: u32) -> u32 {
    // SAFETY: it is a word of the table, which is pinned. Volatile, because handlers change it.
    unsafe { slot(page).read_volatile() }
}

/// Sets the entry of a page. What the TLBs have of it stays.
///
/// # Safety
/// The page may be accessed so as the language's rules have it.
pub unsafe fn set(page: u32, entry: u32) {
    // SAFETY: as above.
    unsafe { slot(page).write_volatile(entry) }
}

/// Maps a frame of this process's at a window, to fill it in for another; where that is.
///
/// # Safety
/// Nobody uses the window, one of three, nor the frame.
pub unsafe fn open(window: u32, frame: u32) -> *mut u8 {
    let address = WINDOW + window * PAGE_BYTES;
    // SAFETY: the caller's.
    unsafe { set(number(address), frame << PAGE_SHIFT | OWN) };
    call::tlb_delete(address);
    address as *mut u8
}

/// Makes another environment the owner of the frame at a window, which is empty again.
///
/// # Safety
/// Nobody uses what is there.
///
/// # Errors
/// Those of [`call::frame_give`].
pub unsafe fn give(window: u32, to: exos_rt::abi::EnvId) -> Result<(), Error> {
    let page = number(WINDOW) + window;
    let frame = entry(page) >> PAGE_SHIFT;
    // SAFETY: the caller's. The call breaks the mapping.
    unsafe {
        set(page, 0);
        call::frame_give(frame, to)
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

/// Called by assembly for a page that does not allow an access, or that the kernel refuses: sees to it that it can be
/// tried again, or ends the process.
unsafe extern "C" fn missed(address: u32, code: u32, pc: u32) {
    let store = code != Code::TlbLoad as u32;
    if let Some(public) = sequences::unwindow(address) {
        // SAFETY: the kernel maps public memory only, and only for reading.
        if !store && unsafe { call::tlb_write(address, public, NO_CAPABILITY) }.is_ok() {
            return;
        }
    } else if address.wrapping_sub(START) < PAGES * PAGE_BYTES && make_good(number(address), store) {
        return;
    }
    process::faulted(signal::SEGV, pc, address)
}

/// Does what an entry asks for at an access; whether it may be tried again.
fn make_good(page: u32, store: bool) -> bool {
    let entry = entry(page);
    let address = START + page * PAGE_BYTES;
    match entry & (ZERO | SHOWN | LENT | BORROWED) {
        ZERO => {
            let Ok(frame) = memory::allocate() else { return false };
            // SAFETY: the frame is new, and the page one of zeros.
            unsafe { set(page, frame << PAGE_SHIFT | OWN) };
            true
        }
        SHOWN if store || entry & entry_lo::VALID == 0 => copy(page, entry & entry_lo::FRAME | entry_lo::VALID),
        LENT if store && lending::is_wanted() => {
            let copied = copy(page, entry & entry_lo::FRAME | entry_lo::VALID);
            if copied {
                lending::retire(page, entry >> PAGE_SHIFT);
            }
            copied
        }
        LENT if store => {
            // SAFETY: it is this process's own, and nobody else reads it.
            unsafe { set(page, entry & entry_lo::FRAME | OWN) };
            call::tlb_delete(address);
            true
        }
        BORROWED if store => copy(page, entry & (entry_lo::FRAME | BORROWED)),
        BORROWED => {
            let Capability(tag) = lending::capability(if page == number(SOURCE) { SOURCE_PAGE.get() } else { page });
            let entry_lo = entry & entry_lo::FRAME | entry_lo::VALID;
            // SAFETY: what is lent is read only.
            unsafe { call::tlb_write(address, entry_lo, Capability(tag)) }.is_ok()
        }
        // The entry allows it, and the kernel was not asked: the TLBs had an older one.
        _ if entry & entry_lo::VALID != 0 && (!store || entry & entry_lo::DIRTY != 0) => {
            // SAFETY: as the entry says.
            unsafe { call::tlb_write(address, entry & (entry_lo::FRAME | OWN), NO_CAPABILITY) }.is_ok()
        }
        _ => false,
    }
}

/// Makes a page that is not to be written to this process's own: whether there was memory for it.
pub fn own(page: u32) -> bool {
    entry(page) & (SHOWN | LENT | BORROWED) == 0 || make_good(page, true)
}

/// The number of the page that is at [`SOURCE`].
#[unsafe(link_section = ".pinned")]
static SOURCE_PAGE: Shared<u32> = Shared::new(0);

/// Gives a page a new frame, with the contents of the one that `from` maps.
fn copy(page: u32, from: u32) -> bool {
    let Ok(frame) = memory::allocate() else { return false };
    let address = START + page * PAGE_BYTES;
    // Behind the end of a file is what follows it in the archive, or nothing.
    let is_last = entry(page) & (SHOWN | entry_lo::VALID) == SHOWN;
    let bytes = if is_last { process::home().data_end.get() % PAGE_BYTES } else { PAGE_BYTES };
    SOURCE_PAGE.set(page);
    // SAFETY: the frame is new, and nobody else sees its page before it is filled in; SOURCE is this function's, which
    // is not entered again, since what it touches is not to be copied.
    unsafe {
        set(number(SOURCE), from);
        set(page, frame << PAGE_SHIFT | OWN);
        call::tlb_delete(address);
        copy_words(address as *mut u32, SOURCE as *const u32, bytes as usize / 4);
        for byte in bytes & !3..bytes {
            ((address + byte) as *mut u8).write(((SOURCE + byte) as *const u8).read());
        }
        set(number(SOURCE), 0);
    }
    call::tlb_delete(SOURCE);
    true
}

/// Copies words.
///
/// # Safety
/// As many are there, and do not overlap.
pub unsafe fn copy_words(mut to: *mut u32, mut from: *const u32, mut count: usize) {
    // SAFETY: the caller's.
    unsafe {
        while count >= 8 {
            let words = from.cast::<[u32; 8]>().read();
            to.cast::<[u32; 8]>().write(words);
            (to, from, count) = (to.add(8), from.add(8), count - 8);
        }
        while count != 0 {
            to.write(from.read());
            (to, from, count) = (to.add(1), from.add(1), count - 1);
        }
    }
}

/// Called by assembly for any other exception: ends the process.
unsafe extern "C" fn failed(pc: u32, address: u32, cause: u32) -> ! {
    let number = match Code::handled(cause >> 2 & 0x1f) {
        Some(Code::Breakpoint) => signal::TRAP,
        Some(Code::Overflow) => signal::FPE,
        Some(Code::Reserved | Code::Coprocessor) => signal::ILL,
        _ => signal::BUS,
    };
    process::faulted(number, pc, address)
}

/// The stack for exceptions, which the main activity has.
pub const FAULT_STACKS: [u32; 2] = [FAULT_STACK, 0];

/// Enters this space's handlers in a header.
pub fn set_handlers(header: &mut ProgramHeader) {
    for code in Code::HANDLED {
        header.handlers[code as usize] = match code {
            Code::Modified => process_modified as *const () as u32,
            Code::TlbLoad => process_load_missed as *const () as u32,
            Code::TlbStore => process_store_missed as *const () as u32,
            _ => process_failed as *const () as u32,
        };
    }
}

/// What `process_missed` saves on the stack.
#[repr(C, align(8))]
struct Frame {
    /// A function's caller keeps room for four register arguments.
    arguments: [u32; 4],
    at: u32,
    v0: u32,
    v1: u32,
    a3: u32,
    /// `$t0` to `$t9`.
    t: [u32; 10],
    sp: u32,
    ra: u32,
    hi: u32,
    lo: u32,
    code: u32,
    /// The stack for exceptions, or 0 if this was it already.
    stack: u32,
    /// The save slots, and where to go back to.
    slots: [u32; 4],
    /// The capability slot, which a handler's calls use.
    capability: [u32; 2],
}

unsafe extern "C" {
    fn process_modified();
    fn process_load_missed();
    fn process_store_missed();
    fn process_failed();
}

global_asm!(
    ".section .text.process_space, \"ax\", @progbits",
    ".set noreorder",
    ".set noat",
    "",
    // --- Handlers: a0 = EPC, a1 = BadVAddr, a2 = Cause. `bit` is the bit of the entry that allows the access. --------
    ".macro process_miss name, code, bit",
    ".type \\name, @function",
    "\\name:",
    "    sw    $v0, {scratch}($zero)",
    "    sw    $a0, {pc} + 4*\\code($zero)",
    "    srl   $a0, $a1, 22",
    "    addiu $a0, $a0, -{start_number}",
    "    bne   $a0, $zero, 1f",        // not in this space
    "     srl  $a2, $a1, 10",
    "    andi  $a2, $a2, 0xffc",
    "    lui   $a0, {table} >> 16",
    "    addu  $a2, $a2, $a0",
    "    lw    $a2, {table} & 0xffff($a2)", // the entry
    "    addiu $v0, $zero, {TLB_WRITE}",
    "    sll   $a0, $a2, 31 - \\bit",
    "    bgez  $a0, 1f",
    "     srl  $a2, $a2, 8",           // the hardware does not have the low bits
    "    sll   $a2, $a2, 8",
    "    syscall",                     // a0 and a3 are no capability's tag: the frame is the program's own, or public
    "    bgez  $v0, exos_return + 32*\\code",
    "     lw   $v0, {scratch}($zero)",
    "1:  j     process_missed",
    "     addiu $a2, $zero, \\code",
    ".size \\name, . - \\name",
    ".endm",
    "    process_miss  process_load_missed, 2, 9",
    "    process_miss  process_store_missed, 3, 9",
    "    process_miss  process_modified, 1, 10",
    "",
    // --- The long way: a1 = BadVAddr, a2 = the code; v0 and EPC are saved, every other register is the program's. ----
    ".type process_missed, @function",
    "process_missed:",
    "    lw    $a0, {CURRENT}($zero)",
    "    nop",
    "    lw    $v0, {fault_stack}($a0)",
    "    sw    $zero, {fault_stack}($a0)", // in use
    "    bne   $v0, $zero, 1f",
    "     move $a0, $v0",
    "    move  $v0, $sp",              // it was so before: below what is there
    "1:  addiu $v0, $v0, -{frame}",
    "    sw    $sp, {sp}($v0)",
    "    sw    $a0, {stack}($v0)",
    "    move  $sp, $v0",
    "    lw    $v0, {scratch}($zero)",
    "    sw    $at, {at}($sp)",
    "    sw    $v0, {v0}($sp)",
    "    sw    $v1, {v1}($sp)",
    "    sw    $a3, {a3}($sp)",
    "    sw    $ra, {ra}($sp)",
    "    .irp n, 0,1,2,3,4,5,6,7,8,9",
    "    sw    $t\\n, {t} + 4*\\n($sp)",
    "    .endr",
    "    mfhi  $t0",
    "    mflo  $t1",
    "    sw    $t0, {hi}($sp)",
    "    sw    $t1, {lo}($sp)",
    "    sll   $t0, $a2, 2",
    "    lw    $t1, {saved_a0}($t0)",
    "    lw    $t2, {saved_a1}($t0)",
    "    lw    $t3, {saved_a2}($t0)",
    "    lw    $t4, {pc}($t0)",
    "    sw    $t1, {slots}($sp)",
    "    sw    $t2, {slots} + 4($sp)",
    "    sw    $t3, {slots} + 8($sp)",
    "    sw    $t4, {slots} + 12($sp)",
    "    lw    $t1, {page_capability}($zero)",
    "    lw    $t2, {page_capability} + 4($zero)",
    "    sw    $t1, {capability}($sp)",
    "    sw    $t2, {capability} + 4($sp)",
    "    sw    $a2, {code}($sp)",
    "    move  $a0, $a1",
    "    move  $a1, $a2",
    "    jal   {missed}",
    "     move $a2, $t4",
    "    lw    $t1, {capability}($sp)",
    "    lw    $t2, {capability} + 4($sp)",
    "    sw    $t1, {page_capability}($zero)",
    "    sw    $t2, {page_capability} + 4($zero)",
    "    lw    $a2, {code}($sp)",
    "    lw    $t1, {slots}($sp)",
    "    sll   $a0, $a2, 2",
    "    lw    $t2, {slots} + 4($sp)",
    "    lw    $t3, {slots} + 8($sp)",
    "    lw    $t4, {slots} + 12($sp)",
    "    sw    $t1, {saved_a0}($a0)",
    "    sw    $t2, {saved_a1}($a0)",
    "    sw    $t3, {saved_a2}($a0)",
    "    sw    $t4, {pc}($a0)",
    "    lw    $t0, {hi}($sp)",
    "    lw    $t1, {lo}($sp)",
    "    mthi  $t0",
    "    mtlo  $t1",
    "    .irp n, 0,1,2,3,4,5,6,7,8,9",
    "    lw    $t\\n, {t} + 4*\\n($sp)",
    "    .endr",
    "    lw    $at, {at}($sp)",
    "    lw    $v0, {v0}($sp)",
    "    lw    $v1, {v1}($sp)",
    "    lw    $a3, {a3}($sp)",
    "    lw    $ra, {ra}($sp)",
    "    sll   $a2, $a2, 5",           // the return sequence of the code
    "    lui   $a1, %hi(exos_return)",
    "    addiu $a1, $a1, %lo(exos_return)",
    "    addu  $a1, $a1, $a2",
    "    lw    $a0, {CURRENT}($zero)",
    "    lw    $a2, {stack}($sp)",
    "    lw    $sp, {sp}($sp)",
    "    jr    $a1",
    "     sw   $a2, {fault_stack}($a0)",
    ".size process_missed, . - process_missed",
    "",
    // --- Any other exception: a0 = EPC, a1 = BadVAddr, a2 = Cause. It is the process's last. -------------------------
    ".type process_failed, @function",
    "process_failed:",
    "    lui   $sp, {fault_top} >> 16",
    "    j     {failed}",
    "     ori  $sp, $sp, {fault_top} & 0xffff",
    ".size process_failed, . - process_failed",
    "    .balign 16",
    ".text",
    pc = const SAVE_PAGE + offset_of!(SavePage, pc) as u32,
    saved_a0 = const SAVE_PAGE + offset_of!(SavePage, a0) as u32,
    saved_a1 = const SAVE_PAGE + offset_of!(SavePage, a1) as u32,
    saved_a2 = const SAVE_PAGE + offset_of!(SavePage, a2) as u32,
    page_capability = const SAVE_PAGE + offset_of!(SavePage, capability) as u32,
    start_number = const START >> 22,
    table = const TABLE,
    TLB_WRITE = const TLB_WRITE,
    CURRENT = const CURRENT,
    fault_stack = const FAULT_STACK_WORD,
    scratch = const HANDLER_SCRATCH,
    frame = const size_of::<Frame>(),
    at = const offset_of!(Frame, at),
    v0 = const offset_of!(Frame, v0),
    v1 = const offset_of!(Frame, v1),
    a3 = const offset_of!(Frame, a3),
    t = const offset_of!(Frame, t),
    sp = const offset_of!(Frame, sp),
    ra = const offset_of!(Frame, ra),
    hi = const offset_of!(Frame, hi),
    lo = const offset_of!(Frame, lo),
    code = const offset_of!(Frame, code),
    stack = const offset_of!(Frame, stack),
    slots = const offset_of!(Frame, slots),
    capability = const offset_of!(Frame, capability),
    missed = sym missed,
    failed = sym failed,
    fault_top = const FAULT_STACK - 16,
);

const _: () = {
    assert!(Code::Modified as u32 == 1 && Code::TlbLoad as u32 == 2 && Code::TlbStore as u32 == 3);
    assert!(entry_lo::VALID == 1 << 9 && entry_lo::DIRTY == 1 << 10);
    assert!(START >> 22 == 0x100 && PAGES == 1024 && TABLE & 0x8000 == 0);
    assert!((ZERO | SHOWN | LENT | BORROWED) >> 8 == 0);
};
