//! Where the kernel enters the program, and the way back.
//!
//! One word, `busy`, says whether an event is under way. If none is there is nothing to save and nothing to resume: a
//! slice that ends is given back, one that begins is an event. If one is, its registers are in the save page whenever it
//! does not run.
//!
//! A call may come at any time, also while an event is suspended; until it has set `busy` it uses registers only. A slice
//! that ends in an entry would lose the call, for `busy` does not tell of it. There are three places:
//!
//! 1. Before a call is taken: it becomes an event that is suspended, and goes on with being taken.
//! 2. Before it is refused: it is refused all the same, asynchronously, so that the slice stays whose it is. The time is
//!    this environment's excess.
//! 3. Between the end of the event and the answer: the event is not at its end yet.
//!
//! An answer in another slice than the call's is an asynchronous transfer.

use aegis_abi::call::{SELF, TRANSFER_ASYNC, WAIT, WAKE, YIELD};
use aegis_abi::exception::{END_OF_SLICE_SLOT, SavePage};
use aegis_abi::program::{NOTE_OWNER, NOTE_TYPE, ProgramHeader};
use aegis_abi::vm::SAVE_PAGE;
use asm_lines::global_asm;
use core::mem::offset_of;

/// Bytes of the stack.
const STACK: usize = 8 * 1024;

/// `$t9` of a message, as ExOS' runtime has it: the answer to a call.
const ANSWERED: u32 = 1;
/// The call could not be served.
const BUSY: u32 = 2;

/// What of the save page is mini's.
#[repr(C)]
struct Own {
    /// An event that is suspended, by register.
    registers: [u32; 32],
    hi: u32,
    lo: u32,
    pc: u32,
    /// Not 0 if an event is under way.
    busy: u32,
    caller: u32,
    /// The number of the transfer that answers it.
    answer_by: u32,
    scratch: [u32; 2],
}

macro_rules! own {
    ($($field:tt)*) => { SAVE_PAGE as usize + offset_of!(SavePage, own) + offset_of!(Own, $($field)*) };
}

unsafe extern "C" {
    /// Makes the call `number`; its result.
    pub fn mini_call(a0: u32, a1: u32, number: u32) -> i32;
}

/// Called by assembly for any exception: the program ends.
unsafe extern "C" fn fault(pc: u32, address: u32, cause: u32) -> ! {
    let code = cause >> 2 & 0x1f;
    crate::console::print(format_args!("mini: fault: exception {code}, address={address:#010x}, pc=0x{pc:08x}\n"));
    crate::exit(128)
}

