//! SNTP: what time it is (RFC 4330), and a clock that goes on from there.

use crate::{Fail, Stack};
use exos_rt::abi::slice::MICROSECONDS;
use exos_rt::call;
use smoltcp::wire::Ipv4Address;

/// The port of servers.
const PORT: u16 = 123;
/// Bytes of a message.
const BYTES: usize = 48;
/// Seconds from the era of NTP to that of UNIX.
const EPOCH: u32 = 2_208_988_800;
/// Ticks in a second.
const TICKS: u32 = 1_000_000 / MICROSECONDS;

/// A clock that was set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Clock {
    /// Seconds since 1970.
    seconds: u32,
    /// The tick at which it was so late.
    tick: u32,
}

impl Clock {
    /// Seconds since 1970.
    #[must_use]
    pub fn seconds(&self) -> u32 {
        let ticks = call::clock().wrapping_sub(self.tick) & 0x7fff_ffff;
        self.seconds.wrapping_add(ticks / TICKS)
    }
}

impl Stack {
    /// Asks a server for the time, again and again until the tick `deadline`. It is right to a second or so.
    ///
    /// # Errors
    /// [`Fail::TimedOut`]; [`Fail::BadAnswer`] from a server that doesn't know itself; those of [`Stack::udp`].
    pub fn ask_time(&mut self, server: Ipv4Address, deadline: u32) -> Result<Clock, Fail> {
        // What no one else knows is in the place of the time of sending: the answer repeats it.
        let secret = [self.random(), self.random()];
        let mut question = [0; BYTES];
        question[0] = 4 << 3 | 3; // version 4, a client
        question[40..44].copy_from_slice(&secret[0].to_be_bytes());
        question[44..].copy_from_slice(&secret[1].to_be_bytes());
        self.ask((server, PORT), &question, deadline, |message| answer(message, secret))
    }
}

/// What a message says to a question: nothing, if it is not its answer.
fn answer(message: &[u8], secret: [u32; 2]) -> Option<Result<Clock, Fail>> {
    let message = message.first_chunk::<BYTES>()?;
    let word = |at: usize| u32::from_be_bytes([message[at], message[at + 1], message[at + 2], message[at + 3]]);
    if [word(24), word(28)] != secret || message[0] & 7 != 4 {
        return None;
    }
    let (unsynchronised, stratum) = (message[0] >> 6 == 3, message[1]);
    if unsynchronised || !(1..16).contains(&stratum) || word(40) == 0 {
        return Some(Err(Fail::BadAnswer));
    }
    // The era of NTP that begins in 2036 is behind UNIX's as well.
    Some(Ok(Clock { seconds: word(40).wrapping_sub(EPOCH), tick: call::clock() }))
}
