//! The invariants of ownership, and the check of all of them.
//!
//! Whatever programs do, the following holds whenever one of them runs.
//!
//! *Frames.*
//! - The owner of a frame is nobody, the kernel, everybody ([`PUBLIC`]) or one environment, by an id that has been
//!   given out. Only an environment can be freeing a frame.
//! - Only what environments own, or everybody, can be bound. A search for bindings is under way only in a frame that is
//!   being freed.
//! - A verifier is the tag of the frame's present capability, or none at all; of frames that no environment owns, none.
//!
//! *Slices.*
//! - A slice has an owner if and only if it has a runner. Both live.
//! - Who has been asked to give the running one back lives.
//!
//! *Environments.*
//! - The directory has an environment's id exactly where it can be entered: it lives, is set up, its current context
//!   has a hardware id, and it takes that kind of transfer, or, for slices yielded to it, has begun. Everywhere else it
//!   has a poison.
//! - The dead have no hardware id, wait for nothing, owe nothing, are asked for nothing, and their record is the kernel's own.
//! - A hardware id has been given to at most one context of one environment since they were last taken back.
//! - An environment owes at most what it was asked for; a frame that is being taken from it is its own, marked as
//!   being freed, and one.
//! - The record of an environment that lives is in a frame of the kernel's, its save page in one of its own.
//!
//! *Filters.*
//! - Whoever has a filter in the table has it in the engine that tells messages apart, and lives, or its death is noted; it is in a public frame.
//!
//! *Bindings*, in the TLB and the software TLB, under the hardware ids of those that live.
//! - The frame is an environment's, dead or alive, or everybody's and read-only.
//! - The frame's note of its bindings covers it; a frame that is being freed has none where it was already searched
//!   for. So all bindings of a frame can be found and broken.

use crate::contexts::ContextId;
use crate::frames::{Bound, Frames, SEARCH_STEP};
use crate::hardware::{SOFTWARE_TLB_ENTRIES, entry_index};
use crate::system::System;
use aegis_abi::EnvId;
use aegis_abi::frame::{FREEING, KERNEL, PUBLIC, READ, WRITE};
use aegis_abi::network::FILTERS;
use core::fmt;

/// A mapping that the TLB or the software TLB holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Binding {
    /// The hardware id of its context.
    pub context: u8,
    /// Its virtual page's number.
    pub page: u32,
    /// The address of its tag in the software TLB; for one in the TLB, the address that it would have there.
    pub slot: u32,
    /// The frame's number.
    pub frame: u32,
    /// Whether it allows stores.
    pub write: bool,
    /// Whether it is in the software TLB, not the TLB.
    pub in_software_tlb: bool,
}

/// What breaks an invariant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Culprit {
    /// The frame with this number.
    Frame(u32),
    /// The slice at this position.
    Slice(u32),
    /// The environment at this index.
    Environment(u8),
    /// The packet filter with this number.
    Filter(u32),
    /// This binding.
    Binding(Binding),
}

/// A broken invariant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Whose state it is.
    pub culprit: Culprit,
    /// What is wrong, in words that complete "frame 17: ".
    pub what: &'static str,
    /// The word that is wrong, an id for example.
    pub word: u32,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.culprit {
            Culprit::Frame(number) => write!(f, "frame {number}")?,
            Culprit::Slice(position) => write!(f, "slice {position}")?,
            Culprit::Environment(index) => write!(f, "environment at index {index}")?,
            Culprit::Filter(number) => write!(f, "filter {number}")?,
            Culprit::Binding(Binding { context, page, slot, frame, in_software_tlb, .. }) => {
                let place = if in_software_tlb { "software TLB" } else { "TLB" };
                write!(f, "{place}, slot {slot:#010x}, context {context}, page {page:#x}, frame {frame}")?;
            }
        }
        write!(f, ": {} ({:#010x})", self.what, self.word)
    }
}

const HARDWARE_IDS: usize = ContextId::LAST.0 as usize + 1;

/// A check: `Ok` if `holds`.
fn check(holds: bool, culprit: Culprit, what: &'static str, word: u32) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation { culprit, what, word }) }
}

