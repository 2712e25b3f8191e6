//! A program that calls itself, and one whose server calls back: the two activities of an environment know their
//! answers.
//@ expect: aegis_transfer_self: 1000 calls of itself, 1000 called back

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../server.rs"]
mod server;

use exos_rt::abi::{EnvId, Error};
use exos_rt::transfer::{self, Stack, call};
use exos_rt::{call, println};
use server::Server;

static STACK: Stack<2048> = Stack::new();

/// In main's server.
extern "C" fn double(n: u32, _: u32, _: u32, _: u32, _: EnvId) -> u64 {
    2 * u64::from(n)
}

/// In the other: calls the caller back.
extern "C" fn back(n: u32, _: u32, _: u32, _: u32, caller: EnvId) -> u64 {
    call(caller, [n + 1, 0, 0, 0]).expect("it waits for this, and is not busy") + 1
}

fn main() {
    let id = call::self_id();
    assert_eq!(call(id, [0; 4]), Err(Error::Busy), "nothing serves");
    // SAFETY: the stack is for this alone, and the function has no state.
    unsafe { transfer::serve(double, &STACK) };
    let server = Server::start(back);
    for n in 0..1000 {
        assert_eq!(call(id, [n, 0, 0, 0]), Ok(2 * u64::from(n)));
        assert_eq!(call(server.id, [n, 0, 0, 0]), Ok(2 * u64::from(n) + 3));
    }
    transfer::close();
    assert_eq!(call(id, [0; 4]), Err(Error::Busy));
    server.stop();
    println!("aegis_transfer_self: 1000 calls of itself, 1000 called back");
}
