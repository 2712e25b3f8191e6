//! The exception vectors: the hot paths. Every instruction is accounted for.
//!
//! In all of this file: kernel mode, interrupts off. `$k0` and `$k1` are free; every other register is the program's and is
//! not changed unless a comment says so. The counts are from the vector's first instruction through `rfe`.
//!
//! The MIPS I rules that shape the code: the instruction behind a load, or an `mfc0`, does not see what was loaded; the
//! instruction behind a branch is executed before the branch is taken (its *delay slot*, indented below).

use super::layout::{GATES_HIGH, KERNEL_PAGES_HIGH, SELECTS, STLB_DISTANCE, STLB_INDEX_MASK, global, offset};
use super::unwind::{frame_begins, frame_ends_at_epc};
use aegis_abi::EnvId;
use aegis_abi::call::NUMBER_MASK;
use asm_lines::global_asm;

global_asm!(
    ".section .vectors, \"ax\", @progbits",
    ".set noreorder",
    ".set noat",
    "",
    // --- 0x80000000: a user address missed the TLB -----------------------------------------------------------------------
    // The software TLB holds, for one hash of page and context id, the EntryHi it stands for and its EntryLo.
    // A hit takes 15 instructions (the paper: 18). The hardware has set EntryHi and Context; PTEBase is 0.
    ".globl tlb_refill",
    ".type tlb_refill, @function",
    "tlb_refill:",
    frame_begins!(),
    "    lui   $k1, {pages}",
    "    mfc0  $k0, $4",               // Context: VPN << 2
    "    lw    $k1, {stlb}($k1)",      // the table's address ^ the environment's hash
    "    andi  $k0, $k0, {index}",     // and the delay of the load
    "    xor   $k0, $k0, $k1",         // k0: the entry's tag
    "    lw    $k1, {distance}($k0)",  // its EntryLo
    "    lw    $k0, 0($k0)",           // the EntryHi it stands for
    "    mtc0  $k1, $2",               // EntryLo; harmless if it does not match
    "    mfc0  $k1, $10",              // EntryHi: what is wanted
    "    nop",                         // delay of the mfc0
    "    bne   $k0, $k1, 1f",
    "     mfc0 $k0, $14",              // EPC
    "    tlbwr",
    "    jr    $k0",
    "     .word 0x42000010",           // rfe
    // A miss in the pinned segment may be on a guaranteed mapping; one in the normal segment is the program's.
    "1:  sll   $k1, $k1, 1",          // k1 was EntryHi; the sign: whether the address is in the normal segment
    "    bltz  $k1, 6f",
    "     lui  $k1, {pages}",
    "    j     software_tlb_miss",     // k0, k1 free
    "     nop",
    frame_ends_at_epc!(),
    ".size tlb_refill, . - tlb_refill",
    "",
    // --- 0x80000080: everything else --------------------------------------------------------------------------------------
    // Dispatch of an exception to the program that caused it takes 17 instructions (the paper: 18); a system call leaves
    // after 7 and is at its gate after 15. The handler table and the save slots are arrays by exception code, so one register, the record plus the
    // scaled code, reaches all of them, and the stores before it is known that they are wanted do no harm.
    //
    // An R3000 takes an interrupt only before an instruction that has no exception of its own, so a program each of whose instructions has
    // one would never be interrupted. Therefore the clock's interrupt is looked at here: with it pending a second table is read, behind
    // the first, all entries of which are the interrupt's; the stores go as far behind their slots, into the record. The instruction,
    // a system call or another, is executed again.
    "    .balign 128",
    ".globl general",
    ".type general, @function",
    "general:",
    frame_begins!(),
    "    lui   $k1, {pages}",
    "    mfc0  $k0, $13",              // Cause
    "    lw    $k1, {current}($k1)",   // the record of the running environment
    "    andi  $k0, $k0, {selects}",   // ExcCode, scaled by 4, and the clock's interrupt; the delay of the load
    "    addiu $k0, $k0, -0x20",       // 0 for a system call, whose code is 8, with no tick
    "    beq   $k0, $zero, 2f",
    "     addu $k1, $k1, $k0",         // for a system call: unchanged
    "    lw    $k0, {handlers}($k1)",  // where this exception goes
    "    sw    $a2, {a2}($k1)",        // and the delay of the load
    "    bltz  $k0, 3f",               // to the kernel: it is an interrupt, or nobody's
    "     sw   $a0, {a0}($k1)",
    "    sw    $a1, {a1}($k1)",
    "    mfc0  $a2, $13",              // Cause
    "    mfc0  $a0, $14",              // EPC
    "    mfc0  $a1, $8",               // BadVAddr
    "    jr    $k0",
    "     .word 0x42000010",           // rfe: user mode, interrupts on
    "",
    // A synchronous transfer: 20 more instructions (the paper: about 20), 27 in all. v0 is 0 and stays so; v1 is the callee's id, then
    // the caller's. The first word of the callee's entry in the directory is its id if, and only if, all that follows is in order.
    "2:  bne   $v0, $zero, 4f",
    "     andi $k0, $v1, {index_mask}", // 16 times the callee's index
    "    lui   $v0, {pages}",
    "    addu  $k0, $k0, $v0",
    "    lw    $v0, {directory_synchronous}($k0)",
    "    lw    $k0, {directory_record}($k0)", // k0: the callee's record; and the delay of the load
    "    bne   $v0, $v1, 5f",
    "     lw   $v0, {status}($k0)",
    "    lw    $v1, {entry_hi}($k0)",
    "    mtc0  $v0, $12",              // Status: still kernel mode and interrupts off, until rfe
    "    mtc0  $v1, $10",              // EntryHi: the context id
    "    lw    $v0, {record_stlb}($k0)",
    "    lw    $v1, {id}($k1)",        // v1: the caller's id
    "    lui   $k1, {pages}",
    "    sw    $v0, {stlb}($k1)",
    "    sw    $k0, {current}($k1)",
    "    lw    $k1, {synchronous}($k0)",
    "    move  $v0, $zero",            // and the delay of the load
    "    jr    $k1",
    "     .word 0x42000010",           // rfe
    "",
    // Any other call: 8 more instructions to its gate. A call's number is its gate's offset, so no table is read.
    "4:  andi  $v0, $v0, {number_mask}",
    "    lui   $k0, {gates}",
    "    addu  $v0, $v0, $k0",
    "    mfc0  $k0, $14",              // EPC
    "    jr    $v0",                   // and the delay of the mfc0
    "     addiu $k0, $k0, 4",          // k0: where the program goes on; k1: its record; v0: the gate
    "",
    // The callee can't be entered like this: it is not there, or lacks only a context id, or it will be an error. v1 is unchanged.
    "5:  j     primitive",
    "     move $k0, $zero",            // the number
    "",
    // A miss in the normal segment: dispatch, from the refill vector 29 instructions in all. k1 = the kernel's pages.
    "6:  mfc0  $k0, $13",              // Cause
    "    lw    $k1, {current}($k1)",
    "    andi  $k0, $k0, {selects}",   // and the delay of the load
    "    addu  $k1, $k1, $k0",
    "    lw    $k0, {handlers} - 0x20($k1)",
    "    sw    $a2, {a2} - 0x20($k1)", // and the delay of the load
    "    bltz  $k0, 3f",
    "     sw   $a0, {a0} - 0x20($k1)",
    "    sw    $a1, {a1} - 0x20($k1)",
    "    mfc0  $a2, $13",              // Cause
    "    mfc0  $a0, $14",              // EPC
    "    mfc0  $a1, $8",               // BadVAddr
    "    jr    $k0",
    "     .word 0x42000010",           // rfe
    "",
    // To the kernel: k0 is a routine in trap.rs; if it is for an interrupt, a0 and a2 are in their slots and unchanged.
    "3:  jr    $k0",
    "     nop",
    frame_ends_at_epc!(),
    ".size general, . - general",
    ".text",
    pages = const KERNEL_PAGES_HIGH,
    selects = const SELECTS,
    current = const global::CURRENT,
    stlb = const global::STLB,
    index = const STLB_INDEX_MASK,
    distance = const STLB_DISTANCE,
    handlers = const offset::HANDLERS + 0x20,
    a0 = const offset::SAVED_A0 + 0x20,
    a1 = const offset::SAVED_A1 + 0x20,
    a2 = const offset::SAVED_A2 + 0x20,
    index_mask = const EnvId::INDEX_MASK,
    directory_synchronous = const global::DIRECTORY + offset::DIRECTORY_SYNCHRONOUS,
    directory_record = const global::DIRECTORY + offset::DIRECTORY_RECORD,
    id = const offset::ID,
    status = const offset::STATUS,
    entry_hi = const offset::ENTRY_HI,
    record_stlb = const offset::STLB,
    synchronous = const offset::SYNCHRONOUS,
    number_mask = const NUMBER_MASK,
    gates = const GATES_HIGH,
);
