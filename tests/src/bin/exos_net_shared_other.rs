//! A stack of a few lines, for `exos_net_shared`: datagrams between two ports, without ARP and without waiting for anything but
//! messages.
//@ helper

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::abi::filter::Atom;
use exos_rt::call::NO_CAPABILITY;
use exos_rt::net::{self, Endpoint};
use exos_rt::public;

/// Both ports.
const PORT: u16 = 8;
const ROUNDS: u8 = 200;
/// Bytes of the three headers, and of a message.
const HEADERS: usize = 42;
const BYTES: usize = 60;

fn main() {
    let mine = net::address().expect("there is a network");
    let mut other = mine;
    other[5] ^= 3;
    let [here, there] = [mine, other].map(|station| [10, 0, 0, station[5]]);
    let filter = [
        Atom::equal(12, 16, 0x0800),
        Atom::equal(14, 8, 0x45),
        Atom::masked(20, 16, 0x1fff, 0),
        Atom::equal(23, 8, 17),
        Atom::equal(30, 32, u32::from_be_bytes(here)),
        Atom::equal(36, 16, PORT.into()),
    ];
    let mut endpoint = Endpoint::open(&filter, NO_CAPABILITY, 4).unwrap();
    let message = |number: u8| {
        let mut message = [number; BYTES];
        message[..6].copy_from_slice(&other);
        message[6..12].copy_from_slice(&mine);
        let length = (BYTES - 14) as u8;
        message[12..26].copy_from_slice(&[8, 0, 0x45, 0, 0, length, 0, 0, 0, 0, 64, 17, 0, 0]);
        message[26..30].copy_from_slice(&here);
        message[30..34].copy_from_slice(&there);
        let sum: u32 = message[14..34].chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
        message[24..26].copy_from_slice(&(!(sum + (sum >> 16)) as u16).to_be_bytes());
        message[34..HEADERS].copy_from_slice(&[0, PORT as u8, 0, PORT as u8, 0, length - 20, 0, 0]);
        message
    };
    for number in 0..ROUNDS {
        if mine[5] == 1 {
            loop {
                net::send(&message(number)).unwrap();
                if endpoint.wait(Some(public::ticks() + 128)) {
                    break;
                }
                assert_eq!(number, 0, "lost");
            }
        } else {
            endpoint.wait(None);
        }
        let got = endpoint.receive(|message| [message[HEADERS], message[BYTES - 1]]).expect("it was waited for");
        assert!(got[0] <= number && got[0] == got[1], "{got:?} instead of {number}");
        if mine[5] == 2 {
            net::send(&message(number)).unwrap();
        }
    }
    endpoint.close();
}
