//! Each rule, and each way to break it.

extern crate std;

use super::machine::{DIRT, Machine, NOBODY, Tables, record, slot};
use crate::contexts::ContextId;
use crate::frames::SEARCH_STEP;
use crate::mappings::Page;
use crate::slices::{Next, Tick};
use aegis_abi::Error;
use aegis_abi::env::{DirectoryEntry, EnvId};
use aegis_abi::exception::EXCESS_MAX;
use aegis_abi::frame::{BOUND_ANYWHERE, CONTROL, Capability, FREE, FREEING, KERNEL, PUBLIC, READ, WRITE};
use aegis_abi::slice::Slice;
use std::collections::BTreeSet;
use std::vec::Vec;

const NO_TAG: Capability = Capability([0, 0]);
const FRAMES: usize = 32;
/// How many calls unbind a frame that may be bound anywhere.
const STEPS: u32 = SEARCHES + 1;
const SEARCHES: u32 = crate::hardware::SOFTWARE_TLB_ENTRIES / SEARCH_STEP;

/// Three environments, in frames 2 to 7; frame 10 is the first's.
fn three<'a>(tables: &'a mut Tables) -> (Machine<'a>, [EnvId; 3]) {
    let mut machine = tables.machine();
    let ids = [2, 4, 6].map(|frame| machine.environment(frame));
    machine.system.frame_allocate(&mut machine.tlbs, ids[0], 10).unwrap();
    (machine, ids)
}

#[test]
fn a_free_frame_is_whose_who_asks_first() {
    let mut tables = Tables::new(FRAMES);
    let (Machine { mut system, tlbs: mut hw }, [a, b, _]) = three(&mut tables);
    assert_eq!(system.frames.owner(10), a.0);
    assert_eq!((hw.contents[10], hw.contents[11]), (0, DIRT));
    for (frame, error) in [
        (0, Error::Busy),
        (1, Error::Busy),
        (2, Error::Busy),
        (3, Error::Busy),
        (10, Error::Busy),
        (FRAMES as u32, Error::BadArgument),
        (u32::MAX, Error::BadArgument),
    ] {
        assert_eq!(system.frame_allocate(&mut hw, a, frame), Err(error), "frame {frame}");
        assert_eq!(system.frame_allocate(&mut hw, b, frame), Err(error), "frame {frame}");
    }
    assert_eq!(system.frame_free(&mut hw, a, 10), Ok(()));
    assert_eq!(system.frames.owner(10), FREE);
    hw.contents[10] = DIRT;
    system.frames.written(10);
    assert_eq!(system.frame_allocate(&mut hw, b, 10), Ok(()));
    assert_eq!(hw.contents[10], 0);
    // What nobody has touched since need not be filled again.
    assert_eq!((hw.scrubs, system.frame_free(&mut hw, b, 10)), (2, Ok(())));
    assert_eq!((system.frame_allocate(&mut hw, a, 10), hw.scrubs), (Ok(()), 2));
}

#[test]
fn only_the_owner_frees_gives_renews_and_shares() {
    let mut tables = Tables::new(FRAMES);
    let (Machine { mut system, tlbs: mut hw }, [a, b, c]) = three(&mut tables);
    let hw = &mut hw;
    for (caller, frame, error) in [
        (b, 10, Error::Denied),
        (a, 0, Error::Denied),
        (a, 1, Error::Denied),
        (a, 3, Error::Denied),
        (a, 4, Error::Denied),
        (a, 11, Error::Denied),
        (a, FRAMES as u32, Error::BadArgument),
        (a, u32::MAX, Error::BadArgument),
    ] {
        assert_eq!(system.frame_free(hw, caller, frame), Err(error), "frame {frame}");
        assert_eq!(system.frame_give(hw, caller, frame, c), Err(error), "frame {frame}");
        assert_eq!(system.frame_renew(hw, caller, frame), Err(error), "frame {frame}");
        assert_eq!(system.capability(caller, frame, READ), Err(error), "frame {frame}");
    }
    for right in [0, READ | WRITE, CONTROL, u32::MAX] {
        assert_eq!(system.capability(a, 10, right), Err(Error::BadArgument));
    }
}

#[test]
fn a_given_frame_keeps_its_contents_but_no_binding_and_no_capability() {
    let mut tables = Tables::new(FRAMES);
    let (mut machine, [a, b, c]) = three(&mut tables);
    let read = machine.system.capability(a, 10, READ).unwrap();
    machine.bind(a, 0x40, 10, NO_TAG);
    machine.tlbs.contents[10] = 5;
    let nobody = EnvId::new(9, 1);
    assert_eq!(machine.system.frame_give(&mut machine.tlbs, a, 10, nobody), Err(Error::NoSuchEnvironment));
    assert!(machine.tlbs.maps(10));
    assert_eq!(machine.system.frame_give(&mut machine.tlbs, a, 10, b), Ok(()));
    assert!(!machine.tlbs.maps(10));
    assert_eq!((machine.system.frames.owner(10), machine.tlbs.contents[10]), (b.0, 5));
    assert!(!machine.system.may_bind(a, 10, false, NO_TAG));
    assert!(!machine.system.may_bind(c, 10, false, read));
    assert!(machine.system.may_bind(b, 10, true, NO_TAG));
    machine.audit();
}

