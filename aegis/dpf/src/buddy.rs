//! Blocks of a piece of memory, in sizes that are powers of two (Knowlton's buddies): bounded work, whatever comes and
//! goes.

/// Words of the smallest block.
pub const UNIT: usize = 16;
/// Blocks have 2^0 to 2^14 units.
const ORDERS: usize = 15;

/// What is known of the block that begins with a unit.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct Block {
    /// If it is free, one more than its order; else 0.
    free: u16,
    /// The next free block of its order, and the one before: one more than the number of the first unit; 0 for none.
    next: u16,
    before: u16,
}

/// The free blocks of a piece of memory.
pub(crate) struct Buddy<'m> {
    blocks: &'m mut [Block],
    /// The first free block of each order, as in [`Block::next`].
    first: [u16; ORDERS],
    /// How many are free.
    count: [u16; ORDERS],
}

impl<'m> Buddy<'m> {
    /// For as many units as there are `blocks`, of which the first `taken` are not to be had.
    pub(crate) fn new(blocks: &'m mut [Block], taken: usize) -> Self {
        blocks.fill(Block::default());
        let mut buddy = Self { blocks, first: [0; ORDERS], count: [0; ORDERS] };
        let end = buddy.blocks.len().min(usize::from(u16::MAX));
        let mut unit = taken;
        while unit < end {
            let fits = (end - unit).ilog2().min(unit.trailing_zeros()).min(ORDERS as u32 - 1);
            buddy.push(unit, fits as usize);
            unit += 1 << fits;
        }
        buddy
    }

    /// The smallest order whose blocks have so many words.
    pub(crate) fn order(words: usize) -> usize {
        // The processor does not count zeros.
        (0..ORDERS - 1).find(|&order| words <= UNIT << order).unwrap_or(ORDERS - 1)
    }

    /// Takes a block; the number of its first unit.
    pub(crate) fn take(&mut self, order: usize) -> Option<usize> {
        let mut found = (order..ORDERS).find(|&order| self.first[order] != 0)?;
        let unit = usize::from(self.first[found]) - 1;
        self.remove(unit, found);
        while found > order {
            found -= 1;
            self.push(unit + (1 << found), found);
        }
        Some(unit)
    }

    /// Gives a block back.
    pub(crate) fn give(&mut self, mut unit: usize, mut order: usize) {
        while order + 1 < ORDERS {
            let other = unit ^ 1 << order;
            if self.blocks.get(other).is_none_or(|block| usize::from(block.free) != order + 1) {
                break;
            }
            self.remove(other, order);
            unit &= other;
            order += 1;
        }
        self.push(unit, order);
    }

    /// Gives back all of a block but the first part, of a smaller order.
    pub(crate) fn shrink(&mut self, unit: usize, mut order: usize, to: usize) {
        while order > to {
            order -= 1;
            self.push(unit + (1 << order), order);
        }
    }

    /// Whether so many blocks of an order could be had.
    pub(crate) fn has(&self, mut blocks: usize, order: usize) -> bool {
        for (of, &count) in self.count.iter().skip(order).enumerate() {
            let there = usize::from(count) << of;
            if there >= blocks {
                return true;
            }
            blocks -= there;
        }
        false
    }

    /// How many blocks of an order could be had.
    pub(crate) fn available(&self, order: usize) -> usize {
        (order..ORDERS).map(|free| usize::from(self.count[free]) << (free - order)).sum()
    }

    fn push(&mut self, unit: usize, order: usize) {
        let next = self.first[order];
        if let Some(next) = self.block(next) {
            next.before = unit as u16 + 1;
        }
        if let Some(block) = self.blocks.get_mut(unit) {
            *block = Block { free: order as u16 + 1, next, before: 0 };
            self.first[order] = unit as u16 + 1;
            self.count[order] += 1;
        }
    }

    fn remove(&mut self, unit: usize, order: usize) {
        let Block { next, before, .. } = core::mem::take(&mut self.blocks[unit]);
        match self.block(before) {
            Some(before) => before.next = next,
            None => self.first[order] = next,
        }
        if let Some(next) = self.block(next) {
            next.before = before;
        }
        self.count[order] -= 1;
    }

    fn block(&mut self, link: u16) -> Option<&mut Block> {
        self.blocks.get_mut(usize::from(link).checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_given_back_is_one_again() {
        let mut blocks = [Block::default(); 103];
        let mut buddy = Buddy::new(&mut blocks, 3);
        let whole = buddy.available(0);
        assert_eq!(whole, 100);
        let mut taken = std::vec::Vec::new();
        let mut state = 1_u32;
        let mut used = [false; 103];
        for _ in 0..10_000 {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
            let order = (state >> 16) as usize % 4;
            if state >> 30 < 2 {
                if let Some(unit) = buddy.take(order) {
                    assert!(unit >= 3 && unit % (1 << order) == 0);
                    let range = unit..unit + (1 << order);
                    assert!(used[range.clone()].iter().all(|used| !used), "taken twice");
                    used[range].fill(true);
                    taken.push((unit, order));
                }
            } else if !taken.is_empty() {
                let (unit, order) = taken.swap_remove((state >> 8) as usize % taken.len());
                used[unit..unit + (1 << order)].fill(false);
                buddy.give(unit, order);
            }
            assert_eq!(buddy.available(0), used[3..].iter().filter(|used| !**used).count());
        }
        taken.drain(..).for_each(|(unit, order)| buddy.give(unit, order));
        assert_eq!(buddy.available(0), whole);
        assert_eq!(buddy.available(5), 2);
        let unit = buddy.take(5).expect("there are two");
        buddy.shrink(unit, 5, 2);
        buddy.give(unit, 2);
        assert_eq!(buddy.available(5), 2);
    }
}
