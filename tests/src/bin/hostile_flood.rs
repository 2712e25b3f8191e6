//! What is left of each time slice to whoever runs, while messages come as fast as the cable carries them: few filters, and filters
//! that are as much work as there can be, buffers for all, short messages and long ones and both, what is damaged, handlers that take
//! little, or much, or evict what is in the caches. A quarter of each slice is, less what the program that runs has the kernel fetch
//! again, and less what the last message takes. What is measured depends on nothing but the model.
//@ network: peer
//@ clock: dec2100 dec3100 dec5000_200
//@ ignore-machine: gxemul what is measured is the model's
//@ ignore-machine: malta what is measured is the model's
//@ expect: % and more of each time slice was left in 24 floods
//@ timeout: 120

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../net.rs"]
mod net;

use aegis_codegen::Register as R;
use aegis_codegen::encode::*;
use exos_rt::abi::Error;
use exos_rt::abi::ash::{CONSUMED, CYCLES_AT_ONCE, CYCLES_MAX, SETS, Set};
use exos_rt::abi::network::{DESCRIPTORS, Descriptor, Interface, MESSAGE_MAX};
use exos_rt::abi::vm::{PAGE_SHIFT, entry_lo};
use exos_rt::ash::{Handler, Refused, Region};
use exos_rt::call::{self, NO_CAPABILITY};
use exos_rt::net::Endpoint;
use exos_rt::{memory, println, public};
use net::cable::{DAMAGED, PEER, TYPE};
use net::{DATA, Question, address, filter, header, longest_filter, obstruct};

const RING: u32 = 0x2400_0000;
/// Ticks that are looked at; and, in millionths of a tick, what the cable needs for a message, and for each of its bytes.
const TICKS: u32 = 8;
const MESSAGE_TICKS: u32 = 1229;
const BYTE_TICKS: u32 = 51;
/// So many parts of what it gets done in a quiet slice a program gets done in any.
const PARTS: u32 = 5;
/// So many rounds of this program in quiet slices are time for a message at least, whatever that takes and whatever the clock.
const ROUNDS: u32 = 11_500;

/// What it is called, a handler and the most that it takes, the lengths of messages, and how they are sent.
type Flood<'a> = (&'static str, &'a [u32], u32, &'a [u16], u8);

const LONG: u16 = MESSAGE_MAX as u16;
const NONE: [Set; SETS] = [Set { pipes: [0; 4], own: 0, own_words: 0 }; SETS];

fn li(register: R, value: u32) -> u32 {
    addiu(register, R::ZERO, value as i16)
}

/// Goes round so often, and consumes the message.
fn rounds(times: u32) -> [u32; 6] {
    [
        addiu(R::S0, R::S0, 1),
        slti(R::T0, R::S0, times as i16),
        bne(R::T0, R::ZERO, -3),
        nop(),
        jr(R::RA),
        li(R::V0, CONSUMED),
    ]
}

/// Offers one buffer at all places of the ring.
fn refill(buffer: u32) {
    for place in 0..DESCRIPTORS {
        // SAFETY: the ring is mapped there; it is shared with the kernel.
        unsafe { (RING as *mut Descriptor).add(place as usize).write_volatile(Descriptor { buffer, length: 0 }) };
    }
}

/// What this program gets done in the worst of some slices.
fn least(buffer: u32) -> u32 {
    let mut now = public::ticks();
    while public::ticks() == now {}
    let rounds = (0..TICKS).map(|_| {
        now = public::ticks();
        refill(buffer);
        (0..).take_while(|_| public::ticks() == now).count() as u32
    });
    rounds.min().unwrap_or(0)
}

/// Installs a handler with the largest budget with which it takes `most` cycles at most.
fn install(region: &Region, words: &[u32], most: u32) -> Handler {
    for budget in (0..=most).rev().step_by(10) {
        match Handler::install(region, words, budget, NONE) {
            Err(Refused::Error(Error::BadArgument)) => {}
            Ok(handler) if handler.installed().most > most => handler.remove(),
            result => return result.unwrap(),
        }
    }
    panic!("it takes more than {most} once");
}

