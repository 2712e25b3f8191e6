//! The grader of lab 5: a counter that the kernel answers for. Of two machines the first adds, the second has the counter.

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::abi::ash::Outcome;
use exos_rt::abi::filter::Atom;
use exos_rt::ash::Refused;
use exos_rt::call::{self, NO_CAPABILITY};
use exos_rt::environment::spawn;
use exos_rt::net::{Endpoint, address, filters, send};
use exos_rt::shared::Shared;
use exos_rt::{memory, println, program, public};
use lab::{ADD, ANSWER, Client, Counter, MESSAGE_BYTES, TYPE, message};

const COUNTER: u8 = 7;
/// One that nobody adds to.
const UNKNOWN: u8 = 77;
/// A message that ends the counter, and one that the program is to get.
const END: u8 = 200;
const OTHER: u8 = 3;

fn main() {
    let name = program::arguments().next().expect("the case is an argument");
    let me = address().expect("there is a network");
    let mut peer = me;
    peer[5] ^= 3;
    let before = owned();
    if me[5] == 1 {
        client(name, me, peer);
    } else if name == "left" {
        left(before);
        serve(name);
    } else {
        serve(name);
    }
    assert_eq!(owned(), before, "frames are left behind");
    assert_eq!(filters().count(), 0, "filters are left behind");
    if me[5] == 1 {
        println!("{}: {name} passed", program::name());
    }
}

fn owned() -> usize {
    let id = call::self_id();
    (0..public::frames()).filter(|&number| memory::frame(number).owner == id.0).count()
}

fn wait(ticks: u32) {
    let until = call::clock() + ticks;
    while call::clock() < until {
        call::wait(Some(until));
    }
}

// --- Who has the counter. --------------------------------------------------------------------------------------------

/// Has a counter until the client ends it, which says what it should have counted to, and how many messages the program should
/// have got.
fn serve(name: &str) {
    let mut counter = Counter::open(COUNTER).expect("the kernel takes filter and handler");
    assert_eq!(counter.value(), 0, "a new counter");
    let neighbour = (name == "neighbour").then(neighbour);
    let (mut got, mut requests) = (0, 0);
    let (others, expected) = loop {
        assert!(counter.endpoint().wait(Some(call::clock() + 64 * 8)), "nothing comes any more");
        let read = |message: &[u8]| {
            let word = u32::from_le_bytes([message[18], message[19], message[20], message[21]]);
            (message[15], u16::from_le_bytes([message[16], message[17]]), word)
        };
        match counter.endpoint().receive(read).expect("there is one") {
            (END, others, expected) => break (others, expected),
            // It may have come before there was a handler.
            (ADD, 1, _) => {}
            (ADD, ..) => requests += 1,
            _ => got += 1,
        }
    };
    assert_eq!(counter.value(), expected, "the counter");
    assert_eq!(requests, 0, "requests that the program got, and not the handler");
    assert_eq!(got, others, "other messages that the program got");
    let outcomes = counter.handler().installed().outcomes;
    let bad = [Outcome::Aborted, Outcome::Overrun, Outcome::DivideByZero, Outcome::BadTransfer, Outcome::Denied];
    bad.into_iter()
        .for_each(|outcome| assert_eq!(outcomes[outcome as usize], 0, "the handler has ended with {outcome:?}"));
    counter.close();
    if let Some((id, control)) = neighbour {
        call::env_destroy(id, control).unwrap();
        assert_eq!(STOLEN.get(), 0, "what a neighbour could do");
    }
}

/// What a neighbour could do, a bit each.
static STOLEN: Shared<u32> = Shared::new(0);

/// An environment that wants the messages, and takes half of the processor.
fn neighbour() -> (exos_rt::abi::EnvId, exos_rt::abi::frame::Capability) {
    spawn(steals, 0, Some((public::position() + 1) % 64)).unwrap()
}

extern "C" fn steals(_: u32) -> ! {
    let same = [Atom::equal(12, 16, TYPE.into()), Atom::equal(14, 8, COUNTER.into())];
    let number = filters().next().map_or(0, |(number, _)| number);
    loop {
        if let Ok(endpoint) = Endpoint::open(&same, NO_CAPABILITY, 2) {
            STOLEN.set(STOLEN.get() | 1);
            endpoint.close();
        }
        STOLEN.set(STOLEN.get() | u32::from(call::handler_remove(number).is_ok()) << 1);
        STOLEN.set(STOLEN.get() | u32::from(call::filter_remove(number).is_ok()) << 2);
    }
}

