//! LRPC: each call is served once, and answered, whatever registers are in use; with the argument `trusted` in a scope
//! in which the server has the registers. Another environment calls the server, too, and the caller, which is not to be
//! disturbed. A test on the model interrupts all of them at each instruction between the marks.
//@ expect: inject_lrpc: 100 calls, 0 wrong answers, registers changed in 0; the other was answered and refused

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[macro_use]
#[path = "../filled.rs"]
mod filled;

use exos_rt::abi::{EnvId, Error};
use exos_rt::environment::spawn;
use exos_rt::lrpc::{Trusted, trust};
use exos_rt::shared::Shared;
use exos_rt::{call, lrpc, println, program, public, transfer};

static CALLER: Shared<u32> = Shared::new(0);
static SERVER: Shared<u32> = Shared::new(0);
/// Calls that were served: the server's.
static SERVED: Shared<u32> = Shared::new(0);
/// Calls of this program's and of the other environment's that were answered.
static MADE: Shared<u32> = Shared::new(0);
static OTHERS: Shared<u32> = Shared::new(0);
static REFUSED: Shared<u32> = Shared::new(0);
static WRONG: Shared<u32> = Shared::new(0);
static READY: Shared<u32> = Shared::new(0);

exos_rt::lrpc_server! {
    /// Counts.
    static COUNT = [
        "lui   $t1, %hi({served})",
        "lw    $t0, %lo({served})($t1)",
        "nop",
        "addiu $a0, $t0, 1",
        "sw    $a0, %lo({served})($t1)",
    ],
    served = sym SERVED,
}

filled! {
    /// Calls a function with an argument.
    fn apply: preserved, ["jalr  $a1", " move $a0, $a2"],
}

extern "C" fn server(_: u32) -> ! {
    // SAFETY: the count is nobody else's.
    unsafe { lrpc::serve(&COUNT) };
    READY.set(1);
    loop {
        call::wait(None);
    }
}

/// Calls the server, and the caller, which refuses.
extern "C" fn other(_: u32) -> ! {
    loop {
        OTHERS.add(u32::from(lrpc::call(EnvId(SERVER.get()), [0; 3]).is_ok()));
        REFUSED.add(u32::from(transfer::call(EnvId(CALLER.get()), [0; 4]) == Err(Error::Busy)));
        call::yield_slice();
    }
}

/// An answer is the number of calls so far.
fn check(answer: Result<u32, Error>) {
    MADE.add(1);
    let all = SERVED.get();
    // The other may have been served and not yet have counted it, or since.
    WRONG.add(u32::from(!matches!(answer, Ok(n) if n <= all && n >= MADE.get())));
}

extern "C" fn plain(_: u32) {
    check(lrpc::call(EnvId(SERVER.get()), [1, 2, 3]));
}

static TRUSTED: Shared<Option<Trusted>> = Shared::new(None);

extern "C" fn trusting(_: u32) {
    check(TRUSTED.get().expect("it was set before").call([1, 2, 3]));
}

fn rounds(one: extern "C" fn(u32)) -> u32 {
    let rounds = program::number("rounds").unwrap_or(100);
    let mut changed = 0;
    // The first rounds are far from a regular tick, however long the program took to here.
    let ticks = public::ticks();
    while public::ticks() == ticks {}
    for round in 0..rounds {
        // SAFETY: the function takes one argument, and it keeps what a function must keep.
        changed += u32::from(unsafe { apply(0x0123_4567 + round, one as *const () as u32, round, 0) } != 0);
        if round % 8 == 7 {
            call::yield_slice();
        }
    }
    changed
}

fn main() {
    CALLER.set(call::self_id().0);
    let (id, control) = spawn(server, 0, Some(40)).unwrap();
    while READY.get() == 0 {
        call::yield_slice();
    }
    SERVER.set(id.0);
    let (other, others_control) = spawn(other, 0, Some((public::position() + 1) % 64)).unwrap();
    while REFUSED.get() == 0 {
        call::yield_slice();
    }
    let changed = if program::arguments().any(|argument| argument == "trusted") {
        let scope = |trusted| {
            TRUSTED.set(Some(trusted));
            rounds(trusting)
        };
        // SAFETY: the server is of `lrpc_server!`; nothing in the scope has a destructor.
        unsafe { trust(id, scope) }.expect("the server lives")
    } else {
        rounds(plain)
    };
    while OTHERS.get() < 2 {
        call::yield_slice();
    }
    call::env_destroy(other, others_control).unwrap();
    // It may have been served, and ended before it was told.
    let lost = SERVED.get() - MADE.get() - OTHERS.get();
    assert!(lost <= 1, "{lost} calls were served twice");
    call::env_destroy(id, control).unwrap();
    assert!(public::slices_of(call::self_id()).all(|position| public::slice(position).runner == call::self_id().0));
    println!(
        "inject_lrpc: {} calls, {} wrong answers, registers changed in {changed}; the other was answered and refused",
        MADE.get(),
        WRONG.get()
    );
}
