//! The way to a server of NFS: its calls are questions by UDP, put again while nobody answers.

use crate::question::Patience;
use crate::{Fail, Stack, Udp};
use exos_nfs::{MESSAGE_MAX, Transport};
use exos_rt::call;
use smoltcp::wire::Ipv4Address;

/// Ticks from a call to the next: a quarter of a second.
const FIRST: u32 = 16;
/// Bytes of the socket for each direction: the answer, and some that came twice or late.
const BYTES: usize = 4 * MESSAGE_MAX;

/// A server.
pub struct Server<'s> {
    /// The stack through which it is asked.
    pub stack: &'s mut Stack,
    udp: Udp,
    address: Ipv4Address,
    /// Ticks after which a call has failed.
    patience: u32,
    /// Room for an answer, and a byte: one that is longer is none, rather than cut off.
    message: &'static mut [u8],
}

impl<'s> Server<'s> {
    /// A server, of which each call has failed after so many ticks without an answer. Its memory, as a socket's, is not used
    /// again.
    ///
    /// # Errors
    /// Those of [`Stack::udp`].
    pub fn new(stack: &'s mut Stack, address: Ipv4Address, patience: u32) -> Result<Self, Fail> {
        let message = stack.bytes(MESSAGE_MAX + 1)?;
        let udp = stack.udp(0, BYTES)?;
        Ok(Self { stack, udp, address, patience, message })
    }

    /// It is not asked any more.
    pub fn close(self) {
        self.stack.close_udp(self.udp);
    }
}

impl Transport for Server<'_> {
    fn ask<R>(
        &mut self,
        port: u16,
        call: &[u8],
        answer: impl FnMut(&[u8]) -> Option<Result<R, exos_nfs::Fail>>,
    ) -> Result<R, exos_nfs::Fail> {
        let deadline = call::clock().wrapping_add(self.patience) & 0x7fff_ffff;
        let patience = Patience::beginning_with(FIRST, Some(deadline));
        self.stack.ask_from(self.udp, (self.address, port), call, patience, self.message, answer)
    }

    fn now(&self) -> u32 {
        call::clock()
    }

    fn random(&mut self) -> u32 {
        self.stack.random()
    }
}

impl From<Fail> for exos_nfs::Fail {
    fn from(fail: Fail) -> Self {
        match fail {
            Fail::TimedOut => Self::TimedOut,
            _ => Self::Network,
        }
    }
}