#[test]
fn a_guaranteed_mapping_holds_until_its_frame_is_unbound() {
    type Change = fn(&mut Machine, EnvId, EnvId);
    let changes: [Change; 5] = [
        |machine, a, _| machine.system.frame_renew(&mut machine.tlbs, a, 10).unwrap(),
        |machine, a, _| {
            machine.system.frame_free(&mut machine.tlbs, a, 10).unwrap();
            machine.system.frame_allocate(&mut machine.tlbs, a, 10).unwrap();
        },
        |machine, a, _| machine.system.frame_give(&mut machine.tlbs, a, 10, a).unwrap(),
        |machine, a, b| {
            machine.system.frame_give(&mut machine.tlbs, a, 10, b).unwrap();
            machine.system.frame_give(&mut machine.tlbs, b, 10, a).unwrap();
        },
        // Made into an environment's record, and back.
        |machine, a, _| {
            let (d, _) = machine.create(a, 10);
            assert!(machine.system.env_destroy(d));
            machine.system.frame_allocate(&mut machine.tlbs, a, 10).unwrap();
        },
    ];
    for change in changes {
        let mut tables = Tables::new(FRAMES);
        let (mut machine, [a, b, _]) = three(&mut tables);
        machine.system.frame_allocate(&mut machine.tlbs, a, 11).unwrap();
        // Other frames' fate is no concern of it.
        machine.system.frame_allocate(&mut machine.tlbs, b, 12).unwrap();
        machine.system.frame_renew(&mut machine.tlbs, b, 12).unwrap();
        let [old, others] = [10, 12].map(|frame| machine.guarantee(frame));
        machine.system.frame_renew(&mut machine.tlbs, b, 12).unwrap();
        assert!(machine.system.holds(old) && !machine.system.holds(others));
        change(&mut machine, a, b);
        assert_eq!(machine.system.frames.owner(10), a.0);
        assert!(!machine.system.holds(old));
        assert!(machine.system.holds(machine.guarantee(10)));
        assert!(machine.system.env_destroy(a));
        assert!(!machine.system.holds(machine.guarantee(10)));
    }
}

#[test]
fn a_guaranteed_mapping_does_not_hold_while_its_frame_is_unbound() {
    let mut tables = Tables::new(FRAMES);
    let (mut machine, [a, ..], _) = bound_anywhere(&mut tables);
    let old = machine.guarantee(10);
    assert!(machine.system.holds(old));
    for _ in 1..STEPS {
        assert_eq!(machine.system.frame_renew(&mut machine.tlbs, a, 10), Err(Error::Again));
        assert!(!machine.system.holds(old) && !machine.system.holds(machine.guarantee(10)));
    }
    assert_eq!(machine.system.frame_renew(&mut machine.tlbs, a, 10), Ok(()));
    assert!(!machine.system.holds(old) && machine.system.holds(machine.guarantee(10)));
}

#[test]
fn a_guaranteed_mapping_is_of_what_an_environment_owns_or_everybody() {
    let mut tables = Tables::new(FRAMES);
    let (machine, [a, ..]) = three(&mut tables);
    assert!([1, 2, 10].iter().all(|&frame| machine.system.holds(machine.guarantee(frame))));
    for frame in [0, 3, 11, FRAMES as u32, 0xfffff] {
        assert!(!machine.system.holds(machine.guarantee(frame)), "frame {frame}");
    }
    for owner in [a.0 ^ 0x1000, a.0 | FREEING, PUBLIC, KERNEL, FREE] {
        assert!(!machine.system.holds(Page { owner, ..machine.guarantee(10) }), "owner {owner:#x}");
    }
}

#[test]
fn a_save_page_stays_for_life() {
    let mut tables = Tables::new(FRAMES);
    let (Machine { mut system, tlbs: mut hw }, [a, b, _]) = three(&mut tables);
    assert_eq!(system.frame_free(&mut hw, a, 2), Err(Error::Busy));
    assert_eq!(system.frame_give(&mut hw, a, 2, b), Err(Error::Busy));
    assert_eq!(system.env_create(&mut hw, a, 2, 0), Err(Error::Denied));
    let read = system.capability(a, 2, READ).unwrap();
    assert!(system.may_bind(b, 2, false, read));
    assert_eq!(system.frame_renew(&mut hw, a, 2), Err(Error::Busy));
    assert!(system.may_bind(b, 2, false, read));
    assert_eq!(system.frames.owner(2), a.0);
    assert!(system.env_destroy(a));
    assert!(system.is_free(2) && system.is_free(3) && system.is_free(10));
    for frame in [2, 3] {
        assert_eq!(system.frame_allocate(&mut hw, b, frame), Ok(()));
    }
    assert_eq!(system.frame_free(&mut hw, b, 2), Ok(()));
}

#[test]
fn a_capability_is_good_for_its_frame_and_right_only() {
    let mut tables = Tables::new(FRAMES);
    let (Machine { mut system, tlbs: mut hw }, [a, b, _]) = three(&mut tables);
    system.frame_allocate(&mut hw, a, 11).unwrap();
    let read = system.capability(a, 10, READ).unwrap();
    let write = system.capability(a, 10, WRITE).unwrap();
    let other = system.capability(a, 11, WRITE).unwrap();
    let allowed = |system: &mut crate::system::System, frame, write, tag| system.may_bind(b, frame, write, tag);
    assert!(allowed(&mut system, 10, false, read));
    assert!(allowed(&mut system, 10, false, write));
    assert!(allowed(&mut system, 10, true, write));
    assert!(!allowed(&mut system, 10, true, read));
    assert!(!allowed(&mut system, 10, false, other));
    assert!(!allowed(&mut system, 11, false, read));
    assert!(!allowed(&mut system, 10, false, NO_TAG));
    assert!(!allowed(&mut system, 0, false, write) && !allowed(&mut system, FRAMES as u32, false, write));
    for bit in 0..64 {
        let [low, high] = write.0;
        let flipped = Capability([low ^ (1u64 << bit) as u32, high ^ (1u64 << bit >> 32) as u32]);
        assert!(!allowed(&mut system, 10, true, flipped), "bit {bit}");
    }
    // A public frame takes no capability, and no stores.
    assert!(allowed(&mut system, 1, false, NO_TAG) && !allowed(&mut system, 1, true, NO_TAG));
    // What an environment is controlled with is for no frame.
    let id = EnvId(10);
    let control = system.key.tag(crate::capability::Resource::Environment(id), WRITE);
    assert!(!allowed(&mut system, 10, true, control));
}

