//! Stride scheduling (Waldspurger and Weihl; the paper's section 7.3): each client gets its share of the processor, and
//! is never more than one quantum off it.
//!
//! A client's *stride* is the inverse of its share. Its *pass* grows by a stride with each quantum that it gets, and who
//! has the least pass is next; of equals, who was added first. Taken alone that lets a client with a large share run
//! ahead of many with small ones; so only those are asked whom another quantum takes no more than one ahead of their
//! share. There is always one, and nobody falls behind by more than one either (the earliest deadline of those that are
//! eligible: Stoica and others' EEVDF, Baruah and others' P-fairness). For the paper's shares, 3:2:1, this never makes a
//! difference.
//!
//! Nothing is rounded: a stride is a fraction, passes are compared crosswise. After as many quanta as there are shares
//! everybody has exactly what it should, and all begins anew; so it does when clients come or go.

use crate::schedule::{CLIENTS, Policy, Refused, admitted};
use heapless::Vec;

struct Client {
    id: u32,
    share: u32,
    /// Quanta since the beginning.
    had: u32,
}

impl Client {
    /// Whether this client's pass, when it has had another quantum, is less than the other's then.
    fn before(&self, other: &Self) -> bool {
        (self.had + 1) * other.share < (other.had + 1) * self.share
    }
}

/// Clients with shares.
#[derive(Default)]
pub struct Stride {
    clients: Vec<Client, CLIENTS>,
    /// All shares.
    shares: u32,
    /// Quanta since the beginning, fewer than `shares`.
    quanta: u32,
}

impl Stride {
    /// No clients.
    #[must_use]
    pub const fn new() -> Self {
        Self { clients: Vec::new(), shares: 0, quanta: 0 }
    }

    fn begin(&mut self) {
        self.quanta = 0;
        self.clients.iter_mut().for_each(|client| client.had = 0);
    }
}

impl Policy for Stride {
    fn add(&mut self, id: u32, share: u16) -> Result<(), Refused> {
        self.shares = admitted(self.clients.len(), self.shares, share)?;
        self.begin();
        self.clients.push(Client { id, share: share.into(), had: 0 }).map_err(|_| Refused::Full)
    }

    fn remove(&mut self, id: u32) {
        self.clients.retain(|client| client.id != id);
        self.shares = self.clients.iter().map(|client| client.share).sum();
        self.begin();
    }

    fn next(&mut self) -> Option<u32> {
        self.quanta += 1;
        // No more than one ahead: had + 1 <= share x quanta / shares + 1. Products are below 2^32: see `SHARES_MAX`.
        let (quanta, shares) = (self.quanta, self.shares);
        let eligible = self.clients.iter_mut().filter(|client| client.had * shares <= client.share * quanta);
        let next = eligible.reduce(|least, client| if client.before(least) { client } else { least })?;
        next.had += 1;
        let id = next.id;
        if self.quanta == self.shares {
            self.begin();
        }
        Some(id)
    }
}
