//! Random calls of random callers, with right, stale, forged and exchanged arguments, against a model that is as plain
//! as can be: who owns what, which tags were given out for what, who has which context.
//!
//! After every call the result is as the model says, the tables and the model agree, no TLB holds a mapping that its
//! user has no right to, all invariants hold, and a call that failed has changed nothing.

mod revocation;

extern crate std;

use super::machine::{DIRT, Entry, Machine, NOBODY, Tables, Tlbs, record, slot};
use crate::contexts::ContextId;
use crate::environments::Begin;
use crate::frames::{SEARCH_STEP, Verifier};
use crate::hardware::SOFTWARE_TLB_ENTRIES;
use crate::mappings;
use crate::slices::{Next, Tick};
use aegis_abi::env::DirectoryEntry;
use aegis_abi::exception::EXCESS_MAX;
use aegis_abi::frame::{BOUND_ANYWHERE, CONTROL, Capability, FREE, FREEING, KERNEL, PUBLIC, READ, WRITE};
use aegis_abi::public::Statistics;
use aegis_abi::revocation::{FRAMES as FRAMES_KIND, SLICES};
use aegis_abi::slice::{COUNT, Slice};
use aegis_abi::vm::CONTEXTS;
use aegis_abi::{EnvId, Error};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Debug;
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

const FRAMES: u32 = 40;
const CASES: u32 = 1500;
const CALLS: usize = 250;

/// An id that a caller passes.
#[derive(Clone, Debug)]
enum Who {
    Living(usize),
    Dead(usize),
    Flipped(usize, u32),
    Forged(u32),
}

/// A frame that a caller names.
#[derive(Clone, Debug)]
enum Which {
    Own(usize),
    Free(usize),
    Shared(usize),
    Any(u32),
}

/// A tag that a caller shows.
#[derive(Clone, Debug)]
enum Shown {
    Issued(usize),
    Fitting(usize),
    Flipped(usize, u32),
    Forged(u32, u32),
}

#[derive(Clone, Debug)]
enum Call {
    /// The last call that was told to come again.
    Again,
    Allocate(Which),
    AllocatePair(usize),
    Free(Which),
    Give(Which, Who),
    Renew(Which),
    Capability(Which, u32),
    Guarantee(Which),
    Map {
        page: u32,
        frame: Which,
        write: bool,
        shown: Shown,
    },
    Refill {
        page: u32,
    },
    RefillAll,
    Evict(usize),
    Create(Which),
    Destroy(Who, Shown),
    Open(Who, bool, bool, bool),
    Begin(Who),
    Context,
    SelectContext(u32),
    Wait(Option<i32>),
    Wake(Who),
    SliceAllocate(u32),
    SliceFree(u32),
    SliceGive(u32, Who),
    SliceReclaim(u32),
    Transfer,
    Tick {
        lent_rest: bool,
        times: u32,
    },
    Next {
        later: u32,
    },
    Revocation(revocation::Call),
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![
        6 => (0..99usize).prop_map(Who::Living),
        1 => (0..99usize).prop_map(Who::Dead),
        1 => (0..99usize, 0..32u32).prop_map(|(n, bit)| Who::Flipped(n, bit)),
        1 => prop_oneof![Just(0), Just(KERNEL), Just(PUBLIC), Just(FREEING), any::<u32>()].prop_map(Who::Forged),
    ]
}

fn which() -> impl Strategy<Value = Which> {
    prop_oneof![
        3 => (0..2usize).prop_map(Which::Own),
        2 => (0..99usize).prop_map(Which::Own),
        1 => (0..99usize).prop_map(Which::Free),
        1 => (0..99usize).prop_map(Which::Shared),
        2 => (0..FRAMES + 2).prop_map(Which::Any),
        1 => prop_oneof![Just(u32::MAX), Just(u32::MAX - 1), any::<u32>()].prop_map(Which::Any),
    ]
}

fn mapped() -> impl Strategy<Value = Which> {
    prop_oneof![3 => (0..99usize).prop_map(Which::Shared), 2 => which()]
}

fn shown() -> impl Strategy<Value = Shown> {
    prop_oneof![
        5 => (0..99usize).prop_map(Shown::Fitting),
        3 => (0..999usize).prop_map(Shown::Issued),
        1 => (0..999usize, 0..64u32).prop_map(|(n, bit)| Shown::Flipped(n, bit)),
        1 => prop_oneof![Just((0, 0)), any::<(u32, u32)>()].prop_map(|(low, high)| Shown::Forged(low, high)),
    ]
}

/// Few pages, some of which share a slot.
fn page() -> impl Strategy<Value = u32> {
    prop_oneof![0..6u32, (0..3u32).prop_map(|n| n * 4096), (0..64u32).prop_map(|n| n * 61)]
}

fn position() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 0..6u32, 2 => 0..COUNT as u32 + 1, 1 => any::<u32>()]
}

