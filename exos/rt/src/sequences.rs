//! The assembly of every program: its first instruction, the start and the end of a slice, the way back from an
//! exception, and transfers of control out of it and into it.
//!
//! # Ranges
//!
//! `$k0` and `$k1` do not survive an interrupt or a TLB miss, so code that holds an address in one of them must be
//! begun anew when that happens; the kernel does this for the two ranges that the program's header names
//! ([`ProgramHeader`]). Both lie within one page, so that, once their first load has gone through, neither code nor
//! data misses the TLB until they are left.
//!
//! A third piece of code uses the first range: a compare-and-swap, whose last instruction is its store. Where it is
//! interrupted it is begun anew, so it is in one piece for every program that shares the word ([`Shared`]).
//!
//! [`Shared`]: crate::shared::Shared
//!
//! # Activities
//!
//! An environment has two flows of control. *Main* is the program; the *server activity* serves a call from another
//! environment. Each has an [`Activity`] in the save page, in which it is complete whenever it does not run, and one
//! word, `current`, says which of them runs or is to be resumed. The server activity goes first: it becomes current
//! when a call is taken, and main does again when the call is answered. As the environment may be entered by a call
//! while main is suspended anywhere, all that either uses is its own: registers, the kernel's save slots, the
//! capability slot, the stack for exceptions.
//!
//! # Transfers
//!
//! A message is `$a0` to `$a3`, and `$t9` says what it is: a [`CALL`], or the answer to one, [`ANSWERED`] or [`BUSY`].
//! `$v1` is the other party, which the kernel vouches for. An activity that calls becomes complete in memory, notes
//! whom it `awaits`, and transfers. An answer from the party that an activity awaits is stored in that activity, which
//! then awaits nobody; what is current is resumed. An answer that nobody awaits is ignored. A call makes the server
//! activity current if main is, and there is a function to serve it; otherwise it is answered with [`BUSY`] at once.
//!
//! An asynchronous transfer that is no answer is ignored: its sender gets the rest of its slice back. A program that
//! wants it otherwise sets itself up with another [`header`]. So does one whose addressing contexts differ in more than
//! data: a call is served in the one that main has installed.
//!
//! # Revocation
//!
//! What there is to tell of revocation is told by the server activity ([`mod@crate::revocation`]), as if the kernel had
//! called; if that has a call to serve already, before it answers that. A program that has set no function for it goes
//! on as at any start of a slice.
//!
//! # Why it holds under preemption
//!
//! Other environments run only after an instruction that gives the processor away, or after a slice has ended; so
//! nothing is seen half done but by the code at the end of a slice. Nearly everywhere it saves what runs as what
//! `current` says. There are four pieces of code where that would be wrong, each a few instructions, and there it
//! comes to a state in which it is right:
//!
//! 1. `exos_transfer`, as long as the call is not made: its activity may be complete in memory already, to go on behind
//!    the call, and wait for an answer that nobody will give. All it has is still in its registers, so it is begun
//!    anew, and awaits nobody.
//! 2. The entries, up to the instruction that makes the server activity current: what runs is neither activity. The
//!    state is a message in registers, and what is to become of it depends on words that nobody else changes meanwhile.
//!    So it is decided again: an answer is stored; a call becomes the server activity, which has yet to begin, or, if
//!    that has work already, its caller is noted in a table, to be refused when that work is done.
//! 3. The answer, until the transfer: it is begun anew, and the server activity is still current. So none is given
//!    while there is anybody in the table.
//! 4. The entry for revocation, up to the instruction that makes the server activity current: what runs is neither
//!    activity. It is done again, at the end of the slice. And what follows when the program has been told, as in 3.
//!
//! In each case the slice is then given back as ever; nothing is transferred behind its end, for that would be at this
//! environment's cost.
//!
//! Words that decide are written in one store: `current`; `awaits`; and `pc`, whose lowest bit tells whether an
//! activity is suspended as a function leaves registers, or whole. In the resume range everything is complete, so
//! nothing is saved there. Before the first slice main has no `pc`: whoever enters the environment then gets the
//! processor back, or yields.
//!
//! # Whose slice it is
//!
//! Serving goes on in whatever slice the environment gets once the caller's has ended, the server's own among them. A
//! synchronous transfer from there would give that slice away for good, so a call that was served across slices is
//! answered by an asynchronous one. The caller then finds itself in a slice not its own, and takes its own back
//! ([`mod@crate::transfer`]).
//!
//! While the server activity has work the environment must not be passed over because main waits; so it is woken
//! before that activity gives up the processor, and when it is interrupted.

use crate::{fault, program};
use aegis_abi::exception::{CODES, END_OF_SLICE_SLOT, OWN_WORDS, SavePage};
use aegis_abi::program::{NOTE_OWNER, NOTE_TYPE, ProgramHeader, RETURN_SEQUENCE_BYTES};
use aegis_abi::vm::{SAVE_PAGE, entry_lo};
use aegis_abi::{EnvId, call, frame};
use asm_lines::global_asm;
use core::mem::offset_of;

