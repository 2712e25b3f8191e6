//! Table 11's counter, which a station and this machine pass each other in a UDP/IP packet, so that each adds 1: by a program that waits for
//! packets, and by a handler. As many packets pass as are to pass, and the counter is right; how long it takes is not looked at.
//!
//! One packet is on its way at a time, and none is sent again: if one is lost that is told.
//@ network: peer
//@ expect: aegis_counter: 4096 round trips by a program
//@ expect: aegis_counter: 4096 round trips by a handler
//@ expect: aegis_counter: nothing is left over
//@ timeout: 120

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../claim.rs"]
mod claim;
#[path = "../net.rs"]
mod net;

use aegis_bench::counter::Station;
use claim::census;
use exos_rt::abi::ash::Outcome;
use exos_rt::{call, println, public};
use net::PATIENCE;
use net::cable::PEER;

const ROUNDS: u32 = 4096;

fn main() {
    let both = |rounds| (by_program(rounds), by_handler(rounds));
    both(10);
    let before = census();
    let ((), skipped) = both(ROUNDS);
    assert_eq!(census(), before);
    println!("aegis_counter: {ROUNDS} round trips by a program");
    println!("aegis_counter: {ROUNDS} round trips by a handler, {skipped} of them without it");
    println!("aegis_counter: nothing is left over");
}

fn by_program(rounds: u32) {
    let before = public::interface();
    let mut station = Station::opposite(PEER, 0);
    let mut counter = 0;
    for _ in 0..rounds {
        station.send(counter);
        let back = station.receive(Some(public::ticks() + PATIENCE)).expect("the packet is not lost");
        assert_eq!(back, counter + 1);
        counter += 2;
    }
    let counted = net::since(before);
    assert_eq!((counted.received, counted.delivered, counted.sent), (rounds, rounds, rounds));
    station.close();
}

/// How many messages came when this program owed too much for its handler to run: it answers these itself.
fn by_handler(rounds: u32) -> u32 {
    let before = public::interface();
    let mut station = Station::opposite(PEER, 0);
    let last = 2 * rounds;
    let (region, handler) = station.install(last);
    station.send(0);
    let (mut skipped, mut is_last) = (0, false);
    let (mut came, mut end) = (0, public::ticks() + PATIENCE);
    while !is_last && handler.installed().wakes == 0 {
        if let Some(counter) = station.poll() {
            skipped += 1;
            is_last = counter + 1 == last;
            if !is_last {
                station.send(counter + 1);
            }
        }
        let now = handler.installed().outcomes.iter().sum();
        if now != came {
            (came, end) = (now, public::ticks() + PATIENCE);
        }
        assert!(came <= rounds, "the counter has not come to {last} in time");
        assert!(public::ticks() < end, "lost: {:?}", handler.installed());
        call::wait(Some(public::ticks() + 1));
    }
    let outcomes = handler.installed().outcomes;
    assert_eq!(outcomes[Outcome::Skipped as usize], skipped);
    assert_eq!(outcomes.iter().sum::<u32>(), rounds);
    let counted = net::since(before);
    assert_eq!((counted.received, counted.handled, counted.sent), (rounds, rounds - skipped, rounds));
    handler.remove();
    region.close();
    station.close();
    skipped
}
