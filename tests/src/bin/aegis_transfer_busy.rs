//! A server that gives up its slice while it serves: three clients call it in the meantime, and each of their calls is
//! either served once or refused. A test on the model ends a slice at each instruction between the marks.
//@ expect: aegis_transfer_busy: every call was served or refused

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../server.rs"]
mod server;

use exos_rt::abi::{EnvId, Error};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::transfer::call;
use exos_rt::{call, mark_begin, mark_end, println, program, public};
use server::Server;

const CLIENTS: usize = 3;

static SERVER: Shared<u32> = Shared::new(0);
static SERVED: [Shared<u32>; CLIENTS] = [const { Shared::new(0) }; CLIENTS];
static ANSWERED: [Shared<u32>; CLIENTS] = [const { Shared::new(0) }; CLIENTS];
static REFUSED: Shared<u32> = Shared::new(0);
static STOP: Shared<bool> = Shared::new(false);

/// In the server.
extern "C" fn serve(client: u32, n: u32, _: u32, _: u32, _: EnvId) -> u64 {
    SERVED[client as usize].add(1);
    call::yield_slice();
    call::yield_slice();
    u64::from(n) << 32 | u64::from(client)
}

/// Calls once.
fn try_once(client: u32, n: u32) {
    match call(EnvId(SERVER.get()), [client, n, 0, 0]) {
        Ok(answer) => {
            assert_eq!(answer, u64::from(n) << 32 | u64::from(client));
            ANSWERED[client as usize].add(1);
        }
        Err(error) => {
            assert_eq!(error, Error::Busy);
            REFUSED.add(1);
            call::yield_slice();
        }
    }
}

extern "C" fn client(number: u32) -> ! {
    let mut n = 0;
    while !STOP.get() {
        n += 1;
        try_once(number, n);
    }
    call::exit(0)
}

fn main() {
    let id = call::self_id();
    let server = Server::start(serve);
    SERVER.set(server.id.0);
    let clients = [spawn(client, 1, Some(10)).unwrap(), spawn(client, 2, Some(20)).unwrap()];
    mark_begin!(1);
    for n in 0..program::number("rounds").unwrap_or(200) {
        try_once(0, n);
    }
    mark_end!(1);
    STOP.set(true);
    for (client, _) in clients {
        while call::wake(client).is_ok() {
            call::yield_slice();
        }
    }
    for (served, answered) in SERVED.iter().zip(&ANSWERED) {
        assert_eq!(served.get(), answered.get());
    }
    assert!(REFUSED.get() > 0 && public::slices_of(id).all(|position| public::slice(position).runner == id.0));
    server.stop();
    println!("aegis_transfer_busy: every call was served or refused");
}
