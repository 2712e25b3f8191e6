//! All tables of the kernel together, and the rules that concern more than one of them.
//!
//! Every call of a program about frames and environments ends here. The caller is the running environment, so it lives.
//! A call that fails has changed nothing, but for [`Error::Again`]: then part of the work is done, and the same call
//! goes on with it.

use crate::capability::{Key, Resource, same};
use crate::contexts::ContextId;
use crate::environments::{Begin, Environments};
use crate::frames::Frames;
pub use crate::hardware::Hardware;
use crate::mappings::{Mapping, Mappings, Page};
use crate::network::Network;
use crate::slices::{Next, Slices};
use aegis_abi::frame::{CONTROL, Capability, FREE, FREEING, KERNEL, PUBLIC, READ, REVOKE, WRITE};
use aegis_abi::public::Statistics;
use aegis_abi::revocation::{FRAMES, SLICES};
use aegis_abi::vm::{CONTEXTS, PAGE_SHIFT};
use aegis_abi::{EnvId, Error};

/// Who owns what.
pub struct System<'a> {
    /// Physical memory.
    pub frames: Frames<'a>,
    /// Who lives.
    pub environments: Environments<'a>,
    /// The processor.
    pub slices: Slices<'a>,
    /// Packet filters.
    pub network: Network<'a>,
    /// What has happened since the start.
    pub statistics: &'a mut Statistics,
    pub(crate) key: Key,
    /// The tag of the capability for revocation, so that it need not be made anew each time that one is shown.
    pub(crate) authority: Capability,
}

impl<'a> System<'a> {
    /// The system of these tables, whose capabilities are made with `key`.
    #[must_use]
    pub fn new(
        frames: Frames<'a>,
        environments: Environments<'a>,
        slices: Slices<'a>,
        network: Network<'a>,
        statistics: &'a mut Statistics,
        key: Key,
    ) -> Self {
        let authority = key.tag(Resource::Pool, REVOKE);
        Self { frames, environments, slices, network, statistics, key, authority }
    }
}

