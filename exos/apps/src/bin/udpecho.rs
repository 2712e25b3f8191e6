//! Gives datagrams back to whom they are from: `udpecho [PORT]`, 7 if none is named.

#![no_std]
#![no_main]

use exos_apps::network::{open, status};
use exos_apps::number;
use exos_net::stack::DATAGRAM_MAX;
use exos_net::{Fail, Limits};

exos::process!(main);

fn main() -> u32 {
    status(echo(number(1).map_or(7, |port| port as u16)))
}

fn echo(port: u16) -> Result<(), Fail> {
    let mut stack = open(Limits::default())?;
    let udp = stack.udp(port, 4 * DATAGRAM_MAX)?;
    let mut buffer = [0; DATAGRAM_MAX];
    loop {
        let (bytes, from, port) = stack.receive_from(udp, &mut buffer, None)?;
        // From port 0 nobody can be answered.
        if port != 0 {
            stack.send_to(udp, &buffer[..bytes], from, port)?;
        }
    }
}
