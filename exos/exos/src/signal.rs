//! Signals as POSIX has them, a layer over exceptions.
//!
//! A fault of the program becomes a signal: an access that is not allowed `SEGV`, one that is misaligned `BUS`, and so
//! on. Its action runs on the program's own stack, or on the alternate one, not on the stack for exceptions; so it may do
//! what the program may, faults included. When it returns, the program goes on with the registers in its [`Context`].
//! What can't be delivered ends the program with a report: a fault whose signal has no action or is blocked, and one for
//! whose delivery the stack has no room.

use crate::exception::{self, Context};
use crate::state::{get, set};
use asm_lines::{global_asm, naked_asm};
use core::mem::offset_of;
use exos_rt::abi::Error;
use exos_rt::abi::exception::Code;
use exos_rt::abi::vm::PAGE_BYTES;

/// A signal. Pending ones are delivered in this order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Signal {
    /// An instruction that is none, or of a coprocessor that may not be used.
    Ill = 0,
    /// A breakpoint.
    Trap = 1,
    /// An arithmetic overflow.
    Fpe = 2,
    /// A misaligned address, or one that nothing answers at.
    Bus = 3,
    /// An access that is not allowed.
    Segv = 4,
    /// The program's own.
    User1 = 5,
    /// The program's own.
    User2 = 6,
    /// The program's own; by custom, that a child has ended.
    Child = 7,
}

impl Signal {
    /// All, in their order.
    pub const ALL: [Signal; 8] = [
        Signal::Ill,
        Signal::Trap,
        Signal::Fpe,
        Signal::Bus,
        Signal::Segv,
        Signal::User1,
        Signal::User2,
        Signal::Child,
    ];

    /// Its bit in a set of signals.
    #[must_use]
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// What an exception is.
    fn of(code: Code) -> Self {
        match code {
            Code::Modified | Code::TlbLoad | Code::TlbStore => Signal::Segv,
            Code::Breakpoint => Signal::Trap,
            Code::Overflow => Signal::Fpe,
            Code::Reserved | Code::Coprocessor => Signal::Ill,
            _ => Signal::Bus,
        }
    }
}

/// What is done about a signal. The context is the program's where it was interrupted; for a signal that was raised, only
/// where that was is of interest.
pub type Action = fn(Signal, &mut Context);

// The words of the state: an action for each signal, its mask in a byte, and these.
const MASKS: usize = 8;
const BLOCKED: usize = 10;
const PENDING: usize = 11;
/// The end of the alternate stack, 0 for none, and whether it is in use.
const ALTERNATE: usize = 12;
const ON_ALTERNATE: usize = 13;
/// Whether a fault is being made a signal.
const DELIVERING: usize = 14;
/// Where an escape goes.
const ESCAPE: usize = 15;

fn word(place: usize) -> u32 {
    get!(signals[place])
}

fn set_word(place: usize, word: u32) {
    set!(signals[place], word);
}

/// Sets what is done about a signal, and which others are blocked meanwhile; it is itself. `None`: nothing, which for a
/// fault means that the program ends, and for a signal that is raised that it is lost.
///
/// # Errors
/// [`Error::Full`] if there is no memory for the exception stack.
pub fn action(signal: Signal, action: Option<Action>, mask: u32) -> Result<(), Error> {
    let shift = signal as u32 % 4 * 8;
    let place = MASKS + signal as usize / 4;
    set_word(place, word(place) & !(0xff << shift) | (mask & 0xff) << shift);
    set_word(signal as usize, action.map_or(0, |action| action as *const () as u32));
    for code in Code::HANDLED.into_iter().filter(|&code| Signal::of(code) == signal) {
        // SAFETY: it does nothing but to make a signal of it.
        unsafe { exception::handle(code, action.map(|_| fault as exception::Handler))? };
    }
    Ok(())
}

fn action_of(signal: Signal) -> Option<Action> {
    let action = word(signal as usize);
    // SAFETY: nothing but `action` sets it.
    (action != 0).then(|| unsafe { core::mem::transmute::<usize, Action>(action as usize) })
}

fn mask_of(signal: Signal) -> u32 {
    word(MASKS + signal as usize / 4) >> (signal as u32 % 4 * 8) & 0xff | signal.bit()
}

/// The signals that are blocked.
#[must_use]
pub fn blocked() -> u32 {
    word(BLOCKED)
}

