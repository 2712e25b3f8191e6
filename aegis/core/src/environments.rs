//! Environments: who lives, under which id, whether it can be entered, and what it waits for.
//!
//! The paper's section 5.1.2. What assembly asks about an environment is in the public directory, one compare each; the
//! directory is made from the private state here, anew at each change.

use crate::contexts::{ContextId, Contexts};
use crate::revocation::Account;
use aegis_abi::env::DirectoryEntry;
use aegis_abi::frame::Capability;
use aegis_abi::vm::CONTEXTS;
use aegis_abi::{EnvId, Error};

/// What an environment waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wait {
    /// Nothing: it has work.
    Nothing,
    /// To be woken.
    Wake,
    /// To be woken, or this tick of the clock.
    Tick(u32),
}

/// Where the slice of an environment begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begin {
    /// Where it was told to when it was set up.
    First,
    /// At its start-of-slice entry.
    Slice,
    /// At its entry for revocation.
    Revocation,
}

/// The kernel's private knowledge of what lives at one index. What a change of slices asks stands first, in one block of
/// the data cache.
#[derive(Clone, Debug)]
#[repr(C, align(16))]
pub struct State {
    /// The id of who lives, or of who lived last. Its generation is 0 before the first life.
    id: EnvId,
    wait: Wait,
    alive: bool,
    /// Whether it has been told where it is entered. Until then it can't run.
    set_up: bool,
    /// Somebody has woken it since its last wait.
    woken: bool,
    /// Whether it has begun since: before that a slice of it begins elsewhere, and is not yielded to it by the short
    /// way.
    begun: bool,
    /// Whether there is something to tell it about revocation, and whether it has an entry for that.
    notice: bool,
    informed: bool,
    /// Whether it takes synchronous transfers, and asynchronous ones.
    synchronous: bool,
    asynchronous: bool,
    /// The hardware ids of its addressing contexts.
    contexts: [ContextId; CONTEXTS],
    /// Which of them is installed.
    current: u8,
    /// The frame of its save page; the one behind is that of the kernel's record of it.
    home: u32,
    /// What it is asked for.
    account: Account,
    /// The tag of the capability for control over it, so that it need not be made anew each time that one is shown.
    control: Capability,
}

impl State {
    /// Of an index that nobody has had yet.
    pub const NONE: Self = Self {
        id: EnvId(0),
        alive: false,
        set_up: false,
        begun: false,
        notice: false,
        informed: false,
        synchronous: false,
        asynchronous: false,
        contexts: [ContextId::NONE; CONTEXTS],
        current: 0,
        wait: Wait::Nothing,
        woken: false,
        home: 0,
        account: Account::NONE,
        control: Capability([0; 2]),
    };

    fn context(&self) -> ContextId {
        self.contexts[usize::from(self.current)]
    }

    /// Whether its next slice begins at its start-of-slice entry.
    fn goes_on(&self) -> bool {
        self.begun && !(self.notice && self.informed)
    }
}

/// All environments, by index.
pub struct Environments<'a> {
    directory: &'a mut [DirectoryEntry; EnvId::COUNT],
    states: &'a mut [State; EnvId::COUNT],
    /// Indices that nobody has, the one that has been so for longest first: so generations are used up evenly. Retired
    /// ones are not among them.
    unused: heapless::Deque<u8, { EnvId::COUNT }>,
    contexts: Contexts,
    /// What the directory has as the record of nobody: the kernel's own.
    nobody: u32,
}

impl<'a> Environments<'a> {
    /// None yet. The directory names `nobody` as the record of those that do not live.
    #[must_use]
    pub fn new(
        directory: &'a mut [DirectoryEntry; EnvId::COUNT],
        states: &'a mut [State; EnvId::COUNT],
        nobody: u32,
    ) -> Self {
        let mut environments =
            Self { directory, states, unused: heapless::Deque::new(), contexts: Contexts::new(), nobody };
        for index in 0..=u8::MAX {
            environments.states[usize::from(index)] = State::NONE;
            environments.directory[usize::from(index)].record = nobody;
            environments.publish(index);
            let _ = environments.unused.push_back(index);
        }
        environments
    }

    /// Makes every index as old as if it had had this many lives.
    #[cfg(test)]
    pub(crate) fn age(&mut self, generation: u32) {
        for (index, state) in (0..=u8::MAX).zip(self.states.iter_mut()) {
            state.id = EnvId::new(index, generation);
        }
    }

    /// Whether an environment with this id lives.
    #[must_use]
    pub fn lives(&self, env: EnvId) -> bool {
        self.state(env).is_some()
    }

    /// The id of the environment that lives at `index`.
    #[must_use]
    pub fn at(&self, index: u8) -> Option<EnvId> {
        let state = &self.states[usize::from(index)];
        state.alive.then_some(state.id)
    }

    /// Whether there are as many as there can be.
    #[must_use]
    pub fn full(&self) -> bool {
        self.unused.is_empty()
    }

    /// The frame of an environment's save page; the one behind holds the kernel's record of it.
    #[must_use]
    pub fn home(&self, env: EnvId) -> Option<u32> {
        self.state(env).map(|state| state.home)
    }