/// Bytes of the program's stack.
const STACK: usize = 16 * 1024;
/// Bytes of the stack for reporting a fault: the program's own may be what is broken.
const FAULT_STACK: usize = 4 * 1024;

/// `$t9` of a message: a call.
pub const CALL: u32 = 0;
/// `$t9` of a message: the answer to a call.
pub const ANSWERED: u32 = 1;
/// `$t9` of a message: the call could not be served.
pub const BUSY: u32 = 2;

/// The exception codes whose save slots belong to an activity, one behind another. No exception has the last one: its
/// slots are for handlers to put registers in.
const SLOTS: usize = 12;
/// See [`SLOTS`].
pub const SCRATCH_SLOT: usize = 13;

/// A flow of control while it does not run.
#[repr(C)]
pub(crate) struct Activity {
    /// By number. Those of `$zero`, `$k0` and `$k1` are not used.
    registers: [u32; 32],
    hi: u32,
    lo: u32,
    /// Where it goes on. If the lowest bit is set it does so as from a call that returns 0, with only those registers
    /// that a function preserves. 0 before it has begun.
    pc: u32,
    /// Whose answer it waits for, 0 for nobody's.
    pub awaits: u32,
    /// The last answer: its kind ...
    pub kind: u32,
    /// ... and its words.
    pub answer: [u32; 2],
    /// Its stack for exceptions that are handled in Rust.
    fault_stack: u32,
    capability: [u32; 2],
    slots: [[u32; 4]; SLOTS],
}

/// What of the save page is the runtime's.
#[repr(C)]
pub(crate) struct Own {
    /// Main and the server activity.
    pub activities: [Activity; 2],
    /// Where in them the one that runs begins: 0 or [`SERVER`].
    pub current: u32,
    /// What serves calls, 0 for nothing.
    pub function: u32,
    /// The stack that it runs on.
    pub stack: u32,
    /// Whose call is served.
    caller: u32,
    /// The table of those that are to be refused, by index, 0 if there is none: then they are not answered.
    pub refused: u32,
    /// Not 0 if the table is not empty.
    pub owed: u32,
    /// The number of the transfer that answers it.
    answer_by: u32,
    /// Time slices used to their end.
    used: u32,
    /// How many may be used; 0 for any number.
    limit: u32,
    /// The stack on which the program is told of revocation, 0 if it is not to be, and the function that is.
    pub notice_stack: u32,
    pub notice_function: u32,
    /// Not 0 if it has yet to be told, since the server activity had work; then `owed` is not 0 either.
    pub noticed: u32,
    scratch: [u32; 2],
}

/// The runtime's part of the save page.
pub(crate) const OWN: *mut Own = (SAVE_PAGE as usize + offset_of!(SavePage, own)) as *mut Own;
/// `current` of the server activity.
pub(crate) const SERVER: u32 = size_of::<Activity>() as u32;
/// Where the part of the save page begins that the runtime leaves to the program.
pub const FREE: u32 = SAVE_PAGE + (offset_of!(SavePage, own) + size_of::<Own>()) as u32;

/// The offset from `$zero` of a word of [`Own`].
macro_rules! own {
    ($($field:tt)*) => { SAVE_PAGE + (offset_of!(SavePage, own) + offset_of!(Own, $($field)*)) as u32 };
}

/// The offset from `current` of a word of an [`Activity`].
macro_rules! of_activity {
    ($field:ident) => {
        own!(activities) + offset_of!(Activity, $field) as u32
    };
}

/// Where an activity's stack for exceptions is kept, the address behind it: an offset from `current`, in [`CURRENT`].
/// It is 0 while something is on that stack.
pub const FAULT_STACK_WORD: u32 = of_activity!(fault_stack);
/// Where it is kept which activity runs: an offset from `$zero`.
pub const CURRENT: u32 = own!(current);

/// How many time slices the program has used to their end.
#[must_use]
pub fn slices_used() -> u32 {
    // SAFETY: the save page is always mapped. Volatile, because the end of a slice changes it.
    unsafe { (&raw const (*OWN).used).read_volatile() }
}

/// Sets how many slices the program may use; 0 for any number.
pub(crate) fn set_limit(limit: u32) {
    // SAFETY: as above; and only the end of a slice reads it.
    unsafe { (&raw mut (*OWN).limit).write_volatile(limit) }
}

/// How many slices it may use.
pub(crate) fn limit() -> u32 {
    // SAFETY: as above.
    unsafe { (&raw const (*OWN).limit).read_volatile() }
}

/// Which activity runs: 0 or [`SERVER`].
pub(crate) fn current() -> u32 {
    // SAFETY: as above. Whichever activity reads it reads its own.
    unsafe { (&raw const (*OWN).current).read_volatile() }
}