/// Those that were raised while they were blocked.
#[must_use]
pub fn pending() -> u32 {
    word(PENDING)
}

/// Sets which signals are blocked, and delivers those that are not any more; which were before.
pub fn set_blocked(blocked: u32) -> u32 {
    let was = word(BLOCKED);
    set_word(BLOCKED, blocked & 0xff);
    deliver();
    was
}

/// Sets the stack that actions run on, by the address behind it, 0 for the program's own.
///
/// # Safety
/// There is a stack, of at least 1 KB, which is used for nothing else.
pub unsafe fn set_alternate_stack(end: u32) {
    set_word(ALTERNATE, end);
}

/// Raises a signal: its action has run when this returns, unless it is blocked.
pub fn raise(signal: Signal) {
    set_word(PENDING, word(PENDING) | signal.bit());
    deliver();
}

/// Runs the actions of what is pending and not blocked, the first signal first.
fn deliver() {
    loop {
        let ready = word(PENDING) & !word(BLOCKED);
        let Some(signal) = Signal::ALL.into_iter().find(|signal| ready & signal.bit() != 0) else { return };
        set_word(PENDING, word(PENDING) & !signal.bit());
        // SAFETY: it gives the function a context, which is nobody else's, and comes back.
        unsafe { exos_raise(signal as u32) };
    }
}

/// Runs an action, with its signals blocked. Called by assembly, on the stack that it is to run on.
extern "C" fn run(signal: u32, context: &mut Context) {
    let signal = Signal::ALL[signal as usize % Signal::ALL.len()];
    let was = word(BLOCKED);
    set_word(BLOCKED, was | mask_of(signal));
    if let Some(action) = action_of(signal) {
        action(signal, context);
    }
    set_word(BLOCKED, was);
    deliver();
}

/// As `run`, for a fault: it comes back to where the fault was.
extern "C" fn run_for_fault(signal: u32, context: &mut Context) {
    run(signal, context);
    if context.reserved() {
        set_word(ON_ALTERNATE, 0);
    }
}

/// The handler of every exception that is a signal: lets the program go on in the action.
extern "C" fn fault(context: &mut Context) {
    let signal = Signal::of(context.code());
    if word(BLOCKED) & signal.bit() != 0 || word(DELIVERING) != 0 {
        context.report();
    }
    let (alternate, in_use) = (word(ALTERNATE), word(ON_ALTERNATE));
    let use_alternate = alternate != 0 && in_use == 0;
    let top = if use_alternate { alternate } else { context.resume.sp };
    // On a multiple of its size, so that it does not cross a page.
    let at = (top - ROOM) & !(ROOM - 1);
    // If there is no room for it the fault is reported as it is.
    set_word(DELIVERING, 1);
    context.set_reserved(use_alternate);
    // SAFETY: it is free stack; if it is none, this is a fault, which is reported.
    unsafe { core::ptr::copy_nonoverlapping(context, at as *mut Context, 1) };
    set_word(DELIVERING, 0);
    set_word(ON_ALTERNATE, u32::from(use_alternate || in_use != 0));
    context.resume.sp = at;
    context.resume.pc = exos_signal as *const () as u32;
    context.resume.a0 = signal as u32;
}

/// Room for a context.
const ROOM: u32 = 128;
const _: () = assert!(size_of::<Context>() <= ROOM as usize && PAGE_BYTES.is_multiple_of(ROOM));

unsafe extern "C" {
    fn exos_signal();
}

global_asm!(
    ".text",
    ".set noreorder",
    ".set noat",
    "",
    // --- An action for a fault: a0 = the signal, sp = the context, on the stack that it runs on. ----------------------
    ".globl exos_signal",
    ".type exos_signal, @function",
    "exos_signal:",
    "    jal   {run}",
    "     move $a1, $sp",
    "    lw    $t0, {hi}($sp)",
    "    lw    $t1, {lo}($sp)",
    "    lw    $at, {at}($sp)",
    "    mthi  $t0",
    "    mtlo  $t1",
    "    lw    $v0, {v}($sp)",
    "    lw    $v1, {v} + 4($sp)",
    "    lw    $a3, {a3}($sp)",
    "    .irp n, 0,1,2,3,4,5,6,7,8,9",
    "    lw    $t\\n, {t} + 4*\\n($sp)",
    "    .endr",
    "    j     exos_return",           // the one that loads from the stack, within a page
    "     lw   $ra, {ra}($sp)",
    ".size exos_signal, . - exos_signal",
    run = sym run_for_fault,
    hi = const offset_of!(Context, hi),
    lo = const offset_of!(Context, lo),
    at = const offset_of!(Context, at),
    v = const offset_of!(Context, v),
    a3 = const offset_of!(Context, a3),
    t = const offset_of!(Context, t),
    ra = const offset_of!(Context, ra),
);

