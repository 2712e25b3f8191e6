//! Calls within calls: main calls B, which calls C, which calls main's own server, while D calls whom it finds, and is
//! told when that is busy. A test on the model ends a slice at each instruction between the marks.
//@ expect: aegis_transfer_nested: 200 calls of four environments deep, each answered

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../server.rs"]
mod server;

use exos_rt::abi::{EnvId, Error};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::transfer::{self, Stack, call};
use exos_rt::{call, mark_begin, mark_end, println, program, public};
use server::Server;

static MAIN: Shared<u32> = Shared::new(0);
static B: Shared<u32> = Shared::new(0);
static C: Shared<u32> = Shared::new(0);
static STACK: Stack<1024> = Stack::new();

/// What D has been told.
static ANSWERED: Shared<u32> = Shared::new(0);
static REFUSED: Shared<u32> = Shared::new(0);
static STOP: Shared<bool> = Shared::new(false);

/// In B: adds 1 to what C says, or, for D, answers by itself.
extern "C" fn b(a: u32, ours: u32, _: u32, _: u32, _: EnvId) -> u64 {
    if ours == 0 { u64::from(a) } else { 1 + patiently(C.get(), a) }
}

/// In C: adds 10 to what main says.
extern "C" fn c(a: u32, _: u32, _: u32, _: u32, _: EnvId) -> u64 {
    10 + patiently(MAIN.get(), a)
}

/// In main: adds 100.
extern "C" fn a(a: u32, _: u32, _: u32, _: u32, _: EnvId) -> u64 {
    u64::from(a) + 100
}

/// Calls until it is answered.
fn patiently(callee: u32, a: u32) -> u64 {
    loop {
        match call(EnvId(callee), [a, 1, 0, 0]) {
            Ok(answer) => return answer,
            Err(Error::Busy) => call::yield_slice(),
            Err(error) => panic!("{callee:#x}: {error:?}"),
        }
    }
}

extern "C" fn d(_: u32) -> ! {
    let mut n = 0;
    while !STOP.get() {
        for callee in [&B, &C, &MAIN] {
            n += 1;
            match call(EnvId(callee.get()), [n, 0, 0, 0]) {
                Ok(answer) if callee.get() == B.get() => {
                    assert_eq!(answer, u64::from(n));
                    ANSWERED.add(1);
                }
                Ok(_) => ANSWERED.add(1),
                Err(Error::Busy) => REFUSED.add(1),
                Err(error) => panic!("{error:?}"),
            }
        }
        call::yield_slice();
    }
    call::exit(0)
}

fn main() {
    let rounds = program::number("rounds").unwrap_or(200);
    let id = call::self_id();
    MAIN.set(id.0);
    // SAFETY: the stack is for this alone, and the function has no state.
    unsafe { transfer::serve(a, &STACK) };
    let servers = [Server::start(b), Server::start(c)];
    B.set(servers[0].id.0);
    C.set(servers[1].id.0);
    let (d, _) = spawn(d, 0, Some(20)).unwrap();
    // From the beginning of a slice on: no tick of its own comes between the marks, where others are planted.
    call::wait(Some(call::clock() + 1));
    mark_begin!(1);
    for n in 0..rounds {
        assert_eq!(patiently(B.get(), n), u64::from(n) + 111);
        call::yield_slice();
    }
    mark_end!(1);
    STOP.set(true);
    while call::wake(d).is_ok() {
        call::yield_slice();
    }
    transfer::close();
    assert!(public::slices_of(id).all(|position| public::slice(position).runner == id.0));
    servers.into_iter().for_each(Server::stop);
    println!("aegis_transfer_nested: {rounds} calls of four environments deep, each answered");
}
