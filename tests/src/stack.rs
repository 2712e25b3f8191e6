//! What the programs share that test the stack: the addresses of machines on one cable, data that tells where it belongs, and
//! a checksum.

use exos_net::memory::Memory;
use exos_net::{Host, Ipv4Address, Limits, Stack};
use exos_rt::{call, net, public};

static MEMORY: Memory<100_000> = Memory::new();

/// A stack of this machine, and its number and the other's: their addresses of Ethernet end with 1 and 2.
#[allow(dead_code, reason = "not every program needs it")]
pub fn stack(limits: Limits) -> (Stack, u8, u8) {
    let mut stack = without_address(limits);
    let mine = number();
    let text = ["10.0.0.1/24", "10.0.0.2/24"][usize::from(mine - 1)];
    stack.set_host(Host::parse(text).expect("it is an address"));
    (stack, mine, mine ^ 3)
}

/// A stack that has no address yet.
#[allow(dead_code, reason = "not every program needs it")]
pub fn without_address(limits: Limits) -> Stack {
    Stack::new(MEMORY.claim(), limits, call::wait).expect("there is a network")
}

/// The number of this machine. An emulator's that is alone on its cable has an address of its own.
#[allow(dead_code, reason = "not every program needs it")]
pub fn number() -> u8 {
    match net::address().expect("there is a network") {
        [0x08, 0x00, 0x2b, .., number] => number,
        _ => 1,
    }
}

/// The address of a machine.
#[allow(dead_code, reason = "not every program needs it")]
pub fn address(number: u8) -> Ipv4Address {
    Ipv4Address::new(10, 0, 0, number)
}

/// The tick that is so many seconds from now.
#[allow(dead_code, reason = "not every program needs it")]
pub fn in_seconds(seconds: u32) -> u32 {
    public::ticks().wrapping_add(64 * seconds) & 0x7fff_ffff
}

/// Bytes that depend on where they are in a stream, and on which stream it is.
#[allow(dead_code, reason = "not every program needs it")]
pub fn byte(at: u32, stream: u32) -> u8 {
    let word = (at / 4).wrapping_mul(0x9e37_79b9) ^ stream.wrapping_mul(0x85eb_ca6b);
    (word ^ word >> 15).to_le_bytes()[(at % 4) as usize]
}

/// Adler's checksum of what has come so far, from 1 on.
#[allow(dead_code, reason = "not every program needs it")]
pub fn adler(sum: u32, bytes: &[u8]) -> u32 {
    let (mut low, mut high) = (sum & 0xffff, sum >> 16);
    for piece in bytes.chunks(1024) {
        for &byte in piece {
            low += u32::from(byte);
            high += low;
        }
        (low, high) = (low % 65521, high % 65521);
    }
    high << 16 | low
}
