//! A table of two levels: a directory with a word for each 4 MB, the address of a *leaf* of 1024 entries.
//!
//! Where nothing is mapped the word is that of a leaf of zeros, so a lookup is two loads and no test. For each leaf the
//! root also says which part of the directory it is for, and between which entries something has been mapped: so all
//! that is mapped is found without looking at what is not.

use crate::{Memory, PAGE_BYTES, PAGES, PageTable, Run, TABLE_PAGES};

/// Entries of a leaf.
const ENTRIES: u32 = 1024;
/// Words of the directory.
const DIRECTORY: u32 = PAGES / ENTRIES;
/// The word with the number of leaves.
const USED: u32 = DIRECTORY;
/// The first of the words about each leaf: its place in the directory, the first and the last entry in use.
const LEAVES: u32 = USED + 1;

/// The form.
pub struct TwoLevel;

/// A word about a leaf.
struct Leaf {
    place: u32,
    first: u32,
    last: u32,
}

impl Leaf {
    fn of(word: u32) -> Self {
        Self { place: word >> 20, first: word >> 10 & 0x3ff, last: word & 0x3ff }
    }

    fn word(&self) -> u32 {
        self.place << 20 | self.first << 10 | self.last
    }
}

impl TwoLevel {
    /// How many leaves there are, and the words about them.
    fn leaves(memory: &impl Memory, root: u32) -> impl Iterator<Item = (u32, Leaf)> {
        let words = (0..memory.read(root + 4 * USED)).map(move |number| root + 4 * (LEAVES + number));
        words.map(|address| (address, Leaf::of(memory.read(address))))
    }

    fn leaf(memory: &impl Memory, root: u32, page: u32) -> u32 {
        memory.read(root + page / ENTRIES * 4)
    }
}

impl PageTable for TwoLevel {
    const ROOT: usize = (LEAVES + TABLE_PAGES) as usize;

    fn begin(memory: &mut impl Memory, root: u32) -> bool {
        memory.write(root + 4 * USED, 0);
        true
    }

    fn words(memory: &impl Memory, root: u32) -> impl Iterator<Item = u32> {
        let leaves = Self::leaves(memory, root);
        leaves.flat_map(move |(address, leaf)| [leaf.place, (address - root) / 4]).chain([USED])
    }

    fn find(memory: &impl Memory, root: u32, page: u32) -> Option<u32> {
        let place = Self::leaf(memory, root, page) + page % ENTRIES * 4;
        (memory.read(place) != 0).then_some(place)
    }

    fn make(memory: &mut impl Memory, root: u32, page: u32) -> Option<u32> {
        let (place, index) = (page / ENTRIES, page % ENTRIES);
        let mut leaf = Self::leaf(memory, root, page);
        if leaf == memory.empty() {
            let used = memory.read(root + 4 * USED);
            if used == TABLE_PAGES {
                return None;
            }
            leaf = memory.page()?;
            memory.write(root + 4 * (LEAVES + used), Leaf { place, first: index, last: index }.word());
            memory.write(root + 4 * USED, used + 1);
            memory.write(root + 4 * place, leaf);
        } else if memory.read(leaf + 4 * index) == 0 {
            let found = Self::leaves(memory, root).find(|(_, leaf)| leaf.place == place);
            if let Some((address, leaf)) = found
                && !(leaf.first..=leaf.last).contains(&index)
            {
                let wider = Leaf { place, first: leaf.first.min(index), last: leaf.last.max(index) };
                memory.write(address, wider.word());
            }
        }
        Some(leaf + 4 * index)
    }

    fn remove(memory: &mut impl Memory, root: u32, page: u32) {
        if let Some(place) = Self::find(memory, root, page) {
            memory.write(place, 0);
        }
    }

    fn next(memory: &impl Memory, root: u32, from: u32) -> Option<u32> {
        let in_leaf = |leaf: Leaf| {
            let start = leaf.place * ENTRIES;
            let entries = memory.read(root + 4 * leaf.place);
            let first = leaf.first.max(from.saturating_sub(start));
            (first..=leaf.last).find(|index| memory.read(entries + 4 * index) != 0).map(|index| start + index)
        };
        Self::leaves(memory, root).filter_map(|(_, leaf)| in_leaf(leaf)).min()
    }

    fn runs(memory: &impl Memory, root: u32, page: u32, count: u32, mut visit: impl FnMut(Run)) {
        let (mut page, end) = (page, page + count);
        while page < end {
            let in_leaf = (ENTRIES - page % ENTRIES).min(end - page);
            let leaf = Self::leaf(memory, root, page);
            if leaf != memory.empty() {
                visit(Run { place: leaf + page % ENTRIES * 4, count: in_leaf, step: 4 });
            }
            page += in_leaf;
        }
    }
}

const _: () = assert!(PAGE_BYTES == 4 * ENTRIES);
