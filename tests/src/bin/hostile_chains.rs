//! Chains whose handlers do what they must not: commit and abort handlers that go round for ever, divide by zero, or store all over; the
//! message is delivered, the others run, and who did it is told. What is no chain, or takes too long together, is refused. None of it
//! disturbs a program beside, or leaves anything behind.
//@ network: peer
//@ run: hostile_chains aegis_witness
//@ expect: hostile_chains: refused
//@ expect: hostile_chains: what is stopped is told
//@ expect: hostile_chains: nothing is left over
//@ expect: aegis_witness: undisturbed
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../claim.rs"]
mod claim;
#[path = "../net.rs"]
mod net;

use aegis_codegen::Register as R;
use aegis_codegen::encode::*;
use claim::{census, until_witness_is_ready};
use exos_rt::abi::Error;
use exos_rt::abi::ash::{CONSUMED, Code, HANDLERS_MAX, Outcome, Part, Request, Rule, SEND, SETS, Set};
use exos_rt::ash::{Handler, Layer, Refused, Region};
use exos_rt::call::{self, NO_CAPABILITY};
use exos_rt::net::Endpoint;
use exos_rt::{memory, println, public};
use net::cable::{PEER, TYPE};
use net::{DATA, PATIENCE, Question, address, filter, header};

const REGION_BYTES: u32 = 4096;
const NONE: [Set; SETS] = [Set { pipes: [0; 4], own: 0, own_words: 0 }; SETS];

/// Where the last handler counts.
const COUNT: i16 = 0;

const CONSUME: [u32; 2] = [jr(R::RA), addiu(R::V0, R::ZERO, CONSUMED as i16)];
const PASS: [u32; 2] = [jr(R::RA), nop()];
const ROUND: [u32; 3] = [nop(), beq(R::ZERO, R::ZERO, -2), nop()];
const DIVIDE: [u32; 3] = [div(R::A0, R::ZERO), jr(R::RA), nop()];
/// Where a kernel would be.
const STORE: [u32; 6] =
    [lui(R::T0, 0x8003), sw(R::T0, 0, R::T0), sw(R::T0, -4, R::T0), sb(R::T0, 0x7fff, R::T0), jr(R::RA), nop()];
const LAST: [u32; 6] =
    [lw(R::T0, COUNT, R::GP), nop(), addiu(R::T0, R::T0, 1), sw(R::T0, COUNT, R::GP), jr(R::RA), nop()];

fn refused(region: &Region, layers: &[Layer], why: Refused) {
    assert_eq!(Handler::install_chain(region, layers, NONE).err(), Some(why), "{layers:x?}");
}

fn refusals(region: &Region) {
    let bad = Refused::Error(Error::BadArgument);
    let layer = Layer::body(&CONSUME, 0);
    refused(region, &[], bad);
    refused(region, &[layer; 5], bad);
    refused(region, &[Layer::default(), layer], bad);
    refused(region, &[layer, Layer::default().commit(&CONSUME, 0)], bad);
    // Each fits, but not all together; and not what a transfer and a chain cost.
    refused(region, &[layer.commit(&ROUND, 5000), layer.commit(&ROUND, 5000)], bad);
    refused(region, &[layer.commit(&CONSUME, 0); 4], bad);
    let send = [jal(4 * SEND), nop(), jr(R::RA), nop()];
    refused(region, &[layer.commit(&send, 0), layer.commit(&send, 0)], bad);
    refused(region, &[Layer::body(&CONSUME, u16::MAX).commit(&CONSUME, u16::MAX)], bad);
    let many = [nop(); 128];
    refused(region, &[Layer::body(&many, 0).commit(&many, 0)], bad);
    // The word is counted from the first of all on: behind the body's two.
    refused(region, &[layer.commit(&[syscall(), jr(R::RA), nop()], 0)], Refused::Rule(2, Rule::Privileged as u16));
    // From one handler to another there is no way, nor does one fall off its end to the next.
    let across = [beq(R::ZERO, R::ZERO, 2), nop(), jr(R::RA), nop()];
    refused(region, &[layer.abort(&across, 0), layer], Refused::Rule(2, Rule::Target as u16));
    let back = [beq(R::ZERO, R::ZERO, -3), nop(), jr(R::RA), nop()];
    refused(region, &[layer, Layer::body(&back, 0)], Refused::Rule(2, Rule::Target as u16));
    refused(region, &[Layer::body(&[nop(), nop()], 0).commit(&CONSUME, 0)], Refused::Rule(1, Rule::End as u16));
    refused(region, &[Layer::body(&CONSUME[..1], 0), layer], Refused::Rule(0, Rule::End as u16));
    // What the library never asks for: layers behind a gap, more words than there are, none.
    let frame = memory::allocate_pair().unwrap();
    let ask = |given: &[(usize, u16)]| {
        let mut handlers = [Code::default(); HANDLERS_MAX];
        given.iter().for_each(|&(number, words)| handlers[number].words = words);
        let (words, region) = (CONSUME.as_ptr() as u32, region.first());
        let request = Request { frame, region, region_bytes: REGION_BYTES, words, handlers, sets: NONE };
        // SAFETY: the region is for that, and nothing is installed.
        unsafe { call::handler_install(FILTER.get(), &request) }
    };
    for given in [&[][..], &[(1, 2)], &[(0, 2), (6, 2)], &[(0, 2), (4, 2)], &[(0, u16::MAX)], &[(0, 200), (3, 55)]] {
        assert_eq!(ask(given), Err(Error::BadArgument), "{given:?}");
    }
    for frame in [frame, frame + 1] {
        // SAFETY: it was not used.
        unsafe { call::frame_free(frame).unwrap() };
    }
}

