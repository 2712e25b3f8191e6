//! Each rule of revocation, and each way to break it.

extern crate std;

use super::machine::{DIRT, Machine, Tables};
use crate::environments::Begin;
use aegis_abi::ash::Request;
use aegis_abi::filter::Atom;
use aegis_abi::frame::{CONTROL, Capability, FREE, PUBLIC, READ, REVOKE, WRITE};
use aegis_abi::revocation::{
    BACKED, DEADLINE_MAX, DEADLINE_MIN, Demand, EMERGENCY, EMPTY, ENTRIES, Entry, FILTER_LOST, FILTERS, FRAMES,
    HANDLER_LOST, HANDLERS, LOST, NO_DEADLINE, Revocation, SAVED, SLICE_LOST, SLICES,
};
use aegis_abi::{EnvId, Error, network};
use proptest::prelude::*;

const NO_TAG: Capability = Capability([0, 0]);

/// Two environments; frames 10 to 25 are the first's.
fn two<'a>(tables: &'a mut Tables) -> (Machine<'a>, [EnvId; 2]) {
    let mut machine = tables.machine();
    let ids = [2, 4].map(|frame| machine.environment(frame));
    for frame in 10..26 {
        machine.system.frame_allocate(&mut machine.tlbs, ids[0], frame).unwrap();
    }
    (machine, ids)
}

fn take(machine: &mut Machine, env: EnvId, frame: u32, now: u32, page: &mut Revocation) -> Result<(), Error> {
    machine.system.frame_repossess(&mut machine.tlbs, env, frame, now, page)
}

#[test]
fn only_one_tag_authorises() {
    let mut tables = Tables::new(32);
    let (mut machine, [a, _]) = two(&mut tables);
    let system = &mut machine.system;
    let right = system.authority();
    assert_eq!(system.may_revoke(right), Ok(()));
    let Capability([low, high]) = right;
    let others = [READ, WRITE, CONTROL, REVOKE].map(|right| system.key.tag(system.frames.resource(10), right));
    let more = [NO_TAG, Capability([high, low]), Capability([low ^ 1, high]), Capability([low, high ^ 1 << 31])];
    let control = system.key.tag(crate::capability::Resource::Environment(a), REVOKE);
    for wrong in others.into_iter().chain(more).chain([control]) {
        assert_eq!(system.may_revoke(wrong), Err(Error::Denied));
    }
}

#[test]
fn nothing_is_taken_before_its_time_or_beyond_what_is_owed() {
    let mut tables = Tables::new(32);
    let (mut machine, [a, b]) = two(&mut tables);
    let page = &mut Revocation::default();
    let now = 0x7fff_fff0;
    assert_eq!(take(&mut machine, a, 10, now, page), Err(Error::Denied));
    assert_eq!(machine.system.revoke(a, FRAMES, 2, 0, now), Ok(0));
    assert_eq!(machine.system.demands(a)[0], Demand { left: 2, deadline: NO_DEADLINE, flags: 0 });
    assert_eq!(take(&mut machine, a, 10, now + 0xf, page), Err(Error::Denied), "a request");
    // The clock wraps meanwhile.
    assert_eq!(machine.system.revoke(a, FRAMES, 2, DEADLINE_MIN, now), Ok(2));
    for early in [now, 0x7fff_ffff, 0, 0x2f] {
        assert_eq!(take(&mut machine, a, 10, early, page), Err(Error::Busy), "at {early:#x}");
    }
    assert_eq!(take(&mut machine, a, 2, 0x30, page), Err(Error::Busy), "its save page");
    assert_eq!(take(&mut machine, b, 4, 0x30, page), Err(Error::Busy), "another's");
    assert_eq!(take(&mut machine, a, 10, 0x30, page), Ok(()));
    assert_eq!(take(&mut machine, a, 11, 0x30, page), Ok(()));
    assert_eq!(take(&mut machine, a, 12, 0x30, page), Err(Error::Denied));
    assert_eq!([10, 11].map(|frame| machine.system.frames.owner(frame)), [FREE; 2]);
    assert_eq!(machine.system.revoke(a, FRAMES, 0, DEADLINE_MAX, now), Ok(0));
    machine.audit();
}

