//! Lottery scheduling (Waldspurger and Weihl): a ticket is drawn for each quantum. Shares come out right in the long run
//! only, but there is nothing to remember, and who comes or goes disturbs nobody.

use crate::schedule::{CLIENTS, Policy, Refused, admitted};
use heapless::Vec;

/// Clients with tickets.
pub struct Lottery {
    /// Ids, and how many tickets each has.
    clients: Vec<(u32, u32), CLIENTS>,
    tickets: u32,
    chance: u32,
}

impl Lottery {
    /// No clients. The same seed gives the same draws.
    #[must_use]
    pub const fn new(seed: u32) -> Self {
        // Of zero nothing but zero comes.
        Self { clients: Vec::new(), tickets: 0, chance: if seed == 0 { 1 } else { seed } }
    }

    /// A number that nobody expects: Marsaglia's xorshift.
    fn draw(&mut self) -> u32 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 17;
        self.chance ^= self.chance << 5;
        self.chance
    }
}

impl Policy for Lottery {
    fn add(&mut self, id: u32, share: u16) -> Result<(), Refused> {
        self.tickets = admitted(self.clients.len(), self.tickets, share)?;
        self.clients.push((id, share.into())).map_err(|_| Refused::Full)
    }

    fn remove(&mut self, id: u32) {
        self.clients.retain(|&(client, _)| client != id);
        self.tickets = self.clients.iter().map(|&(_, tickets)| tickets).sum();
    }

    fn next(&mut self) -> Option<u32> {
        // The upper half of the draw, times so many tickets: fits, and favours nobody noticeably.
        let mut ticket = ((self.draw() >> 16) * self.tickets) >> 16;
        for &(id, tickets) in &self.clients {
            if ticket < tickets {
                return Some(id);
            }
            ticket -= tickets;
        }
        None
    }
}
