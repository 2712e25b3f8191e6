//! Physical memory: who owns which frame, where it may be mapped, and how all its mappings are broken.
//!
//! The paper's section 3.2.1. To break the bindings of a frame they must be found: the table notes for each frame the
//! one entry of the software TLB that may hold it, or that there may be several. The usual frame is mapped once and is
//! unbound at once; the others take a search of the software TLB, a part of it a call, while nobody can bind them.

use crate::capability::{Key, Resource};
use crate::hardware::{Hardware, SOFTWARE_TLB_ENTRIES};
use aegis_abi::Error;
use aegis_abi::frame::{BOUND_ANYWHERE, COUNT, Capability, FREE, FREEING, Frame, KERNEL, PUBLIC, WRITE};

/// Entries of the software TLB that one call searches.
pub const SEARCH_STEP: u32 = 512;

/// The most colours of the instruction cache for which it is known when each was flushed last.
const COLOURS: usize = 64;

/// The tags that assembly compares with what a program shows for a frame that it does not own. Each is the tag of the
/// frame's capability if that has been shown before and was valid, and otherwise one that nobody can show.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Verifier {
    /// For a mapping that does not allow stores.
    pub read: [u32; 2],
    /// For one that does.
    pub write: [u32; 2],
}

const _: () = assert!(size_of::<Verifier>() == 16);

/// Where a frame may be mapped: the meaning of [`Frame::binding`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bound {
    /// Nowhere.
    Nowhere,
    /// In the software TLB's entry whose tag is at this address, and in the TLB for the same page.
    Slot(u32),
    /// In the software TLB from this index on, and in the TLB for the same pages.
    From(u32),
}

impl Bound {
    pub(crate) const fn of(binding: u32) -> Self {
        match binding {
            0 => Self::Nowhere,
            // The kernel's addresses are negative.
            slot if (slot as i32) < 0 => Self::Slot(slot),
            anywhere => Self::From(anywhere.wrapping_sub(BOUND_ANYWHERE)),
        }
    }
}

/// The table of frames, by number.
pub struct Frames<'a> {
    table: &'a mut [Frame],
    verifiers: &'a mut [Verifier],
    /// When each was unbound last, by [`Frames::stamp`]: the nonce of its capabilities.
    nonces: &'a mut [u64],
    /// How often any frame was unbound.
    sequence: u64,
    /// What stands in a verifier while no valid tag is known.
    blank: Capability,
    /// Frames that were full of zeros when they were mapped nowhere last, a bit each.
    zeroed: [u32; COUNT / 32],
    /// When each colour of the instruction cache was flushed last, by `sequence`.
    flushed: [u64; COLOURS],
}

impl<'a> Frames<'a> {
    /// As many frames as `table` is long, all the kernel's.
    ///
    /// # Panics
    /// If the tables differ in length.
    #[must_use]
    pub fn new(table: &'a mut [Frame], verifiers: &'a mut [Verifier], nonces: &'a mut [u64], key: &Key) -> Self {
        assert!(table.len() == verifiers.len() && table.len() == nonces.len(), "tables of frames differ in length");
        let blank = key.blank();
        table.fill(Frame { owner: KERNEL, binding: 0 });
        verifiers.fill(Verifier { write: blank.0, read: blank.0 });
        nonces.fill(0);
        let (zeroed, flushed) = ([0; COUNT / 32], [0; COLOURS]);
        Self { table, verifiers, nonces, sequence: 0, blank, zeroed, flushed }
    }

    /// Says whose a frame is, before any program runs.
    ///
    /// # Panics
    /// If there is no such frame.
    pub fn set_owner_at_boot(&mut self, frame: u32, owner: u32) {
        self.set_owner(frame, owner);
    }

    /// Goes on as if frames had been unbound so often.
    #[cfg(test)]
    pub(crate) fn age(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    /// How many frames there are. Those with higher numbers are no memory.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.table.len() as u32
    }

    /// Whether there is none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The owner word of a frame ([`Frame::owner`]); what is no memory is the kernel's.
    #[must_use]
    pub fn owner(&self, frame: u32) -> u32 {
        self.table.get(frame as usize).map_or(KERNEL, |entry| entry.owner)
    }

    /// Where a frame may be mapped ([`Frame::binding`]).
    ///
    /// # Panics
    /// If there is no such frame.
    #[must_use]
    pub fn binding(&self, frame: u32) -> u32 {
        self.table[frame as usize].binding
    }

    /// The tags that are known of a frame.
    ///
    /// # Panics
    /// If there is no such frame.
    #[must_use]
    pub fn verifier(&self, frame: u32) -> Verifier {
        self.verifiers[frame as usize]
    }

    /// The present time, counted in frames that were unbound and environments that have ended. It goes with whatever is to hold only for as
    /// long as its frames are not unbound.
    #[must_use]
    pub fn stamp(&self) -> u64 {
        self.sequence
    }

    /// An environment has ended: whoever has asked at this time whether it lives has to ask again.
    pub(crate) fn note_death(&mut self) {
        self.sequence += 1;
    }

    /// Whether a frame was unbound after the time `stamp`, or is being unbound since.
    ///
    /// # Panics
    /// If there is no such frame.
    #[must_use]
    pub fn unbound_since(&self, frame: u32, stamp: u64) -> bool {
        self.nonces[frame as usize] > stamp
    }