#[test]
fn a_verifier_holds_what_was_shown_until_it_is_void() {
    let mut tables = Tables::new(FRAMES);
    let (mut machine, [a, b, _]) = three(&mut tables);
    let blank = machine.system.frames.blank();
    let [read, write] = [READ, WRITE].map(|right| machine.system.capability(a, 10, right).unwrap());
    let known = |machine: &Machine| {
        let verifier = machine.system.frames.verifier(10);
        (verifier.write, verifier.read)
    };
    assert_ne!(blank, [0, 0]);
    assert_eq!(known(&machine), (blank, blank));
    assert!(!machine.system.may_bind(b, 10, true, read));
    assert_eq!(known(&machine), (blank, blank));
    assert!(machine.system.may_bind(b, 10, false, read));
    assert_eq!(known(&machine), (blank, read.0));
    assert!(machine.system.may_bind(b, 10, false, write));
    assert_eq!(known(&machine), (write.0, read.0));
    machine.audit();
    machine.system.frame_renew(&mut machine.tlbs, a, 10).unwrap();
    assert_eq!(known(&machine), (blank, blank));
    assert!(!machine.system.may_bind(b, 10, false, read));
    let renewed = machine.system.capability(a, 10, WRITE).unwrap();
    assert_ne!(renewed, write);
    assert!(machine.system.may_bind(b, 10, true, renewed));
}

#[test]
fn what_was_freed_and_allocated_again_has_no_capability() {
    let mut tables = Tables::new(FRAMES);
    let (Machine { mut system, tlbs: mut hw }, [a, b, c]) = three(&mut tables);
    let write = system.capability(a, 10, WRITE).unwrap();
    system.frame_free(&mut hw, a, 10).unwrap();
    assert!(!system.may_bind(b, 10, true, write));
    system.frame_allocate(&mut hw, c, 10).unwrap();
    assert!(!system.may_bind(b, 10, true, write));
    system.frame_free(&mut hw, c, 10).unwrap();
    system.frame_allocate(&mut hw, a, 10).unwrap();
    assert!(!system.may_bind(b, 10, true, write));
    assert_ne!(system.capability(a, 10, WRITE), Ok(write));
}

#[test]
fn a_binding_is_noted_as_assembly_notes_it() {
    let mut tables = Tables::new(FRAMES);
    let (mut machine, [a, ..]) = three(&mut tables);
    machine.bind(a, 0x40, 10, NO_TAG);
    let ContextId(context) = machine.system.context(&mut machine.tlbs, a);
    assert_eq!(machine.system.frames.binding(10), slot(context, 0x40));
    machine.bind(a, 0x40, 10, NO_TAG);
    assert_eq!(machine.system.frames.binding(10), slot(context, 0x40));
    machine.bind(a, 0x41, 10, NO_TAG);
    assert_eq!(machine.system.frames.binding(10), BOUND_ANYWHERE);
    machine.bind(a, 0x40, 10, NO_TAG);
    assert_eq!(machine.system.frames.binding(10), BOUND_ANYWHERE);
}

/// The slot is another frame's by now, but the TLB still holds the mapping.
#[test]
fn a_frame_that_lost_its_slot_is_unbound_in_the_tlb() {
    let mut tables = Tables::new(FRAMES);
    let (mut machine, [a, ..]) = three(&mut tables);
    machine.system.frame_allocate(&mut machine.tlbs, a, 11).unwrap();
    machine.bind(a, 0x40, 10, NO_TAG);
    machine.bind(a, 0x40 + 4096, 11, NO_TAG);
    assert_eq!(machine.system.frames.binding(10), machine.system.frames.binding(11));
    machine.system.frame_free(&mut machine.tlbs, a, 10).unwrap();
    assert!(!machine.tlbs.maps(10) && machine.tlbs.maps(11));
    machine.audit();
}

/// Frame 10, bound in several slots of three environments.
fn bound_anywhere<'a>(tables: &'a mut Tables) -> (Machine<'a>, [EnvId; 3], Capability) {
    let (mut machine, ids) = three(tables);
    let read = machine.system.capability(ids[0], 10, READ).unwrap();
    for (n, &id) in ids.iter().enumerate() {
        for page in [0x40, 0x300, 0xc33] {
            machine.bind(id, page + n as u32, 10, read);
        }
    }
    machine.audit();
    (machine, ids, read)
}

