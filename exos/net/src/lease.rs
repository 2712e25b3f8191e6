//! An address that DHCP has lent: it is renewed in time, or given up at the end (RFC 2131, section 4.4.5).
//!
//! At half of its time the server that has lent it is asked, at seven eighths everybody, and once more between: that is
//! `smoltcp`'s, whose socket has the times. The filter for the answers is any program's who asks, one at a time. So nearly
//! always the socket is at rest, in a set of its own that has no way out; only to ask it comes among the others.

use crate::filter::Purpose;
use crate::host::is_machines;
use crate::stack::ticks;
use crate::{Fail, Host, Stack, now, passed};
use exos_rt::abi::slice::MICROSECONDS;
use exos_rt::call;
use smoltcp::iface::{SocketHandle, SocketSet, SocketStorage};
use smoltcp::phy::{Device, DeviceCapabilities, RxToken, TxToken};
use smoltcp::socket::{Socket, dhcpv4};
use smoltcp::time::Instant;

/// Ticks for which an answer is waited for.
const ANSWER: u32 = 4_000_000 / MICROSECONDS;
/// Ticks until it is tried again, if another program asks just now, or nobody has answered.
const AGAIN: u32 = 1_000_000 / MICROSECONDS;

/// What was lent.
pub(crate) struct Lease {
    /// Where the socket is at rest.
    rest: SocketSet<'static>,
    phase: Phase,
}

#[derive(Clone, Copy)]
enum Phase {
    /// Nothing is lent.
    None,
    /// It is at rest, at least until a tick.
    Rests(SocketHandle, u32),
    /// It is among the others, and asks, until a tick.
    Asks(SocketHandle, u32),
    /// What was lent was not lent again.
    Lost,
}

impl Lease {
    /// Nothing is lent; room for the socket.
    pub fn new(room: &'static mut [SocketStorage<'static>]) -> Self {
        Self { rest: SocketSet::new(room), phase: Phase::None }
    }
}

impl Stack {
    /// What the socket among the others has got is lent from now on, and it goes to rest.
    pub(crate) fn keep_lease(&mut self, asking: SocketHandle) {
        // So each answer shows, whether or not it says anything new.
        self.sockets.get_mut::<dhcpv4::Socket>(asking).set_receive_packet_buffer(&mut []);
        self.rest(asking, 0);
    }

    /// What was lent is the program's no longer, or not missed any more: whether there was anything.
    pub(crate) fn forget_lease(&mut self) -> bool {
        match core::mem::replace(&mut self.lease.phase, Phase::None) {
            Phase::None => return false,
            Phase::Lost => {}
            Phase::Rests(handle, _) => drop(self.lease.rest.remove(handle)),
            Phase::Asks(handle, _) => {
                self.sockets.remove(handle);
                self.binding.close(Purpose::Dhcp);
            }
        }
        true
    }

    /// Fails if the machine's address was lent, and is not any more.
    pub(crate) fn has_address(&self) -> Result<(), Fail> {
        if matches!(self.lease.phase, Phase::Lost) { Err(Fail::NoAddress) } else { Ok(()) }
    }

    /// Asks if it is time to, and looks at what was said; whether there was anything.
    pub(crate) fn attend_lease(&mut self) -> bool {
        match self.lease.phase {
            Phase::Rests(handle, until) if passed(until) => match self.due_in() {
                0 => self.begin_to_ask(handle),
                ticks => self.lease.phase = Phase::Rests(handle, in_ticks(ticks)),
            },
            Phase::Asks(handle, until) => match changed(&mut self.sockets, handle) {
                // With another address all filters and connections would be another machine's.
                Some(Some(host)) if self.host().is_some_and(|known| known.address == host.address) => {
                    self.rest(handle, 0);
                    self.binding.close(Purpose::Dhcp);
                    if self.host() != Some(host) {
                        self.adopt(host);
                    }
                }
                Some(_) => self.lose_address(),
                None if passed(until) => {
                    self.rest(handle, AGAIN);
                    self.binding.close(Purpose::Dhcp);
                }
                None => return false,
            },
            Phase::None | Phase::Rests(..) | Phase::Lost => return false,
        }
        true
    }

