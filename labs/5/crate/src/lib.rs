//! A counter that another machine adds to: a packet filter says which messages are for it, and a handler in the kernel answers them,
//! whatever the program does meanwhile, and however long it waits for a slice.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 14 | Ethernet: to whom, from whom, [`TYPE`] |
//! | 14 | 1 | which counter |
//! | 15 | 1 | [`ADD`], [`ANSWER`], or what the program deals with |
//! | 16 | 2 | the number of the request, little-endian |
//! | 18 | 4 | what is to be added, and in the answer what the counter is then, little-endian |
//!
//! Requests are numbered from 1 on, modulo 2^16, and there is one under way at a time. Messages may be lost, doubled, or late; each
//! request counts once. So the next number is added; the last one, which has come again because its answer was lost, is answered as it
//! was; any other is an old one that nobody waits for, and is dropped.

#![no_std]
#![feature(asm_experimental_arch)]

use aegis_codegen::Register as R;
use aegis_codegen::encode::*;
use exos_rt::abi::Error;
use exos_rt::abi::ash::{CONSUMED, MESSAGE, PASSED, REGION, SEND, SETS, Set};
use exos_rt::abi::filter::Atom;
use exos_rt::ash::{Handler, Refused, Region};
use exos_rt::call::{self, NO_CAPABILITY};
use exos_rt::net::{Endpoint, address, send};

// The compiler has a fault, which `cargo exo` mends if there is room.
exos_rt::room_for_mends!();

/// The type of its messages: one of those that are for experiments.
pub const TYPE: u16 = 0x88b6;
/// What a message is.
pub const ADD: u8 = 1;
/// See [`ADD`].
pub const ANSWER: u8 = 2;
/// Bytes of a message, the least that one may have.
pub const MESSAGE_BYTES: usize = 60;

/// Offsets in a message.
const FROM: i16 = 6;
const KIND: i16 = 15;
const NUMBER: i16 = 16;
const AMOUNT: i16 = 18;

/// In the region: the counter, the number of the last request, and the answer, which begins at 2 modulo 4, as messages do.
const COUNTER: i16 = 0;
const LAST: i16 = 4;
const REPLY: i16 = 66;
const REGION_BYTES: u32 = 4096;
/// What the handler's loops and transfers may cost, in cycles.
const BUDGET: u32 = 3000;

/// Where the kernel has the message and the region when it runs the handler.
const AT: R = R::S5;
const IN: R = R::GP;
const _: () = assert!(MESSAGE == 21 && REGION == 28);

/// A message.
#[must_use]
pub fn message(to: [u8; 6], from: [u8; 6], counter: u8, kind: u8, number: u16, amount: u32) -> [u8; MESSAGE_BYTES] {
    let mut message = [0; MESSAGE_BYTES];
    message[..6].copy_from_slice(&to);
    message[6..12].copy_from_slice(&from);
    message[12..14].copy_from_slice(&TYPE.to_be_bytes());
    message[14..16].copy_from_slice(&[counter, kind]);
    message[16..18].copy_from_slice(&number.to_le_bytes());
    message[18..22].copy_from_slice(&amount.to_le_bytes());
    message
}

/// A counter of this machine's.
pub struct Counter {
    endpoint: Endpoint,
    region: Region,
    handler: Handler,
}

/// Which messages are for a counter: those to this machine alone that name it.
fn filter(me: [u8; 6], counter: u8) -> [Atom; 4] {
    let high = u32::from(me[0]) << 8 | u32::from(me[1]);
    let low = u32::from_be_bytes([me[2], me[3], me[4], me[5]]);
    [
        Atom::equal(0, 16, high),
        Atom::equal(2, 32, low),
        Atom::equal(12, 16, TYPE.into()),
        Atom::equal(14, 8, counter.into()),
    ]
}

/// What the kernel does when one comes.
fn handler() -> &'static [u32] {
    const WORDS: &[u32] = &[
        lbu(R::T0, KIND, AT),
        li(R::T1, ADD as i16),
        bne(R::T0, R::T1, 29), // to the program
        nop(),
        lhu(R::T0, NUMBER, AT),
        lw(R::T1, LAST, IN),
        nop(),
        beq(R::T0, R::T1, 10), // it has come again
        addiu(R::T1, R::T1, 1),
        andi(R::T1, R::T1, 0xffff),
        bne(R::T0, R::T1, 19), // it is an old one
        nop(),
        sw(R::T0, LAST, IN),
        lw(R::T1, AMOUNT, AT),
        lw(R::T2, COUNTER, IN),
        nop(),
        addu(R::T2, R::T2, R::T1),
        sw(R::T2, COUNTER, IN),
        // The answer goes where the request has come from.
        lhu(R::T1, FROM, AT),
        lhu(R::T2, FROM + 2, AT),
        lhu(R::T3, FROM + 4, AT),
        lw(R::T4, COUNTER, IN),
        sh(R::T1, REPLY, IN),
        sh(R::T2, REPLY + 2, IN),
        sh(R::T3, REPLY + 4, IN),
        sh(R::T0, REPLY + NUMBER, IN),
        sw(R::T4, REPLY + AMOUNT, IN),
        li(R::A0, REPLY),
        jal(4 * SEND),
        li(R::A1, MESSAGE_BYTES as i16),
        jr(R::RA), // what is old ends here, too
        li(R::V0, CONSUMED as i16),
        jr(R::RA),
        li(R::V0, PASSED as i16),
    ];
    WORDS
}

