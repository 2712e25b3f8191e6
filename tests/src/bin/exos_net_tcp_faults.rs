//! The same with 100 KB while each twentieth frame is lost, as many come twice, as many late and as many damaged.
//@ network: 2
//@ faults: 11 50000
//@ ignore-machine: gxemul one at a time
//@ ignore-machine: malta one at a time
//@ timeout: 300
//@ expect: exos_net_tcp_faults: 100000 bytes each way, connection 0

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../stack.rs"]
mod stack;
#[path = "../transfer.rs"]
mod transfer;

fn main() {
    // 70 seconds where it ends first: longer than TCP waits at most before it tells something again.
    transfer::run(1, 100_000, 280, 35);
}
