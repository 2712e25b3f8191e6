//! ExOS with another way for environments to talk: a channel of words in memory that two share.
//!
//! The sender goes on until the channel is full, the receiver until it is empty; only then does one yield to the other, by
//! name. So a word costs a few instructions, and a change of environments is shared by as many words as the channel holds. What
//! it costs is that a word waits until the sender has no room, or gives up its slice. The kernel knows nothing of it.

#![no_std]
#![feature(asm_experimental_arch)]

use exos_rt::abi::{EnvId, Error};
use exos_rt::call;
use exos_rt::shared::Shared;

// The compiler has a fault, which `cargo exo` mends if there is room.
exos_rt::room_for_mends!();

/// Words that a channel holds.
pub const WORDS: u32 = 64;

/// A channel from one sender to one receiver, in memory that both share. They trust each other with what is in it, and with
/// nothing else: a count that the other has spoiled is an error.
#[repr(C)]
pub struct Channel {
    /// Words ever sent, which the sender alone changes, and ever received, likewise, modulo 2^32.
    sent: Shared<u32>,
    received: Shared<u32>,
    words: [Shared<u32>; WORDS as usize],
}

impl Channel {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self { sent: Shared::new(0), received: Shared::new(0), words: [const { Shared::new(0) }; WORDS as usize] }
    }

    /// How many words are in it.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if the other side has spoiled it.
    pub fn waiting(&self) -> Result<u32, Error> {
        let waiting = self.sent.get().wrapping_sub(self.received.get());
        if waiting <= WORDS { Ok(waiting) } else { Err(Error::BadArgument) }
    }

    fn word(&self, number: u32) -> &Shared<u32> {
        &self.words[(number % WORDS) as usize]
    }

    /// Sends a word to `receiver`, which runs first if there is no room.
    ///
    /// # Errors
    /// [`Error::NoSuchEnvironment`] if it does not live, and that of [`waiting`](Self::waiting).
    pub fn send(&self, receiver: EnvId, word: u32) -> Result<(), Error> {
        while self.waiting()? == WORDS {
            call::yield_to(receiver)?;
        }
        let sent = self.sent.get();
        self.word(sent).set(word);
        // With the count the word is the receiver's.
        self.sent.set(sent.wrapping_add(1));
        Ok(())
    }

    /// The next word from `sender`, which runs first if there is none.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub fn receive(&self, sender: EnvId) -> Result<u32, Error> {
        while self.waiting()? == 0 {
            call::yield_to(sender)?;
        }
        let received = self.received.get();
        let word = self.word(received).get();
        self.received.set(received.wrapping_add(1));
        Ok(word)
    }
}

impl Default for Channel {
    fn default() -> Self {
        Self::new()
    }
}