impl Counter {
    /// A counter with a number, which begins with 0.
    ///
    /// # Errors
    /// [`Error::NoSuchDevice`] if there is no network; why filter or handler are refused. Nothing is left behind then.
    pub fn open(counter: u8) -> Result<Self, Refused> {
        let me = address().ok_or(Error::NoSuchDevice)?;
        let endpoint = Endpoint::open(&filter(me, counter), NO_CAPABILITY, 4)?;
        let region = match Region::new(endpoint.number(), REGION_BYTES) {
            Ok(region) => region,
            Err(error) => {
                endpoint.close();
                return Err(error.into());
            }
        };
        region.write(REPLY as u32, &message([0; 6], me, counter, ANSWER, 0, 0));
        match Handler::install(&region, handler(), BUDGET, [Set::default(); SETS]) {
            Ok(handler) => Ok(Self { endpoint, region, handler }),
            Err(refused) => {
                region.close();
                endpoint.close();
                Err(refused)
            }
        }
    }

    /// What it has counted to.
    #[must_use]
    pub fn value(&self) -> u32 {
        self.region.word(COUNTER as u32)
    }

    /// What messages come that the handler does not deal with.
    pub fn endpoint(&mut self) -> &mut Endpoint {
        &mut self.endpoint
    }

    /// What the kernel notes of its handler.
    #[must_use]
    pub fn handler(&self) -> &Handler {
        &self.handler
    }

    /// Ends it.
    pub fn close(self) {
        self.handler.remove();
        self.region.close();
        self.endpoint.close();
    }
}

/// Who adds to a counter of another machine.
pub struct Client {
    endpoint: Endpoint,
    me: [u8; 6],
    peer: [u8; 6],
    counter: u8,
    number: u16,
}

/// Ticks of the clock, 64 a second, after which a request is made again, and how often it is.
const PATIENCE: u32 = 2;
const ATTEMPTS: u32 = 60;

impl Client {
    /// One for a counter of the machine `peer`.
    ///
    /// # Errors
    /// Those of [`Endpoint::open`]; [`Error::NoSuchDevice`] if there is no network.
    pub fn open(peer: [u8; 6], counter: u8) -> Result<Self, Error> {
        let me = address().ok_or(Error::NoSuchDevice)?;
        // What it sends must be, turned round, a message for a filter of its own.
        let filter = [Atom::equal(12, 16, TYPE.into()), Atom::equal(14, 8, counter.into())];
        Ok(Self { endpoint: Endpoint::open(&filter, NO_CAPABILITY, 8)?, me, peer, counter, number: 1 })
    }

    /// Adds, once, and gives what the counter is then.
    ///
    /// # Errors
    /// [`Error::Busy`] if there is no answer.
    pub fn add(&mut self, amount: u32) -> Result<u32, Error> {
        for _ in 0..ATTEMPTS {
            send(&message(self.peer, self.me, self.counter, ADD, self.number, amount))?;
            let deadline = call::clock() + PATIENCE;
            while self.endpoint.wait(Some(deadline)) {
                let answer = self.answer();
                if let Some((number, value)) = answer
                    && number == self.number
                {
                    self.number = number.wrapping_add(1);
                    return Ok(value);
                }
            }
        }
        Err(Error::Busy)
    }

    /// An answer that has come: the number of the request, and the value.
    pub fn answer(&mut self) -> Option<(u16, u32)> {
        let read = |message: &[u8]| {
            let number = u16::from_le_bytes([message[16], message[17]]);
            let value = u32::from_le_bytes([message[18], message[19], message[20], message[21]]);
            (message[15] == ANSWER).then_some((number, value))
        };
        core::iter::from_fn(|| self.endpoint.receive(read)).flatten().next()
    }

    /// Sends a message as it is.
    ///
    /// # Errors
    /// Those of [`send`].
    pub fn send(&self, kind: u8, number: u16, amount: u32) -> Result<(), Error> {
        send(&message(self.peer, self.me, self.counter, kind, number, amount))
    }

    /// The number of the next request.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Ends it.
    pub fn close(self) {
        self.endpoint.close();
    }
}
