//! A program sends the longest messages as fast as it can, in two slices of each round, and so finds the controller's buffers full
//! most of the time. Another one beside it sends a message in each of its slices nevertheless, before the slice is over.
//@ network: peer
//@ run: hostile_transmit aegis_witness
//@ expect: hostile_transmit: 64 messages were sent, each in its slice
//@ expect: aegis_witness: undisturbed
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../claim.rs"]
mod claim;
#[path = "../net.rs"]
mod net;

use claim::{census, until_witness_is_ready};
use exos_rt::abi::Error;
use exos_rt::abi::network::MESSAGE_MAX;
use exos_rt::call::{self, NO_CAPABILITY};
use exos_rt::environment::spawn;
use exos_rt::net::Endpoint;
use exos_rt::sequences::slices_used;
use exos_rt::shared::Shared;
use exos_rt::{println, public};
use net::cable::PEER;
use net::{DATA, address, filter, header};

const MESSAGES: u32 = 64;

/// Messages that the other one has sent, and how often it found no room.
static SENT: Shared<u32> = Shared::new(0);
static FULL: Shared<u32> = Shared::new(0);

/// Keeps all buffers full.
extern "C" fn greedy(_: u32) -> ! {
    let _endpoint = Endpoint::open(&filter(DATA, 66), NO_CAPABILITY, 1).unwrap();
    let mut message = [0; MESSAGE_MAX as usize];
    message[..15].copy_from_slice(&header(PEER, address(), DATA, 66));
    loop {
        match call::network_send(&message) {
            Ok(()) => SENT.add(1),
            Err(Error::Busy) => FULL.add(1),
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn main() {
    until_witness_is_ready();
    let at_first = census();
    let endpoint = Endpoint::open(&filter(DATA, 7), NO_CAPABILITY, 1).unwrap();
    let position = public::position();
    // One of its slices is the one before this program's, so that the buffers are still full when that begins.
    let before = (1..64).map(|n| (position + 64 - n) % 64).find(|&other| public::slice(other).owner == 0);
    let (id, control) = spawn(greedy, 0, before).unwrap();
    let other = (1..64).map(|n| (position + n) % 64).find(|&other| public::slice(other).owner == 0).unwrap();
    call::slice_allocate(other).unwrap();
    call::slice_give(other, id).unwrap();
    while SENT.get() < 16 {
        call::yield_slice();
    }
    let message = header(PEER, address(), DATA, 7);
    for number in 0..MESSAGES {
        call::yield_slice();
        // It may come back just when a slice ends.
        let used = slices_used();
        while let Err(error) = call::network_send(&message) {
            assert_eq!(error, Error::Busy);
            assert!(slices_used() - used <= 1, "message {number}");
        }
    }
    println!(
        "hostile_transmit: {MESSAGES} messages were sent, each in its slice; the other sent {}, and found no room {} times",
        SENT.get(),
        FULL.get()
    );
    claim::end(id, control);
    endpoint.close();
    // Buries the dead.
    Endpoint::open(&filter(DATA, 7), NO_CAPABILITY, 1).unwrap().close();
    assert_eq!(census(), at_first);
}
