//! A flood of 10,000 messages, as fast as the cable carries them: what can't be taken is counted, what comes is whole and
//! in order, and an environment beside keeps its slices and gets on.
//@ network: peer
//@ ignore-machine: gxemul it loses what comes too fast without a word
//@ expect: aegis_network_flood: 10000 messages came or were counted
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../net.rs"]
mod net;

use exos_rt::call::NO_CAPABILITY;
use exos_rt::environment::spawn;
use exos_rt::net::Endpoint;
use exos_rt::shared::Shared;
use exos_rt::{call, println, public};
use net::cable::{PEER, TYPE};
use net::{DATA, Question, address, filter, header};

const FLOOD: u32 = 10_000;

static ROUNDS: Shared<u32> = Shared::new(0);
static SLICES: Shared<u32> = Shared::new(0);

/// Counts its slices, and what it gets done in them.
extern "C" fn witness(_: u32) -> ! {
    loop {
        let now = public::ticks();
        SLICES.add(1);
        while public::ticks() == now {
            ROUNDS.add(1);
        }
    }
}

/// Ticks until the witness has had ten slices, and its rounds in them.
fn ten_slices() -> (u32, u32) {
    let (slices, rounds, ticks) = (SLICES.get(), ROUNDS.get(), public::ticks());
    while SLICES.get() - slices < 10 {
        call::yield_slice();
    }
    (public::ticks() - ticks, ROUNDS.get() - rounds)
}

fn main() {
    let (_witness, control) = spawn(witness, 0, Some(1)).unwrap();
    while SLICES.get() == 0 {
        call::yield_slice();
    }
    let (ticks, quiet) = ten_slices();
    let mut endpoint = Endpoint::open(&filter(DATA, 7), NO_CAPABILITY, 30).unwrap();
    let asking = Endpoint::open(&filter(TYPE, 7), NO_CAPABILITY, 1).unwrap();
    let before = public::interface();
    let question = Question { byte: 7, flags: 0, count: FLOOD, bytes: 60, number_at: 20 };
    question.ask(&header(address(), PEER, DATA, 7)).unwrap();
    let (flooded_ticks, flooded) = ten_slices();
    let (mut came, mut next) = (0, 0);
    let counted = loop {
        while endpoint.wait(Some(public::ticks() + 16)) {
            endpoint.receive(|message| {
                let number = u32::from_be_bytes([message[20], message[21], message[22], message[23]]);
                assert!(number >= next && number < FLOOD, "{number} behind {next}");
                assert!(message[24..60].iter().zip(24..).all(|(&byte, at)| byte == at), "message {number}");
                (came, next) = (came + 1, number + 1);
            });
        }
        // Who sends may have been held up, and go on.
        let counted = net::counted_in_quiet(before);
        if !endpoint.has_message() && (counted.received == FLOOD || counted.missed > 0) {
            break counted;
        }
    };
    println!("{counted:?}");
    assert_eq!(counted.received, counted.delivered + counted.dropped + counted.unclaimed, "{counted:?}");
    assert_eq!((counted.delivered, counted.damaged, counted.restarts), (came, 0, 0), "{counted:?}");
    assert_eq!(endpoint.installed().dropped, counted.dropped);
    // What the controller had no buffer for it does not count one by one.
    assert!(counted.received == FLOOD || counted.missed > 0 && counted.received < FLOOD);
    assert!(flooded_ticks <= ticks + 1, "{ticks} ticks, {flooded_ticks} in the flood");
    assert!(flooded > quiet / 4, "{quiet} rounds, {flooded} in the flood");
    println!(
        "{} came, {} found no buffer, the interface was silenced {} times; {quiet} rounds, {flooded} in the flood",
        came, counted.dropped, counted.silenced
    );
    endpoint.close();
    asking.close();
    call::env_destroy(_witness, control).unwrap();
    println!("aegis_network_flood: {FLOOD} messages came or were counted");
}
