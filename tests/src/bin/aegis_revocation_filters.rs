//! Filters and handlers are revoked as frames and slices are: who is asked picks which it gives up, is told once, and what
//! it installs meanwhile counts back. Who refuses loses what is named, learns of it, and has the frames again that they were
//! in; no message goes there any more, and what it keeps goes on.
//@ network: peer
//@ run: aegis_revocation_filters aegis_witness
//@ expect: aegis_revocation_filters: asked for a filter and a handler, and all given
//@ expect: aegis_revocation_filters: refused, and a filter and a handler taken by force; nothing is left over
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
use claim::{authority, census, demand_and_wait, pass, until_witness_is_ready};
use exos_rt::abi::ash::{CONSUMED, SETS, Set};
use exos_rt::abi::frame::Capability;
use exos_rt::abi::revocation::{DEADLINE_MIN, Demand, FILTER_LOST, FILTERS, HANDLER_LOST, HANDLERS};
use exos_rt::abi::{EnvId, Error, network};
use exos_rt::ash::{Handler, Region};
use exos_rt::call::{self, NO_CAPABILITY};
use exos_rt::environment::spawn;
use exos_rt::net::{Endpoint, filters};
use exos_rt::revocation::{Notice, Stack, inform};
use exos_rt::shared::Shared;
use exos_rt::{memory, println, public, revocation};
use net::cable::{PEER, TYPE};
use net::{DATA, Question, address, filter, header};

/// Filters that the child has.
const COUNT: usize = 3;

/// Their numbers, and their frames and those of their handlers.
static NUMBERS: [Shared<u32>; COUNT] = [const { Shared::new(0) }; COUNT];
static FRAMES: [Shared<u32>; COUNT] = [const { Shared::new(0) }; COUNT];
static HANDLER: [Shared<u32>; COUNT] = [const { Shared::new(0) }; COUNT];
/// What was asked of it last, how much of that was left, and how often it was told.
static ASKED: Shared<(u32, u32)> = Shared::new((0, 0));
static TOLD: Shared<u32> = Shared::new(0);
/// The losses that it was told of.
static LOST: [Shared<(u32, u32, u32)>; 4] = [const { Shared::new((0, 0, 0)) }; 4];
static LOSSES: Shared<u32> = Shared::new(0);
/// Whether it is to give, and what it is to do: install one more filter, 1, or end, 2.
static GENEROUS: Shared<bool> = Shared::new(false);
static ORDER: Shared<u32> = Shared::new(0);
static READY: Shared<u32> = Shared::new(0);
static STACK: Stack<2048> = Stack::new();

/// The last filter that it has, of those that have a handler if `with`.
fn last(with: bool) -> Option<usize> {
    let has = |&n: &usize| !with || net_handler(n) != 0;
    (0..COUNT).rev().filter(|&n| mine(n)).find(has)
}

fn mine(n: usize) -> bool {
    public::filter(NUMBERS[n].get()).frame == FRAMES[n].get()
}

fn net_handler(n: usize) -> u32 {
    exos_rt::net::installed(FRAMES[n].get()).handler
}

fn policy(notice: Notice) {
    match notice {
        Notice::Lost(entry) => {
            LOST[LOSSES.get() as usize].set((entry.state, entry.name, entry.backing));
            LOSSES.add(1);
        }
        Notice::Asked(kind, demand) => {
            TOLD.add(1);
            ASKED.set((kind, demand.left));
            for _ in 0..demand.left {
                match kind {
                    _ if !GENEROUS.get() => {}
                    FILTERS => {
                        let n = last(false).expect("it has one");
                        call::filter_remove(NUMBERS[n].get()).expect("it is its own");
                    }
                    _ => {
                        let n = last(true).expect("it has one");
                        call::handler_remove(NUMBERS[n].get()).expect("it is its own");
                    }
                }
            }
            if GENEROUS.get() {
                assert_eq!(revocation::demand(kind), Demand::default());
            }
        }
    }
}

