//! Two machines on one cable: what one sends the other gets, and answers; messages for others get nowhere.
//@ network: 2
//@ ignore-machine: gxemul one at a time
//@ ignore-machine: malta one at a time
//@ expect: aegis_network_two: 100 messages came back

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../net.rs"]
mod net;

use exos_rt::call::NO_CAPABILITY;
use exos_rt::net::{Endpoint, send};
use exos_rt::{println, public};
use net::{DATA, address, filter, header};

const ROUNDS: u8 = 100;
const LENGTH: usize = 100;
/// Tells the other that it was the last.
const LAST: u8 = 200;

/// A message to a machine, with a number.
fn message(to: [u8; 6], number: u8) -> [u8; LENGTH] {
    let mut message = [number; LENGTH];
    message[..15].copy_from_slice(&header(to, address(), DATA, 1));
    message
}

fn main() {
    let mut endpoint = Endpoint::open(&filter(DATA, 1), NO_CAPABILITY, 8).unwrap();
    // The machines' addresses end with 1 and 2.
    let mut other = address();
    other[5] ^= 3;
    if address()[5] == 1 {
        ask(&mut endpoint, other);
    } else {
        answer(&mut endpoint, other);
    }
    endpoint.close();
}

fn ask(endpoint: &mut Endpoint, other: [u8; 6]) {
    let mut nobody = other;
    nobody[5] = 77;
    for number in 0..ROUNDS {
        send(&message(nobody, number)).unwrap();
        send(&message(other, number)).unwrap();
        // The other may not listen yet at first.
        while !endpoint.wait(Some(public::ticks() + 8)) {
            assert_eq!(number, 0, "lost");
            send(&message(other, number)).unwrap();
        }
        endpoint.receive(|answer| {
            assert_eq!(answer.len(), LENGTH);
            assert_eq!(answer[..6], address());
            assert!(answer[15..].iter().all(|&byte| byte == !number));
        });
    }
    send(&message(other, LAST)).unwrap();
    println!("aegis_network_two: {ROUNDS} messages came back");
}

fn answer(endpoint: &mut Endpoint, other: [u8; 6]) {
    loop {
        endpoint.wait(None);
        let number = endpoint.receive(|question| question[LENGTH - 1]).expect("it was waited for");
        if number == LAST {
            break;
        }
        send(&message(other, !number)).unwrap();
    }
    let counted = public::interface();
    assert_eq!((counted.foreign, counted.dropped, counted.damaged), (0, 0, 0), "the controller filters addresses");
}
