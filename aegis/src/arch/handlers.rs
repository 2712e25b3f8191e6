//! Handlers for messages: the way into one, its calls, and the ways out (`docs/ash.md`).
//!
//! In all of this file: kernel mode, interrupts off. While a handler runs `$k1` is the address of its [`Run`], and `$sp` the
//! kernel's stack; `$s5`, `$gp`, `$s6`, `$s7` and `$fp` are as it was entered with, and `$t9` is what is left of its budget. It can
//! neither read nor write any of these, nor `$at`, `$t8`, `$ra`, which calls may use.

use super::unwind::{frame_begins, frame_ends_at_epc};
use crate::handlers::send;
use crate::kernel;
use aegis_abi::ash::{self, CALLS, Installed, Loop, Outcome, PipeState, SETS, cost};
use aegis_abi::vm::PAGE_SHIFT;
use aegis_ash::{Kernel, Stub};
use asm_lines::global_asm;
use core::mem::{MaybeUninit, offset_of, transmute};

/// A handler that runs.
#[repr(C)]
pub struct Run {
    /// The address of the message, 2 modulo 4, and its bytes.
    pub message: u32,
    pub bytes: u32,
    /// What is known of its chain: its owner, region, and loops.
    pub noted: *const Installed,
    /// The kernel, in whose stead it sends.
    pub kernel: *mut kernel::Kernel,
    /// What it has done so far; zero before the first of a chain runs.
    pub done: MaybeUninit<Done>,
    /// What is only used while it runs.
    pub scratch: MaybeUninit<Scratch>,
}

/// What handlers of a chain have done.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Done {
    /// What was left of what the last may take.
    pub left: i32,
    /// How often they have told their owner, and with which number last.
    pub wakes: u32,
    pub number: u32,
    /// How many messages they have sent.
    pub sent: u32,
}

/// What assembly needs while a handler runs.
#[repr(C)]
pub struct Scratch {
    state: PipeState,
    /// `$s0` to `$s7`, `$gp`, `$sp`, `$fp`, and `$ra` of who runs it; `$ra` of a call; `$k1`.
    saved: [u32; 14],
}

impl Run {
    /// Enters the first handler of a chain at an address, with a budget; how it ended, and what it had in `$v1`.
    ///
    /// # Safety
    /// It is a handler that was made for [`kernel`](kernel()), and the instruction cache is coherent with it. Message, region with guard, and
    /// loops are what it was made for, and nobody has a reference to any of them, nor to the kernel.
    #[inline]
    pub unsafe fn first(&mut self, entry: u32, budget: u32) -> (Outcome, u32) {
        // SAFETY: the caller's.
        unsafe { Self::ended(run_first_handler(self, 0, entry, budget)) }
    }

    /// The same of a later one, which is told what layers below have `consumed`.
    ///
    /// # Safety
    /// As for [`Run::first`], which was called.
    pub unsafe fn next(&mut self, entry: u32, budget: u32, consumed: u32) -> (Outcome, u32) {
        // SAFETY: the caller's.
        unsafe { Self::ended(run_handler(self, consumed, entry, budget)) }
    }

    /// # Safety
    /// It is what entering a handler returns.
    unsafe fn ended(both: u64) -> (Outcome, u32) {
        // SAFETY: the caller's: where handlers end `$v0` becomes an outcome's number.
        unsafe { (transmute::<u8, Outcome>(both as u8), (both >> 32) as u32) }
    }

    /// What those that were run have done.
    ///
    /// # Safety
    /// One was run.
    pub unsafe fn done(&mut self) -> &mut Done {
        // SAFETY: the caller's.
        unsafe { self.done.assume_init_mut() }
    }
}

#[expect(improper_ctypes, reason = "assembly passes the kernel's address on, and does not look at it")]
unsafe extern "C" {
    /// Both of what it returns in one: `$v0` and `$v1`.
    fn run_first_handler(run: *mut Run, consumed: u32, entry: u32, budget: u32) -> u64;
    fn run_handler(run: *mut Run, consumed: u32, entry: u32, budget: u32) -> u64;
    fn handler_load();
    fn handler_copy();
    fn handler_send();
    fn handler_wake();
    fn handler_abort();
    fn handler_done();
    fn handler_overrun();
    fn handler_divide();
}