fn note(n: usize, number: u32) {
    NUMBERS[n].set(number);
    FRAMES[n].set(public::filter(number).frame);
}

extern "C" fn child(_: u32) -> ! {
    let none = [Set { pipes: [0; 4], own: 0, own_words: 0 }; SETS];
    let consume = [addiu(R::V0, R::ZERO, CONSUMED as i16), jr(R::RA), nop()];
    for (n, handler) in HANDLER.iter().enumerate() {
        let endpoint = Endpoint::open(&filter(DATA, n as u8), NO_CAPABILITY, 2).unwrap();
        note(n, endpoint.number());
        if n != 0 {
            let region = Region::new(endpoint.number(), 4096).unwrap();
            Handler::install(&region, &consume, 0, none).unwrap();
            handler.set(endpoint.installed().handler);
        }
    }
    // SAFETY: the stack is its own, and what the policy uses is shared with it alone.
    unsafe { inform(policy, &STACK) };
    READY.set(1);
    loop {
        match ORDER.get() {
            0 => call::wait(None),
            1 => {
                let frame = memory::allocate().unwrap();
                note(2, call::filter_insert(frame, &filter(DATA, 2), NO_CAPABILITY).unwrap());
                ORDER.set(0);
            }
            _ => call::exit(0),
        }
    }
}

/// Waits until something is as it is to be.
fn until(what: &str, done: impl Fn() -> bool) {
    let end = public::ticks() + 2 * DEADLINE_MIN;
    while !done() {
        assert!(public::ticks() < end, "{what}");
        call::yield_slice();
    }
}

fn order(id: EnvId, number: u32) {
    ORDER.set(number);
    call::wake(id).unwrap();
    until("an order is not heeded", || ORDER.get() == 0);
}

/// Who shows anything but the right capability, or names what nobody has, gets nothing.
fn refused(id: EnvId, control: Capability) {
    for kind in [FILTERS, HANDLERS] {
        for wrong in [NO_CAPABILITY, control] {
            assert_eq!(call::revoke(id, wrong, kind, 1, 0), Err(Error::Denied));
        }
        assert_eq!(call::revoke(id, authority(), kind, network::FILTERS as u32 + 1, 0), Err(Error::BadArgument));
    }
    let number = NUMBERS[2].get();
    for take in [call::filter_repossess, call::handler_repossess] {
        assert_eq!(take(number, control), Err(Error::Denied));
        assert_eq!(take(number, authority()), Err(Error::Denied), "nothing is owed");
        assert_eq!(take(network::FILTERS as u32, authority()), Err(Error::BadArgument));
        assert_eq!(take(u32::MAX, authority()), Err(Error::BadArgument));
        assert_eq!(take(0, authority()), Err(Error::NoSuchEnvironment), "nobody has it");
    }
    assert_eq!(call::handler_repossess(NUMBERS[0].get(), authority()), Err(Error::NoSuchEnvironment), "it has none");
}

/// Has a message sent for the child's filter `n`; how the interface's counters changed.
fn message(n: usize) -> network::Interface {
    let before = public::interface();
    let question = Question { byte: 9, flags: 0, count: 1, bytes: 60, number_at: 0 };
    question.ask(&header(address(), PEER, DATA, n as u8)).unwrap();
    net::until("no message came", || net::since(before).received != 0);
    net::since(before)
}

