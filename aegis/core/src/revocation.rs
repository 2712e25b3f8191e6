//! Revocation: who is asked for what, and what may be taken from those that do not give it.
//!
//! The paper's sections 3.3 and 3.4: a request, a demand with a deadline, and behind the deadline the abort protocol.
//! Who asks, and for what, is policy, and a program's that holds the capability for [`REVOKE`](aegis_abi::frame::REVOKE). The kernel keeps the
//! account: what is freed counts, what is allocated meanwhile counts back. It takes only what is named to it, and no more
//! than is owed.
//!
//! Each step is bounded: a frame is taken in as many calls as it takes to free one, and its contents are copied in the
//! last.

use crate::capability::same;
use crate::environments::reached;
use crate::frames::Frames;
use crate::hardware::Hardware;
use crate::system::System;
use aegis_abi::frame::{Capability, FREE, FREEING, WRITE};
use aegis_abi::network;
use aegis_abi::revocation::{
    BACKED, DEADLINE_MAX, DEADLINE_MIN, Demand, EMERGENCY, EMPTY, Entry, FILTER_LOST, FILTERS, FRAMES, HANDLER_LOST,
    HANDLERS, KINDS, LOST, NO_DEADLINE, Revocation, SAVED, SLICE_LOST, SLICES,
};
use aegis_abi::slice::COUNT;
use aegis_abi::{EnvId, Error};

/// What an environment is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// By kind, as its save page shows it.
    demands: [Demand; KINDS],
    /// Of how many that once was.
    of: [u32; KINDS],
    /// The frame that is being taken from it, 0 if none is: only its bindings are left to be found. The frame counts as
    /// given already.
    taken: u32,
}

impl Account {
    /// Nothing is asked.
    pub(crate) const NONE: Self = Self { demands: [NOTHING; KINDS], of: [0; KINDS], taken: 0 };

    /// Whether nothing is asked, and nothing being taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.taken == 0 && self.demands.iter().all(|demand| demand.left == 0)
    }

    /// From now on this is asked of a kind.
    fn ask(&mut self, kind: u32, demand: Demand) {
        self.demands[kind as usize] = demand;
        self.of[kind as usize] = demand.left;
    }

    /// One resource less is owed. Whether that was the last.
    fn give(&mut self, kind: u32) -> bool {
        match self.demands[kind as usize].left {
            0 => false,
            1 => {
                self.ask(kind, NOTHING);
                true
            }
            left => {
                self.demands[kind as usize].left = left - 1;
                false
            }
        }
    }

    /// One that was given is had again, or another in its place.
    fn take_back(&mut self, kind: u32) {
        let left = &mut self.demands[kind as usize].left;
        if *left != 0 && *left < self.of[kind as usize] {
            *left += 1;
        }
    }

    /// What is wrong with it, if anything is.
    fn check(&self) -> Result<(), &'static str> {
        for (demand, &of) in self.demands.iter().zip(&self.of) {
            if demand.left > of || (demand.left == 0) != (of == 0) {
                return Err("owes more than it was asked for, or nothing of something");
            }
            if demand.flags != 0 && demand.deadline == NO_DEADLINE || demand.left == 0 && *demand != NOTHING {
                return Err("is asked for something in an impossible way");
            }
        }
        Ok(())
    }
}

/// Nothing.
const NOTHING: Demand = Demand { left: 0, deadline: 0, flags: 0 };

