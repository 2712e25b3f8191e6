//! Handlers run when a message comes: they count, answer, copy through pipes, tell their owner, and pass; what breaks a rule is
//! refused, and what does wrong is stopped, its message delivered and its owner told.
//@ network: peer
//@ expect: aegis_handlers: 100 answers
//@ expect: aegis_handlers: a message was summed
//@ expect: aegis_handlers: 8 ways to end
//@ expect: aegis_handlers: also behind others
//@ expect: aegis_handlers: refused
//@ expect: aegis_handlers: gone with its region

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../net.rs"]
mod net;

use aegis_codegen::Register as R;
use aegis_codegen::encode::*;
use exos_rt::abi::Error;
use exos_rt::abi::ash::{
    ABORT, CHECKSUM, CONSUMED, COPY, CYCLES_AT_ONCE, Code, HANDLERS_MAX, LOAD, Outcome, PASSED, Rule, SEND, SETS, Set,
    WAKE,
};
use exos_rt::ash::{Handler, Refused, Region};
use exos_rt::call::{self, NO_CAPABILITY};
use exos_rt::net::Endpoint;
use exos_rt::{memory, println, public};
use net::cable::{PEER, TEMPLATE, TYPE};
use net::{DATA, PATIENCE, Question, address, filter, header};

const REGION_BYTES: u32 = 4096;
const REGION: R = R::GP;
const MESSAGE: R = R::S5;
/// In the region: a counter, results, a copy, and a question.
const COPIED: i16 = 64;
const REPLY: i16 = 1024 + 2;
const ROUNDS: i16 = 100;
const NONE: [Set; SETS] = [Set { pipes: [0; 4], own: 0, own_words: 0 }; SETS];

const QUESTION: Question = Question { byte: 9, flags: 0, count: 1, bytes: 60, number_at: 0 };

/// Counts, and asks again, until it has counted to [`ROUNDS`]: then it tells.
fn answering() -> [u32; 16] {
    [
        lw(R::T0, 0, REGION),
        nop(),
        addiu(R::T0, R::T0, 1),
        sw(R::T0, 0, REGION),
        sltiu(R::T1, R::T0, ROUNDS),
        beq(R::T1, R::ZERO, 5),
        li(R::A0, REPLY),
        jal(4 * SEND),
        li(R::A1, TEMPLATE as i16 + 15),
        jr(R::RA),
        li(R::V0, CONSUMED as i16),
        li(R::A0, 5),
        jal(4 * WAKE),
        nop(),
        jr(R::RA),
        li(R::V0, CONSUMED as i16),
    ]
}

/// Copies 40 bytes behind the header and sums them; copies 5 from where nothing is aligned; loads a word.
fn copying() -> [u32; 21] {
    [
        li(R::A0, COPIED),
        li(R::A1, 14),
        li(R::A2, 40),
        jal(4 * COPY),
        li(R::A3, 1),
        sw(R::V0, 4, REGION),
        li(R::A0, COPIED + 65),
        li(R::A1, 17),
        li(R::A2, 5),
        jal(4 * COPY),
        li(R::A3, 0),
        jal(4 * LOAD),
        li(R::A0, 33),
        sw(R::V0, 8, REGION),
        lw(R::T0, 14, MESSAGE),
        li(R::T1, 77),
        sw(R::T0, 12, REGION),
        jr(R::RA),
        li(R::V0, CONSUMED as i16),
        jr(R::RA),
        li(R::V0, PASSED as i16),
    ]
}

struct Test {
    endpoint: Endpoint,
    region: Region,
}

impl Test {
    /// Has the station send one message of so many bytes.
    fn ask(&self, bytes: u16) {
        Question { bytes, ..QUESTION }.ask(&header(address(), PEER, DATA, 7)).unwrap();
    }

    fn install(&self, words: &[u32], budget: u32) -> Result<Handler, Refused> {
        Handler::install(&self.region, words, budget, NONE)
    }

    /// A handler that does not deal with its message ends like this, and the message is delivered.
    fn ends(&mut self, words: &[u32], outcome: Outcome) {
        let handler = self.install(words, 3000).unwrap();
        for bytes in [60, 1000] {
            self.ask(bytes);
            assert!(self.endpoint.wait(Some(public::ticks() + PATIENCE)), "{outcome:?}: lost");
            self.endpoint.receive(|message| assert_eq!(message.len(), usize::from(bytes)));
        }
        assert_eq!(handler.installed().outcomes[outcome as usize], 2, "{outcome:?}");
        handler.remove();
    }
}