/// Frames (the paper's section 3.2.1).
impl System<'_> {
    /// Makes a frame that nobody owns, or whose owner is dead, the caller's: zeroed and mapped nowhere.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if there is no such frame, [`Error::Busy`] if it has an owner; [`Error::Again`].
    pub fn frame_allocate(&mut self, hw: &mut impl Hardware, caller: EnvId, frame: u32) -> Result<(), Error> {
        if frame >= self.frames.len() {
            return Err(Error::BadArgument);
        }
        if !self.is_free(frame) {
            return Err(Error::Busy);
        }
        // What nobody owns was unbound when it was freed, what the dead have left may still be mapped by others.
        if self.frames.owner(frame) != FREE {
            self.frames.unbind(hw, frame)?;
        }
        self.frames.scrub(hw, frame);
        self.frames.set_owner(frame, caller.0);
        self.took(caller, FRAMES);
        Ok(())
    }

    /// Frees a frame of the caller's: breaks every mapping of it and voids its capabilities.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if there is no such frame; [`Error::Denied`] if the caller does not own it;
    /// [`Error::Busy`] if it is its save page; [`Error::Again`]: nobody can map it meanwhile.
    pub fn frame_free(&mut self, hw: &mut impl Hardware, caller: EnvId, frame: u32) -> Result<(), Error> {
        // One that is just being taken from the caller has counted already.
        let taken = self.is_taken(caller, frame);
        if !taken {
            self.movable(caller, frame)?;
        }
        self.hand_over(hw, frame, FREE)?;
        if !self.no_more_taken(caller, frame) {
            self.gave(caller, FRAMES);
        }
        Ok(())
    }

    /// Makes the environment `to` the owner of a frame of the caller's, contents and all. Every mapping of it is broken
    /// and its capabilities are void.
    ///
    /// # Errors
    /// As for [`System::frame_free`], and [`Error::NoSuchEnvironment`].
    pub fn frame_give(&mut self, hw: &mut impl Hardware, caller: EnvId, frame: u32, to: EnvId) -> Result<(), Error> {
        self.movable(caller, frame)?;
        if !self.lives(to) {
            return Err(Error::NoSuchEnvironment);
        }
        self.hand_over(hw, frame, to.0)
    }

    /// Breaks every mapping of a frame of the caller's and voids its capabilities.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if there is no such frame; [`Error::Denied`] if the caller does not own it;
    /// [`Error::Busy`] if it is its save page, or being taken from it; [`Error::Again`]: nobody can map it meanwhile.
    pub fn frame_renew(&mut self, hw: &mut impl Hardware, caller: EnvId, frame: u32) -> Result<(), Error> {
        self.movable(caller, frame)?;
        self.hand_over(hw, frame, caller.0)
    }

    /// A capability with `right`, to read or to write, for a frame of the caller's.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if there is no such frame or right; [`Error::Denied`] if the caller does not own it, or
    /// is freeing it.
    pub fn capability(&mut self, caller: EnvId, frame: u32, right: u32) -> Result<Capability, Error> {
        if frame >= self.frames.len() || !matches!(right, READ | WRITE) {
            return Err(Error::BadArgument);
        }
        if self.frames.owner(frame) != caller.0 {
            return Err(Error::Denied);
        }
        Ok(self.key.tag(self.frames.resource(frame), right))
    }

    /// Whether the caller may map a frame, for writing, too, if `write`: it is the frame's owner, or the frame is
    /// public and only to be read, or what it has shown is the tag of a capability that suffices, which is then
    /// remembered for assembly. Costs up to two hashes.
    pub fn may_bind(&mut self, caller: EnvId, frame: u32, write: bool, shown: Capability) -> bool {
        let owner = self.frames.owner(frame);
        if owner == caller.0 {
            return true;
        }
        if owner == PUBLIC {
            return !write;
        }
        // No environment lives whose id is the owner word of a frame that is free, the kernel's, or being freed.
        if !self.lives(EnvId(owner)) {
            return false;
        }
        let sufficient: &[u32] = if write { &[WRITE] } else { &[READ, WRITE] };
        let resource = self.frames.resource(frame);
        for &right in sufficient {
            if self.key.authenticates(shown, resource, right) {
                self.frames.remember(frame, right, shown);
                return true;
            }
        }
        false
    }

    /// Notes that the software TLB's entry whose tag is at address `slot` maps a frame now, as assembly does: a frame
    /// that another entry may map, too, has to be searched for when it is unbound.
    ///
    /// # Panics
    /// If there is no such frame.
    pub fn bind(&mut self, frame: u32, slot: u32) {
        self.frames.bind(frame, slot);
    }

    /// Whether a frame can be allocated: nobody owns it, or its owner is dead.
    #[must_use]
    pub fn is_free(&self, frame: u32) -> bool {
        match self.frames.owner(frame) {
            KERNEL | PUBLIC => false,
            owner => !self.lives(EnvId(owner & !FREEING)),
        }
    }

    /// Whether a guaranteed mapping of this page still holds: its frame has the owner that it had, who lives, and has
    /// not been unbound since, be it by an owner who has it again.
    #[must_use]
    pub fn holds(&self, page: Page) -> bool {
        let owner = page.owner;
        (owner == PUBLIC || self.lives(EnvId(owner))) && self.holds_for(page, EnvId(owner))
    }

    /// The same if its owner is `caller`, who lives, or everybody: `false` if it is another's.
    #[must_use]
    #[inline]
    pub fn holds_for(&self, Page { owner, stamp, frame, .. }: Page, caller: EnvId) -> bool {
        let frame = frame >> PAGE_SHIFT;
        owner == caller.0 && self.frames.owner(frame) == owner && !self.frames.unbound_since(frame, stamp)
    }

    /// Whether one of two `parties` can give the other a guaranteed mapping of `pages` frames from `first` on, for writing,
    /// too, if `write`; and on what grounds: the owner word that the frames must keep, and since when. Either all frames
    /// have one owner, which is a party, or everybody if they are only to be read; or the giver, whose guaranteed mappings
    /// are `own`, has them so itself, and passes that on: the new mapping holds for as long as the giver's would.
    #[must_use]
    pub fn may_guarantee(
        &self,
        parties: [EnvId; 2],
        own: &Mappings,
        first: u32,
        pages: u32,
        write: bool,
    ) -> Option<(u32, u64)> {
        let owner = self.frames.owner(first);
        // The owner word of a frame that is being freed is no party's id.
        let granted = parties.contains(&EnvId(owner)) || owner == PUBLIC && !write;
        if granted && self.frames.owned_by(first, pages, owner) {
            return Some((owner, self.frames.stamp()));
        }
        let Mapping { writable, owner, stamp, .. } = own.of_frames(first, pages)?;
        // As `holds` says it, of all of them.
        let lives = owner == PUBLIC || self.lives(EnvId(owner));
        let held = lives && self.frames.unchanged(first, pages, owner, stamp);
        (held && (writable || !write)).then_some((owner, stamp))
    }

    /// Unbinds a frame and gives it its next owner. Whatever call began the unbinding, this one says what comes of it.
    pub(crate) fn hand_over(&mut self, hw: &mut impl Hardware, frame: u32, owner: u32) -> Result<(), Error> {
        self.frames.unbind(hw, frame)?;
        self.frames.set_owner(frame, owner);
        Ok(())
    }

    /// The caller owns a frame, or is freeing it, and it is not being taken from it.
    fn owned(&self, caller: EnvId, frame: u32) -> Result<(), Error> {
        if frame >= self.frames.len() {
            return Err(Error::BadArgument);
        }
        if self.frames.owner(frame) & !FREEING != caller.0 {
            return Err(Error::Denied);
        }
        if self.is_taken(caller, frame) {
            return Err(Error::Busy);
        }
        Ok(())
    }

    /// The caller owns a frame, or is freeing it, and it is not its save page, which stays for as long as it lives.
    pub(crate) fn movable(&self, caller: EnvId, frame: u32) -> Result<(), Error> {
        self.owned(caller, frame)?;
        if self.environments.home(caller) == Some(frame) {
            return Err(Error::Busy);
        }
        Ok(())
    }
}

