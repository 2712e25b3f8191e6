//! From assembly into Rust and back: interrupts, misses of the software TLB, exceptions that nobody handles, and faults in
//! the kernel itself. None of these is a hot path.
//!
//! In all of this file: kernel mode, interrupts off.

use super::entry;
use super::layout::{FaultFrame, Frame, KERNEL_PAGES_HIGH, STACK_TOP, global, offset};
use super::unwind::{frame_begins, frame_calls_rust, frame_ends_at_epc, frame_ends_with_frame};
use super::ways::{FROM_USER, from_rust_to_dispatch, from_rust_to_program, into_rust};
use asm_lines::global_asm;
use core::mem::offset_of;

/// Where the frame on top of the stack is, from the kernel's record down.
const FRAME: i32 = size_of::<Frame>() as i32 - STACK_TOP;
/// The frame, and below it room for four register arguments.
const STACK: i32 = FRAME + 16 + (FRAME % 8);

/// Offset of a field of [`Frame`] from the kernel's record.
macro_rules! in_frame {
    ($($field:tt)*) => { offset_of!(Frame, $($field)*) as i32 - FRAME };
}

global_asm!(
    ".text",
    ".set noreorder",
    ".set noat",
    "",
    // Saves what Rust does not preserve, makes the kernel's record current and calls `function`(frame).
    // In: k1 = the kernel's pages; every other register but k0 is the program's. Out: k1 unchanged, the function's result in v0.
    ".macro call_with_frame function",
    "    sw    $at, {at}($k1)",
    "    sw    $v0, {v0}($k1)",
    "    sw    $v1, {v0}+4($k1)",
    "    sw    $a0, {a0}($k1)",
    "    sw    $a1, {a0}+4($k1)",
    "    sw    $a2, {a0}+8($k1)",
    "    sw    $a3, {a0}+12($k1)",
    "    sw    $t0, {t0}($k1)",
    "    sw    $t1, {t0}+4($k1)",
    "    sw    $t2, {t0}+8($k1)",
    "    sw    $t3, {t0}+12($k1)",
    "    sw    $t4, {t0}+16($k1)",
    "    sw    $t5, {t0}+20($k1)",
    "    sw    $t6, {t0}+24($k1)",
    "    sw    $t7, {t0}+28($k1)",
    "    sw    $t8, {t0}+32($k1)",
    "    sw    $t9, {t0}+36($k1)",
    "    sw    $sp, {sp}($k1)",
    "    sw    $ra, {ra}($k1)",
    "    mfhi  $t0",
    "    mflo  $t1",
    "    mfc0  $t2, $14",              // EPC
    "    lw    $t3, {current}($k1)",
    "    sw    $t0, {hi}($k1)",
    "    sw    $t1, {lo}($k1)",
    "    sw    $t2, {epc}($k1)",
    "    sw    $t3, {record}($k1)",
    "    sw    $k1, {current}($k1)",
    "    addiu $a0, $k1, -{frame}",
    into_rust!(),
    "    jal   \\function",
    frame_calls_rust!(),
    "     addiu $sp, $k1, -{stack}",
    ".endm",
    "",
    // Undoes it. In: k1 = the kernel's pages. Out: every register but k1 as in the frame; k0 as it was.
    ".macro restore_frame",
    "    lw    $t0, {record}($k1)",
    "    lw    $t1, {hi}($k1)",
    "    lw    $t2, {lo}($k1)",
    "    sw    $t0, {current}($k1)",
    "    mthi  $t1",
    "    mtlo  $t2",
    "    lw    $at, {at}($k1)",
    "    lw    $v0, {v0}($k1)",
    "    lw    $v1, {v0}+4($k1)",
    "    lw    $a0, {a0}($k1)",
    "    lw    $a1, {a0}+4($k1)",
    "    lw    $a2, {a0}+8($k1)",
    "    lw    $a3, {a0}+12($k1)",
    "    lw    $t0, {t0}($k1)",
    "    lw    $t1, {t0}+4($k1)",
    "    lw    $t2, {t0}+8($k1)",
    "    lw    $t3, {t0}+12($k1)",
    "    lw    $t4, {t0}+16($k1)",
    "    lw    $t5, {t0}+20($k1)",
    "    lw    $t6, {t0}+24($k1)",
    "    lw    $t7, {t0}+28($k1)",
    "    lw    $t8, {t0}+32($k1)",
    "    lw    $t9, {t0}+36($k1)",
    "    lw    $sp, {sp}($k1)",
    "    lw    $ra, {ra}($k1)",
    ".endm",
    "",
    // From tlb_refill: a user address that the software TLB does not hold, k0 and k1 free. If the page is in a guaranteed
    // mapping the program goes on, else it gets the exception.
    ".globl software_tlb_miss",
    ".type software_tlb_miss, @function",
    "software_tlb_miss:",
    frame_begins!(),
    "    mfc0  $k0, $12",              // Status
    "    lui   $k1, {pages}",
    "    andi  $k0, $k0, {from_user}",
    "    beq   $k0, $zero, kernel_fault_whole", // the kernel does not touch user addresses
    "     nop",
    "    call_with_frame {software_tlb_miss}",
    "    move  $k0, $v0",              // 1: mapped
    "    restore_frame",
    "    beq   $k0, $zero, 1f",
    "     lw   $k0, {epc}($k1)",
    "    nop",                         // delay of the load
    from_rust_to_program!(),
    "1:",
    from_rust_to_dispatch!(),
    frame_ends_with_frame!(),
    ".size software_tlb_miss, . - software_tlb_miss",
    "",
    // From a gate, or from general: a primitive operation or a transfer that is done in Rust. k0 = its number, k1 and v0 free; every
    // other register is the program's. Rust changes the frame: v0 and v1, the record that is current, where that goes on.
    ".globl primitive",
    ".type primitive, @function",
    "primitive:",
    frame_begins!(),
    "    lui   $k1, {pages}",
    "    move  $v0, $k0",
    "    call_with_frame {primitive}",
    "    restore_frame",
    "    lw    $k0, {epc}($k1)",
    "    nop",                         // delay of the load
    ".size primitive, . - primitive",
    // For the debugger: from here on EPC is not the system call's.
    ".type primitive_ends, @function",
    "primitive_ends:",
    from_rust_to_program!(),
    frame_ends_with_frame!(),
    ".size primitive_ends, . - primitive_ends",
    "",
    // From general: an interrupt. k1 = record - 0x20, a0 and a2 in the slots of code 0 and unchanged.
    ".globl interrupt",
    ".type interrupt, @function",
    "interrupt:",
    frame_begins!(),
    "    lui   $k1, {pages}",
    "    call_with_frame {interrupt}",
    "    restore_frame",
    "    lw    $k0, {epc}($k1)",       // where Rust wants the program to go on
    "    nop",                         // delay of the load
    from_rust_to_program!(),
    frame_ends_with_frame!(),
    ".size interrupt, . - interrupt",
    "",
    // From general: an exception of a program that it has no handler for. Never returns, so nothing is saved but its name.
    ".globl no_handler",
    ".type no_handler, @function",
    "no_handler:",
    frame_begins!(),
    "    lui   $k1, {pages}",
    "    call_with_frame {no_handler}",
    frame_ends_with_frame!(),
    ".size no_handler, . - no_handler",
    "",
    // From general, the kernel's own record being current: a fault in the kernel. a0 and a2 are unchanged.
    // From software_tlb_miss: likewise. Saves all registers and calls Rust on a stack of its own. Never returns.
    ".globl kernel_fault",
    ".type kernel_fault, @function",
    "kernel_fault:",
    "kernel_fault_whole:",
    frame_begins!(),
    "    lui   $k1, %hi({fault_frame})",
    "    addiu $k1, $k1, %lo({fault_frame})",
    "    .irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,28,29,30,31",
    "    sw    $\\n, \\n*4($k1)",
    "    .endr",
    "    mfhi  $t0",
    "    mflo  $t1",
    "    sw    $t0, {fault_hi}($k1)",
    "    sw    $t1, {fault_lo}($k1)",
    "    lui   $sp, %hi({fault_stack})",
    "    addiu $sp, $sp, %lo({fault_stack})",
    "    addiu $sp, $sp, {fault_stack_bytes} - 16",
    "    jal   {kernel_fault}",
    "     move $a0, $k1",
    frame_ends_at_epc!(),
    ".size kernel_fault, . - kernel_fault",
    "",
    // Nothing leads here. Who holds the machine, a test on the model, may jump here at a vector's first instruction: the kernel checks
    // its tables, says what it found and halts.
    ".globl finish_at_once",
    ".type finish_at_once, @function",
    "finish_at_once:",
    frame_begins!(),
    "    lui   $k1, {pages}",
    "    sw    $k1, {current}($k1)",
    into_rust!(),
    "    jal   {finish}",
    "     addiu $sp, $k1, {top} - 16",
    frame_ends_at_epc!(),
    ".size finish_at_once, . - finish_at_once",
    pages = const KERNEL_PAGES_HIGH,
    current = const global::CURRENT,
    from_user = const FROM_USER,
    top = const STACK_TOP,
    frame = const FRAME,
    stack = const STACK,
    at = const in_frame!(at),
    v0 = const in_frame!(v),
    a0 = const in_frame!(a),
    t0 = const in_frame!(t),
    sp = const in_frame!(sp),
    ra = const in_frame!(ra),
    hi = const in_frame!(hi),
    lo = const in_frame!(lo),
    epc = const in_frame!(epc),
    record = const in_frame!(record),
    software_tlb_miss = sym entry::software_tlb_miss,
    interrupt = sym entry::interrupt,
    primitive = sym entry::primitive,
    no_handler = sym entry::no_handler,
    kernel_fault = sym entry::kernel_fault,
    finish = sym entry::finish,
    fault_frame = sym entry::FAULT_FRAME,
    fault_hi = const offset_of!(FaultFrame, hi),
    fault_lo = const offset_of!(FaultFrame, lo),
    fault_stack = sym entry::FAULT_STACK,
    fault_stack_bytes = const entry::FAULT_STACK_BYTES,
);

const _: () = assert!(offset::HANDLERS == 0);

unsafe extern "C" {
    /// Where interrupts go in every environment's handler table. Assembly: not to be called.
    pub fn interrupt();
    /// Where exceptions go that a program does not handle.
    pub fn no_handler();
    /// Where every exception goes while the kernel runs.
    pub fn kernel_fault();
}
