//! The model's part on revocation: who owes what, what is being taken, and what stands in each save page.

extern crate std;

use super::{Env, Of, Owner, Shown, Which, Who, World, position, shown, which, who};
use crate::environments::Begin;
use aegis_abi::frame::WRITE;
use aegis_abi::public::Statistics;
use aegis_abi::revocation::{
    BACKED, DEADLINE_MAX, DEADLINE_MIN, Demand, EMERGENCY, EMPTY, ENTRIES, Entry, FRAMES, KINDS, LOST, NO_DEADLINE,
    RESERVE, Revocation, SAVED, SLICE_LOST, SLICES,
};
use aegis_abi::slice::COUNT;
use aegis_abi::{EnvId, Error};
use proptest::prelude::*;
use std::format;

/// Calls, and what programs do to their own save pages. Where something is taken it is the caller's, or that of one from
/// whom it may be: by whom makes no difference.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Demand {
        env: Who,
        what: u32,
        count: u32,
        within: u32,
    },
    TakeFrame(Which),
    TakeSlice(u32),
    Back {
        place: usize,
        frame: Which,
        backing: Which,
        shown: Shown,
    },
    Reserve {
        place: usize,
        frame: Which,
    },
    Clear {
        place: usize,
    },
    /// Frees what is being taken from somebody.
    FreeTaken,
    /// The time of the shortest deadline passes.
    Later,
}

/// Its own, as a rule.
fn own() -> impl Strategy<Value = Which> {
    prop_oneof![4 => (0..99usize).prop_map(Which::Own), 1 => which()]
}

pub(super) fn call() -> impl Strategy<Value = Call> {
    let what = prop_oneof![
        6 => Just(FRAMES),
        3 => Just(FRAMES | EMERGENCY),
        4 => Just(SLICES),
        2 => Just(SLICES | EMERGENCY),
        1 => any::<u32>(),
    ];
    let count = prop_oneof![8 => 1..6u32, 1 => Just(0), 1 => 0..70u32, 1 => any::<u32>()];
    let within = prop_oneof![
        6 => Just(DEADLINE_MIN),
        2 => Just(0),
        1 => DEADLINE_MIN..DEADLINE_MAX + 1,
        1 => prop_oneof![Just(DEADLINE_MIN - 1), Just(DEADLINE_MAX + 1), any::<u32>()],
    ];
    // Few places, so that the vector is full at times.
    prop_oneof![
        6 => (who(), what, count, within)
            .prop_map(|(env, what, count, within)| Call::Demand { env, what, count, within }),
        14 => which().prop_map(Call::TakeFrame),
        3 => position().prop_map(Call::TakeSlice),
        14 => (0..ENTRIES, own(), own(), shown())
            .prop_map(|(place, frame, backing, shown)| Call::Back { place, frame, backing, shown }),
        3 => (0..RESERVE, which()).prop_map(|(place, frame)| Call::Reserve { place, frame }),
        1 => (0..ENTRIES).prop_map(|place| Call::Clear { place }),
        9 => Just(Call::FreeTaken),
        7 => Just(Call::Later),
    ]
}

/// What an environment owes of a kind.
#[derive(Clone, Copy)]
struct Owed {
    left: u32,
    of: u32,
    /// For a command, when, and whether in an emergency.
    command: Option<(u32, bool)>,
}

/// What the model knows of an environment.
#[derive(Default)]
pub(super) struct Account {
    owed: [Option<Owed>; KINDS],
    taken: Option<u32>,
    notice: bool,
    pub(super) informed: bool,
    /// What the program and the kernel have written.
    page: Revocation,
}

impl Env {
    /// Whether it begins its next slice at its start-of-slice entry.
    pub(super) fn goes_on(&self) -> bool {
        self.begun && !(self.account.notice && self.account.informed)
    }

    /// Where a slice begins.
    pub(super) fn begin(&mut self) -> Begin {
        let begin = match (self.begun, self.goes_on()) {
            (false, _) => Begin::First,
            (true, true) => Begin::Slice,
            (true, false) => Begin::Revocation,
        };
        self.account.notice &= begin != Begin::Revocation;
        self.begun = true;
        begin
    }

    fn notify(&mut self) {
        self.account.notice = true;
        self.woken |= self.account.informed;
    }

    fn give(&mut self, kind: u32) -> bool {
        let owed = &mut self.account.owed[kind as usize];
        let Some(Owed { left, .. }) = owed else { return false };
        *left -= 1;
        let met = *left == 0;
        *owed = owed.filter(|owed| owed.left != 0);
        met
    }
}