/// Runs an action for a signal that was raised.
#[unsafe(naked)]
unsafe extern "C" fn exos_raise(signal: u32) {
    naked_asm!(
        ".set noreorder",
        "addiu $sp, $sp, -{room} - 16",
        "sw    $ra, 12 + {room}($sp)",
        "sw    $ra, {pc}($sp)",
        "sw    $sp, {sp}($sp)",
        "sw    $zero, {code}($sp)",
        "sw    $zero, {address}($sp)",
        "sw    $zero, {cause}($sp)",
        "jal   {run}",
        " move $a1, $sp",
        "lw    $ra, 12 + {room}($sp)",
        "addiu $sp, $sp, {room} + 16",
        "jr    $ra",
        " nop",
        room = const ROOM,
        pc = const offset_of!(Context, resume.pc),
        sp = const offset_of!(Context, resume.sp),
        code = const offset_of!(Context, code),
        address = const offset_of!(Context, address),
        cause = const offset_of!(Context, cause),
        run = sym run,
    )
}

// --- Escapes: as sigsetjmp and siglongjmp, in a form that a compiler understands. -------------------------------------

/// Calls a function. If an [`escape`] is made before it returns, also from an action, this returns at once, with the
/// value; what was between is abandoned, and the same signals are blocked as before.
///
/// # Safety
/// What an escape abandons needs no end: no destructor, no lock.
pub unsafe fn catch(function: extern "C" fn(u32), argument: u32) -> Option<u32> {
    let kept = [word(BLOCKED), word(ON_ALTERNATE), word(ESCAPE)];
    // SAFETY: it calls the function, and keeps what a function preserves.
    let value = unsafe { exos_catch(function, argument, place_of_escape()) };
    for (place, word) in [BLOCKED, ON_ALTERNATE, ESCAPE].into_iter().zip(kept) {
        set_word(place, word);
    }
    deliver();
    (value != 0).then_some(value)
}

/// Goes back to the last [`catch`] that has not returned, with a value, which is not 0.
///
/// # Panics
/// If there is none.
pub fn escape(value: u32) -> ! {
    let to = word(ESCAPE);
    assert!(to != 0, "an escape, and nothing that catches it");
    // SAFETY: it is where `exos_catch` has kept the registers, on a stack that is still in use.
    unsafe { exos_escape(value.max(1), to) }
}

fn place_of_escape() -> *mut u32 {
    // SAFETY: as for every word of the state.
    unsafe { (&raw mut (*crate::state::STATE).signals).cast::<u32>().add(ESCAPE) }
}

/// 0 if the function has returned, else the value of the escape.
#[unsafe(naked)]
unsafe extern "C" fn exos_catch(function: extern "C" fn(u32), argument: u32, escape: *mut u32) -> u32 {
    naked_asm!(
        ".set noreorder",
        "addiu $sp, $sp, -64",
        ".set place, 16",
        ".irp n, 16,17,18,19,20,21,22,23,28,30,31",
        "sw    $\\n, place($sp)",
        ".set place, place + 4",
        ".endr",
        "sw    $sp, 0($a2)",
        "move  $t9, $a0",
        "jalr  $t9",
        " move $a0, $a1",
        "lw    $ra, 56($sp)",
        "move  $v0, $zero",
        "jr    $ra",
        " addiu $sp, $sp, 64", // the others the function has preserved
    )
}

#[unsafe(naked)]
unsafe extern "C" fn exos_escape(value: u32, to: u32) -> ! {
    naked_asm!(
        ".set noreorder",
        "move  $sp, $a1",
        "move  $v0, $a0",
        ".set place, 16",
        ".irp n, 16,17,18,19,20,21,22,23,28,30,31",
        "lw    $\\n, place($sp)",
        ".set place, place + 4",
        ".endr",
        "nop",
        "jr    $ra",
        " addiu $sp, $sp, 64",
    )
}
