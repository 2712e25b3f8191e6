//! Packet filters (the paper's section 5.6): who has which, where a filter's messages go, and who may send what.
//!
//! What tells messages apart is `aegis-dpf`, in memory that was set aside at the start. What a filter is, who has it and
//! what became of its messages stands in the frame that its owner gave for it, which everybody can read and the kernel
//! alone writes.
//!
//! Nothing that an owner gives is bound for good. The ring holds like a guaranteed mapping, for as long as its frame was
//! not unbound, which is asked again when any has been; and whose a buffer is is asked each time that one is filled. So a frame that is freed or taken is not
//! written any more, without being looked for. The controller itself never sees a frame of a program's.
//!
//! The filters of the dead go when one of their messages comes, or when the next filter is installed.

use crate::capability::same;
use crate::hardware::Hardware;
use crate::mappings::Page;
use crate::system::System;
use aegis_abi::filter::{ATOMS_MAX, Atom};
use aegis_abi::frame::{Capability, FREEING, PUBLIC};
use aegis_abi::network::{BUFFER_BYTES, DESCRIPTORS, Descriptor, Entry, FILTERS, Installed, STEPS_MAX};
use aegis_abi::revocation::{FILTERS as FILTERS_KIND, HANDLERS};
use aegis_abi::vm::PAGE_SHIFT;
use aegis_abi::{EnvId, Error};
use aegis_dpf::Engine;

/// All filters.
pub struct Network<'a> {
    /// What tells whose a message is.
    pub engine: Engine<'a>,
    /// By number, as everybody sees them.
    filters: &'a mut [Entry; FILTERS],
    /// How many filters the environment that lives at each index has, and how many all that live have together.
    counts: [u16; EnvId::COUNT],
    living: u32,
    /// By number of the filter, the first of the two frames of its handler, or 0.
    pub(crate) handlers: [u16; FILTERS],
    /// An environment has ended since no filter of the dead was found: how far they were searched for.
    searched: Option<usize>,
    /// The filter whose insertion was begun last.
    begun: Begun,
}

/// An insertion under way, which goes on when the same environment asks for the same again.
struct Begun {
    /// Whose it is, the frame, and the words by which it is told from others.
    by: (EnvId, u32, [u32; 2]),
    atoms: heapless::Vec<Atom, ATOMS_MAX>,
    /// Whether it was proved to be disjoint.
    proved: bool,
}

impl Begun {
    const NOBODY: (EnvId, u32, [u32; 2]) = (EnvId(0), 0, [0; 2]);
}

impl<'a> Network<'a> {
    /// Without filters.
    #[must_use]
    pub fn new(engine: Engine<'a>, filters: &'a mut [Entry; FILTERS]) -> Self {
        *filters = [Entry::default(); FILTERS];
        let begun = Begun { by: Begun::NOBODY, atoms: heapless::Vec::new(), proved: false };
        let (handlers, counts) = ([0; FILTERS], [0; EnvId::COUNT]);
        Self { engine, filters, handlers, counts, living: 0, searched: None, begun }
    }

    /// Who has a filter and where it is; nobody if there is none.
    #[must_use]
    pub fn filter(&self, number: u32) -> Entry {
        self.filters.get(number as usize).copied().unwrap_or_default()
    }

    /// The number of a filter, if there is this one.
    fn paid_for(&self, wanted: Entry) -> Option<u32> {
        self.filters.iter().position(|entry| *entry == wanted).map(|number| number as u32)
    }

    /// An environment has ended, whose filters are those of a dead one from here on.
    pub(crate) fn note_death(&mut self, env: EnvId) {
        self.living -= u32::from(core::mem::take(&mut self.counts[usize::from(env.index())]));
        self.searched = Some(0);
    }

    /// How many filters environments that live have; and so many the counts of each make.
    pub(crate) fn living(&self) -> (u32, u32) {
        (self.living, self.counts.iter().copied().map(u32::from).sum())
    }
}

/// Filters among which one call searches for those of the dead.
const SEARCH_STEP: usize = 64;

/// Where a message goes.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The physical address of the buffer, of [`BUFFER_BYTES`].
    pub buffer: u32,
    /// The frame of the filter, its owner, and the place in the ring.
    filter: u32,
    owner: EnvId,
    ring: u32,
    next: u32,
}