/// What callers and the kernel may know.
impl System<'_> {
    /// The capability for [`REVOKE`](aegis_abi::frame::REVOKE).
    #[must_use]
    pub fn authority(&self) -> Capability {
        self.authority
    }

    /// Whether what a caller has shown is the capability for [`REVOKE`](aegis_abi::frame::REVOKE).
    ///
    /// # Errors
    /// [`Error::Denied`].
    pub fn may_revoke(&self, shown: Capability) -> Result<(), Error> {
        if same(self.authority, shown) { Ok(()) } else { Err(Error::Denied) }
    }

    /// What is asked of an environment, by kind.
    #[must_use]
    pub fn demands(&self, env: EnvId) -> [Demand; KINDS] {
        self.environments.account(env).map_or([NOTHING; KINDS], |account| account.demands)
    }

    /// Whether anything is asked of an environment. Word by word: the comparison of arrays is a call, for bytes.
    #[must_use]
    pub fn is_asked(&self, env: EnvId) -> bool {
        self.environments.account(env).is_some_and(|account| account.of.iter().any(|&of| of != 0))
    }

    /// The environment that lives and owns a frame, or is freeing it.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if there is no such frame, [`Error::NoSuchEnvironment`].
    pub fn frame_owner(&self, frame: u32) -> Result<EnvId, Error> {
        if frame >= self.frames.len() {
            return Err(Error::BadArgument);
        }
        let owner = self.frames.owner(frame);
        let env = EnvId(owner & !FREEING);
        if Frames::is_special(owner) || !self.lives(env) { Err(Error::NoSuchEnvironment) } else { Ok(env) }
    }

    /// The environment that owns the slice at a position.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if there is no such position, [`Error::NoSuchEnvironment`].
    pub fn slice_owner(&self, position: u32) -> Result<EnvId, Error> {
        let slice = self.slices.vector().get(position as usize).ok_or(Error::BadArgument)?;
        if slice.owner == 0 { Err(Error::NoSuchEnvironment) } else { Ok(EnvId(slice.owner)) }
    }

    /// The environment that lives and has the filter with a number.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if there is no such number, [`Error::NoSuchEnvironment`].
    pub fn filter_owner(&self, number: u32) -> Result<EnvId, Error> {
        if number as usize >= network::FILTERS {
            return Err(Error::BadArgument);
        }
        let owner = EnvId(self.network.filter(number).owner);
        if self.lives(owner) { Ok(owner) } else { Err(Error::NoSuchEnvironment) }
    }

    /// The environment that lives and has a handler for the filter with a number.
    ///
    /// # Errors
    /// As for [`System::filter_owner`].
    pub fn handler_owner(&self, number: u32) -> Result<EnvId, Error> {
        let owner = self.filter_owner(number)?;
        if self.handler_frame(number) == 0 { Err(Error::NoSuchEnvironment) } else { Ok(owner) }
    }
}

