//! Stations on an Ethernet that send each other a counter in a UDP/IP packet of 60 bytes: by programs, and by handlers in the kernel.
//!
//! Whoever gets it adds 1 and sends it back in a packet whose headers were made before. With handlers the kernel's handler does that on both, and
//! tells its owner when the counter has come to its end. Filters check addresses, protocol and ports.

use crate::loop_of;
use aegis_codegen::Register as R;
use aegis_codegen::encode::*;
use exos_rt::abi::ash::{CONSUMED, SEND, SETS, Set, WAKE};
use exos_rt::abi::filter::Atom;
use exos_rt::ash::{Handler, Region};
use exos_rt::call::{self, NO_CAPABILITY};
use exos_rt::net::{self, Endpoint};
use exos_rt::{mark_begin, mark_end, public};

const BYTES: usize = 60;
const COUNTER: usize = 42;
const PORTS: [u16; 2] = [7001, 7002];
const ADDRESSES: [[u8; 4]; 2] = [[10, 0, 0, 1], [10, 0, 0, 2]];

/// In the region: the counter at which the handler tells its owner, and the packet.
const LIMIT: i16 = 0;
const PACKET: i16 = 1024 + 2;

/// The handler.
fn counting() -> [u32; 14] {
    [
        lw(R::T0, COUNTER as i16, R::S5),
        lw(R::T1, LIMIT, R::GP),
        addiu(R::T0, R::T0, 1),
        beq(R::T0, R::T1, 6),
        li(R::A0, PACKET),
        sw(R::T0, PACKET + COUNTER as i16, R::GP),
        jal(4 * SEND),
        li(R::A1, BYTES as i16),
        jr(R::RA),
        li(R::V0, CONSUMED as i16),
        jal(4 * WAKE),
        nop(),
        jr(R::RA),
        li(R::V0, CONSUMED as i16),
    ]
}

/// A station of the two, by its number, and what it sends.
pub struct Station {
    endpoint: Endpoint,
    packet: Packet,
}

/// A packet, so that what follows the Ethernet header is aligned: the kernel copies it by words then.
#[repr(C, align(4))]
struct Packet([u8; 2], [u8; BYTES]);

impl Station {
    /// The first (0) or the second (1) of two machines on a segment of the model's.
    ///
    /// # Panics
    /// If there is no network, or it is there already.
    #[must_use]
    pub fn new(number: usize) -> Self {
        let me = net::address().expect("there is a network");
        let mut other = me;
        other[5] ^= 3;
        Self::between(me, other, number)
    }

    /// The first or the second, if the other's interface has this address.
    ///
    /// # Panics
    /// As [`Station::new`].
    #[must_use]
    pub fn opposite(other: [u8; 6], number: usize) -> Self {
        Self::between(net::address().expect("there is a network"), other, number)
    }

    fn between(me: [u8; 6], other: [u8; 6], number: usize) -> Self {
        let mut packet = [0; BYTES];
        packet[..6].copy_from_slice(&other);
        packet[6..12].copy_from_slice(&me);
        packet[12..14].copy_from_slice(&[8, 0]);
        packet[14..26].copy_from_slice(&[0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17, 0, 0]);
        packet[26..30].copy_from_slice(&ADDRESSES[number]);
        packet[30..34].copy_from_slice(&ADDRESSES[1 - number]);
        let sum: u32 = packet[14..34].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        packet[24..26].copy_from_slice(&sum.to_be_bytes());
        packet[34..36].copy_from_slice(&PORTS[number].to_be_bytes());
        packet[36..38].copy_from_slice(&PORTS[1 - number].to_be_bytes());
        // A UDP checksum of 0 is none.
        packet[38..42].copy_from_slice(&[0, 26, 0, 0]);
        let filter = [
            Atom::equal(12, 16, 0x0800),
            Atom::equal(23, 8, 17),
            Atom::equal(26, 32, u32::from_be_bytes(ADDRESSES[1 - number])),
            Atom::equal(30, 32, u32::from_be_bytes(ADDRESSES[number])),
            Atom::equal(34, 32, u32::from(PORTS[1 - number]) << 16 | u32::from(PORTS[number])),
        ];
        let endpoint = Endpoint::open(&filter, NO_CAPABILITY, 4).expect("nobody else has one");
        Self { endpoint, packet: Packet([0; 2], packet) }
    }

    /// Goes on when the other station has answered: it may not listen yet at first.
    pub fn find_other(&mut self) {
        loop {
            self.send(0);
            if self.receive(Some(public::ticks() + 8)).is_some() {
                return;
            }
        }
    }

    /// Sends a counter.
    ///
    /// # Panics
    /// If that fails.
    pub fn send(&mut self, counter: u32) {
        self.packet.1[COUNTER..COUNTER + 4].copy_from_slice(&counter.to_le_bytes());
        net::send(&self.packet.1).expect("it is in our name");
    }

    /// The next counter, if it has come.
    pub fn poll(&mut self) -> Option<u32> {
        self.endpoint.receive(|packet| {
            u32::from_le_bytes(core::array::from_fn(|n| packet.get(COUNTER + n).copied().unwrap_or(0)))
        })
    }

    /// The next counter, if it comes in time.
    pub fn receive(&mut self, deadline: Option<u32>) -> Option<u32> {
        if !self.endpoint.wait(deadline) {
            return None;
        }
        self.poll()
    }

    /// Installs the handler, which tells at a counter.
    ///
    /// # Panics
    /// If it can't be.
    #[must_use]
    pub fn install(&self, limit: u32) -> (Region, Handler) {
        let region = Region::new(self.endpoint.number(), 4096).expect("there is memory");
        set_limit(&region, limit);
        region.write(PACKET as u32, &self.packet.1);
        let none = [Set { pipes: [0; 4], own: 0, own_words: 0 }; SETS];
        let handler = Handler::install(&region, &counting(), 1000, none).expect("it is a good handler");
        (region, handler)
    }

    /// Goes: nobody gets the other's packets any more.
    pub fn close(self) {
        self.endpoint.close();
    }
}

/// Has the handler with this region tell at another counter.
fn set_limit(region: &Region, limit: u32) {
    region.write(LIMIT as u32, &limit.to_le_bytes());
}

/// Goes on when a handler has told so often.
pub fn told(handler: &Handler, times: u32) {
    while handler.installed().wakes < times {
        call::wait(None);
    }
}

/// Measures round trips with the marks of an operation: some alone, and loops of so many. `run` makes as many as it is told.
#[inline(always)]
pub fn measure<const ID: u32>(rounds: u32, mut run: impl FnMut(u32)) {
    for _ in 0..ALONE {
        mark_begin!(ID);
        run(1);
        mark_end!(ID);
    }
    for _ in 0..LOOPS {
        mark_begin!(loop_of(ID));
        run(rounds);
        mark_end!(loop_of(ID));
    }
}

const ALONE: u32 = 9;
const LOOPS: u32 = 3;

/// The same of a counter that handlers at both ends pass on until it has come so far; this station's handler, and its region.
#[inline(always)]
pub fn measure_handlers<const ID: u32>(station: &mut Station, rounds: u32) -> (Region, Handler) {
    let (region, handler) = station.install(0);
    let mut times = 0;
    measure::<ID>(rounds, |rounds| {
        set_limit(&region, 2 * rounds);
        times += 1;
        station.send(0);
        told(&handler, times);
    });
    (region, handler)
}
