//! Table 12: a call of a server that counts, by a program that saves its registers, and by one that trusts the server
//! with them.
//!
//! *lrpc* is Table 8's. *tlrpc* is the same call inlined into the application's loop: what is entered by the answer is
//! the loop itself, where it checks that the answer is from whom was called. *tlrpc_function* is the call as a
//! function.
//! All of them hold under interrupts and ends of slices anywhere.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

#[path = "../lrpc.rs"]
mod lrpc;

use aegis_bench::{ALONE, LOOPS, ROUNDS, loop_of};
use asm_lines::naked_asm;
use exos_rt::abi::mark::{END, WORD};
use exos_rt::abi::program::ProtectedEntries;
use exos_rt::lrpc::{Trusted, enter_at, trust};
use exos_rt::sequences::{OUT, exos_trusted_interrupted};
use exos_rt::{mark_begin, mark_end, println};

exos_rt::program!(main);

const INLINED: u32 = 1;
const FUNCTION: u32 = 2;

/// Defines a function of assembly that calls a server, whose id it has as its argument, `$rounds` times between marks,
/// and the entries for the answers.
macro_rules! inlined {
    ($function:ident, $asynchronous:literal, $synchronous:literal, $end:literal, $mark:expr, $rounds:expr) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $function(server: u32) -> u32 {
            naked_asm!(
                ".set noreorder",
                ".set noat",
                "addiu $sp, $sp, -8",
                "sw    $ra, 0($sp)",
                "sw    $s0, 4($sp)",
                "addiu $s0, $zero, {rounds}",
                "move  $v1, $a0",
                "move  $v0, $zero",
                "lui   $ra, %hi(2f)",
                "addiu $ra, $ra, %lo(2f)",
                ".balign 128, 0",               // the loop on one page: the micro-TLB has room for two, and the server's is the other
                ".word {begin}",
                // v0 = 0, v1 = the server, as the answer leaves them.
                "1:",
                "sw    $v1, {OUT}($zero)",
                "syscall",
                "b     3f",                     // refused
                " sw   $zero, {OUT}($zero)",
                concat!(".globl ", $asynchronous),
                concat!($asynchronous, ":"),
                "lw    $t0, {OUT}($zero)",
                "nop",
                "bne   $t0, $v1, exos_asynchronous",
                " nop",
                "j     exos_trusted_across",    // goes on at 2
                " sw   $zero, {OUT}($zero)",
                concat!(".globl ", $synchronous),
                concat!($synchronous, ":"),
                "lw    $t0, {OUT}($zero)",
                "addiu $s0, $s0, -1",           // nobody's, if it is not the answer
                "bne   $t0, $v1, exos_synchronous",
                " nop",
                "bne   $s0, $zero, 1b",
                " sw   $zero, {OUT}($zero)",
                concat!(".globl ", $end),
                concat!($end, ":"),
                ".word {end}",
                "3:",
                "lw    $ra, 0($sp)",
                "lw    $s0, 4($sp)",
                "addiu $sp, $sp, 8",
                "jr    $ra",
                " nop",
                "2:",
                "addiu $s0, $s0, -1",
                "bne   $s0, $zero, 1b",
                " move $v0, $zero",
                ".word {end}",
                "b     3b",
                " nop",
                OUT = const OUT,
                rounds = const $rounds,
                begin = const WORD | $mark,
                end = const WORD | END | $mark,
            )
        }
    };
}

inlined!(alone, "tlrpc_alone_asynchronous", "tlrpc_alone_synchronous", "tlrpc_alone_end", INLINED, 1);
inlined!(looped, "tlrpc_asynchronous", "tlrpc_synchronous", "tlrpc_end", loop_of(INLINED), ROUNDS);

unsafe extern "C" {
    fn tlrpc_alone_asynchronous();
    fn tlrpc_alone_synchronous();
    fn tlrpc_alone_end();
    fn tlrpc_asynchronous();
    fn tlrpc_synchronous();
    fn tlrpc_end();
}

/// Calls from here on are answered at these entries.
fn answered_at(asynchronous: unsafe extern "C" fn(), synchronous: unsafe extern "C" fn(), end: unsafe extern "C" fn()) {
    let [asynchronous, synchronous, end] = [asynchronous, synchronous, end].map(|entry| entry as *const () as u32);
    // SAFETY: they are like the runtime's.
    unsafe {
        enter_at(
            ProtectedEntries { synchronous, asynchronous },
            [asynchronous, end],
            exos_trusted_interrupted as *const () as u32,
        );
    }
}

fn functions(server: Trusted) {
    for _ in 0..ALONE {
        mark_begin!(FUNCTION);
        let answer = server.call([0; 3]);
        mark_end!(FUNCTION);
        assert!(answer.is_ok());
    }
    for _ in 0..LOOPS {
        mark_begin!(loop_of(FUNCTION));
        for _ in 0..ROUNDS {
            if server.call([0; 3]).is_err() {
                panic!("not answered");
            }
        }
        mark_end!(loop_of(FUNCTION));
    }
}

fn main() {
    println!(
        "mark {INLINED} table=12 op=tlrpc system=exos how=from before the call, in the application's loop, to behind the check of the answer"
    );
    println!("loop {} of={INLINED} rounds={ROUNDS} how=the call, its count and branch among it", loop_of(INLINED));
    println!("mark {FUNCTION} table=12 op=tlrpc_function system=exos how=the same as a function");
    println!("loop {} of={FUNCTION} rounds={ROUNDS} how=a loop of Rust around the call", loop_of(FUNCTION));
    lrpc::describe("12");
    exos_rt::console::flush();
    let server = lrpc::Server::start();
    server.measure();
    let id = server.id;
    // SAFETY: the server is of `lrpc_server!`; nothing in the scope has a destructor.
    let result = unsafe {
        trust(id, |trusted| {
            functions(trusted);
            answered_at(tlrpc_alone_asynchronous, tlrpc_alone_synchronous, tlrpc_alone_end);
            let mut refused = 0;
            for _ in 0..ALONE {
                refused |= alone(id.0);
            }
            answered_at(tlrpc_asynchronous, tlrpc_synchronous, tlrpc_end);
            for _ in 0..LOOPS {
                refused |= looped(id.0);
            }
            refused
        })
    };
    assert!(result == Ok(0));
    server.stop();
}
