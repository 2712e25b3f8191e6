//! Tables that generated code looks values up in: keys with results, and arrays of results.
//!
//! A *result* is 0 for nothing, a filter's number, which is less than 2^16, or the address of the code that goes on.
//!
//! A table of keys has 2^k slots of two words, key and result, in groups of 32. A key's *home* is one of the first 16 slots
//! of a group, which the hash function sees to by leaving a bit out; it lies there or in one of the slots behind, up to
//! the end of the group, with no empty slot between. So no look at a table takes more than 32 slots, and removing a key
//! moves no more than its group.
//!
//! No key equals the word that stands in an empty slot where that key would be looked for, so a look need not ask whether
//! what it found is there.
//!
//! The hash function is chosen for the keys. It gives an offset in bytes: the bits of a mask.

/// A table's place and form.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct Table {
    /// The number of its first unit, plus one; 0 if there is none.
    pub(crate) at: u16,
    /// How many keys it has.
    pub(crate) count: u16,
    /// For an array, the first of its keys; for a table that is being emptied, the group that is next.
    pub(crate) from: u16,
    /// Keys: the logarithm of the number of slots. Array: how many results it has, less one.
    pub(crate) size: u8,
    /// Keys: how far the hash function shifts, or [`LARGE`].
    pub(crate) hash: u8,
}

/// The hash function of tables with many keys. It is to scatter what counts upwards in any byte.
pub(crate) const LARGE: u8 = 0;
/// How far that of small ones may shift: so that it is the last byte of a word, of its first half, or both that tell
/// the keys apart. The others are what is taken if these don't.
pub(crate) const SHIFTS: [u8; 5] = [21, 5, 13, 10, 26];
/// Up to this size a table is small.
pub(crate) const SMALL_MAX: u8 = 8;
/// The smallest table and the largest.
pub(crate) const SIZE_MIN: u8 = 6;
pub(crate) const SIZE_MAX: u8 = 16;
/// Slots of a group.
pub(crate) const GROUP: usize = 32;
/// Bytes of a slot.
const SLOT: usize = 8;
/// What stands in empty slots of the first group, where 0 is looked for: its home is never there. In the others it is 0.
const ELSEWHERE: u32 = (GROUP * SLOT) as u32;

/// Which bits of the hash are the offset of a key's home, in a table of 2^`size` slots.
pub(crate) const fn home_mask(size: u8) -> u32 {
    (((1 << size) - 1) & !(GROUP as u32 / 2)) * SLOT as u32
}

/// The hash before it is masked.
pub(crate) const fn hash(function: u8, key: u32) -> u32 {
    match function {
        LARGE => {
            let folded = key ^ key >> 16;
            let spread = folded.wrapping_add(folded << 6);
            spread ^ spread >> 5
        }
        shift => key ^ key >> shift,
    }
}

/// The slots of a table of keys.
pub(crate) struct Slots<'a> {
    pub(crate) words: &'a mut [u32],
    pub(crate) size: u8,
    pub(crate) function: u8,
}

impl Slots<'_> {
    /// The number of a key's home.
    fn home(&self, key: u32) -> usize {
        (hash(self.function, key) & home_mask(self.size)) as usize / SLOT
    }

    fn slot(&self, slot: usize) -> [u32; 2] {
        let at = 2 * slot;
        match self.words.get(at..at + 2) {
            Some(&[key, result]) => [key, result],
            _ => [0, 0],
        }
    }

    fn set(&mut self, slot: usize, value: [u32; 2]) {
        if let Some(place) = self.words.get_mut(2 * slot..2 * slot + 2) {
            place.copy_from_slice(&value);
        }
    }

    /// Makes zeroed words an empty table.
    pub(crate) fn open(&mut self) {
        (0..GROUP).for_each(|slot| self.set(slot, [ELSEWHERE, 0]));
    }

    /// Makes an empty table zeroed words.
    pub(crate) fn close(&mut self) {
        (0..GROUP).for_each(|slot| self.set(slot, [0, 0]));
    }

    const fn end(slot: usize) -> usize {
        (slot | (GROUP - 1)) + 1
    }

    /// Gives a key a result; false if there is no room where it belongs.
    pub(crate) fn insert(&mut self, key: u32, result: u32) -> bool {
        let home = self.home(key);
        // The last slot stays empty, and ends every look.
        let free = (home..Self::end(home) - 1).find(|&slot| self.slot(slot)[1] == 0);
        if let Some(free) = free {
            self.set(free, [key, result]);
        }
        free.is_some()
    }

    /// Changes the result of a key; false if the key is not there.
    pub(crate) fn replace(&mut self, key: u32, result: u32) -> bool {
        let found = self.find(key);
        if let Some(slot) = found {
            self.set(slot, [key, result]);
        }
        found.is_some()
    }

    fn find(&self, key: u32) -> Option<usize> {
        let home = self.home(key);
        let used =
            (home..Self::end(home)).map(|slot| (slot, self.slot(slot))).take_while(|(_, [_, result])| *result != 0);
        used.into_iter().find(|(_, [other, _])| *other == key).map(|(slot, _)| slot)
    }

    /// Takes a key out; false if it is not there.
    pub(crate) fn remove(&mut self, key: u32) -> bool {
        let Some(mut hole) = self.find(key) else { return false };
        for slot in hole + 1..Self::end(hole) {
            let [key, result] = self.slot(slot);
            if result == 0 {
                break;
            }
            if self.home(key) <= hole {
                self.set(hole, [key, result]);
                hole = slot;
            }
        }
        self.set(hole, [if hole < GROUP { ELSEWHERE } else { 0 }, 0]);
        true
    }

    /// Some key of a group, with its result.
    pub(crate) fn any(&self, group: usize) -> Option<[u32; 2]> {
        let first = group * GROUP;
        (first..first + GROUP).map(|slot| self.slot(slot)).find(|[_, result]| *result != 0)
    }
}

/// The hash function that tells these keys, a group's and one more at most, apart best, in a table of 2^`size` slots.
pub(crate) fn choose(keys: impl Iterator<Item = u32>, size: u8) -> u8 {
    if size > SMALL_MAX {
        return LARGE;
    }
    // Each key is looked at for each function, so the way to it is gone once.
    let mut list = [0; GROUP + 1];
    let mut count = 0;
    for (place, key) in list.iter_mut().zip(keys) {
        *place = key;
        count += 1;
    }
    let keys = list.get(..count).unwrap_or_default();
    let mut best = (u32::MAX, SHIFTS[0]);
    for function in SHIFTS {
        let mut seen = 0_u64;
        let mut collisions = 0;
        for &key in keys {
            let home = 1 << ((hash(function, key) & home_mask(size)) / SLOT as u32 % 64);
            collisions += u32::from(seen & home != 0);
            seen |= home;
        }
        if collisions < best.0 {
            best = (collisions, function);
        }
        if collisions == 0 {
            break;
        }
    }
    best.1
}
