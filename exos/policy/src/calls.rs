//! Calls by TCP that come while nobody can take them: kept for a while, so that the caller need not call again.
//!
//! Only so many are kept, each as the message that it came in, in memory that was set aside for it, and none for longer than
//! [`PATIENCE`]; when there is no room for another, that one is forgotten. So calls by nobody, of which there can be many, keep nothing from others for long. A
//! caller that calls again takes the place of the call before.
//!
//! Messages begin with Ethernet's header, and IP's has no options.

use crate::parts::{ADDRESSES, HEADERS};

/// Ticks, 64 a second, for which a call is kept. By then a caller has called again, twice.
pub const PATIENCE: u32 = 64 * 4;

/// The longest call: TCP's header has forty bytes of options at most.
const CALL: usize = HEADERS + 60;
/// Where things are in a message: TCP's port here, behind the other's, and its flags.
const PORT: usize = HEADERS + 2;
const FLAGS: usize = HEADERS + 13;
/// Those that tell what a segment is, and what a call has of them.
const KINDS: u8 = 0x17;
const SYNCHRONIZE: u8 = 0x02;

/// Who calls whom: two addresses and two ports, which lie one behind another.
type Caller = [u8; 12];

/// A call.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    message: [u8; CALL],
    bytes: usize,
    caller: Caller,
    /// The tick at which it was kept first; none if it was not.
    since: Option<u32>,
    /// Whether somebody can take it now.
    due: bool,
}

impl Call {
    /// Nobody's.
    pub const NONE: Self = Self { message: [0; CALL], bytes: 0, caller: [0; 12], since: None, due: false };

    /// Reads a message; none if it is no call, or too long for one.
    fn read(message: &[u8]) -> Option<Self> {
        let calls = message.len() >= HEADERS + 20 && message[FLAGS] & KINDS == SYNCHRONIZE;
        let mut call = Self { bytes: message.len(), ..Self::NONE };
        call.message.get_mut(..message.len()).filter(|_| calls)?.copy_from_slice(message);
        call.caller = *message[ADDRESSES..].first_chunk()?;
        Some(call)
    }

    /// Whether it has not waited for too long.
    fn waits(&self, now: u32) -> bool {
        self.since.is_some_and(|since| now.wrapping_sub(since) & 0x7fff_ffff < PATIENCE)
    }

    /// The port that is called.
    fn port(&self) -> u16 {
        u16::from_be_bytes([self.message[PORT], self.message[PORT + 1]])
    }
}

/// Calls that wait, one fewer than there is memory for.
#[derive(Debug)]
pub struct Calls<'m> {
    memory: &'m mut [Call],
    /// So many of the first ones wait, the oldest first.
    count: usize,
    /// Whether the last one is the message that the protocols are looking at.
    shown: bool,
}

impl<'m> Calls<'m> {
    /// None yet.
    #[must_use]
    pub const fn new(memory: &'m mut [Call]) -> Self {
        Self { memory, count: 0, shown: false }
    }

    /// A message that came to a port on which calls are taken is about to be shown to the protocols.
    ///
    /// Not inlined: its caller goes on to the protocols, which take much of a small stack.
    #[inline(never)]
    pub fn show(&mut self, message: &[u8]) {
        let shown = self.memory.last_mut().zip(Call::read(message));
        self.shown = shown.is_some();
        if let Some((last, call)) = shown {
            *last = call;
            self.retain(|other| other.caller != call.caller);
        }
    }

    /// The protocols have looked at what came last. If that was shown, is a call and was `refused`, it is kept.
    pub fn looked_at(&mut self, refused: bool, now: u32) {
        let shown = core::mem::take(&mut self.shown);
        if !refused || !shown {
            return;
        }
        self.forget_old(now);
        // If there is no room for it, its caller calls again.
        if let Some((call, others)) = self.memory.split_last_mut()
            && let Some(free) = others.get_mut(self.count)
        {
            call.since.get_or_insert(now);
            (*free, self.count) = (*call, self.count + 1);
        }
    }

    /// One call to a port can be taken, if one waits.
    pub fn can_take(&mut self, port: u16, now: u32) {
        self.forget_old(now);
        let mut calls = self.memory[..self.count].iter_mut();
        if let Some(call) = calls.find(|call| !call.due && call.port() == port) {
            call.due = true;
        }
    }

    /// Whether any waits.
    #[must_use]
    pub fn wait(&self, now: u32) -> bool {
        self.memory[..self.count].iter().any(|call| call.waits(now))
    }

