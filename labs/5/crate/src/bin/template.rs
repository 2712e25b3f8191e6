//! Two machines on one Ethernet, which boot the same program: `cargo exo run`. The first adds, the second has the counter.
//@ network: 2

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::net::address;
use exos_rt::{call, println};
use template::{Client, Counter};

fn main() {
    // The machines' addresses end with 1 and 2.
    let me = address().expect("there is a network");
    let mut peer = me;
    peer[5] ^= 3;
    if me[5] == 1 {
        let mut client = Client::open(peer, 7).expect("nobody else has the filter");
        let values = [19, 95, 1].map(|amount| client.add(amount).expect("the other machine answers"));
        println!("template: the counter of the other machine: {values:?}");
        client.close();
    } else {
        let counter = Counter::open(7).expect("the kernel takes filter and handler");
        while counter.value() != 115 {
            // The kernel answers meanwhile.
            call::wait(Some(call::clock() + 64));
        }
        counter.close();
    }
}