/// Environments (the paper's section 5.1.2).
impl System<'_> {
    /// Makes an environment of two frames of the caller's: `frame`, which is even, for its save page, and the next for the
    /// kernel's record of it, whose address is `record`. Both are zeroed and mapped nowhere. It can't run until it
    /// is [opened](System::open). Returns its id and a capability for [`CONTROL`] over it.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if `frame` is odd or one of the two is no frame; [`Error::Denied`] if the caller does
    /// not own both; [`Error::Full`] if there are as many environments as there can be; [`Error::Again`].
    pub fn env_create(
        &mut self,
        hw: &mut impl Hardware,
        caller: EnvId,
        frame: u32,
        record: u32,
    ) -> Result<(EnvId, Capability), Error> {
        if !frame.is_multiple_of(2) {
            return Err(Error::BadArgument);
        }
        // Neither is pinned: the caller's save page stands before its record, which is not the caller's but the
        // kernel's.
        let behind = frame + 1;
        self.owned(caller, frame).and(self.owned(caller, behind))?;
        if self.environments.full() {
            return Err(Error::Full);
        }
        // One frame a call, for scrubbing takes its time.
        let mut scrubbed = false;
        for frame in [frame, behind] {
            if scrubbed {
                return Err(Error::Again);
            }
            scrubbed = !self.frames.is_blank(frame);
            self.frames.unbind(hw, frame)?;
            self.frames.scrub(hw, frame);
        }
        self.settle(frame, record).ok_or(Error::Full)
    }

    /// Makes one of the first environments, of two frames that nobody owns and that the kernel has filled. `None`, and
    /// nothing done, if `frame` is odd, or one of them has an owner, or there are too many environments.
    pub fn env_create_at_boot(&mut self, frame: u32, record: u32) -> Option<EnvId> {
        let free = |frame| self.frames.owner(frame) == FREE;
        if !frame.is_multiple_of(2) || !free(frame) || !free(frame + 1) {
            return None;
        }
        self.settle(frame, record).map(|(id, _)| id)
    }

    /// Whether the caller may set up, map into and destroy the environment `env`: it is its own, or it has shown a
    /// capability for [`CONTROL`] over it.
    ///
    /// # Errors
    /// [`Error::NoSuchEnvironment`] if `env` does not live, [`Error::Denied`] if the caller may not.
    pub fn controls(&self, caller: EnvId, env: EnvId, shown: Capability) -> Result<(), Error> {
        let control = self.environments.control(env).ok_or(Error::NoSuchEnvironment)?;
        if caller == env || same(control, shown) { Ok(()) } else { Err(Error::Denied) }
    }

    /// An environment has been set up: it can run, takes transfers as said, and is told of revocation if it is
    /// `informed`. Nothing if it does not live.
    pub fn open(&mut self, env: EnvId, synchronous: bool, asynchronous: bool, informed: bool) {
        self.environments.open(env, synchronous, asynchronous, informed);
    }

    /// A slice of an environment begins. Where it does: what it was to be told of revocation it is told by that.
    #[inline]
    pub fn begin(&mut self, env: EnvId) -> Begin {
        self.environments.begin(env)
    }

    /// Ends an environment; false if it does not live. Its slices are free, what was lent to it is its owners', and its
    /// frames count as free from now on, since their owner is dead. Costs one walk over the slice vector.
    pub fn env_destroy(&mut self, env: EnvId) -> bool {
        let Some(home) = self.environments.destroy(env) else { return false };
        self.slices.release(env);
        self.network.note_death(env);
        self.frames.note_death();
        // The record's frame is not mapped anywhere, and goes the way of the rest.
        self.frames.set_owner(home + 1, env.0);
        self.statistics.ended = self.statistics.ended.wrapping_add(1);
        true
    }

    /// The hardware id of an environment's current context, which it is given now if it has none. If none is left, all
    /// are taken back first, the TLBs are emptied, and whoever is entered next needs a new one.
    ///
    /// [`ContextId::NONE`], which is the kernel's, if the environment does not live.
    #[inline(always)]
    pub fn context(&mut self, hw: &mut impl Hardware, env: EnvId) -> ContextId {
        if let Some(context) = self.environments.context(env) {
            return context;
        }
        self.revoke_contexts(hw, env)
    }

    #[inline(never)]
    fn revoke_contexts(&mut self, hw: &mut impl Hardware, env: EnvId) -> ContextId {
        if !self.lives(env) {
            return ContextId::NONE;
        }
        self.environments.revoke_contexts();
        hw.flush();
        self.statistics.context_revocations = self.statistics.context_revocations.wrapping_add(1);
        self.environments.context(env).unwrap_or_default()
    }

    /// Makes the `n`-th of an environment's addressing contexts its current one. It may have no hardware id yet.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if there is no such context, [`Error::NoSuchEnvironment`] if `env` does not live.
    pub fn select_context(&mut self, env: EnvId, n: u32) -> Result<(), Error> {
        if !self.lives(env) {
            return Err(Error::NoSuchEnvironment);
        }
        if n >= CONTEXTS as u32 {
            return Err(Error::BadArgument);
        }
        self.environments.select_context(env, n as u8);
        Ok(())
    }

    /// Whether an environment with this id lives.
    #[must_use]
    pub fn lives(&self, env: EnvId) -> bool {
        self.environments.lives(env)
    }

    /// An environment gives up its slices until it is woken, or until the tick `deadline` of the 31-bit clock.
    pub fn wait(&mut self, env: EnvId, deadline: Option<u32>) {
        self.environments.wait(env, deadline);
    }

    /// Ends an environment's wait, or its next one if it does not wait just now.
    ///
    /// # Errors
    /// [`Error::NoSuchEnvironment`].
    pub fn wake(&mut self, env: EnvId) -> Result<(), Error> {
        self.environments.wake(env)
    }

    /// Whether an environment would use a slice at the tick `ticks`: it is set up, and does not wait, or waits for what
    /// has come.
    #[must_use]
    pub fn ready(&self, env: EnvId, ticks: u32) -> bool {
        self.environments.ready(env, ticks)
    }

    /// Whether the wait of anybody who runs a slice will end without another environment's doing. Those that run none
    /// are not run again by the clock alone.
    #[must_use]
    pub fn anybody_waits_for_the_clock(&self) -> bool {
        self.slices.vector().iter().any(|slice| self.environments.waits_for_the_clock(EnvId(slice.runner)))
    }

    /// Makes the slice at a position, which is free, the caller's.
    ///
    /// # Errors
    /// As for [`Slices::allocate`].
    pub fn slice_allocate(&mut self, caller: EnvId, position: u32) -> Result<(), Error> {
        self.slices.allocate(position, caller)?;
        self.took(caller, SLICES);
        Ok(())
    }

    /// Frees a slice of the caller's, lent or not.
    ///
    /// # Errors
    /// As for [`Slices::free`].
    pub fn slice_free(&mut self, caller: EnvId, position: u32) -> Result<(), Error> {
        self.slices.free(position, caller)?;
        self.gave(caller, SLICES);
        Ok(())
    }

    /// Makes the environment `to` the owner and the runner of a slice of the caller's.
    ///
    /// # Errors
    /// As for [`Slices::free`], and [`Error::NoSuchEnvironment`].
    pub fn slice_give(&mut self, caller: EnvId, position: u32, to: EnvId) -> Result<(), Error> {
        self.slices.owned_by(position, caller)?;
        if !self.lives(to) {
            return Err(Error::NoSuchEnvironment);
        }
        self.slices.give(position, caller, to)
    }

    /// Goes on to the next slice whose runner is ready at the tick `ticks`, and ends that one's wait. Bounded as
    /// [`Slices::advance`] is.
    pub fn next(&mut self, ticks: u32) -> Next {
        let next = self.slices.advance(|env| self.environments.ready(env, ticks));
        if let Next::Run(env) = next {
            self.environments.resume(env);
        }
        self.statistics.excess = self.slices.total_excess();
        self.statistics.forfeited = self.slices.forfeited();
        next
    }

    /// Brings an environment to life in two frames that nothing maps.
    fn settle(&mut self, frame: u32, record: u32) -> Option<(EnvId, Capability)> {
        let id = self.environments.create(frame, record)?;
        let control = self.key.tag(Resource::Environment(id), CONTROL);
        self.environments.set_control(id, control);
        for (frame, owner) in [(frame, id.0), (frame + 1, KERNEL)] {
            self.frames.set_owner(frame, owner);
            self.frames.written(frame);
        }
        self.statistics.created = self.statistics.created.wrapping_add(1);
        Some((id, control))
    }
}