impl World<'_> {
    fn env(&mut self, id: EnvId) -> &mut Env {
        self.envs.get_mut(&id).expect("it lives")
    }

    /// The caller has freed something.
    pub(super) fn gave(&mut self, caller: EnvId, kind: u32) {
        if self.env(caller).give(kind) {
            self.statistics.demands_met += 1;
            self.count("demand: met".into());
        }
    }

    /// The caller has allocated something.
    pub(super) fn took(&mut self, caller: EnvId, kind: u32) {
        if let Some(Owed { left, of, .. }) = &mut self.env(caller).account.owed[kind as usize] {
            *left = (*left + 1).min(*of);
        }
    }

    /// Whether a frame is being taken from its owner.
    pub(super) fn is_taken(&self, frame: u32) -> bool {
        self.envs.values().any(|env| env.account.taken == Some(frame))
    }

    /// The caller has freed a frame: one that was being taken has counted before.
    pub(super) fn freed(&mut self, caller: EnvId, frame: u32) {
        let account = &mut self.env(caller).account;
        if account.taken == Some(frame) {
            account.taken = None;
            self.count("free: taken".into());
        } else {
            self.gave(caller, FRAMES);
        }
    }

    fn demand(&mut self, env: EnvId, what: u32, count: u32, within: u32) -> Result<u32, Error> {
        let (kind, most) = match what & !EMERGENCY {
            FRAMES => (FRAMES, super::FRAMES),
            SLICES => (SLICES, COUNT as u32),
            _ => return Err(Error::BadArgument),
        };
        let emergency = what & EMERGENCY != 0;
        let timely = (DEADLINE_MIN..=DEADLINE_MAX).contains(&within) || within == 0 && !emergency;
        if !timely || count > most {
            return Err(Error::BadArgument);
        }
        let deadline = (self.ticks.wrapping_add(within)) & 0x7fff_ffff;
        let env = self.envs.get_mut(&env).ok_or(Error::NoSuchEnvironment)?;
        let owed = &mut env.account.owed[kind as usize];
        let former = owed.map_or(0, |owed| owed.left);
        *owed = None;
        if count != 0 {
            let command = (within != 0).then_some((deadline, emergency));
            *owed = Some(Owed { left: count, of: count, command });
            env.notify();
            self.statistics.demands += 1;
        }
        Ok(former)
    }

    /// Whether something may be taken, and whether in an emergency.
    fn due(&self, id: EnvId, kind: u32) -> Result<bool, Error> {
        let command = self.envs[&id].account.owed[kind as usize].and_then(|owed| owed.command);
        let (deadline, emergency) = command.ok_or(Error::Denied)?;
        let passed = self.ticks.wrapping_sub(deadline) & 0x7fff_ffff < 0x4000_0000;
        if passed { Ok(emergency) } else { Err(Error::Busy) }
    }

    fn take_frame(&mut self, frame: u32) -> Result<(), Error> {
        let page = self.pages.get(frame as usize).ok_or(Error::BadArgument)?;
        let owner = match page.owner {
            Owner::Env(id) if self.alive(id) => id,
            _ => return Err(Error::NoSuchEnvironment),
        };
        let env = &self.envs[&owner];
        if frame == env.home {
            return Err(Error::Busy);
        }
        if env.account.taken != Some(frame) {
            let emergency = self.due(owner, FRAMES)?;
            if env.account.page.reserve.contains(&frame) && !emergency {
                self.count("take frame: in reserve".into());
                return Err(Error::Denied);
            }
            if env.account.taken.is_some() {
                self.count("take frame: another is taken".into());
                return Err(Error::Busy);
            }
            let env = self.env(owner);
            env.account.taken = Some(frame);
            env.give(FRAMES);
        }
        self.break_bindings(frame, Owner::Kernel)?;
        self.lose_contents(owner, frame);
        let page = &mut self.pages[frame as usize];
        (page.owner, page.breaking) = (Owner::Free, false);
        self.statistics.frames_repossessed += 1;
        let env = self.env(owner);
        env.account.taken = None;
        env.notify();
        Ok(())
    }

    /// Whether contents of a frame of an environment's can be written where an entry of its vector says.
    fn usable(&self, owner: EnvId, frame: u32, Entry { backing, capability, .. }: Entry) -> bool {
        let spoilt = |page: &super::Page| page.breaking || backing == frame || backing == self.envs[&owner].home;
        self.pages.get(backing as usize).is_some_and(|page| match page.owner {
            _ if spoilt(page) => false,
            Owner::Env(id) if id == owner => true,
            Owner::Env(id) => {
                let of = Of::Frame(backing, page.epoch);
                let right = |tag: &super::Issued| (tag.tag, tag.of, tag.right) == (capability, of, WRITE);
                self.alive(id) && self.issued.iter().any(right)
            }
            _ => false,
        })
    }

    fn lose_contents(&mut self, owner: EnvId, frame: u32) {
        let vector = &self.envs[&owner].account.page.vector;
        let backed = vector.iter().position(|entry| entry.state == BACKED && entry.name == frame);
        let lost = Entry { state: LOST, name: frame, ..Entry::default() };
        let Some(place) = backed else { return self.note(owner, lost) };
        let entry = vector[place];
        let to = entry.backing;
        let usable = self.usable(owner, frame, entry);
        self.env(owner).account.page.vector[place] = if usable { Entry { state: SAVED, ..entry } } else { lost };
        if usable {
            self.statistics.frames_saved += 1;
            self.saved = Some(to);
            self.pages[to as usize].blank = false;
        }
        self.count(if usable { "take frame: saved" } else { "take frame: not saved" }.into());
    }

    fn note(&mut self, owner: EnvId, lost: Entry) {
        let page = &mut self.env(owner).account.page;
        if let Some(entry) = page.vector.iter_mut().find(|entry| entry.state == EMPTY) {
            *entry = lost;
        } else {
            page.overflow += 1;
            self.statistics.losses_unrecorded += 1;
            self.count("take: no room".into());
        }
    }

    fn take_slice(&mut self, position: u32) -> Result<(), Error> {
        let slice = *self.slices.get(position as usize).ok_or(Error::BadArgument)?;
        let (owner, _) = slice.ok_or(Error::NoSuchEnvironment)?;
        let emergency = self.due(owner, SLICES)?;
        let owned = self.slices.iter().flatten().filter(|&&(other, _)| other == owner).count();
        if owned == 1 && !emergency {
            self.count("take slice: the last".into());
            return Err(Error::Denied);
        }
        self.slices[position as usize] = None;
        self.env(owner).give(SLICES);
        self.note(owner, Entry { state: SLICE_LOST, name: position, ..Entry::default() });
        self.env(owner).notify();
        self.statistics.slices_repossessed += 1;
        Ok(())
    }

    /// Somebody from whom something of a kind may be taken, if there is anybody.
    fn debtor(&self, kind: u32) -> Option<EnvId> {
        self.envs.keys().copied().find(|&id| self.due(id, kind).is_ok() || self.envs[&id].account.taken.is_some())
    }

    /// A frame of an environment's whose contents are to go somewhere, if there is one: if possible, where they can.
    fn backed(&self, id: EnvId) -> Option<u32> {
        let own = |frame: u32| self.pages.get(frame as usize).is_some_and(|page| page.owner == Owner::Env(id));
        let backed = self.envs[&id].account.page.vector.iter().filter(|entry| entry.state == BACKED && own(entry.name));
        backed.max_by_key(|entry| self.usable(id, entry.name, **entry)).map(|entry| entry.name)
    }

    pub(super) fn revocation(&mut self, caller: EnvId, call: &Call) {
        let before = self.snapshot();
        match *call {
            Call::Demand { ref env, what, count, within } => {
                let env = self.who(env);
                let expected = self.demand(env, what, count, within);
                let result = self.machine.system.revoke(env, what, count, within, self.ticks);
                assert_eq!(result, expected, "{count} of {what} demanded of {env:?} within {within}");
                self.done("demand", &result, &before);
            }
            Call::TakeFrame(ref frame) => {
                let debtor = self.debtor(FRAMES).unwrap_or(caller);
                // Every second time one that is to be kept: by chance that comes about seldom.
                let frame = match *frame {
                    Which::Shared(_) | Which::Free(_) => self.backed(debtor),
                    Which::Own(n) if !n.is_multiple_of(2) => self.backed(debtor),
                    _ => None,
                }
                .unwrap_or_else(|| self.which(debtor, frame));
                let owner = self.machine.system.frame_owner(frame);
                // Contents that no other frame has. One that is full of zeros stays so.
                self.marks += 1;
                if self.pages.get(frame as usize).is_some_and(|page| owner.is_ok() && !page.blank) {
                    self.machine.tlbs.contents[frame as usize] = 0x1000_0000 + self.marks;
                }
                let contents = self.machine.tlbs.contents.clone();
                let before = self.snapshot();
                let mut page = owner.map(|owner| self.envs[&owner].account.page).unwrap_or_default();
                self.saved = None;
                let expected = self.take_frame(frame);
                let result = owner.and_then(|owner| {
                    let Self { machine, ticks, .. } = self;
                    machine.system.frame_repossess(&mut machine.tlbs, owner, frame, *ticks, &mut page)
                });
                self.on_frame("take", frame, expected, result);
                if let Ok(owner) = owner {
                    assert_eq!(page, self.envs[&owner].account.page, "what the owner of frame {frame} is told");
                }
                let mut after = contents;
                if let Some(to) = self.saved {
                    after[to as usize] = after[frame as usize];
                }
                assert_eq!(self.machine.tlbs.contents, after, "where frame {frame} went");
                self.done("take frame", &result, &before);
                self.repeat(caller, result, super::Call::Revocation(Call::TakeFrame(Which::Any(frame))));
            }
            Call::TakeSlice(position) => {
                let debtor = self.debtor(SLICES);
                let debts = |&n: &usize| self.slices[n].is_some_and(|(owner, _)| Some(owner) == debtor);
                let position = (0..COUNT).filter(debts).nth(position as usize % 2).map_or(position, |n| n as u32);
                let owner = self.machine.system.slice_owner(position);
                let mut page = owner.map(|owner| self.envs[&owner].account.page).unwrap_or_default();
                let expected = self.take_slice(position);
                let result =
                    owner.and_then(|owner| self.machine.system.slice_repossess(owner, position, self.ticks, &mut page));
                assert_eq!(result, expected, "slice {position}");
                if let Ok(owner) = owner {
                    assert_eq!(page, self.envs[&owner].account.page, "what the owner of slice {position} is told");
                }
                self.done("take slice", &result, &before);
            }
            Call::Back { place, ref frame, ref backing, ref shown } => {
                let (name, backing) = (self.which(caller, frame), self.which(caller, backing));
                let epoch = self.pages.get(backing as usize).map_or(0, |page| page.epoch);
                let capability = self.shown(shown, Some(Of::Frame(backing, epoch)));
                self.env(caller).account.page.vector[place] = Entry { state: BACKED, name, backing, capability };
            }
            Call::Reserve { place, ref frame } => {
                let frame = self.which(caller, frame);
                self.env(caller).account.page.reserve[place] = frame;
            }
            Call::Clear { place } => self.env(caller).account.page.vector[place] = Entry::default(),
            Call::Later => self.ticks = (self.ticks + DEADLINE_MIN) & 0x7fff_ffff,
            Call::FreeTaken => {
                // One for which it takes several calls.
                let many = |debtor: EnvId| {
                    let own = |page: &&super::Page| page.owner == Owner::Env(debtor) && page.slots.len() > 1;
                    self.pages.iter().position(|page| own(&page))
                };
                if let Some(frame) = self.debtor(FRAMES).and_then(many) {
                    self.revocation(caller, &Call::TakeFrame(Which::Any(frame as u32)));
                }
                let taken = self.envs.iter().find_map(|(&id, env)| env.account.taken.map(|frame| (id, frame)));
                if let Some((id, frame)) = taken {
                    self.step(id, &super::Call::Free(Which::Any(frame)));
                }
            }
        }
    }

    /// Accounts and model agree.
    pub(super) fn agree_on_revocation(&self) {
        for (&id, env) in &self.envs {
            let demand = |owed: Owed| Demand {
                left: owed.left,
                deadline: owed.command.map_or(NO_DEADLINE, |(deadline, _)| deadline),
                flags: owed.command.map_or(0, |(_, emergency)| if emergency { EMERGENCY } else { 0 }),
            };
            let demands = env.account.owed.map(|owed| owed.map(demand).unwrap_or_default());
            assert_eq!(self.machine.system.demands(id), demands, "what {id:?} owes");
            assert_eq!(self.machine.system.is_asked(id), env.account.owed.iter().any(Option::is_some));
        }
        let Statistics { demands, demands_met, frames_repossessed, frames_saved, .. } = *self.machine.system.statistics;
        let Statistics { slices_repossessed, losses_unrecorded, .. } = *self.machine.system.statistics;
        let kernels = Statistics {
            demands,
            demands_met,
            frames_repossessed,
            frames_saved,
            slices_repossessed,
            losses_unrecorded,
            ..Statistics::default()
        };
        assert_eq!(kernels, self.statistics);
        for id in &self.dead {
            assert_eq!(self.machine.system.demands(*id), [Demand::default(); KINDS]);
        }
    }

    /// Notes where a slice began.
    pub(super) fn count_beginning(&self, begin: Option<Begin>) {
        self.count(format!("begin: {begin:?}"));
    }
}
