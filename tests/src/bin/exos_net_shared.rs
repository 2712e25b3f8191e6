//! Two programs on each of two machines share interface and address: this one with the stack, the other with one that has
//! nothing in common with it. Each gets its own messages, while the other's pass.
//@ run: exos_net_shared exos_net_shared_other
//@ network: 2
//@ ignore-machine: gxemul one at a time
//@ ignore-machine: malta one at a time
//@ expect: exos_net_shared: 200 datagrams came back

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../stack.rs"]
mod stack;

use exos_net::{Fail, Limits};
use exos_rt::println;
use stack::{address, in_seconds};

const ECHO: u16 = 7;
const ROUNDS: u32 = 200;
const END: [u8; 4] = [0xff; 4];

fn main() {
    let (mut stack, mine, other) = stack::stack(Limits::default());
    let mut word = [0; 4];
    if mine == 1 {
        let udp = stack.udp(0, 2048).unwrap();
        for round in 0..ROUNDS {
            loop {
                stack.send_to(udp, &round.to_be_bytes(), address(other), ECHO).unwrap();
                match stack.receive_from(udp, &mut word, Some(in_seconds(2))) {
                    // The other machine may not have begun.
                    Err(Fail::TimedOut) if round == 0 => {}
                    result => {
                        result.unwrap();
                        break;
                    }
                }
            }
            // What was asked twice in the beginning is answered twice.
            assert!(u32::from_be_bytes(word) <= round);
        }
        stack.send_to(udp, &END, address(other), ECHO).unwrap();
        println!("exos_net_shared: {ROUNDS} datagrams came back");
    } else {
        let udp = stack.udp(ECHO, 2048).unwrap();
        loop {
            let (bytes, from, port) = stack.receive_from(udp, &mut word, None).unwrap();
            assert_eq!(bytes, word.len());
            if word == END {
                break;
            }
            stack.send_to(udp, &word, from, port).unwrap();
        }
    }
    stack.end();
}
