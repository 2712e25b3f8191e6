//! Calls of a server in another environment: each is served once, and answered. With the argument `slices` the server
//! gives up its slice before it answers, so that it answers in another. A test on the model interrupts both at each
//! instruction between the marks.
//@ expect: inject_transfer: 100 calls, 100 served, 0 wrong answers, registers changed in 0

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[macro_use]
#[path = "../filled.rs"]
mod filled;
#[path = "../server.rs"]
mod server;

use exos_rt::abi::EnvId;
use exos_rt::shared::Shared;
use exos_rt::{call, println, program, transfer};
use server::Server;

static SERVER: Shared<u32> = Shared::new(0);
static SERVED: Shared<u32> = Shared::new(0);
static WRONG: Shared<u32> = Shared::new(0);
/// How often the server gives up its slice before it answers.
static SLICES: Shared<u32> = Shared::new(0);

filled! {
    /// Calls a function with an argument.
    fn apply: preserved, ["jalr  $a1", " move $a0, $a2"],
}

extern "C" fn serve(a: u32, b: u32, c: u32, d: u32, _: EnvId) -> u64 {
    SERVED.add(1);
    (0..SLICES.get()).for_each(|_| call::yield_slice());
    u64::from(a) << 32 | u64::from(b + c + d)
}

/// The call of a round.
extern "C" fn one(round: u32) {
    let answer = transfer::call(EnvId(SERVER.get()), [round, round + 1, round + 2, round + 3]);
    WRONG.add(u32::from(answer != Ok(u64::from(round) << 32 | u64::from(3 * round + 6))));
}

fn main() {
    let server = Server::start(serve);
    SERVER.set(server.id.0);
    SLICES.set(program::number("slices").unwrap_or(0));
    let rounds = program::number("rounds").unwrap_or(100);
    let mut changed = 0;
    for round in 0..rounds {
        // SAFETY: the function takes one argument, and it keeps what a function must keep.
        changed += u32::from(unsafe { apply(0x0123_4567 + round, one as *const () as u32, round, 0) } != 0);
    }
    server.stop();
    println!(
        "inject_transfer: {rounds} calls, {} served, {} wrong answers, registers changed in {changed}",
        SERVED.get(),
        WRONG.get()
    );
}