fn call() -> impl Strategy<Value = Call> {
    let memory = prop_oneof![
        2 => (0..99usize).prop_map(|n| Call::Allocate(Which::Free(n))),
        1 => which().prop_map(Call::Allocate),
        1 => (0..99usize).prop_map(Call::AllocatePair),
        3 => which().prop_map(Call::Free),
        3 => (which(), who()).prop_map(|(frame, to)| Call::Give(frame, to)),
        2 => which().prop_map(Call::Renew),
        3 => (which(), prop_oneof![4 => READ..=WRITE, 1 => 0..9u32]).prop_map(|(frame, r)| Call::Capability(frame, r)),
        3 => which().prop_map(Call::Guarantee),
        20 => (page(), mapped(), any::<bool>(), shown())
            .prop_map(|(page, frame, write, shown)| Call::Map { page, frame, write, shown }),
        1 => page().prop_map(|page| Call::Refill { page }),
        1 => Just(Call::RefillAll),
        1 => (0..64usize).prop_map(Call::Evict),
    ];
    let environments = prop_oneof![
        4 => which().prop_map(Call::Create),
        2 => (who(), shown()).prop_map(|(env, shown)| Call::Destroy(env, shown)),
        2 => (who(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(env, s, a, i)| Call::Open(env, s, a, i)),
        2 => who().prop_map(Call::Begin),
        2 => Just(Call::Context),
        2 => prop_oneof![8 => 0..4u32, 1 => any::<u32>()].prop_map(Call::SelectContext),
        2 => proptest::option::of(-3..6).prop_map(Call::Wait),
        2 => who().prop_map(Call::Wake),
    ];
    let processor = prop_oneof![
        4 => position().prop_map(Call::SliceAllocate),
        1 => position().prop_map(Call::SliceFree),
        1 => (position(), who()).prop_map(|(position, to)| Call::SliceGive(position, to)),
        1 => position().prop_map(Call::SliceReclaim),
        2 => Just(Call::Transfer),
        5 => (any::<bool>(), prop_oneof![Just(1), 1..12u32])
            .prop_map(|(lent_rest, times)| Call::Tick { lent_rest, times }),
        5 => prop_oneof![2 => 0..4u32, 1 => 0..80u32].prop_map(|later| Call::Next { later }),
    ];
    let revocation = revocation::call().prop_map(Call::Revocation);
    prop_oneof![10 => memory, 5 => environments, 4 => processor, 8 => revocation, 3 => Just(Call::Again)]
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Owner {
    Free,
    Kernel,
    Public,
    Env(EnvId),
}

/// What the model knows of a frame.
struct Page {
    owner: Owner,
    /// How often its bindings were broken.
    epoch: u32,
    /// Its bindings are being broken, and so far this many slots were searched.
    breaking: bool,
    searched: u32,
    /// Where it was bound since they were broken last.
    slots: BTreeSet<u32>,
    /// It is full of zeros, and was not bound since.
    blank: bool,
}

/// What the model knows of an environment that lives.
struct Env {
    home: u32,
    open: Option<(bool, bool)>,
    begun: bool,
    contexts: [u8; CONTEXTS],
    current: usize,
    /// Waits, maybe for a tick.
    wait: Option<Option<u32>>,
    woken: bool,
    excess: u32,
    account: revocation::Account,
}

/// What a tag was made for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Of {
    Frame(u32, u32),
    Env(EnvId),
}

#[derive(Clone, Copy)]
struct Issued {
    tag: Capability,
    of: Of,
    right: u32,
}

/// A page of a guaranteed mapping.
struct Guaranteed {
    page: mappings::Page,
    frame: u32,
    owner: Owner,
    /// The frame's, when it was made.
    epoch: u32,
}

/// All that a call which fails must not change.
#[derive(PartialEq, Debug)]
struct Snapshot {
    frames: Vec<(u32, u32, Verifier)>,
    directory: Vec<DirectoryEntry>,
    slices: [Slice; COUNT],
    position: u32,
    statistics: Statistics,
    tlbs: Tlbs,
}

struct World<'a> {
    machine: Machine<'a>,
    pages: Vec<Page>,
    envs: BTreeMap<EnvId, Env>,
    dead: Vec<EnvId>,
    /// The indices to use, in order, and how many lives each has had.
    unused: VecDeque<u8>,
    lives: Vec<u32>,
    next_context: u8,
    issued: Vec<Issued>,
    guaranteed: Vec<Guaranteed>,
    /// Owner and runner.
    slices: [Option<(EnvId, EnvId)>; COUNT],
    position: usize,
    lender: Option<EnvId>,
    asked: Option<EnvId>,
    running: Option<EnvId>,
    ticks: u32,
    created: u32,
    revocations: u32,
    excess: u32,
    forfeited: u32,
    /// What there is on revocation.
    statistics: Statistics,
    /// Where the contents of a frame went that was taken just now, and how many were.
    saved: Option<u32>,
    marks: u32,
    /// The last call that was told to come again, and whose.
    again: Option<(EnvId, Call)>,
    seen: &'a RefCell<BTreeMap<String, u32>>,
}

impl<'a> World<'a> {
    fn new(tables: &'a mut Tables, age: u32, ticks: u32, seen: &'a RefCell<BTreeMap<String, u32>>) -> Self {
        let mut machine = tables.machine();
        machine.system.environments.age(age);
        let owner = |frame| match frame {
            0 => Owner::Kernel,
            1 => Owner::Public,
            _ => Owner::Free,
        };
        let page = |frame| Page {
            owner: owner(frame),
            epoch: 0,
            breaking: false,
            searched: 0,
            slots: BTreeSet::new(),
            blank: false,
        };
        Self {
            machine,
            pages: (0..FRAMES).map(page).collect(),
            envs: BTreeMap::new(),
            dead: Vec::new(),
            unused: (0..=255).collect(),
            lives: [age; 256].to_vec(),
            next_context: 1,
            issued: Vec::new(),
            guaranteed: Vec::new(),
            slices: [None; COUNT],
            position: COUNT - 1,
            lender: None,
            asked: None,
            running: None,
            ticks,
            created: 0,
            revocations: 0,
            excess: 0,
            forfeited: 0,
            statistics: Statistics::default(),
            saved: None,
            marks: 0,
            again: None,
            seen,
        }
    }

    // What the arguments stand for.

    fn nth_living(&self, n: usize) -> EnvId {
        *self.envs.keys().nth(n % self.envs.len()).expect("somebody lives")
    }

    fn who(&self, who: &Who) -> EnvId {
        match *who {
            Who::Living(n) => self.nth_living(n),
            Who::Dead(n) if self.dead.is_empty() => EnvId(n as u32),
            Who::Dead(n) => self.dead[n % self.dead.len()],
            Who::Flipped(n, bit) => EnvId(self.nth_living(n).0 ^ 1 << bit),
            Who::Forged(id) => EnvId(id),
        }
    }

