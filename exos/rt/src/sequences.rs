//! The assembly of every program: its first instruction, the start and the end of a slice, the way back from an
//! exception.
//!
//! `$k0` and `$k1` do not survive an interrupt or a TLB miss, so code that holds an address in one of them must be
//! begun anew when that happens; the kernel does this for the two ranges that the program's header names
//! ([`ProgramHeader`]). Both lie within one page, so that, once their first load has gone through, neither code nor
//! data misses the TLB until they are left.

use crate::{fault, program};
use aegis_abi::exception::{CODES, END_OF_SLICE_SLOT, SavePage};
use aegis_abi::program::{NOTE_OWNER, NOTE_TYPE, ProgramHeader, RETURN_SEQUENCE_BYTES};
use aegis_abi::vm::SAVE_PAGE;
use asm_lines::global_asm;
use core::mem::offset_of;

/// Bytes of the program's stack.
const STACK: usize = 16 * 1024;
/// Bytes of the stack for reporting a fault: the program's own may be what is broken.
const FAULT_STACK: usize = 4 * 1024;

/// A program's registers while it waits for its next slice. It lies in the save page, which an offset from `$zero`
/// reaches.
#[repr(C)]
struct Context {
    /// By number. Those of `$zero`, `$k0` and `$k1` are not used.
    registers: [u32; 32],
    hi: u32,
    lo: u32,
    /// Where it goes on.
    pc: u32,
    /// Time slices used to their end.
    used: u32,
    /// How many it may use; 0 for any number.
    limit: u32,
}

const CONTEXT: u32 = SAVE_PAGE + offset_of!(SavePage, own) as u32;
const _: () = assert!(size_of::<Context>() <= 832 * 4);

/// How many time slices the program has used to their end.
#[must_use]
pub fn slices_used() -> u32 {
    // SAFETY: the save page is always mapped. Volatile, because the end of a slice changes it.
    unsafe { (&raw const (*(CONTEXT as *const Context)).used).read_volatile() }
}

/// Where the program was when it last waited for a slice.
pub(crate) fn interrupted_at() -> u32 {
    // SAFETY: as for `slices_used`.
    unsafe { (&raw const (*(CONTEXT as *const Context)).pc).read_volatile() }
}

/// The address of the return sequence for a code: a handler that jumps there goes back to `SavePage::pc[code]`, with
/// `$a0` to `$a2` as they were.
#[must_use]
pub fn return_sequence(code: aegis_abi::exception::Code) -> u32 {
    exos_return as *const () as u32 + code as u32 * RETURN_SEQUENCE_BYTES
}

unsafe extern "C" {
    fn exos_return();
    /// Saves what a function preserves and gives up the slice. Returns in a later one.
    pub fn exos_yield();
}

/// Called by assembly at the very beginning, on the program's stack.
unsafe extern "C" fn begin() -> ! {
    unsafe extern "Rust" {
        fn exos_main();
    }
    // SAFETY: the context is the program's own, and its end-of-slice code only reads the limit. `exos_main` is what
    // `program!` defines.
    unsafe {
        (*(CONTEXT as *mut Context)).limit = program::limit().unwrap_or(0);
        exos_main();
    }
    crate::call::exit(0)
}

