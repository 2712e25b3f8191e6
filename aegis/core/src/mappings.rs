//! Guaranteed mappings: the ranges of an environment's address space that the kernel itself maps again whenever it is
//! missed.
//!
//! The paper's section 5.1.2: they make sure that the code and data with which a program handles its own exceptions are
//! always there. They are also the only memory through which a program passes data to a call, so that the kernel needs
//! no page table of the program's to check a pointer.
//!
//! A mapping of a frame holds until the frame is freed, given away or renewed. Those calls need not find the mappings
//! that name it: a mapping has the owner of its frames and the time when it was made, and whoever uses one compares
//! ([`System::holds`](crate::system::System::holds)).

use aegis_abi::vm::{GUARANTEED, PAGE_BYTES, PAGE_SHIFT, USER_END};

/// The most ranges of an environment.
pub const RANGES: usize = GUARANTEED;

/// A contiguous range of pages, mapped to a contiguous range of frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// Virtual address, on a page boundary.
    pub virtual_start: u32,
    /// Physical address, on a page boundary.
    pub physical_start: u32,
    /// Bytes, whole pages.
    pub bytes: u32,
    /// Whether the program may write to it.
    pub writable: bool,
    /// The owner word of the frames when the mapping was made.
    pub owner: u32,
    /// When that was: [`Frames::stamp`](crate::frames::Frames::stamp).
    pub stamp: u64,
}

/// A page found in a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    /// Physical address of its frame.
    pub frame: u32,
    /// Whether the program may write to it.
    pub writable: bool,
    /// The owner word of the frame when the mapping was made.
    pub owner: u32,
    /// When that was.
    pub stamp: u64,
}

/// What is wrong with a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// An address or the size is not a whole number of pages, or the size is 0.
    Misaligned,
    /// It reaches out of user space or of the physical address space.
    OutOfRange,
    /// It overlaps one that is there.
    Overlap,
    /// There is no room for another.
    Full,
}

/// The guaranteed mappings of one environment.
#[derive(Clone, Debug, Default)]
pub struct Mappings(heapless::Vec<Mapping, RANGES>);

impl Mappings {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(heapless::Vec::new())
    }

    /// Adds one.
    ///
    /// # Errors
    /// Nothing is added if the mapping is refused.
    pub fn insert(&mut self, mapping: Mapping) -> Result<(), Refusal> {
        let Mapping { virtual_start, physical_start, bytes, .. } = mapping;
        if !(virtual_start | physical_start | bytes).is_multiple_of(PAGE_BYTES) || bytes == 0 {
            return Err(Refusal::Misaligned);
        }
        let end = virtual_start.checked_add(bytes).filter(|&end| end <= USER_END).ok_or(Refusal::OutOfRange)?;
        physical_start.checked_add(bytes).ok_or(Refusal::OutOfRange)?;
        if self.0.iter().any(|other| virtual_start < other.virtual_start + other.bytes && other.virtual_start < end) {
            return Err(Refusal::Overlap);
        }
        self.0.push(mapping).map_err(|_| Refusal::Full)
    }

    /// Takes away the one that begins at `virtual_start`, if there is one.
    pub fn remove(&mut self, virtual_start: u32) -> Option<Mapping> {
        let index = self.0.iter().position(|mapping| mapping.virtual_start == virtual_start)?;
        Some(self.0.swap_remove(index))
    }

    /// The page that `address` lies in. At most [`RANGES`] steps.
    #[must_use]
    pub fn page(&self, address: u32) -> Option<Page> {
        let mapping = self.0.iter().find(|mapping| address.wrapping_sub(mapping.virtual_start) < mapping.bytes)?;
        let offset = (address - mapping.virtual_start) >> PAGE_SHIFT << PAGE_SHIFT;
        let Mapping { physical_start, writable, owner, stamp, .. } = *mapping;
        Some(Page { frame: physical_start + offset, writable, owner, stamp })
    }

    /// A mapping of `pages` frames from `first` on.
    #[must_use]
    pub fn of_frames(&self, first: u32, pages: u32) -> Option<Mapping> {
        let holds = |mapping: &&Mapping| {
            let (start, count) = (mapping.physical_start >> PAGE_SHIFT, mapping.bytes >> PAGE_SHIFT);
            first.checked_sub(start).is_some_and(|skipped| skipped < count && pages <= count - skipped)
        };
        self.0.iter().find(holds).copied()
    }

    /// The bytes from `address` on, as contiguous pieces of physical memory, in order; or `None` unless all of them are
    /// mapped, and each page `holds`.
    ///
    /// The pieces are pages or parts of pages: as many as the range touches.
    #[must_use]
    pub fn readable(&self, address: u32, bytes: u32, holds: impl Fn(Page) -> bool) -> Option<Pieces<'_>> {
        address.checked_add(bytes)?;
        let pieces = Pieces { mappings: self, address, bytes };
        let mut rest = pieces.clone();
        while rest.bytes != 0 {
            let page = self.page(rest.address)?;
            if !holds(page) {
                return None;
            }
            rest.next();
        }
        Some(pieces)
    }
}

