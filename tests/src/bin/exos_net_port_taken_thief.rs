//! Wants what `exos_net_port_taken` has.
//@ helper

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../stack.rs"]
mod stack;

use exos_net::filter::Purpose;
use exos_net::{Fail, Limits};
use exos_rt::abi::Error;
use exos_rt::abi::filter::Atom;
use exos_rt::call::NO_CAPABILITY;
use exos_rt::net::{self, Endpoint};
use exos_rt::{call, public};
use stack::address;

fn main() {
    while net::filters().count() < 6 {
        call::wait(Some(public::ticks() + 1));
    }
    let (mut stack, ..) = stack::stack(Limits::default());
    stack.poll();
    assert_eq!(net::filters().count(), 6, "the other answers for the machine");
    assert_eq!(stack.udp(5000, 512), Err(Fail::Taken));
    let tcp = stack.tcp(512).unwrap();
    assert_eq!(stack.listen(tcp, 80), Err(Fail::Taken));
    for peer in [None, Some(address(9))] {
        assert_eq!(stack.allow_parts(peer, 4000), Err(Fail::Taken));
    }
    assert_eq!(net::filters().count(), 6, "nothing is left of what was refused");

    let station = net::address().unwrap();
    let here = address(stack::number());
    let wanted = [
        Purpose::Udp(5000),
        Purpose::Listen(80),
        Purpose::Connection(80, address(9), 1234),
        Purpose::Part(None, 2),
        Purpose::Part(Some(address(9)), 1),
        Purpose::Found,
        Purpose::Echo,
    ];
    for purpose in wanted {
        let atoms = purpose.atoms(station, here);
        refused(&atoms);
        // Less is more: each of its beginnings accepts at least as much.
        for count in 1..atoms.len() {
            refused(&atoms[..count]);
        }
    }
    // The same message by another way: its header is as long as it says.
    refused(&[Atom::equal(12, 16, 0x0800), Atom::shift(14), Atom::shift_by(0, 8, 15, 2), Atom::equal(2, 16, 5000)]);
    // One more condition, which the other does not have.
    let mut narrow = Purpose::Udp(5000).atoms(station, here);
    narrow.push(Atom::equal(42, 8, 1)).unwrap();
    refused(&narrow);

    let mut message = [0; 60];
    message[..6].fill(0xff);
    message[6..12].copy_from_slice(&station);
    message[12..15].copy_from_slice(&[8, 0, 0x45]);
    message[23] = 17;
    message[26..30].copy_from_slice(&here.octets());
    message[30..34].copy_from_slice(&address(9).octets());
    message[34..36].copy_from_slice(&5000_u16.to_be_bytes());
    assert_eq!(call::network_send(&message), Err(Error::Denied), "a datagram in the other's name");
    message[21] = 185;
    assert_eq!(call::network_send(&message), Err(Error::Denied), "a later part of one");
    message[12..22].copy_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 2]);
    message[22..28].copy_from_slice(&station);
    message[28..32].copy_from_slice(&here.octets());
    assert_eq!(call::network_send(&message), Err(Error::Denied), "an answer for the machine");

    // All the rest is free.
    let udp = stack.udp(5001, 512).unwrap();
    stack.listen(tcp, 81).unwrap();
    call::wait(Some(public::ticks() + 8));
    stack.close_udp(udp);
    stack.end();
}

fn refused(atoms: &[Atom]) {
    let made = Endpoint::open(atoms, NO_CAPABILITY, 1);
    assert!(matches!(made, Err(Error::Denied | Error::Busy)), "{atoms:?}: {made:?}");
}
