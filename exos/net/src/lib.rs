//! TCP/IP as a library (the paper's section 6.3): ARP, RARP, IP, ICMP's echo, UDP, TCP, DHCP, DNS and SNTP in the address
//! space of the program, on nothing but the kernel's packet filters.
//!
//! There is no server. Each port, each connection, each question has a filter of its own, installed when it begins and
//! removed when it ends ([`filter`]); who has a filter has the port. So programs, and different stacks, share the
//! interface, and no program gets, or sends, a message of another's.
//!
//! The protocols are `smoltcp`'s, but for RARP, DNS' questions, and SNTP. It does the work when the program calls: there is
//! no other activity. [`Stack::step`] takes what has come, sends what is due, and waits.
//!
//! ```ignore
//! static MEMORY: Memory<40_000> = Memory::new();
//!
//! let mut stack = Stack::new(MEMORY.claim(), Limits::default(), call::wait)?;
//! stack.set_host(Host::parse("10.0.0.1/24").unwrap());
//! let tcp = stack.tcp(8192)?;
//! stack.connect(tcp, Ipv4Address::new(10, 0, 0, 2), 80, None)?;
//! stack.write(tcp, b"GET / HTTP/1.0\r\n\r\n", None)?;
//! ```
//!
//! - [`filter`]: what messages a stack wants
//! - [`binding`]: filters, buffers, and the way out, as the device below the protocols; ARP among programs
//! - [`stack`]: sockets with their filters, and waiting for them
//! - [`memory`]: what sockets are made of
//! - [`host`]: the machine's address, given or found out by DHCP
//! - `lease`: an address that DHCP has lent, renewed or given up
//! - [`rarp`], [`dns`], [`sntp`]: what one asks others
//! - [`nfs`]: how a server of NFS is asked

#![no_std]
#![feature(asm_experimental_arch)]

pub mod binding;
pub mod dns;
pub mod filter;
pub mod host;
mod lease;
pub mod memory;
pub mod nfs;
mod question;
pub mod rarp;
pub mod sntp;
pub mod stack;

pub use host::Host;
pub use memory::Memory;
pub use smoltcp::wire::{Ipv4Address, Ipv4Cidr};
pub use stack::{Limits, Stack, Tcp, Udp};

use core::fmt;
use exos_rt::abi::Error;
use exos_rt::abi::slice::MICROSECONDS;
use exos_rt::call;
use smoltcp::time::Instant;

/// What can go wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fail {
    /// The machine has no network.
    NoNetwork,
    /// Another program has that port, or an answer to that question.
    Taken,
    /// The stack has no room for more of these.
    NoRoom,
    /// It took too long.
    TimedOut,
    /// The peer has ended the connection, or refused it.
    Closed,
    /// The message is too long, or its destination cannot be one.
    BadMessage,
    /// The answer is no good.
    BadAnswer,
    /// The machine's address was lent by DHCP, and has not been lent again in time. It may be asked for anew
    /// ([`Stack::ask_host`]).
    NoAddress,
    /// The name has no address, or nobody is known who knows names.
    NoName,
    /// The kernel has refused.
    Kernel(Error),
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        match error {
            Error::NoSuchDevice => Self::NoNetwork,
            error => Self::Kernel(error),
        }
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::NoNetwork => "no network",
            Self::Taken => "taken by another program",
            Self::NoRoom => "no room for more",
            Self::TimedOut => "timed out",
            Self::Closed => "connection closed by the peer",
            Self::BadMessage => "bad message",
            Self::BadAnswer => "bad answer",
            Self::NoAddress => "the machine's address was lent, and is not any more",
            Self::NoName => "nobody knows that name",
            Self::Kernel(error) => return write!(f, "the kernel says {error:?}"),
        })
    }
}

/// The time of the protocols: since the machine started, in ticks of the clock, as an R3000 has no other.
fn now() -> Instant {
    Instant::from_micros(i64::from(call::clock()) * i64::from(MICROSECONDS))
}

/// Whether a tick has passed.
fn passed(tick: u32) -> bool {
    // The clock has 31 bits.
    call::clock().wrapping_sub(tick) << 1 >> 31 == 0
}