    /// Which of its addressing contexts an environment has installed.
    #[must_use]
    pub fn current_context(&self, env: EnvId) -> Option<u32> {
        self.state(env).map(|state| u32::from(state.current))
    }

    /// The hardware ids of an environment's addressing contexts; [`ContextId::NONE`] for one that has none now.
    #[must_use]
    pub fn contexts(&self, env: EnvId) -> Option<[ContextId; CONTEXTS]> {
        self.state(env).map(|state| state.contexts)
    }

    /// The tag of the capability for control over an environment.
    #[must_use]
    pub(crate) fn control(&self, env: EnvId) -> Option<Capability> {
        self.state(env).map(|state| state.control)
    }

    /// Notes that tag.
    pub(crate) fn set_control(&mut self, env: EnvId, tag: Capability) {
        if let Some(state) = self.state_mut(env) {
            state.control = tag;
        }
    }

    /// How many live.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.states.iter().filter(|state| state.alive).count()
    }

    /// Whether an environment's wait will end without another's doing.
    #[must_use]
    pub fn waits_for_the_clock(&self, env: EnvId) -> bool {
        self.state(env).is_some_and(|state| matches!(state.wait, Wait::Tick(_)))
    }

    /// What the directory says of the environment at an index.
    #[must_use]
    pub fn entry(&self, index: u8) -> DirectoryEntry {
        self.directory[usize::from(index)]
    }

    /// Whether an environment would use a slice at the tick `ticks`: it is set up, and waits for nothing, or for what
    /// has come. A change of slices asks this for every position, so it is short and inlined.
    #[inline]
    #[must_use]
    pub fn ready(&self, env: EnvId, ticks: u32) -> bool {
        self.state(env).is_some_and(|state| {
            state.set_up
                && match state.wait {
                    Wait::Nothing => true,
                    Wait::Wake => state.woken,
                    Wait::Tick(deadline) => state.woken || reached(deadline, ticks),
                }
        })
    }

    /// Brings an environment to life, whose home is the frame `home` and whose record is at the address `record`.
    pub(crate) fn create(&mut self, home: u32, record: u32) -> Option<EnvId> {
        let index = self.unused.pop_front()?;
        let state = &mut self.states[usize::from(index)];
        let id = EnvId::new(index, state.id.generation() + 1);
        *state = State { id, alive: true, home, ..State::NONE };
        self.directory[usize::from(index)].record = record;
        self.publish(index);
        Some(id)
    }

    /// Ends a life, and says what was its home. The index is retired if it has no generation left.
    pub(crate) fn destroy(&mut self, env: EnvId) -> Option<u32> {
        let state = self.state_mut(env)?;
        let home = state.home;
        *state = State { id: env, ..State::NONE };
        self.directory[usize::from(env.index())].record = self.nobody;
        self.publish(env.index());
        if env.generation() < EnvId::LAST_GENERATION {
            let _ = self.unused.push_back(env.index());
        }
        Some(home)
    }

    /// Sets up an environment, which takes transfers as said, and is told of revocation if it is `informed`.
    pub(crate) fn open(&mut self, env: EnvId, synchronous: bool, asynchronous: bool, informed: bool) {
        self.change(env, |state| {
            state.set_up = true;
            state.begun = false;
            state.synchronous = synchronous;
            state.asynchronous = asynchronous;
            state.informed = informed;
        });
    }

    /// A slice of an environment begins, and the later ones will at its start of slice. Where this one does.
    #[inline]
    pub(crate) fn begin(&mut self, env: EnvId) -> Begin {
        let Some(state) = self.state_mut(env) else { return Begin::Slice };
        let begin = if !core::mem::replace(&mut state.begun, true) {
            Begin::First
        } else if !state.goes_on() {
            state.notice = false;
            Begin::Revocation
        } else {
            Begin::Slice
        };
        // Without a context id the directory does not tell, before it has one.
        if begin != Begin::Slice && state.context() != ContextId::NONE {
            self.publish(env.index());
        }
        begin
    }

    /// There is something to tell an environment about revocation: its next slice begins at the entry for that, if it
    /// has one, and it waits no more. One that has yet to begin does that before.
    pub(crate) fn notify(&mut self, env: EnvId) {
        self.change(env, |state| {
            state.notice = true;
            state.woken |= state.informed;
        });
    }

    /// What an environment is asked for.
    pub(crate) fn account(&self, env: EnvId) -> Option<&Account> {
        self.state(env).map(|state| &state.account)
    }

    /// What an environment is asked for, to be changed.
    pub(crate) fn account_mut(&mut self, env: EnvId) -> Option<&mut Account> {
        self.state_mut(env).map(|state| &mut state.account)
    }

    /// Makes the environment's `n`-th context, which there is, the current one.
    pub(crate) fn select_context(&mut self, env: EnvId, n: u8) {
        self.change(env, |state| state.current = n);
    }

    /// The hardware id of an environment's current context; given to it now if it has none. `None` if none is left to
    /// give, or it does not live.
    #[inline]
    pub(crate) fn context(&mut self, env: EnvId) -> Option<ContextId> {
        let context = self.state(env)?.context();
        if context != ContextId::NONE {
            return Some(context);
        }
        self.give_context(env)
    }

    #[inline(never)]
    fn give_context(&mut self, env: EnvId) -> Option<ContextId> {
        let context = self.contexts.give(env.index())?;
        self.change(env, |state| state.contexts[usize::from(state.current)] = context);
        Some(context)
    }

    /// Takes all hardware ids back from all environments: nobody can be entered by the short way until it has another.
    /// A few stores an id. Nothing is read: whoever lives at these indices by now, the dead have no id either and a
    /// poison already.
    pub(crate) fn revoke_contexts(&mut self) {
        for &index in self.contexts.holders() {
            self.states[usize::from(index)].contexts = [ContextId::NONE; CONTEXTS];
        }
        for &index in self.contexts.holders() {
            let entry = &mut self.directory[usize::from(index)];
            let poison = DirectoryEntry::poison(index);
            (entry.synchronous, entry.asynchronous, entry.runnable) = (poison, poison, poison);
        }
        self.contexts.restart();
    }

    /// An environment gives up its slices until it is woken or the tick `deadline`. 31 bits of that count, as of the
    /// clock.
    pub(crate) fn wait(&mut self, env: EnvId, deadline: Option<u32>) {
        if let Some(state) = self.state_mut(env) {
            state.wait = deadline.map_or(Wait::Wake, Wait::Tick);
        }
    }

    /// Ends an environment's wait, or its next one.
    pub(crate) fn wake(&mut self, env: EnvId) -> Result<(), Error> {
        self.state_mut(env).ok_or(Error::NoSuchEnvironment)?.woken = true;
        Ok(())
    }

    /// An environment gets its slice: if it waited, then no more, and what woke it will not end its next wait.
    pub(crate) fn resume(&mut self, env: EnvId) {
        if let Some(state) = self.state_mut(env)
            && state.wait != Wait::Nothing
        {
            state.wait = Wait::Nothing;
            state.woken = false;
        }
    }

    /// Whether an environment with this id lives or has lived.
    pub(crate) fn has_named(&self, id: EnvId) -> bool {
        let generation = id.generation();
        let last = self.states[usize::from(id.index())].id.generation();
        generation >= 1 && generation <= last && EnvId::new(id.index(), generation) == id
    }

    /// Whether a hardware id has been given out since all were last taken back.
    pub(crate) fn has_given(&self, context: ContextId) -> bool {
        self.contexts.given(context)
    }

    /// Whether the state at an index and what the directory says of it fit together; if not, what is wrong.
    pub(crate) fn consistent(&self, index: u8) -> Result<(), &'static str> {
        let (state, entry) = (&self.states[usize::from(index)], self.entry(index));
        if [entry.synchronous, entry.asynchronous, entry.runnable] != self.words(index) {
            return Err("the directory is not up to date");
        }
        if state.alive {
            return Ok(());
        }
        if entry.record != self.nobody {
            return Err("is dead and has a record");
        }
        if state.contexts != State::NONE.contexts {
            return Err("is dead and has a context id");
        }
        if state.wait != Wait::Nothing || state.woken {
            return Err("is dead and waits");
        }
        if !state.account.is_empty() || state.notice {
            return Err("is dead and asked for something");
        }
        Ok(())
    }

    #[inline]
    fn state(&self, env: EnvId) -> Option<&State> {
        Some(&self.states[usize::from(env.index())]).filter(|state| state.alive && state.id == env)
    }

    fn state_mut(&mut self, env: EnvId) -> Option<&mut State> {
        Some(&mut self.states[usize::from(env.index())]).filter(|state| state.alive && state.id == env)
    }

    /// Changes the state of an environment that lives, and what the directory says of it.
    fn change(&mut self, env: EnvId, change: impl FnOnce(&mut State)) {
        if let Some(state) = self.state_mut(env) {
            change(state);
            self.publish(env.index());
        }
    }

    /// Brings the first three words of a directory entry up to date.
    fn publish(&mut self, index: u8) {
        let [synchronous, asynchronous, runnable] = self.words(index);
        let DirectoryEntry { record, .. } = self.directory[usize::from(index)];
        self.directory[usize::from(index)] = DirectoryEntry { synchronous, asynchronous, runnable, record };
    }

    /// What the first three words of a directory entry have to be.
    fn words(&self, index: u8) -> [u32; 3] {
        let state = &self.states[usize::from(index)];
        let enterable = state.alive && state.set_up && state.context() != ContextId::NONE;
        [state.synchronous, state.asynchronous, state.goes_on()].map(|open| match open && enterable {
            true => state.id.0,
            false => DirectoryEntry::poison(index),
        })
    }
}

/// Whether the clock has come to the tick `deadline`. Both are modulo 2^31, and at most 2^30 apart.
pub(crate) const fn reached(deadline: u32, ticks: u32) -> bool {
    (ticks.wrapping_sub(deadline) & 0x7fff_ffff) < 1 << 30
}