/// Before an activity gives up the processor: sees to it that the environment is not taken for one that waits if it has
/// a call to serve.
pub(crate) fn keep_ready() {
    if current() == SERVER {
        // It lives.
        let _ = crate::call::wake(crate::call::self_id());
    }
}

/// Sets the two stacks for exceptions that are handled in Rust, one for each activity, by the addresses behind them.
pub fn set_fault_stacks(stacks: [u32; 2]) {
    for (activity, stack) in stacks.into_iter().enumerate() {
        // SAFETY: the save page is the runtime's own.
        unsafe { (&raw mut (*OWN).activities[activity].fault_stack).write_volatile(stack) }
    }
}

/// Where what runs was when it last waited for a slice.
pub(crate) fn interrupted_at() -> u32 {
    // SAFETY: as for `slices_used`.
    unsafe { (&raw const (*OWN).activities[usize::from(current() == SERVER)].pc).read_volatile() & !1 }
}

/// The address of the return sequence for a code: a handler that jumps there goes back to `SavePage::pc[code]`, with
/// `$a0` to `$a2` as they were.
#[must_use]
pub fn return_sequence(code: aegis_abi::exception::Code) -> u32 {
    exos_return as *const () as u32 + code as u32 * RETURN_SEQUENCE_BYTES
}

/// What this program tells the kernel of itself: its note.
#[must_use]
pub fn header() -> &'static ProgramHeader {
    unsafe extern "C" {
        static exos_header: ProgramHeader;
    }
    // SAFETY: it is read-only data.
    unsafe { &exos_header }
}

/// What every window's address holds above the physical address; see [`window`].
const WINDOW: u32 = 0x7c00_0000;
const WINDOW_BITS: u32 = 26;
const _: () = assert!(frame::COUNT * 4096 == 1 << WINDOW_BITS && WINDOW.trailing_zeros() >= WINDOW_BITS);

/// An address at which a program can read public memory, from its physical address. The runtime's handler for loads
/// from unmapped pages maps it when it is missed; a program with a handler of its own sees to that itself
/// ([`unwindow`]).
#[must_use]
pub const fn window(physical: u32) -> u32 {
    WINDOW | physical
}

/// The EntryLo word for an address that [`window`] has made.
#[must_use]
pub const fn unwindow(address: u32) -> Option<u32> {
    if address >> WINDOW_BITS == WINDOW >> WINDOW_BITS {
        Some((address ^ WINDOW) & entry_lo::FRAME | entry_lo::VALID)
    } else {
        None
    }
}

unsafe extern "C" {
    fn exos_return();
    /// Replaces the word at `address` by `new` if it is `expected`, in one piece as seen by every environment. What it
    /// was.
    pub(crate) fn exos_compare_and_swap(address: *mut u32, expected: u32, new: u32) -> u32;
    /// Suspends the current activity and makes the call `number`, which ends the slice, with `argument` in `$a0` and
    /// `$v1`. Returns 0 when the activity is resumed, and what the call says if it refuses.
    pub(crate) fn exos_suspend(argument: u32, number: u32) -> i32;
    /// Suspends the current activity, notes that it awaits an answer of `awaits`, if that is not 0, and makes the
    /// transfer `number` to `to`. Returns 0 when the activity is resumed, with or without an answer, and what the
    /// transfer says if it refuses. The message is of a kind.
    pub(crate) fn exos_transfer(
        a0: u32,
        a1: u32,
        a2: u32,
        a3: u32,
        to: u32,
        number: u32,
        awaits: u32,
        kind: u32,
    ) -> i32;
    /// Where an environment begins that [`spawn`](crate::environment::spawn) makes.
    pub(crate) fn exos_child_start();
}

/// Called by assembly at the very beginning, on the program's stack.
unsafe extern "C" fn begin() -> ! {
    unsafe extern "Rust" {
        fn exos_main();
    }
    set_limit(program::limit().unwrap_or(0));
    // SAFETY: it is what `program!` defines.
    unsafe { exos_main() };
    crate::call::exit(0)
}