    fn which(&self, caller: EnvId, which: &Which) -> u32 {
        let nth = |n: usize, wanted: &dyn Fn(u32) -> bool| {
            let all: Vec<_> = (0..FRAMES).filter(|&frame| wanted(frame)).collect();
            if all.is_empty() { n as u32 % FRAMES } else { all[n % all.len()] }
        };
        match *which {
            Which::Own(n) => nth(n, &|frame| self.pages[frame as usize].owner == Owner::Env(caller)),
            Which::Free(n) => nth(n, &|frame| self.is_free(frame)),
            Which::Shared(n) => nth(n, &|frame| {
                let epoch = self.pages[frame as usize].epoch;
                self.issued.iter().any(|tag| tag.of == Of::Frame(frame, epoch))
            }),
            Which::Any(frame) => frame,
        }
    }

    /// `of` is what it would best be for.
    fn shown(&self, shown: &Shown, of: Option<Of>) -> Capability {
        let flip = |Capability([low, high]), bit: u32| {
            let mask = 1u64 << bit;
            Capability([low ^ mask as u32, high ^ (mask >> 32) as u32])
        };
        let nth = |n: usize, wanted: Option<Of>| {
            let fit: Vec<_> = self.issued.iter().filter(|tag| wanted.is_none_or(|of| tag.of == of)).collect();
            if fit.is_empty() { Capability([n as u32, 0]) } else { fit[n % fit.len()].tag }
        };
        match *shown {
            Shown::Issued(n) => nth(n, None),
            Shown::Fitting(n) => nth(n, of),
            Shown::Flipped(n, bit) => flip(nth(n, of), bit),
            Shown::Forged(low, high) => Capability([low, high]),
        }
    }

    // What the model says.

    fn alive(&self, id: EnvId) -> bool {
        self.envs.contains_key(&id)
    }

    fn is_free(&self, frame: u32) -> bool {
        match self.pages[frame as usize].owner {
            Owner::Free => true,
            Owner::Kernel | Owner::Public => false,
            Owner::Env(id) => !self.alive(id),
        }
    }

    fn owns(&self, caller: EnvId, frame: u32) -> Result<(), Error> {
        let page = self.pages.get(frame as usize).ok_or(Error::BadArgument)?;
        if page.owner == Owner::Env(caller) { Ok(()) } else { Err(Error::Denied) }
    }

    fn is_save_page(&self, frame: u32) -> bool {
        self.envs.values().any(|env| env.home == frame)
    }

    /// A call on a frame that breaks its bindings, which is allowed.
    fn break_bindings(&mut self, frame: u32, then: Owner) -> Result<(), Error> {
        let page = &mut self.pages[frame as usize];
        if !page.breaking {
            page.breaking = true;
            page.epoch += 1;
        }
        if page.slots.len() > 1 {
            page.searched += SEARCH_STEP;
            if page.searched == SOFTWARE_TLB_ENTRIES {
                page.searched = 0;
                page.slots.clear();
            }
            return Err(Error::Again);
        }
        page.slots.clear();
        // One that waits for another, to become an environment with it, is kept from being bound.
        if then != Owner::Kernel {
            page.breaking = false;
            page.owner = then;
        }
        Ok(())
    }

    fn allocate(&mut self, caller: EnvId, frame: u32) -> Result<(), Error> {
        let page = self.pages.get_mut(frame as usize).ok_or(Error::BadArgument)?;
        if page.owner == Owner::Free {
            page.owner = Owner::Env(caller);
        } else if !self.is_free(frame) {
            return Err(Error::Busy);
        } else {
            self.break_bindings(frame, Owner::Env(caller))?;
        }
        self.pages[frame as usize].blank = true;
        Ok(())
    }

    fn hand_over(&mut self, caller: EnvId, frame: u32, to: Owner) -> Result<(), Error> {
        self.owns(caller, frame)?;
        if to != Owner::Env(caller) && self.is_save_page(frame) || to != Owner::Free && self.is_taken(frame) {
            return Err(Error::Busy);
        }
        match to {
            Owner::Env(id) if !self.alive(id) => Err(Error::NoSuchEnvironment),
            _ => self.break_bindings(frame, to),
        }
    }

    /// Whether a mapping may be made; `None` if by somebody to whom its owner gave the right before it died, which
    /// depends on whether the right has been used before.
    fn may_map(&self, caller: EnvId, frame: u32, write: bool, shown: Capability) -> Option<bool> {
        let Some(page) = self.pages.get(frame as usize) else { return Some(false) };
        let owner = match page.owner {
            Owner::Free | Owner::Kernel => return Some(false),
            Owner::Public => return Some(!write),
            Owner::Env(_) if page.breaking => return Some(false),
            Owner::Env(owner) => owner,
        };
        let of = Of::Frame(frame, page.epoch);
        let right = |tag: &Issued| tag.tag == shown && tag.of == of && (tag.right == WRITE || !write);
        let has_right = self.issued.iter().any(right);
        match (owner == caller, has_right, self.alive(owner)) {
            (true, ..) => Some(true),
            (_, true, false) => None,
            (_, has_right, _) => Some(has_right),
        }
    }

    fn controls(&self, caller: EnvId, env: EnvId, shown: Capability) -> Result<(), Error> {
        let valid = |tag: &Issued| tag.tag == shown && tag.of == Of::Env(env) && tag.right == CONTROL;
        match self.alive(env) {
            false => Err(Error::NoSuchEnvironment),
            true if env == caller || self.issued.iter().any(valid) => Ok(()),
            true => Err(Error::Denied),
        }
    }