#[test]
fn contents_go_where_the_owner_may_write() {
    let mut tables = Tables::new(32);
    let (mut machine, [a, b]) = two(&mut tables);
    machine.system.frame_allocate(&mut machine.tlbs, b, 26).unwrap();
    let [read, write] = [READ, WRITE].map(|right| machine.system.capability(b, 26, right).unwrap());
    let cases = [
        (20, NO_TAG, true),
        (26, write, true),
        (26, read, false),
        (26, NO_TAG, false),
        (3, NO_TAG, false),
        (0, NO_TAG, false),
        (1, NO_TAG, false),
        (2, NO_TAG, false),
        (30, NO_TAG, false),
        (32, NO_TAG, false),
        (u32::MAX, write, false),
    ];
    for (n, (backing, capability, may)) in (0..).zip(cases) {
        let frame = 10;
        if machine.system.is_free(frame) {
            machine.system.frame_allocate(&mut machine.tlbs, a, frame).unwrap();
        }
        let mut page = Revocation::default();
        page.vector[3] = Entry { state: BACKED, name: frame, backing, capability };
        let before = machine.tlbs.contents.clone();
        machine.bind(a, 0x40, frame, NO_TAG);
        machine.tlbs.contents[frame as usize] = DIRT + n;
        machine.system.revoke(a, FRAMES, 1, DEADLINE_MIN, 0).unwrap();
        assert_eq!(take(&mut machine, a, frame, DEADLINE_MIN, &mut page), Ok(()));
        assert!(!machine.tlbs.maps(frame));
        let state = if may { SAVED } else { LOST };
        assert_eq!((page.vector[3].state, page.vector[3].name), (state, frame), "to frame {backing}");
        let mut after = before;
        after[frame as usize] = DIRT + n;
        if may {
            after[backing as usize] = DIRT + n;
        }
        assert_eq!(machine.tlbs.contents, after, "to frame {backing}");
    }
    // What was written to is not taken for empty when it is freed.
    machine.system.frame_free(&mut machine.tlbs, a, 20).unwrap();
    machine.system.frame_allocate(&mut machine.tlbs, b, 20).unwrap();
    assert_eq!(machine.tlbs.contents[20], 0);
    machine.audit();
}

#[test]
fn filters_and_handlers_are_owed_given_and_taken() {
    let mut tables = Tables::new(64);
    let (mut machine, [a, b]) = two(&mut tables);
    let page = &mut Revocation::default();
    let insert = |machine: &mut Machine, frame, value| loop {
        let Machine { system, tlbs } = machine;
        match system.filter_insert(tlbs, a, frame, [1, value], NO_TAG) {
            Ok(None) => drop(system.filter_begin(a, frame, [1, value], &[Atom::equal(14, 8, value)])),
            Ok(Some(number)) => return number,
            Err(error) => assert_eq!(error, Error::Again),
        }
    };
    let numbers = [10, 11, 12].map(|frame| insert(&mut machine, frame, frame));
    let request = Request { frame: 14, region: 16, region_bytes: 4096, ..Request::NONE };
    machine.system.handler_begin(&mut machine.tlbs, a, numbers[0], &request).unwrap();
    assert_eq!((machine.system.filter_owner(numbers[1]), machine.system.handler_owner(numbers[0])), (Ok(a), Ok(a)));
    assert_eq!(machine.system.handler_owner(numbers[1]), Err(Error::NoSuchEnvironment));
    assert_eq!(machine.system.filter_owner(network::FILTERS as u32), Err(Error::BadArgument));
    assert_eq!(machine.system.filter_owner(0), Err(Error::NoSuchEnvironment));
    for kind in [FILTERS, HANDLERS] {
        assert_eq!(machine.system.revoke(b, kind, network::FILTERS as u32 + 1, 0, 0), Err(Error::BadArgument));
    }
    assert_eq!(machine.system.filter_repossess(a, numbers[0], 0, page), Err(Error::Denied), "nothing is owed");
    machine.system.revoke(a, FILTERS, 2, DEADLINE_MIN, 0).unwrap();
    assert_eq!(machine.system.filter_repossess(a, numbers[0], 0, page), Err(Error::Busy), "not yet");
    // What it removes counts, what it inserts counts back.
    while machine.system.settle_filters().is_err() {}
    machine.system.filter_remove(a, numbers[1]).unwrap();
    assert_eq!(machine.system.demands(a)[FILTERS as usize].left, 1);
    while machine.system.settle_filters().is_err() {}
    insert(&mut machine, 13, 13);
    assert_eq!(machine.system.demands(a)[FILTERS as usize].left, 2);
    // A handler goes without its filter, and a filter with its handler, which counts.
    machine.system.revoke(a, HANDLERS, 2, DEADLINE_MIN, 0).unwrap();
    let Machine { system, tlbs } = &mut machine;
    assert_eq!(system.handler_repossess(tlbs, a, numbers[0], DEADLINE_MIN, page), Ok(()));
    assert_eq!((system.frames.owner(14), system.frames.owner(15)), (a.0, a.0));
    system.handler_begin(tlbs, a, numbers[0], &request).unwrap();
    assert_eq!(system.demands(a)[HANDLERS as usize].left, 2);
    while system.settle_filters().is_err() {}
    assert_eq!(system.filter_repossess(a, numbers[0], DEADLINE_MIN, page), Ok(()));
    assert_eq!(system.demands(a).map(|demand| demand.left), [0, 0, 1, 1]);
    assert_eq!((system.frames.owner(10), system.frames.owner(14)), (a.0, a.0));
    let entry = |n: usize| (page.vector[n].state, page.vector[n].name, page.vector[n].backing);
    assert_eq!([entry(0), entry(1)], [(HANDLER_LOST, numbers[0], 14), (FILTER_LOST, numbers[0], 10)]);
    assert_eq!(system.filter_owner(numbers[0]), Err(Error::NoSuchEnvironment));
    assert_eq!((system.statistics.filters_repossessed, system.statistics.handlers_repossessed), (1, 1));
    while system.settle_filters().is_err() {}
    machine.audit();
    assert!(machine.system.env_destroy(a));
    machine.audit();
}

