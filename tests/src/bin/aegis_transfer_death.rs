//! A server that dies while it serves, and one that does not answer: the caller is told, and has its slices back.
//@ expect: aegis_transfer_death: of a dead server, of one that never answers, of one that is busy
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../server.rs"]
mod server;

use exos_rt::abi::{EnvId, Error};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::transfer::{call, call_within};
use exos_rt::{call, println, public};
use server::Server;

static SERVER: Shared<u32> = Shared::new(0);
/// Whether the slice at a position has been seen lent to the server.
static LENT: [Shared<bool>; 2] = [const { Shared::new(false) }; 2];
static STOP: Shared<bool> = Shared::new(false);
const POSITIONS: [u32; 2] = [0, 30];

/// In a server: ends.
extern "C" fn die(_: u32, _: u32, _: u32, _: u32, _: EnvId) -> u64 {
    call::exit(0)
}

/// In a server: works for so many ticks, or forever.
extern "C" fn work(ticks: u32, answer: u32, _: u32, _: u32, _: EnvId) -> u64 {
    let start = call::clock();
    while call::clock() - start < ticks {}
    answer.into()
}

/// Watches whom the slices are lent to.
extern "C" fn watch(_: u32) -> ! {
    while !STOP.get() {
        for (lent, position) in LENT.iter().zip(POSITIONS) {
            lent.set(lent.get() || public::slice(position).runner == SERVER.get());
        }
        call::yield_slice();
    }
    call::exit(0)
}

fn has_its_slices() -> bool {
    let id = call::self_id();
    POSITIONS.into_iter().all(|position| public::slice(position).runner == id.0) && public::slices_of(id).count() == 2
}

fn main() {
    call::slice_allocate(POSITIONS[1]).unwrap();
    let server = Server::start(die);
    let start = call::clock();
    assert_eq!(call(server.id, [0; 4]), Err(Error::NoSuchEnvironment));
    assert!(call::wake(server.id).is_err() && call::clock() - start < 64 && has_its_slices());

    let server = Server::start(work);
    SERVER.set(server.id.0);
    spawn(watch, 0, Some(50)).unwrap();
    assert_eq!(call(server.id, [5, 1, 0, 0]), Ok(1), "it takes its time");
    assert!(has_its_slices());
    assert_eq!(call_within(server.id, [u32::MAX, 0, 0, 0], 5), Err(Error::Busy));
    assert!(has_its_slices());
    assert!(LENT[0].get() || LENT[1].get(), "no slice was lent");
    for _ in 0..5 {
        assert_eq!(call(server.id, [0; 4]), Err(Error::Busy), "it still works");
        call::yield_slice();
    }
    assert!(has_its_slices());
    // Others are served as ever; and what one says after it was given up is of no interest.
    let other = Server::start(work);
    assert_eq!(call(other.id, [0, 1, 0, 0]), Ok(1));
    assert_eq!(call_within(other.id, [100, 2, 0, 0], 2), Err(Error::Busy));
    let start = call::clock();
    while call::clock() - start < 300 && call(other.id, [0, 3, 0, 0]) == Err(Error::Busy) {
        call::yield_slice();
    }
    assert_eq!(call(other.id, [0, 4, 0, 0]), Ok(4));
    STOP.set(true);
    server.stop();
    other.stop();
    println!("aegis_transfer_death: of a dead server, of one that never answers, of one that is busy");
}
