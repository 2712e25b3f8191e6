//! Two machines: 10 MB each way at once through a connection. Each end sums up what it sends and what it gets, and tells the
//! other the former at the end: the sums are equal.
//@ network: 2
//@ ignore-machine: gxemul one at a time
//@ ignore-machine: malta one at a time
//@ timeout: 240
//@ expect: exos_net_tcp_long: 10485760 bytes each way, sums equal

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../long.rs"]
mod long;
#[path = "../stack.rs"]
mod stack;

use exos_net::{Fail, Limits};
use exos_rt::println;
use long::{BYTES, exchange};
use stack::{address, in_seconds};

const PORT: u16 = 4000;

fn main() {
    let (mut stack, mine, other) = stack::stack(Limits { sockets: 1, filters: 6, buffers: 24 });
    let tcp = stack.tcp(16_384).unwrap();
    if mine == 1 {
        // The other may not listen yet.
        while let Err(fail) = stack.connect(tcp, address(other), PORT, Some(in_seconds(5))) {
            assert!(matches!(fail, Fail::Closed | Fail::TimedOut), "{fail}");
        }
    } else {
        stack.listen(tcp, PORT).unwrap();
        stack.until(None, |stack| stack.accepted(tcp).then_some(())).unwrap();
    }
    exchange(&mut stack, tcp, u32::from(mine));
    if mine == 1 {
        println!("exos_net_tcp_long: {BYTES} bytes each way, sums equal");
    }
    stack.end();
    assert_eq!(exos_rt::net::filters().count(), 0, "filters are left");
}