#[test]
fn freeing_a_frame_that_is_bound_anywhere_takes_bounded_steps() {
    let mut tables = Tables::new(FRAMES);
    let (mut machine, [a, b, c], read) = bound_anywhere(&mut tables);
    for step in 1..STEPS {
        assert_eq!(machine.system.frame_free(&mut machine.tlbs, a, 10), Err(Error::Again));
        assert_eq!(machine.system.frames.owner(10), a.0 | FREEING);
        let binding = if step < SEARCHES { BOUND_ANYWHERE + step * SEARCH_STEP } else { 0 };
        assert_eq!(machine.system.frames.binding(10), binding);
        // Misses refill the TLB from what was not searched yet.
        machine.tlbs.refill_all();
        machine.audit();
        // Meanwhile nobody can bind it, share it or have it, and everything else works.
        for caller in [a, b, c] {
            assert!(!machine.map(caller, 0x50, 10, false, read, 0));
            assert!(!machine.map(caller, 0x50, 10, false, NO_TAG, 0));
        }
        assert_eq!(machine.system.capability(a, 10, READ), Err(Error::Denied));
        assert_eq!(machine.system.frame_allocate(&mut machine.tlbs, b, 10), Err(Error::Busy));
        assert_eq!(machine.system.frame_free(&mut machine.tlbs, b, 10), Err(Error::Denied));
        machine.system.frame_allocate(&mut machine.tlbs, b, 11 + step).unwrap();
        machine.bind(b, 0x60 + step, 11 + step, NO_TAG);
        machine.audit();
    }
    assert_eq!(machine.system.frame_free(&mut machine.tlbs, a, 10), Ok(()));
    assert!(!machine.tlbs.maps(10));
    assert_eq!((machine.system.frames.owner(10), machine.system.frames.binding(10)), (FREE, 0));
    assert_eq!(machine.system.frame_free(&mut machine.tlbs, a, 10), Err(Error::Denied));
    machine.audit();
}

#[test]
fn what_began_as_one_call_ends_as_the_last_says() {
    type End = fn(&mut Machine, EnvId, EnvId) -> Result<(), Error>;
    let free: End = |machine, a, _| machine.system.frame_free(&mut machine.tlbs, a, 10);
    let give: End = |machine, a, b| machine.system.frame_give(&mut machine.tlbs, a, 10, b);
    let renew: End = |machine, a, _| machine.system.frame_renew(&mut machine.tlbs, a, 10);
    for begin in [free, give, renew] {
        for (end, owner) in [(free, 0), (give, 2), (renew, 1)] {
            let mut tables = Tables::new(FRAMES);
            let (mut machine, [a, b, c], read) = bound_anywhere(&mut tables);
            for step in 1..STEPS {
                let call = if step < 4 { begin } else { end };
                assert_eq!(call(&mut machine, a, b), Err(Error::Again));
            }
            assert_eq!(end(&mut machine, a, b), Ok(()));
            assert_eq!(machine.system.frames.owner(10), [FREE, a.0, b.0][owner]);
            assert!(!machine.tlbs.maps(10) && !machine.system.may_bind(c, 10, false, read));
            machine.audit();
        }
    }
}

#[test]
fn an_environment_can_be_made_of_frames_that_are_being_freed() {
    let mut tables = Tables::new(FRAMES);
    let (mut machine, [a, b, c], _) = bound_anywhere(&mut tables);
    let Machine { system, tlbs } = &mut machine;
    system.frame_allocate(tlbs, a, 11).unwrap();
    let write = system.capability(a, 11, WRITE).unwrap();
    machine.bind(b, 1, 11, write);
    machine.bind(c, 2, 11, write);
    machine.tlbs.contents[10..12].fill(DIRT);
    let create = |machine: &mut Machine| machine.system.env_create(&mut machine.tlbs, a, 10, record(10));
    // Frame 10, then frame 11, of which the last call makes the environment at once.
    for step in 1..2 * STEPS {
        assert_eq!(create(&mut machine), Err(Error::Again));
        assert_eq!(machine.tlbs.contents[10..12], [if step < STEPS { DIRT } else { 0 }, DIRT]);
        machine.tlbs.refill_all();
        machine.audit();
        for caller in [a, b] {
            assert!(!machine.map(caller, 3, 11, false, write, 0) || machine.system.frames.owner(11) & FREEING == 0);
            assert!(!machine.map(caller, 3, 10, false, NO_TAG, 0));
        }
    }
    let (d, _) = create(&mut machine).unwrap();
    assert!(!machine.tlbs.maps(10) && !machine.tlbs.maps(11));
    assert_eq!(machine.tlbs.contents[10..12], [0, 0]);
    assert_eq!((machine.system.frames.owner(10), machine.system.frames.owner(11)), (d.0, KERNEL));
    assert!(!machine.system.may_bind(b, 10, true, write));
    machine.audit();
}

#[test]
fn what_a_dead_owner_left_is_unbound_before_it_is_anothers() {
    let mut tables = Tables::new(FRAMES);
    let (mut machine, [a, b, c], read) = bound_anywhere(&mut tables);
    machine.system.frame_allocate(&mut machine.tlbs, a, 11).unwrap();
    let once = machine.system.capability(a, 11, WRITE).unwrap();
    machine.bind(b, 0x77, 11, once);
    assert!(machine.system.env_destroy(a));
    machine.tlbs.refill_all();
    machine.audit();
    assert!(machine.tlbs.maps(10) && machine.tlbs.maps(11));
    // Nobody gets new rights by what the dead has signed.
    assert!(!machine.system.may_bind(b, 10, false, read));
    assert_eq!(machine.system.frame_allocate(&mut machine.tlbs, c, 11), Ok(()));
    assert!(!machine.tlbs.maps(11));
    // Two want it: both get on with the work, and the one that ends it has it.
    for step in 1..STEPS {
        let caller = if step % 2 == 0 { b } else { c };
        assert_eq!(machine.system.frame_allocate(&mut machine.tlbs, caller, 10), Err(Error::Again));
        machine.tlbs.refill_all();
        machine.audit();
        assert!(!machine.map(b, 0x50, 10, false, read, 0) && machine.system.is_free(10));
    }
    assert_eq!(machine.system.frame_allocate(&mut machine.tlbs, b, 10), Ok(()));
    assert!(!machine.tlbs.maps(10));
    assert_eq!((machine.system.frames.owner(10), machine.tlbs.contents[10]), (b.0, 0));
    machine.audit();
}

