//! Blocks of all sizes come back as they were, in order and once, though of a hundred messages five are lost, five doubled, five late
//! and five damaged: `cargo exo test`.
//@ network: 2
//@ faults: 7 50000
//@ ignore-machine: gxemul one at a time
//@ ignore-machine: malta one at a time
//@ expect: template_test: 100 blocks came back
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::abi::Error;
use exos_rt::net::address;
use exos_rt::{call, println};
use template::{BLOCK_BYTES, Link};

const BLOCKS: usize = 100;

/// What the block of a number is.
fn block(number: usize) -> ([u8; BLOCK_BYTES], usize) {
    (core::array::from_fn(|at| (at * 7 + number) as u8), number * 311 % (BLOCK_BYTES + 1))
}

fn main() {
    let me = address().unwrap();
    let mut peer = me;
    peer[5] ^= 3;
    let mut link = Link::open(peer).unwrap();
    let first = me[5] == 1;
    let mut got = [0; BLOCK_BYTES];
    for number in 0..BLOCKS {
        let (bytes, length) = block(number);
        if first {
            link.send(&bytes[..length]).unwrap();
        }
        assert_eq!(link.receive(&mut got, None), Ok(length), "block {number}");
        assert!(got[..length] == bytes[..length], "block {number}");
        if !first {
            link.send(&got[..length]).unwrap();
        }
    }
    assert_eq!(link.send(&[0; BLOCK_BYTES + 1]), Err(Error::BadArgument));
    // The other end may not know yet that the last block has come.
    assert_eq!(link.receive(&mut got, Some(call::clock() + 32)), Err(Error::Busy));
    link.close();
    if first {
        println!("template_test: {BLOCKS} blocks came back");
    }
}
