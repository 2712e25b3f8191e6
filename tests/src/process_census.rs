//! A census: what is in use, to be the same before and after.

#[path = "in_use.rs"]
mod in_use;

use exos::process::table::{state, world};
use in_use::InUse;

/// What is in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Census {
    /// In the whole system.
    pub system: InUse,
    /// Processes in the table.
    pub processes: u32,
    /// Open files.
    pub files: u32,
}

/// Counts.
#[must_use]
pub fn take() -> Census {
    Census {
        system: in_use::take(),
        processes: world().processes.iter().filter(|process| process.state.get() != state::FREE).count() as u32,
        files: world().files.iter().filter(|file| file.references.get() != 0).count() as u32,
    }
}

/// Lets what is still ending end, and counts: when nothing has changed for 16 ticks.
#[must_use]
#[allow(dead_code, reason = "most begin with nothing that could end")]
pub fn settled() -> Census {
    let (mut last, mut unchanged) = (take(), 0);
    while unchanged < 16 {
        exos::process::sleep(1);
        let next = take();
        unchanged = if next == last { unchanged + 1 } else { 0 };
        last = next;
    }
    last
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