global_asm!(
    ".section .text.sequences, \"ax\", @progbits",
    ".set noreorder",
    ".set noat",
    "",
    // --- Return sequences, one for each exception code: 6 instructions. ----------------------------------------------
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
    ".size exos_return, . - exos_return",
    // --- Compare and swap, in the same range, so that one that is interrupted is begun anew: a0 = the word's address,
    // a1 = what is expected there, a2 = what is to be there. v0 = what was there. The store is the last instruction, so
    // whoever interrupts it either has it begun anew, or comes behind it. ---------------------------------------------
    ".globl exos_compare_and_swap",
    ".type exos_compare_and_swap, @function",
    "exos_compare_and_swap:",
    "    lw    $v0, 0($a0)",
    "    nop",                         // delay of the load
    "    bne   $v0, $a1, 1f",
    "     nop",
    "    jr    $ra",
    "     sw   $a2, 0($a0)",
    "1:  jr    $ra",
    "     nop",
    ".size exos_compare_and_swap, . - exos_compare_and_swap",
    "exos_return_end:",
    "",
    // --- The range in which both activities are complete in memory. At its end of slice the program is not entered. --
    "    .balign 1024",
    ".type exos_resume_range, @function",
    "exos_resume_range:",
    // An activity is suspended: a1 = a call that does not come back, a0 and v1 its argument.
    "exos_suspended:",
    "    move  $v0, $a1",
    "    syscall",
    "    jr    $ra",                   // refused: what the activity had in registers is still there
    "     nop",
    // An asynchronous transfer that is not wanted: v1 gets the rest of its slice back.
    "exos_ignore:",
    "    addiu $v0, $zero, {YIELD_TO}",
    "    syscall",
    "exos_resume:",
    "    addiu $v0, $zero, {YIELD}",
    "    syscall",                     // does not come back
    // Start of a slice: no register is defined. A call that is being served is from now on served across slices.
    "exos_start_of_slice:",
    "    addiu $t0, $zero, {TRANSFER_ASYNC}",
    "    sw    $t0, {answer_by}($zero)",
    // In the same slice, what is current goes on.
    "exos_restore:",
    "    lw    $k1, {current}($zero)",
    "    nop",
    "    lw    $k0, {pc}($k1)",
    "    move  $v0, $zero",            // what a function returns that was suspended
    "    beq   $k0, $zero, exos_resume", // it has not begun
    "     andi $t0, $k0, 1",
    "    bne   $t0, $zero, 1f",
    "     subu $k0, $k0, $t0",
    "    .set place, 0",
    "    .irp code, 1,2,3,4,5,6,7,9,10,11,12,13",
    "    lw    $t0, {slots} + 16*place($k1)",
    "    lw    $t1, {slots} + 16*place + 4($k1)",
    "    lw    $t2, {slots} + 16*place + 8($k1)",
    "    lw    $t3, {slots} + 16*place + 12($k1)",
    "    sw    $t0, {saved_a0} + 4*\\code($zero)",
    "    sw    $t1, {saved_a1} + 4*\\code($zero)",
    "    sw    $t2, {saved_a2} + 4*\\code($zero)",
    "    sw    $t3, {saved_pc} + 4*\\code($zero)",
    "    .set place, place + 1",
    "    .endr",
    "    lw    $t0, {capability}($k1)",
    "    lw    $t1, {capability} + 4($k1)",
    "    lw    $t2, {hi}($k1)",
    "    lw    $t3, {lo}($k1)",
    "    sw    $t0, {page_capability}($zero)",
    "    sw    $t1, {page_capability} + 4($zero)",
    "    mthi  $t2",
    "    mtlo  $t3",
    "    .irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,24,25",
    "    lw    $\\n, {registers} + 4*\\n($k1)",
    "    .endr",
    "1:",
    "    .irp n, 16,17,18,19,20,21,22,23,28,29,30,31",
    "    lw    $\\n, {registers} + 4*\\n($k1)",
    "    .endr",
    "    jr    $k0",
    "     nop",
    "exos_resume_end:",
    ".size exos_resume_range, . - exos_resume_range",
    "",
    // --- Giving up a slice: a0 = an argument, a1 = a call. Interrupted before its last instruction, it is saved and
    // resumed like any code; and its last instruction is the one that makes the activity say where to go on. ----------
    ".globl exos_suspend",
    ".type exos_suspend, @function",
    "exos_suspend:",
    "    lw    $t0, {current}($zero)",
    "    move  $v1, $a0",
    "    .irp n, 16,17,18,19,20,21,22,23,28,29,30,31",
    "    sw    $\\n, {registers} + 4*\\n($t0)",
    "    .endr",
    "    addiu $t1, $ra, 1",           // as a function leaves registers
    "    j     exos_suspended",
    "     sw   $t1, {pc}($t0)",
    ".size exos_suspend, . - exos_suspend",
    "",
    // --- A transfer: a0-a3 = the message; on the stack the party, the call, whose answer is awaited, and the kind. ---
    ".globl exos_transfer",
    ".type exos_transfer, @function",
    "exos_transfer:",
    "    lw    $v1, 16($sp)",
    "    lw    $v0, 20($sp)",
    "    lw    $t1, 24($sp)",
    "    lw    $t9, 28($sp)",
    "    lw    $t0, {current}($zero)",
    "    addiu $t2, $ra, 1",
    "    .irp n, 16,17,18,19,20,21,22,23,28,29,30,31",
    "    sw    $\\n, {registers} + 4*\\n($t0)",
    "    .endr",
    "    sw    $t2, {pc}($t0)",
    "    sw    $t1, {awaits}($t0)",
    "    syscall",
    "    sw    $zero, {awaits}($t0)",  // refused
    "    jr    $ra",
    "     nop",
    "exos_transfer_end:",
    ".size exos_transfer, . - exos_transfer",
    "",
    // --- The entries: v1 = the party, a0-a3 and t9 = its message, v0 = the transfer's number: 0 if synchronous. ------
    ".type exos_entries, @function",
    "exos_entries:",
    "exos_busy:",
    "    addiu $t9, $zero, {BUSY}",
    "    syscall",                     // v0 = 0: a synchronous transfer
    "    j     exos_resume",           // the caller is not there any more
    "     nop",
    "exos_busy_end:",
    // An answer: becomes that of the activity that awaits it; then, in any case, goes on at `next`.
    ".macro take_answer next",
    "    lw    $t0, {main_awaits}($zero)",
    "    lw    $t1, {server_awaits}($zero)",
    "    beq   $t0, $v1, 9f",
    "     move $t0, $zero",
    "    bne   $t1, $v1, \\next",
    "     addiu $t0, $zero, {SERVER}",
    "9:  sw    $t9, {kind}($t0)",
    "    sw    $a0, {answer}($t0)",
    "    sw    $a1, {answer} + 4($t0)",
    "    j     \\next",
    "     sw   $zero, {awaits}($t0)",
    ".endm",
    "exos_asynchronous:",
    "    beq   $t9, $zero, exos_ignore",
    "     nop",
    "exos_take:",
    "    take_answer exos_restore",
    "exos_synchronous:",
    "    bne   $t9, $zero, exos_take",
    "     lw   $t1, {current}($zero)",
    "    lw    $t3, {function}($zero)",
    "    bne   $t1, $zero, exos_busy",
    "     addiu $t0, $zero, {SERVER}",
    "    beq   $t3, $zero, exos_busy",
    "     sw   $zero, {answer_by}($zero)", // TRANSFER
    "    lw    $sp, {stack}($zero)",
    "    sw    $t0, {current}($zero)", // from here on what runs is the server activity
    "exos_serve:",
    "    sw    $v1, {caller}($zero)",
    "    jalr  $t3",
    "     sw   $v1, 16($sp)",          // the fifth argument
    "    move  $a0, $v0",
    "    move  $a1, $v1",
    "    addiu $t9, $zero, {ANSWERED}",
    // a0, a1, t9 = the answer.
    "exos_answer:",
    "    lw    $t0, {owed}($zero)",
    "    lw    $v1, {caller}($zero)",
    "    bne   $t0, $zero, exos_refuse",
    "     lw   $v0, {answer_by}($zero)",
    "    sw    $zero, {current}($zero)", // from here on nothing runs
    "    syscall",
    "    j     exos_resume",           // the caller is not there any more
    "     nop",
    // --- Revocation: as at the start of a slice no register is defined, and all that runs is complete in memory. -----
    "exos_revocation:",
    "    addiu $t0, $zero, {TRANSFER_ASYNC}",
    "    sw    $t0, {answer_by}($zero)", // as at the start of a slice
    "    lw    $sp, {notice_stack}($zero)",
    "    lw    $t1, {current}($zero)",
    "    beq   $sp, $zero, exos_restore",
    "     addiu $t0, $zero, {SERVER}",
    "    bne   $t1, $zero, 1f",
    "     nop",
    "    sw    $t0, {current}($zero)", // from here on what runs is the server activity
    "exos_noticed:",
    "    jal   {told}",
    "     nop",
    "exos_noticed_done:",
    "    lw    $t0, {owed}($zero)",
    "    nop",
    "    bne   $t0, $zero, exos_notice_again",
    "     nop",
    "    j     exos_restore",
    "     sw   $zero, {current}($zero)", // main goes on
    // The server activity has work already: before it gives the answer.
    "exos_notice_later:",
    "1:  sw    $t0, {noticed}($zero)",
    "    j     exos_restore",
    "     sw   $t0, {owed}($zero)",
    "exos_entries_end:",
    ".size exos_entries, . - exos_entries",
    "",
    // --- Parts of the server activity that are not always needed. ----------------------------------------------------
    // A call that was taken at the end of a slice: v1 = the caller, t3 = the function, sp = the stack. If there is no
    // function it is refused.
    ".type exos_serve_late, @function",
    "exos_serve_late:",
    "    bne   $t3, $zero, exos_serve",
    "     nop",
    "    sw    $v1, {caller}($zero)",
    "    j     exos_answer",
    "     addiu $t9, $zero, {BUSY}",
    // Before an answer, a0, a1 and t9: those that could not be refused at once are refused.
    "exos_refuse:",
    "    addiu $sp, $sp, -32",
    "    sw    $a0, 16($sp)",
    "    sw    $a1, 20($sp)",
    "    jal   {refuse}",
    "     sw   $t9, 24($sp)",
    "    lw    $a0, 16($sp)",
    "    lw    $a1, 20($sp)",
    "    lw    $t9, 24($sp)",
    "    j     exos_answer",
    "     addiu $sp, $sp, 32",
    // Likewise when it has been told of revocation.
    "exos_notice_again:",
    "    jal   {refuse}",
    "     nop",
    "    j     exos_noticed_done",
    "     nop",
    ".size exos_serve_late, . - exos_serve_late",
    "",
    // --- End of a slice. a0 = where the program was interrupted; its a0 is in the save page; the rest is the program's.
    // Interrupts are on, but the kernel does not come here a second time before the slice is given back.
    ".type exos_end_of_slice, @function",
    "exos_end_of_slice:",
    "    sw    $t0, {scratch}($zero)",
    "    sw    $t1, {scratch} + 4($zero)",
    "    lui   $t0, %hi(exos_transfer)",
    "    addiu $t0, $t0, %lo(exos_transfer)",
    "    subu  $t1, $a0, $t0",
    "    sltiu $t0, $t1, exos_entries_end - exos_transfer",
    "    bne   $t0, $zero, exos_end_of_slice_in_transfer",
    "     lw   $t0, {current}($zero)",
    // a0 = where to go on; t0 = the current activity, loaded just now.
    "exos_save:",
    "    mfhi  $t1",
    "    .irp n, 1,2,3,5,6,7,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,28,29,30,31",
    "    sw    $\\n, {registers} + 4*\\n($t0)",
    "    .endr",
    "    sw    $a0, {pc}($t0)",
    "    mflo  $t2",
    "    lw    $t3, {slice_a0}($zero)",
    "    lw    $t4, {scratch}($zero)",
    "    lw    $t5, {scratch} + 4($zero)",
    "    sw    $t1, {hi}($t0)",
    "    sw    $t2, {lo}($t0)",
    "    sw    $t3, {registers} + 4*4($t0)",
    "    sw    $t4, {registers} + 4*8($t0)",
    "    sw    $t5, {registers} + 4*9($t0)",
    "    .set place, 0",
    "    .irp code, 1,2,3,4,5,6,7,9,10,11,12,13",
    "    lw    $t1, {saved_a0} + 4*\\code($zero)",
    "    lw    $t2, {saved_a1} + 4*\\code($zero)",
    "    lw    $t3, {saved_a2} + 4*\\code($zero)",
    "    lw    $t4, {saved_pc} + 4*\\code($zero)",
    "    sw    $t1, {slots} + 16*place($t0)",
    "    sw    $t2, {slots} + 16*place + 4($t0)",
    "    sw    $t3, {slots} + 16*place + 8($t0)",
    "    sw    $t4, {slots} + 16*place + 12($t0)",
    "    .set place, place + 1",
    "    .endr",
    "    lw    $t1, {page_capability}($zero)",
    "    lw    $t2, {page_capability} + 4($zero)",
    "    lw    $t3, {used}($zero)",
    "    lw    $t4, {limit}($zero)",
    "    sw    $t1, {capability}($t0)",
    "    sw    $t2, {capability} + 4($t0)",
    "    addiu $t3, $t3, 1",
    "    beq   $t3, $t4, 1f",
    "     sw   $t3, {used}($zero)",
    "    beq   $t0, $zero, exos_resume",
    "     addiu $v0, $zero, {SELF}",
    "    syscall",                     // a call is being served: not to be passed over
    "    move  $a0, $v0",
    "    addiu $v0, $zero, {WAKE}",
    "    syscall",
    "    j     exos_resume",
    "     nop",
    "1:  lui   $sp, %hi(exos_fault_stack_top)",
    "    j     {limit_reached}",
    "     addiu $sp, $sp, %lo(exos_fault_stack_top)",
    "",
    // It ended in a transfer. t1 = how far behind exos_transfer; every other register but a0 and t0 is the program's.
    "exos_end_of_slice_in_transfer:",
    "    sltiu $t0, $t1, exos_transfer_end - exos_transfer",
    "    bne   $t0, $zero, 1f",
    "     sltiu $t0, $t1, exos_busy_end - exos_transfer",
    "    bne   $t0, $zero, 5f",
    "     sltiu $t0, $t1, exos_serve - exos_transfer",
    "    bne   $t0, $zero, 2f",
    "     sltiu $t0, $t1, exos_answer - exos_transfer",
    "    bne   $t0, $zero, exos_save", // the server activity before or behind its function
    "     lw   $t0, {current}($zero)",
    "    sltiu $t0, $t1, exos_revocation - exos_transfer",
    "    beq   $t0, $zero, 6f",
    "     sltiu $t0, $t1, exos_noticed - exos_transfer",
    // In the answer: it is not given yet.
    "    addiu $t0, $zero, {SERVER}",
    "    sw    $t0, {current}($zero)",
    "    lui   $a0, %hi(exos_answer)",
    "    j     exos_save",
    "     addiu $a0, $a0, %lo(exos_answer)",
    // In a transfer that is not made yet.
    "1:  lw    $t0, {current}($zero)",
    "    lui   $a0, %hi(exos_transfer)",
    "    addiu $a0, $a0, %lo(exos_transfer)",
    "    j     exos_save",
    "     sw   $zero, {awaits}($t0)",
    // In an entry: what is to become of the message? If it was about to be refused it was a call.
    "5:  addiu $t9, $zero, {CALL}",
    "2:  bne   $t9, $zero, 3f",
    "     lw   $a0, {slice_a0}($zero)",
    "    bne   $v0, $zero, exos_resume", // asynchronous: ignored
    "     lw   $t0, {current}($zero)",
    "    lw    $t3, {function}($zero)",
    "    bne   $t0, $zero, 4f",
    "     addiu $t0, $zero, {SERVER}",
    "    lw    $sp, {stack}($zero)",
    "    lui   $a0, %hi(exos_serve_late)",
    "    addiu $a0, $a0, %lo(exos_serve_late)",
    "    j     exos_save",
    "     sw   $t0, {current}($zero)",
    // The server activity has work already: v1 is to be refused.
    "4:  lw    $t1, {refused}($zero)",
    "    andi  $t0, $v1, {INDEX_MASK}",
    "    beq   $t1, $zero, exos_resume",
    "     srl  $t0, $t0, {INDEX_SHIFT} - 2",
    "    addu  $t0, $t0, $t1",
    "    sw    $v1, 0($t0)",
    "    j     exos_resume",
    "     sw   $v1, {owed}($zero)",
    "3:  take_answer exos_resume",
    // In what begins with a notice: no register is defined.
    "6:  bne   $t0, $zero, 7f",
    "     sltiu $t0, $t1, exos_noticed_done - exos_transfer",
    "    bne   $t0, $zero, exos_save", // the server activity before or behind its function
    "     lw   $t0, {current}($zero)",
    "    sltiu $t1, $t1, exos_notice_later - exos_transfer",
    "    beq   $t1, $zero, 8f",
    "     addiu $t0, $zero, {SERVER}",
    // It is done, and says so again.
    "    sw    $t0, {current}($zero)",
    "    lui   $a0, %hi(exos_noticed_done)",
    "    j     exos_save",
    "     addiu $a0, $a0, %lo(exos_noticed_done)",
    // The server activity is yet to begin with it.
    "7:  lw    $sp, {notice_stack}($zero)",
    "    lw    $t1, {current}($zero)",
    "    beq   $sp, $zero, exos_resume",
    "     addiu $t0, $zero, {SERVER}",
    "    bne   $t1, $zero, 8f",
    "     lui  $a0, %hi(exos_noticed)",
    "    addiu $a0, $a0, %lo(exos_noticed)",
    "    j     exos_save",
    "     sw   $t0, {current}($zero)",
    // Or has work already.
    "8:  sw    $t0, {noticed}($zero)",
    "    j     exos_resume",
    "     sw   $t0, {owed}($zero)",
    ".size exos_end_of_slice, . - exos_end_of_slice",
    "",
    // --- A load from an unmapped page: a0 = EPC, a1 = BadVAddr. Public memory is mapped where it can be read. --------
    ".type exos_load_missed, @function",
    "exos_load_missed:",
    "    sw    $a0, {saved_pc} + 4*2($zero)",
    "    srl   $a0, $a1, {window_bits}",
    "    addiu $a0, $a0, -{window_number}",
    "    bne   $a0, $zero, 1f",
    "     sll  $a2, $a1, 32 - {window_bits}",
    "    srl   $a2, $a2, 32 - {window_bits}",
    "    ori   $a2, $a2, 0xfff",
    "    xori  $a2, $a2, 0xfff ^ {VALID}",
    "    sw    $v0, {handler_scratch}($zero)",
    "    addiu $v0, $zero, {TLB_WRITE}",
    "    syscall",
    "    bgez  $v0, exos_return + 32*2",
    "     lw   $v0, {handler_scratch}($zero)",
    "1:  lw    $a0, {saved_pc} + 4*2($zero)",
    "    addiu $a2, $zero, 4*2",       // Cause
    ".size exos_load_missed, . - exos_load_missed",
    // Falls into:
    "",
    // --- Exceptions that the program has set no handler for: a0 = EPC, a1 = BadVAddr, a2 = Cause. --------------------
    ".type exos_unhandled, @function",
    "exos_unhandled:",
    "    lui   $sp, %hi(exos_fault_stack_top)",
    "    j     {unhandled}",
    "     addiu $sp, $sp, %lo(exos_fault_stack_top)",
    ".size exos_unhandled, . - exos_unhandled",
    "",
    // --- The first instruction: every register is 0. -----------------------------------------------------------------
    ".globl _start",
    ".type _start, @function",
    "_start:",
    "    lui   $sp, %hi(exos_stack_top)",
    "    j     {begin}",
    "     addiu $sp, $sp, %lo(exos_stack_top)",
    ".size _start, . - _start",
    "",
    // The first instruction of an environment that another has made: its stack is where all such have theirs, and what
    // it is to do is on top of it.
    ".globl exos_child_start",
    ".type exos_child_start, @function",
    "exos_child_start:",
    "    lui   $a0, {birth} >> 16",
    "    ori   $a0, $a0, {birth} & 0xffff",
    "    j     {begin_child}",
    "     addiu $sp, $a0, -16",        // a function's caller keeps room for four register arguments
    ".size exos_child_start, . - exos_child_start",
    "    .balign 16",                  // the linker would fill a gap with what is no instruction of MIPS I
    "",
    // --- What the kernel is told. ------------------------------------------------------------------------------------
    ".section .note.aegis, \"a\", @note",
    "    .balign 4",
    "    .word {owner_bytes}, {header_bytes}, {NOTE_TYPE}",
    "    .asciz \"Aegis\"",
    "    .balign 4",
    ".globl exos_header",
    ".type exos_header, @object",
    "exos_header:",
    "    .word {VERSION}",
    "    .word exos_start_of_slice, exos_end_of_slice",
    "    .word 0",                     // interrupts are the kernel's
    "    .word exos_unhandled",
    "    .word exos_load_missed",
    "    .rept 5",
    "    .word exos_unhandled",
    "    .endr",
    "    .word 0",                     // so are system calls
    "    .rept 4",
    "    .word exos_unhandled",
    "    .endr",
    "    .word 0, 0, 0",
    "    .word exos_synchronous, exos_asynchronous",
    "    .word exos_return, exos_return_end",
    "    .word exos_resume_range, exos_resume_end",
    "    .word exos_revocation",
    ".size exos_header, . - exos_header",
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
    page_capability = const SAVE_PAGE + offset_of!(SavePage, capability) as u32,
    handler_scratch = const HANDLER_SCRATCH,
    registers = const of_activity!(registers),
    hi = const of_activity!(hi),
    lo = const of_activity!(lo),
    pc = const of_activity!(pc),
    awaits = const of_activity!(awaits),
    kind = const of_activity!(kind),
    answer = const of_activity!(answer),
    capability = const of_activity!(capability),
    slots = const of_activity!(slots),
    main_awaits = const of_activity!(awaits),
    server_awaits = const of_activity!(awaits) + SERVER,
    SERVER = const SERVER,
    current = const CURRENT,
    function = const own!(function),
    stack = const own!(stack),
    caller = const own!(caller),
    refused = const own!(refused),
    owed = const own!(owed),
    answer_by = const own!(answer_by),
    used = const own!(used),
    limit = const own!(limit),
    scratch = const own!(scratch),
    INDEX_MASK = const EnvId::INDEX_MASK,
    INDEX_SHIFT = const EnvId::INDEX_SHIFT,
    CALL = const CALL,
    ANSWERED = const ANSWERED,
    BUSY = const BUSY,
    window_bits = const WINDOW_BITS,
    window_number = const WINDOW >> WINDOW_BITS,
    VALID = const entry_lo::VALID,
    SELF = const call::SELF,
    WAKE = const call::WAKE,
    YIELD = const call::YIELD,
    YIELD_TO = const call::YIELD_TO,
    TRANSFER_ASYNC = const call::TRANSFER_ASYNC,
    TLB_WRITE = const call::TLB_WRITE,
    VERSION = const aegis_abi::VERSION,
    NOTE_TYPE = const NOTE_TYPE,
    owner_bytes = const NOTE_OWNER.len() + 1,
    header_bytes = const size_of::<ProgramHeader>(),
    stack_bytes = const STACK,
    fault_stack_bytes = const FAULT_STACK,
    birth = const crate::environment::BIRTH,
    unhandled = sym fault::unhandled,
    limit_reached = sym fault::limit_reached,
    refuse = sym crate::transfer::refuse,
    told = sym crate::revocation::told,
    notice_stack = const own!(notice_stack),
    noticed = const own!(noticed),
    begin = sym begin,
    begin_child = sym crate::environment::begin,
);

/// A word of the save page that a handler may put a register in, as long as it causes no exception of its own: an
/// offset from `$zero`.
pub const HANDLER_SCRATCH: u32 = SAVE_PAGE + (offset_of!(SavePage, a0) + 4 * SCRATCH_SLOT) as u32;

// Each return sequence serves the slot of its code.
const _: () = assert!(CODES >= 16 && RETURN_SEQUENCE_BYTES == 32);
const _: () = assert!(NOTE_OWNER.len() == 5, "the note above has another owner");
const _: () = assert!(size_of::<Own>() <= size_of::<[u32; OWN_WORDS]>());
// The entries test for both as for zero.
const _: () = assert!(CALL == 0 && call::TRANSFER == 0);
