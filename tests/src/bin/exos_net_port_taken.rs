//! A program's ports, connections, answers and datagrams in parts are its own: another can neither get their messages nor send in their name,
//! whatever filter it makes up, while it may have all the rest.
//@ run: exos_net_port_taken exos_net_port_taken_thief
//@ network: 1
//@ expect: exos_net_port_taken: nothing was taken

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../stack.rs"]
mod stack;

use exos_net::Limits;
use exos_rt::{println, public};
use stack::in_seconds;

fn main() {
    let (mut stack, ..) = stack::stack(Limits::default());
    let udp = stack.udp(5000, 2048).unwrap();
    let tcp = stack.tcp(1024).unwrap();
    stack.listen(tcp, 80).unwrap();
    stack.allow_parts(None, 4000).unwrap();
    stack.poll();
    let before = exos_rt::net::filters().count();
    assert_eq!(before, 6, "two ports, two places in datagrams, and to be found");
    // The thief is done when it has closed what it was allowed to have.
    let deadline = in_seconds(20);
    for more in [true, false] {
        while (exos_rt::net::filters().count() > before) != more {
            assert!(public::ticks() < deadline, "the thief is slow");
            stack.step(Some(public::ticks() + 1));
        }
    }
    stack.close_udp(udp);
    stack.end();
    println!("exos_net_port_taken: nothing was taken");
}
