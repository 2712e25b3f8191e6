//! Messages are sent, and what is sent back comes to whose filter accepts it: filled up, and counted.
//@ network: peer
//@ expect: aegis_network: messages came whole

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../net.rs"]
mod net;

use exos_rt::abi::network::MESSAGE_MAX;
use exos_rt::call::NO_CAPABILITY;
use exos_rt::net::Endpoint;
use exos_rt::{println, public};
use net::cable::{PEER, TYPE};
use net::{DATA, Question, address, filter, header};

fn main() {
    let before = public::interface();
    let mut endpoint = Endpoint::open(&filter(DATA, 7), NO_CAPABILITY, 4).unwrap();
    // The right to ask.
    let asking = Endpoint::open(&filter(TYPE, 7), NO_CAPABILITY, 1).unwrap();
    let template = header(address(), PEER, DATA, 7);
    for bytes in [15, 60, 61, 62, 63, 64, 65, 1000, MESSAGE_MAX as u16] {
        Question { byte: 7, flags: 0, count: 3, bytes, number_at: 0 }.ask(&template).unwrap();
        for _ in 0..3 {
            endpoint.wait(None);
            endpoint
                .receive(|message| {
                    assert_eq!(message.len(), usize::from(bytes.max(60)));
                    assert_eq!(message[..15], template);
                    let whole = |at: usize| message[at] == if at < bytes.into() { at as u8 } else { 0 };
                    assert!((15..message.len()).all(whole), "{bytes} bytes");
                })
                .expect("it was waited for");
        }
    }
    assert_eq!(endpoint.installed().delivered, 27);
    assert_eq!(asking.installed().sent, 9);
    let counted = net::since(before);
    assert_eq!((counted.received, counted.delivered, counted.sent), (27, 27, 9));
    endpoint.close();
    asking.close();
    assert_eq!(exos_rt::net::filters().count(), 0);
    println!("aegis_network: messages came whole");
}