static FILTER: exos_rt::shared::Shared<u32> = exos_rt::shared::Shared::new(0);

/// Has a message come for a chain: how it ended, and which handler was stopped by what. If it was not consumed it is delivered.
fn ends(
    endpoint: &mut Endpoint,
    region: &Region,
    layers: &[Layer],
    how: Outcome,
    stopped: Option<(u16, Part, Outcome)>,
) {
    region.write(COUNT as u32, &[0; 4]);
    let chain = Handler::install_chain(region, layers, NONE).unwrap();
    let question = Question { byte: 9, flags: 0, count: 1, bytes: 60, number_at: 0 };
    question.ask(&header(address(), PEER, DATA, 7)).unwrap();
    let end = public::ticks() + PATIENCE;
    while chain.installed().outcomes[how as usize] == 0 {
        assert!(public::ticks() < end, "{how:?}: {:?}", chain.installed());
        call::wait(Some(public::ticks() + 1));
    }
    if how != Outcome::Consumed {
        assert!(endpoint.wait(Some(end)), "lost");
        endpoint.receive(|message| assert_eq!(message.len(), 60)).unwrap();
    }
    assert!(!endpoint.has_message());
    let installed = chain.installed();
    let (mut counts, mut last) = ([0; 3], [0; 2]);
    if let Some((number, part, outcome)) = stopped {
        counts[part as usize] = 1;
        last = [number, outcome as u16];
    }
    assert_eq!((installed.stopped, installed.last_stopped), (counts, last), "{how:?}");
    assert_eq!(installed.outcomes.iter().sum::<u32>(), 1);
    chain.remove();
}

fn main() {
    until_witness_is_ready();
    let asking = Endpoint::open(&filter(TYPE, 9), NO_CAPABILITY, 1).unwrap();
    all();
    let before = census();
    all();
    println!("hostile_chains: refused");
    println!("hostile_chains: what is stopped is told");
    assert_eq!(census(), before);
    asking.close();
    println!("hostile_chains: nothing is left over");
}

fn all() {
    let mut endpoint = Endpoint::open(&filter(DATA, 7), NO_CAPABILITY, 4).unwrap();
    FILTER.set(endpoint.number());
    let region = Region::new(endpoint.number(), REGION_BYTES).unwrap();
    refusals(&region);
    let (layer, passes) = (Layer::body(&CONSUME, 0), Layer::body(&PASS, 0));
    let last = layer.commit(&LAST, 0);
    let mut ends = |layers: &[Layer], how, stopped, counted| {
        ends(&mut endpoint, &region, layers, how, stopped);
        assert_eq!(region.word(COUNT as u32), counted, "{how:?}");
    };
    ends(&[layer, last], Outcome::Consumed, None, 1);
    // Commit handlers: the message is delivered after all, and the next one runs.
    let overrun = Some((1, Part::Commit, Outcome::Overrun));
    ends(&[layer.commit(&ROUND, 2000), last], Outcome::Overrun, overrun, 1);
    let divide = Some((1, Part::Commit, Outcome::DivideByZero));
    ends(&[layer.commit(&DIVIDE, 0), last], Outcome::DivideByZero, divide, 1);
    // What it stores goes to its own region.
    ends(&[layer.commit(&STORE, 0), layer], Outcome::Consumed, None, 0x8003_0000);
    // Abort handlers: likewise.
    let count = layer.abort(&LAST, 0);
    ends(&[layer.abort(&DIVIDE, 0), count, passes], Outcome::Passed, Some((2, Part::Abort, Outcome::DivideByZero)), 1);
    ends(&[layer.abort(&ROUND, 500), count, passes], Outcome::Passed, Some((2, Part::Abort, Outcome::Overrun)), 1);
    // A body that is stopped: those before it abort.
    let body = Some((3, Part::Body, Outcome::Overrun));
    ends(&[count, Layer::body(&ROUND, 2000).abort(&LAST, 0)], Outcome::Overrun, body, 1);
    // The first of all: nobody is told.
    let first = Some((0, Part::Body, Outcome::Overrun));
    ends(&[Layer::body(&ROUND, 2000).abort(&LAST, 0), last], Outcome::Overrun, first, 0);
    region.close();
    endpoint.close();
}
