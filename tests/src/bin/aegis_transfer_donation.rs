//! A synchronous transfer lends a slice and all its later instances until it is answered; an asynchronous one and a
//! yield lend the rest of one.
//@ expect: aegis_transfer_donation: lent for as long as it was served, and no longer
//@ timeout: 60

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../server.rs"]
mod server;

use core::arch::global_asm;
use exos_rt::abi::EnvId;
use exos_rt::abi::program::{ProgramHeader, ProtectedEntries};
use exos_rt::environment::spawn;
use exos_rt::sequences::{header, slices_used};
use exos_rt::shared::Shared;
use exos_rt::transfer::{call, send};
use exos_rt::{call, println, public};
use server::Server;

/// Main's slice, the only one.
const POSITION: u32 = 0;

static SERVED: Shared<u32> = Shared::new(0);
static RUNNERS: [Shared<u32>; 2] = [const { Shared::new(0) }; 2];
static YIELDS: Shared<u32> = Shared::new(0);

/// In the server: works until three more instances of main's slice have passed, and notes whose that slice is then.
extern "C" fn work(_: u32, _: u32, _: u32, _: u32, _: EnvId) -> u64 {
    let mut instances = 0;
    let mut last = call::clock();
    while instances < 3 {
        if call::clock() != last && public::position() == POSITION {
            instances += 1;
            last = call::clock();
            RUNNERS[0].set(public::slice(POSITION).runner);
            RUNNERS[1].set(public::slice(POSITION).owner);
        }
        SERVED.add(1);
    }
    0
}

extern "C" fn count(_: u32) -> ! {
    loop {
        YIELDS.add(1);
        call::yield_slice();
    }
}

// An asynchronous entry that keeps the processor.
global_asm!(".set noreorder", ".type keep, @function", "keep:", "1:  b     1b", "     nop", ".size keep, . - keep",);

extern "C" fn kept(_: u32) -> ! {
    unsafe extern "C" {
        fn keep();
    }
    let entries = ProtectedEntries { synchronous: 0, asynchronous: keep as *const () as u32 };
    let header = ProgramHeader { protected_entries: entries, ..*header() };
    // SAFETY: the slice begins where it would anyhow, and the entry does no harm.
    unsafe { call::env_setup(call::self_id(), call::NO_CAPABILITY, &header, header.start_of_slice).unwrap() };
    YIELDS.set(0);
    loop {
        call::wait(None);
    }
}

fn main() {
    let id = call::self_id();
    let runner = || public::slice(POSITION).runner;
    let server = Server::start(work);
    let (start, used) = (call::clock(), slices_used());
    assert_eq!(call(server.id, [0; 4]), Ok(0));
    assert_eq!((RUNNERS[0].get(), RUNNERS[1].get()), (server.id.0, id.0), "lent, not given");
    assert!(call::clock() - start >= 3 && slices_used() - used <= 1, "main's slices were the server's");
    assert_eq!(runner(), id.0, "it is main's again");
    server.stop();

    // A yield: there and back within a slice or two, many times.
    let (counter, control) = spawn(count, 0, None).unwrap();
    let start = call::clock();
    for n in 0..500 {
        while YIELDS.get() == n {
            call::yield_to(counter).unwrap();
        }
        assert_eq!((YIELDS.get(), runner()), (n + 1, id.0));
    }
    assert!(call::clock() - start < 32, "{} ticks", call::clock() - start);
    call::env_destroy(counter, control).unwrap();

    // An asynchronous transfer to a callee that does not want it, and to one that keeps what it got.
    let server = Server::start(work);
    call::yield_slice();
    let start = call::clock();
    for _ in 0..500 {
        send(server.id, [1, 2, 3, 4]).unwrap();
    }
    assert!(call::clock() - start < 32 && runner() == id.0);
    server.stop();
    YIELDS.set(1);
    let (keeper, control) = spawn(kept, 0, Some(20)).unwrap();
    while YIELDS.get() != 0 {
        call::yield_slice();
    }
    for _ in 0..3 {
        call::yield_slice();
        let start = call::clock();
        send(keeper, [0; 4]).unwrap();
        assert!(call::clock() - start >= 1, "the rest of the slice");
        assert_eq!(runner(), id.0, "but no more");
    }
    call::env_destroy(keeper, control).unwrap();
    println!("aegis_transfer_donation: lent for as long as it was served, and no longer");
}
