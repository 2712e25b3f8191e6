//! A census: what is in use, to be the same before and after.

use exos::process::table::{state, world};
use exos_rt::abi::EnvId;
use exos_rt::abi::frame::{FREE, FREEING, KERNEL, PUBLIC};
use exos_rt::{call, memory, public};

/// What is in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Census {
    /// Frames that living environments own.
    pub frames: u32,
    /// Environments that live.
    pub environments: u32,
    /// Slices that have an owner.
    pub slices: u32,
    /// Processes in the table.
    pub processes: u32,
    /// Open files.
    pub files: u32,
}

/// Counts.
#[must_use]
pub fn take() -> Census {
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
    Census {
        frames,
        environments: statistics.created - statistics.ended,
        slices: (0..64).filter(|&position| public::slice(position).owner != 0).count() as u32,
        processes: world().processes.iter().filter(|process| process.state.get() != state::FREE).count() as u32,
        files: world().files.iter().filter(|file| file.references.get() != 0).count() as u32,
    }
}

/// Lets what is still ending end, and asserts that everything is as before.
pub fn same(before: Census, what: &str) {
    let mut after = take();
    for _ in 0..64 {
        if after == before {
            return;
        }
        exos::process::sleep(1);
        after = take();
    }
    assert_eq!(after, before, "{what} left something behind");
}
