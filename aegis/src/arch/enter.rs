//! From the kernel into a program: the start of a slice.

use super::layout::{KERNEL_PAGES_HIGH, Record, global, offset};
use asm_lines::naked_asm;

/// Makes `record`'s environment the running one and enters it at `pc`, in user mode with interrupts on.
///
/// Every register is cleared, so that nothing of another program or of the kernel is seen. The kernel's stack is abandoned.
///
/// # Safety
/// `record` is an initialised record with its save page before it, and stays valid while its environment is current.
#[unsafe(naked)]
pub unsafe extern "C" fn enter(record: *const Record, pc: u32) -> ! {
    // In: kernel mode, interrupts off; a0 = record, a1 = pc.
    naked_asm!(
        ".set noreorder",
        ".set noat",
        "lui   $k1, {pages}",
        "lw    $t0, {status}($a0)",
        "lw    $t1, {entry_hi}($a0)",
        "lw    $t2, {stlb}($a0)",
        "mtc0  $t0, $12",      // Status: still kernel mode and interrupts off, until rfe
        "mtc0  $t1, $10",      // EntryHi: the context id
        "sw    $a0, {current}($k1)",
        "sw    $t2, {global_stlb}($k1)",
        "move  $k0, $a1",
        "mthi  $zero",
        "mtlo  $zero",
        ".irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,27,28,29,30,31",
        "move  $\\n, $zero",
        ".endr",
        "jr    $k0",
        " .word 0x42000010",   // rfe
        pages = const KERNEL_PAGES_HIGH,
        status = const offset::STATUS,
        entry_hi = const offset::ENTRY_HI,
        stlb = const offset::STLB,
        current = const global::CURRENT,
        global_stlb = const global::STLB,
    )
}
