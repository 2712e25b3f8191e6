//! Memory that is gone in the middle of something: at each frame in turn that it takes.

#[path = "process_census.rs"]
pub mod census;

use exos::process::Fail;
use exos::process::table::{Status, signal};
use exos_rt::{call, memory};

/// Frames that are kept from everybody.
static mut KEPT: [u16; 16384] = [0; 16384];

/// The status of a child that could not do what it was to do.
pub const NO_MEMORY: u32 = 99;

/// How a child ends that has too little.
const NOT_ENOUGH: [Status; 3] = [Status::signal(signal::SEGV), Status::signal(signal::KILL), Status::exit(NO_MEMORY)];

/// Frames that are kept.
struct Kept(usize);

impl Kept {
    /// Takes all frames but so many. Those of the list itself are there already.
    fn all_but(free: usize) -> Self {
        let mut kept = Self(0);
        while let Ok(frame) = memory::allocate() {
            // SAFETY: this process has one flow of control. Likewise below.
            unsafe { KEPT[kept.0] = frame as u16 };
            kept.0 += 1;
        }
        kept.release(free);
        kept
    }

    fn release(&mut self, count: usize) {
        for _ in 0..count.min(self.0) {
            self.0 -= 1;
            // SAFETY: as above; it is mapped nowhere.
            unsafe { call::frame_free(KEPT[self.0].into()).expect("it is this process's") };
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.release(self.0);
    }
}

/// Attempts something with no frame free, with one, and so on, until it succeeds: the caller's error or the child's signal,
/// and nothing is left behind, each time.
pub fn fails_until_enough(what: &str, attempt: impl Fn() -> Result<Status, Fail>) {
    // The pages of the list are there before there are none.
    // SAFETY: nothing else refers to it. Likewise below.
    (0..16384).step_by(1024).chain([16383]).for_each(|place| unsafe { (&raw mut KEPT[place]).write_volatile(0) });
    let before = census::take();
    let (mut refused, mut ended) = (0, 0);
    for free in 0.. {
        assert!(free < 32, "{what}: it never succeeds");
        let kept = Kept::all_but(free);
        let result = attempt();
        drop(kept);
        census::same(before, what);
        match result {
            Ok(status) if status == Status::exit(0) => break,
            // The child had no memory for what it touched, or for its page table.
            Ok(status) if NOT_ENOUGH.contains(&status) => ended += 1,
            Ok(status) => panic!("{what}: {status:?}"),
            Err(error) => {
                assert_eq!(error, Fail::NoMemory);
                assert_eq!(ended, 0, "{what}: with more memory it was made");
                refused += 1;
            }
        }
    }
    assert!(refused >= 4, "{what}: {refused} refused, {ended} ended");
}
