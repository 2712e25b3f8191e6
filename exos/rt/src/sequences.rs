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
//! # LRPC
//!
//! A thinner way to call, by main only ([`mod@crate::lrpc`]). `out` says whom main has called, and as long as it is not
//! 0 nothing of main's runs here: it is not resumed, and no call is taken. There are two kinds. *Plain*, one more than
//! the callee's id: main is complete in memory, as far as a function must preserve registers, and an answer loads them.
//! *Trusted*, the id itself: what main has is in the registers, which the callee leaves as they are; the answer just
//! goes on. Code that is entered like that is interrupted like any other of main's, so `out` is saved as one of its
//! registers, and is 0 while main does not run for another reason. What there is to tell of revocation while main is out
//! is told when a call was served, or when main is back.
//!
//! A program may have an entry of its own, of which the end of a slice is told (`entry`). The entry of a server of LRPC
//! is one: its function does nothing that can be seen before its last instruction.
//!
//! # Why it holds under preemption
//!
//! Other environments run only after an instruction that gives the processor away, or after a slice has ended; so
//! nothing is seen half done but by the code at the end of a slice. Nearly everywhere it saves what runs as what
//! `current` says. There are some pieces of code where that would be wrong, each a few instructions, and there it comes
//! to a state in which it is right:
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
//! 4. `exos_lrpc`, until the call is made, is begun anew.
//! 5. The answer to an LRPC, until main has its registers: it is stored instead, and main goes on behind the call when
//!    it is resumed. In a trusted one all there is is in registers, and is saved as main's.
//! 6. The entry of a server of LRPC: the server activity takes the call over, to begin it anew or only to answer it.
//! 7. The entry for revocation, up to the instruction that makes the server activity current: what runs is neither
//!    activity. It is done again, at the end of the slice. And what follows when the program has been told, as in 3.
//!
//! In each case the slice is then given back as ever; nothing is transferred behind its end, for that would be at this
//! environment's cost. There are two exceptions, both rare: a call of this environment while main is out is refused at
//! once, as nobody would do so later; and a call in the entry of a server of LRPC whose server activity has one already
//! goes on to its answer.
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

use crate::shared::Shared;
use crate::{fault, program};
use aegis_abi::exception::{END_OF_SLICE_SLOT, OWN_WORDS, SLOTS as SAVED, SavePage};
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
/// Instead of `$t9`: the callee died before it answered.
pub(crate) const DEAD: u32 = 3;
/// Instead of `$t9`, for an LRPC: the kernel has refused the transfer.
pub(crate) const REFUSED: i32 = -1;
/// Instead of `$t9`, for an LRPC: what the answer is stands in memory.
pub(crate) const RESUMED: i32 = -2;

/// The exception codes whose save slots belong to an activity, one behind another. No exception has the last one: its
/// slots are for handlers to put registers in.
const SLOTS: usize = 12;
/// See [`SLOTS`].
pub const SCRATCH_SLOT: usize = 13;

/// What the return sequence that stands in the place of code 0 loads, from the stack: the way back of a handler that has
/// saved registers there. It lies in one page of the pinned segment.
#[repr(C)]
pub struct Resume {
    /// A function's caller keeps room for four register arguments.
    pub arguments: [u32; 4],
    /// `$a0`.
    pub a0: u32,
    /// `$a1`.
    pub a1: u32,
    /// `$a2`.
    pub a2: u32,
    /// Where to go on.
    pub pc: u32,
    /// `$sp`.
    pub sp: u32,
}

/// A flow of control while it does not run.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Activity {
    /// By number. Those of `$zero`, `$k0` and `$k1` are not used.
    pub registers: [u32; 32],
    hi: u32,
    lo: u32,
    /// Where it goes on: as from a call that returns 0, with only those registers that a function preserves; or, if the
    /// lowest bit is set, with all. 0 before it has begun.
    pub pc: u32,
    /// Whose answer it waits for, 0 for nobody's.
    pub awaits: u32,
    /// The last answer: its kind ...
    pub kind: u32,
    /// ... and its words.
    pub answer: [u32; 2],
    /// Its stack for exceptions that are handled in Rust; 0 while something is on it.
    pub fault_stack: u32,
    capability: [u32; 2],
    /// What `out` was when it was interrupted; see [`Own`].
    held: u32,
    slots: [[u32; 4]; SLOTS],
}

