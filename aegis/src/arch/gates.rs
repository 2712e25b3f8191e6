//! The gates: one block of sixteen instructions for each system call.
//!
//! At the beginning of a gate: kernel mode, interrupts off; `$k0` is where the program goes on, `$k1` the record of its
//! environment, `$v0` the gate's address and free; the arguments are in `$a0` to `$a3`. Everything else is the program's.

use super::layout::{KERNEL_PAGES_HIGH, global, offset};
use super::unwind::{frame_begins, frame_calls_rust, frame_ends, frame_ends_with_globals};
use super::ways::{from_rust_to_program, into_rust, to_program};
use crate::call;
use aegis_abi::call as number;
use asm_lines::global_asm;

/// The kernel's stack at the call of a Rust function: room for its four register arguments, the fifth argument (16), and a
/// word that keeps the size a multiple of 8.
const STACK: i32 = 24;

global_asm!(
    ".section .gates, \"ax\", @progbits",
    ".set noreorder",
    ".set noat",
    ".macro empty_gates count",
    "  .rept \\count",
    frame_begins!(),
    "    j     no_such_call",
    "     nop",
    frame_ends!(),
    "    .balign {gate_bytes}",
    "  .endr",
    ".endm",
    "",
    // A call with a stack: a function in Rust, extern "C" fn(a0, a1, a2, a3, record) -> result. 12 instructions beside it on an R3000.
    // While it runs the kernel's own record is current, so that no fault in it can reach a program. k0 and k1 live through it.
    ".macro stack_gate function",
    frame_begins!(),
    "    lui   $t0, {pages}",
    "    sw    $sp, {sp}($t0)",
    "    sw    $ra, {ra}($t0)",
    "    sw    $t0, {current}($t0)",
    "    sw    $k1, {record}($t0)",             // the fifth argument
    into_rust!(),
    "    jal   \\function",
    frame_calls_rust!(),
    "     addiu $sp, $t0, -{stack}",            // the stack is empty whenever a call is made
    "    sw    $k1, {current} + {stack}($sp)",
    "    lw    $ra, {ra} + {stack}($sp)",
    "    lw    $sp, {sp} + {stack}($sp)",
    from_rust_to_program!(),
    frame_ends_with_globals!(),
    "    .balign {gate_bytes}",
    ".endm",
    "",
    ".globl gates",
    ".type gates, @function",
    "gates:",
    "    empty_gates {first} / {gate_bytes}",
    "",
    "    .org {SELF}",
    frame_begins!(),
    "    lw    $v0, {id}($k1)",                 // read by the program, two instructions on
    to_program!(),
    frame_ends!(),
    "    .balign {gate_bytes}",
    "",
    "    .org {NULL}",
    "    stack_gate {null}",
    "    .org {YIELD}",
    "    stack_gate {yield_}",
    "    .org {EXIT}",
    "    stack_gate {exit}",
    "    .org {CONSOLE_WRITE}",
    "    stack_gate {console_write}",
    "    .org {CONSOLE_PENDING}",
    "    stack_gate {console_pending}",
    "    .org {SET_HANDLER}",
    "    stack_gate {set_handler}",
    "    .org {CLOCK}",
    "    stack_gate {clock}",
    "",
    "    empty_gates ({gates} * {gate_bytes} - {CLOCK} - {gate_bytes}) / {gate_bytes}",
    ".globl gates_end",
    "gates_end:",
    ".size gates, . - gates",
    "",
    ".text",
    ".type no_such_call, @function",
    "no_such_call:",
    frame_begins!(),
    "    addiu $v0, $zero, {NO_SUCH_CALL}",
    to_program!(),
    frame_ends!(),
    ".size no_such_call, . - no_such_call",
    pages = const KERNEL_PAGES_HIGH,
    current = const global::CURRENT,
    sp = const global::SP,
    ra = const global::RA,
    stack = const STACK,
    record = const 16 - STACK,
    id = const offset::ID,
    gate_bytes = const number::GATE_BYTES,
    gates = const number::GATES,
    first = const number::FIRST,
    NO_SUCH_CALL = const aegis_abi::Error::NoSuchCall as i32,
    SELF = const number::SELF,
    NULL = const number::NULL, null = sym call::null,
    YIELD = const number::YIELD, yield_ = sym call::yield_,
    EXIT = const number::EXIT, exit = sym call::exit,
    CONSOLE_WRITE = const number::CONSOLE_WRITE, console_write = sym call::console_write,
    CONSOLE_PENDING = const number::CONSOLE_PENDING, console_pending = sym call::console_pending,
    SET_HANDLER = const number::SET_HANDLER, set_handler = sym call::set_handler,
    CLOCK = const number::CLOCK, clock = sym call::clock,
);
