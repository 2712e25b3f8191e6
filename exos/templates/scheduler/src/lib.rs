//! ExOS with another scheduler: rounds, in which each client gets as many quanta in a row as it has shares.
//!
//! A policy says who is next; the rest is ExOS's: `exos::scheduler` owns the slices and yields each to the client that the
//! policy names. The shares come out exactly, round by round, and a decision takes constant time; what it costs is that a
//! client may wait for as long as all others' shares together.

#![no_std]
#![feature(asm_experimental_arch)]

use exos_policy::schedule::{CLIENTS, Policy, Refused, SHARES_MAX};

// The compiler has a fault, which `cargo exo` mends if there is room.
exos_rt::room_for_mends!();

/// A client, and how many quanta of a round it gets.
#[derive(Clone, Copy)]
struct Client {
    id: u32,
    share: u32,
}

/// Clients in rounds.
pub struct Rounds {
    clients: [Client; CLIENTS],
    count: usize,
    /// Whose turn it is, and how many quanta it has had of it.
    turn: usize,
    had: u32,
}

impl Rounds {
    /// No clients.
    #[must_use]
    pub const fn new() -> Self {
        Self { clients: [Client { id: 0, share: 0 }; CLIENTS], count: 0, turn: 0, had: 0 }
    }
}

impl Default for Rounds {
    fn default() -> Self {
        Self::new()
    }
}

impl Policy for Rounds {
    fn add(&mut self, id: u32, share: u16) -> Result<(), Refused> {
        let shares: u32 = self.clients[..self.count].iter().map(|client| client.share).sum();
        if share == 0 || shares + u32::from(share) > SHARES_MAX {
            return Err(Refused::BadShare);
        }
        let place = self.clients.get_mut(self.count).ok_or(Refused::Full)?;
        *place = Client { id, share: share.into() };
        self.count += 1;
        Ok(())
    }

    fn remove(&mut self, id: u32) {
        let Some(place) = self.clients[..self.count].iter().position(|client| client.id == id) else { return };
        self.clients.copy_within(place + 1..self.count, place);
        self.count -= 1;
        // Whose turn it was has moved, or its turn is over.
        if place < self.turn {
            self.turn -= 1;
        } else if place == self.turn {
            self.had = 0;
        }
    }

    fn next(&mut self) -> Option<u32> {
        if self.count == 0 {
            return None;
        }
        if self.turn >= self.count {
            (self.turn, self.had) = (0, 0);
        }
        let Client { id, share } = self.clients[self.turn];
        self.had += 1;
        if self.had == share {
            (self.turn, self.had) = (self.turn + 1, 0);
        }
        Some(id)
    }
}