#[test]
fn a_full_vector_counts() {
    let mut tables = Tables::new(32);
    let (mut machine, [a, _]) = two(&mut tables);
    let mut page = Revocation::default();
    machine.system.revoke(a, FRAMES, 16, DEADLINE_MIN, 0).unwrap();
    for frame in 10..26 {
        assert_eq!(take(&mut machine, a, frame, DEADLINE_MIN, &mut page), Ok(()));
    }
    assert!((10..).zip(&page.vector).all(|(name, entry)| (entry.state, entry.name) == (LOST, name)));
    let more = 16 - ENTRIES as u32;
    assert_eq!((page.overflow, machine.system.statistics.losses_unrecorded), (more, more));
    for position in [5, 6] {
        machine.system.slice_allocate(a, position).unwrap();
    }
    machine.system.revoke(a, SLICES, 2, DEADLINE_MIN, 0).unwrap();
    page.vector[7].state = EMPTY;
    assert_eq!(machine.system.slice_repossess(a, 6, DEADLINE_MIN, &mut page), Ok(()));
    assert_eq!((page.vector[7].state, page.vector[7].name), (SLICE_LOST, 6));
}

#[test]
fn the_reserve_and_the_last_slice_stay_until_an_emergency() {
    let mut tables = Tables::new(32);
    let (mut machine, [a, _]) = two(&mut tables);
    let mut page = Revocation::default();
    page.reserve[7] = 10;
    machine.system.slice_allocate(a, 5).unwrap();
    for kind in [FRAMES, SLICES] {
        machine.system.revoke(a, kind, 1, DEADLINE_MIN, 0).unwrap();
    }
    assert_eq!(take(&mut machine, a, 10, DEADLINE_MIN, &mut page), Err(Error::Denied));
    assert_eq!(machine.system.slice_repossess(a, 5, DEADLINE_MIN, &mut page), Err(Error::Denied));
    for kind in [FRAMES, SLICES] {
        assert_eq!(machine.system.revoke(a, kind | EMERGENCY, 1, 0, 0), Err(Error::BadArgument));
        machine.system.revoke(a, kind | EMERGENCY, 1, DEADLINE_MIN, DEADLINE_MIN).unwrap();
    }
    assert_eq!(take(&mut machine, a, 10, DEADLINE_MIN, &mut page), Err(Error::Busy));
    assert_eq!(take(&mut machine, a, 10, 2 * DEADLINE_MIN, &mut page), Ok(()));
    assert_eq!(machine.system.slice_repossess(a, 5, 2 * DEADLINE_MIN, &mut page), Ok(()));
    assert_eq!(machine.system.slices.owned(a), 0);
}

