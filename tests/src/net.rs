//! What the programs share that test the network: frames, filters for them, and questions to the station at the other
//! end of the cable.

#![allow(dead_code, reason = "not every program needs all of it")]

#[path = "cable.rs"]
pub mod cable;

use cable::{PEER, TEMPLATE, TYPE};
use exos_rt::abi::Error;
use exos_rt::abi::filter::Atom;
use exos_rt::abi::network::{MESSAGE_MAX, STEPS_MAX};
use exos_rt::call::{self, NO_CAPABILITY};
use exos_rt::{memory, net, public};

/// The type of the frames that are asked for.
#[allow(dead_code, reason = "not every program needs it")]
pub const DATA: u16 = 0x88b6;

/// Ticks within which the station has surely answered. Where its time is the host's, that may be busy with other things.
pub const PATIENCE: u32 = 1024;

/// The interface's address.
pub fn address() -> [u8; 6] {
    net::address().expect("there is a network")
}

/// A filter for messages of a type whose byte behind the header is this.
pub fn filter(kind: u16, byte: u8) -> [Atom; 2] {
    [Atom::equal(12, 16, kind.into()), Atom::equal(14, 8, byte.into())]
}

/// The header of a message, and the byte behind it.
pub fn header(to: [u8; 6], from: [u8; 6], kind: u16, byte: u8) -> [u8; 15] {
    let mut header = [byte; 15];
    header[..6].copy_from_slice(&to);
    header[6..12].copy_from_slice(&from);
    header[12..14].copy_from_slice(&kind.to_be_bytes());
    header
}

/// A question to the station.
#[derive(Clone, Copy)]
pub struct Question {
    /// The byte by which the asker has a filter for it.
    pub byte: u8,
    pub flags: u8,
    pub count: u32,
    pub bytes: u16,
    pub number_at: u16,
}

impl Question {
    /// Asks for frames that begin like this.
    pub fn ask(self, template: &[u8]) -> Result<(), Error> {
        net::send(&self.message(template)[..TEMPLATE + template.len()])
    }

    /// The message that asks for them; what is behind the template is no part of it.
    pub fn message(self, template: &[u8]) -> [u8; MESSAGE_MAX as usize] {
        let mut message = [0; MESSAGE_MAX as usize];
        message[..15].copy_from_slice(&header(PEER, address(), TYPE, self.byte));
        message[15] = self.flags;
        message[16..20].copy_from_slice(&self.count.to_be_bytes());
        message[20..22].copy_from_slice(&self.bytes.to_be_bytes());
        message[22..24].copy_from_slice(&self.number_at.to_be_bytes());
        message[24..26].copy_from_slice(&(template.len() as u16).to_be_bytes());
        message[TEMPLATE..TEMPLATE + template.len()].copy_from_slice(template);
        message
    }
}

/// The byte at an offset of a message of the station's that begins with [`header`] and 7, but for the addresses.
pub fn byte_at(at: u32) -> u8 {
    match at {
        12 => (DATA >> 8) as u8,
        13 => DATA as u8,
        14 => 7,
        at => at as u8,
    }
}

/// A filter for these messages, with as many steps as there may be.
pub fn longest_filter() -> [Atom; STEPS_MAX] {
    core::array::from_fn(|n| match n {
        0 => Atom::equal(12, 16, DATA.into()),
        n => Atom::equal(12 + 4 * n as u32, 8, byte_at(12 + 4 * n as u32).into()),
    })
}

/// Installs filters that look at as much of these messages, from their addresses on, and then don't want them, until there is no
/// room for more; how many.
pub fn obstruct() -> usize {
    let me = address();
    let inserted = (0..12).filter(|&at| {
        let mut filter = longest_filter();
        let address = if at < 6 { me[at] } else { PEER[at - 6] };
        filter[0] = Atom::equal(at as u32, 8, address.into());
        filter[STEPS_MAX - 1].value ^= 1;
        let frame = memory::allocate().expect("there is a frame");
        let result = call::filter_insert(frame, &filter, NO_CAPABILITY).inspect_err(|_| {
            // SAFETY: it was not used.
            unsafe { call::frame_free(frame).expect("it is this program's") };
        });
        assert!(matches!(result, Ok(_) | Err(Error::Full)), "{result:?}");
        result.is_ok()
    });
    inserted.count()
}

/// Waits until something is so.
pub fn until(what: &str, done: impl Fn() -> bool) {
    let end = public::ticks() + PATIENCE;
    while !done() {
        assert!(public::ticks() < end, "{what}: {:?}", public::interface());
        call::wait(Some(public::ticks() + 1));
    }
}

/// Waits until nothing comes any more: what has been counted since an earlier look. Nothing came while it was read, which is done
/// word by word.
pub fn counted_in_quiet(before: exos_rt::abi::network::Interface) -> exos_rt::abi::network::Interface {
    loop {
        let counted = since(before);
        call::wait(Some(public::ticks() + 4));
        if since(before) == counted {
            return counted;
        }
    }
}

/// Counters of the interface that have changed since an earlier look.
pub fn since(before: exos_rt::abi::network::Interface) -> exos_rt::abi::network::Interface {
    let now = public::interface();
    exos_rt::abi::network::Interface {
        received: now.received.wrapping_sub(before.received),
        unclaimed: now.unclaimed.wrapping_sub(before.unclaimed),
        delivered: now.delivered.wrapping_sub(before.delivered),
        handled: now.handled.wrapping_sub(before.handled),
        dropped: now.dropped.wrapping_sub(before.dropped),
        foreign: now.foreign.wrapping_sub(before.foreign),
        runts: now.runts.wrapping_sub(before.runts),
        giants: now.giants.wrapping_sub(before.giants),
        damaged: now.damaged.wrapping_sub(before.damaged),
        missed: now.missed.wrapping_sub(before.missed),
        sent: now.sent.wrapping_sub(before.sent),
        unsent: now.unsent.wrapping_sub(before.unsent),
        silenced: now.silenced.wrapping_sub(before.silenced),
        restarts: now.restarts.wrapping_sub(before.restarts),
        ..now
    }
}
