//! The machine's memory and the map of what is in it.

use aegis_abi::boot::{MEMORY_FREE, MEMORY_PROM, MEMORY_RANGES, MemoryRange};
use aegis_abi::vm::PAGE_BYTES;
use heapless::Vec;

/// Just behind the exception vectors, the first thing in memory.
pub const VECTORS_END: u32 = 0x200;
/// Just behind what the PROM keeps for itself: its data and stack, and what it passes to what it boots.
pub const PROM_END: u32 = 0x3_0000;
/// Just behind all that can be memory: on a DECstation 5000/200 the TURBOchannel begins here.
pub const MEMORY_END: u32 = 0x1e00_0000;

/// The beginning of kseg0: here the kernel sees physical memory, through the caches.
pub const KSEG0: u32 = 0x8000_0000;
/// Just behind kseg0.
pub const KSEG0_END: u32 = 0xa000_0000;

/// Physical addresses from `start` to just before `end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Extent {
    /// The first address inside.
    pub start: u32,
    /// The first address behind.
    pub end: u32,
}

/// The pieces of memory that a machine has, in ascending order.
pub type Extents = Vec<Extent, { MEMORY_RANGES / 2 }>;

/// The largest page that a bitmap of pages may have.
const BITMAP_PAGE_MAX: u32 = 0x1_0000;

/// The machine's memory, from the PROM's bitmap of pages: bit 0 of the first word stands for the first page, a set
/// bit for memory that works.
///
/// Pages that the PROM keeps for itself may be clear in its bitmap; they are memory if the memory begins no later
/// than where they end. `None` if there is no memory, if it is in too many pieces, or if the size of a page is not
/// one that a bitmap may have.
#[must_use]
pub fn from_bitmap(page_bytes: u32, bitmap: &[u32]) -> Option<Extents> {
    if !page_bytes.is_power_of_two() || !(PAGE_BYTES..=BITMAP_PAGE_MAX).contains(&page_bytes) {
        return None;
    }
    let mut extents = Extents::new();
    let mut start = 0_u32;
    let mut add = |pages: usize, present: bool| {
        let bytes = u32::try_from(pages).unwrap_or(u32::MAX).saturating_mul(page_bytes);
        let end = start.saturating_add(bytes).min(MEMORY_END);
        if present && start < end {
            match extents.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => extents.push(Extent { start, end }).ok()?,
            }
        }
        start = end;
        Some(())
    };
    // There are many words, and nearly all are like the one before.
    for run in bitmap.chunk_by(|one, next| one == next) {
        match run {
            [0, ..] => add(32 * run.len(), false)?,
            [u32::MAX, ..] => add(32 * run.len(), true)?,
            _ => {
                for bits in run {
                    (0..32).try_for_each(|bit| add(1, bits & 1 << bit != 0))?;
                }
            }
        }
    }
    let first = extents.first_mut()?;
    if first.start <= PROM_END {
        first.start = 0;
    }
    Some(extents)
}

/// Why a piece of memory can't be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// The machine has no memory there.
    NoMemory,
    /// Something is there: one of the `MEMORY_` numbers.
    By(u32),
    /// The map would have more ranges than [`MEMORY_RANGES`].
    Full,
}

/// What is in memory: ascending ranges that never overlap and together are all of it.
#[derive(Clone, Debug)]
pub struct Map {
    ranges: Vec<MemoryRange, MEMORY_RANGES>,
}