    fn create(&mut self, caller: EnvId, frame: u32) -> Result<EnvId, Error> {
        if !frame.is_multiple_of(2) || frame >= FRAMES {
            return Err(Error::BadArgument);
        }
        for frame in [frame, frame + 1] {
            self.owns(caller, frame)?;
            if self.is_taken(frame) {
                return Err(Error::Busy);
            }
        }
        // A call fills one of them with zeros.
        let mut filled = false;
        for frame in [frame, frame + 1] {
            if filled {
                return Err(Error::Again);
            }
            filled = !self.pages[frame as usize].blank;
            self.break_bindings(frame, Owner::Kernel)?;
            self.pages[frame as usize].blank = true;
        }
        Ok(self.bring_to_life(frame))
    }

    fn bring_to_life(&mut self, home: u32) -> EnvId {
        let index = self.unused.pop_front().expect("they are never used up here");
        self.lives[usize::from(index)] += 1;
        let id = EnvId::new(index, self.lives[usize::from(index)]);
        assert!(!self.dead.contains(&id) && id.0 as i32 > 0);
        for (frame, owner) in [(home, Owner::Env(id)), (home + 1, Owner::Kernel)] {
            let page = &mut self.pages[frame as usize];
            page.owner = owner;
            page.breaking = false;
            page.blank = false;
        }
        let env = Env {
            home,
            open: None,
            begun: false,
            contexts: [0; CONTEXTS],
            current: 0,
            wait: None,
            woken: false,
            excess: 0,
            account: revocation::Account::default(),
        };
        assert!(self.envs.insert(id, env).is_none());
        self.created += 1;
        id
    }

    /// In the model and in the machine.
    fn destroy(&mut self, id: EnvId) {
        let env = self.envs.remove(&id).expect("it lives");
        self.dead.push(id);
        self.pages[env.home as usize + 1].owner = Owner::Env(id);
        if id.generation() != EnvId::LAST_GENERATION {
            self.unused.push_back(id.index());
        }
        for slice in &mut self.slices {
            *slice = slice.filter(|&(owner, _)| owner != id);
            if let Some((owner, runner)) = slice
                && *runner == id
            {
                *runner = *owner;
            }
        }
        self.running = self.running.filter(|&running| running != id);
        self.asked = self.asked.filter(|&asked| asked != id);
        assert!(self.machine.system.env_destroy(id));
    }

    fn context(&mut self, id: EnvId) -> u8 {
        let env = &self.envs[&id];
        if env.contexts[env.current] == 0 {
            if self.next_context == 64 {
                self.envs.values_mut().for_each(|env| env.contexts = [0; CONTEXTS]);
                self.next_context = 1;
                self.revocations += 1;
            }
            let env = self.envs.get_mut(&id).expect("it lives");
            env.contexts[env.current] = self.next_context;
            self.next_context += 1;
        }
        let env = &self.envs[&id];
        env.contexts[env.current]
    }

    fn ready(&self, id: EnvId) -> bool {
        let env = &self.envs[&id];
        let come = |tick: u32| self.ticks.wrapping_sub(tick) & 0x7fff_ffff < 0x4000_0000;
        env.open.is_some() && env.wait.is_none_or(|tick| env.woken || tick.is_some_and(come))
    }

    fn next(&mut self) -> Next {
        self.asked = None;
        self.lender = None;
        self.running = None;
        if self.slices.iter().all(Option::is_none) {
            return Next::Nobody;
        }
        // The positions that somebody would use, in their order, and who: the runner or else the owner.
        let walk = (1..=COUNT).map(|n| (self.position + n) % COUNT);
        let user = |n: usize| {
            let (owner, runner) = self.slices[n]?;
            [runner, owner].into_iter().find(|&id| self.ready(id)).map(|id| (n, id))
        };
        let ready: Vec<_> = walk.filter_map(user).collect();
        let mut debtors = Vec::new();
        for &(position, user) in &ready {
            if self.envs[&user].excess == 0 {
                return self.run(position, user);
            }
            self.pay(user);
            debtors.push((position, user));
        }
        let debt = |model: &Self, user: EnvId| model.envs[&user].excess;
        let Some(&(first, user)) = debtors.iter().min_by_key(|(_, user)| debt(self, *user)) else { return Next::Idle };
        self.count("next: by debtors".into());
        for _ in 0..debt(self, user) {
            debtors.iter().for_each(|&(_, user)| self.pay(user));
        }
        self.run(first, user)
    }

    /// With one slice, if it owes one.
    fn pay(&mut self, user: EnvId) {
        let env = self.envs.get_mut(&user).expect("users live");
        if env.excess != 0 {
            env.excess -= 1;
            self.forfeited += 1;
        }
    }

    fn run(&mut self, position: usize, user: EnvId) -> Next {
        let (owner, runner) = self.slices[position].expect("somebody owns it");
        if user != runner {
            self.count("next: the owner, for its runner waits".into());
        }
        let env = self.envs.get_mut(&user).expect("users live");
        if env.wait.take().is_some() {
            env.woken = false;
        }
        (self.position, self.lender, self.running) = (position, Some(owner), Some(user));
        Next::Run(user)
    }

    fn tick(&mut self, running: EnvId, lent_rest: bool) -> Tick {
        let Some(asked) = self.asked else {
            self.asked = Some(running);
            if let Some((owner, runner)) = &mut self.slices[self.position]
                && !lent_rest
                && self.lender == Some(*owner)
            {
                *runner = running;
            }
            // It is not lent again.
            self.lender = None;
            return Tick::End;
        };
        if asked != running {
            self.count("tick: of another's".into());
        }
        let env = self.envs.get_mut(&asked).expect("who is asked lives");
        if env.excess == EXCESS_MAX {
            return Tick::Overrun(asked);
        }
        env.excess += 1;
        self.excess += 1;
        if asked != running {
            self.asked = Some(running);
            return Tick::End;
        }
        Tick::Excess
    }