global_asm!(
    ".section .text.sequences, \"ax\", @progbits",
    ".set noreorder",
    ".set noat",
    "    .balign 1024",
    // --- Nothing is under way, or what is, is complete in memory: a slice that ends here just ends. ------------------
    ".type mini_resume_range, @function",
    "mini_resume_range:",
    "mini_give_back:",
    "    addiu $v0, $zero, {YIELD}",
    "    syscall",                     // does not come back
    // Start of a slice: no register is defined.
    "mini_start_of_slice:",
    "    lw    $t0, {busy}($zero)",
    "    addiu $t1, $zero, {TRANSFER_ASYNC}",
    "    beq   $t0, $zero, mini_tick",
    "     sw   $t1, {answer_by}($zero)",
    "mini_restore:",
    "    lw    $t0, {hi}($zero)",
    "    lw    $t1, {lo}($zero)",
    "    lw    $k0, {pc}($zero)",
    "    mthi  $t0",
    "    mtlo  $t1",
    "    .irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,28,29,30,31",
    "    lw    $\\n, {registers} + 4*\\n($zero)",
    "    .endr",
    "    jr    $k0",
    "     nop",
    "mini_resume_end:",
    ".size mini_resume_range, . - mini_resume_range",
    "",
    // --- A tick. ------------------------------------------------------------------------------------------------------
    ".globl _start",
    ".type mini_tick, @function",
    "_start:",
    "mini_tick:",
    "    addiu $t0, $zero, 1",
    "    lui   $sp, %hi(mini_stack_top)",
    "    addiu $sp, $sp, %lo(mini_stack_top)",
    "    jal   mini_on_tick",
    "     sw   $t0, {busy}($zero)",    // from here on it is saved
    "    move  $a0, $v0",              // when it wants the next one
    "    sw    $zero, {busy}($zero)",  // from here on it is not
    "    addiu $v0, $zero, {WAIT}",
    "    syscall",                     // does not come back
    ".size mini_tick, . - mini_tick",
    "",
    // --- A call: v1 = who calls, a0-a3 and t9 = the message, v0 = 0. -------------------------------------------------
    ".type mini_synchronous, @function",
    "mini_synchronous:",
    "    bne   $t9, $zero, mini_not_a_call",
    "     lw   $t0, {busy}($zero)",
    "    lui   $sp, %hi(mini_stack_top)",
    "    bne   $t0, $zero, mini_refuse",
    "     addiu $sp, $sp, %lo(mini_stack_top)",
    "    sw    $zero, {answer_by}($zero)", // TRANSFER
    // It is taken: sp = the stack.
    "mini_take:",
    "    addiu $t0, $zero, 1",
    "    sw    $t0, {busy}($zero)",    // from here on it is saved
    "mini_taken:",
    "    sw    $v1, {caller}($zero)",
    "    jal   mini_on_call",
    "     sw   $v1, 16($sp)",          // the fifth argument
    "    move  $a0, $v0",
    "    move  $a1, $v1",
    "    addiu $t9, $zero, {ANSWERED}",
    // a0, a1, t9 = the answer.
    "mini_answer:",
    "    lw    $v1, {caller}($zero)",
    "    lw    $v0, {answer_by}($zero)",
    "    sw    $zero, {busy}($zero)",  // from here on it is not saved
    "    syscall",
    "    j     mini_give_back",        // the caller is not there any more
    "     nop",
    "mini_refuse:",
    "    addiu $t9, $zero, {BUSY}",
    "    syscall",                     // v0 = 0: a synchronous transfer
    // An answer that nobody waits for, or a caller that is not there any more.
    "mini_not_a_call:",
    "    j     mini_give_back",
    "     nop",
    "mini_entries_end:",
    ".size mini_synchronous, . - mini_synchronous",
    "",
    // --- End of a slice: a0 = where the program was, its a0 is in the save page. --------------------------------------
    ".type mini_end_of_slice, @function",
    "mini_end_of_slice:",
    "    sw    $t0, {scratch}($zero)",
    "    sw    $t1, {scratch} + 4($zero)",
    "    lui   $t0, %hi(mini_synchronous)",
    "    addiu $t0, $t0, %lo(mini_synchronous)",
    "    subu  $t1, $a0, $t0",
    "    sltiu $t0, $t1, mini_entries_end - mini_synchronous",
    "    bne   $t0, $zero, 2f",
    "     lw   $t0, {busy}($zero)",
    "    nop",
    "1:  beq   $t0, $zero, mini_give_back", // nothing is under way
    "     nop",
    // An event is: a0 = where it goes on.
    "mini_save:",
    "    .irp n, 1,2,3,5,6,7,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,28,29,30,31",
    "    sw    $\\n, {registers} + 4*\\n($zero)",
    "    .endr",
    "    sw    $a0, {pc}($zero)",
    "    mfhi  $t0",
    "    mflo  $t1",
    "    sw    $t0, {hi}($zero)",
    "    sw    $t1, {lo}($zero)",
    "    lw    $t0, {slice_a0}($zero)",
    "    lw    $t1, {scratch}($zero)",
    "    lw    $t2, {scratch} + 4($zero)",
    "    sw    $t0, {registers} + 4*4($zero)",
    "    sw    $t1, {registers} + 4*8($zero)",
    "    sw    $t2, {registers} + 4*9($zero)",
    "    addiu $t0, $zero, 1",
    "    sw    $t0, {busy}($zero)",
    "    addiu $v0, $zero, {SELF}",    // not to be passed over, should it be a call that came while it waited
    "    syscall",
    "    move  $a0, $v0",
    "    addiu $v0, $zero, {WAKE}",
    "    syscall",
    "    j     mini_give_back",
    "     nop",
    // In an entry: t0 = busy, t1 = how far behind mini_synchronous.
    "2:  sltiu $t1, $t1, mini_taken - mini_synchronous",
    "    beq   $t1, $zero, 3f",
    "     nop",
    "    bne   $t9, $zero, mini_give_back", // no call
    "     nop",
    "    bne   $t0, $zero, 4f",
    "     lui  $sp, %hi(mini_stack_top)",
    "    addiu $sp, $sp, %lo(mini_stack_top)",
    "    lui   $a0, %hi(mini_take)",
    "    j     mini_save",
    "     addiu $a0, $a0, %lo(mini_take)",
    "3:  lui   $t1, %hi(mini_answer)",
    "    addiu $t1, $t1, %lo(mini_answer)",
    "    sltu  $t1, $a0, $t1",
    "    bne   $t1, $zero, 1b",        // the event, before or behind its function
    "     lui  $t1, %hi(mini_refuse)",
    "    addiu $t1, $t1, %lo(mini_refuse)",
    "    sltu  $t1, $a0, $t1",
    "    lui   $a0, %hi(mini_answer)",
    "    bne   $t1, $zero, mini_save", // not answered yet
    "     addiu $a0, $a0, %lo(mini_answer)",
    // Refused, at our cost; v1 is who called, if it still is to be.
    "4:  addiu $t9, $zero, {BUSY}",
    "    addiu $v0, $zero, {TRANSFER_ASYNC}",
    "    syscall",
    "    j     mini_give_back",
    "     nop",
    ".size mini_end_of_slice, . - mini_end_of_slice",
    "",
    // --- Exceptions: a0 = EPC, a1 = BadVAddr, a2 = Cause. The program ends, so its stack is free. --------------------
    ".type mini_fault, @function",
    "mini_fault:",
    "    lui   $sp, %hi(mini_stack_top)",
    "    j     {fault}",
    "     addiu $sp, $sp, %lo(mini_stack_top)",
    ".size mini_fault, . - mini_fault",
    "",
    ".globl mini_call",
    ".type mini_call, @function",
    "mini_call:",
    "    move  $v0, $a2",
    "    syscall",
    "    jr    $ra",
    "     nop",
    ".size mini_call, . - mini_call",
    "    .balign 32",
    "mini_return:",                    // of exceptions nothing returns: an empty range
    "",
    // --- What the kernel is told. -------------------------------------------------------------------------------------
    ".section .note.aegis, \"a\", @note",
    "    .balign 4",
    "    .word {owner_bytes}, {header_bytes}, {NOTE_TYPE}",
    "    .asciz \"Aegis\"",
    "    .balign 4",
    "    .word {VERSION}",
    "    .word mini_start_of_slice, mini_end_of_slice",
    "    .word 0",
    "    .rept 7",
    "    .word mini_fault",
    "    .endr",
    "    .word 0",
    "    .rept 4",
    "    .word mini_fault",
    "    .endr",
    "    .word 0, 0, 0",
    "    .word mini_synchronous, 0",
    "    .word mini_return, mini_return",
    "    .word mini_resume_range, mini_resume_end",
    "    .word 0",                     // it is not told of revocation
    "",
    ".section .stack, \"aw\", @nobits",
    "    .balign 4096",
    "    .space {stack_bytes} - 24",    // a function's caller keeps room for its five arguments
    "mini_stack_top:",
    "    .space 24",
    ".text",
    busy = const own!(busy),
    caller = const own!(caller),
    answer_by = const own!(answer_by),
    registers = const own!(registers),
    hi = const own!(hi),
    lo = const own!(lo),
    pc = const own!(pc),
    scratch = const own!(scratch),
    slice_a0 = const SAVE_PAGE as usize + offset_of!(SavePage, a0) + 4 * END_OF_SLICE_SLOT,
    ANSWERED = const ANSWERED,
    BUSY = const BUSY,
    SELF = const SELF,
    TRANSFER_ASYNC = const TRANSFER_ASYNC,
    WAIT = const WAIT,
    WAKE = const WAKE,
    YIELD = const YIELD,
    VERSION = const aegis_abi::VERSION,
    NOTE_TYPE = const NOTE_TYPE,
    owner_bytes = const NOTE_OWNER.len() + 1,
    header_bytes = const size_of::<ProgramHeader>(),
    stack_bytes = const STACK,
    fault = sym fault,
);