#[test]
fn an_owner_may_die_while_it_frees() {
    let mut tables = Tables::new(FRAMES);
    let (mut machine, [a, b, _], _) = bound_anywhere(&mut tables);
    for _ in 0..3 {
        assert_eq!(machine.system.frame_free(&mut machine.tlbs, a, 10), Err(Error::Again));
    }
    assert!(machine.system.env_destroy(a));
    assert!(machine.system.is_free(10));
    machine.audit();
    for _ in 0..STEPS - 4 {
        assert_eq!(machine.system.frame_allocate(&mut machine.tlbs, b, 10), Err(Error::Again));
    }
    assert_eq!(machine.system.frame_allocate(&mut machine.tlbs, b, 10), Ok(()));
    assert!(!machine.tlbs.maps(10));
    machine.audit();
}

#[test]
fn an_environment_is_made_of_two_frames_of_its_makers() {
    let mut tables = Tables::new(FRAMES);
    let (mut machine, [a, b, _]) = three(&mut tables);
    let Machine { system, tlbs: hw } = &mut machine;
    system.frame_allocate(hw, b, 11).unwrap();
    for (frame, error) in [
        (11, Error::BadArgument),
        (u32::MAX, Error::BadArgument),
        (FRAMES as u32, Error::BadArgument),
        (u32::MAX - 1, Error::BadArgument),
        (10, Error::Denied),
        (12, Error::Denied),
        (0, Error::Denied),
        (2, Error::Denied),
        (4, Error::Denied),
    ] {
        assert_eq!(system.env_create(hw, a, frame, 0), Err(error), "frame {frame}");
    }
    system.frame_give(hw, b, 11, a).unwrap();
    hw.contents[10..12].fill(DIRT);
    (10..12).for_each(|frame| system.frames.written(frame));
    // Scrubs one frame a call.
    assert_eq!(system.env_create(hw, a, 10, record(10)), Err(Error::Again));
    assert_eq!(hw.contents[10..12], [0, DIRT]);
    let (d, control) = system.env_create(hw, a, 10, record(10)).unwrap();
    assert_eq!(hw.contents[10..12], [0, 0]);
    assert_eq!((system.frames.owner(10), system.frames.owner(11)), (d.0, KERNEL));
    assert_eq!(system.environments.home(d), Some(10));
    assert_eq!(system.environments.entry(d.index()).record, record(10));
    // What made it has no more right to it than who has the capability.
    assert_eq!(system.controls(a, d, NO_TAG), Err(Error::Denied));
    assert_eq!(system.controls(a, d, control), Ok(()));
    assert_eq!(system.controls(b, d, control), Ok(()));
    assert_eq!(system.controls(d, d, NO_TAG), Ok(()));
    assert_eq!(system.controls(b, a, control), Err(Error::Denied));
    assert_eq!(system.frame_free(hw, a, 10), Err(Error::Denied));
    assert_eq!(system.frame_allocate(hw, a, 11), Err(Error::Busy));
    assert!(system.env_destroy(d) && !system.env_destroy(d));
    assert_eq!(system.controls(b, d, control), Err(Error::NoSuchEnvironment));
    assert_eq!((system.statistics.created, system.statistics.ended), (4, 1));
    // Its home was of frames that are free now, so another can be made there, under another id.
    let again = system.env_create_at_boot(10, 0);
    assert_eq!(again, None);
    for frame in [10, 11] {
        system.frame_allocate(hw, b, frame).unwrap();
    }
    let (e, _) = machine.create(b, 10);
    assert_ne!(d, e);
    machine.audit();
}

/// A frame that was scrubbed for an environment, and was its maker's again before that was made.
#[test]
fn what_was_written_between_the_steps_does_not_get_into_an_environment() {
    let mut tables = Tables::new(FRAMES);
    let (mut machine, [a, ..]) = three(&mut tables);
    let Machine { system, tlbs: hw } = &mut machine;
    system.frame_allocate(hw, a, 11).unwrap();
    (10..12).for_each(|frame| system.frames.written(frame));
    assert_eq!(system.env_create(hw, a, 10, record(10)), Err(Error::Again));
    assert!(!machine.map(a, 0x40, 10, true, NO_TAG, 0));
    assert_eq!(machine.system.frame_renew(&mut machine.tlbs, a, 10), Ok(()));
    assert!(machine.map(a, 0x40, 10, true, NO_TAG, 0));
    machine.tlbs.contents[10] = DIRT;
    machine.create(a, 10);
    assert!(!machine.tlbs.maps(10));
    assert_eq!(machine.tlbs.contents[10..12], [0, 0]);
    machine.audit();
}

#[test]
fn the_last_frame_has_no_save_page_behind_it() {
    let mut tables = Tables::new(FRAMES + 1);
    let (mut machine, [a, ..]) = three(&mut tables);
    let last = FRAMES as u32;
    machine.system.frame_allocate(&mut machine.tlbs, a, last).unwrap();
    assert_eq!(machine.system.env_create(&mut machine.tlbs, a, last, 0), Err(Error::BadArgument));
    assert_eq!(machine.system.env_create_at_boot(last, 0), None);
    assert_eq!(machine.system.env_create_at_boot(9, 0), None);
    assert_eq!(machine.system.env_create_at_boot(10, 0), None);
}