    fn slice(&mut self, position: u32, caller: EnvId) -> Result<&mut Option<(EnvId, EnvId)>, Error> {
        let slice = self.slices.get_mut(position as usize).ok_or(Error::BadArgument)?;
        if slice.is_some_and(|(owner, _)| owner == caller) { Ok(slice) } else { Err(Error::Denied) }
    }

    // Doing and comparing.

    fn snapshot(&self) -> Snapshot {
        let Machine { system, tlbs } = &self.machine;
        let frames = &system.frames;
        let frame = |frame| (frames.owner(frame), frames.binding(frame), frames.verifier(frame));
        Snapshot {
            frames: (0..FRAMES).map(frame).collect(),
            directory: (0..=255).map(|index| system.environments.entry(index)).collect(),
            slices: *system.slices.vector(),
            position: system.slices.position(),
            statistics: *system.statistics,
            tlbs: tlbs.clone(),
        }
    }

    /// Notes what came of a call, and checks that one that failed has changed nothing.
    fn done<T: Debug>(&mut self, name: &str, result: &Result<T, Error>, before: &Snapshot) {
        let what = match result {
            Ok(_) => format!("{name}: Ok"),
            Err(error) => format!("{name}: {error:?}"),
        };
        self.count(what);
        if result.as_ref().is_err_and(|&error| error != Error::Again) {
            assert_eq!(self.snapshot(), *before, "{name} failed and changed something");
        }
    }

    /// A call on one frame, which has no binding when it succeeds.
    fn on_frame(&mut self, name: &str, frame: u32, expected: Result<(), Error>, result: Result<(), Error>) {
        assert_eq!(result, expected, "{name} of frame {frame}");
        if result.is_ok() {
            assert!(!self.machine.tlbs.maps(frame), "frame {frame} is mapped after {name}");
        }
    }

    /// Notes a call that was told to come again.
    fn repeat(&mut self, caller: EnvId, result: Result<(), Error>, call: Call) {
        if result == Err(Error::Again) {
            self.again = Some((caller, call));
        }
    }

    fn do_allocate(&mut self, caller: EnvId, frame: u32) -> Result<(), Error> {
        let expected = self.allocate(caller, frame);
        let result = self.machine.system.frame_allocate(&mut self.machine.tlbs, caller, frame);
        self.on_frame("allocate", frame, expected, result);
        if result.is_ok() {
            assert_eq!(self.machine.tlbs.contents[frame as usize], 0, "frame {frame} was not scrubbed");
            self.took(caller, FRAMES_KIND);
            assert!(!self.machine.tlbs.fetched.contains(&frame), "instructions of frame {frame} are left");
        }
        result
    }

    fn count(&self, what: String) {
        *self.seen.borrow_mut().entry(what).or_default() += 1;
    }

