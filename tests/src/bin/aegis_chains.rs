//! A chain of three handlers for a UDP packet: one checks the IP header and its sum, one the port, one has the packet's number. When all
//! want it they commit; when the port or the number is not theirs those below are told, and the packet is delivered.
//@ network: peer
//@ expect: aegis_chains: all commit
//@ expect: aegis_chains: the third refuses and two abort
//@ expect: aegis_chains: the second refuses and one aborts
//@ expect: aegis_chains: the first refuses
//@ expect: aegis_chains: a short one is delivered
//@ expect: aegis_chains: nothing is left over

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../claim.rs"]
mod claim;
#[path = "../net.rs"]
mod net;

use aegis_codegen::Register as R;
use aegis_codegen::encode::*;
use claim::census;
use exos_rt::abi::ash::{CHECKSUM, CONSUMED, COPY, Outcome, SETS, Set, WAKE};
use exos_rt::abi::filter::Atom;
use exos_rt::ash::{Handler, Layer, Region};
use exos_rt::call::{self, NO_CAPABILITY};
use exos_rt::net::Endpoint;
use exos_rt::{println, public};
use net::cable::{PEER, TYPE};
use net::{PATIENCE, Question, address, filter};

const MESSAGE: R = R::S5;
const REGION: R = R::GP;
const REGION_BYTES: u32 = 4096;

/// In the region: how often each of these ran, and what the layers were told.
const COMMITTED: u32 = 0;
const TOLD: u32 = 4;
const ABORTED: [u32; 2] = [8, 12];
const NUMBER: u32 = 16;
/// A copy of the header, which nobody needs.
const HEADER: i16 = 1024;

/// Where the IP header, the UDP header and the data begin, and the port.
const IP: i16 = 14;
const UDP: i16 = 34;
const DATA: usize = 42;
const PORT: u16 = 7001;
/// The packet's first word of data, if the third layer wants it.
const WANTED: u32 = 0x1122_3344;

/// Sums the IP header, which has no options: a sum of all ones is right. It has consumed 34 bytes then.
const CHECK: [u32; 20] = [
    lbu(R::T0, IP, MESSAGE),
    li(R::T1, 0x45),
    bne(R::T0, R::T1, 15),
    li(R::A0, HEADER),
    li(R::A1, IP),
    li(R::A2, UDP - IP),
    jal(4 * COPY),
    li(R::A3, 1),
    srl(R::T0, R::V0, 16),
    andi(R::T1, R::V0, 0xffff),
    addu(R::T0, R::T0, R::T1),
    srl(R::T1, R::T0, 16),
    addu(R::T0, R::T0, R::T1),
    andi(R::T0, R::T0, 0xffff),
    ori(R::T1, R::ZERO, 0xffff),
    bne(R::T0, R::T1, 2),
    li(R::V1, UDP),
    li(R::V0, CONSUMED as i16),
    jr(R::RA),
    nop(),
];

/// Looks at the port, and consumes 8 bytes more than the layer below.
const DEMULTIPLEX: [u32; 8] = [
    lhu(R::T0, UDP + 2, MESSAGE),
    li(R::T1, PORT.swap_bytes() as i16),
    andi(R::T1, R::T1, 0xffff),
    bne(R::T0, R::T1, 2),
    addiu(R::V1, R::A1, 8),
    li(R::V0, CONSUMED as i16),
    jr(R::RA),
    nop(),
];

/// Wants one number. It notes what it was told, and what it found.
const APPLICATION: [u32; 8] = [
    lw(R::T0, DATA as i16, MESSAGE),
    lw(R::T1, NUMBER as i16, REGION),
    sw(R::A1, TOLD as i16, REGION),
    bne(R::T0, R::T1, 2),
    nop(),
    li(R::V0, CONSUMED as i16),
    jr(R::RA),
    nop(),
];

/// Counts, and tells.
const COMMIT: [u32; 8] = [
    lw(R::T0, COMMITTED as i16, REGION),
    nop(),
    addiu(R::T0, R::T0, 1),
    sw(R::T0, COMMITTED as i16, REGION),
    jal(4 * WAKE),
    li(R::A0, 3),
    jr(R::RA),
    nop(),
];

/// Counts, and adds what it was told in the upper half.
const fn abort(at: u32) -> [u32; 8] {
    [
        lw(R::T0, at as i16, REGION),
        sll(R::T1, R::A1, 16),
        addiu(R::T0, R::T0, 1),
        addu(R::T0, R::T0, R::T1),
        sw(R::T0, at as i16, REGION),
        nop(),
        jr(R::RA),
        nop(),
    ]
}