/// What is done. That the caller may, [`System::may_revoke`] has said.
impl System<'_> {
    /// Asks an environment for `count` resources of a kind, to be given within `within` ticks from the tick `now`, or,
    /// if that is 0, when it likes. `what` is the kind, with or without [`EMERGENCY`]. It takes the place of what was
    /// asked before; 0 takes that back. Returns what was left of it.
    ///
    /// # Errors
    /// [`Error::NoSuchEnvironment`]; [`Error::BadArgument`] for what can't be asked for.
    pub fn revoke(&mut self, env: EnvId, what: u32, count: u32, within: u32, now: u32) -> Result<u32, Error> {
        let (kind, flags) = (what & !EMERGENCY, what & EMERGENCY);
        let most = match kind {
            FRAMES => self.frames.len(),
            SLICES => COUNT as u32,
            FILTERS | HANDLERS => network::FILTERS as u32,
            _ => return Err(Error::BadArgument),
        };
        let deadline = match within {
            0 if flags == 0 => NO_DEADLINE,
            DEADLINE_MIN..=DEADLINE_MAX => now.wrapping_add(within) & 0x7fff_ffff,
            _ => return Err(Error::BadArgument),
        };
        if count > most {
            return Err(Error::BadArgument);
        }
        let account = self.environments.account_mut(env).ok_or(Error::NoSuchEnvironment)?;
        let former = account.demands[kind as usize].left;
        if count == 0 {
            account.ask(kind, NOTHING);
            return Ok(former);
        }
        account.ask(kind, Demand { left: count, deadline, flags });
        self.environments.notify(env);
        self.statistics.demands = self.statistics.demands.wrapping_add(1);
        Ok(former)
    }

    /// Takes a frame from its owner, `env`, as [`System::frame_owner`] says, at the tick `now`: breaks every mapping of
    /// it, voids its capabilities, puts its contents where `page`, the owner's, says, and makes it nobody's.
    ///
    /// # Errors
    /// [`Error::Denied`] if nothing may be taken from that one, or not this frame; [`Error::Busy`] if not yet, or another
    /// is being taken, or it is its save page; [`Error::Again`]: it counts as given, nobody can map it, and the owner can
    /// only free it.
    pub fn frame_repossess(
        &mut self,
        hw: &mut impl Hardware,
        env: EnvId,
        frame: u32,
        now: u32,
        page: &mut Revocation,
    ) -> Result<(), Error> {
        if self.environments.home(env) == Some(frame) {
            return Err(Error::Busy);
        }
        if !self.is_taken(env, frame) {
            let emergency = self.due(env, FRAMES, now)?;
            if page.reserve.contains(&frame) && !emergency {
                return Err(Error::Denied);
            }
            let account = self.environments.account_mut(env).ok_or(Error::NoSuchEnvironment)?;
            if account.taken != 0 {
                return Err(Error::Busy);
            }
            account.taken = frame;
            account.give(FRAMES);
        }
        self.frames.unbind(hw, frame)?;
        self.save(hw, env, frame, page);
        self.frames.set_owner(frame, FREE);
        self.no_more_taken(env, frame);
        self.environments.notify(env);
        self.statistics.frames_repossessed = self.statistics.frames_repossessed.wrapping_add(1);
        Ok(())
    }

    /// Takes the slice at a position from its owner, `env`, as [`System::slice_owner`] says, at the tick `now`: lent or
    /// not, it is nobody's.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if there is no such position; [`Error::Denied`] if nothing may be taken from that one, or
    /// it has no other and this is no emergency; [`Error::Busy`] if not yet.
    pub fn slice_repossess(&mut self, env: EnvId, position: u32, now: u32, page: &mut Revocation) -> Result<(), Error> {
        let emergency = self.due(env, SLICES, now)?;
        if !emergency && self.slices.owned(env) == 1 {
            return Err(Error::Denied);
        }
        self.slices.free(position, env)?;
        self.lost(env, SLICES, page, Entry { state: SLICE_LOST, name: position, ..Entry::default() });
        self.statistics.slices_repossessed = self.statistics.slices_repossessed.wrapping_add(1);
        Ok(())
    }

    /// Takes a filter from its owner, `env`, as [`System::filter_owner`] says, at the tick `now`: no message goes to it any more,
    /// and its handler goes with it. The frames of both are the owner's again.
    ///
    /// # Errors
    /// [`Error::Denied`] if nothing may be taken from that one; [`Error::Busy`] if not yet; [`Error::Again`]: an insertion or a
    /// removal, whoever's, is finished first.
    pub fn filter_repossess(&mut self, env: EnvId, number: u32, now: u32, page: &mut Revocation) -> Result<(), Error> {
        self.due(env, FILTERS, now)?;
        self.settle_filters()?;
        let frame = self.withdraw(number);
        let entry = Entry { state: FILTER_LOST, name: number, backing: frame, ..Entry::default() };
        self.lost(env, FILTERS, page, entry);
        self.statistics.filters_repossessed = self.statistics.filters_repossessed.wrapping_add(1);
        Ok(())
    }

    /// Takes the handler of a filter from its owner, `env`, as [`System::handler_owner`] says, at the tick `now`. Its frames
    /// are the owner's again.
    ///
    /// # Errors
    /// [`Error::Denied`] if nothing may be taken from that one; [`Error::Busy`] if not yet.
    pub fn handler_repossess(
        &mut self,
        hw: &mut impl Hardware,
        env: EnvId,
        number: u32,
        now: u32,
        page: &mut Revocation,
    ) -> Result<(), Error> {
        self.due(env, HANDLERS, now)?;
        let frame = self.unhandle(hw, number);
        let entry = Entry { state: HANDLER_LOST, name: number, backing: frame, ..Entry::default() };
        self.lost(env, HANDLERS, page, entry);
        self.statistics.handlers_repossessed = self.statistics.handlers_repossessed.wrapping_add(1);
        Ok(())
    }

    /// An environment has lost a resource of a kind by force: it is told of `loss`.
    fn lost(&mut self, env: EnvId, kind: u32, page: &mut Revocation, loss: Entry) {
        if let Some(account) = self.environments.account_mut(env) {
            account.give(kind);
        }
        match page.vector.iter_mut().find(|entry| entry.state == EMPTY) {
            Some(entry) => *entry = loss,
            None => self.no_room(page),
        }
        self.environments.notify(env);
    }

    /// An environment has freed a resource by itself.
    pub(crate) fn gave(&mut self, env: EnvId, kind: u32) {
        if self.environments.account_mut(env).is_some_and(|account| account.give(kind)) {
            self.statistics.demands_met = self.statistics.demands_met.wrapping_add(1);
        }
    }

    /// An environment has allocated a resource.
    pub(crate) fn took(&mut self, env: EnvId, kind: u32) {
        if let Some(account) = self.environments.account_mut(env) {
            account.take_back(kind);
        }
    }

    /// Whether a frame is being taken from an environment.
    pub(crate) fn is_taken(&self, env: EnvId, frame: u32) -> bool {
        frame != 0 && self.environments.account(env).is_some_and(|account| account.taken == frame)
    }

    /// A frame that was being taken from an environment is nobody's. Whether it was.
    pub(crate) fn no_more_taken(&mut self, env: EnvId, frame: u32) -> bool {
        let taken = self.is_taken(env, frame);
        if taken && let Some(account) = self.environments.account_mut(env) {
            account.taken = 0;
        }
        taken
    }

    /// Whether an environment's account is in order; if not, what is wrong.
    pub(crate) fn audit_account(&self, env: EnvId) -> Result<(), &'static str> {
        let Some(account) = self.environments.account(env) else { return Ok(()) };
        account.check()?;
        let taken = account.taken;
        if taken != 0 && self.frames.owner(taken) != env.0 | FREEING {
            return Err("loses a frame that is not its own, or not being freed");
        }
        Ok(())
    }

    /// Whether something of a kind may be taken from an environment now, and whether in an emergency.
    fn due(&self, env: EnvId, kind: u32, now: u32) -> Result<bool, Error> {
        let demand = |account: &Account| account.demands[kind as usize];
        let Demand { left, deadline, flags } = self.environments.account(env).map_or(NOTHING, demand);
        if left == 0 || deadline == NO_DEADLINE {
            return Err(Error::Denied);
        }
        if reached(deadline, now) { Ok(flags & EMERGENCY != 0) } else { Err(Error::Busy) }
    }

    /// Notes in the vector that a frame is lost, which nothing maps, and copies it to where the vector says.
    fn save(&mut self, hw: &mut impl Hardware, env: EnvId, frame: u32, page: &mut Revocation) {
        let named = |entry: &Entry| entry.state == BACKED && entry.name == frame;
        let place = page.vector.iter().position(named);
        let Some(index) = place.or_else(|| page.vector.iter().position(|entry| entry.state == EMPTY)) else {
            return self.no_room(page);
        };
        let entry = &mut page.vector[index];
        if place.is_some() && self.may_save(env, frame, *entry) {
            hw.copy(frame, entry.backing);
            self.frames.written(entry.backing);
            entry.state = SAVED;
            self.statistics.frames_saved = self.statistics.frames_saved.wrapping_add(1);
        } else {
            *entry = Entry { state: LOST, name: frame, ..Entry::default() };
        }
    }

    /// Whether contents may be written where a program has said: to a frame of its own, or one for which it has named a
    /// capability; not to its save page, which the kernel uses meanwhile.
    fn may_save(&self, env: EnvId, frame: u32, Entry { backing, capability, .. }: Entry) -> bool {
        let owner = self.frames.owner(backing);
        if backing == frame || self.environments.home(env) == Some(backing) {
            return false;
        }
        // What is no frame is the kernel's, and no environment lives whose id is the owner word of that, or of a frame
        // that is being freed.
        owner == env.0
            || self.lives(EnvId(owner)) && self.key.authenticates(capability, self.frames.resource(backing), WRITE)
    }

    /// A loss that the vector has no room for.
    fn no_room(&mut self, page: &mut Revocation) {
        page.overflow = page.overflow.wrapping_add(1);
        self.statistics.losses_unrecorded = self.statistics.losses_unrecorded.wrapping_add(1);
    }
}
