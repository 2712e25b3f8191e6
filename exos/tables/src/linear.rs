//! A linear vector of what is mapped, in the order of the pages, looked up by binary search: the paper's.
//!
//! An element is two words, the page's number and its entry.

use crate::{Memory, PAGE_BYTES, PageTable, Run};

/// Bytes of an element.
const ELEMENT: u32 = 8;
/// Words of the root: how many elements there are, where the first one is, and for how many there is memory.
const COUNT: u32 = 0;
const BASE: u32 = 4;
const ROOM: u32 = 8;

/// The form.
pub struct Linear;

impl Linear {
    /// Where the first element is that is not below `page`, and where the elements end.
    fn search(memory: &impl Memory, root: u32, page: u32) -> (u32, u32) {
        let (mut start, mut count) = (memory.read(root + BASE), memory.read(root + COUNT));
        let end = start + count * ELEMENT;
        while count != 0 {
            let half = count / 2;
            let middle = start + half * ELEMENT;
            if memory.read(middle) < page {
                start = middle + ELEMENT;
                count -= half + 1;
            } else {
                count = half;
            }
        }
        (start, end)
    }
}

impl PageTable for Linear {
    const ROOT: usize = 3;

    fn begin(memory: &mut impl Memory, root: u32) -> bool {
        for word in [COUNT, BASE, ROOM] {
            memory.write(root + word, 0);
        }
        true
    }

    fn words(_: &impl Memory, _: u32) -> impl Iterator<Item = u32> {
        0..Self::ROOT as u32
    }

    fn find(memory: &impl Memory, root: u32, page: u32) -> Option<u32> {
        let (place, end) = Self::search(memory, root, page);
        (place != end && memory.read(place) == page).then_some(place + 4)
    }

    fn make(memory: &mut impl Memory, root: u32, page: u32) -> Option<u32> {
        if let Some(place) = Self::find(memory, root, page) {
            return Some(place);
        }
        let count = memory.read(root + COUNT);
        let room = memory.read(root + ROOM);
        if count == room {
            let more = memory.page()?;
            if room == 0 {
                memory.write(root + BASE, more);
            }
            memory.write(root + ROOM, room + PAGE_BYTES / ELEMENT);
        }
        let (place, end) = Self::search(memory, root, page);
        let mut to = end;
        while to != place {
            let (number, entry) = (memory.read(to - ELEMENT), memory.read(to - ELEMENT + 4));
            memory.write(to + 4, entry);
            memory.write(to, number);
            to -= ELEMENT;
        }
        memory.write(place + 4, 0);
        memory.write(place, page);
        memory.write(root + COUNT, count + 1);
        Some(place + 4)
    }

    fn remove(memory: &mut impl Memory, root: u32, page: u32) {
        let (mut place, end) = Self::search(memory, root, page);
        if place == end || memory.read(place) != page {
            return;
        }
        while place + ELEMENT != end {
            let (number, entry) = (memory.read(place + ELEMENT), memory.read(place + ELEMENT + 4));
            memory.write(place, number);
            memory.write(place + 4, entry);
            place += ELEMENT;
        }
        memory.write(root + COUNT, memory.read(root + COUNT) - 1);
    }

    fn next(memory: &impl Memory, root: u32, from: u32) -> Option<u32> {
        let (place, end) = Self::search(memory, root, from);
        (place != end).then(|| memory.read(place))
    }

    fn runs(memory: &impl Memory, root: u32, page: u32, count: u32, mut visit: impl FnMut(Run)) {
        let (first, _) = Self::search(memory, root, page);
        let (behind, _) = Self::search(memory, root, page + count);
        if first != behind {
            visit(Run { place: first + 4, count: (behind - first) / ELEMENT, step: ELEMENT });
        }
    }
}