fn main() {
    until_witness_is_ready();
    let at_first = census();
    let asking = Endpoint::open(&filter(TYPE, 9), NO_CAPABILITY, 1).unwrap();
    let position = public::position();
    let free = (2..64).map(|n| (position + n) % 64).find(|&other| public::slice(other).owner == 0);
    let (id, control) = spawn(child, 0, free).unwrap();
    until("it is not ready", || READY.get() != 0);
    refused(id, control);
    assert_eq!((message(2).handled, message(0).delivered), (1, 1));

    // A request: it is told, and need not give.
    assert_eq!(call::revoke(id, authority(), FILTERS, 1, 0), Ok(0));
    until("it was not told", || TOLD.get() == 1);
    assert_eq!((ASKED.get(), filters().count()), ((FILTERS, 1), COUNT + 1));
    pass(DEADLINE_MIN);
    assert_eq!(call::filter_repossess(NUMBERS[2].get(), authority()), Err(Error::Denied), "a request");
    assert_eq!(call::revoke(id, authority(), FILTERS, 0, 0), Ok(1), "is taken back");
    // A demand, which it meets, by what it picks itself.
    GENEROUS.set(true);
    let met = public::statistics().demands_met;
    assert_eq!(call::revoke(id, authority(), HANDLERS, 1, DEADLINE_MIN), Ok(0));
    until("it does not give a handler", || public::statistics().demands_met == met + 1);
    assert_eq!((mine(2), net_handler(2)), (true, 0));
    assert_eq!(call::revoke(id, authority(), FILTERS, 1, DEADLINE_MIN), Ok(0));
    until("it does not give filters", || public::statistics().demands_met == met + 2);
    assert_eq!((mine(2), mine(1), filters().count()), (false, true, COUNT));
    println!("aegis_revocation_filters: asked for a filter and a handler, and all given");

    // It refuses; what it installs counts back.
    GENEROUS.set(false);
    let [kept, taken] = [0, 1].map(|n: usize| NUMBERS[n].get());
    assert_eq!(call::revoke(id, authority(), FILTERS, 1, DEADLINE_MIN), Ok(0));
    assert_eq!(call::filter_repossess(taken, authority()), Err(Error::Busy), "not yet");
    assert_eq!(call::handler_repossess(taken, authority()), Err(Error::Denied), "none was demanded");
    pass(DEADLINE_MIN);
    order(id, 1);
    // One that stays loses its handler first.
    demand_and_wait(id, HANDLERS, 1);
    assert_eq!(call::handler_repossess(taken, authority()), Ok(()));
    assert_eq!(call::handler_repossess(taken, authority()), Err(Error::NoSuchEnvironment));
    until("it was not told of its handler", || LOSSES.get() == 1);
    assert_eq!(LOST[0].get(), (HANDLER_LOST, taken, HANDLER[1].get()));
    assert_eq!(memory::frame(HANDLER[1].get()).owner & !1, id.0, "its frames are its own");
    let with = message(1);
    assert_eq!((with.delivered, with.unclaimed), (1, 0), "the filter stays");
    assert_eq!(call::filter_repossess(taken, authority()), Ok(()));
    assert_eq!(call::filter_repossess(taken, authority()), Err(Error::NoSuchEnvironment));
    assert_eq!(call::filter_repossess(kept, authority()), Err(Error::Denied), "no more is owed");
    until("it was not told of its filter", || LOSSES.get() == 2);
    assert_eq!(LOST[1].get(), (FILTER_LOST, taken, FRAMES[1].get()));
    assert_eq!(memory::frame(FRAMES[1].get()).owner & !1, id.0);
    assert_eq!(message(1).unclaimed, 1, "it is nobody's any more");
    assert_eq!(message(0).delivered, 1, "what it keeps goes on");
    let statistics = public::statistics();
    assert_eq!((statistics.filters_repossessed, statistics.handlers_repossessed), (1, 1));
    // What is owed when it dies is owed by nobody.
    assert_eq!(call::revoke(id, authority(), FILTERS, 1, 0), Ok(0));
    claim::end(id, control);
    assert_eq!(call::revoke(id, authority(), FILTERS, 1, 0), Err(Error::NoSuchEnvironment));
    assert_eq!(call::filter_repossess(kept, authority()), Err(Error::NoSuchEnvironment));
    asking.close();
    // Buries the dead, by what is inserted.
    Endpoint::open(&filter(DATA, 0), NO_CAPABILITY, 1).unwrap().close();
    assert_eq!(filters().count(), 0);
    assert_eq!(census(), at_first);
    println!("aegis_revocation_filters: refused, and a filter and a handler taken by force; nothing is left over");
}
