//! Which messages a stack wants, and what for: its packet filters.
//!
//! Two programs, and two different stacks, share the interface and the machine's address of IP because each has a filter for
//! just what it does, and the kernel proves that filters of different owners are disjoint. The proof asks that both look at
//! a common field and want different values there, so all stacks of a machine should look at the same fields in the same
//! places. These are they: IP headers have no options, which nobody sends any more; and only whole datagrams and first
//! parts have ports. Later parts have a filter for each place that they may have in a datagram, as Ethernet's machines cut it.

use exos_policy::parts::PART;
use exos_rt::abi::filter::Atom;
use smoltcp::wire::{IpProtocol, Ipv4Address};

/// What messages are wanted for. Equal purposes are one filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// To be found: who asks for the machine's address by ARP is answered. Any program of the machine can do that for all
    /// others, and one can at a time.
    Found,
    /// To answer echo requests to the machine's address; likewise.
    Echo,
    /// The answer to a question by ARP: who has this address?
    Who(Ipv4Address),
    /// Answers to echo requests with this identifier.
    Ping(u16),
    /// Datagrams to a port.
    Udp(u16),
    /// Later parts of datagrams of UDP, from a machine or, if none is named, any: those that are so many [parts](PART) behind
    /// the first, which has the port.
    Part(Option<Ipv4Address>, u16),
    /// All segments to a port, but those of connections that have a filter of their own.
    Listen(u16),
    /// The segments of a connection, between a port of this machine and another's.
    Connection(u16, Ipv4Address, u16),
    /// The answers of DHCP, to whatever address.
    Dhcp,
    /// The answer to the question by RARP: what address have I?
    Rarp,
}

/// The most atoms that a purpose takes.
pub const ATOMS: usize = 8;

/// Types of Ethernet.
const IP: u32 = 0x0800;
const ARP: u32 = 0x0806;
/// The type of RARP's messages.
pub const RARP: u16 = 0x8035;

/// The port of a client of DHCP.
const DHCP_CLIENT: u16 = 68;

impl Purpose {
    /// The filter of a machine with an interface and an address.
    #[must_use]
    pub fn atoms(self, station: [u8; 6], address: Ipv4Address) -> heapless::Vec<Atom, ATOMS> {
        let mut atoms = heapless::Vec::new();
        // There is room: the longest list is a connection's.
        let mut add = |list: &[Atom]| atoms.extend_from_slice(list).unwrap_or_default();
        let here = address.to_bits();
        let part = |protocol: IpProtocol, offset: usize| {
            [
                Atom::equal(12, 16, IP),
                Atom::equal(14, 8, 0x45), // version 4, a header of 5 words
                Atom::masked(20, 16, 0x1fff, offset as u32 / 8),
                Atom::equal(23, 8, u8::from(protocol).into()),
            ]
        };
        let datagram = |protocol| part(protocol, 0);
        let to_here = Atom::equal(30, 32, here);
        match self {
            Self::Found => add(&[Atom::equal(12, 16, ARP), Atom::equal(20, 16, 1), Atom::equal(38, 32, here)]),
            Self::Who(address) => add(&[
                Atom::equal(12, 16, ARP),
                Atom::equal(20, 16, 2),
                Atom::equal(28, 32, address.to_bits()),
                Atom::equal(38, 32, here),
            ]),
            Self::Echo => {
                add(&datagram(IpProtocol::Icmp));
                add(&[to_here, Atom::equal(34, 8, 8)]);
            }
            Self::Ping(identifier) => {
                add(&datagram(IpProtocol::Icmp));
                add(&[to_here, Atom::equal(34, 8, 0), Atom::equal(38, 16, identifier.into())]);
            }
            Self::Udp(port) => {
                add(&datagram(IpProtocol::Udp));
                add(&[to_here, Atom::equal(36, 16, port.into())]);
            }
            Self::Part(peer, number) => {
                add(&part(IpProtocol::Udp, PART * usize::from(number)));
                let from = peer.map(|peer| Atom::equal(26, 32, peer.to_bits()));
                add(from.as_slice());
                add(&[to_here]);
            }
            Self::Listen(port) => {
                add(&datagram(IpProtocol::Tcp));
                add(&[to_here, Atom::equal(36, 16, port.into())]);
            }
            Self::Connection(port, peer, theirs) => {
                add(&datagram(IpProtocol::Tcp));
                add(&[Atom::equal(26, 32, peer.to_bits()), to_here]);
                add(&[Atom::equal(34, 16, theirs.into()), Atom::equal(36, 16, port.into())]);
            }
            Self::Dhcp => {
                add(&datagram(IpProtocol::Udp));
                add(&[Atom::equal(36, 16, DHCP_CLIENT.into())]);
            }
            Self::Rarp => {
                let [a, b, c, d, e, f] = station;
                add(&[
                    Atom::equal(12, 16, RARP.into()),
                    Atom::equal(32, 16, u16::from_be_bytes([a, b]).into()),
                    Atom::equal(34, 32, u32::from_be_bytes([c, d, e, f])),
                ]);
            }
        }
        atoms
    }
}
