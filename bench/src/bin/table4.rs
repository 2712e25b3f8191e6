//! Table 4: null procedure call, and null system call without and with a kernel stack.
//!
//! Counted is one call with nothing around it. Timed is a loop, as in the paper, which does not say what its loop
//! contains; an empty loop is measured too.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use aegis_bench::{describe_loop, measure, operation};
use asm_lines::global_asm;
use exos_rt::abi::call;
use exos_rt::println;

exos_rt::program!(main);

const PROCEDURE: u32 = 1;
const SELF: u32 = 2;
const NULL: u32 = 3;
const EMPTY: u32 = 4;

global_asm!(
    ".set noreorder",
    ".type null_procedure, @function",
    "null_procedure:",
    "jr $ra",
    " nop",
    ".size null_procedure, . - null_procedure",
);

operation!(procedure, procedures, mark PROCEDURE, prepare [], operation ["jal null_procedure", " nop"]);
operation!(self_call, self_calls, mark SELF, prepare ["addiu $v0, $zero, {number}"], operation ["syscall"],
    number = const call::SELF);
operation!(null_call, null_calls, mark NULL, prepare ["addiu $v0, $zero, {number}"], operation ["syscall"],
    number = const call::NULL);
operation!(nothing, nothings, mark EMPTY, prepare [], operation []);

fn main() {
    println!("mark {PROCEDURE} table=4 op=procedure_call system=aegis how=call and return of an empty procedure");
    describe_loop(PROCEDURE, "the call, and the loop's three instructions");
    println!(
        "mark {SELF} table=4 op=syscall system=aegis how=self, the caller's id (getpid), from syscall to behind it"
    );
    describe_loop(SELF, "the number loaded, the call, and the loop's three instructions");
    println!(
        "mark {NULL} table=4 op=syscall_with_stack system=aegis how=null, a call that runs an empty Rust function"
    );
    describe_loop(NULL, "as for syscall");
    println!("mark {EMPTY} table=4 op=empty_loop system=aegis how=nothing");
    describe_loop(EMPTY, "the loop's three instructions: what each of the other times contains");
    // The counts are to be of the calls and not of an interrupt that sends what was printed.
    exos_rt::console::flush();
    // SAFETY: the procedure and the calls change no more than a function may.
    unsafe {
        measure(procedure, procedures);
        measure(self_call, self_calls);
        measure(null_call, null_calls);
        measure(nothing, nothings);
    }
}
