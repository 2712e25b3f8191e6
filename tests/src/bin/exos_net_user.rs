//! QEMU's network for users without rights, which nobody here has written: by its DHCP the machine learns who it is, its
//! gateway answers pings, and questions to who knows names are answered or time out.
//@ network: user
//@ expect: exos_net_user: the network says 10.0.2.15/24,10.0.2.2,10.0.2.3

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../stack.rs"]
mod stack;

use exos_net::{Fail, Limits};
use exos_rt::println;
use stack::in_seconds;

fn main() {
    let mut stack = stack::without_address(Limits::default());
    let host = stack.ask_host(Some(in_seconds(10))).unwrap();
    let (gateway, names) = (host.gateway.expect("there is a gateway"), host.names.expect("somebody knows names"));
    println!("exos_net_user: the network says {},{gateway},{names}", host.address);
    let ping = stack.ping_socket().unwrap();
    for (sequence, bytes) in (1..).zip([0, 56, 1000]) {
        stack.ping(ping, gateway, sequence, &[7; 1000][..bytes], in_seconds(5)).unwrap();
    }
    // It asks this host's server, which may not be there.
    let found = stack.resolve("name.invalid", in_seconds(4));
    assert!(matches!(found, Err(Fail::NoName | Fail::TimedOut)), "{found:?}");
    assert_eq!(stack.binding.refused(), 0);
    stack.end();
    assert_eq!(exos_rt::net::filters().count(), 0, "filters are left");
}