    /// Whether one that waits can be taken.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.memory[..self.count].iter().any(|call| call.due)
    }

    /// The oldest one that can be taken, which is about to be shown to the protocols.
    pub fn take(&mut self) -> Option<&[u8]> {
        let number = self.memory[..self.count].iter().position(|call| call.due)?;
        let call = Call { due: false, ..self.memory[number] };
        self.memory.copy_within(number + 1..self.count, number);
        self.count -= 1;
        self.shown = true;
        let last = self.memory.last_mut()?;
        *last = call;
        Some(&last.message[..last.bytes])
    }

    fn forget_old(&mut self, now: u32) {
        self.retain(|call| call.waits(now));
    }

    fn retain(&mut self, stays: impl Fn(&Call) -> bool) {
        let mut count = 0;
        for number in 0..self.count {
            if stays(&self.memory[number]) {
                self.memory[count] = self.memory[number];
                count += 1;
            }
        }
        self.count = count;
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    /// A segment from a port of another's to a port, with a byte in its options that tells it from others.
    fn segment(from: u8, to: u8, flags: u8, tag: u8) -> Vec<u8> {
        let mut message = vec![0; HEADERS + 24];
        message[ADDRESSES..HEADERS].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
        message[HEADERS + 1] = from;
        message[PORT + 1] = to;
        message[FLAGS] = flags;
        message[HEADERS + 20] = tag;
        message
    }

    fn call(from: u8, to: u8, tag: u8) -> Vec<u8> {
        segment(from, to, SYNCHRONIZE, tag)
    }

    /// A call comes and nobody can take it.
    fn comes(calls: &mut Calls, message: &[u8], now: u32) {
        calls.show(message);
        calls.looked_at(true, now);
    }

    #[test]
    fn a_call_waits_until_somebody_can_take_it() {
        let mut memory = [Call::NONE; 3];
        let mut calls = Calls::new(&mut memory);
        comes(&mut calls, &call(1, 80, 0), 5);
        comes(&mut calls, &call(2, 81, 0), 6);
        assert!(!calls.is_due() && calls.take().is_none());
        calls.can_take(82, 7);
        assert!(!calls.is_due());
        calls.can_take(81, 7);
        assert!(calls.is_due());
        assert_eq!(calls.take(), Some(&call(2, 81, 0)[..]));
        assert!(calls.take().is_none());
        // One that still can't be taken waits on, and no longer than it would have.
        calls.can_take(80, 7);
        assert_eq!(calls.take(), Some(&call(1, 80, 0)[..]));
        calls.looked_at(true, 8);
        calls.can_take(80, 5 + PATIENCE - 1);
        assert_eq!(calls.take(), Some(&call(1, 80, 0)[..]));
        calls.looked_at(true, 8);
        calls.can_take(80, 5 + PATIENCE);
        assert!(calls.take().is_none());
    }

    #[test]
    fn what_is_no_call_is_not_kept() {
        let mut memory = [Call::NONE; 3];
        let mut calls = Calls::new(&mut memory);
        for flags in [0x12, 0x10, 0x04, 0x14, 0x03, 0x00, 0x18] {
            comes(&mut calls, &segment(1, 80, flags, 0), 0);
        }
        comes(&mut calls, &call(1, 80, 0)[..HEADERS + 19], 0);
        comes(&mut calls, &[call(1, 80, 0), vec![0; 60]].concat(), 0);
        comes(&mut calls, &[], 0);
        // Nor is one that was taken, when something else is refused.
        calls.show(&call(1, 80, 0));
        calls.looked_at(false, 0);
        calls.looked_at(true, 0);
        // What was shown before is not what can't be taken now.
        calls.show(&call(1, 80, 0));
        comes(&mut calls, &segment(1, 80, 0x10, 0), 0);
        calls.can_take(80, 0);
        assert!(!calls.is_due());
    }

    #[test]
    fn the_longest_call_is_kept_whole() {
        let mut memory = [Call::NONE; 2];
        let mut calls = Calls::new(&mut memory);
        let mut message = call(1, 80, 7);
        message.resize(CALL, 9);
        comes(&mut calls, &message, 0x7fff_ffff);
        // The clock has 31 bits.
        calls.can_take(80, 1);
        assert_eq!(calls.take(), Some(&message[..]));
    }

    proptest! {
        /// Whatever comes, there are the last calls of callers that found room, in their order.
        #[test]
        fn as_a_list(events in prop::collection::vec((0_u8..4, 0_u8..6, 80_u8..82, 0_u32..PATIENCE), 0..60)) {
            let mut memory = [Call::NONE; 4];
        let mut calls = Calls::new(&mut memory);
            let (mut list, mut now) = (Vec::<(u8, u8, u8, u32)>::new(), 0);
            for (number, (kind, from, to, passes)) in events.into_iter().enumerate() {
                now += passes / 8;
                if kind == 0 {
                    calls.can_take(to.into(), now);
                    list.retain(|&(.., since)| now - since < PATIENCE);
                    let first = list.iter().position(|&(_, port, ..)| port == to);
                    let expected = first.map(|first| list.remove(first)).map(|(from, to, tag, _)| call(from, to, tag));
                    prop_assert_eq!(calls.take(), expected.as_deref());
                } else {
                    comes(&mut calls, &call(from, to, number as u8), now);
                    list.retain(|&(there, port, _, since)| (there, port) != (from, to) && now - since < PATIENCE);
                    if list.len() < 3 {
                        list.push((from, to, number as u8, now));
                    }
                }
            }
        }
    }
}