    fn step(&mut self, caller: EnvId, call: &Call) {
        let before = self.snapshot();
        match call {
            Call::Again => {
                if let Some((caller, call)) = self.again.take().filter(|&(caller, _)| self.alive(caller)) {
                    self.count("again: Ok".into());
                    self.step(caller, &call);
                }
            }
            Call::Allocate(frame) => {
                let frame = self.which(caller, frame);
                let result = self.do_allocate(caller, frame);
                self.done("allocate", &result, &before);
                self.repeat(caller, result, Call::Allocate(Which::Any(frame)));
            }
            Call::AllocatePair(n) => {
                let pairs = (0..FRAMES).step_by(2).filter(|&frame| self.is_free(frame) && self.is_free(frame + 1));
                let pairs: Vec<_> = pairs.collect();
                if let Some(&first) = pairs.get(n % pairs.len().max(1)) {
                    for frame in [first, first + 1] {
                        while self.do_allocate(caller, frame).is_err() {}
                    }
                }
            }
            Call::Free(frame) => {
                let frame = self.which(caller, frame);
                let expected = self.hand_over(caller, frame, Owner::Free);
                let result = self.machine.system.frame_free(&mut self.machine.tlbs, caller, frame);
                self.on_frame("free", frame, expected, result);
                if result.is_ok() {
                    self.freed(caller, frame);
                }
                self.done("free", &result, &before);
                self.repeat(caller, result, Call::Free(Which::Any(frame)));
            }
            Call::Give(frame, to) => {
                let (frame, to) = (self.which(caller, frame), self.who(to));
                let expected = match self.is_save_page(frame) && self.owns(caller, frame).is_ok() {
                    true => Err(Error::Busy),
                    false => self.hand_over(caller, frame, Owner::Env(to)),
                };
                let result = self.machine.system.frame_give(&mut self.machine.tlbs, caller, frame, to);
                self.on_frame("give", frame, expected, result);
                self.done("give", &result, &before);
                self.repeat(caller, result, Call::Give(Which::Any(frame), Who::Forged(to.0)));
            }
            Call::Renew(frame) => {
                let frame = self.which(caller, frame);
                let expected = match self.is_save_page(frame) && self.owns(caller, frame).is_ok() {
                    true => Err(Error::Busy),
                    false => self.hand_over(caller, frame, Owner::Env(caller)),
                };
                let result = self.machine.system.frame_renew(&mut self.machine.tlbs, caller, frame);
                self.on_frame("renew", frame, expected, result);
                self.done("renew", &result, &before);
                self.repeat(caller, result, Call::Renew(Which::Any(frame)));
            }
            &Call::Capability(ref frame, right) => {
                let frame = self.which(caller, frame);
                let owned = self.owns(caller, frame);
                let expected = match owned {
                    Err(Error::BadArgument) => Err(Error::BadArgument),
                    _ if right != READ && right != WRITE => Err(Error::BadArgument),
                    Ok(()) if self.pages[frame as usize].breaking => Err(Error::Denied),
                    _ => owned,
                };
                let result = self.machine.system.capability(caller, frame, right);
                assert_eq!(result.map(|_| ()), expected);
                if let Ok(tag) = result {
                    let of = Of::Frame(frame, self.pages[frame as usize].epoch);
                    let same = |known: &&Issued| known.tag == tag;
                    assert!(self.issued.iter().find(same).is_none_or(|known| (known.of, known.right) == (of, right)));
                    self.issued.push(Issued { tag, of, right });
                }
                self.done("capability", &result, &before);
            }
            Call::Guarantee(frame) => {
                let frame = self.which(caller, frame);
                if let Some(page) = self.pages.get(frame as usize) {
                    // What is being freed is nobody's to map.
                    let owner = if page.breaking { Owner::Free } else { page.owner };
                    let page = Guaranteed { page: self.machine.guarantee(frame), frame, owner, epoch: page.epoch };
                    self.guaranteed.push(page);
                }
            }
            &Call::Map { page, ref frame, write, ref shown } => {
                let frame = self.which(caller, frame);
                let epoch = self.pages.get(frame as usize).map_or(0, |page| page.epoch);
                let shown = self.shown(shown, Some(Of::Frame(frame, epoch)));
                let expected = self.may_map(caller, frame, write, shown);
                let mapped = self.machine.map(caller, page, frame, write, shown, epoch);
                assert_eq!(mapped, expected.unwrap_or(mapped), "mapping of frame {frame}");
                if mapped {
                    let context = self.context(caller);
                    self.pages[frame as usize].slots.insert(slot(context, page));
                    self.pages[frame as usize].blank = false;
                    if write {
                        self.machine.tlbs.contents[frame as usize] = DIRT;
                    }
                }
                let name = if expected.is_none() { "map of the dead" } else { "map" };
                self.done(name, &mapped.then_some(()).ok_or(Error::Denied), &before);
            }
            &Call::Refill { page } => {
                let env = &self.envs[&caller];
                self.machine.tlbs.refill(env.contexts[env.current], page);
            }
            Call::RefillAll => self.machine.tlbs.refill_all(),
            &Call::Evict(n) => self.machine.tlbs.evict(n),
            Call::Create(frame) => {
                // Of frames that fit, if there are any.
                let own = |frame: u32| self.owns(caller, frame).is_ok() && self.owns(caller, frame + 1).is_ok();
                let frame = match frame {
                    Which::Own(_) => (0..FRAMES).step_by(2).find(|&frame| own(frame)).unwrap_or(2),
                    frame => self.which(caller, frame),
                };
                let expected = self.create(caller, frame);
                let record = record(frame % FRAMES);
                let result = self.machine.system.env_create(&mut self.machine.tlbs, caller, frame, record);
                assert_eq!(result.map(|(id, _)| id), expected, "an environment of frame {frame}");
                assert!(self.machine.tlbs.scrubs <= before.tlbs.scrubs + 1, "scrubbed more than one frame at once");
                if let Ok((id, tag)) = result {
                    for frame in [frame, frame + 1] {
                        assert!(!self.machine.tlbs.maps(frame), "frame {frame} of a new environment is mapped");
                        assert_eq!(self.machine.tlbs.contents[frame as usize], 0, "frame {frame} was not scrubbed");
                        assert!(!self.machine.tlbs.fetched.contains(&frame), "instructions of frame {frame} are left");
                    }
                    self.issued.push(Issued { tag, of: Of::Env(id), right: CONTROL });
                }
                self.done("create", &result, &before);
                self.repeat(caller, result.map(|_| ()), Call::Create(Which::Any(frame)));
            }
            Call::Destroy(env, shown) => {
                let env = self.who(env);
                let shown = self.shown(shown, Some(Of::Env(env)));
                let expected = self.controls(caller, env, shown);
                let result = self.machine.system.controls(caller, env, shown);
                assert_eq!(result, expected);
                if result.is_ok() && self.envs.len() > 2 {
                    self.destroy(env);
                }
                self.done("destroy", &result, &before);
            }
            &Call::Open(ref env, synchronous, asynchronous, informed) => {
                let env = self.who(env);
                self.machine.system.open(env, synchronous, asynchronous, informed);
                if let Some(env) = self.envs.get_mut(&env) {
                    (env.open, env.begun) = (Some((synchronous, asynchronous)), false);
                    env.account.informed = informed;
                }
            }
            Call::Begin(env) => {
                let env = self.who(env);
                let begin = self.machine.system.begin(env);
                let expected = self.envs.get_mut(&env).map(Env::begin);
                assert_eq!(begin, expected.unwrap_or(Begin::Slice));
                self.count_beginning(expected);
            }
            Call::Context => {
                let expected = self.context(caller);
                assert_eq!(self.machine.system.context(&mut self.machine.tlbs, caller), ContextId(expected));
            }
            &Call::SelectContext(n) => {
                let expected = if n < CONTEXTS as u32 { Ok(()) } else { Err(Error::BadArgument) };
                let result = self.machine.system.select_context(caller, n);
                assert_eq!(result, expected);
                if result.is_ok() {
                    self.envs.get_mut(&caller).expect("it lives").current = n as usize;
                }
                self.done("select context", &result, &before);
            }
            Call::Wait(after) => {
                let deadline = after.map(|after| self.ticks.wrapping_add_signed(after) & 0x7fff_ffff);
                self.machine.system.wait(caller, deadline);
                self.envs.get_mut(&caller).expect("it lives").wait = Some(deadline);
            }
            Call::Wake(env) => {
                let env = self.who(env);
                let result = self.machine.system.wake(env);
                assert_eq!(result.is_ok(), self.alive(env));
                if let Some(env) = self.envs.get_mut(&env) {
                    env.woken = true;
                }
                self.done("wake", &result, &before);
            }
            &Call::SliceAllocate(position) => {
                let expected = match self.slices.get_mut(position as usize) {
                    None => Err(Error::BadArgument),
                    Some(Some(_)) => Err(Error::Busy),
                    Some(free) => {
                        *free = Some((caller, caller));
                        Ok(())
                    }
                };
                let result = self.machine.system.slice_allocate(caller, position);
                assert_eq!(result, expected);
                if result.is_ok() {
                    self.took(caller, SLICES);
                }
                self.done("slice allocate", &result, &before);
            }
            &Call::SliceFree(position) => {
                let expected = self.slice(position, caller).map(|slice| *slice = None);
                let result = self.machine.system.slice_free(caller, position);
                assert_eq!(result, expected);
                if result.is_ok() {
                    self.gave(caller, SLICES);
                }
                self.done("slice free", &result, &before);
            }
            &Call::SliceGive(position, ref to) => {
                let to = self.who(to);
                let alive = self.alive(to);
                let expected = match self.slice(position, caller) {
                    Ok(_) if !alive => Err(Error::NoSuchEnvironment),
                    slice => slice.map(|slice| *slice = Some((to, to))),
                };
                let result = self.machine.system.slice_give(caller, position, to);
                assert_eq!(result, expected);
                self.done("slice give", &result, &before);
            }
            &Call::SliceReclaim(position) => {
                let expected = self.slice(position, caller).map(|slice| *slice = Some((caller, caller)));
                let result = self.machine.system.slices.reclaim(position, caller);
                assert_eq!(result, expected);
                self.done("slice reclaim", &result, &before);
            }
            Call::Transfer => self.running = self.running.map(|_| caller),
            &Call::Tick { lent_rest, times } => {
                for _ in 0..times {
                    let Some(running) = self.running else { break };
                    let expected = self.tick(running, lent_rest);
                    let result = self.machine.system.slices.tick(running, lent_rest);
                    assert_eq!(result, expected);
                    if let Tick::Overrun(asked) = result
                        && self.envs.len() > 2
                    {
                        self.destroy(asked);
                    }
                    let name = match result {
                        Tick::End => "End",
                        Tick::Excess => "Excess",
                        Tick::Overrun(_) => "Overrun",
                    };
                    self.count(format!("tick: {name}"));
                }
            }
            &Call::Next { later } => {
                self.ticks = (self.ticks + later) & 0x7fff_ffff;
                let expected = self.next();
                let result = self.machine.system.next(self.ticks);
                assert_eq!(result, expected);
                let statistics = *self.machine.system.statistics;
                assert_eq!((statistics.excess, statistics.forfeited), (self.excess, self.forfeited));
                let what = if let Next::Run(_) = result { "Run" } else { "nobody" };
                self.count(format!("next: {what}"));
            }
            Call::Revocation(call) => self.revocation(caller, call),
        }
    }