#[test]
fn who_is_to_be_told_is_told_once_and_not_before_it_has_begun() {
    let mut tables = Tables::new(32);
    let (mut machine, [a, _]) = two(&mut tables);
    let system = &mut machine.system;
    system.context(&mut machine.tlbs, a);
    let runnable = |system: &crate::system::System| system.environments.entry(a.index()).runnable == a.0;
    assert!(runnable(system));
    system.wait(a, None);
    system.revoke(a, FRAMES, 1, 0, 0).unwrap();
    system.revoke(a, SLICES, 1, 0, 0).unwrap();
    assert!(system.ready(a, 0) && !runnable(system));
    assert_eq!(system.begin(a), Begin::Revocation);
    assert!(runnable(system));
    assert_eq!(system.begin(a), Begin::Slice);
    // Set up anew it begins first.
    system.revoke(a, FRAMES, 1, 0, 0).unwrap();
    system.open(a, true, true, true);
    assert_eq!([(); 3].map(|()| system.begin(a)), [Begin::First, Begin::Revocation, Begin::Slice]);
    // One that is not to be told is not, and not woken; what there was to tell stays.
    system.open(a, true, true, false);
    system.begin(a);
    system.next(0);
    system.wait(a, None);
    assert_eq!(system.wake(a), Ok(()));
    system.revoke(a, FRAMES, 1, 0, 0).unwrap();
    assert_eq!((system.begin(a), runnable(system)), (Begin::Slice, true));
    system.open(a, true, true, true);
    assert_eq!([(); 2].map(|()| system.begin(a)), [Begin::First, Begin::Revocation]);
    machine.audit();
}

#[test]
fn the_dead_owe_nothing() {
    let mut tables = Tables::new(32);
    let (mut machine, [a, b]) = two(&mut tables);
    machine.system.revoke(a, FRAMES, 2, DEADLINE_MIN, 0).unwrap();
    assert!(machine.system.env_destroy(a));
    assert_eq!(machine.system.frame_owner(10), Err(Error::NoSuchEnvironment));
    assert_eq!(machine.system.revoke(a, FRAMES, 1, 0, 0), Err(Error::NoSuchEnvironment));
    assert!(!machine.system.is_asked(a) && !machine.system.is_asked(b));
    machine.audit();
}

/// What may happen to filters and handlers, of which there are [`SEATS`] each.
#[derive(Clone, Copy, Debug)]
enum Step {
    Insert(usize),
    Remove(usize),
    Handle(usize),
    Unhandle(usize),
    TakeFilter(usize),
    TakeHandler(usize),
    /// Of filters, or of handlers; so many; as a command.
    Demand(bool, u32, bool),
    Later,
}

const SEATS: usize = 3;

fn step() -> impl Strategy<Value = Step> {
    let seat = || 0..SEATS;
    prop_oneof![
        4 => seat().prop_map(Step::Insert),
        1 => seat().prop_map(Step::Remove),
        4 => seat().prop_map(Step::Handle),
        1 => seat().prop_map(Step::Unhandle),
        3 => seat().prop_map(Step::TakeFilter),
        3 => seat().prop_map(Step::TakeHandler),
        3 => (any::<bool>(), 0..4u32, any::<bool>()).prop_map(|(of, count, command)| Step::Demand(of, count, command)),
        2 => Just(Step::Later),
    ]
}

/// What an environment owes of filters, or of handlers: how many are left of how many, and by when, if it is a command.
#[derive(Clone, Copy, Default)]
struct Owes {
    left: u32,
    of: u32,
    deadline: Option<u32>,
}

impl Owes {
    fn took(&mut self) {
        self.left = (self.left + 1).min(self.of);
    }