    /// Whether `count` frames from `first` on are all there, have this owner word, and were not unbound after the time
    /// `stamp`. A loop of a few instructions.
    #[must_use]
    pub fn unchanged(&self, first: u32, count: u32, owner: u32, stamp: u64) -> bool {
        // Negative if one was. Neither loop has a branch within.
        let late = |nonces: &[u64]| nonces.iter().fold(0, |late, &nonce| late | stamp.wrapping_sub(nonce));
        let nonces = self.nonces.get(first as usize..first as usize + count as usize);
        self.owned_by(first, count, owner) && nonces.is_some_and(|nonces| late(nonces) >> 63 == 0)
    }

    /// Whether `count` frames from `first` on are all there and have this owner word.
    #[must_use]
    pub fn owned_by(&self, first: u32, count: u32, owner: u32) -> bool {
        let entries = self.table.get(first as usize..first as usize + count as usize);
        let other = |entries: &[Frame]| entries.iter().fold(0, |other, entry| other | entry.owner ^ owner);
        entries.is_some_and(|entries| other(entries) == 0)
    }

    /// Whether a frame is full of zeros: it has been scrubbed, and nobody has been able to write to it since.
    pub(crate) fn is_blank(&self, frame: u32) -> bool {
        self.table[frame as usize].binding == 0 && self.zeroed[frame as usize / 32] >> (frame % 32) & 1 != 0
    }

    /// Notes that the kernel itself writes to a frame.
    ///
    /// # Panics
    /// If there is no such frame.
    #[inline(always)]
    pub fn written(&mut self, frame: u32) {
        self.zeroed[frame as usize / 32] &= !(1 << (frame % 32));
    }

    /// Fills a frame that is mapped nowhere with zeros and sees to it that the instruction cache has forgotten it, unless
    /// nobody could use it since that was done.
    pub(crate) fn scrub(&mut self, hw: &mut impl Hardware, frame: u32) {
        if self.is_blank(frame) {
            return;
        }
        hw.zero(frame);
        self.zeroed[frame as usize / 32] |= 1 << (frame % 32);
        // A line of it can have come into the cache only before it was unbound.
        let flushed = self.flushed.get_mut((frame % hw.colours()) as usize);
        if flushed.as_ref().is_none_or(|at| **at < self.nonces[frame as usize]) {
            hw.flush_instructions(frame);
            if let Some(at) = flushed {
                *at = self.sequence;
            }
        }
    }

    /// What stands in a verifier while no valid tag is known.
    pub(crate) fn blank(&self) -> [u32; 2] {
        self.blank.0
    }

    /// A frame as that which capabilities are for, with its present nonce.
    pub(crate) fn resource(&self, frame: u32) -> Resource {
        Resource::Frame { number: frame, nonce: self.nonces[frame as usize] }
    }

    pub(crate) fn set_owner(&mut self, frame: u32, owner: u32) {
        self.table[frame as usize].owner = owner;
    }

    /// Remembers the tag of a frame's capability with `right`, so that assembly knows it the next time.
    pub(crate) fn remember(&mut self, frame: u32, right: u32, tag: Capability) {
        let verifier = &mut self.verifiers[frame as usize];
        if right == WRITE { verifier.write = tag.0 } else { verifier.read = tag.0 }
    }

    /// Notes that the software TLB's entry whose tag is at address `slot` maps a frame now, as assembly does.
    pub(crate) fn bind(&mut self, frame: u32, slot: u32) {
        let binding = &mut self.table[frame as usize].binding;
        *binding = match *binding {
            0 => slot,
            same if same == slot => same,
            _ => BOUND_ANYWHERE,
        };
    }

    /// Voids a frame's capabilities and breaks its bindings. From the first call on it is marked [`FREEING`], so that
    /// nobody can bind it; the caller gives it its next owner, which ends that. The frame is an environment's.
    ///
    /// # Errors
    /// [`Error::Again`] as long as the software TLB had to be searched for it, [`SEARCH_STEP`] entries a call.
    pub(crate) fn unbind(&mut self, hw: &mut impl Hardware, frame: u32) -> Result<(), Error> {
        let index = frame as usize;
        if self.table[index].binding != 0 {
            self.written(frame);
        }
        self.begin_to_unbind(frame);
        let Frame { binding, .. } = &mut self.table[index];
        // The TLB at every step, since a miss in between may have refilled it from what was not searched yet.
        match Bound::of(*binding) {
            Bound::Nowhere => Ok(()),
            Bound::Slot(slot) => {
                hw.unbind_slot(slot, frame);
                hw.unbind_tlb(frame);
                *binding = 0;
                Ok(())
            }
            Bound::From(from) => {
                hw.unbind_range(frame, from, SEARCH_STEP);
                hw.unbind_tlb(frame);
                let searched = from + SEARCH_STEP;
                *binding = if searched < SOFTWARE_TLB_ENTRIES { BOUND_ANYWHERE + searched } else { 0 };
                // Until now it could still be used, where it was not found yet.
                self.sequence += 1;
                self.nonces[index] = self.sequence;
                // That was enough for one call, whatever is to follow.
                Err(Error::Again)
            }
        }
    }

    /// Voids a frame's capabilities, and nobody can bind it from now on. What is bound is left to [`Frames::unbind`].
    pub(crate) fn begin_to_unbind(&mut self, frame: u32) {
        let index = frame as usize;
        let owner = &mut self.table[index].owner;
        if *owner & FREEING == 0 {
            *owner |= FREEING;
            self.sequence += 1;
            self.nonces[index] = self.sequence;
            self.verifiers[index] = Verifier { write: self.blank.0, read: self.blank.0 };
        }
    }

    /// Whether `owner` stands for no environment.
    pub(crate) const fn is_special(owner: u32) -> bool {
        matches!(owner, FREE | KERNEL | PUBLIC)
    }
}