impl Activity {
    /// One that has not begun.
    pub const NEW: Self = Self {
        registers: [0; 32],
        hi: 0,
        lo: 0,
        pc: 0,
        awaits: 0,
        kind: 0,
        answer: [0; 2],
        fault_stack: 0,
        capability: [0; 2],
        held: 0,
        slots: [[0; 4]; SLOTS],
    };
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
    /// Not 0 if it is served across slices.
    across: u32,
    /// Time slices used to their end.
    used: u32,
    /// How many may be used; 0 for any number.
    limit: u32,
    /// The stack on which the program is told of revocation, 0 if it is not to be, and the function that is.
    pub notice_stack: u32,
    pub notice_function: u32,
    /// Not 0 if it has yet to be told, since the server activity had work; then `owed` is not 0 either.
    pub noticed: u32,
    /// Where the end of a slice goes on when it has saved main, 0 for nowhere.
    switcher: u32,
    scratch: [u32; 2],
    /// Whom main has called by LRPC, 0 if nobody: then main is not to be resumed, but entered by the answer. One more
    /// than that if it has not trusted it with its registers.
    pub out: u32,
    /// Where main goes on behind that call.
    link: u32,
    /// Where the registers are that a scope of trusted calls goes back with, 0 if there is none.
    recovery: u32,
    /// An entry of the program's own: where it begins, its bytes ...
    pub entry: [u32; 2],
    /// ... and where to go if a slice ends in it.
    pub entry_interrupted: u32,
    /// For a server of LRPC: where a call is served that was interrupted.
    pub late: u32,
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

/// Where it is kept whom main has called by LRPC: an offset from `$zero`.
pub const OUT: u32 = own!(out);

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

/// Main as it stands in the save page, complete while it does not run.
#[must_use]
pub fn main_activity() -> *mut Activity {
    // SAFETY: the address of a field, nothing is accessed.
    unsafe { (&raw mut (*OWN).activities).cast() }
}

/// Sets where the end of a slice goes on when main is saved: there another main may be put in its place, before it goes
/// on to `exos_resume`. No register is defined there, nor is there a stack, and the kernel does not ask a second time
/// for the slice.
///
/// # Safety
/// There is code at `switcher` that does so.
pub unsafe fn set_switcher(switcher: u32) {
    // SAFETY: as above; and only the end of a slice reads it.
    unsafe { (&raw mut (*OWN).switcher).write_volatile(switcher) }
}

/// Not 0 while who has set a switcher must not put another main in the place of this one.
pub static HELD: Shared<u32> = Shared::new(0);

/// Which activity runs: 0 for main, else the server activity.
#[must_use]
pub fn current() -> u32 {
    // SAFETY: as above. Whichever activity reads it reads its own.
    unsafe { (&raw const (*OWN).current).read_volatile() }
}

/// Before an activity calls another environment: sees to it that this one is not taken for one that waits if it has a
/// call to serve.
pub(crate) fn keep_ready() {
    if current() == SERVER {
        // It lives.
        let _ = crate::call::wake(crate::call::self_id());
    }
}

/// Before an activity gives up its slice, and if it finds that it has had to: the same; and a call that is being served
/// is from now on served across slices.
pub(crate) fn give_up() {
    keep_ready();
    // SAFETY: the word is the runtime's, and set anew when a call is taken.
    unsafe { (&raw mut (*OWN).across).write_volatile(1) }
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
    pub(crate) fn exos_swap(address: *mut u32, expected: u32, new: u32) -> u32;
    /// Suspends the current activity and makes the call `number`, which ends the slice, with `argument` in `$a0` and
    /// `$v1`. Returns 0 when the activity is resumed, and what the call says if it refuses.
    pub(crate) fn exos_suspend(argument: u32, number: u32) -> i32;
    /// As `exos_suspend` with a yield to `to`, in fewer instructions.
    pub(crate) fn exos_yield_to(to: u32) -> i32;
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
    /// LRPC by main: the message is the last three arguments. Returns the first word of the answer and its kind, or
    /// what the transfer says if it refuses and [`REFUSED`], or [`RESUMED`].
    pub(crate) fn exos_lrpc(callee: u32, a1: u32, a2: u32, a3: u32) -> u64;
    /// The same in a scope of trusted calls: with the answer comes the callee's id, which is not negative.
    pub(crate) fn exos_trusted_lrpc(callee: u32, a1: u32, a2: u32, a3: u32) -> u64;
    /// Calls a function. Returns 0, or 1 if a callee has died that was trusted.
    pub(crate) fn exos_trust(function: extern "C" fn(*mut ()), argument: *mut ()) -> u32;
    pub(crate) fn exos_trusted_asynchronous();
    pub(crate) fn exos_trusted_synchronous();
    pub(crate) fn exos_trusted_end();
    /// Where the end of a slice in an entry of the program's own goes on if the entry is like
    /// `exos_trusted_synchronous`.
    pub fn exos_trusted_interrupted();
    /// The same for a server of LRPC.
    pub fn exos_served_interrupted();
    pub(crate) fn exos_asynchronous();
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
    ".balign 2048",
    "exos_return:",
    // No exception is code 0: the way back from a context on the stack, 7 instructions. The stack stays until the last.
    "    lw    $k0, {resume_pc}($sp)",
    "    lw    $a0, {resume_a0}($sp)",
    "    lw    $a1, {resume_a1}($sp)",
    "    lw    $a2, {resume_a2}($sp)",
    "    lw    $k1, {resume_sp}($sp)",
    "    jr    $k0",
    "     move $sp, $k1",
    "    .balign 32",
    ".set code, 1",
    ".rept 15",
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
    ".globl exos_swap",
    ".type exos_swap, @function",
    "exos_swap:",
    "    lw    $v0, 0($a0)",
    "    nop",                         // delay of the load
    "    bne   $v0, $a1, 1f",
    "     nop",
    "    jr    $ra",
    "     sw   $a2, 0($a0)",
    "1:  jr    $ra",
    "     nop",
    ".size exos_swap, . - exos_swap",
    "exos_return_end:",
    "",
    // --- Giving up a slice: a0 = an argument, a1 = a call. Interrupted before its last instruction, it is saved and
    // resumed like any code; and its last instruction is the one that makes the activity say where to go on. ----------
    ".globl exos_suspend",
    ".type exos_suspend, @function",
    "exos_suspend:",
    "    lw    $t0, {current}($zero)",
    "    move  $v1, $a0",
    "    .irp n, 16,17,18,19,20,21,22,23,28,29,30",
    "    sw    $\\n, {registers} + 4*\\n($t0)",
    "    .endr",
    "    move  $v0, $a1",
    "    j     exos_suspended",
    "     sw   $ra, {pc}($t0)",
    ".size exos_suspend, . - exos_suspend",
    "",
    // --- The same for a yield to a named environment, a0. The write buffer is what takes time here, so a register that
    // hardly ever changes is not stored if it stands there already. ---------------------------------------------------
    "1:  j     2f",
    "     sw   $gp, {registers} + 4*28($t0)",
    "3:  j     4f",
    "     sw   $fp, {registers} + 4*30($t0)",
    "5:  j     {yield_to_serving}",
    "     nop",
    ".globl exos_yield_to",
    ".type exos_yield_to, @function",
    "exos_yield_to:",
    "    lw    $t0, {current}($zero)",
    "    move  $v1, $a0",
    "    sw    $s0, {registers} + 4*16($t0)",
    "    bne   $t0, $zero, 5b",
    "     lw   $t1, {registers} + 4*28($t0)",
    "    sw    $s1, {registers} + 4*17($t0)",
    "    bne   $t1, $gp, 1b",
    "     lw   $t1, {registers} + 4*30($t0)",
    "2:  sw    $s2, {registers} + 4*18($t0)",
    "    bne   $t1, $fp, 3b",
    "     addiu $v0, $zero, {YIELD_TO}",
    "4:  .irp n, 19,20,21,22,23,29",
    "    sw    $\\n, {registers} + 4*\\n($t0)",
    "    .endr",
    "    sw    $ra, {pc}($t0)",
    ".size exos_yield_to, . - exos_yield_to",
    // Falls into:
    "",
    // --- The range in which both activities are complete in memory. At its end of slice the program is not entered. --
    ".type exos_resume_range, @function",
    "exos_resume_range:",
    // An activity is suspended: v0 = a call that does not come back, a0 and v1 its argument.
    "exos_suspended:",
    "    syscall",
    "    jr    $ra",                   // refused: what the activity had in registers is still there
    "     nop",
    // An asynchronous transfer that is not wanted: v1 gets the rest of its slice back.
    "exos_ignore:",
    "    addiu $v0, $zero, {YIELD_TO}",
    "    syscall",
    ".globl exos_resume",
    "exos_resume:",
    "    addiu $v0, $zero, {YIELD}",
    "    syscall",                     // does not come back
    // Start of a slice: no register is defined. In the same slice, what is current goes on.
    "exos_start_of_slice:",
    ".globl exos_restore",
    "exos_restore:",
    "    lw    $k1, {current}($zero)",
    "    lw    $t1, {out}($zero)",
    "    lw    $k0, {pc}($k1)",
    "    bne   $t1, $zero, exos_out",
    "     andi $t0, $k0, 1",
    "    bne   $t0, $zero, 1f",
    "     lw   $s0, {registers} + 4*16($k1)",
    "    .irp n, 17,18,19,20,21,22,23,28,29,30",
    "    lw    $\\n, {registers} + 4*\\n($k1)",
    "    .endr",
    "    jr    $k0",
    "     move $v0, $zero",            // what a function returns that was suspended
    // All registers.
    "1:  addiu $k0, $k0, -1",
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
    "    .irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,28,29,30,31",
    "    lw    $\\n, {registers} + 4*\\n($k1)",
    "    .endr",
    "    lw    $k1, {held}($k1)",
    "    jr    $k0",
    "     sw   $k1, {out}($zero)",
    // Main has called by LRPC, and is not to be resumed before the answer: t1 = whom it has called, as in `out`.
    "exos_out:",
    "    srl   $v1, $t1, 1",
    "    sll   $v1, $v1, 1",
    "    addiu $v0, $zero, {YIELD_TO}",
    "    syscall",
    // It does not live: the call returns an error. Each word may be written twice; the last one makes it so.
    "    andi  $t2, $t1, 1",
    "    beq   $t2, $zero, 1f",
    "     addiu $t0, $zero, {DEAD}",
    "    lui   $t3, %hi(exos_lrpc_resumed)",
    "    sw    $t0, {main_kind}($zero)",
    "    addiu $t3, $t3, %lo(exos_lrpc_resumed)",
    "    sw    $t3, {main_pc}($zero)",
    "    j     exos_restore",
    "     sw   $zero, {out}($zero)",
    // It had the registers: the scope of trusted calls ends.
    "1:  lw    $t3, {recovery}($zero)",
    "    lui   $t2, %hi(exos_trust_failed)",
    "    addiu $t2, $t2, %lo(exos_trust_failed)",
    "    sw    $t3, {registers} + 4*29($zero)",
    "    sw    $t2, {main_pc}($zero)",
    "    j     exos_restore",
    "     sw   $zero, {out}($zero)",
    "exos_resume_end:",
    ".size exos_resume_range, . - exos_resume_range",
    "",
    // --- A transfer: a0-a3 = the message; on the stack the party, the call, whose answer is awaited, and the kind. ---
    ".globl exos_transfer",
    ".type exos_transfer, @function",
    "exos_transfer:",
    "    lw    $v1, 16($sp)",
    "    lw    $v0, 20($sp)",
    "    lw    $t1, 24($sp)",
    "    lw    $t0, {current}($zero)",
    "    lw    $t9, 28($sp)",
    "    .irp n, 16,17,18,19,20,21,22,23,28,29,30",
    "    sw    $\\n, {registers} + 4*\\n($t0)",
    "    .endr",
    "    sw    $ra, {pc}($t0)",
    "    sw    $t1, {awaits}($t0)",
    "    syscall",
    "    sw    $zero, {awaits}($t0)",  // refused
    "    jr    $ra",
    "     nop",
    "exos_transfer_end:",
    ".size exos_transfer, . - exos_transfer",
    "",
    // --- LRPC by main: a0 = the callee, a1-a3 = the message. ---------------------------------------------------------
    ".globl exos_lrpc",
    ".type exos_lrpc, @function",
    "exos_lrpc:",
    "    lw    $t0, {current}($zero)",
    "    move  $v1, $a0",
    "    bne   $t0, $zero, 1f",
    "     addiu $t1, $a0, 1",
    "    lw    $t0, {registers} + 4*28($zero)",
    "    sw    $s0, {registers} + 4*16($zero)",
    "    bne   $t0, $gp, 3f",          // as for a yield
    "     sw   $s1, {registers} + 4*17($zero)",
    "2:  .irp n, 18,19,20,21,22,23,29,30",
    "    sw    $\\n, {registers} + 4*\\n($zero)",
    "    .endr",
    "    move  $v0, $zero",
    "    sw    $ra, {link}($zero)",
    "    move  $t9, $zero",            // CALL
    "    sw    $t1, {out}($zero)",
    "    syscall",
    "    sw    $zero, {out}($zero)",   // refused
    "    jr    $ra",
    "     addiu $v1, $zero, {REFUSED}",
    "3:  j     2b",
    "     sw   $gp, {registers} + 4*28($zero)",
    "exos_lrpc_end:",
    "1:  addiu $v0, $zero, {BUSY_ERROR}", // by the server activity
    "    jr    $ra",
    "     addiu $v1, $zero, {REFUSED}",
    // Answered in another slice, or not at all: what there is stands in memory.
    "exos_lrpc_resumed:",
    "    lw    $ra, {link}($zero)",
    "    nop",
    "    jr    $ra",
    "     addiu $v1, $zero, {RESUMED}",
    ".size exos_lrpc, . - exos_lrpc",
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
    // The answer to an LRPC: becomes that of main, as if that had been suspended; then goes on at `next`.
    ".macro take_lrpc next",
    "    lui   $t0, %hi(exos_lrpc_resumed)",
    "    sw    $t9, {main_kind}($zero)",
    "    addiu $t0, $t0, %lo(exos_lrpc_resumed)",
    "    sw    $t0, {main_pc}($zero)",
    "    sw    $a0, {main_answer}($zero)",
    "    j     \\next",
    "     sw   $zero, {out}($zero)",
    ".endm",
    ".globl exos_asynchronous",
    "exos_asynchronous:",
    "    lw    $t0, {out}($zero)",
    "    addiu $t1, $v1, 1",
    "    bne   $t0, $t1, 1f",
    "     nop",
    "    take_lrpc exos_restore",
    "1:  beq   $t9, $zero, exos_ignore",
    "     nop",
    "exos_take:",
    "    take_answer exos_restore_begun",
    ".globl exos_synchronous",
    "exos_synchronous:",
    // The answer to an LRPC in the slice in which it was made: main goes on.
    "    lw    $t0, {out}($zero)",
    "    addiu $t1, $v1, 1",
    "    bne   $t0, $t1, 1f",
    "     lw   $ra, {link}($zero)",    // from here on all registers are main's or a caller's, and no longer of use
    "    .irp n, 16,17,18,19,20,21,22,23,28,29,30",
    "    lw    $\\n, {registers} + 4*\\n($zero)",
    "    .endr",
    "    move  $v0, $a0",
    "    sw    $zero, {out}($zero)",
    "exos_lrpc_answered:",
    "    jr    $ra",
    "     move $v1, $t9",
    "exos_lrpc_answered_end:",
    // Main may not have begun: then there is nothing to restore.
    "exos_restore_begun:",
    "    lw    $t0, {current}($zero)",
    "    nop",
    "    lw    $t0, {pc}($t0)",
    "    nop",
    "    bne   $t0, $zero, exos_restore",
    "     nop",
    "    j     exos_resume",
    "     nop",
    "1:  bne   $t9, $zero, exos_take",
    "     lw   $t1, {current}($zero)",
    "    bne   $t0, $zero, exos_busy", // main is out
    "     lw   $t3, {function}($zero)",
    "    bne   $t1, $zero, exos_busy",
    "     addiu $t0, $zero, {SERVER}",
    "    beq   $t3, $zero, exos_busy",
    "     sw   $zero, {across}($zero)",
    "    lw    $sp, {stack}($zero)",
    "    sw    $t0, {current}($zero)", // from here on what runs is the server activity
    "exos_serve:",
    "    sw    $v1, {caller}($zero)",
    "    jalr  $t3",
    "     sw   $v1, 16($sp)",          // the fifth argument
    "    move  $a0, $v0",
    "    move  $a1, $v1",
    ".globl exos_answer_late",
    "exos_answer_late:",
    "    addiu $t9, $zero, {ANSWERED}",
    // a0, a1, t9 = the answer; every register that a function preserves goes with it as it is.
    "exos_answer:",
    "    lw    $t0, {owed}($zero)",
    "    lw    $t1, {across}($zero)",
    "    bne   $t0, $zero, exos_refuse",
    "     lw   $v1, {caller}($zero)",
    "    beq   $t1, $zero, 1f",
    "     move $v0, $zero",            // TRANSFER
    "    addiu $v0, $zero, {TRANSFER_ASYNC}",
    "1:  sw    $zero, {current}($zero)", // from here on nothing runs
    "    syscall",
    "    j     exos_resume",           // the caller is not there any more
    "     nop",
    // --- Revocation: as at the start of a slice no register is defined, and all that runs is complete in memory. -----
    "exos_revocation:",
    "    lw    $sp, {notice_stack}($zero)",
    "    lw    $t1, {current}($zero)",
    "    lw    $t0, {out}($zero)",
    "    beq   $sp, $zero, exos_restore",
    "     or   $t1, $t1, $t0",
    "    bne   $t1, $zero, 1f",
    "     addiu $t0, $zero, {SERVER}",
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
    // The server activity has work already, or main has called by LRPC: before an answer is given, or when there is one.
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
    "    lw    $t0, {stack}($zero)",   // nothing is on it any more; sp may be that of a caller who trusts
    "    nop",
    "    sw    $sp, -4($t0)",
    "    addiu $sp, $t0, -40",
    "    sw    $ra, 32($sp)",
    "    sw    $a0, 16($sp)",
    "    sw    $a1, 20($sp)",
    "    jal   {refuse}",
    "     sw   $t9, 24($sp)",
    "    lw    $a0, 16($sp)",
    "    lw    $a1, 20($sp)",
    "    lw    $t9, 24($sp)",
    "    lw    $ra, 32($sp)",
    "    lw    $sp, 36($sp)",
    "    j     exos_answer",
    "     nop",
    // Likewise when it has been told of revocation.
    "exos_notice_again:",
    "    jal   {refuse}",
    "     nop",
    "    j     exos_noticed_done",
    "     nop",
    ".size exos_serve_late, . - exos_serve_late",
    "",
    // --- LRPC by main to a callee that it trusts to leave the registers alone that a function preserves. What runs
    // from the call to the answer is main, wherever it is; `out` is one more of its registers. -----------------------
    // a0 = the callee, a1-a3 = the message.
    ".globl exos_trusted_lrpc",
    ".type exos_trusted_lrpc, @function",
    "exos_trusted_lrpc:",
    "    move  $v1, $a0",
    "    move  $v0, $zero",
    "    move  $t9, $zero",
    "    sw    $a0, {out}($zero)",
    "    syscall",
    "    sw    $zero, {out}($zero)",   // refused
    "    jr    $ra",
    "     addiu $v1, $zero, {REFUSED}",
    // The entries of who makes such calls: v1 = the party. The last instruction is the one that makes it main's again.
    ".globl exos_trusted_asynchronous",
    "exos_trusted_asynchronous:",
    "    lw    $t0, {out}($zero)",
    "    nop",
    "    bne   $t0, $v1, exos_asynchronous",
    "     nop",
    "    j     exos_trusted_across",
    "     sw   $zero, {out}($zero)",
    ".globl exos_trusted_synchronous",
    "exos_trusted_synchronous:",
    "    lw    $t0, {out}($zero)",
    "    nop",
    "    bne   $t0, $v1, exos_synchronous",
    "     nop",
    "    move  $v0, $a0",
    "    jr    $ra",
    "     sw   $zero, {out}($zero)",
    ".globl exos_trusted_end",
    "exos_trusted_end:",
    // In a slice of another's: main takes its own back.
    ".globl exos_trusted_across",
    "exos_trusted_across:",
    "    addiu $sp, $sp, -32",
    "    sw    $ra, 28($sp)",
    "    sw    $a0, 16($sp)",
    "    jal   {reclaim}",
    "     sw   $v1, 20($sp)",
    "    lw    $ra, 28($sp)",
    "    lw    $v0, 16($sp)",
    "    lw    $v1, 20($sp)",
    "    jr    $ra",
    "     addiu $sp, $sp, 32",
    ".size exos_trusted_lrpc, . - exos_trusted_lrpc",
    "",
    // A slice ended in these entries, or in others of a program's that begin like this: what is in the registers is
    // main if the party is whom it has called.
    ".globl exos_trusted_interrupted",
    ".type exos_trusted_interrupted, @function",
    "exos_trusted_interrupted:",
    "    lw    $t0, {out}($zero)",
    "    nop",
    "    bne   $t0, $v1, exos_end_of_slice_in_entry",
    "     nop",
    "    j     exos_save",
    "     move $t0, $zero",
    ".size exos_trusted_interrupted, . - exos_trusted_interrupted",
    "",
    // --- A slice ended in the entry of a server of LRPC: a0 = EPC, v1 = the caller. The entry's last three
    // instructions are the answer and what is behind it; see `lrpc`. --------------------------------------------------
    ".globl exos_served_interrupted",
    ".type exos_served_interrupted, @function",
    "exos_served_interrupted:",
    "    lw    $t0, {entry}($zero)",
    "    lw    $t1, {entry} + 4($zero)",
    "    addiu $t0, $t0, -12",
    "    addu  $t0, $t0, $t1",
    "    subu  $t1, $a0, $t0",         // how far behind the answer
    "    bgtz  $t1, exos_resume",      // the caller is not there any more
    "     lw   $t0, {current}($zero)",
    "    nop",
    "    bne   $t0, $zero, 2f",
    "     addiu $t0, $zero, {SERVER}",
    "    sw    $v1, {caller}($zero)",
    "    bne   $t1, $zero, 1f",
    "     lui  $a0, %hi(exos_answer_late)",
    "    addiu $a0, $a0, %lo(exos_answer_late)", // the function has been executed
    "    j     exos_save",
    "     sw   $t0, {current}($zero)",
    "1:  lw    $a0, {late}($zero)",    // it has not, as far as anybody can see: begun anew
    "    j     exos_save",
    "     sw   $t0, {current}($zero)",
    // The server activity has such a call already, and there is no place for a second one: it goes on, behind the end
    // of the slice, until it is answered. That costs a tick of this environment's time at most.
    "2:  lw    $t0, {slice_a0}($zero)",
    "    sw    $a0, {saved_pc} + 4*{SCRATCH_SLOT}($zero)",
    "    sw    $t0, {saved_a0} + 4*{SCRATCH_SLOT}($zero)",
    "    sw    $a1, {saved_a1} + 4*{SCRATCH_SLOT}($zero)",
    "    sw    $a2, {saved_a2} + 4*{SCRATCH_SLOT}($zero)",
    "    lw    $t1, {scratch} + 4($zero)",
    "    j     exos_return + 32*{SCRATCH_SLOT}",
    "     lw   $t0, {scratch}($zero)",
    ".size exos_served_interrupted, . - exos_served_interrupted",
    "",
    // --- A scope of trusted calls: a0 = a function, a1 its argument. Returns 0, or, if the callee dies with the
    // registers, 1. ---------------------------------------------------------------------------------------------------
    ".globl exos_trust",
    ".type exos_trust, @function",
    "exos_trust:",
    "    addiu $sp, $sp, -64",
    "    .set place, 16",
    "    .irp n, 16,17,18,19,20,21,22,23,28,30,31",
    "    sw    $\\n, place($sp)",
    "    .set place, place + 4",
    "    .endr",
    "    lw    $t0, {recovery}($zero)",
    "    sw    $sp, {recovery}($zero)",
    "    sw    $t0, 60($sp)",
    "    move  $t9, $a0",
    "    jalr  $t9",
    "     move $a0, $a1",
    "    j     1f",
    "     move $v0, $zero",
    "exos_trust_failed:",
    "    addiu $v0, $zero, 1",
    "1:  lw    $t0, 60($sp)",
    "    nop",
    "    sw    $t0, {recovery}($zero)",
    "    .set place, 16",
    "    .irp n, 16,17,18,19,20,21,22,23,28,30,31",
    "    lw    $\\n, place($sp)",
    "    .set place, place + 4",
    "    .endr",
    "    addiu $sp, $sp, 64",
    "    jr    $ra",
    "     nop",
    ".size exos_trust, . - exos_trust",
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
    "     lw   $t0, {entry}($zero)",
    "    lw    $t1, {entry} + 4($zero)",
    "    subu  $t0, $a0, $t0",
    "    sltu  $t0, $t0, $t1",
    "    lw    $t1, {entry_interrupted}($zero)",
    "    beq   $t0, $zero, exos_save",
    "     lw   $t0, {current}($zero)",
    "    jr    $t1",                   // in an entry of the program's own
    "     nop",
    // a0 = where to go on; t0 = the current activity, loaded just now.
    "exos_save:",
    "    mfhi  $t1",
    "    .irp n, 1,2,3,5,6,7,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,28,29,30,31",
    "    sw    $\\n, {registers} + 4*\\n($t0)",
    "    .endr",
    "    addiu $a0, $a0, 1",           // all registers
    "    sw    $a0, {pc}($t0)",
    "    sw    $a0, {across}($zero)",  // a call that is being served is from now on served across slices
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
    "    lw    $t5, {out}($zero)",     // 0 unless the activity is main
    "    sw    $t1, {capability}($t0)",
    "    sw    $t2, {capability} + 4($t0)",
    "    sw    $t5, {held}($t0)",
    "    sw    $zero, {out}($zero)",
    "    addiu $t3, $t3, 1",
    "    beq   $t3, $t4, 1f",
    "     sw   $t3, {used}($zero)",
    "    lw    $t1, {switcher}($zero)",
    "    beq   $t0, $zero, 2f",
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
    // t1 = who may put another main in the place of this one.
    "2:  beq   $t1, $zero, exos_resume",
    "     nop",
    "    jr    $t1",
    "     nop",
    "",
    // It ended in a transfer. t1 = how far behind exos_transfer; every other register but a0 and t0 is the program's.
    "exos_end_of_slice_in_transfer:",
    "    sltiu $t0, $t1, exos_transfer_end - exos_transfer",
    "    bne   $t0, $zero, 1f",
    "     sltiu $t0, $t1, exos_lrpc_end - exos_transfer",
    "    bne   $t0, $zero, 6f",
    "     sltiu $t0, $t1, exos_entries - exos_transfer",
    "    bne   $t0, $zero, exos_save",
    "     lw   $t0, {current}($zero)",
    "    addiu $t0, $t1, exos_transfer - exos_lrpc_answered",
    "    sltiu $t0, $t0, exos_lrpc_answered_end - exos_lrpc_answered",
    "    bne   $t0, $zero, exos_save", // main goes on already
    "     lw   $t0, {current}($zero)",
    "    sltiu $t0, $t1, exos_busy_end - exos_transfer",
    "    bne   $t0, $zero, 5f",
    "     sltiu $t0, $t1, exos_serve - exos_transfer",
    "    bne   $t0, $zero, 2f",
    "     sltiu $t0, $t1, exos_answer - exos_transfer",
    "    bne   $t0, $zero, exos_save", // the server activity before or behind its function
    "     lw   $t0, {current}($zero)",
    "    sltiu $t0, $t1, exos_revocation - exos_transfer",
    "    beq   $t0, $zero, 12f",
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
    // In an LRPC that is not made yet: main.
    "6:  lui   $a0, %hi(exos_lrpc)",
    "    addiu $a0, $a0, %lo(exos_lrpc)",
    "    move  $t0, $zero",
    "    j     exos_save",
    "     sw   $zero, {out}($zero)",
    // In an entry: what is to become of the message? If it was about to be refused it was a call.
    "5:  j     2f",
    "     addiu $t9, $zero, {CALL}",
    "exos_end_of_slice_in_entry:",
    "2:  lw    $t0, {out}($zero)",
    "    addiu $t1, $v1, 1",
    "    beq   $t0, $t1, 7f",
    "     lw   $a0, {slice_a0}($zero)",
    "    bne   $t9, $zero, 3f",
    "     nop",
    "    bne   $v0, $zero, exos_resume", // asynchronous: ignored
    "     nop",
    // It is refused at once, behind the end of the slice, if main is out, for then nobody else will. That costs a tick
    // of this environment's time at most; and who would have it pay that often must meet these few instructions.
    "    bne   $t0, $zero, exos_busy",
    "     lw   $t0, {current}($zero)",
    "    lw    $t3, {function}($zero)",
    "    bne   $t0, $zero, exos_note_refused",
    "     addiu $t0, $zero, {SERVER}",
    "    lw    $sp, {stack}($zero)",
    "    lui   $a0, %hi(exos_serve_late)",
    "    addiu $a0, $a0, %lo(exos_serve_late)",
    "    j     exos_save",
    "     sw   $t0, {current}($zero)",
    // The server activity has work already: v1 is to be refused.
    "exos_note_refused:",
    "    lw    $t1, {refused}($zero)",
    "    andi  $t0, $v1, {INDEX_MASK}",
    "    beq   $t1, $zero, exos_resume",
    "     srl  $t0, $t0, {INDEX_SHIFT} - 2",
    "    addu  $t0, $t0, $t1",
    "    sw    $v1, 0($t0)",
    "    j     exos_resume",
    "     sw   $v1, {owed}($zero)",
    "7:  take_lrpc exos_resume",
    "3:  sw    $t9, {across}($zero)",
    "    take_answer exos_resume",
    // In what begins with a notice: no register is defined.
    "12: bne   $t0, $zero, 10f",
    "     sltiu $t0, $t1, exos_noticed_done - exos_transfer",
    "    bne   $t0, $zero, exos_save", // the server activity before or behind its function
    "     lw   $t0, {current}($zero)",
    "    sltiu $t1, $t1, exos_notice_later - exos_transfer",
    "    beq   $t1, $zero, 11f",
    "     addiu $t0, $zero, {SERVER}",
    // It is done, and says so again.
    "    sw    $t0, {current}($zero)",
    "    lui   $a0, %hi(exos_noticed_done)",
    "    j     exos_save",
    "     addiu $a0, $a0, %lo(exos_noticed_done)",
    // The server activity is yet to begin with it.
    "10: lw    $sp, {notice_stack}($zero)",
    "    lw    $t1, {current}($zero)",
    "    lw    $t0, {out}($zero)",
    "    beq   $sp, $zero, exos_resume",
    "     or   $t1, $t1, $t0",
    "    bne   $t1, $zero, 11f",
    "     addiu $t0, $zero, {SERVER}",
    "    lui   $a0, %hi(exos_noticed)",
    "    addiu $a0, $a0, %lo(exos_noticed)",
    "    j     exos_save",
    "     sw   $t0, {current}($zero)",
    // Or has work already, or must not have.
    "11: sw    $t0, {noticed}($zero)",
    "    j     exos_resume",
    "     sw   $t0, {owed}($zero)",
    ".size exos_end_of_slice, . - exos_end_of_slice",
    "",
    // --- A load from an unmapped page: a0 = EPC, a1 = BadVAddr. Public memory is mapped where it can be read. --------
    ".globl exos_load_missed",
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
    ".globl exos_unhandled",
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
    // Another linker script may name others.
    ".weak exos_on_modified, exos_on_load_miss, exos_on_store_miss, exos_on_failure",
    ".set exos_on_modified, exos_unhandled",
    ".set exos_on_load_miss, exos_load_missed",
    ".set exos_on_store_miss, exos_unhandled",
    ".set exos_on_failure, exos_unhandled",
    "    .word exos_on_modified, exos_on_load_miss, exos_on_store_miss",
    "    .rept 4",
    "    .word exos_on_failure",
    "    .endr",
    "    .word 0",                     // so are system calls
    "    .rept 4",
    "    .word exos_on_failure",
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
    resume_a0 = const offset_of!(Resume, a0),
    resume_a1 = const offset_of!(Resume, a1),
    resume_a2 = const offset_of!(Resume, a2),
    resume_pc = const offset_of!(Resume, pc),
    resume_sp = const offset_of!(Resume, sp),
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
    across = const own!(across),
    out = const own!(out),
    link = const own!(link),
    recovery = const own!(recovery),
    entry = const own!(entry),
    entry_interrupted = const own!(entry_interrupted),
    late = const own!(late),
    SCRATCH_SLOT = const SCRATCH_SLOT,
    held = const of_activity!(held),
    main_pc = const of_activity!(pc),
    main_kind = const of_activity!(kind),
    main_answer = const of_activity!(answer),
    RESUMED = const RESUMED,
    REFUSED = const REFUSED,
    DEAD = const DEAD,
    BUSY_ERROR = const aegis_abi::Error::Busy as i32,
    used = const own!(used),
    limit = const own!(limit),
    switcher = const own!(switcher),
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
    yield_to_serving = sym crate::call::yield_to_serving,
    refuse = sym crate::transfer::refuse,
    told = sym crate::revocation::told,
    notice_stack = const own!(notice_stack),
    noticed = const own!(noticed),
    reclaim = sym crate::transfer::reclaim,
    begin = sym begin,
    begin_child = sym crate::environment::begin,
);

/// A word of the save page that a handler may put a register in, as long as it causes no exception of its own: an
/// offset from `$zero`.
pub const HANDLER_SCRATCH: u32 = SAVE_PAGE + (offset_of!(SavePage, a0) + 4 * SCRATCH_SLOT) as u32;

// Each return sequence serves the slot of its code.
const _: () = assert!(SAVED == 16 && RETURN_SEQUENCE_BYTES == 32);
const _: () = assert!(NOTE_OWNER.len() == 5, "the note above has another owner");
const _: () = assert!(size_of::<Own>() <= size_of::<[u32; OWN_WORDS]>());
// The entries test for both as for zero.
const _: () = assert!(CALL == 0 && call::TRANSFER == 0);