fn left(before: usize) {
    for round in 0..5 {
        let counter = Counter::open(UNKNOWN).expect("the kernel takes filter and handler");
        assert_eq!(filters().count(), 1, "filters, round {round}");
        // The same filter twice is refused, and that leaves nothing behind.
        let owns = owned();
        let again = Counter::open(UNKNOWN).map(drop);
        if let Err(refused) = again {
            assert!(matches!(refused, Refused::Error(_)), "the second is refused for {refused:?}");
            assert_eq!(owned(), owns, "frames are left behind by the second");
        }
        counter.close();
        assert_eq!((owned(), filters().count()), (before, 0), "what is left in round {round}");
    }
    // With so little memory that a part of it can't be had.
    static TAKEN: [Shared<u32>; 4096] = [const { Shared::new(0) }; 4096];
    let mut taken = 0;
    while let Ok(frame) = memory::allocate() {
        TAKEN[taken].set(frame);
        taken += 1;
    }
    let owns = owned();
    for give in 0..12 {
        let result = Counter::open(UNKNOWN);
        match result {
            Ok(counter) => counter.close(),
            Err(refused) => assert!(matches!(refused, Refused::Error(_)), "{refused:?}"),
        }
        assert_eq!((owned(), filters().count()), (owns - give, 0), "what is left with {give} frames");
        taken -= 1;
        // SAFETY: nothing uses it.
        unsafe { call::frame_free(TAKEN[taken].get()).unwrap() };
    }
    for frame in &TAKEN[..taken] {
        // SAFETY: as above.
        unsafe { call::frame_free(frame.get()).unwrap() };
    }
}

// --- Who adds. -------------------------------------------------------------------------------------------------------

fn client(name: &str, me: [u8; 6], peer: [u8; 6]) {
    let mut client = Client::open(peer, COUNTER).unwrap();
    // The other machine may not be so far yet.
    assert_eq!(client.add(0), Ok(0), "the first request");
    let (others, value) = match name {
        "use" | "neighbour" | "left" => adds(&mut client, 150),
        "loss" => adds(&mut client, 120),
        "again" => again(&mut client),
        "others" => others(&mut client, me, peer),
        _ => panic!("there is no case {name}"),
    };
    // It may be lost, too.
    for _ in 0..if name == "loss" { 12 } else { 1 } {
        client.send(END, others, value).unwrap();
        wait(2);
    }
    client.close();
}

fn adds(client: &mut Client, count: u32) -> (u16, u32) {
    let mut value = 0u32;
    for number in 1..=count {
        let amount = number * 0x0101_0101;
        value = value.wrapping_add(amount);
        assert_eq!(client.add(amount), Ok(value), "request {number}");
    }
    (0, value)
}

/// Answers that come within two ticks.
fn answers(client: &mut Client) -> impl Iterator<Item = (u16, u32)> {
    wait(2);
    core::iter::from_fn(|| client.answer())
}

fn again(client: &mut Client) -> (u16, u32) {
    for round in 1..=20 {
        assert_eq!(client.add(5), Ok(5 * round));
        let number = client.number();
        for _ in 0..3 {
            client.send(ADD, number - 1, 5).unwrap();
        }
        assert!(answers(client).eq([(number - 1, 5 * round); 3]), "a request that comes again is answered as it was");
        for odd in [number.wrapping_sub(2), number + 1, number + 1000, number ^ 0x8000, u16::MAX] {
            client.send(ADD, odd, 77).unwrap();
        }
        assert_eq!(
            answers(client).count(),
            0,
            "answers to requests {} and others, which can't be",
            number.wrapping_sub(2)
        );
    }
    (0, 100)
}

fn others(client: &mut Client, me: [u8; 6], peer: [u8; 6]) -> (u16, u32) {
    assert_eq!(client.add(9), Ok(9));
    let number = client.number();
    for kind in [OTHER, ANSWER, 0, 255] {
        client.send(kind, number, 1000).unwrap();
        assert_eq!(answers(client).count(), 0, "what is no request, but {kind}, is answered");
    }
    // For everybody, for a group, for another machine, for another counter, of another protocol.
    let mut strange =
        [peer, [0xff; 6], [1, 0, 0x5e, 0, 0, 1], peer, peer].map(|to| message(to, me, COUNTER, ADD, number, 1000));
    strange[0][5] ^= 0x40;
    strange[3][14] ^= 1;
    strange[4][13] ^= 1;
    // What they say must be in the name of a filter.
    let names = [(TYPE, COUNTER ^ 1), (TYPE ^ 1, COUNTER)].map(|(kind, counter)| {
        Endpoint::open(&[Atom::equal(12, 16, kind.into()), Atom::equal(14, 8, counter.into())], NO_CAPABILITY, 1)
            .unwrap()
    });
    for (place, message) in strange.iter().enumerate() {
        send(message).unwrap();
        assert_eq!(answers(client).count(), 0, "what is for others is answered: number {place}");
    }
    names.into_iter().for_each(Endpoint::close);
    // A request that is longer than it needs to be is one.
    let mut long = [0; 1514];
    long[..MESSAGE_BYTES].copy_from_slice(&message(peer, me, COUNTER, ADD, number, 1));
    send(&long).unwrap();
    assert!(answers(client).eq([(number, 10)]), "a long request is not answered");
    (4, 10)
}
