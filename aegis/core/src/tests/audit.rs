//! The audit sees each way in which an invariant can be broken.

extern crate std;

use super::machine::{Machine, Tables, slot};
use crate::audit::Binding;
use crate::frames::SEARCH_STEP;
use aegis_abi::EnvId;
use aegis_abi::frame::{BOUND_ANYWHERE, Capability, FREE, FREEING, KERNEL, PUBLIC, READ};
use aegis_abi::revocation::{DEADLINE_MIN, FRAMES, Revocation};
use std::string::{String, ToString};
use std::vec::Vec;

/// The environments that [`machine`] makes.
const A: EnvId = EnvId::new(0, 1);
const B: EnvId = EnvId::new(1, 1);

/// Two environments in frames 2 to 5; frame 6 is the first's, mapped once in its context 1; frame 7 is free; the second
/// runs in a slice of the first's.
fn machine(tables: &mut Tables) -> Machine<'_> {
    let mut machine = tables.machine();
    assert_eq!([machine.environment(2), machine.environment(4)], [A, B]);
    machine.system.frame_allocate(&mut machine.tlbs, A, 6).unwrap();
    machine.bind(A, 0x40, 6, Capability([0, 0]));
    machine.system.slices.allocate(0, A).unwrap();
    machine.system.next(0);
    let _ = machine.system.slices.tick(B, false);
    machine.audit();
    machine
}

/// What the audit says after something was changed.
fn after(change: impl FnOnce(&mut Machine)) -> String {
    let mut tables = Tables::new(8);
    let mut machine = machine(&mut tables);
    change(&mut machine);
    machine.system.audit(machine.tlbs.bindings()).expect_err("nothing was found").to_string()
}

/// What the audit says of one more binding.
fn with(change: impl FnOnce(&mut Binding)) -> String {
    let mut tables = Tables::new(8);
    let machine = machine(&mut tables);
    let mut binding = machine.tlbs.bindings().last().unwrap();
    change(&mut binding);
    let bindings: Vec<_> = machine.tlbs.bindings().chain([binding]).collect();
    machine.system.audit(bindings.into_iter()).expect_err("nothing was found").to_string()
}

#[test]
fn of_frames() {
    let never = EnvId::new(9, 1).0;
    for owner in [never, never | FREEING, EnvId::new(0, 2).0, 0x800, FREEING, KERNEL ^ 8, EnvId::new(0, 1).0 | 2] {
        let text = after(|machine| machine.system.frames.set_owner(7, owner));
        assert!(text.starts_with("frame 7: its owner was never an environment"), "{text}");
    }
    for owner in [FREE, KERNEL] {
        let text = after(|machine| machine.system.frames.set_owner(6, owner));
        assert!(text.starts_with("frame 6: is bound, yet not to be"), "{text}");
    }
    let text = after(|machine| {
        machine.system.bind(6, BOUND_ANYWHERE + SEARCH_STEP);
        machine.system.bind(7, BOUND_ANYWHERE + SEARCH_STEP);
    });
    assert!(text.starts_with("frame 7: is searched for, yet not being freed"), "{text}");
    for binding in [17, 0x7fff_fffc, BOUND_ANYWHERE + 4096, BOUND_ANYWHERE + SEARCH_STEP + 1] {
        let text = after(|machine| machine.system.bind(7, binding));
        assert!(text.starts_with("frame 7: its note of bindings is none"), "{text}");
    }
    let text = after(|machine| machine.system.frames.remember(6, READ, Capability([1, 2])));
    assert!(text.starts_with("frame 6: a verifier is not a valid tag"), "{text}");
    let text = after(|machine| {
        let tag = machine.system.key.tag(machine.system.frames.resource(7), READ);
        machine.system.frames.remember(7, READ, tag);
    });
    assert!(text.starts_with("frame 7: a verifier is not a valid tag"), "{text}");
}