#[test]
fn as_many_as_256_live_at_once() {
    let mut tables = Tables::new(2 + 2 * 256 + 2);
    let mut machine = tables.machine();
    let ids: Vec<_> = (1..=256).map(|n| machine.environment(2 * n)).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 256);
    assert!(ids.iter().enumerate().all(|(n, &id)| id == EnvId::new(n as u8, 1)));
    machine.audit();
    // The 257th.
    let free = 2 + 2 * 256;
    assert_eq!(machine.system.env_create_at_boot(free, 0), None);
    let Machine { system, tlbs: hw } = &mut machine;
    system.frame_allocate(hw, ids[0], free).unwrap();
    system.frame_allocate(hw, ids[0], free + 1).unwrap();
    assert_eq!(system.env_create(hw, ids[0], free, 0), Err(Error::Full));
    assert_eq!(system.frames.owner(free), ids[0].0);
    // The index that has been unused for longest is the next.
    for n in [200, 7] {
        assert!(system.env_destroy(ids[n]));
    }
    let (id, _) = machine.create(ids[0], free);
    assert_eq!(id, EnvId::new(200, 2));
    machine.audit();
}

#[test]
fn an_index_whose_generations_are_used_up_is_retired() {
    let mut tables = Tables::new(6);
    let mut machine = tables.machine();
    machine.system.environments.age(EnvId::LAST_GENERATION - 2);
    let mut seen = BTreeSet::new();
    for _ in 0..2 * EnvId::COUNT {
        let id = machine.environment(2);
        assert!(seen.insert(id.0) && (id.0 as i32) > 0);
        machine.audit();
        assert!(machine.system.env_destroy(id));
        for frame in [2, 3] {
            machine.system.frames.set_owner_at_boot(frame, FREE);
        }
    }
    assert_eq!(seen.iter().map(|&id| EnvId(id).generation()).max(), Some(EnvId::LAST_GENERATION));
    assert_eq!(machine.system.env_create_at_boot(2, 0), None);
    assert!(machine.system.environments.full());
    assert!(seen.iter().all(|&id| !machine.system.lives(EnvId(id))));
    machine.audit();
}

#[test]
fn a_frame_has_no_nonce_twice_though_32_bits_of_it_are_used_up() {
    let mut tables = Tables::new(FRAMES);
    let (mut machine, [a, b, _]) = three(&mut tables);
    let renew = |machine: &mut Machine, sequence| {
        machine.system.frames.age(sequence);
        machine.system.frame_renew(&mut machine.tlbs, a, 10).unwrap();
        (machine.system.capability(a, 10, WRITE).unwrap(), machine.guarantee(10))
    };
    let first = 7;
    let (old, page) = renew(&mut machine, first);
    assert!(machine.system.may_bind(b, 10, true, old) && machine.system.holds(page));
    // The lower half is the same again.
    let (new, again) = renew(&mut machine, first + (1 << 32));
    assert_ne!(old, new);
    assert!(!machine.system.may_bind(b, 10, true, old) && machine.system.may_bind(b, 10, true, new));
    assert!(!machine.system.holds(page) && machine.system.holds(again));
    machine.audit();
}

#[test]
fn an_id_is_compared_whole() {
    let mut tables = Tables::new(FRAMES);
    let mut machine = tables.machine();
    let a = machine.environment(2);
    assert!(machine.system.lives(a));
    for bit in 0..32 {
        assert!(!machine.system.lives(EnvId(a.0 ^ 1 << bit)), "bit {bit}");
    }
    for id in [0, KERNEL, PUBLIC, FREEING, DirectoryEntry::poison(a.index())] {
        assert!(!machine.system.lives(EnvId(id)));
    }
}

/// The first three words of an environment's directory entry: whether each is its id.
fn entered(machine: &Machine, id: EnvId) -> [bool; 3] {
    let entry = machine.system.environments.entry(id.index());
    [entry.synchronous, entry.asynchronous, entry.runnable].map(|word| {
        assert!(word == id.0 || word == DirectoryEntry::poison(id.index()));
        word == id.0
    })
}

#[test]
fn the_directory_has_an_id_where_it_can_be_entered() {
    let mut tables = Tables::new(FRAMES);
    let mut machine = tables.machine();
    let a = machine.system.env_create_at_boot(2, record(2)).unwrap();
    assert_eq!(entered(&machine, a), [false; 3]);
    // It has a context, yet is not set up.
    let first = machine.system.context(&mut machine.tlbs, a);
    assert_eq!(entered(&machine, a), [false; 3]);
    for (synchronous, asynchronous) in [(false, false), (true, false), (false, true), (true, true)] {
        machine.system.open(a, synchronous, asynchronous, true);
        assert_eq!(entered(&machine, a), [synchronous, asynchronous, false]);
        machine.system.begin(a);
        assert_eq!(entered(&machine, a), [synchronous, asynchronous, true]);
    }
    // A context that has no hardware id yet.
    assert_eq!(machine.system.select_context(a, 3), Ok(()));
    assert_eq!(machine.system.environments.current_context(a), Some(3));
    assert_eq!(entered(&machine, a), [false; 3]);
    let second = machine.system.context(&mut machine.tlbs, a);
    assert_ne!(first, second);
    assert_eq!(entered(&machine, a), [true; 3]);
    assert_eq!(machine.system.select_context(a, 0), Ok(()));
    assert_eq!(entered(&machine, a), [true; 3]);
    assert_eq!(machine.system.context(&mut machine.tlbs, a), first);
    for n in [4, u32::MAX] {
        assert_eq!(machine.system.select_context(a, n), Err(Error::BadArgument));
    }
    assert!(machine.system.env_destroy(a));
    assert_eq!(entered(&machine, a), [false; 3]);
    assert_eq!(machine.system.environments.entry(a.index()).record, NOBODY);
    assert_eq!(machine.system.select_context(a, 0), Err(Error::NoSuchEnvironment));
    assert_eq!(machine.system.context(&mut machine.tlbs, a), ContextId::NONE);
    machine.system.open(a, true, true, true);
    assert_eq!(entered(&machine, a), [false; 3]);
    machine.audit();
}

