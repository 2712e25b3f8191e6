//! The longest that handlers can take, for the model to measure (`cargo exo bounds`): each does one thing, once or as often as
//! its budget allows, which is as large as it can be. What each of its calls and all of it may take at most is said before. `kind`
//! runs one alone.
//@ network: peer
//@ ignore-machine: gxemul what is measured is the model's
//@ ignore-machine: malta what is measured is the model's
//@ expect: bounds_handlers: all done
//@ timeout: 200

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../net.rs"]
mod net;

use aegis_codegen::Register as R;
use aegis_codegen::encode::*;
use exos_rt::abi::Error;
use exos_rt::abi::ash::{
    CHECKSUM, CONSUMED, COPY, CYCLES_AT_ONCE, CYCLES_MAX, Installed, LAYERS_MAX, LOAD, OWN, SEND, SETS, SWAP16, SWAP32,
    Set, WAKE, WORDS_MAX, cost,
};
use exos_rt::abi::network::MESSAGE_MAX;
use exos_rt::ash::{Handler, Layer, Refused, Region};
use exos_rt::call::{self, NO_CAPABILITY};
use exos_rt::net::Endpoint;
use exos_rt::{memory, println, program, public};
use net::cable::{DAMAGED, PEER, TYPE};
use net::{DATA, Question, address, byte_at, filter, header, longest_filter, obstruct};

const MESSAGE: R = R::S5;
const REGION: R = R::GP;
const REGION_BYTES: u32 = 1 << 16;
const SHORT: u16 = 508;
const LONG: u16 = MESSAGE_MAX as u16;
/// How often each runs, in pairs: one comes while this program runs, one while nobody does.
const PAIRS: u32 = 2;
/// Where a message of this program's stands in the region, at an even address and at an odd one; and one in another's name.
const OURS: u32 = 0;
const OURS_ODD: u32 = 4097;
const FOREIGN: u32 = 2048;

/// A handler, and what it does.
struct Kind {
    name: &'static str,
    code: Code,
    /// Bytes of its messages.
    bytes: u16,
    /// What it calls, if it calls anything.
    call: Call,
    /// Whether it is run with a budget that is small enough for it to be run at once, too.
    at_once: bool,
    /// If it is the body of each of several layers.
    chain: Option<Chain>,
}

/// What there is in a chain beside its bodies.
struct Chain {
    layers: usize,
    /// Of each layer the handler for when all commit, and for when one does not.
    other: Code,
    /// Whether all commit.
    commits: bool,
}

#[derive(Clone, Copy)]
enum Call {
    None,
    Load,
    Wake,
    Send(u32),
    /// A set, a number of bytes, and whether to an odd address.
    Copy(u32, u32, bool),
}

/// A handler's words, and how many there are.
struct Code([u32; WORDS_MAX], usize);

impl Code {
    fn new(words: &[u32]) -> Self {
        let mut code = Self([0; WORDS_MAX], 0);
        code.add(words);
        code
    }

    fn add(&mut self, words: &[u32]) {
        self.0[self.1..][..words.len()].copy_from_slice(words);
        self.1 += words.len();
    }

    fn words(&self) -> &[u32] {
        &self.0[..self.1]
    }

    fn end(mut self) -> Self {
        self.add(&[jr(R::RA), li(R::V0, CONSUMED)]);
        self
    }

    /// The same again and again until its time is up.
    fn again(mut self) -> Self {
        let back = -(self.1 as i16) - 1;
        self.add(&[beq(R::ZERO, R::ZERO, back), nop()]);
        self.end()
    }

    /// What is made of the numbers from 0 on, until it has about so many words.
    fn many<const N: usize>(words: usize, round: impl Fn(i16) -> [u32; N]) -> Self {
        let mut code = Self::new(&[]);
        (0..words / N).for_each(|n| code.add(&round(n as i16)));
        code
    }
}

fn li(register: R, value: u32) -> u32 {
    addiu(register, R::ZERO, value as i16)
}

fn jump(number: u32) -> u32 {
    jal(4 * number)
}

fn send(at: u32, bytes: u32) -> Code {
    Code::new(&[li(R::A0, at), li(R::A1, bytes), jump(SEND), nop()])
}

fn copy(to: u32, bytes: u32, set: u32) -> Code {
    Code::new(&[li(R::A0, to), li(R::A1, 14), li(R::A2, bytes), jump(COPY), li(R::A3, set)])
}

/// A body that passes its message.
const PASS: [u32; 2] = [jr(R::RA), nop()];

const KINDS: usize = 37;

