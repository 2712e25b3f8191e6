//! 10 MB each way at once through a connection to this host, whose TCP nobody here has written: on all machines, over QEMU's
//! network. Each end sums up what it sends and what it gets, and the sums are equal.
//@ network: user
//@ server: stream
//@ timeout: 240
//@ expect: exos_net_tcp_host: 10485760 bytes each way, sums equal

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../long.rs"]
mod long;
#[path = "../stack.rs"]
mod stack;

use exos_net::{Ipv4Address, Limits};
use exos_rt::{println, program};
use long::{BYTES, exchange};
use stack::in_seconds;

fn main() {
    let mut stack = stack::without_address(Limits { sockets: 1, filters: 6, buffers: 24 });
    stack.ask_host(Some(in_seconds(60))).unwrap();
    let mut arguments = program::arguments();
    let address: Ipv4Address = arguments.next().unwrap().parse().unwrap();
    let port = arguments.next().unwrap().parse().unwrap();
    let tcp = stack.tcp(16_384).unwrap();
    stack.connect(tcp, address, port, Some(in_seconds(60))).unwrap();
    exchange(&mut stack, tcp, 1);
    println!("exos_net_tcp_host: {BYTES} bytes each way, sums equal");
    assert_eq!(stack.binding.refused(), 0);
    stack.end();
    assert_eq!(exos_rt::net::filters().count(), 0, "filters are left");
}
