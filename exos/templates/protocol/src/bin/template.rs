//! Two machines on one Ethernet, which boot the same program: `cargo exo run`. The first sends, the second shows.
//@ network: 2

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::net::address;
use exos_rt::println;
use template::{BLOCK_BYTES, Link};

fn main() {
    // The machines' addresses end with 1 and 2.
    let me = address().expect("there is a network");
    let mut peer = me;
    peer[5] ^= 3;
    let mut link = Link::open(peer).expect("nobody else has the filter");
    if me[5] == 1 {
        link.send(b"Exokernels eliminate management.").expect("the other machine answers");
        println!("template: it has arrived");
    } else {
        let mut block = [0; BLOCK_BYTES];
        let bytes = link.receive(&mut block, None).expect("it waits for as long as need be");
        println!("template: {}", core::str::from_utf8(&block[..bytes]).unwrap_or("?"));
    }
    link.close();
}