/// The handler with this number.
fn kind(number: usize) -> Kind {
    let plain = |name, code| Kind { name, code, bytes: SHORT, call: Call::None, at_once: false, chain: None };
    let chain = |name, layers, other, commits| Kind {
        chain: Some(Chain { layers, other, commits }),
        ..plain(name, Code::new(&[]).end())
    };
    let sends = |name, at, bytes| Kind {
        name,
        code: send(at, bytes).end(),
        bytes: SHORT,
        call: Call::Send(bytes),
        at_once: bytes < 100,
        chain: None,
    };
    let copies = |name, to, bytes, set| Kind {
        name,
        code: copy(to, bytes, set).again(),
        bytes: if bytes < 400 { SHORT } else { LONG },
        call: Call::Copy(set, bytes, to % 4 != 0),
        at_once: false,
        chain: None,
    };
    let longest = MESSAGE_MAX - 14;
    match number {
        0 => Kind { at_once: true, ..plain("nothing", Code::new(&[]).end()) },
        1 => sends("send a long one", OURS, 800),
        2 => sends("send a long one from an odd address", OURS_ODD, 800),
        3 => sends("send the shortest", OURS, 60),
        4 => sends("send the shortest from an odd address", OURS_ODD, 60),
        5 => sends("send what is another's", FOREIGN, 800),
        6 => copies("copy all", 4096, longest, 0),
        7 => copies("copy 31 bytes", 4096, 31, 0),
        8 => copies("copy nothing", 4096, 0, 0),
        9 => copies("sum all", 4096, longest, 1),
        10 => copies("sum 63 bytes", 4096, 63, 1),
        11 => copies("sum a byte", 4096, 1, 1),
        12 => copies("all pipes for all", 4096, longest / 4 * 4, 2),
        13 => copies("all pipes for 60 bytes", 4096, 60, 2),
        14 => copies("all pipes for a word", 4096, 4, 2),
        15 => copies("its own pipe for all", 4096, longest / 4 * 4, 3),
        16 => copies("its own pipe for 28 bytes", 4096, 28, 3),
        17 => copies("copy 200 bytes to an odd address", 4097, 200, 0),
        18 => copies("copy a byte to an odd address", 4097, 1, 0),
        19 => {
            let code = [addiu(R::S0, R::S0, 4), andi(R::S0, R::S0, 255), jump(LOAD), addu(R::A0, R::S0, R::ZERO)];
            Kind { call: Call::Load, ..plain("load words by calls", Code::new(&code).again()) }
        }
        20 => {
            let code = Code::new(&[li(R::A0, 1), jump(WAKE), nop()]).again();
            Kind { call: Call::Wake, ..plain("wake", code) }
        }
        21 => {
            let words = [lw(R::T0, 0, R::S0), addiu(R::S0, R::S0, 36), sw(R::T1, 4, R::S0), addiu(R::S0, R::S0, 36)];
            Kind { at_once: true, ..plain("load and store in the region", Code::new(&words).again()) }
        }
        22 => {
            let words = [lb(R::T0, 0, R::S0), sb(R::T1, 0, R::S0), sh(R::T1, 4096 - 8, R::S0), addiu(R::S0, R::S0, 37)];
            plain("load and store parts of words", Code::new(&words).again())
        }
        23 => {
            let words = [swl(R::T1, 0, R::S0), swr(R::T1, 36, R::S0), lwl(R::T0, 72, R::S0), addiu(R::S0, R::S0, 109)];
            plain("load and store what is not aligned", Code::new(&words).again())
        }
        24 => {
            let words =
                [sw(R::T0, 0, REGION), sw(R::T0, 1024, REGION), sw(R::T0, 2048, REGION), sw(R::T0, 3072, REGION)];
            plain("store", Code::new(&words).again())
        }
        25 => plain("load and store once each", {
            let round =
                |n| [lw(R::T0, n * 36, REGION), sw(R::T1, n * 36 + 4096, REGION), lw(R::T2, n * 36 + 8192, REGION)];
            Code::many(240, round).end()
        }),
        26 => plain("load the message once each", {
            let round = |n| [lw(R::T0, n * 4 + 2, MESSAGE), sw(R::T1, n * 36, REGION)];
            Code::many(200, round).end()
        }),
        27 => plain("store once each", Code::many(240, |n| [sb(R::T0, n * 37, REGION)]).end()),
        28 => plain("multiply", Code::new(&[mult(R::A0, R::A0), mflo(R::T0), nop(), nop()]).again()),
        29 => plain("divide", Code::new(&[li(R::T1, 7), div(R::A0, R::T1), mflo(R::T0), nop(), nop()]).again()),
        30 => plain("compute once each", Code::many(250, |n| [addiu(R::T0, R::T0, n)]).end()),
        31 => Kind { bytes: LONG, ..plain("go round", Code::new(&[nop()]).again()) },
        32 => chain("three layers that commit", 3, Code::new(&[]).end(), true),
        33 => chain("three layers that abort", 3, Code::new(&[]).end(), false),
        34 => Kind { at_once: true, ..chain("two layers that commit", 2, Code::new(&[]).end(), true) },
        35 => chain(
            "load and store in commit handlers",
            2,
            {
                let words =
                    [lw(R::T0, 0, R::S0), addiu(R::S0, R::S0, 36), sw(R::T1, 4, R::S0), addiu(R::S0, R::S0, 36)];
                Code::new(&words).again()
            },
            true,
        ),
        _ => {
            let code = Code::new(&[li(R::A0, 1), jump(WAKE), nop()]).again();
            Kind { call: Call::Wake, ..chain("wake in abort handlers", 3, code, false) }
        }
    }
}