/// What handlers are made for.
pub fn kernel() -> Kernel {
    let stub = |function: unsafe extern "C" fn(), [cost, evicts]: [u16; 2]| {
        let address = function as *const () as u32;
        Stub { address, cost, evicts }
    };
    let mut calls = [Stub::default(); CALLS];
    calls[ash::LOAD as usize] = stub(handler_load, cost::LOAD_CALL);
    calls[ash::COPY as usize] = stub(handler_copy, cost::COPY_CALL);
    calls[ash::SEND as usize] = stub(handler_send, cost::SEND_CALL);
    calls[ash::WAKE as usize] = stub(handler_wake, cost::WAKE_CALL);
    calls[ash::ABORT as usize] = stub(handler_abort, cost::ABORT_CALL);
    let address = |function: unsafe extern "C" fn()| function as *const () as u32;
    Kernel {
        calls,
        done: address(handler_done),
        overrun: address(handler_overrun),
        divide: address(handler_divide),
        load: cost::LOAD as u16,
        store: cost::STORE as u16,
    }
}

global_asm!(
    ".text",
    ".set noreorder",
    ".set noat",
    "",
    // run_first_handler(run, consumed, entry, budget): nothing is done yet.
    ".globl run_first_handler",
    ".type run_first_handler, @function",
    "run_first_handler:",
    "    sw    $zero, {wakes}($a0)",
    "    sw    $zero, {number}($a0)",
    "    sw    $zero, {sent}($a0)",
    // run_handler(run, consumed, entry, budget). Gives the handler its registers, a1 as it is, and enters it. A store takes the write buffer
    // two cycles, so there is none next to another.
    ".globl run_handler",
    ".type run_handler, @function",
    "run_handler:",
    frame_begins!(),
    "    move  $t8, $a2",
    "    sw    $k1, {saved} + 52($a0)",
    "    move  $k1, $a0",
    "    .irp n, 0,1,2,3,4",
    "    sw    $s\\n, {saved} + 4*\\n($k1)",
    "    move  $s\\n, $zero",
    "    .endr",
    "    sw    $s5, {saved} + 20($k1)",
    "    lw    $at, {noted}($k1)",
    "    sw    $gp, {saved} + 32($k1)",
    "    lw    $gp, {region}($at)",            // the number of its first frame
    "    sw    $s6, {saved} + 24($k1)",
    "    lw    $s6, {region_bytes}($at)",      // a power of two, of which the masks are made
    "    sw    $s7, {saved} + 28($k1)",
    "    lw    $s5, {message}($k1)",
    "    sw    $fp, {saved} + 40($k1)",
    "    sll   $gp, $gp, {page_shift}",
    "    addiu $s7, $s6, -2",
    "    sw    $sp, {saved} + 36($k1)",
    "    addiu $fp, $s6, -4",
    "    addiu $s6, $s6, -1",
    "    sw    $ra, {saved} + 44($k1)",
    "    lui   $at, 0x8000",
    "    or    $gp, $gp, $at",                 // kseg0
    "    lw    $a0, {bytes}($k1)",
    "    addiu $sp, $sp, -16",                 // room for the arguments of what calls call
    "    move  $t9, $a3",
    "    mthi  $zero",
    "    mtlo  $zero",
    "    .irp n, 2,3,6,7,8,9,10,11,12,13,14",
    "    move  $\\n, $zero",
    "    .endr",
    "    jr    $t8",
    "     move $15, $zero",
    "",
    // The ways out, which are jumped to. v0 becomes the outcome; v1 stays.
    ".globl handler_done",
    "handler_done:",
    "    xori  $v0, $v0, {CONSUMED}",
    "    sltiu $v0, $v0, 1",
    "    b     handler_ends",
    "     addiu $v0, $v0, {PASSED}",
    ".globl handler_overrun",
    "handler_overrun:",
    "    b     handler_ends",
    "     addiu $v0, $zero, {OVERRUN}",
    ".globl handler_divide",
    "handler_divide:",
    "    b     handler_ends",
    "     addiu $v0, $zero, {DIVIDE}",
    ".globl handler_abort",
    ".type handler_abort, @function",
    "handler_abort:",
    "    b     handler_ends",
    "     addiu $v0, $zero, {ABORTED}",
    "handler_lies:",
    "    addiu $v0, $zero, {BAD_TRANSFER}",
    // v0 = the outcome. Like the calls, which are measured, it is told by its name.
    ".type handler_ends, @function",
    "handler_ends:",
    "    sw    $t9, {left}($k1)",
    "    .irp n, 0,1,2,3,4,5,6,7",
    "    lw    $s\\n, {saved} + 4*\\n($k1)",
    "    .endr",
    "    lw    $gp, {saved} + 32($k1)",
    "    lw    $fp, {saved} + 40($k1)",
    "    lw    $ra, {saved} + 44($k1)",
    "    lw    $sp, {saved} + 36($k1)",
    "    lw    $k1, {saved} + 52($k1)",
    "    jr    $ra",
    "     nop",
    "",
    // WAKE: only noted, and done when the handler has ended.
    ".globl handler_wake",
    ".type handler_wake, @function",
    "handler_wake:",
    "    lw    $at, {wakes}($k1)",
    "    sw    $a0, {number}($k1)",
    "    addiu $at, $at, 1",
    "    jr    $ra",
    "     sw   $at, {wakes}($k1)",
    "",
    // LOAD: v0 = the word of the message at a0.
    ".globl handler_load",
    ".type handler_load, @function",
    "handler_load:",
    "    lw    $at, {bytes}($k1)",            // at least a header
    "    addu  $t8, $s5, $a0",
    "    addiu $at, $at, -4",
    "    sltu  $at, $at, $a0",
    "    bne   $at, $zero, handler_lies",
    "     nop",
    "    lwr   $v0, 0($t8)",
    "    lwl   $v0, 3($t8)",
    "    jr    $ra",
    "     nop",
    "",
    // COPY: a2 bytes of the message at a1 to the region at a0, through the loop a3.
    ".globl handler_copy",
    ".type handler_copy, @function",
    "handler_copy:",
    "    lw    $at, {bytes}($k1)",
    "    sltiu $t8, $a3, {sets}",
    "    beq   $t8, $zero, handler_lies",
    "     sltu $t8, $at, $a1",
    "    bne   $t8, $zero, handler_lies",
    "     subu $at, $at, $a1",
    "    sltu  $at, $at, $a2",
    "    bne   $at, $zero, handler_lies",
    "     sll  $at, $a3, 4",
    "    lw    $t8, {noted}($k1)",
    "    nop",                                 // delay of the load
    "    addu  $at, $at, $t8",
    "    lw    $t8, {loops} + {code}($at)",
    "    lw    $t0, {loops} + {unit}($at)",
    "    lw    $t1, {loops} + {cost}($at)",
    "    beq   $t8, $zero, handler_lies",      // there are no such pipes
    "     and  $t0, $t0, $a2",
    "    bne   $t0, $zero, handler_lies",      // not for so many bytes
    "     lw   $t2, {loops} + {block_cost}($at)",
    "    srl   $t0, $a2, 5",
    "    and   $a0, $a0, $s6",
    "    multu $t0, $t2",
    "    or    $a0, $a0, $gp",                 // a0: the destination
    "    addu  $a1, $s5, $a1",                 // a1: the source
    "    or    $at, $a0, $a1",
    "    andi  $at, $at, 3",
    "    mflo  $t0",
    "    subu  $t9, $t9, $t1",
    "    subu  $t9, $t9, $t0",
    "    bltz  $t9, handler_overrun",
    "     sw   $zero, {state}($k1)",
    "    bne   $at, $zero, 1f",
    "     sw   $zero, {state} + 4($k1)",
    "    sw    $ra, {saved} + 48($k1)",
    "    sw    $t9, {left}($k1)",
    "    move  $at, $a0",
    "    move  $a0, $a1",
    "    move  $a1, $at",
    "    jalr  $t8",                           // it keeps s0 to s7, gp and fp, and uses no stack
    "     addiu $a3, $k1, {state}",
    "    lw    $ra, {saved} + 48($k1)",
    "    lw    $t9, {left}($k1)",
    "2:",                                      // v0, v1 = sum and state; what else there is may tell where things are
    "    .irp n, 4,5,6,7,8,9,10,11,12,13,14",
    "    move  $\\n, $zero",
    "    .endr",
    "    jr    $ra",
    "     move $15, $zero",
    "1:",                                      // not aligned: byte by byte, and through no pipes. a0, a1, a2 as above
    "    addiu $t0, $zero, {unaligned}",
    "    multu $t0, $a2",
    "    bne   $a3, $zero, handler_lies",
    "     addu $t2, $a1, $a2",                 // the source's end
    "    mflo  $t0",
    "    subu  $t9, $t9, $t0",
    "    bltz  $t9, handler_overrun",
    "     move $v0, $zero",
    "    beq   $a2, $zero, 2b",
    "     move $v1, $zero",
    "3:",
    "    lbu   $t0, 0($a1)",
    "    addiu $a1, $a1, 1",
    "    sb    $t0, 0($a0)",
    "    bne   $a1, $t2, 3b",
    "     addiu $a0, $a0, 1",
    "    b     2b",
    "     nop",
    "",
    // SEND: a1 bytes from the region at a0. Rust keeps s0 to s7, gp and fp.
    ".globl handler_send",
    ".type handler_send, @function",
    "handler_send:",
    "    sll   $at, $a1, {sent_shift}",
    "    sltiu $t8, $a1, {longest}",
    "    beq   $t8, $zero, handler_lies",
    "     subu $t9, $t9, $at",
    "    bltz  $t9, handler_overrun",
    "     and  $a0, $a0, $s7",
    "    or    $a0, $a0, $gp",
    "    sw    $ra, {saved} + 48($k1)",
    "    sw    $t9, {left}($k1)",
    "    jal   {send}",
    "     move $a2, $k1",
    "    lw    $ra, {saved} + 48($k1)",
    "    lw    $t9, {left}($k1)",
    "    sltiu $at, $v0, 2",
    "    beq   $at, $zero, handler_ends",      // it is an outcome
    "     mthi $zero",
    "    mtlo  $zero",
    "    .irp n, 3,4,5,6,7,8,9,10,11,12,13,14",
    "    move  $\\n, $zero",
    "    .endr",
    "    jr    $ra",
    "     move $15, $zero",
    frame_ends_at_epc!(),
    ".size run_handler, . - run_handler",
    saved = const offset_of!(Run, scratch) + offset_of!(Scratch, saved),
    message = const offset_of!(Run, message),
    noted = const offset_of!(Run, noted),
    region = const offset_of!(Installed, region),
    region_bytes = const offset_of!(Installed, region_bytes),
    page_shift = const PAGE_SHIFT,
    left = const offset_of!(Run, done) + offset_of!(Done, left),
    bytes = const offset_of!(Run, bytes),
    wakes = const offset_of!(Run, done) + offset_of!(Done, wakes),
    number = const offset_of!(Run, done) + offset_of!(Done, number),
    sent = const offset_of!(Run, done) + offset_of!(Done, sent),
    loops = const offset_of!(Installed, loops),
    code = const offset_of!(Loop, code),
    unit = const offset_of!(Loop, unit),
    cost = const offset_of!(Loop, cost),
    block_cost = const offset_of!(Loop, block_cost),
    state = const offset_of!(Run, scratch) + offset_of!(Scratch, state),
    sets = const SETS + 1,
    unaligned = const cost::UNALIGNED_BYTE,
    sent_shift = const cost::SENT_BYTE.ilog2(),
    longest = const aegis_abi::network::MESSAGE_MAX + 1,
    send = sym send,
    CONSUMED = const ash::CONSUMED,
    PASSED = const Outcome::Passed as u32,
    OVERRUN = const Outcome::Overrun as u32,
    DIVIDE = const Outcome::DivideByZero as u32,
    ABORTED = const Outcome::Aborted as u32,
    BAD_TRANSFER = const Outcome::BadTransfer as u32,
);

const _: () = assert!(size_of::<Loop>() == 16 && Outcome::Consumed as u32 == Outcome::Passed as u32 + 1);