fn main() {
    let endpoint = Endpoint::open(&filter(DATA, 7), NO_CAPABILITY, 4).unwrap();
    let asking = Endpoint::open(&filter(TYPE, 9), NO_CAPABILITY, 1).unwrap();
    let region = Region::new(endpoint.number(), REGION_BYTES).unwrap();
    let mut test = Test { endpoint, region };
    answers(&test);
    sums(&test);
    ends(&mut test);
    behind_another(&test);
    refused(&test);
    goes(test);
    asking.close();
}

fn answers(test: &Test) {
    let question = QUESTION.message(&header(address(), PEER, DATA, 7));
    test.region.write(REPLY as u32, &question[..TEMPLATE + 15]);
    let handler = test.install(&answering(), 2000).unwrap();
    assert!(handler.installed().most <= CYCLES_AT_ONCE);
    let before = public::interface();
    test.ask(60);
    let until = public::ticks() + PATIENCE;
    while handler.installed().wakes == 0 {
        assert!(public::ticks() < until, "{:?} {:?}", handler.installed(), public::interface());
        call::wait(Some(until));
    }
    assert_eq!(test.region.word(0), ROUNDS as u32);
    let installed = handler.installed();
    assert_eq!((installed.number, installed.sent), (5, ROUNDS as u32 - 1));
    assert_eq!(installed.outcomes[Outcome::Consumed as usize], ROUNDS as u32);
    let counted = net::since(before);
    assert_eq!((counted.received, counted.sent), (ROUNDS as u32, ROUNDS as u32));
    assert!(!test.endpoint.has_message());
    handler.remove();
    println!("aegis_handlers: {ROUNDS} answers, at most {} cycles each, {} charged", installed.most, installed.charged);
}

fn sums(test: &Test) {
    let mut sets = NONE;
    sets[0].pipes[0] = CHECKSUM;
    let handler = Handler::install(&test.region, &copying(), 3000, sets).unwrap();
    test.ask(100);
    while handler.installed().outcomes[Outcome::Consumed as usize] == 0 {
        assert_eq!(handler.installed().outcomes[Outcome::BadTransfer as usize], 0);
        call::wait(Some(public::ticks() + 2));
    }
    // What the station sends: the template, then each byte's own number.
    let byte = |at: u32| if at == 14 { 7 } else { at };
    let word = |at: u32| u32::from_le_bytes(core::array::from_fn(|n| byte(at + n as u32) as u8));
    let mut sum = 0u32;
    for at in (0..40).step_by(4) {
        assert_eq!(test.region.word(COPIED as u32 + at), word(14 + at), "at {at}");
        let (next, carry) = sum.overflowing_add(word(14 + at));
        sum = next + u32::from(carry);
    }
    let folded = |sum: u32| (sum >> 16) + (sum & 0xffff);
    assert_eq!(folded(folded(test.region.word(4))), folded(folded(sum)));
    assert_eq!(test.region.word(COPIED as u32 + 64) >> 8, word(17) & 0xff_ffff);
    assert_eq!(test.region.word(8), word(33));
    assert_eq!(test.region.word(12), word(14));
    handler.remove();
    println!("aegis_handlers: a message was summed");
}

fn ends(test: &mut Test) {
    let back = [nop(), beq(R::ZERO, R::ZERO, -2), nop()];
    test.ends(&[jr(R::RA), li(R::V0, PASSED as i16)], Outcome::Passed);
    test.ends(&[jr(R::RA), li(R::V0, 7)], Outcome::Passed);
    test.ends(&back, Outcome::Overrun);
    test.ends(&[li(R::T0, 1), div(R::T0, R::ZERO), jr(R::RA), nop()], Outcome::DivideByZero);
    test.ends(&[jal(4 * ABORT), nop(), jr(R::RA), nop()], Outcome::Aborted);
    test.ends(&[jal(4 * LOAD), li(R::A0, 2000), jr(R::RA), nop()], Outcome::BadTransfer);
    test.ends(&[jal(4 * COPY), li(R::A2, 2000), jr(R::RA), nop()], Outcome::BadTransfer);
    // What stands there has not the interface's address.
    test.ends(&[li(R::A0, 2048), jal(4 * SEND), li(R::A1, 60), jr(R::RA), nop()], Outcome::Denied);
    println!("aegis_handlers: 8 ways to end");
}