    /// Whether that was the last.
    fn gave(&mut self) -> bool {
        let met = self.left == 1;
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            *self = Self::default();
        }
        met
    }

    fn due(self, now: u32) -> Result<(), Error> {
        match self.deadline {
            None => Err(Error::Denied),
            Some(deadline) if now < deadline => Err(Error::Busy),
            Some(_) => Ok(()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Arbitrary calls about filters and handlers, against a model that only counts.
    #[test]
    fn filters_and_handlers_agree_with_a_model(steps in proptest::collection::vec(step(), 1..60)) {
        let mut tables = Tables::new(64);
        let (mut machine, [a, _]) = two(&mut tables);
        let (mut numbers, mut handlers) = ([None; SEATS], [false; SEATS]);
        let (mut owes, mut now, mut met, mut taken) = ([Owes::default(); 2], 0, 0, [0; 2]);
        let mut page = Revocation::default();
        for step in steps {
            let Machine { system, tlbs } = &mut machine;
            while system.settle_filters().is_err() {}
            page.vector.fill(Entry::default());
            match step {
                Step::Insert(seat) => {
                    let (frame, atom) = (10 + seat as u32, Atom::equal(14, 8, seat as u32));
                    let number = loop {
                        match system.filter_insert(tlbs, a, frame, [1, 2], NO_TAG) {
                            Ok(Some(number)) => break number,
                            Ok(None) => prop_assert_eq!(system.filter_begin(a, frame, [1, 2], &[atom]), Err(Error::Again)),
                            Err(error) => prop_assert_eq!(error, Error::Again),
                        }
                    };
                    if let Some(before) = numbers[seat].replace(number) {
                        prop_assert_eq!(before, number, "it is there");
                    } else {
                        owes[0].took();
                    }
                }
                Step::Remove(seat) => {
                    let Some(number) = numbers[seat].take() else { continue };
                    prop_assert_eq!(system.filter_remove(a, number), Ok(()));
                    met += u32::from(core::mem::take(&mut handlers[seat]) && owes[1].gave());
                    met += u32::from(owes[0].gave());
                }
                Step::Handle(seat) => {
                    let Some(number) = numbers[seat] else { continue };
                    let frame = 14 + 2 * seat as u32;
                    let request = Request { frame, region: 20, region_bytes: 4096, ..Request::NONE };
                    prop_assert_eq!(system.handler_begin(tlbs, a, number, &request), Ok(()));
                    if !core::mem::replace(&mut handlers[seat], true) {
                        owes[1].took();
                    }
                }
                Step::Unhandle(seat) => {
                    let Some(number) = numbers[seat] else { continue };
                    let has = core::mem::take(&mut handlers[seat]);
                    let expected = if has { Ok(14 + 2 * seat as u32) } else { Err(Error::BadArgument) };
                    prop_assert_eq!(system.handler_remove(tlbs, a, number), expected);
                    met += u32::from(has && owes[1].gave());
                }
                Step::TakeFilter(seat) => {
                    let Some(number) = numbers[seat] else { continue };
                    let expected = owes[0].due(now);
                    prop_assert_eq!(system.filter_repossess(a, number, now, &mut page), expected);
                    if expected.is_ok() {
                        numbers[seat] = None;
                        met += u32::from(core::mem::take(&mut handlers[seat]) && owes[1].gave());
                        owes[0].gave();
                        taken[0] += 1;
                        let entry = page.vector[0];
                        prop_assert_eq!((entry.state, entry.name, entry.backing), (FILTER_LOST, number, 10 + seat as u32));
                    }
                }
                Step::TakeHandler(seat) => {
                    let Some(number) = numbers[seat].filter(|_| handlers[seat]) else { continue };
                    let expected = owes[1].due(now);
                    prop_assert_eq!(system.handler_repossess(tlbs, a, number, now, &mut page), expected);
                    if expected.is_ok() {
                        handlers[seat] = false;
                        owes[1].gave();
                        taken[1] += 1;
                        let entry = page.vector[0];
                        prop_assert_eq!((entry.state, entry.name, entry.backing), (HANDLER_LOST, number, 14 + 2 * seat as u32));
                    }
                }
                Step::Demand(of_handlers, count, command) => {
                    let kind = if of_handlers { HANDLERS } else { FILTERS };
                    let within = if command { DEADLINE_MIN } else { 0 };
                    let owed = &mut owes[usize::from(of_handlers)];
                    prop_assert_eq!(system.revoke(a, kind, count, within, now), Ok(owed.left));
                    *owed = Owes { left: count, of: count, deadline: command.then_some(now + within).filter(|_| count != 0) };
                }
                Step::Later => now += DEADLINE_MIN,
            }
            for (seat, number) in numbers.into_iter().enumerate() {
                let Some(number) = number else { continue };
                prop_assert_eq!(system.filter_owner(number), Ok(a));
                prop_assert_eq!(system.handler_frame(number) != 0, handlers[seat]);
            }
            let left = [FILTERS, HANDLERS].map(|kind| system.demands(a)[kind as usize].left);
            prop_assert_eq!(left, owes.map(|owes| owes.left), "after {:?}", step);
            let statistics = &system.statistics;
            prop_assert_eq!([statistics.filters_repossessed, statistics.handlers_repossessed], taken);
            prop_assert_eq!(statistics.demands_met, met);
            // What nothing has is its owner's again.
            for frame in 10..26 {
                let seat = |first: u32, each: u32| usize::try_from((frame - first) / each).unwrap();
                let public = match frame {
                    10..=12 => numbers[seat(10, 1)].is_some(),
                    14..=19 => handlers[seat(14, 2)],
                    _ => false,
                };
                prop_assert_eq!(system.frames.owner(frame) == PUBLIC, public, "frame {} after {:?}", frame, step);
            }
            machine.audit();
        }
    }
}