    /// Ticks until there is something to attend to.
    pub(crate) fn lease_in(&self) -> Option<u32> {
        match self.lease.phase {
            Phase::Rests(_, until) | Phase::Asks(_, until) if !passed(until) => {
                Some(until.wrapping_sub(call::clock()) & 0x7fff_ffff)
            }
            Phase::Rests(..) | Phase::Asks(..) => Some(0),
            Phase::None | Phase::Lost => None,
        }
    }

    /// Ticks until the socket at rest would send something.
    fn due_in(&mut self) -> u32 {
        self.interface.poll_delay(now(), &self.lease.rest).map_or(0, ticks)
    }

    /// It is time to ask, or to give up what was lent.
    fn begin_to_ask(&mut self, handle: SocketHandle) {
        // If it is at its end the socket finds that out when it would send.
        self.interface.poll_egress(now(), &mut Nowhere, &mut self.lease.rest);
        self.lease.phase = if changed(&mut self.lease.rest, handle).is_some() {
            return self.lose_address();
        } else if self.binding.open(Purpose::Dhcp).is_ok() {
            let asking = transfer(&mut self.lease.rest, handle, &mut self.sockets);
            Phase::Asks(asking, in_ticks(ANSWER))
        } else {
            Phase::Rests(handle, in_ticks(AGAIN))
        };
    }

    /// It goes to rest, for so many ticks at least.
    fn rest(&mut self, asking: SocketHandle, least: u32) {
        let handle = transfer(&mut self.sockets, asking, &mut self.lease.rest);
        self.lease.phase = Phase::Rests(handle, in_ticks(least.max(self.due_in())));
    }

    /// The machine has no address any more.
    pub(crate) fn lose_address(&mut self) {
        self.forget_lease();
        self.lease.phase = Phase::Lost;
        self.remove_host();
    }
}

/// Moves the socket from one set to another.
fn transfer(from: &mut SocketSet<'static>, handle: SocketHandle, to: &mut SocketSet<'static>) -> SocketHandle {
    let Socket::Dhcpv4(socket) = from.remove(handle) else { unreachable!("it is DHCP's") };
    to.add(socket)
}

/// What the socket tells that is new: what is lent, or that nothing is.
pub(crate) fn changed(set: &mut SocketSet<'static>, handle: SocketHandle) -> Option<Option<Host>> {
    set.get_mut::<dhcpv4::Socket>(handle).poll().map(|event| match event {
        dhcpv4::Event::Configured(lent) => Some(Host {
            address: lent.address,
            gateway: lent.router.filter(|&router| is_machines(router)),
            names: lent.dns_servers.first().copied(),
        }),
        dhcpv4::Event::Deconfigured => None,
    })
}

/// The tick that is so many from now.
fn in_ticks(ticks: u32) -> u32 {
    call::clock().wrapping_add(ticks) & 0x7fff_ffff
}

/// A way out that leads nowhere, and on which nothing comes.
struct Nowhere;

/// What there is none of.
enum Nothing {}

impl Device for Nowhere {
    type RxToken<'a> = Nothing;
    type TxToken<'a> = Nothing;

    fn receive(&mut self, _: Instant) -> Option<(Nothing, Nothing)> {
        None
    }

    fn transmit(&mut self, _: Instant) -> Option<Nothing> {
        None
    }

    fn capabilities(&self) -> DeviceCapabilities {
        DeviceCapabilities::default()
    }
}

impl RxToken for Nothing {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, _: F) -> R {
        match self {}
    }
}

impl TxToken for Nothing {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, _: usize, _: F) -> R {
        match self {}
    }
}