/// Why a message is not put into a buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    /// Its owner is dead. The filter is gone now.
    OwnerDied,
    /// There is no ring, no empty buffer, or what the ring names is not the owner's.
    NoBuffer,
}

impl System<'_> {
    /// Goes on with the insertion of a filter of the caller's, for which it gives `frame`, in parts, a call each; the
    /// filter's number. `None` if the caller has not [begun](System::filter_begin) the one that `words` tell from others.
    /// Owners whose filters it may overlap are those over which `shown` is the capability for
    /// [`CONTROL`](aegis_abi::frame::CONTROL).
    ///
    /// # Errors
    /// Those of [`call::FILTER_INSERT`](aegis_abi::call::FILTER_INSERT).
    pub fn filter_insert(
        &mut self,
        hw: &mut impl Hardware,
        caller: EnvId,
        frame: u32,
        words: [u32; 2],
        shown: Capability,
    ) -> Result<Option<u32>, Error> {
        self.settle_filters()?;
        if self.frames.owner(frame) == PUBLIC
            && let Some(number) = self.network.paid_for(Entry { owner: caller.0, frame })
        {
            return Ok(Some(number));
        }
        self.bury()?;
        self.movable(caller, frame)?;
        if self.frames.owner(frame) != caller.0 || self.frames.binding(frame) != 0 {
            return Err(Error::Busy);
        }
        let Network { engine, begun, .. } = &mut self.network;
        if begun.by != (caller, frame, words) {
            return Ok(None);
        }
        if !core::mem::take(&mut begun.proved) {
            let environments = &self.environments;
            let allows = |owner| environments.control(EnvId(owner)).is_some_and(|control| same(control, shown));
            let proof = engine.prove(caller.0, allows);
            begun.proved = proof.is_ok();
            if proof.is_err() {
                begun.by = Begun::NOBODY;
            }
            return Err(proof.map_or_else(Error::from, |()| Error::Again));
        }
        begun.by = Begun::NOBODY;
        let number = match engine.install(caller.0) {
            Ok(number) => u32::from(number),
            // Filters have gone between.
            Err(aegis_dpf::Error::Unproven) => return Err(Error::Again),
            Err(error) => return Err(error.into()),
        };
        self.network.filters[number as usize] = Entry { owner: caller.0, frame };
        self.network.counts[usize::from(caller.index())] += 1;
        self.network.living += 1;
        self.took(caller, FILTERS_KIND);
        let installed = hw.installed(frame);
        (installed.number, installed.owner) = (number, caller.0);
        (installed.ring, installed.next, installed.handler, installed.stamp) = (0, 0, 0, [0; 2]);
        (installed.delivered, installed.dropped, installed.sent) = (0, 0, 0);
        installed.count = self.network.begun.atoms.len() as u32;
        installed.atoms.iter_mut().zip(&self.network.begun.atoms).for_each(|(to, &atom)| *to = atom);
        // Nothing maps it: this voids its capabilities and is done at once.
        self.hand_over(hw, frame, PUBLIC)?;
        self.frames.written(frame);
        // Its code is left to the calls that follow: `settle_filters`.
        if self.network.engine.is_busy() { Err(Error::Again) } else { Ok(Some(number)) }
    }

    /// Begins to insert a filter of the caller's, which takes the place of any other that was begun.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if it is none, or too long; otherwise [`Error::Again`].
    pub fn filter_begin(&mut self, caller: EnvId, frame: u32, words: [u32; 2], atoms: &[Atom]) -> Result<(), Error> {
        let Network { engine, begun, .. } = &mut self.network;
        begun.by = Begun::NOBODY;
        engine.read(atoms)?;
        if engine.steps() > STEPS_MAX {
            return Err(Error::BadArgument);
        }
        begun.atoms.clear();
        begun.atoms.extend_from_slice(atoms).map_err(|_| Error::BadArgument)?;
        (begun.by, begun.proved) = ((caller, frame, words), false);
        Err(Error::Again)
    }

    /// Removes a filter of the caller's.
    ///
    /// # Errors
    /// Those of [`call::FILTER_REMOVE`](aegis_abi::call::FILTER_REMOVE).
    pub fn filter_remove(&mut self, caller: EnvId, number: u32) -> Result<(), Error> {
        self.own_filter(caller, number)?;
        self.settle_filters()?;
        self.withdraw(number);
        self.gave(caller, FILTERS_KIND);
        Ok(())
    }

    /// Removes a filter of an environment that lives; the frame that paid for it. What others have mapped of that its owner
    /// unbinds, as with any frame that it has begun to free.
    pub(crate) fn withdraw(&mut self, number: u32) -> u32 {
        let Entry { frame, .. } = self.network.filter(number);
        self.remove(number);
        if self.frames.binding(frame) != 0 {
            self.frames.begin_to_unbind(frame);
        }
        frame
    }

    /// Makes a frame of the caller's the ring of a filter of its own; 0 for none.
    ///
    /// # Errors
    /// Those of [`call::FILTER_RING`](aegis_abi::call::FILTER_RING).
    pub fn filter_ring(&mut self, hw: &mut impl Hardware, caller: EnvId, number: u32, ring: u32) -> Result<(), Error> {
        let Entry { frame, .. } = self.own_filter(caller, number)?;
        if ring != 0 {
            self.movable(caller, ring)?;
        }
        if ring != 0 {
            // The kernel writes there from now on.
            self.frames.written(ring);
        }
        let stamp = self.frames.stamp();
        let installed = hw.installed(frame);
        (installed.ring, installed.next) = (ring, 0);
        installed.stamp = [stamp as u32, (stamp >> 32) as u32];
        Ok(())
    }

    /// Does the next piece of what an insertion or a removal, whoever's, has left to be done. Until there is none, no message
    /// can be told apart, and no filter comes or goes.
    ///
    /// # Errors
    /// [`Error::Again`] if there was one.
    pub fn settle_filters(&mut self) -> Result<(), Error> {
        if self.network.engine.is_busy() && self.network.engine.go_on() { Err(Error::Again) } else { Ok(()) }
    }

    /// Where the next message for a filter, which there is, goes.
    ///
    /// # Errors
    /// [`Lost`], which is counted.
    #[inline(always)]
    pub fn place(&mut self, hw: &mut impl Hardware, number: u32) -> Result<Place, Lost> {
        let Entry { owner, frame } = self.network.filter(number);
        if owner == 0 {
            return Err(Lost::NoBuffer);
        }
        let &mut Installed { ring, next, stamp: [low, high], .. } = hw.installed(frame);
        let now = self.frames.stamp();
        let held = ring != 0 && (now as u32, (now >> 32) as u32) == (low, high);
        if held || self.holds_ring(hw, number)? {
            let Descriptor { buffer, length } = hw.descriptor(ring, next);
            if length == 0 && self.is_buffer(EnvId(owner), buffer) {
                return Ok(Place { buffer, filter: frame, owner: EnvId(owner), ring, next });
            }
        }
        let dropped = &mut hw.installed(frame).dropped;
        *dropped = dropped.wrapping_add(1);
        Err(Lost::NoBuffer)
    }

    /// Whether the ring of a filter is its owner's, when frames have been unbound, or environments have ended, since that was asked last.
    #[inline(never)]
    fn holds_ring(&mut self, hw: &mut impl Hardware, number: u32) -> Result<bool, Lost> {
        let Entry { owner, frame } = self.network.filter(number);
        if !self.lives(EnvId(owner)) {
            self.remove(number);
            return Err(Lost::OwnerDied);
        }
        let installed = hw.installed(frame);
        let (ring, [low, high]) = (installed.ring, installed.stamp);
        let stamp = u64::from(high) << 32 | u64::from(low);
        if ring == 0 || !self.holds(Page { frame: ring << PAGE_SHIFT, writable: true, owner, stamp }) {
            return Ok(false);
        }
        let now = self.frames.stamp();
        installed.stamp = [now as u32, (now >> 32) as u32];
        Ok(true)
    }

    /// The message that has this place is in its buffer now, and has so many bytes: says so in the ring, and wakes the owner.
    #[inline(always)]
    pub fn delivered(&mut self, hw: &mut impl Hardware, place: Place, bytes: u32) {
        let Place { buffer, filter, owner, ring, next } = place;
        let installed = hw.installed(filter);
        installed.next = (next + 1) % DESCRIPTORS;
        installed.delivered = installed.delivered.wrapping_add(1);
        hw.set_length(ring, next, bytes);
        self.frames.written(buffer >> PAGE_SHIFT);
        // It lives: it was just asked.
        let _ = self.wake(owner);
    }

    /// Whether anybody may be waiting for a message.
    #[must_use]
    pub fn awaits_messages(&self) -> bool {
        self.network.living > 0
    }

    /// Whether a message that is, turned round, for this filter (0: for none) is the caller's to send.
    #[must_use]
    pub fn may_send(&self, caller: EnvId, number: u32) -> bool {
        self.network.filter(number).owner == caller.0
    }

    /// A message was sent that is, turned round, for this filter, which there is: counts it.
    pub fn sent(&mut self, hw: &mut impl Hardware, number: u32) {
        let Entry { frame, .. } = self.network.filter(number);
        let sent = &mut hw.installed(frame).sent;
        *sent = sent.wrapping_add(1);
    }

    /// Whether this is the address of a buffer in a frame of the environment's, and not its save page, which the kernel
    /// uses itself.
    #[inline(always)]
    fn is_buffer(&self, owner: EnvId, buffer: u32) -> bool {
        let frame = buffer >> PAGE_SHIFT;
        buffer.is_multiple_of(BUFFER_BYTES)
            && self.frames.owner(frame) == owner.0
            && self.environments.home(owner) != Some(frame)
    }

    /// The filter with this number, which is the caller's.
    pub(crate) fn own_filter(&self, caller: EnvId, number: u32) -> Result<Entry, Error> {
        match self.network.filter(number) {
            Entry { owner: 0, .. } => Err(Error::BadArgument),
            entry if entry.owner == caller.0 => Ok(entry),
            _ => Err(Error::Denied),
        }
    }

    /// Removes a filter, which there is. Its frame is its owner's, dead or alive, and others may still map it.
    fn remove(&mut self, number: u32) {
        let Entry { owner, frame } = core::mem::take(&mut self.network.filters[number as usize]);
        // That of a dead one was discounted when it died.
        if self.lives(EnvId(owner)) {
            self.network.counts[usize::from(EnvId(owner).index())] -= 1;
            self.network.living -= 1;
        }
        self.network.engine.begin_to_remove(number as u16);
        if self.take_down(number, owner) {
            self.gave(EnvId(owner), HANDLERS);
        }
        self.frames.set_owner(frame, owner);
    }

    /// Goes on with the search for filters of environments that are dead, and removes the next.
    fn bury(&mut self) -> Result<(), Error> {
        let Some(from) = self.network.searched else { return Ok(()) };
        let to = (from + SEARCH_STEP).min(FILTERS);
        let dead = |entry: &Entry| entry.owner != 0 && !self.environments.lives(EnvId(entry.owner));
        let found = self.network.filters[from..to].iter().position(dead).map(|place| from + place);
        if let Some(number) = found {
            self.remove(number as u32);
        }
        self.network.searched = Some(found.unwrap_or(to)).filter(|&next| next < FILTERS);
        Err(Error::Again)
    }

    /// Whether the filter with a number is in order; if not, what is wrong.
    pub(crate) fn audit_filter(&self, number: u32) -> Result<(), &'static str> {
        let Entry { owner, frame } = self.network.filter(number);
        let known = self.network.engine.owner(number as u16).unwrap_or(0);
        if known != owner {
            return Err("is another's in what tells messages apart");
        }
        if owner == 0 {
            let bare = frame == 0 && self.network.handlers[number as usize] == 0;
            return if bare { Ok(()) } else { Err("is nobody's and has a frame") };
        }
        self.audit_handler(number)?;
        if self.frames.owner(frame) != PUBLIC {
            return Err("is in a frame that is not public");
        }
        let lives = self.lives(EnvId(owner));
        if !(lives || self.network.searched.is_some() && self.environments.has_named(EnvId(owner & !FREEING))) {
            return Err("is the filter of one who never lived, or whose death was not noticed");
        }
        Ok(())
    }
}
