//! The exception vectors of MIPS32. These paths are not tuned: they do what the R3000's do, and differ from them only
//! where the processors do.
//!
//! In all of this file: EXL is set, so kernel mode, interrupts off. `$k0` and `$k1` are free; every other register is
//! the program's and is not changed unless a comment says so. The processor waits for loads; `ehb` makes it wait for
//! coprocessor 0.

use super::cp0::{Cause, ODD};
use super::layout::{GATES_HIGH, KERNEL_PAGES_HIGH, STLB_DISTANCE, STLB_INDEX_MASK, global, offset};
use super::unwind::{frame_begins, frame_ends_at_epc};
use aegis_abi::call::NUMBER_MASK;
use asm_lines::global_asm;

global_asm!(
    ".section .vectors, \"ax\", @progbits",
    ".set push",
    ".set noreorder",
    ".set noat",
    ".set mips32",
    "",
    // --- 0x80000000: a user address missed the TLB -----------------------------------------------------------------------
    ".globl tlb_refill",
    ".type tlb_refill, @function",
    "tlb_refill:",
    frame_begins!(),
    "    j     tlb_lookup",
    "     nop",
    frame_ends_at_epc!(),
    ".size tlb_refill, . - tlb_refill",
    "",
    // --- 0x80000180: everything else --------------------------------------------------------------------------------------
    // As the R3000's, but for three things. A user address whose half of a TLB entry is invalid is a miss and is looked
    // up. Cause is masked. And a jump out of the kernel is `eret`, which takes its target from EPC.
    "    .org 0x180",
    ".globl general",
    ".type general, @function",
    "general:",
    frame_begins!(),
    "    lui   $k1, {pages}",
    "    mfc0  $k0, $13",              // Cause
    "    lw    $k1, {current}($k1)",   // the record of the running environment
    "    andi  $k0, $k0, 0x7c",        // ExcCode, scaled by 4
    "    addiu $k0, $k0, -0x20",       // 0 for a system call, whose code is 8
    "    beq   $k0, $zero, 2f",
    "     addu $k1, $k1, $k0",         // for a system call: unchanged
    "    addiu $k0, $k0, 0x18",        // 0 and 4 for a load or store with a TLB entry that is invalid
    "    sltiu $k0, $k0, 5",
    "    beq   $k0, $zero, 1f",
    "     nop",
    "    j     tlb_lookup",
    "     nop",
    "1:  j     dispatch",
    "     lw   $k0, {handlers}($k1)",  // where this exception goes
    "",
    "2:  beq   $v0, $zero, 3f",        // a synchronous transfer
    "     nop",
    "    andi  $v0, $v0, {number_mask}",
    "    lui   $k0, {gates}",
    "    addu  $v0, $v0, $k0",
    "    mfc0  $k0, $14",              // EPC
    "    jr    $v0",
    "     addiu $k0, $k0, 4",          // k0: where the program goes on; k1: its record; v0: the gate
    "",
    "3:  j     primitive",
    "     move $k0, $zero",            // the number
    frame_ends_at_epc!(),
    ".size general, . - general",
    "",
    ".text",
    // --- An exception to the program that caused it -------------------------------------------------------------------------
    // k0: where it goes, k1: the record + the scaled code - 0x20.
    ".type dispatch, @function",
    "dispatch:",
    frame_begins!(),
    "    sw    $a2, {a2}($k1)",
    "    bltz  $k0, 1f",               // to the kernel: it is an interrupt, or nobody's
    "     sw   $a0, {a0}($k1)",
    "    sw    $a1, {a1}($k1)",
    "    mfc0  $a2, $13",              // Cause
    "    lui   $k1, {cause_high}",
    "    ori   $k1, $k1, {cause_low}",
    "    and   $a2, $a2, $k1",         // what an R3000 has of it, too
    "    mfc0  $a0, $14",              // EPC
    "    mfc0  $a1, $8",               // BadVAddr
    "    mtc0  $k0, $14",
    "    ehb",
    "    eret",                        // user mode, interrupts on
    "1:  jr    $k0",
    "     nop",
    frame_ends_at_epc!(),
    ".size dispatch, . - dispatch",
    "",
    // --- A user address that the TLB does not map: loads its pair of pages from the software TLB ----------------------------
    // The hardware has set EntryHi (pair and context id), Context (pair << 4) and BadVAddr. Each page has an entry in
    // the software TLB, the two side by side. If the page that is wanted is not there, the rest is left to trap.rs.
    ".type tlb_lookup, @function",
    "tlb_lookup:",
    frame_begins!(),
    "    lui   $k1, {pages}",
    "    sw    $t0, {borrowed}($k1)",
    "    sw    $t1, {borrowed} + 4($k1)",
    "    sw    $t2, {borrowed} + 8($k1)",
    "    mfc0  $k0, $4",               // Context: pair << 4
    "    lw    $t0, {stlb}($k1)",      // the table's address ^ the environment's hash
    "    srl   $k0, $k0, 1",           // even page << 2
    "    andi  $k0, $k0, {index}",
    "    xor   $k0, $k0, $t0",         // k0: the even page's tag
    "    xori  $t0, $k0, 4",           // t0: the odd page's
    "    mfc0  $t1, $10",              // t1: EntryHi, which is the tag that is wanted of the even page
    "    lw    $t2, 0($k0)",
    "    lw    $k0, {distance}($k0)",
    "    xor   $t2, $t2, $t1",
    "    sltiu $t2, $t2, 1",           // 1 if it is there
    "    subu  $t2, $zero, $t2",
    "    and   $k0, $k0, $t2",         // k0: the even page's EntryLo, 0 if it is not there
    "    ori   $t1, $t1, {odd}",
    "    lw    $t2, 0($t0)",
    "    lw    $t0, {distance}($t0)",
    "    xor   $t2, $t2, $t1",
    "    sltiu $t2, $t2, 1",
    "    subu  $t2, $zero, $t2",
    "    and   $t0, $t0, $t2",         // t0: the odd page's
    "    mfc0  $t1, $8",               // BadVAddr
    "    andi  $t1, $t1, {odd}",
    "    beq   $t1, $zero, 1f",
    "     move $t2, $k0",
    "    move  $t2, $t0",
    "1:  beq   $t2, $zero, 4f",        // t2: that of the page that is wanted
    "     mtc0 $k0, $2",               // EntryLo0
    "    mtc0  $t0, $3",               // EntryLo1
    "    ehb",
    "    tlbp",                        // is the pair there, with a half that is invalid?
    "    ehb",
    "    mfc0  $k0, $0",               // Index: negative if not
    "    nop",
    "    bltz  $k0, 2f",
    "     nop",
    "    tlbwi",
    "    b     3f",
    "     nop",
    "2:  tlbwr",
    "3:  lw    $t2, {borrowed} + 8($k1)",
    "    lw    $t1, {borrowed} + 4($k1)",
    "    lw    $t0, {borrowed}($k1)",
    "    ehb",
    "    eret",
    "4:  lw    $t2, {borrowed} + 8($k1)",
    "    lw    $t1, {borrowed} + 4($k1)",
    "    j     software_tlb_miss",     // k0, k1 free
    "     lw   $t0, {borrowed}($k1)",
    frame_ends_at_epc!(),
    ".size tlb_lookup, . - tlb_lookup",
    "",
    // --- A user address that nothing maps: the exception is the program's ---------------------------------------------------
    ".type unmapped, @function",
    "unmapped:",
    frame_begins!(),
    "    lui   $k1, {pages}",
    "    mfc0  $k0, $13",              // Cause
    "    lw    $k1, {current}($k1)",
    "    andi  $k0, $k0, 0x7c",
    "    addiu $k0, $k0, -0x20",
    "    addu  $k1, $k1, $k0",
    "    j     dispatch",
    "     lw   $k0, {handlers}($k1)",
    frame_ends_at_epc!(),
    ".size unmapped, . - unmapped",
    ".set pop",
    pages = const KERNEL_PAGES_HIGH,
    current = const global::CURRENT,
    stlb = const global::STLB,
    borrowed = const global::BORROWED,
    index = const STLB_INDEX_MASK & !4,
    distance = const STLB_DISTANCE,
    odd = const ODD,
    handlers = const offset::HANDLERS + 0x20,
    a0 = const offset::SAVED_A0 + 0x20,
    a1 = const offset::SAVED_A1 + 0x20,
    a2 = const offset::SAVED_A2 + 0x20,
    cause_high = const Cause::COMMON >> 16,
    cause_low = const Cause::COMMON & 0xffff,
    number_mask = const NUMBER_MASK,
    gates = const GATES_HIGH,
);