/// Has as many messages sent as the cable carries while they are looked at, of each length in its turn.
fn flood(lengths: &[u16], flags: u8) {
    let ticks = (TICKS + 4) * 1_000_000 / lengths.len() as u32;
    for &bytes in lengths {
        let count = ticks / (MESSAGE_TICKS + BYTE_TICKS * u32::from(bytes).max(60));
        let question = Question { byte: 9, flags, count, bytes, number_at: 0 };
        question.ask(&header(address(), PEER, DATA, 7)).unwrap();
    }
}

/// Frames that have come since an earlier look.
fn come(before: Interface) -> u32 {
    let counted = net::since(before);
    counted.received + counted.runts + counted.damaged
}

/// Waits until nothing comes any more.
fn end(before: Interface) {
    loop {
        let (last, until) = (come(before), public::ticks() + 4);
        while public::ticks() < until {
            call::wait(Some(until));
        }
        if come(before) == last {
            return;
        }
    }
}

/// How many parts of a hundred of what it gets done in a `quiet` slice this program gets done in the worst slice of a flood.
fn suffer((name, words, most, lengths, flags): Flood, quiet: u32, buffer: u32, region: &Region) -> u32 {
    let handler = (!words.is_empty()).then(|| install(region, words, most));
    let before = public::interface();
    flood(lengths, flags);
    let flooded = least(buffer);
    let (came, silenced) = (come(before), net::since(before).silenced);
    let left = flooded * 100 / quiet;
    println!("hostile_flood: {name}: {came} came, silenced {silenced} times, {left} % left");
    assert!(flooded * PARTS >= quiet, "{name}: {flooded} rounds of {quiet}");
    assert!(came * ROUNDS >= quiet * TICKS, "{name}: too few came");
    end(before);
    if let Some(handler) = handler {
        handler.remove();
    }
    left
}

fn main() {
    let endpoint = Endpoint::open(&longest_filter(), NO_CAPABILITY, 1).unwrap();
    let asking = Endpoint::open(&filter(TYPE, 9), NO_CAPABILITY, 1).unwrap();
    let [ring, buffer] = [0; 2].map(|_: u32| memory::allocate().unwrap());
    // SAFETY: the frame is new, and nothing else is there.
    unsafe { call::env_map(call::self_id(), NO_CAPABILITY, RING, ring << PAGE_SHIFT | entry_lo::DIRTY, 1).unwrap() };
    let buffer = buffer << PAGE_SHIFT;
    refill(buffer);
    call::filter_ring(endpoint.number(), ring).unwrap();
    let region = Region::new(endpoint.number(), 1 << 16).unwrap();
    let spin = [nop(), beq(R::ZERO, R::ZERO, -2), nop(), jr(R::RA), nop()];
    let evict = [
        [lw(R::T0, 0, R::S0), addiu(R::S0, R::S0, 36), sw(R::T1, 4, R::S0), addiu(R::S0, R::S0, 36)],
        [beq(R::ZERO, R::ZERO, -5), nop(), jr(R::RA), nop()],
    ];
    let evict = evict.as_flattened();
    let floods: [Flood; 12] = [
        ("short messages", &[], 0, &[60], 0),
        ("middling ones", &[], 0, &[508], 0),
        ("long ones", &[], 0, &[LONG], 0),
        ("short ones before long ones", &[], 0, &[60, LONG, 60, 508, 60, LONG], 0),
        ("what is damaged", &[], 0, &[60], DAMAGED),
        ("a handler that does nothing", &rounds(1), 500, &[60], 0),
        ("one that goes round", &rounds(420), 1999, &[60], 0),
        ("longer", &rounds(900), 3999, &[60], 0),
        ("one that is stopped early", &spin, 1999, &[60, 508], 0),
        ("one that is stopped late", &spin, CYCLES_MAX, &[60, LONG], 0),
        ("one that evicts", evict, CYCLES_AT_ONCE, &[60], 0),
        ("one that evicts for longer", evict, CYCLES_MAX, &[LONG], 0),
    ];
    let quiet = least(buffer);
    println!("hostile_flood: few filters; {quiet} rounds in a quiet slice");
    let few = floods.map(|flood| suffer(flood, quiet, buffer, &region));
    println!("hostile_flood: {} filters more", obstruct());
    let many = floods.map(|flood| suffer(flood, quiet, buffer, &region));
    region.close();
    asking.close();
    endpoint.close();
    let least = few.iter().chain(&many).min().unwrap();
    println!("hostile_flood: {least} % and more of each time slice was left in {} floods", few.len() + many.len());
}