#[test]
fn seventy_environments_share_63_hardware_ids() {
    let mut tables = Tables::new(2 + 2 * 70);
    let mut machine = tables.machine();
    let ids: Vec<_> = (1..=70).map(|n| machine.environment(2 * n)).collect();
    for (n, &id) in ids.iter().enumerate() {
        let ContextId(context) = machine.system.context(&mut machine.tlbs, id);
        assert_eq!(usize::from(context), n % 63 + 1);
        machine.bind(id, 7, 2 * n as u32 + 2, NO_TAG);
        machine.audit();
        if n == 63 {
            // All ids were taken back, and the first is another's now.
            assert_eq!((machine.system.statistics.context_revocations, machine.tlbs.flushes), (1, 1));
            assert_eq!(machine.tlbs.bindings().count(), 2);
            assert!(ids[..63].iter().all(|&id| entered(&machine, id) == [false; 3]));
            assert_eq!(entered(&machine, id), [true; 3]);
        }
    }
    // A new id finds nothing of what the old one had bound.
    let ContextId(context) = machine.system.context(&mut machine.tlbs, ids[0]);
    assert_eq!((context, machine.tlbs.find(context, 7)), (8, None));
    assert_eq!(machine.system.statistics.context_revocations, 1);
    machine.audit();
}

#[test]
fn the_hardware_id_of_the_dead_is_not_used_again_before_all_are_taken_back() {
    let mut tables = Tables::new(FRAMES);
    let (mut machine, [a, b, _]) = three(&mut tables);
    machine.bind(a, 7, 10, NO_TAG);
    let old = machine.system.context(&mut machine.tlbs, a);
    assert!(machine.system.env_destroy(a));
    machine.audit();
    let mut contexts = BTreeSet::from([old]);
    for _ in 0..15 {
        let d = machine.environment(12);
        for n in 0..4 {
            machine.system.select_context(d, n).unwrap();
            assert!(contexts.insert(machine.system.context(&mut machine.tlbs, d)));
        }
        assert!(machine.system.env_destroy(d));
        for frame in [12, 13] {
            machine.system.frames.set_owner_at_boot(frame, FREE);
        }
    }
    assert_eq!((contexts.len(), machine.tlbs.flushes), (61, 0));
    for n in 0..3 {
        machine.system.select_context(b, n).unwrap();
        machine.system.context(&mut machine.tlbs, b);
    }
    assert_eq!(machine.tlbs.flushes, 1);
    assert_eq!(machine.system.environments.contexts(b), Some([0, 0, 1, 0].map(ContextId)));
    machine.audit();
}

#[test]
fn the_dead_leave_nothing_behind() {
    let mut tables = Tables::new(FRAMES);
    let (mut machine, [a, b, c]) = three(&mut tables);
    let system = &mut machine.system;
    for (position, owner) in [(0, a), (1, b), (2, c)] {
        system.slices.allocate(position, owner).unwrap();
    }
    // B's slice is lent to A, which runs past its end, waits, and dies.
    assert_eq!((system.next(0), system.next(0)), (Next::Run(a), Next::Run(b)));
    assert_eq!(system.slices.tick(a, false), Tick::End);
    assert_eq!(system.slices.tick(a, false), Tick::Excess);
    assert_eq!(system.slices.vector()[1], Slice { owner: b.0, runner: a.0 });
    system.wait(a, None);
    assert!(system.env_destroy(a));
    assert_eq!(system.slices.vector()[0], Slice::default());
    assert_eq!(system.slices.vector()[1], Slice { owner: b.0, runner: b.0 });
    assert_eq!(system.wake(a), Err(Error::NoSuchEnvironment));
    assert!(!system.ready(a, 0));
    system.wait(a, None);
    assert_eq!([0; 4].map(|ticks| system.next(ticks)), [c, b, c, b].map(Next::Run));
    assert_eq!((system.statistics.excess, system.statistics.forfeited), (1, 0));
    machine.audit();
}

#[test]
fn forfeits_are_counted() {
    let mut tables = Tables::new(FRAMES);
    let (mut machine, [a, b, _]) = three(&mut tables);
    let system = &mut machine.system;
    system.slices.allocate(0, a).unwrap();
    system.slices.allocate(1, b).unwrap();
    assert_eq!(system.next(0), Next::Run(a));
    for _ in 0..=EXCESS_MAX {
        let _ = system.slices.tick(a, false);
    }
    assert_eq!(system.slices.tick(a, false), Tick::Overrun(a));
    for _ in 0..=EXCESS_MAX {
        assert_eq!(system.next(0), Next::Run(b));
    }
    assert_eq!(system.next(0), Next::Run(a));
    assert_eq!((system.statistics.excess, system.statistics.forfeited), (EXCESS_MAX, EXCESS_MAX));
}

#[test]
fn who_was_asked_ends_while_another_runs() {
    let mut tables = Tables::new(FRAMES);
    let (mut machine, [a, b, _]) = three(&mut tables);
    let system = &mut machine.system;
    system.slices.allocate(0, a).unwrap();
    system.slices.allocate(1, b).unwrap();
    assert_eq!(system.next(0), Next::Run(a));
    assert_eq!(system.slices.tick(a, false), Tick::End);
    for _ in 0..EXCESS_MAX {
        assert_eq!(system.slices.tick(a, true), Tick::Excess);
    }
    assert_eq!(system.slices.tick(b, true), Tick::Overrun(a));
    assert!(system.env_destroy(a));
    machine.audit();
    let system = &mut machine.system;
    assert_eq!(system.slices.tick(b, true), Tick::End);
    assert_eq!(system.next(0), Next::Run(b));
    assert_eq!((system.statistics.excess, system.statistics.forfeited), (EXCESS_MAX, 0));
}

