//! The machine's address, whom it asks for names, and through whom it reaches others: given, or found out by DHCP.

use crate::filter::Purpose;
use crate::lease::changed;
use crate::question::Patience;
use crate::{Fail, Stack};
use exos_rt::abi::slice::MICROSECONDS;
use smoltcp::socket::dhcpv4;
use smoltcp::time::Duration;
use smoltcp::wire::{Ipv4Address, Ipv4Cidr};

/// What a machine has to know of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Host {
    /// Its address and its network's.
    pub address: Ipv4Cidr,
    /// Who passes on what is for other networks.
    pub gateway: Option<Ipv4Address>,
    /// Who knows names.
    pub names: Option<Ipv4Address>,
}

impl Host {
    /// What a text says: an address with the bits of its network, the gateway, and who knows names, the last two if there are
    /// any: `10.0.2.15/24,10.0.2.2,10.0.2.3`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(',');
        let address: Ipv4Cidr = words.next()?.parse().ok()?;
        let mut next = || words.next().map(|word| word.parse().map_err(drop)).transpose();
        let host = Self { address, gateway: next().ok()?, names: next().ok()? };
        let mut all = [Some(address.address()), host.gateway, host.names].into_iter().flatten();
        (words.next().is_none() && all.all(is_machines)).then_some(host)
    }
}

/// Whether an address can be a single machine's.
pub(crate) fn is_machines(address: Ipv4Address) -> bool {
    !address.is_unspecified() && !address.is_multicast() && !address.is_broadcast()
}

impl Stack {
    /// Asks the network's server by DHCP, again and again until the tick `deadline`, and takes what it says. That is lent for a
    /// time, and is renewed by [`Stack::poll`]; if it can't be it is given up at the end, and then whatever takes an address
    /// fails with [`Fail::NoAddress`], connections are broken off, and [`Stack::host`] is none. It may be asked again
    /// at any time; sockets for datagrams and pings have then to be made anew. What was lent before is given up if that fails.
    ///
    /// # Errors
    /// [`Fail::Taken`] if another program asks all the time; [`Fail::TimedOut`]; [`Fail::NoRoom`].
    pub fn ask_host(&mut self, deadline: Option<u32>) -> Result<Host, Fail> {
        let lent = self.forget_lease();
        let result = self.ask_dhcp(deadline);
        if result.is_err() && lent {
            self.lose_address();
        }
        result
    }

    fn ask_dhcp(&mut self, deadline: Option<u32>) -> Result<Host, Fail> {
        let mut patience = Patience::new(deadline);
        while let Err(fail) = self.binding.open(Purpose::Dhcp) {
            if fail != Fail::Taken {
                return Err(fail);
            }
            // Another program asks, and may soon be through.
            let _ = self.until::<()>(Some(patience.until()), |_| None);
            if !patience.goes_on() {
                return Err(fail);
            }
        }
        let handle = self.sockets.add(dhcpv4::Socket::new());
        let mut patience = Patience::new(deadline);
        let host = loop {
            let socket = self.sockets.get_mut::<dhcpv4::Socket>(handle);
            let mut retry = socket.get_retry_config();
            retry.discover_timeout = Duration::from_micros(u64::from(patience.wait) * u64::from(MICROSECONDS));
            retry.initial_request_timeout = retry.discover_timeout;
            socket.set_retry_config(retry);
            match self.until(Some(patience.until()), |stack| changed(&mut stack.sockets, handle).flatten()) {
                Err(Fail::TimedOut) if patience.goes_on() => {}
                result => break result,
            }
        };
        match host {
            Ok(host) => {
                self.set_host(host);
                self.keep_lease(handle);
            }
            Err(_) => drop(self.sockets.remove(handle)),
        }
        self.binding.close(Purpose::Dhcp);
        host
    }
}
