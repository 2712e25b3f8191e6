//! The way to a server of NFS: its calls are questions by UDP, put again while nobody answers.

use crate::question::Patience;
use crate::{Fail, Stack, Udp, passed};
use exos_nfs::{MESSAGE_MAX, Transport};
use exos_rt::call;
use smoltcp::wire::Ipv4Address;

/// Ticks from a call to the next: a quarter of a second.
const FIRST: u32 = 16;
/// Bytes of the socket for each direction: the answer, and some that came twice or late.
const BYTES: usize = 4 * MESSAGE_MAX;

/// Who has the stack through which a server is asked, and may have other things to do while it does not answer.
pub trait Owner {
    /// The stack.
    fn stack(&mut self) -> &mut Stack;

    /// Does what can be done now, without waiting. Called before each wait for the server.
    fn meanwhile(&mut self) {}
}

impl Owner for Stack {
    fn stack(&mut self) -> &mut Stack {
        self
    }
}

/// A server.
pub struct Server<'s, O = Stack> {
    /// Who asks it.
    pub owner: &'s mut O,
    udp: Udp,
    address: Ipv4Address,
    /// Ticks after which a call has failed.
    patience: u32,
    /// Room for an answer, and a byte: one that is longer is none, rather than cut off.
    message: &'static mut [u8],
}

impl<'s, O: Owner> Server<'s, O> {
    /// A server, of which each call has failed after so many ticks without an answer. Its memory, as a socket's, is not used
    /// again.
    ///
    /// # Errors
    /// Those of [`Stack::udp`].
    pub fn new(owner: &'s mut O, address: Ipv4Address, patience: u32) -> Result<Self, Fail> {
        let message = owner.stack().bytes(MESSAGE_MAX + 1)?;
        let udp = owner.stack().udp(0, BYTES)?;
        Ok(Self { owner, udp, address, patience, message })
    }

    /// It is not asked any more.
    pub fn close(self) {
        self.owner.stack().close_udp(self.udp);
    }
}

impl<O: Owner> Transport for Server<'_, O> {
    fn ask<R>(
        &mut self,
        port: u16,
        call: &[u8],
        mut answer: impl FnMut(&[u8]) -> Option<Result<R, exos_nfs::Fail>>,
    ) -> Result<R, exos_nfs::Fail> {
        let deadline = call::clock().wrapping_add(self.patience) & 0x7fff_ffff;
        let mut patience = Patience::beginning_with(FIRST, Some(deadline));
        loop {
            // As long as the server's interface is not known the last call is still to be sent.
            if !self.owner.stack().is_sending(self.udp) {
                self.owner.stack().send_to(self.udp, call, self.address, port)?;
            }
            let until = patience.until();
            loop {
                self.owner.meanwhile();
                let stack = self.owner.stack();
                match stack.take_from(self.udp, self.message) {
                    Some((bytes, from, their)) if (from, their) == (self.address, port) => {
                        if let Some(result) = answer(&self.message[..bytes]) {
                            return result;
                        }
                    }
                    // Somebody else's.
                    Some(_) => {}
                    None if passed(until) => break,
                    None => stack.step(Some(until)),
                }
            }
            if !patience.goes_on() {
                return Err(exos_nfs::Fail::TimedOut);
            }
        }
    }

    fn now(&self) -> u32 {
        call::clock()
    }

    fn random(&mut self) -> u32 {
        self.owner.stack().random()
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
