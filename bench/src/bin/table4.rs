//! Table 4: null procedure call, and null system call without and with a kernel stack.
//!
//! What is counted is one call with nothing around it: the marks stand next to it. The paper timed a loop, whose two
//! instructions a round are not in our counts.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use core::arch::{asm, global_asm};
use exos_rt::abi::call;
use exos_rt::abi::mark::{END, WORD};
use exos_rt::println;

exos_rt::program!(main);

/// How often each operation is measured.
const ROUNDS: u32 = 1000;

const PROCEDURE: u32 = 1;
const SELF: u32 = 2;
const NULL: u32 = 3;

global_asm!(
    ".set noreorder",
    ".type null_procedure, @function",
    "null_procedure:",
    "jr $ra",
    " nop",
    ".size null_procedure, . - null_procedure",
);

fn main() {
    println!("mark {PROCEDURE} table=4 op=procedure_call system=aegis how=call and return of an empty procedure");
    println!(
        "mark {SELF} table=4 op=syscall system=aegis how=self: the caller's id, as getpid; from syscall to the instruction behind it"
    );
    println!(
        "mark {NULL} table=4 op=syscall_with_stack system=aegis how=null: a call that runs an empty Rust function"
    );
    // The counts are to be of the calls and not of an interrupt that sends what was printed.
    exos_rt::console::flush();
    for _ in 0..ROUNDS {
        procedure_call();
        system_call::<{ call::SELF }, SELF>();
        system_call::<{ call::NULL }, NULL>();
    }
}

#[inline(never)]
fn procedure_call() {
    // SAFETY: the procedure changes nothing but `$ra`, which the instructions around it keep.
    unsafe {
        asm!(
            ".set noreorder",
            "move $8, $31",
            ".word {begin}",
            "jal null_procedure",
            " nop",
            ".word {end}",
            "move $31, $8",
            begin = const WORD | PROCEDURE,
            end = const WORD | END | PROCEDURE,
            out("$8") _,
            options(nostack)
        );
    }
}

#[inline(never)]
fn system_call<const NUMBER: u32, const ID: u32>() {
    // SAFETY: both calls take no arguments and change no more than a function may, and not even HI and LO.
    unsafe {
        asm!(
            ".set noreorder",
            ".word {begin}",
            "syscall",
            ".word {end}",
            begin = const WORD | ID,
            end = const WORD | END | ID,
            inlateout("$2") NUMBER => _,
            lateout("$3") _, lateout("$4") _, lateout("$5") _, lateout("$6") _, lateout("$7") _, lateout("$8") _,
            lateout("$9") _, lateout("$10") _, lateout("$11") _, lateout("$12") _, lateout("$13") _, lateout("$14") _,
            lateout("$15") _, lateout("$24") _, lateout("$25") _,
            options(nostack)
        );
    }
}
