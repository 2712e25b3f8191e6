//! Calls: a server in another environment answers 1000 of them, each with what belongs to it, and knows who calls.
//@ expect: aegis_transfer: 1000 calls answered

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../server.rs"]
mod server;

use exos_rt::abi::{EnvId, Error};
use exos_rt::public;
use exos_rt::transfer::call;
use exos_rt::{call, println};
use server::Server;

extern "C" fn add(a: u32, b: u32, c: u32, d: u32, caller: EnvId) -> u64 {
    u64::from(caller.0) << 32 | u64::from(a + 2 * b + 3 * c + 4 * d)
}

fn main() {
    let id = call::self_id();
    let server = Server::start(add);
    for n in 0..1000 {
        let sum = n + 2 * (n + 1) + 3 * (n + 2) + 4 * (n + 3);
        assert_eq!(call(server.id, [n, n + 1, n + 2, n + 3]), Ok(u64::from(id.0) << 32 | u64::from(sum)));
    }
    // What was lent meanwhile has come back.
    assert!(public::slices_of(id).all(|position| public::slice(position).runner == id.0));
    // It is alone in its slice, and runs on behalf of nobody: the server does not call back.
    let gone = server.id;
    server.stop();
    assert_eq!(call(gone, [0; 4]), Err(Error::NoSuchEnvironment));
    println!("aegis_transfer: 1000 calls answered");
}
