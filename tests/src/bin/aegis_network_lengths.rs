//! Frames that are no messages are counted and go to nobody: too short, too long, damaged, for others.
//@ network: peer
//@ expect: aegis_network_lengths: all were counted

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../net.rs"]
mod net;

use exos_rt::abi::network::{Interface, MESSAGE_MAX};
use exos_rt::call::NO_CAPABILITY;
use exos_rt::net::Endpoint;
use exos_rt::{call, println, public};
use net::cable::{AS_IT_IS, DAMAGED, PEER, TYPE};
use net::{DATA, PATIENCE, Question, address, filter, header};

fn main() {
    let mut endpoint = Endpoint::open(&filter(DATA, 7), NO_CAPABILITY, 20).unwrap();
    let _asking = Endpoint::open(&filter(TYPE, 7), NO_CAPABILITY, 1).unwrap();
    let before = public::interface();
    let ask = |flags, bytes: u32, to| {
        let question = Question { byte: 7, flags, count: 5, bytes: bytes as u16, number_at: 0 };
        let (before, end) = (public::interface(), public::ticks() + 64);
        question.ask(&header(to, PEER, DATA, 7)).unwrap();
        // A station on the host sends faster than a cable carries: no more at once than the controller has buffers for. What that
        // lets not pass is waited for in vain.
        let counted = |now: Interface| now.received + now.foreign + now.runts + now.giants + now.damaged;
        while counted(net::since(before)) < 5 && public::ticks() < end {
            call::wait(Some(public::ticks() + 1));
        }
    };
    let other = [0x08, 0, 0x2b, 0, 0, 0x77];
    // A controller lets none of the first two pass. An emulator's cable has neither least lengths nor check sequences.
    let checks = address()[..3] == [0x08, 0x00, 0x2b];
    ask(AS_IT_IS, 10, address());
    ask(AS_IT_IS, 40, address());
    ask(0, MESSAGE_MAX + 1, address());
    ask(0, 1800, address());
    ask(0, 4000, address());
    ask(DAMAGED, 100, address());
    ask(0, 100, other);
    let group = [0x01, 0, 0x5e, 0, 0, 1];
    ask(0, 100, group);
    // That comes last.
    let (mut short, mut damaged, mut good) = (0, 0, 0);
    while good < 5 {
        assert!(endpoint.wait(Some(public::ticks() + PATIENCE)), "{short} {damaged} {good} {:?}", net::since(before));
        endpoint.receive(|message| {
            let whole = (15..message.len()).all(|at| message[at] == at as u8);
            match (message.len(), &message[..6]) {
                (100, to) if to == group && whole => good += 1,
                (100, to) if to == address() && whole => damaged += 1,
                // Filled up with zeros by whoever did.
                (40 | 60, to) if to == address() && message[15] == 15 => short += 1,
                _ => panic!("{message:x?}"),
            }
        });
    }
    let counted = net::counted_in_quiet(before);
    assert!(!endpoint.has_message());
    // GXemul's marks the last part of one that is too long for a buffer as a whole one, too, with the length of all.
    assert!(counted.giants == 15 || counted.giants == 25 && !checks, "{counted:?}");
    assert_eq!(counted.missed, 0, "{counted:?}");
    assert_eq!(counted.damaged + damaged, 5, "{counted:?}");
    assert_eq!((counted.delivered, counted.dropped), (good + damaged + short, 0), "{counted:?}");
    assert_eq!(counted.received, counted.delivered + counted.unclaimed, "{counted:?}");
    // What is shorter than a header goes to nobody, filled up or not.
    let passed = [short, damaged, counted.foreign, counted.runts + counted.unclaimed];
    assert!(passed.iter().all(|&count| count == 0 || count == 5 && !checks), "{passed:?}, {counted:?}");
    println!("aegis_network_lengths: all were counted");
}
