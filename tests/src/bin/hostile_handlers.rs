//! Handlers that break what they must not are refused, each with the word and the rule, and none of it is executed. One that looks
//! finds nothing of the kernel's in its registers, neither when it is entered nor behind a call. Those that take
//! all that they may, for each message of a flood, whose owners are destroyed, end, or lose what they work on meanwhile, and those
//! that are installed again and again take nothing from a program beside, and leave nothing behind.
//@ network: peer
//@ run: hostile_handlers aegis_witness
//@ expect: hostile_handlers: each rule refuses
//@ expect: hostile_handlers: nothing is in the registers
//@ expect: hostile_handlers: floods harm nobody
//@ expect: hostile_handlers: nothing is left over
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
use exos_rt::abi::ash::{CONSUMED, COPY, LOAD, Outcome, Rule, SEND, SETS, Set, USABLE, WAKE, WORDS_MAX};
use exos_rt::ash::{Handler, Refused, Region};
use exos_rt::call::{self, NO_CAPABILITY};
use exos_rt::environment::spawn;
use exos_rt::net::{Endpoint, filters};
use exos_rt::shared::Shared;
use exos_rt::{println, public};
use net::cable::{PEER, TYPE};
use net::{DATA, PATIENCE, Question, address, filter, header};

const MESSAGE: R = R::S5;
const REGION: R = R::GP;
const REGION_BYTES: i16 = 4096;
const NONE: [Set; SETS] = [Set { pipes: [0; 4], own: 0, own_words: 0 }; SETS];
const END: [u32; 2] = [jr(R::RA), nop()];

/// What the child's handler has got, and what it is to do.
static READY: Shared<u32> = Shared::new(0);
static ORDER: Shared<u32> = Shared::new(0);
static OVERRUNS: Shared<u32> = Shared::new(0);

/// A handler that ends with these words and a return is refused for the last of them.
fn refused(region: &Region, rule: Rule, words: &[u32]) {
    let mut all = [nop(); 12];
    all[..words.len()].copy_from_slice(words);
    all[words.len()..words.len() + 2].copy_from_slice(&END);
    let result = Handler::install(region, &all[..words.len() + 2], 100, NONE);
    assert_eq!(result.err(), Some(Refused::Rule(words.len() as u16 - 1, rule as u16)), "{rule:?} {words:x?}");
}

fn rules(region: &Region) {
    let refuse = |rule, words: &[u32]| refused(region, rule, words);
    for word in [0xfc00_0000, 0x7000_0000, 0x0000_0005, addu(R::T0, R::T0, R::T0) | 1 << 6] {
        refuse(Rule::Undefined, &[word]);
    }
    // mfc0, mtc0 to Status, tlbwi, rfe; and what traps by itself.
    for word in [0x4008_6000, 0x4088_6000, 0x4200_0002, 0x4200_0010, syscall(), 0x0000_000d] {
        refuse(Rule::Privileged, &[word]);
    }
    for word in [0x4408_0000, 0xc508_0000, 0x4808_0000] {
        refuse(Rule::Coprocessor, &[word]);
    }
    for word in [0x0108_4020, 0x2108_0001, 0x0108_4022] {
        refuse(Rule::Trapping, &[word]);
    }
    refuse(Rule::Indirect, &[jr(R::T0)]);
    refuse(Rule::Indirect, &[0x0100_f809]); // jalr
    refuse(Rule::Jump, &[j(0x8003_0000)]);
    refuse(Rule::Jump, &[0x0510_0000]); // bltzal
    for target in [4 * 5, 0x8003_0000, 0x8000_0080] {
        refuse(Rule::Call, &[jal(target)]);
    }
    for offset in [-2, 3, 100, i16::MIN, i16::MAX] {
        refuse(Rule::Target, &[beq(R::ZERO, R::ZERO, offset)]);
    }
    // Where a jump might be undone, or a store not be checked: in delay slots.
    for word in [sw(R::T0, 0, R::T1), lw(R::T0, 0, REGION), jal(4 * SEND), mult(R::T0, R::T0)] {
        refuse(Rule::Slot, &[beq(R::ZERO, R::ZERO, 1), word]);
    }
    for register in (1..32).filter_map(R::new).filter(|register| 0x001f_fffc >> register.number() & 1 == 0) {
        refuse(Rule::Reserved, &[addiu(register, R::ZERO, 0)]);
        refuse(Rule::Reserved, &[addu(R::T0, register, R::ZERO)]);
    }
    refuse(Rule::MessageStore, &[sw(R::T0, 14, MESSAGE)]);
    for offset in [-2, i16::MIN + 2, 1518, 32766] {
        refuse(Rule::MessageBounds, &[lw(R::T0, offset, MESSAGE)]);
    }
    for offset in [-4, i16::MIN, 2 * REGION_BYTES, 32764] {
        refuse(Rule::RegionBounds, &[sw(R::T0, offset, REGION)]);
    }
    refuse(Rule::Alignment, &[sw(R::T0, 2, REGION)]);
    refuse(Rule::Alignment, &[lw(R::T0, 0, MESSAGE)]);
    refuse(Rule::LoadDelay, &[lw(R::T0, 0, REGION), addu(R::T1, R::T0, R::T0)]);
    refuse(Rule::HiLo, &[mflo(R::T0), mult(R::T0, R::T0)]);
    // More in a round than the budget's register can be charged at once; the branch is refused, not its slot.
    let send = jal(4 * SEND);
    let round = [send, nop(), send, nop(), send, nop(), send, nop(), beq(R::ZERO, R::ZERO, -9), nop()];
    let result = Handler::install(region, &round, 100, NONE);
    assert_eq!(result.err(), Some(Refused::Rule(8, Rule::Loop as u16)));
    for words in [&[nop(), nop()][..], &[jr(R::RA)], &[jr(R::RA), nop(), nop()]] {
        let result = Handler::install(region, words, 100, NONE);
        assert_eq!(result.err(), Some(Refused::Rule(words.len() as u16 - 1, Rule::End as u16)));
    }
    for words in [&[][..], &[nop(); 256]] {
        assert_eq!(Handler::install(region, words, 100, NONE).err(), Some(Refused::Error(Error::BadArgument)));
    }
}