/// A handler that may take long is not passed over, whenever its message comes behind another that has none; nor is the message left
/// there while the program computes.
fn behind_another(test: &Test) {
    let mut other = Endpoint::open(&filter(DATA, 8), NO_CAPABILITY, 2).unwrap();
    let consume = [jr(R::RA), li(R::V0, CONSUMED as i16)];
    let handler = test.install(&consume, CYCLES_AT_ONCE).unwrap();
    assert!(handler.installed().most > CYCLES_AT_ONCE);
    for round in 0..40 {
        QUESTION.ask(&header(address(), PEER, DATA, 8)).unwrap();
        test.ask(60 + round);
        assert!(other.wait(Some(public::ticks() + PATIENCE)), "lost");
        other.receive(|message| assert_eq!(message.len(), 60)).unwrap();
        let until = public::ticks() + PATIENCE;
        while handler.installed().outcomes[Outcome::Consumed as usize] <= round.into() {
            assert!(!test.endpoint.has_message(), "passed over in round {round}");
            assert!(public::ticks() < until, "lost in round {round}");
        }
    }
    handler.remove();
    other.close();
    println!("aegis_handlers: also behind others");
}

fn refused(test: &Test) {
    let end = [jr(R::RA), nop()];
    let refuse = |words: &[u32], rule: Rule| {
        let mut all = [nop(); 8];
        all[..words.len()].copy_from_slice(words);
        all[words.len()..words.len() + 2].copy_from_slice(&end);
        let result = test.install(&all[..words.len() + 2], 100);
        assert_eq!(result.err(), Some(Refused::Rule(words.len() as u16 - 1, rule as u16)), "{rule:?}");
    };
    refuse(&[0x4000_6000], Rule::Privileged); // mfc0
    refuse(&[syscall()], Rule::Privileged);
    refuse(&[jr(R::T0)], Rule::Indirect);
    refuse(&[jal(4 * 5)], Rule::Call);
    refuse(&[nop(), move_(R::T0, R::SP)], Rule::Reserved);
    refuse(&[sw(R::T0, 14, MESSAGE)], Rule::MessageStore);
    refuse(&[lw(R::T0, 9000, REGION)], Rule::RegionBounds);
    assert_eq!(test.install(&end, 14_001).err(), Some(Refused::Error(Error::BadArgument)), "too dear");
    assert_eq!(call::handler_remove(test.endpoint.number()), Err(Error::BadArgument), "there is none");
    // Not its own region, and not its own frames.
    let [frame, first] = [memory::allocate_pair().unwrap(), test.region.first()];
    let words = end;
    let mut handlers = [Code::default(); HANDLERS_MAX];
    handlers[0].words = 2;
    let request = |frame, region| exos_rt::abi::ash::Request {
        frame,
        region,
        region_bytes: REGION_BYTES,
        words: words.as_ptr() as u32,
        handlers,
        sets: NONE,
    };
    // SAFETY: nothing is installed.
    let install = |frame, region| unsafe { call::handler_install(test.endpoint.number(), &request(frame, region)) };
    assert_eq!(install(frame, 0), Err(Error::Denied));
    assert_eq!(install(frame, u32::MAX - 1), Err(Error::BadArgument));
    assert_eq!(install(frame, u32::MAX), Err(Error::BadArgument));
    assert_eq!(install(0, first), Err(Error::Denied));
    assert_eq!(install(first, first), Err(Error::Busy));
    for frame in [frame, frame + 1] {
        // SAFETY: it was not used.
        unsafe { call::frame_free(frame).unwrap() };
    }
    println!("aegis_handlers: refused");
}

/// A region that is freed takes its handler along.
fn goes(test: Test) {
    let Test { mut endpoint, region } = test;
    let handler = Handler::install(&region, &[jr(R::RA), li(R::V0, CONSUMED as i16)], 0, NONE).unwrap();
    let ask = || QUESTION.ask(&header(address(), PEER, DATA, 7)).unwrap();
    ask();
    while handler.installed().outcomes[Outcome::Consumed as usize] == 0 {
        call::wait(Some(public::ticks() + 2));
    }
    region.close();
    ask();
    endpoint.wait(None);
    endpoint.receive(|message| assert_eq!(message.len(), 60)).unwrap();
    assert_eq!(endpoint.installed().handler, 0);
    handler.remove();
    // And with its filter.
    let region = Region::new(endpoint.number(), REGION_BYTES).unwrap();
    let handler = Handler::install(&region, &[jr(R::RA), li(R::V0, CONSUMED as i16)], 0, NONE).unwrap();
    endpoint.close();
    handler.remove();
    region.close();
    println!("aegis_handlers: gone with its region");
}
