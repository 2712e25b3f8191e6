//! The three forms do what a map does, whatever is asked of them in whatever order, and say so when memory is used up.

use std::collections::BTreeMap;

use exos_tables::{Inverted, Linear, Memory, PAGE_BYTES, PAGES, PageTable, Run, TABLE_PAGES, TwoLevel};
use proptest::prelude::*;

/// Where the pages of a table begin, and its root.
const START: u32 = 0x3ffe_0000;
const ROOT: u32 = 0x7400;

/// Memory of a few pages; any access elsewhere, or not to a word, is an error.
struct Words {
    root: Vec<u32>,
    pages: Vec<u32>,
    room: u32,
}

impl Words {
    fn new(root: usize, room: u32) -> Self {
        // What was there before a table is made is anything.
        Self { root: vec![0xdead_beef; root], pages: vec![0; 1024], room }
    }

    fn place(&self, address: u32) -> (bool, usize) {
        assert!(address.is_multiple_of(4), "{address:#x}");
        if address < START { (true, (address - ROOT) as usize / 4) } else { (false, (address - START) as usize / 4) }
    }
}

impl Memory for Words {
    fn read(&self, address: u32) -> u32 {
        let (root, place) = self.place(address);
        if root { self.root[place] } else { self.pages[place] }
    }

    fn write(&mut self, address: u32, word: u32) {
        assert!(!(START..START + PAGE_BYTES).contains(&address), "the empty page is written to");
        let (root, place) = self.place(address);
        if root {
            self.root[place] = word;
        } else {
            self.pages[place] = word;
        }
    }

    fn page(&mut self) -> Option<u32> {
        self.room = self.room.checked_sub(1)?;
        let address = START + self.pages.len() as u32 * 4;
        self.pages.resize(self.pages.len() + 1024, 0);
        Some(address)
    }

    fn empty(&self) -> u32 {
        START
    }
}

#[derive(Clone, Debug)]
enum Step {
    Map(u32, u32),
    Unmap(u32),
    Find(u32),
    Next(u32),
    Change(u32, u32, u32),
}

fn page() -> impl Strategy<Value = u32> {
    // Many in few places, so that the same ones come up, at the ends of leaves and of user space.
    prop_oneof![
        0x4_0000..0x4_0020_u32,
        0x4_03f0..0x4_0410_u32,
        0..4_u32,
        PAGES - 4..PAGES,
        (0..40_u32).prop_map(|n| n * 0x400 + 7),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (page(), 1..u32::MAX).prop_map(|(page, entry)| Step::Map(page, entry)),
        3 => page().prop_map(Step::Unmap),
        2 => page().prop_map(Step::Find),
        2 => page().prop_map(Step::Next),
        1 => (page(), 1..60_u32, any::<u32>())
            .prop_map(|(page, count, bits)| Step::Change(page, count.min(PAGES - page), bits | 1)),
    ]
}

fn agrees<T: PageTable>(steps: &[Step], room: u32) -> Result<(), TestCaseError> {
    let mut memory = Words::new(T::ROOT, room);
    let mut oracle = BTreeMap::new();
    if !T::clear(&mut memory, ROOT) {
        prop_assert_eq!(room, 0);
        return Ok(());
    }
    for step in steps {
        match *step {
            Step::Map(page, entry) => match T::make(&mut memory, ROOT, page) {
                Some(place) => {
                    prop_assert_eq!(memory.read(place), oracle.get(&page).copied().unwrap_or(0));
                    memory.write(place, entry);
                    oracle.insert(page, entry);
                }
                None => {
                    prop_assert!(!oracle.contains_key(&page), "what is mapped needs no memory");
                    prop_assert!(memory.room == 0 || memory.room <= room - TABLE_PAGES);
                }
            },
            Step::Unmap(page) => {
                T::remove(&mut memory, ROOT, page);
                oracle.remove(&page);
            }
            Step::Find(page) => {
                let found = T::find(&memory, ROOT, page).map(|place| memory.read(place));
                prop_assert_eq!(found, oracle.get(&page).copied());
            }
            Step::Next(from) => {
                prop_assert_eq!(T::next(&memory, ROOT, from), oracle.range(from..).next().map(|(page, _)| *page));
            }
            Step::Change(page, count, bits) => {
                let mut places = Vec::new();
                T::runs(&memory, ROOT, page, count, |Run { place, count, step }| {
                    places.extend((0..count).map(|n| place + step * n));
                });
                for place in places {
                    let entry = memory.read(place);
                    if entry != 0 {
                        memory.write(place, entry | bits);
                    }
                }
                oracle.range_mut(page..page + count).for_each(|(_, entry)| *entry |= bits);
            }
        }
    }
    let mut found = BTreeMap::new();
    let mut from = 0;
    while let Some(page) = T::next(&memory, ROOT, from) {
        let place = T::find(&memory, ROOT, page).expect("it is mapped");
        found.insert(page, memory.read(place));
        from = page + 1;
    }
    prop_assert_eq!(found, oracle);
    Ok(())
}

proptest! {
    #[test]
    fn two_level(steps in prop::collection::vec(step(), 0..200), room in 0..20_u32) {
        agrees::<TwoLevel>(&steps, room)?;
    }

    #[test]
    fn linear(steps in prop::collection::vec(step(), 0..200), room in 0..3_u32) {
        agrees::<Linear>(&steps, room)?;
    }

    #[test]
    fn inverted(steps in prop::collection::vec(step(), 0..200), room in 0..3_u32) {
        agrees::<Inverted>(&steps, room)?;
    }
}

/// Each form has room for 1000 pages in a row in the memory that a program has.
#[test]
fn many_pages() {
    fn fill<T: PageTable>() {
        let mut memory = Words::new(T::ROOT, TABLE_PAGES);
        assert!(T::clear(&mut memory, ROOT));
        for page in (0x4_0000..0x4_0000 + 1000).rev() {
            let place = T::make(&mut memory, ROOT, page).expect("there is room");
            memory.write(place, page + 1);
        }
        for page in 0x4_0000..0x4_0000 + 1000 {
            assert_eq!(T::find(&memory, ROOT, page).map(|place| memory.read(place)), Some(page + 1));
        }
    }
    fill::<TwoLevel>();
    fill::<Linear>();
    fill::<Inverted>();
}
