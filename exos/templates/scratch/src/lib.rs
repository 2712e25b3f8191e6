//! A library operating system on nothing but the runtime: an address space of one array.
//!
//! The kernel knows of no address space. It forwards a miss to the program, whose handler, below, looks the page up and asks for
//! the mapping; the kernel checks that the frame is the program's own, and enters it in its TLBs. All policy is here.

#![no_std]
#![feature(asm_experimental_arch)]

use core::arch::global_asm;
use core::mem::offset_of;
use exos_rt::abi::Error;
use exos_rt::abi::call::TLB_WRITE;
use exos_rt::abi::exception::{Code, SavePage};
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES, PAGE_SHIFT, SAVE_PAGE, entry_lo};
use exos_rt::sequences::HANDLER_SCRATCH;
use exos_rt::shared::Shared;
use exos_rt::{call, memory};

// The compiler has a fault, which `cargo exo` mends if there is room.
exos_rt::room_for_mends!();

/// Where the space begins.
pub const START: u32 = NORMAL_START;
/// How many pages it has.
pub const PAGES: usize = 256;

/// What each page is mapped to: an EntryLo word, 0 for nothing. The table is data of the program, which the kernel keeps mapped.
static TABLE: [Shared<u32>; PAGES] = [const { Shared::new(0) }; PAGES];

/// From now on misses are answered from the table.
///
/// # Errors
/// None that the program can cause.
pub fn install() -> Result<(), Error> {
    let handlers: [(Code, unsafe extern "C" fn()); 2] =
        [(Code::TlbLoad, template_load), (Code::TlbStore, template_store)];
    for (code, handler) in handlers {
        // SAFETY: the handlers change no register but those that they save.
        unsafe { call::set_handler(code, Some(handler as *const () as u32))? };
    }
    Ok(())
}

/// Maps a page to a frame that is this program's.
///
/// # Safety
/// Nobody refers to what was there before.
///
/// # Panics
/// If there is no such page.
pub unsafe fn map(page: usize, frame: u32) {
    TABLE[page].set(frame << PAGE_SHIFT | entry_lo::VALID | entry_lo::DIRTY);
    // The TLBs may know what was there.
    call::tlb_delete(START + page as u32 * PAGE_BYTES);
}

/// Maps a page to a frame of zeros.
///
/// # Errors
/// [`Error::Full`] if no frame is free.
///
/// # Panics
/// If there is no such page.
pub fn fill(page: usize) -> Result<(), Error> {
    let frame = memory::allocate()?;
    // SAFETY: the caller finds out that a page is another if it fills it twice; the frame is new.
    unsafe { map(page, frame) };
    Ok(())
}

/// Unmaps a page and frees its frame.
///
/// # Errors
/// [`Error::BadArgument`] if nothing is there.
///
/// # Safety
/// Nobody refers to what is there.
///
/// # Panics
/// If there is no such page.
pub unsafe fn unmap(page: usize) -> Result<(), Error> {
    let entry = TABLE[page].get();
    if entry == 0 {
        return Err(Error::BadArgument);
    }
    TABLE[page].set(0);
    call::tlb_delete(START + page as u32 * PAGE_BYTES);
    // SAFETY: it is mapped nowhere else.
    unsafe { call::frame_free(entry >> PAGE_SHIFT) }
}

unsafe extern "C" {
    fn template_load();
    fn template_store();
}

// A handler is entered with a0 = EPC, a1 = BadVAddr, a2 = Cause, which the kernel has saved; it saves what else it needs. A miss
// outside of the space, or on a page of nothing, goes where it went before: to the runtime.
global_asm!(
    ".set noreorder",
    ".set noat",
    ".macro template_handler code, otherwise",
    "    sw    $a0, {pc} + 4*\\code($zero)",
    "    sw    $v0, {scratch}($zero)",
    "    lui   $a0, {minus_start}",
    "    addu  $a0, $a0, $a1",
    "    srl   $a0, $a0, 12",           // which page it is
    "    sltiu $v0, $a0, {PAGES}",
    "    beq   $v0, $zero, 1f",
    "     sll  $a0, $a0, 2",
    "    lui   $v0, %hi({table})",
    "    addu  $a0, $a0, $v0",
    "    lw    $a0, %lo({table})($a0)", // what it is mapped to
    "    addiu $v0, $zero, {TLB_WRITE}",
    "    beq   $a0, $zero, 1f",
    "     move $a2, $a0",
    "    syscall",                      // a1 = the address, a2 = the entry; no capability, since the frame is ours
    "    j     exos_return + 32*\\code", // the program goes on, without the kernel
    "     lw   $v0, {scratch}($zero)",
    "1:  lw    $a0, {pc} + 4*\\code($zero)",
    "    lw    $v0, {scratch}($zero)",
    "    j     \\otherwise",
    "     addiu $a2, $zero, 4*\\code",
    ".endm",
    ".globl template_load, template_store",
    ".type template_load, @function",
    "template_load:",
    "    template_handler 2, exos_load_missed",
    ".size template_load, . - template_load",
    ".type template_store, @function",
    "template_store:",
    "    template_handler 3, exos_unhandled",
    ".size template_store, . - template_store",
    pc = const SAVE_PAGE as usize + offset_of!(SavePage, pc),
    scratch = const HANDLER_SCRATCH,
    minus_start = const START.wrapping_neg() >> 16,
    PAGES = const PAGES,
    table = sym TABLE,
    TLB_WRITE = const TLB_WRITE,
);

const _: () = assert!(Code::TlbLoad as u32 == 2 && Code::TlbStore as u32 == 3 && START.is_multiple_of(0x1_0000));
