//! LRPC in odd situations: servers that are dead, that die while they serve, that refuse, that never were; a caller
//! that dies while it is served; and a scope of trusted calls whose server dies with the registers.
//@ expect: exos_lrpc: 20 calls, 20 trusted; dead, dying and refusing servers, and a caller that died
//@ timeout: 60

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../child.rs"]
mod child;
#[path = "../in_use.rs"]
mod in_use;
#[path = "../server.rs"]
mod server;

use child::{NOBODY, wait_for_end};
use exos_rt::abi::{EnvId, Error};
use exos_rt::environment::spawn;
use exos_rt::lrpc::trust;
use exos_rt::shared::Shared;
use exos_rt::{call, lrpc, println, public};
use server::Server;

static SUM: Shared<u32> = Shared::new(0);
static READY: Shared<u32> = Shared::new(0);
static SLOW: Shared<u32> = Shared::new(0);
static SERVED: Shared<u32> = Shared::new(0);

exos_rt::lrpc_server! {
    /// Adds its arguments to a sum.
    static ADD = [
        "lui   $t1, %hi({sum})",
        "lw    $t0, %lo({sum})($t1)",
        "addu  $t2, $a1, $a2",
        "addu  $t2, $t2, $a3",
        "addu  $a0, $t0, $t2",
        "sw    $a0, %lo({sum})($t1)",
    ],
    sum = sym SUM,
}

extern "C" fn adder(_: u32) -> ! {
    // SAFETY: the sum is nobody else's.
    unsafe { lrpc::serve(&ADD) };
    READY.add(1);
    loop {
        call::wait(None);
    }
}

/// Servers of the other kind: one ends, one takes its time.
extern "C" fn die(_: u32, _: u32, _: u32, _: u32, _: EnvId) -> u64 {
    call::exit(0)
}

extern "C" fn slow(_: u32, answer: u32, _: u32, _: u32, _: EnvId) -> u64 {
    let start = call::clock();
    while call::clock() - start < 3 {}
    SERVED.add(1);
    answer.into()
}

/// Calls, and is destroyed meanwhile.
extern "C" fn caller(_: u32) -> ! {
    let _ = lrpc::call(EnvId(SLOW.get()), [0; 3]);
    call::exit(1)
}

fn has_its_slices() -> bool {
    let id = call::self_id();
    public::slices_of(id).all(|position| public::slice(position).runner == id.0)
}

fn main() {
    let before = in_use::take();
    assert_eq!(lrpc::call(NOBODY, [0; 3]), Err(Error::NoSuchEnvironment));
    let (id, control) = spawn(adder, 0, Some(20)).unwrap();
    while READY.get() == 0 {
        call::yield_slice();
    }
    for n in 1..=20 {
        assert_eq!(lrpc::call(id, [1, 2, 3]), Ok(6 * n));
    }
    // SAFETY: the server is of `lrpc_server!`; nothing in the scope has a destructor.
    let last = unsafe { trust(id, |server| (0..20).try_fold(0, |_, _| server.call([1, 1, 1]))) };
    assert_eq!(last, Ok(Ok(180)));

    // A server of the other kind: it answers, in this slice or in another, and dies.
    let other = Server::start(slow);
    SLOW.set(other.id.0);
    assert_eq!(lrpc::call(other.id, [7, 0, 0]), Ok(7));
    assert!(has_its_slices());
    let (dying, dyings_control) = spawn(caller, 0, Some(30)).unwrap();
    let start = call::clock();
    while call::clock() - start < 64 && SERVED.get() == 1 && public::slice(30).runner == dying.0 {
        call::yield_slice();
    }
    call::env_destroy(dying, dyings_control).unwrap();
    let start = call::clock();
    let answer = loop {
        match lrpc::call(other.id, [8, 0, 0]) {
            Err(Error::Busy) if call::clock() - start < 640 => call::yield_slice(),
            answer => break answer,
        }
    };
    assert_eq!(answer, Ok(8), "the server is there for others");
    other.stop();
    let dies = Server::start(die);
    assert_eq!(lrpc::call(dies.id, [0; 3]), Err(Error::NoSuchEnvironment));
    assert_eq!(lrpc::call(dies.id, [0; 3]), Err(Error::NoSuchEnvironment));

    // One that dies with the registers.
    let dies = Server::start(die);
    let mut reached = 0;
    // SAFETY: nothing in the scope has a destructor, and what it changes is read afterwards as it is in memory.
    let result = unsafe {
        let reached = &raw mut reached;
        trust(dies.id, |server| {
            reached.write_volatile(1);
            let _ = server.call([0; 3]);
            reached.write_volatile(2);
        })
    };
    assert_eq!(result, Err(Error::NoSuchEnvironment));
    // SAFETY: it is this function's.
    assert_eq!(unsafe { (&raw const reached).read_volatile() }, 1);
    // SAFETY: as above.
    let result = unsafe { trust(NOBODY, |server| server.call([0; 3])) };
    assert_eq!(result, Ok(Err(Error::NoSuchEnvironment)), "it was not called at all");
    // And the others as ever.
    assert_eq!(lrpc::call(id, [0; 3]), Ok(180));
    call::env_destroy(id, control).unwrap();
    wait_for_end(id);
    assert_eq!(lrpc::call(id, [0; 3]), Err(Error::NoSuchEnvironment));
    assert!(has_its_slices());
    in_use::same(before);
    println!("exos_lrpc: 20 calls, 20 trusted; dead, dying and refusing servers, and a caller that died");
}
