//! A question by UDP to a server: it is put again while nobody answers, each time after twice as long.

use crate::{Fail, Stack, Udp, passed};
use exos_rt::abi::slice::MICROSECONDS;
use exos_rt::call;
use smoltcp::wire::Ipv4Address;

/// The longest question, and the longest answer.
pub(crate) const BYTES: usize = 512;

/// Ticks from the first question to the second.
const FIRST: u32 = 1_000_000 / MICROSECONDS;
/// Ticks between two questions at last.
const LAST: u32 = 16 * FIRST;

/// When to ask again: a second after the first question, two after the second, four, and so on, until a deadline.
#[derive(Debug)]
pub(crate) struct Patience {
    /// Ticks that are waited now.
    pub wait: u32,
    deadline: Option<u32>,
}

impl Patience {
    /// Patience until the tick `deadline`.
    pub fn new(deadline: Option<u32>) -> Self {
        Self { wait: FIRST, deadline }
    }

    /// The same, but what is a second elsewhere takes so many ticks.
    pub fn beginning_with(wait: u32, deadline: Option<u32>) -> Self {
        Self { wait, deadline }
    }

    /// The tick until which an answer is waited for.
    pub fn until(&self) -> u32 {
        let next = call::clock().wrapping_add(self.wait) & 0x7fff_ffff;
        match self.deadline {
            Some(deadline) if deadline.wrapping_sub(next) & 0x4000_0000 != 0 => deadline,
            _ => next,
        }
    }

    /// Nobody has answered: whether it is worth while to ask again.
    pub fn goes_on(&mut self) -> bool {
        self.wait = LAST.min(2 * self.wait);
        !self.deadline.is_some_and(passed)
    }
}

impl Stack {
    /// Asks a server until `answer` takes a message of its for one, until the tick `deadline`.
    ///
    /// # Errors
    /// Those of `answer`; [`Fail::TimedOut`]; those of [`Stack::udp`].
    pub(crate) fn ask<R>(
        &mut self,
        server: (Ipv4Address, u16),
        question: &[u8],
        deadline: u32,
        answer: impl FnMut(&[u8]) -> Option<Result<R, Fail>>,
    ) -> Result<R, Fail> {
        let udp = self.open_question(2 * BYTES)?;
        let patience = Patience::new(Some(deadline));
        let result = self.ask_from(udp, server, question, patience, &mut [0; BYTES], answer);
        self.close_question(udp);
        result
    }

    /// The same from a socket, with memory for an answer.
    pub(crate) fn ask_from<R, E: From<Fail>>(
        &mut self,
        udp: Udp,
        (server, port): (Ipv4Address, u16),
        question: &[u8],
        mut patience: Patience,
        message: &mut [u8],
        mut answer: impl FnMut(&[u8]) -> Option<Result<R, E>>,
    ) -> Result<R, E> {
        loop {
            // As long as the server's interface is not known the last question is still to be sent.
            if !self.is_sending(udp) {
                self.send_to(udp, question, server, port)?;
            }
            let until = patience.until();
            loop {
                match self.receive_from(udp, message, Some(until)) {
                    Ok((bytes, from, their)) if (from, their) == (server, port) => {
                        if let Some(result) = answer(&message[..bytes]) {
                            return result;
                        }
                    }
                    // Somebody else's.
                    Ok(_) => {}
                    Err(Fail::TimedOut) if patience.goes_on() => break,
                    Err(fail) => return Err(fail.into()),
                }
            }
        }
    }
}