/// A handler that notes all its registers, a row for when it is entered and one behind each of its calls. It finds what it was
/// passed, and no address.
fn registers() {
    const ROW: u32 = 128;
    const OURS: u32 = 2048;
    let endpoint = Endpoint::open(&filter(DATA, 5), NO_CAPABILITY, 1).unwrap();
    let region = Region::new(endpoint.number(), REGION_BYTES as u32).unwrap();
    region.write(0, &[0xff; OURS as usize]);
    region.write(OURS, &header(PEER, address(), DATA, 5));
    let li = |register, value: u32| addiu(register, R::ZERO, value as i16);
    let usable = || (0..32).filter(|n| USABLE >> n & 1 != 0).filter_map(R::new);
    let (mut words, mut count) = ([0; WORDS_MAX], 0);
    let mut add = |more: &[u32]| {
        words[count..][..more.len()].copy_from_slice(more);
        count += more.len();
    };
    let calls = [
        &[li(R::A0, 0), jal(4 * LOAD), nop()][..],
        &[li(R::A0, 3072), li(R::A1, 14), li(R::A2, 20), jal(4 * COPY), li(R::A3, 0)],
        &[li(R::A0, 1), jal(4 * WAKE), nop()],
        &[li(R::A0, OURS), li(R::A1, 60), jal(4 * SEND), nop()],
    ];
    for (row, call) in (0..).zip([&[][..]].into_iter().chain(calls)) {
        add(call);
        usable().for_each(|register| add(&[sw(register, (row * ROW) as i16 + 4 * register.number() as i16, REGION)]));
        if row == 0 {
            add(&[mfhi(R::T0), sw(R::T0, 0, REGION), mflo(R::T0), sw(R::T0, 4, REGION), li(R::T0, 0)]);
        }
    }
    add(&[jr(R::RA), li(R::V0, CONSUMED)]);
    let handler = Handler::install(&region, &words[..count], 2000, NONE).unwrap();
    let consumed = || handler.installed().outcomes[Outcome::Consumed as usize];
    while consumed() == 0 {
        let question = Question { byte: 9, flags: 0, count: 1, bytes: 60, number_at: 0 };
        question.ask(&header(address(), PEER, DATA, 5)).unwrap();
        call::wait(Some(public::ticks() + 4));
    }
    assert_eq!(handler.installed().sent, consumed());
    assert_eq!((region.word(0), region.word(4)), (0, 0), "HI and LO");
    for row in 0..=calls.len() as u32 {
        for register in usable() {
            let value = region.word(row * ROW + 4 * u32::from(register.number()));
            let passed = if register.number() == R::A0.number() { 60 } else { 0 };
            assert!(row != 0 || value == passed, "register {}: {value:#x}", register.number());
            assert!(value < 0x8000_0000, "register {} behind call {row}: {value:#x}", register.number());
        }
    }
    handler.remove();
    region.close();
    endpoint.close();
    println!("hostile_handlers: nothing is in the registers");
}

