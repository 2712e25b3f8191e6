//! What is in use in the whole system: to be the same before a test and after.

use exos_rt::abi::EnvId;
use exos_rt::abi::frame::{FREE, FREEING, KERNEL, PUBLIC};
use exos_rt::{call, memory, public};

/// What is in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InUse {
    /// Frames that living environments own.
    pub frames: u32,
    /// Environments that live.
    pub environments: u32,
    /// Slices that have an owner.
    pub slices: u32,
}

/// Counts.
#[must_use]
pub fn take() -> InUse {
    let (mut frames, mut last) = (0, (0, false));
    for number in 0..public::frames() {
        let owner = memory::frame(number).owner;
        if matches!(owner, FREE | KERNEL | PUBLIC) {
            continue;
        }
        if last.0 != owner {
            last = (owner, call::wake(EnvId(owner & !FREEING)).is_ok());
        }
        frames += u32::from(last.1);
    }
    let statistics = public::statistics();
    let slices = (0..64).filter(|&position| public::slice(position).owner != 0).count() as u32;
    InUse { frames, environments: statistics.created - statistics.ended, slices }
}

/// Lets what is still ending end, and asserts that everything is as before.
#[allow(dead_code, reason = "some have a census of their own")]
pub fn same(before: InUse) {
    let start = call::clock();
    while take() != before && call::clock() - start < 64 {
        call::yield_slice();
    }
    assert_eq!(take(), before, "something is left behind");
}
