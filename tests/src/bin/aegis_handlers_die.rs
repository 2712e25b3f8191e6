//! A handler goes with its owner: messages that it got come to nobody, and what it had can be had by others. And a handler that takes
//! as long as it may for every message of a flood does not keep another from running, though it pays for that.
//@ network: peer
//@ expect: aegis_handlers_die: a witness went on
//@ expect: aegis_handlers_die: nobody has them
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../net.rs"]
mod net;

use aegis_codegen::Register as R;
use aegis_codegen::encode::*;
use exos_rt::abi::ash::{Outcome, SETS, Set};
use exos_rt::ash::{Handler, Region};
use exos_rt::call::{self, NO_CAPABILITY};
use exos_rt::environment::spawn;
use exos_rt::net::{Endpoint, filters};
use exos_rt::shared::Shared;
use exos_rt::{memory, println, public};
use net::cable::{PEER, TYPE};
use net::{DATA, Question, address, filter, header};

/// The frame of the handler that the other has installed, and what it is asked to do: to end.
static FRAME: Shared<u32> = Shared::new(0);
static END: Shared<u32> = Shared::new(0);

/// Has a handler that goes round and round.
extern "C" fn owner(_: u32) -> ! {
    let endpoint = Endpoint::open(&filter(DATA, 7), NO_CAPABILITY, 8).unwrap();
    let region = Region::new(endpoint.number(), 4096).unwrap();
    let round = [nop(), beq(R::ZERO, R::ZERO, -2), nop()];
    let none = [Set { pipes: [0; 4], own: 0, own_words: 0 }; SETS];
    let handler = Handler::install(&region, &round, 13_000, none).unwrap();
    FRAME.set(endpoint.installed().handler);
    while END.get() == 0 {
        call::wait(Some(public::ticks() + 1));
    }
    let installed = handler.installed();
    assert!(installed.outcomes[Outcome::Overrun as usize] > 20, "{:?}", installed.outcomes);
    assert!(installed.slices > 0, "it was charged");
    // With all that it has.
    call::exit(0)
}

fn main() {
    let asking = Endpoint::open(&filter(TYPE, 9), NO_CAPABILITY, 1).unwrap();
    let free = || (0..public::frames()).filter(|&number| memory::seems_free(number)).count();
    let (before, started) = (free(), public::interface());
    spawn(owner, 0, Some(40)).unwrap();
    while FRAME.get() == 0 {
        call::wait(Some(public::ticks() + 1));
    }
    let flood = Question { byte: 9, flags: 0, count: 2000, bytes: 60, number_at: 0 };
    flood.ask(&header(address(), PEER, DATA, 7)).unwrap();
    // It is 67 us and more for each; meanwhile this one counts as it does when there is no flood.
    let count = |ticks: u32| {
        let until = public::ticks() + ticks;
        let mut rounds = 0;
        while public::ticks() < until {
            rounds += 1;
        }
        rounds
    };
    let flooded = count(8);
    // Where the controller got the burst while the processor stood still, most of it found no buffer, and there is too little to judge by.
    loop {
        let received = net::since(started).received;
        call::wait(Some(public::ticks() + 4));
        let counted = net::since(started);
        if counted.received >= 50 {
            break;
        }
        if counted.received == received && counted.missed > 0 {
            flood.ask(&header(address(), PEER, DATA, 7)).unwrap();
        }
    }
    call::wait(Some(public::ticks() + 64));
    let quiet = count(8);
    assert!(flooded * 5 > quiet, "{flooded} rounds of {quiet}");
    println!("aegis_handlers_die: a witness went on, {flooded} rounds of {quiet}");
    END.set(1);
    while filters().count() == 2 && public::statistics().ended == 0 {
        call::wait(Some(public::ticks() + 1));
    }
    let ended = public::interface();
    Question { count: 1, ..flood }.ask(&header(address(), PEER, DATA, 7)).unwrap();
    while net::since(ended).received == 0 {
        call::wait(Some(public::ticks() + 1));
    }
    // A filter that is installed buries those of the dead.
    let mine = Endpoint::open(&filter(DATA, 7), NO_CAPABILITY, 2).unwrap();
    Question { count: 1, ..flood }.ask(&header(address(), PEER, DATA, 7)).unwrap();
    mine.wait(None);
    mine.close();
    asking.close();
    assert!(memory::seems_free(FRAME.get()) && memory::seems_free(FRAME.get() + 1));
    assert!(free() + 8 > before, "{} frames of {before}", free());
    println!("aegis_handlers_die: nobody has them");
}