/// Goes round and round for each message, and does what it is told while they come.
extern "C" fn owner(_: u32) -> ! {
    let endpoint = Endpoint::open(&filter(DATA, 7), NO_CAPABILITY, 4).unwrap();
    let region = Region::new(endpoint.number(), REGION_BYTES as u32).unwrap();
    let round = [nop(), beq(R::ZERO, R::ZERO, -2), nop(), jr(R::RA), nop()];
    let consume = [jr(R::RA), addiu(R::V0, R::ZERO, CONSUMED as i16)];
    let handler = Handler::install(&region, &round, 13_000, NONE).unwrap();
    READY.set(1);
    while ORDER.get() == 0 {
        OVERRUNS.set(handler.installed().outcomes[Outcome::Overrun as usize]);
        call::wait(Some(public::ticks() + 1));
    }
    match ORDER.get() {
        // To end, with all that it has.
        1 => call::exit(0),
        // To free what its handler works on.
        2 => region.close(),
        // To install handlers again and again.
        3 => {
            handler.remove();
            loop {
                for words in [&round[..], &consume] {
                    Handler::install(&region, words, 13_000, NONE).unwrap().remove();
                    READY.add(1);
                }
            }
        }
        // To leave it.
        _ => {}
    }
    READY.set(2);
    loop {
        call::wait(None);
    }
}

/// A flood for a child's handler, in which it does what it is told, and is destroyed.
fn flood(order: u32) {
    READY.set(0);
    ORDER.set(0);
    OVERRUNS.set(0);
    let position = public::position();
    let free = (1..64).map(|n| (position + n) % 64).find(|&other| public::slice(other).owner == 0);
    let (id, control) = spawn(owner, 0, free).unwrap();
    let until = |what: &str, done: &dyn Fn() -> bool| {
        let end = public::ticks() + PATIENCE;
        while !done() {
            assert!(public::ticks() < end, "order {order}: {what}");
            call::yield_slice();
        }
    };
    until("it is not ready", &|| READY.get() != 0);
    let before = public::interface();
    let question = Question { byte: 9, flags: 0, count: 600, bytes: 60, number_at: 0 };
    question.ask(&header(address(), PEER, DATA, 7)).unwrap();
    until("its handler does not run", &|| OVERRUNS.get() > 4);
    ORDER.set(order);
    match order {
        1 => until("it does not end", &|| call::wake(id).is_err()),
        3 => until("it does not go on", &|| READY.get() > 6),
        _ => until("it does not heed", &|| READY.get() == 2),
    }
    let _ = call::env_destroy(id, control);
    // The rest of the flood, which is nobody's.
    until("the flood does not end", &|| {
        let last = net::since(before).received;
        call::wait(Some(public::ticks() + 4));
        net::since(before).received == last
    });
    // Buries the dead.
    Endpoint::open(&filter(DATA, 7), NO_CAPABILITY, 1).unwrap().close();
    assert_eq!(filters().count(), 1, "order {order}");
}

fn main() {
    until_witness_is_ready();
    let endpoint = Endpoint::open(&filter(DATA, 1), NO_CAPABILITY, 2).unwrap();
    let region = Region::new(endpoint.number(), REGION_BYTES as u32).unwrap();
    rules(&region);
    region.close();
    endpoint.close();
    println!("hostile_handlers: each rule refuses");
    let asking = Endpoint::open(&filter(TYPE, 9), NO_CAPABILITY, 1).unwrap();
    registers();
    flood(0xff);
    let after_one = census();
    for order in [1, 2, 3, 0xff] {
        flood(order);
    }
    println!("hostile_handlers: floods harm nobody");
    assert_eq!(census(), after_one);
    asking.close();
    println!("hostile_handlers: nothing is left over");
}
