//! Two machines: one takes a call at a time, the other makes eight at once. Those that can't be taken yet wait there, and nobody
//! has to call again, which would take a second at least.
//@ network: 2
//@ ignore-machine: gxemul one at a time
//@ ignore-machine: malta one at a time
//@ timeout: 60
//@ expect: exos_net_calls: 8 calls at once were answered, and the last has waited less than a second

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../stack.rs"]
mod stack;

use exos_net::{Fail, Limits, Stack, Tcp};
use exos_rt::{call, println};
use stack::{address, in_seconds, stack};

const PORT: u16 = 7;
const CALLS: usize = 8;

/// Writes a word when the connection is there, has it back, and ends the connection.
fn ask(stack: &mut Stack, tcp: Tcp, number: u32) {
    let deadline = Some(in_seconds(5));
    stack.until(deadline, |stack| stack.socket(tcp).may_send().then_some(())).unwrap();
    let mut word = [0; 4];
    stack.write(tcp, &number.to_le_bytes(), deadline).unwrap();
    assert_eq!(stack.read(tcp, &mut word, deadline), Ok(4));
    assert_eq!(word, number.to_le_bytes());
    stack.finish(tcp, deadline).unwrap();
}

fn main() {
    let (mut stack, mine, other) = stack(Limits { sockets: CALLS, filters: CALLS + 4, buffers: 4 });
    if mine == 2 {
        let tcp = stack.tcp(512).unwrap();
        // The first is to find out whether this has begun.
        for _ in 0..=CALLS {
            stack.listen(tcp, PORT).unwrap();
            stack.until(None, |stack| stack.accepted(tcp).then_some(())).unwrap();
            let mut word = [0; 4];
            assert_eq!(stack.read(tcp, &mut word, Some(in_seconds(5))), Ok(4));
            stack.write(tcp, &word, Some(in_seconds(5))).unwrap();
            stack.finish(tcp, Some(in_seconds(5))).unwrap();
        }
    } else {
        let sockets: [Tcp; CALLS] = core::array::from_fn(|_| stack.tcp(512).unwrap());
        while let Err(fail) = stack.connect(sockets[0], address(other), PORT, Some(in_seconds(5))) {
            assert!(matches!(fail, Fail::Closed | Fail::TimedOut), "{fail}");
        }
        ask(&mut stack, sockets[0], 0);
        let begun = call::clock();
        for tcp in sockets {
            stack.call(tcp, address(other), PORT).unwrap();
        }
        for (&tcp, number) in sockets.iter().zip(1..) {
            ask(&mut stack, tcp, number);
        }
        let ticks = call::clock().wrapping_sub(begun) & 0x7fff_ffff;
        assert!(ticks < 64, "{ticks} ticks");
        println!("exos_net_calls: {CALLS} calls at once were answered, and the last has waited less than a second");
    }
    assert_eq!(stack.binding.refused(), 0);
    stack.end();
    assert_eq!(exos_rt::net::filters().count(), 0, "filters are left");
}
