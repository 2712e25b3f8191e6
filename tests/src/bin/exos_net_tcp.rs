//! Two machines: 300 KB each way at once through a connection, twice, arrive as they were sent.
//@ network: 2
//@ ignore-machine: gxemul one at a time
//@ ignore-machine: malta one at a time
//@ timeout: 60
//@ expect: exos_net_tcp: 300000 bytes each way, connection 1

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../stack.rs"]
mod stack;
#[path = "../transfer.rs"]
mod transfer;

fn main() {
    transfer::run(2, 300_000, 30, 0);
}
