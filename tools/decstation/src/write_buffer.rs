//! The write buffer between the write-through cache and memory: when stores stall, and what a read waits for.
//!
//! It carries time, not data: memory is up to date as soon as a store executes.

use crate::profile::{Cycles, WriteBufferTiming};
use borsh::{BorshDeserialize, BorshSerialize};
use std::collections::VecDeque;

/// A write that waits for memory or is on its way.
#[derive(Clone, Copy, Debug, BorshSerialize, BorshDeserialize)]
struct Write {
    /// Physical word address.
    pa: u32,
    /// When it entered the buffer.
    entered: u64,
    /// Memory cycles it takes beyond those of a word in memory; for a device, all of them.
    cost: Cost,
}

#[derive(Clone, Copy, Debug, BorshSerialize, BorshDeserialize)]
enum Cost {
    Memory { extra: Cycles },
    Device(Cycles),
}

/// The buffer.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub struct WriteBuffer {
    timing: WriteBufferTiming,
    /// Not begun, oldest first.
    waiting: VecDeque<Write>,
    /// When memory will have finished what it has begun.
    free_at: u64,
    /// Whether what memory has begun is a write: it keeps its entry until it is done.
    writing: bool,
    /// The DRAM page that is open, if the last access was a write.
    open_page: Option<u32>,
}

/// The page that page mode keeps open: 4 KB.
fn page(pa: u32) -> u32 {
    pa >> 12
}

impl WriteBuffer {
    /// An empty buffer.
    pub fn new(timing: WriteBufferTiming) -> WriteBuffer {
        WriteBuffer { timing, waiting: VecDeque::with_capacity(8), free_at: 0, writing: false, open_page: None }
    }

    /// Begins the oldest write.
    fn begin(&mut self) {
        let Some(write) = self.waiting.pop_front() else { return };
        let cycles = match write.cost {
            Cost::Device(cycles) => {
                self.open_page = None;
                cycles
            }
            Cost::Memory { extra } => {
                let same = self.open_page == Some(page(write.pa));
                self.open_page = Some(page(write.pa));
                extra + if same { self.timing.page_write } else { self.timing.other_write }
            }
        };
        self.free_at = self.free_at.max(write.entered) + u64::from(cycles);
        self.writing = true;
    }

    /// Lets memory work until `now`.
    fn advance(&mut self, now: u64) {
        while let Some(write) = self.waiting.front() {
            if self.free_at.max(write.entered) >= now {
                break;
            }
            self.begin();
        }
    }

    fn taken(&self, now: u64) -> usize {
        self.waiting.len() + usize::from(self.writing && self.free_at > now)
    }

    /// A store whose cycle begins at `now`. Returns how long it stalls.
    fn push(&mut self, now: u64, pa: u32, cost: Cost) -> u64 {
        let pa = pa & !3;
        self.advance(now);
        if self.timing.merge
            && matches!(cost, Cost::Memory { .. })
            && self.waiting.back().is_some_and(|last| last.pa == pa && matches!(last.cost, Cost::Memory { .. }))
        {
            return 0;
        }
        let mut start = now;
        while self.taken(start) >= self.timing.depth {
            if self.free_at <= start {
                self.begin();
            }
            start = start.max(self.free_at);
            self.advance(start);
        }
        self.waiting.push_back(Write { pa, entered: start + 1, cost });
        start - now
    }

    /// A store to memory in the cycle that begins at `now`; returns the stall.
    pub fn store(&mut self, now: u64, pa: u32, partial: bool) -> u64 {
        let extra = if partial { self.timing.partial_write } else { 0 };
        self.push(now, pa, Cost::Memory { extra })
    }

    /// A store to a device; returns the stall.
    pub fn store_device(&mut self, now: u64, pa: u32, cycles: Cycles) -> u64 {
        self.push(now, pa, Cost::Device(cycles))
    }

    /// A read that memory or the bus serves in `cycles`: how long it waits before it is served.
    ///
    /// `conflict` is the range of words it reads from memory, none for a device.
    pub fn read(&mut self, now: u64, conflict: Option<(u32, u32)>, cycles: Cycles) -> u64 {
        self.advance(now);
        if self.timing.drain_before_read {
            while !self.waiting.is_empty() {
                self.begin();
            }
        } else if let Some((first, words)) = conflict {
            let range = first..first.saturating_add(words * 4);
            while self.waiting.iter().any(|w| range.contains(&w.pa)) {
                self.begin();
            }
        }
        let start = self.free_at.max(now);
        self.free_at = start + u64::from(cycles);
        self.writing = false;
        self.open_page = None;
        start - now
    }

    /// Whether every write has reached memory: the CpCond(0) input of the KN01 and KN02.
    pub fn is_empty(&mut self, now: u64) -> bool {
        self.advance(now);
        self.taken(now) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{DEC3100, DEC5000, DEC5000_200, Profile};

    /// Issues `n` stores back to back to one page; CPU cycles, then cycles until memory is done.
    fn burst(profile: Profile, n: u32) -> (u64, u64) {
        let mut buffer = WriteBuffer::new(profile.write_buffer);
        let mut now = 0;
        for i in 0..n {
            now += buffer.store(now, 0x1000 + i * 4, false) + 1;
        }
        let mut done = now;
        while !buffer.is_empty(done) {
            done += 1;
        }
        (now, done)
    }

    #[test]
    fn bursts_of_stores() {
        // Worked out by hand from the parameters: the first write starts one cycle after its store.
        assert_eq!(burst(DEC3100, 3), (3, 19));
        assert_eq!(burst(DEC3100, 8).0, 26);
        assert_eq!(burst(DEC3100, 32).0, 170);
        assert_eq!(burst(DEC5000_200, 3), (3, 8));
        assert_eq!(burst(DEC5000_200, 8).0, 8);
        assert_eq!(burst(DEC5000_200, 32).0, 32);
        assert_eq!(burst(DEC5000, 3), (3, 15));
        assert_eq!(burst(DEC5000, 8).0, 18);
        assert_eq!(burst(DEC5000, 32).0, 66);
    }

    #[test]
    fn a_read_waits_for_the_write_that_has_begun() {
        let mut buffer = WriteBuffer::new(DEC3100.write_buffer);
        assert_eq!(buffer.store(0, 0, false), 0);
        assert_eq!(buffer.store(1, 4, false), 0);
        // The first write runs from 1 to 7; the second waits and is not in the way.
        assert_eq!(buffer.read(3, Some((0x100, 1)), 5), 4);
        // It began at 12, when the read was done.
        assert!(!buffer.is_empty(17));
        assert!(buffer.is_empty(18));
    }

    #[test]
    fn a_read_of_a_waiting_word_waits_for_it() {
        let mut buffer = WriteBuffer::new(DEC3100.write_buffer);
        buffer.store(0, 0, false);
        buffer.store(1, 4, false);
        assert_eq!(buffer.read(3, Some((4, 1)), 5), 10);
    }
}
