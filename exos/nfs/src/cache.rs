//! Blocks that were read, kept so that they need not be asked for again. How long attributes are believed, and which block
//! gives way to another, is for the application to say.
//!
//! A block is good as long as its file is as it was when the block was read: its size and its times. So nothing old is given
//! out for longer than attributes are believed.

use crate::client::{Attributes, BLOCK};
use exos_policy::paging::{PAGES, Replacement};

/// What the application decides.
pub trait Policy {
    /// Which block gives way: those are the pages.
    type Replacement: Replacement;

    /// Whether attributes are still believed that the server has said so many ticks ago.
    fn believes(&self, attributes: &Attributes, ticks: u32) -> bool;

    /// The order in which blocks give way.
    fn replacement(&mut self) -> &mut Self::Replacement;
}

/// Which file, and as it was when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct State {
    file: [u64; 2],
    size: u64,
    times: [[u32; 2]; 2],
}

impl State {
    fn of(attributes: &Attributes) -> Self {
        Self {
            file: [attributes.system, attributes.number],
            size: attributes.size,
            times: [attributes.modified, attributes.changed],
        }
    }
}

/// Room for a block.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// Of which file it is; of none if there is nothing in it.
    state: Option<State>,
    /// Which of the file's it is.
    block: u64,
    length: usize,
    bytes: [u8; BLOCK],
}

impl Slot {
    /// Nothing is in it.
    pub const EMPTY: Self = Self { state: None, block: 0, length: 0, bytes: [0; BLOCK] };
}

/// The blocks.
#[derive(Debug)]
pub struct Cache<'m, P> {
    pub(crate) policy: P,
    slots: &'m mut [Slot],
    /// How many have been used.
    used: usize,
}

impl<'m, P: Policy> Cache<'m, P> {
    /// An empty one, with room for so many blocks, of which no more are used than a policy knows pages.
    #[must_use]
    pub fn new(policy: P, slots: &'m mut [Slot]) -> Self {
        let count = slots.len().min(PAGES);
        Self { policy, slots: &mut slots[..count], used: 0 }
    }

    /// A block of a file that has these attributes, if it is here.
    pub(crate) fn find(&mut self, attributes: &Attributes, block: u64) -> Option<&[u8]> {
        let state = Some(State::of(attributes));
        let at = self.slots.iter().position(|slot| slot.state == state && slot.block == block)?;
        self.policy.replacement().used(at as u16, false);
        let slot = &self.slots[at];
        Some(&slot.bytes[..slot.length])
    }

    /// Keeps a block of a file that had these attributes when it was read.
    pub(crate) fn keep(&mut self, attributes: &Attributes, block: u64, bytes: &[u8]) {
        let Some(to) = (bytes.len() <= BLOCK).then(|| self.place()).flatten() else { return };
        let slot = &mut self.slots[to];
        (slot.state, slot.block, slot.length) = (Some(State::of(attributes)), block, bytes.len());
        slot.bytes[..bytes.len()].copy_from_slice(bytes);
        self.policy.replacement().used(to as u16, false);
    }

    /// Where there is nothing yet, or what gives way.
    fn place(&mut self) -> Option<usize> {
        if self.used < self.slots.len() {
            self.used += 1;
            return Some(self.used - 1);
        }
        self.policy.replacement().evict().map(usize::from).filter(|&slot| slot < self.slots.len())
    }

    /// Blocks of a file were written, and nothing else has happened to it: the others are good as it is now.
    pub(crate) fn written(&mut self, before: &Attributes, now: &Attributes, blocks: core::ops::RangeInclusive<u64>) {
        let (before, now) = (Some(State::of(before)), Some(State::of(now)));
        for slot in self.slots.iter_mut().filter(|slot| slot.state == before) {
            // The last one may have become longer without being written to.
            let whole = slot.length == BLOCK && !blocks.contains(&slot.block);
            slot.state = now.filter(|_| whole);
        }
    }
}
