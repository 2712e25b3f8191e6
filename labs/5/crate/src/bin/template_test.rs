//! What is added is added once, though of a hundred messages two are lost and two come twice: `cargo exo test`.
//@ network: 2
//@ faults: 3 20000
//@ ignore-machine: gxemul one at a time
//@ ignore-machine: malta one at a time
//@ expect: template_test: 50 requests

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::net::address;
use exos_rt::{call, println};
use template::{Client, Counter};

const REQUESTS: u32 = 50;

fn main() {
    let me = address().unwrap();
    let mut peer = me;
    peer[5] ^= 3;
    if me[5] == 1 {
        let mut client = Client::open(peer, 9).unwrap();
        (1..=REQUESTS).for_each(|count| assert_eq!(client.add(3), Ok(3 * count)));
        client.close();
        println!("template_test: {REQUESTS} requests");
    } else {
        let counter = Counter::open(9).unwrap();
        while counter.value() != 3 * REQUESTS {
            call::wait(Some(call::clock() + 16));
        }
        // The last answer may be lost.
        let until = call::clock() + 32;
        while call::clock() < until {
            call::wait(Some(until));
        }
        counter.close();
    }
}