global_asm!(
    ".section .text.sequences, \"ax\", @progbits",
    ".set noreorder",
    ".set noat",
    "",
    // --- Return sequences, one for each exception code: 6 instructions. -----------------------------------------------------
    // A handler jumps to the one of its code. Interrupted anywhere, it is begun anew.
    ".globl exos_return",
    ".type exos_return, @function",
    ".balign 1024",
    "exos_return:",
    ".set code, 0",
    ".rept 16",
    "    lw    $k0, {saved_pc} + 4*code($zero)",
    "    lw    $a0, {saved_a0} + 4*code($zero)",
    "    lw    $a1, {saved_a1} + 4*code($zero)",
    "    lw    $a2, {saved_a2} + 4*code($zero)",
    "    jr    $k0",
    "     nop",                        // a load here would not be done in time for the instruction that is returned to
    "    .balign 32",
    "    .set code, code + 1",
    ".endr",
    "exos_return_end:",
    ".size exos_return, . - exos_return",
    "",
    // --- End of a slice. a0 = where the program was interrupted; its a0 is in the save page; all else is the program's. ----
    // Interrupts are on, but the kernel does not come here a second time before the slice is given back.
    ".type exos_end_of_slice, @function",
    "exos_end_of_slice:",
    "    .irp n, 1,2,3,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,28,29,30,31",
    "    sw    $\\n, {context} + 4*\\n($zero)",
    "    .endr",
    "    lw    $t0, {slice_a0}($zero)",
    "    mfhi  $t1",
    "    mflo  $t2",
    "    lw    $t3, {used}($zero)",
    "    lw    $t4, {limit}($zero)",
    "    sw    $t0, {context} + 4*4($zero)",
    "    sw    $t1, {hi}($zero)",
    "    sw    $t2, {lo}($zero)",
    "    addiu $t3, $t3, 1",
    "    sw    $t3, {used}($zero)",
    "    bne   $t3, $t4, exos_resume",
    "     sw   $a0, {pc}($zero)",
    "    lui   $sp, %hi(exos_fault_stack_top)",
    "    j     {limit_reached}",
    "     addiu $sp, $sp, %lo(exos_fault_stack_top)",
    ".size exos_end_of_slice, . - exos_end_of_slice",
    "",
    // --- Giving up a slice. Interrupted before its last instruction, it is saved and resumed like any code; and its last
    // instruction is the one that makes the context say where to go on. ---------------------------------------------------
    ".globl exos_yield",
    ".type exos_yield, @function",
    "exos_yield:",
    "    .irp n, 16,17,18,19,20,21,22,23,28,29,30,31",
    "    sw    $\\n, {context} + 4*\\n($zero)",
    "    .endr",
    "    j     exos_resume",
    "     sw   $ra, {pc}($zero)",
    ".size exos_yield, . - exos_yield",
    "",
    // --- The range in which the context is complete in memory. At its end of slice the program is not entered. ------------
    "    .balign 256",
    ".type exos_resume, @function",
    "exos_resume:",
    "    addiu $v0, $zero, {YIELD}",
    "    syscall",                     // does not come back
    // Start of a slice: no register is defined.
    "exos_start_of_slice:",
    "    lw    $t0, {hi}($zero)",
    "    lw    $t1, {lo}($zero)",
    "    lw    $k0, {pc}($zero)",
    "    mthi  $t0",
    "    mtlo  $t1",
    "    .irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,28,29,30,31",
    "    lw    $\\n, {context} + 4*\\n($zero)",
    "    .endr",
    "    jr    $k0",
    "     nop",
    "exos_resume_end:",
    ".size exos_resume, . - exos_resume",
    "",
    // --- Exceptions that the program has set no handler for: a0 = EPC, a1 = BadVAddr, a2 = Cause. -------------------------
    ".type exos_unhandled, @function",
    "exos_unhandled:",
    "    lui   $sp, %hi(exos_fault_stack_top)",
    "    j     {unhandled}",
    "     addiu $sp, $sp, %lo(exos_fault_stack_top)",
    ".size exos_unhandled, . - exos_unhandled",
    "",
    // --- The first instruction: every register is 0. ----------------------------------------------------------------------
    ".globl _start",
    ".type _start, @function",
    "_start:",
    "    lui   $sp, %hi(exos_stack_top)",
    "    j     {begin}",
    "     addiu $sp, $sp, %lo(exos_stack_top)",
    ".size _start, . - _start",
    "",
    // --- What the kernel is told. -----------------------------------------------------------------------------------------
    ".section .note.aegis, \"a\", @note",
    "    .balign 4",
    "    .word {owner_bytes}, {header_bytes}, {NOTE_TYPE}",
    "    .asciz \"Aegis\"",
    "    .balign 4",
    "    .word {VERSION}",
    "    .word exos_start_of_slice, exos_end_of_slice",
    "    .word 0",                     // interrupts are the kernel's
    "    .rept 7",
    "    .word exos_unhandled",
    "    .endr",
    "    .word 0",                     // so are system calls
    "    .rept 4",
    "    .word exos_unhandled",
    "    .endr",
    "    .word 0, 0, 0",
    "    .word 0, 0",                  // no transfers of control
    "    .word exos_return, exos_return_end",
    "    .word exos_resume, exos_resume_end",
    "",
    ".section .stack, \"aw\", @nobits",
    "    .balign 4096",
    "    .space {stack_bytes} - 16",    // a function's caller keeps room for four register arguments
    "exos_stack_top:",
    "    .space 16 + {fault_stack_bytes} - 16",
    "exos_fault_stack_top:",
    "    .space 16",
    ".text",
    saved_pc = const SAVE_PAGE + offset_of!(SavePage, pc) as u32,
    saved_a0 = const SAVE_PAGE + offset_of!(SavePage, a0) as u32,
    saved_a1 = const SAVE_PAGE + offset_of!(SavePage, a1) as u32,
    saved_a2 = const SAVE_PAGE + offset_of!(SavePage, a2) as u32,
    slice_a0 = const SAVE_PAGE + offset_of!(SavePage, a0) as u32 + 4 * END_OF_SLICE_SLOT as u32,
    context = const CONTEXT + offset_of!(Context, registers) as u32,
    hi = const CONTEXT + offset_of!(Context, hi) as u32,
    lo = const CONTEXT + offset_of!(Context, lo) as u32,
    pc = const CONTEXT + offset_of!(Context, pc) as u32,
    used = const CONTEXT + offset_of!(Context, used) as u32,
    limit = const CONTEXT + offset_of!(Context, limit) as u32,
    YIELD = const aegis_abi::call::YIELD,
    VERSION = const aegis_abi::VERSION,
    NOTE_TYPE = const NOTE_TYPE,
    owner_bytes = const NOTE_OWNER.len() + 1,
    header_bytes = const size_of::<ProgramHeader>(),
    stack_bytes = const STACK,
    fault_stack_bytes = const FAULT_STACK,
    unhandled = sym fault::unhandled,
    limit_reached = sym fault::limit_reached,
    begin = sym begin,
);

// Each return sequence serves the slot of its code.
const _: () = assert!(CODES >= 16 && RETURN_SEQUENCE_BYTES == 32);
const _: () = assert!(NOTE_OWNER.len() == 5, "the note above has another owner");
