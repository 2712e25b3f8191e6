//! Each rule of revocation, and each way to break it.

extern crate std;

use super::machine::{DIRT, Machine, Tables};
use crate::environments::Begin;
use aegis_abi::frame::{CONTROL, Capability, FREE, READ, REVOKE, WRITE};
use aegis_abi::revocation::{
    BACKED, DEADLINE_MAX, DEADLINE_MIN, Demand, EMERGENCY, EMPTY, ENTRIES, Entry, FRAMES, LOST, NO_DEADLINE,
    Revocation, SAVED, SLICE_LOST, SLICES,
};
use aegis_abi::{EnvId, Error};

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
    assert_eq!(take(&mut machine, a, 3, 0x30, page), Err(Error::Busy), "its save page");
    assert_eq!(take(&mut machine, b, 5, 0x30, page), Err(Error::Busy), "another's");
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
