//! What the protocol costs beside messages that nobody acknowledges: `cargo exo bench`. Two machines, of which the first is measured.
//! The time is that of the wire and of the other machine, too.
//@ network: 2

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

use exos_rt::abi::filter::Atom;
use exos_rt::call::NO_CAPABILITY;
use exos_rt::net::{Endpoint, address, send};
use exos_rt::{call, mark_begin, mark_end, println};
use template::{BLOCK_BYTES, Link};

const LINK: u32 = 1;
const PLAIN: u32 = 2;
/// From an operation's mark to that of its loop.
const LOOP: u32 = 100;
const ROUNDS: u32 = 100;
const LOOPS: u32 = 3;
/// The type of the messages without the protocol.
const TYPE: u16 = 0x88b5;
const BYTES: usize = 40;

fn main() {
    let me = address().expect("there is a network");
    let mut peer = me;
    peer[5] ^= 3;
    let first = me[5] == 1;
    if first {
        for (id, system, how) in [
            (LINK, "template", "a block of 40 bytes sent, and another received"),
            (PLAIN, "plain", "the same as two messages without acknowledgements"),
        ] {
            println!("mark {id} table=template op=there_and_back system={system} how={how}");
            println!("loop {} of={id} rounds={ROUNDS} how=the same, and the loop's own", id + LOOP);
        }
        exos_rt::console::flush();
    }
    link(first, peer);
    plain(first, me, peer);
}

/// Executes something once at a time between marks, and in loops between marks, on the first machine.
macro_rules! measure {
    ($id:expr, $work:expr) => {
        for _ in 0..LOOPS {
            for _ in 0..ROUNDS {
                mark_begin!($id);
                $work;
                mark_end!($id);
            }
            mark_begin!($id + LOOP);
            for _ in 0..ROUNDS {
                $work;
            }
            mark_end!($id + LOOP);
        }
    };
}

fn link(first: bool, peer: [u8; 6]) {
    let mut link = Link::open(peer).expect("nobody else has the filter");
    let mut block = [0; BLOCK_BYTES];
    let mut there_and_back = |first: bool| {
        if first {
            link.send(&[7; BYTES]).expect("the other machine answers");
        }
        link.receive(&mut block, None).expect("it waits for as long as need be");
        if !first {
            link.send(&[7; BYTES]).expect("the other machine answers");
        }
    };
    if first {
        measure!(LINK, there_and_back(true));
    } else {
        (0..LOOPS * ROUNDS * 2).for_each(|_| there_and_back(false));
    }
    link.close();
}

fn plain(first: bool, me: [u8; 6], peer: [u8; 6]) {
    let mut endpoint =
        Endpoint::open(&[Atom::equal(12, 16, TYPE.into())], NO_CAPABILITY, 8).expect("nobody else has the filter");
    let mut message = [7; 18 + BYTES + 2];
    message[..6].copy_from_slice(&peer);
    message[6..12].copy_from_slice(&me);
    message[12..14].copy_from_slice(&TYPE.to_be_bytes());
    let there = || send(&message).expect("it is in our name");
    let mut back = |patience: Option<u32>| endpoint.wait(patience) && endpoint.receive(|_| ()).is_some();
    if first {
        // The other may not listen yet at first.
        there();
        while !back(Some(call::clock() + 8)) {
            there();
        }
        measure!(PLAIN, {
            there();
            back(None);
        });
    } else {
        // It goes on answering until nobody asks any more.
        while back(Some(call::clock() + 64)) {
            there();
        }
    }
    endpoint.close();
}