/// A contiguous piece of physical memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Physical address.
    pub physical: u32,
    /// Bytes, at most a page.
    pub bytes: u32,
}

/// The pieces of physical memory behind a range of addresses; ends early at a page that is not mapped.
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    mappings: &'a Mappings,
    address: u32,
    bytes: u32,
}

impl Iterator for Pieces<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        if self.bytes == 0 {
            return None;
        }
        let page = self.mappings.page(self.address)?;
        let offset = self.address % PAGE_BYTES;
        let bytes = self.bytes.min(PAGE_BYTES - offset);
        self.address += bytes;
        self.bytes -= bytes;
        Some(Piece { physical: page.frame + offset, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::collections::BTreeMap;
    use std::vec::Vec;

    const P: u32 = PAGE_BYTES;

    fn mapping(page: u32, frame: u32, pages: u32, writable: bool) -> Mapping {
        let (owner, stamp) = (frame + 7, u64::from(frame) << 32 | 1);
        Mapping { virtual_start: page * P, physical_start: frame * P, bytes: pages * P, writable, owner, stamp }
    }

    #[test]
    fn refusals() {
        let mut mappings = Mappings::new();
        let good = mapping(16, 5, 2, true);
        mappings.insert(good).unwrap();
        assert_eq!(mappings.insert(Mapping { virtual_start: P + 4, ..good }), Err(Refusal::Misaligned));
        assert_eq!(mappings.insert(Mapping { physical_start: 1, ..good }), Err(Refusal::Misaligned));
        assert_eq!(mappings.insert(mapping(1, 1, 0, true)), Err(Refusal::Misaligned));
        assert_eq!(mappings.insert(mapping(0x7ffff, 1, 2, true)), Err(Refusal::OutOfRange));
        assert_eq!(mappings.insert(mapping(0x80000, 1, 1, true)), Err(Refusal::OutOfRange));
        assert_eq!(mappings.insert(mapping(1, 0xfffff, 1, true)), Err(Refusal::OutOfRange));
        assert_eq!(mappings.insert(mapping(1, 1, 0xfffff, true)), Err(Refusal::OutOfRange));
        assert_eq!(mappings.insert(mapping(17, 9, 1, true)), Err(Refusal::Overlap));
        assert_eq!(mappings.insert(mapping(15, 9, 2, true)), Err(Refusal::Overlap));
        for page in 1..RANGES as u32 {
            mappings.insert(mapping(100 + page, 9, 1, true)).unwrap();
        }
        assert_eq!(mappings.insert(mapping(200, 9, 1, true)), Err(Refusal::Full));
    }

    #[test]
    fn what_is_removed_is_gone_and_makes_room() {
        let mut mappings = Mappings::new();
        for page in 0..RANGES as u32 {
            mappings.insert(mapping(2 * page, 9, 1, true)).unwrap();
        }
        assert_eq!(mappings.remove(P), None);
        assert_eq!(mappings.remove(4 * P + 4), None);
        assert_eq!(mappings.remove(4 * P), Some(mapping(4, 9, 1, true)));
        assert_eq!(mappings.remove(4 * P), None);
        assert_eq!(mappings.page(4 * P), None);
        assert_eq!(mappings.insert(mapping(3, 2, 4, false)), Err(Refusal::Overlap));
        mappings.insert(mapping(100, 2, 3, false)).unwrap();
        assert_eq!(mappings.page(102 * P), Some(Page { frame: 4 * P, writable: false, owner: 9, stamp: 2 << 32 | 1 }));
        for page in (0..RANGES as u32).filter(|&page| page != 2) {
            assert!(mappings.page(2 * page * P).is_some());
        }
    }

    #[test]
    fn every_page_that_is_read_still_holds() {
        let mut mappings = Mappings::new();
        mappings.insert(mapping(16, 5, 2, true)).unwrap();
        mappings.insert(mapping(18, 30, 1, false)).unwrap();
        let holds = |lost: u32| {
            move |page: Page| {
                let Mapping { writable, owner, stamp, .. } =
                    if page.frame < 30 * P { mapping(16, 5, 2, true) } else { mapping(18, 30, 1, false) };
                assert_eq!((page.writable, page.owner, page.stamp), (writable, owner, stamp));
                page.frame != lost * P
            }
        };
        let readable = |start, bytes, lost| mappings.readable(start, bytes, holds(lost)).is_some();
        assert!(readable(16 * P, 3 * P, 0));
        for lost in [5, 6, 30] {
            assert!(!readable(16 * P, 3 * P, lost));
        }
        assert!(readable(16 * P + 1, 2 * P - 1, 30) && !readable(16 * P + 1, 2 * P, 30));
        assert!(readable(17 * P, 2 * P, 5) && !readable(17 * P - 1, 2 * P, 5));
        assert!(readable(16 * P, 0, 5));
    }

    #[test]
    fn a_pointer_that_wraps_or_leaves_is_refused() {
        let mut mappings = Mappings::new();
        mappings.insert(mapping(0x7ffff, 5, 1, true)).unwrap();
        mappings.insert(mapping(1, 7, 1, true)).unwrap();
        let readable = |address, bytes| mappings.readable(address, bytes, |_| true);
        assert!(readable(0x7fff_ffff, 1).is_some());
        assert!(readable(0x7fff_ffff, 2).is_none());
        assert!(readable(0xffff_ffff, 2).is_none());
        assert!(readable(0x1000, u32::MAX).is_none());
        assert!(readable(0x0fff, 2).is_none());
        assert!(readable(0x8000_0000, 4).is_none());
        assert!(readable(0x1fff, 2).is_none());
    }

    fn arbitrary() -> impl Strategy<Value = Mapping> {
        (0..40u32, 0..1000u32, 0..6u32, any::<bool>()).prop_map(|(v, p, n, w)| mapping(v, p, n, w))
    }

    proptest! {
        /// Against a map from page to frame.
        #[test]
        fn as_the_model(
            inserts in prop::collection::vec(arbitrary(), 0..12),
            reads in prop::collection::vec((0..50 * P, 0..5 * P), 0..20),
        ) {
            let mut mappings = Mappings::new();
            let mut model = BTreeMap::new();
            for new in inserts {
                let (page, frame) = (new.virtual_start / P, new.physical_start / P);
                let pages: Vec<_> = (0..new.bytes / P).map(|n| (page + n, frame + n)).collect();
                let taken = pages.iter().any(|(page, _)| model.contains_key(page));
                match mappings.insert(new) {
                    Ok(()) => {
                        prop_assert!(!taken && !pages.is_empty());
                        model.extend(pages.iter().map(|&(page, frame)| (page, (frame, new.writable))));
                    }
                    Err(Refusal::Overlap) => prop_assert!(taken),
                    Err(Refusal::Misaligned) => prop_assert!(pages.is_empty()),
                    Err(refusal) => prop_assert_eq!(refusal, Refusal::Full),
                }
            }
            for (address, bytes) in reads {
                let expected: Option<Vec<u32>> = (address..address + bytes)
                    .map(|a| model.get(&(a / P)).map(|(frame, _)| frame * P + a % P))
                    .collect();
                let found: Option<Vec<u32>> = mappings.readable(address, bytes, |_| true)
                    .map(|pieces| pieces.flat_map(|piece| piece.physical..piece.physical + piece.bytes).collect());
                prop_assert_eq!(found, expected);
                let page = mappings.page(address).map(|page| (page.frame / P, page.writable));
                prop_assert_eq!(page, model.get(&(address / P)).copied());
            }
        }
    }
}