/// What a call may take.
fn charge(call: Call, installed: &Installed) -> u32 {
    match call {
        Call::None => 0,
        Call::Load => cost::LOAD_CALL[0].into(),
        Call::Wake => cost::WAKE_CALL[0].into(),
        Call::Send(bytes) => u32::from(cost::SEND_CALL[0]) + cost::SENT_BYTE * bytes,
        Call::Copy(set, bytes, odd) => {
            let copying = installed.loops[set as usize];
            let aligned = u32::from(cost::COPY_CALL[0]) + copying.cost + bytes / 32 * copying.block_cost;
            aligned + if odd { bytes * cost::UNALIGNED_BYTE } else { 0 }
        }
    }
}

/// Another frame has been unbound: whether the region is still this program's will be asked again.
fn unbind() {
    let frame = memory::allocate().unwrap();
    // SAFETY: it was not used.
    unsafe { call::frame_free(frame).unwrap() };
}

fn main() {
    let only = program::number("kind");
    let mut endpoint = Endpoint::open(&longest_filter(), NO_CAPABILITY, 4).unwrap();
    let asking = Endpoint::open(&filter(TYPE, 9), NO_CAPABILITY, 1).unwrap();
    println!("{}: {} filters in the way", program::name(), obstruct());
    let region = Region::new(endpoint.number(), REGION_BYTES).unwrap();
    for (at, kind) in [(OURS, DATA), (OURS_ODD, DATA), (FOREIGN, DATA + 1)] {
        (15..MESSAGE_MAX).for_each(|n| region.write(at + n, &[byte_at(n)]));
        region.write(at, &header(PEER, address(), kind, 7));
    }
    let mut sets = [Set { pipes: [0; 4], own: 0, own_words: 0 }; SETS];
    let own = [xor(R::T1, R::V1, R::T0); 16];
    sets[0].pipes[0] = CHECKSUM;
    sets[1].pipes[..3].copy_from_slice(&[CHECKSUM, SWAP16, SWAP32]);
    sets[2] = Set { pipes: [OWN, 0, 0, 0], own: own.as_ptr() as u32, own_words: 16 };
    let test = Test { region, sets };
    for number in (0..KINDS).filter(|&number| only.is_none_or(|only| only as usize == number)) {
        let kind = kind(number);
        test.run(&mut endpoint, &kind, CYCLES_MAX);
        if kind.at_once {
            test.run(&mut endpoint, &kind, CYCLES_AT_ONCE);
        }
    }
    test.region.close();
    asking.close();
    endpoint.close();
    println!("{}: all done", program::name());
}

struct Test {
    region: Region,
    sets: [Set; SETS],
}

impl Test {
    /// Installs a handler with the largest budget with which it takes `most` cycles at most.
    fn install(&self, kind: &Kind, most: u32) -> Handler {
        for budget in (0..=most).rev().step_by(50) {
            match self.try_to_install(kind, budget) {
                Err(Refused::Error(Error::BadArgument)) => {}
                Ok(handler) if handler.installed().most > most => handler.remove(),
                result => return result.unwrap(),
            }
        }
        panic!("it takes more than {most} once");
    }

    fn try_to_install(&self, kind: &Kind, budget: u32) -> Result<Handler, Refused> {
        let Some(Chain { layers, other, commits }) = &kind.chain else {
            return Handler::install(&self.region, kind.code.words(), budget, self.sets);
        };
        let each = (budget / *layers as u32) as u16;
        let layer = Layer::body(kind.code.words(), 0).commit(other.words(), each).abort(other.words(), each);
        let mut all = [layer; LAYERS_MAX];
        if !commits {
            all[layers - 1] = Layer::body(&PASS, 0);
        }
        Handler::install_chain(&self.region, &all[..*layers], self.sets)
    }

    /// Has messages come for a handler, so that the kernel finds as much to be done as it can.
    fn run(&self, endpoint: &mut Endpoint, kind: &Kind, most: u32) {
        let &Kind { name, bytes, call, .. } = kind;
        let handler = self.install(kind, most);
        let installed = handler.installed();
        println!("{}: {name}: a call {}, all {}", program::name(), charge(call, &installed), installed.most);
        let count = || handler.installed().outcomes.iter().sum::<u32>();
        let question = Question { byte: 9, flags: 0, count: 1, bytes, number_at: 0 };
        let template = header(address(), PEER, DATA, 7);
        for n in 0..2 * PAIRS {
            let before = count();
            if n == 2 {
                // While it runs for a long message others come, those that are damaged first.
                let damaged = Question { flags: DAMAGED, count: 7, bytes: 60, ..question };
                let long = Question { bytes: LONG, ..question };
                for question in [long, damaged, Question { bytes: 60, ..question }] {
                    question.ask(&template).unwrap();
                }
            }
            question.ask(&template).unwrap();
            unbind();
            let end = public::ticks() + 64;
            while count() == before || call::clock() < end - 62 {
                assert!(public::ticks() < end, "{name}: {:?}", handler.installed());
                if n % 2 == 0 { call::yield_slice() } else { call::wait(Some(public::ticks() + 1)) }
            }
            while endpoint.receive(|_| ()).is_some() {}
        }
        handler.remove();
    }
}