    /// The tables and the model agree, nobody has a mapping without the right to it, and all invariants hold.
    fn agree(&self) {
        let Machine { system, tlbs } = &self.machine;
        for (frame, page) in (0..).zip(&self.pages) {
            let owner = match page.owner {
                Owner::Free => FREE,
                Owner::Kernel => KERNEL,
                Owner::Public => PUBLIC,
                Owner::Env(id) if page.breaking => id.0 | FREEING,
                Owner::Env(id) => id.0,
            };
            assert_eq!(system.frames.owner(frame), owner, "owner of frame {frame}");
            assert_eq!(system.is_free(frame), self.is_free(frame), "frame {frame}");
            let binding = match page.slots.len() {
                0 => 0,
                1 => *page.slots.first().expect("one"),
                _ => BOUND_ANYWHERE + page.searched,
            };
            assert_eq!(system.frames.binding(frame), binding, "binding of frame {frame}");
        }

        for &Guaranteed { page, frame, owner, epoch } in &self.guaranteed {
            let now = &self.pages[frame as usize];
            let owned = match owner {
                Owner::Free | Owner::Kernel => false,
                Owner::Public => true,
                Owner::Env(id) => self.alive(id) && now.owner == owner,
            };
            let holds = owned && now.epoch == epoch && !now.breaking;
            assert_eq!(system.holds(page), holds, "a guaranteed mapping of frame {frame}");
            let what = match (holds, owned) {
                (true, _) => "holds",
                (_, true) => "broken, though its owner is the same",
                _ => "broken",
            };
            self.count(format!("guaranteed: {what}"));
        }

        let mut holders = BTreeMap::new();
        let mut directory: Vec<_> = (0..=255)
            .map(|index| {
                let poison = DirectoryEntry::poison(index);
                DirectoryEntry { synchronous: poison, asynchronous: poison, runnable: poison, record: NOBODY }
            })
            .collect();
        for (&id, env) in &self.envs {
            assert_eq!(system.environments.home(id), Some(env.home));
            assert_eq!(system.environments.contexts(id), Some(env.contexts.map(ContextId)));
            assert_eq!(system.ready(id, self.ticks), self.ready(id), "readiness of {id:?}");
            assert_eq!(system.slices.excess(id.index()), env.excess, "excess of {id:?}");
            holders.extend(env.contexts.iter().filter(|&&context| context != 0).map(|&context| (context, id)));
            let entry = &mut directory[usize::from(id.index())];
            entry.record = record(env.home);
            if let Some((synchronous, asynchronous)) = env.open
                && env.contexts[env.current] != 0
            {
                let word = |open, word: &mut u32| *word = if open { id.0 } else { *word };
                word(synchronous, &mut entry.synchronous);
                word(asynchronous, &mut entry.asynchronous);
                word(env.goes_on(), &mut entry.runnable);
            }
        }
        for (index, expected) in (0..=255).zip(directory) {
            assert_eq!(system.environments.entry(index), expected, "directory at {index}");
        }
        assert!(self.dead.iter().all(|&id| !system.lives(id) && !system.ready(id, self.ticks)));

        let slices = self.slices.map(|slice| match slice {
            Some((owner, runner)) => Slice { owner: owner.0, runner: runner.0 },
            None => Slice::default(),
        });
        assert_eq!(*system.slices.vector(), slices);
        let by_clock = |&(_, runner): &(EnvId, EnvId)| matches!(self.envs[&runner].wait, Some(Some(_)));
        assert_eq!(system.anybody_waits_for_the_clock(), self.slices.iter().flatten().any(by_clock));
        assert_eq!(system.slices.position(), self.position as u32);
        let Statistics { created, ended, context_revocations, .. } = *system.statistics;
        assert_eq!((created, ended), (self.created, self.dead.len() as u32));
        assert_eq!((context_revocations, tlbs.flushes), (self.revocations, self.revocations));

        for (_, Entry { context, frame, write, by, epoch, .. }) in tlbs.entries() {
            let Some(&user) = holders.get(&context) else { continue };
            let page = &self.pages[frame as usize];
            assert_eq!(user, by, "context {context} has mappings of another's");
            assert!(page.epoch == epoch || page.breaking, "{user:?} still maps frame {frame}");
            assert!(matches!(page.owner, Owner::Env(_) | Owner::Public), "{user:?} maps frame {frame}");
            assert!(!(write && page.owner == Owner::Public), "{user:?} may write to public frame {frame}");
        }
        self.agree_on_revocation();
        self.machine.audit();
    }