impl Map {
    /// A map in which all memory is free, but what the PROM keeps.
    ///
    /// # Errors
    /// [`Taken::NoMemory`] if memory does not begin at 0, is not in ascending order or not made of whole pages;
    /// [`Taken::Full`].
    pub fn new(memory: &[Extent]) -> Result<Self, Taken> {
        let mut ranges = Vec::new();
        let mut behind = 0;
        for extent in memory {
            if extent.start < behind || extent.end <= extent.start || extent.end > MEMORY_END {
                return Err(Taken::NoMemory);
            }
            if !extent.start.is_multiple_of(PAGE_BYTES) || !extent.end.is_multiple_of(PAGE_BYTES) {
                return Err(Taken::NoMemory);
            }
            let free = MemoryRange { start: extent.start, bytes: extent.end - extent.start, kind: MEMORY_FREE };
            ranges.push(free).map_err(|_| Taken::Full)?;
            behind = extent.end;
        }
        let mut map = Self { ranges };
        map.claim(Extent { start: 0, end: PROM_END }, MEMORY_PROM)?;
        Ok(map)
    }

    /// The ranges, in ascending order.
    #[must_use]
    pub fn ranges(&self) -> &[MemoryRange] {
        &self.ranges
    }

    /// Makes the pages that `extent` touches `kind`. All must be free memory.
    ///
    /// # Errors
    /// See [`Taken`]. The map is unchanged then.
    pub fn claim(&mut self, extent: Extent, kind: u32) -> Result<(), Taken> {
        let start = extent.start & !(PAGE_BYTES - 1);
        let end = extent.end.checked_next_multiple_of(PAGE_BYTES).ok_or(Taken::NoMemory)?;
        if start >= end {
            return Ok(());
        }
        let at = self.ranges.iter().position(|range| range.start <= start && start < end_of(range));
        let at = at.ok_or(Taken::NoMemory)?;
        let Some(&found) = self.ranges.get(at) else { return Err(Taken::NoMemory) };
        if found.kind != MEMORY_FREE {
            return Err(Taken::By(found.kind));
        }
        if end > end_of(&found) {
            // Either memory ends there or it goes on with something that is not free.
            let behind = self.ranges.get(at + 1).filter(|next| next.start == end_of(&found));
            return Err(behind.map_or(Taken::NoMemory, |next| Taken::By(next.kind)));
        }

        // What stands before joins the claim if it is of the same kind; nothing of that kind can stand behind it
        // unless it was claimed first, and then the two stay apart, which is no harm.
        let mut ranges = self.ranges.clone();
        let mut at = at;
        let mut claimed = MemoryRange { start, bytes: end - start, kind };
        ranges.remove(at);
        if start > found.start {
            let before = MemoryRange { start: found.start, bytes: start - found.start, kind: MEMORY_FREE };
            ranges.insert(at, before).map_err(|_| Taken::Full)?;
            at += 1;
        } else if let Some(before) = at.checked_sub(1).and_then(|before| ranges.get(before)).copied()
            && before.kind == kind
            && end_of(&before) == start
        {
            at -= 1;
            ranges.remove(at);
            claimed = MemoryRange { start: before.start, bytes: before.bytes + claimed.bytes, kind };
        }
        ranges.insert(at, claimed).map_err(|_| Taken::Full)?;
        if end < end_of(&found) {
            let behind = MemoryRange { start: end, bytes: end_of(&found) - end, kind: MEMORY_FREE };
            ranges.insert(at + 1, behind).map_err(|_| Taken::Full)?;
        }
        self.ranges = ranges;
        Ok(())
    }

    /// Finds the first `bytes` of free memory in one piece at or behind `from` and makes them `kind`.
    ///
    /// # Errors
    /// [`Taken::NoMemory`] if there is no such piece; [`Taken::Full`].
    pub fn allocate(&mut self, bytes: u32, from: u32, kind: u32) -> Result<u32, Taken> {
        let fits = |range: &MemoryRange| {
            let start = range.start.max(from);
            (range.kind == MEMORY_FREE && end_of(range).checked_sub(start)? >= bytes).then_some(start)
        };
        let start = self.ranges.iter().find_map(fits).ok_or(Taken::NoMemory)?;
        self.claim(Extent { start, end: start + bytes }, kind)?;
        Ok(start)
    }
}

/// The first address behind a range.
fn end_of(range: &MemoryRange) -> u32 {
    range.start + range.bytes
}