#[test]
fn a_slice_is_its_owners_to_give_to_who_lives() {
    let mut tables = Tables::new(FRAMES);
    let (mut machine, [a, b, c]) = three(&mut tables);
    let system = &mut machine.system;
    system.slices.allocate(0, a).unwrap();
    assert!(system.env_destroy(c));
    assert_eq!(system.slice_give(a, 64, c), Err(Error::BadArgument));
    assert_eq!(system.slice_give(b, 0, c), Err(Error::Denied));
    assert_eq!(system.slice_give(a, 0, c), Err(Error::NoSuchEnvironment));
    assert_eq!(system.slices.vector()[0], Slice { owner: a.0, runner: a.0 });
    assert_eq!(system.slice_give(a, 0, b), Ok(()));
    assert_eq!(system.slices.vector()[0], Slice { owner: b.0, runner: b.0 });
}

#[test]
fn the_clock_ends_the_waits_of_those_that_run_a_slice() {
    let mut tables = Tables::new(FRAMES);
    let (mut machine, [a, b, _]) = three(&mut tables);
    let system = &mut machine.system;
    assert!(!system.anybody_waits_for_the_clock());
    // A has no slice, so it would not run when its tick comes.
    system.wait(a, Some(5));
    assert!(!system.anybody_waits_for_the_clock());
    system.slices.allocate(7, b).unwrap();
    system.wait(b, None);
    assert!(!system.anybody_waits_for_the_clock());
    system.wait(b, Some(5));
    assert!(system.anybody_waits_for_the_clock());
    system.wait(b, None);
    // It runs in what it is lent.
    assert_eq!(system.wake(b), Ok(()));
    assert_eq!(system.next(0), Next::Run(b));
    assert_eq!(system.slices.tick(a, false), Tick::End);
    system.wait(b, None);
    assert!(system.anybody_waits_for_the_clock());
    // B owns a slice and runs none.
    system.wait(a, None);
    system.wait(b, Some(5));
    assert!(!system.anybody_waits_for_the_clock());
}

#[test]
fn only_what_is_set_up_runs() {
    let mut tables = Tables::new(FRAMES);
    let (mut machine, [a, ..]) = three(&mut tables);
    machine.system.frame_allocate(&mut machine.tlbs, a, 11).unwrap();
    let (d, _) = machine.create(a, 10);
    let system = &mut machine.system;
    system.slices.allocate(0, a).unwrap();
    assert_eq!(system.slice_give(a, 0, d), Ok(()));
    assert_eq!(system.next(0), Next::Idle);
    system.open(d, false, false, true);
    assert_eq!(system.next(0), Next::Run(d));
}

#[test]
fn a_wait_ends_with_a_wake_that_is_never_lost() {
    let mut tables = Tables::new(FRAMES);
    let (mut machine, [a, b, _]) = three(&mut tables);
    let system = &mut machine.system;
    system.slices.allocate(0, a).unwrap();
    assert_eq!(system.next(0), Next::Run(a));
    // Woken while it waits.
    system.wait(a, None);
    assert_eq!([0, 1, u32::MAX].map(|ticks| system.next(ticks)), [Next::Idle; 3]);
    assert_eq!(system.wake(a), Ok(()));
    assert_eq!([2, 3].map(|ticks| system.next(ticks)), [Next::Run(a); 2]);
    // That wake is used up.
    system.wait(a, None);
    assert_eq!(system.next(4), Next::Idle);
    // Two wakes end one wait.
    assert_eq!([system.wake(a), system.wake(a)], [Ok(()); 2]);
    assert_eq!(system.next(5), Next::Run(a));
    system.wait(a, None);
    assert_eq!(system.next(5), Next::Idle);
    assert_eq!(system.wake(a), Ok(()));
    assert_eq!(system.next(5), Next::Run(a));
    // Woken before it waits, even a few slices before: the wait ends at once.
    assert_eq!(system.wake(a), Ok(()));
    assert_eq!([system.next(6), system.next(7)], [Next::Run(a); 2]);
    system.wait(a, Some(100));
    assert_eq!(system.next(8), Next::Run(a));
    system.wait(a, Some(100));
    assert_eq!(system.next(8), Next::Idle);
    // Another's wake is another's.
    assert_eq!(system.wake(b), Ok(()));
    assert_eq!(system.next(8), Next::Idle);
    // It is entered by a transfer, works, and waits again, for something else: the wake that came before counts.
    assert_eq!(system.wake(a), Ok(()));
    system.wait(a, None);
    assert_eq!(system.next(9), Next::Run(a));
}

#[test]
fn a_wait_ends_with_its_tick() {
    let mut tables = Tables::new(FRAMES);
    let (mut machine, [a, ..]) = three(&mut tables);
    let system = &mut machine.system;
    system.slices.allocate(0, a).unwrap();
    for (deadline, early, late) in [
        (100, [0, 50, 99], [100, 101, 5000]),
        (0, [0x7fff_ffff, 0x7fff_0000, 0x4000_0000], [0, 1, 0x3fff_ffff]),
        (5, [0x7fff_ffff, 0, 4], [5, 6, 0x1000_0000]),
        (0x7fff_ffff, [0x7fff_fffe, 0x7000_0000, 0x4000_0000], [0x7fff_ffff, 0, 1]),
    ] {
        for (early, late) in early.into_iter().zip(late) {
            system.wait(a, Some(deadline));
            assert_eq!(system.next(early), Next::Idle, "{early:#x} is before {deadline:#x}");
            assert_eq!(system.next(late), Next::Run(a), "{late:#x} is not before {deadline:#x}");
            // The wait is over, whatever the clock says.
            assert_eq!(system.next(early), Next::Run(a));
        }
    }
}