    /// The first environments, when others before them have lived and used up context ids.
    fn begin(&mut self, burnt: u32) {
        for _ in 0..burnt {
            let id = self.first(2);
            for n in 0..CONTEXTS {
                self.machine.system.select_context(id, n as u32).unwrap();
                self.envs.get_mut(&id).expect("it lives").current = n;
                let expected = ContextId(self.context(id));
                assert_eq!(self.machine.system.context(&mut self.machine.tlbs, id), expected);
            }
            self.destroy(id);
            for frame in [2, 3] {
                self.machine.system.frames.set_owner_at_boot(frame, FREE);
                self.pages[frame as usize].owner = Owner::Free;
            }
        }
        for home in [2, 4, 6] {
            self.first(home);
        }
    }

    fn first(&mut self, home: u32) -> EnvId {
        let id = self.bring_to_life(home);
        assert_eq!(self.machine.system.env_create_at_boot(home, record(home)), Some(id));
        id
    }
}

#[test]
fn as_the_model() {
    let seen = RefCell::new(BTreeMap::new());
    let ages = prop_oneof![Just(0), EnvId::LAST_GENERATION - 2..EnvId::LAST_GENERATION];
    let ticks = prop_oneof![Just(0), 0x7fff_fff0..0x8000_0000u32];
    let calls = prop::collection::vec((0..99usize, call()), CALLS);
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let result = runner.run(&(ages, ticks, prop_oneof![Just(0), 10..16u32], calls), |(age, ticks, burnt, calls)| {
        let mut tables = Tables::new(FRAMES as usize);
        let mut world = World::new(&mut tables, age, ticks, &seen);
        world.begin(burnt);
        world.agree();
        for (caller, call) in calls {
            world.step(world.nth_living(caller), &call);
            world.agree();
        }
        *seen.borrow_mut().entry("revocation: Ok".into()).or_default() += world.revocations;
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
    // The calls were not all of one kind, or all refused.
    let seen = seen.into_inner();
    for what in [
        "again: Ok",
        "allocate: Ok",
        "allocate: Again",
        "allocate: Busy",
        "allocate: BadArgument",
        "free: Ok",
        "free: Again",
        "free: Busy",
        "free: Denied",
        "free: BadArgument",
        "give: Ok",
        "give: Again",
        "give: Busy",
        "give: Denied",
        "give: NoSuchEnvironment",
        "renew: Ok",
        "renew: Again",
        "capability: Ok",
        "capability: Denied",
        "capability: BadArgument",
        "guaranteed: holds",
        "guaranteed: broken",
        "guaranteed: broken, though its owner is the same",
        "map: Ok",
        "map: Denied",
        "map of the dead: Ok",
        "map of the dead: Denied",
        "create: Ok",
        "create: Again",
        "create: Denied",
        "create: BadArgument",
        "destroy: Ok",
        "destroy: Denied",
        "destroy: NoSuchEnvironment",
        "wake: Ok",
        "wake: NoSuchEnvironment",
        "slice allocate: Ok",
        "slice allocate: Busy",
        "slice free: Ok",
        "slice give: Ok",
        "slice give: Denied",
        "slice give: NoSuchEnvironment",
        "slice reclaim: Ok",
        "tick: End",
        "tick: Excess",
        "tick: Overrun",
        "tick: of another's",
        "next: Run",
        "next: by debtors",
        "next: the owner, for its runner waits",
        "next: nobody",
        "revocation: Ok",
        "begin: Some(First)",
        "begin: Some(Slice)",
        "begin: Some(Revocation)",
        "demand: Ok",
        "demand: BadArgument",
        "demand: NoSuchEnvironment",
        "demand: met",
        "free: taken",
        "take frame: Ok",
        "take frame: Again",
        "take frame: Denied",
        "take frame: Busy",
        "take frame: NoSuchEnvironment",
        "take frame: BadArgument",
        "take frame: in reserve",
        "take frame: saved",
        "take frame: not saved",
        "take slice: Ok",
        "take slice: Denied",
        "take slice: Busy",
        "take slice: the last",
        "take slice: NoSuchEnvironment",
        "take slice: BadArgument",
    ] {
        assert!(seen.get(what).is_some_and(|&times| times >= 10), "{what}: too rare in {seen:#?}");
    }
}