/// The beginning of a packet.
fn packet(port: u16, number: u32, spoilt: bool) -> [u8; 60] {
    let mut packet = [0; 60];
    packet[..6].copy_from_slice(&address());
    packet[6..12].copy_from_slice(&PEER);
    packet[12..14].copy_from_slice(&[8, 0]);
    packet[14..26].copy_from_slice(&[0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17, 0, 0]);
    packet[26..34].copy_from_slice(&[10, 0, 0, 2, 10, 0, 0, 1]);
    let sum: u32 = packet[14..34].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16 ^ u16::from(spoilt);
    packet[24..26].copy_from_slice(&sum.to_be_bytes());
    packet[36..38].copy_from_slice(&port.to_be_bytes());
    packet[38..40].copy_from_slice(&[0, 26]);
    packet[DATA..DATA + 4].copy_from_slice(&number.to_le_bytes());
    packet
}

struct Test {
    endpoint: Endpoint,
    region: Region,
    chain: Handler,
}

impl Test {
    /// Has the station send a packet; what the handlers have counted is that, and who has it.
    fn send(&mut self, packet: &[u8; 60], bytes: u16, outcome: Outcome, counted: [u32; 3]) {
        let count = |chain: &Handler| chain.installed().outcomes[outcome as usize];
        let before = count(&self.chain);
        let question = Question { byte: 9, flags: 0, count: 1, bytes, number_at: 0 };
        question.ask(&packet[..usize::from(bytes).min(60)]).unwrap();
        let end = public::ticks() + PATIENCE;
        while count(&self.chain) == before {
            assert!(public::ticks() < end, "{outcome:?}: {:?}", self.chain.installed());
            call::wait(Some(public::ticks() + 1));
        }
        if outcome == Outcome::Consumed {
            assert!(!self.endpoint.has_message());
        } else {
            assert!(self.endpoint.wait(Some(end)), "{outcome:?}: lost");
            self.endpoint.receive(|message| assert_eq!(message[14..42], packet[14..42])).unwrap();
        }
        let words = [COMMITTED, ABORTED[0], ABORTED[1]].map(|at| self.region.word(at));
        assert_eq!(words, counted, "{outcome:?}");
        self.region.write(0, &[0; 16]);
    }
}

fn main() {
    let asking = Endpoint::open(&filter(TYPE, 9), NO_CAPABILITY, 1).unwrap();
    run();
    let before = census();
    run();
    assert_eq!(census(), before);
    asking.close();
    println!("aegis_chains: nothing is left over");
}

fn run() {
    let endpoint = Endpoint::open(&[Atom::equal(12, 16, 0x0800)], NO_CAPABILITY, 4).unwrap();
    let region = Region::new(endpoint.number(), REGION_BYTES).unwrap();
    region.write(0, &[0; 16]);
    region.write(NUMBER, &WANTED.to_le_bytes());
    let mut sets = [Set::default(); SETS];
    sets[0].pipes[0] = CHECKSUM;
    let aborts = ABORTED.map(abort);
    let layers = [
        Layer::body(&CHECK, 1000).abort(&aborts[0], 0),
        Layer::body(&DEMULTIPLEX, 0).abort(&aborts[1], 0),
        Layer::body(&APPLICATION, 0).commit(&COMMIT, 0),
    ];
    let chain = Handler::install_chain(&region, &layers, sets).unwrap();
    println!("aegis_chains: at most {} cycles", chain.installed().most);
    let mut test = Test { endpoint, region, chain };
    for _ in 0..10 {
        test.send(&packet(PORT, WANTED, false), 60, Outcome::Consumed, [1, 0, 0]);
    }
    let installed = test.chain.installed();
    assert_eq!((installed.wakes, installed.number, installed.layers), (10, 3, 3));
    println!("aegis_chains: all commit");
    // Each is told what those below it have consumed.
    test.send(&packet(PORT, 5, false), 60, Outcome::Passed, [0, 1, 1 + (34 << 16)]);
    println!("aegis_chains: the third refuses and two abort");
    test.send(&packet(PORT + 1, WANTED, false), 60, Outcome::Passed, [0, 1, 0]);
    println!("aegis_chains: the second refuses and one aborts");
    test.send(&packet(PORT, WANTED, true), 60, Outcome::Passed, [0, 0, 0]);
    println!("aegis_chains: the first refuses");
    assert_eq!(test.chain.installed().stopped, [0; 3]);
    let Test { region, chain, endpoint } = test;
    chain.remove();
    // What reads more than a message has does not run, whichever layer that is.
    let late = [lbu(R::T0, 200, MESSAGE), li(R::V0, CONSUMED as i16), jr(R::RA), nop()];
    let layers = [Layer::body(&DEMULTIPLEX, 0), Layer::body(&APPLICATION, 0), Layer::body(&late, 0)];
    let chain = Handler::install_chain(&region, &layers, sets).unwrap();
    assert_eq!(chain.installed().message_bytes, 201);
    let mut test = Test { endpoint, region, chain };
    test.send(&packet(PORT, WANTED, false), 60, Outcome::Skipped, [0; 3]);
    println!("aegis_chains: a short one is delivered");
    test.chain.remove();
    test.region.close();
    test.endpoint.close();
}