impl System<'_> {
    /// Checks every invariant. `bindings` are all valid entries of the TLB and the software TLB.
    ///
    /// A debugging aid: it walks all tables and hashes each tag that is remembered, in more than a millisecond.
    ///
    /// # Errors
    /// The first violation that it finds.
    pub fn audit(&self, bindings: impl Iterator<Item = Binding>) -> Result<(), Violation> {
        (0..self.frames.len()).try_for_each(|frame| self.audit_frame(frame))?;
        (0..).zip(self.slices.vector()).try_for_each(|(position, slice)| {
            let culprit = Culprit::Slice(position);
            let of_nobody = slice.owner == 0 && slice.runner == 0;
            check(of_nobody || self.lives(EnvId(slice.owner)), culprit, "its owner does not live", slice.owner)?;
            check(of_nobody || self.lives(EnvId(slice.runner)), culprit, "its runner does not live", slice.runner)
        })?;
        let culprit = Culprit::Slice(self.slices.position());
        check(self.slices.consistent(), culprit, "what is known of the owners' positions is not the vector's", 0)?;
        if let Some(asked) = self.slices.asked() {
            let culprit = Culprit::Slice(self.slices.position());
            check(self.lives(asked), culprit, "is asked back from who does not live", asked.0)?;
        }
        let in_use = self.audit_environments()?;
        let mut filters = 0;
        for number in 0..FILTERS as u32 {
            let word = self.network.filter(number).owner;
            filters += u32::from(self.lives(EnvId(word)));
            self.audit_filter(number).or_else(|what| check(false, Culprit::Filter(number), what, word))?;
        }
        let counts_agree = self.network.living() == (filters, filters);
        check(counts_agree, Culprit::Filter(0), "or another is not counted as one of the living", filters)?;
        for binding in bindings {
            if in_use.get(usize::from(binding.context)) == Some(&true) {
                self.audit_binding(binding)?;
            }
        }
        Ok(())
    }

    fn audit_frame(&self, frame: u32) -> Result<(), Violation> {
        let culprit = Culprit::Frame(frame);
        let owner = self.frames.owner(frame);
        let special = Frames::is_special(owner);
        let known = special || self.environments.has_named(EnvId(owner & !FREEING));
        check(known, culprit, "its owner was never an environment", owner)?;

        let binding = self.frames.binding(frame);
        let bindable = owner == PUBLIC || !special;
        match Bound::of(binding) {
            Bound::Nowhere => {}
            Bound::Slot(_) | Bound::From(0) => check(bindable, culprit, "is bound, yet not to be", binding)?,
            Bound::From(index) => {
                let step = index < SOFTWARE_TLB_ENTRIES && index.is_multiple_of(SEARCH_STEP);
                check(step, culprit, "its note of bindings is none", binding)?;
                let freeing = !special && owner & FREEING != 0;
                check(freeing, culprit, "is searched for, yet not being freed", binding)?;
            }
        }

        let (verifier, blank) = (self.frames.verifier(frame), self.frames.blank());
        for (right, tag) in [(WRITE, verifier.write), (READ, verifier.read)] {
            let valid = || self.key.tag(self.frames.resource(frame), right).0 == tag;
            check(tag == blank || !special && valid(), culprit, "a verifier is not a valid tag", tag[0])?;
        }
        Ok(())
    }

    /// Returns which hardware ids those that live have.
    fn audit_environments(&self) -> Result<[bool; HARDWARE_IDS], Violation> {
        let mut in_use = [false; HARDWARE_IDS];
        for index in 0..=u8::MAX {
            let culprit = Culprit::Environment(index);
            self.environments.consistent(index).or_else(|what| check(false, culprit, what, 0))?;
            let Some(id) = self.environments.at(index) else {
                let excess = self.slices.excess(index);
                check(excess == 0, culprit, "is dead and owes excess time", excess)?;
                continue;
            };
            self.audit_account(id).or_else(|what| check(false, culprit, what, id.0))?;
            for context in self.environments.contexts(id).unwrap_or_default() {
                if context == ContextId::NONE {
                    continue;
                }
                let word = u32::from(context.0);
                check(self.environments.has_given(context), culprit, "has a context id that was not given", word)?;
                let taken = core::mem::replace(&mut in_use[usize::from(context.0)], true);
                check(!taken, culprit, "has a context id that is another's, too", word)?;
            }
            let home = self.environments.home(id).unwrap_or_default();
            check(self.frames.owner(home) & !FREEING == id.0, culprit, "its save page is not its own", home)?;
            let record = home + 1;
            check(self.frames.owner(record) == KERNEL, culprit, "its record is not the kernel's", record)?;
        }
        Ok(in_use)
    }

    fn audit_binding(&self, binding: Binding) -> Result<(), Violation> {
        let culprit = Culprit::Binding(binding);
        let Binding { slot, frame, write, .. } = binding;
        let owner = self.frames.owner(frame);
        check(owner == PUBLIC || !Frames::is_special(owner), culprit, "binds a frame that has no owner", owner)?;
        check(!(owner == PUBLIC && write), culprit, "allows stores to what is everybody's", owner)?;
        let note = self.frames.binding(frame);
        let covered = match Bound::of(note) {
            Bound::Nowhere => false,
            Bound::Slot(only) => slot == only,
            Bound::From(index) => entry_index(slot) >= index,
        };
        check(covered, culprit, "binds a frame whose note of bindings says otherwise", note)
    }
}