#[test]
fn of_slices() {
    let text = after(|machine| machine.system.slices.allocate(63, EnvId::new(2, 1)).unwrap());
    assert!(text.starts_with("slice 63: its owner does not live"), "{text}");
    let text = after(|machine| {
        machine.system.next(0);
        machine.system.slices.free(0, A).unwrap();
        machine.system.slices.allocate(0, A).unwrap();
        let _ = machine.system.slices.tick(EnvId::new(1, 2), false);
    });
    assert!(text.starts_with("slice 0: its runner does not live"), "{text}");
    let text = after(|machine| {
        machine.system.next(0);
        let _ = machine.system.slices.tick(EnvId::new(1, 2), true);
    });
    assert!(text.starts_with("slice 0: is asked back from who does not live"), "{text}");
}

#[test]
fn of_environments() {
    let text = after(|machine| {
        for _ in 0..2 {
            machine.system.next(0);
            let _ = machine.system.slices.tick(EnvId::new(9, 1), true);
            let _ = machine.system.slices.tick(EnvId::new(9, 1), true);
        }
        machine.system.next(0);
    });
    assert!(text.starts_with("environment at index 9: is dead and owes excess time"), "{text}");
    let text = after(|machine| machine.system.frames.set_owner(5, PUBLIC));
    assert!(text.starts_with("environment at index 1: its record is not the kernel's"), "{text}");
    let text = after(|machine| machine.system.frames.set_owner(4, A.0));
    assert!(text.starts_with("environment at index 1: its save page is not its own"), "{text}");
}

#[test]
fn of_bindings() {
    let text = with(|binding| binding.frame = 7);
    assert!(text.contains("frame 7: binds a frame that has no owner (0x00000000)"), "{text}");
    for frame in [0, 8, 0xfffff] {
        let text = with(|binding| binding.frame = frame);
        assert!(text.contains("binds a frame that has no owner (0xffffffff)"), "{text}");
    }
    let text = with(|binding| {
        binding.frame = 1;
        binding.write = true;
    });
    assert!(text.contains("allows stores to what is everybody's"), "{text}");
    for frame in [1, 2, 4] {
        let text = with(|binding| binding.frame = frame);
        assert!(text.contains("whose note of bindings says otherwise (0x00000000)"), "{text}");
    }
    let text = with(|binding| {
        binding.page = 0x41;
        binding.slot = slot(1, 0x41);
        binding.in_software_tlb = false;
    });
    assert!(text.starts_with("TLB, slot 0x80058"), "{text}");
    assert!(text.contains(", context 1, page 0x41, frame 6: binds a frame whose note of bindings"), "{text}");
    // Where the search has already been.
    let text = after(|machine| {
        let first = machine.tlbs.bindings().next().unwrap();
        machine.bind(A, 0x41 ^ (first.slot >> 2 & 0xfff), 6, Capability([0, 0]));
        let kept = machine.tlbs.clone();
        machine.system.frame_free(&mut machine.tlbs, A, 6).unwrap_err();
        machine.tlbs = kept;
    });
    let note = BOUND_ANYWHERE + SEARCH_STEP;
    let says = std::format!("frame 6: binds a frame whose note of bindings says otherwise ({note:#010x})");
    assert!(text.contains(&says), "{text}");
}

/// What the context ids of the dead have bound is never used.
#[test]
fn of_what_nobody_can_use() {
    let mut tables = Tables::new(8);
    let mut machine = machine(&mut tables);
    assert!(machine.system.env_destroy(A));
    machine.system.frame_allocate(&mut machine.tlbs, B, 6).unwrap();
    machine.audit();
    let stale = Binding { context: 1, page: 1, slot: slot(1, 1), frame: 7, write: true, in_software_tlb: true };
    machine.system.audit([stale].into_iter()).unwrap();
    machine.system.audit([Binding { context: 200, ..stale }].into_iter()).unwrap();
}

#[test]
fn of_what_is_being_taken() {
    let text = after(|machine| {
        let second = (0..64).find(|&page| slot(1, page) != slot(1, 0x40)).unwrap();
        machine.bind(A, second, 6, Capability([0, 0]));
        machine.system.revoke(A, FRAMES, 1, DEADLINE_MIN, 0).unwrap();
        let page = &mut Revocation::default();
        machine.system.frame_repossess(&mut machine.tlbs, A, 6, DEADLINE_MIN, page).unwrap_err();
        machine.audit();
        machine.system.frames.set_owner(6, B.0 | FREEING);
    });
    assert!(
        text.starts_with("environment at index 0: loses a frame that is not its own, or not being freed"),
        "{text}"
    );
}
