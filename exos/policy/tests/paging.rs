//! Which page goes, against lists that are searched.

use exos_policy::paging::{Lru, Replacement, Scans};
use proptest::collection::vec;
use proptest::prelude::*;

/// The same rules, as plainly as can be: pages that are used again, and those that are not.
#[derive(Default)]
struct Model {
    hears: bool,
    again: Vec<u16>,
    once: Vec<u16>,
}

impl Replacement for Model {
    fn used(&mut self, page: u16, once: bool) {
        let once = once && self.hears;
        if once && self.again.contains(&page) {
            return;
        }
        self.once.retain(|&other| other != page);
        self.again.retain(|&other| other != page);
        if once { &mut self.once } else { &mut self.again }.push(page);
    }

    fn evict(&mut self) -> Option<u16> {
        let from = if self.once.is_empty() { &mut self.again } else { &mut self.once };
        (!from.is_empty()).then(|| from.remove(0))
    }
}

/// Uses pages with so many frames; which page made room at each use.
fn run(policy: &mut impl Replacement, frames: usize, uses: &[(u16, bool)]) -> Vec<Option<u16>> {
    let mut resident = Vec::new();
    let step = |&(page, once): &(u16, bool)| {
        let mut gone = None;
        if !resident.contains(&page) {
            if resident.len() == frames {
                gone = policy.evict();
                let gone = gone.expect("a page has a frame");
                let place = resident.iter().position(|&other| other == gone).expect("it had one");
                resident.remove(place);
            }
            resident.push(page);
        }
        policy.used(page, once);
        gone
    };
    uses.iter().map(step).collect()
}

proptest! {
    #[test]
    fn as_the_model(frames in 1_usize..20, uses in vec((0_u16..40, any::<bool>()), 0..400)) {
        let lru = run(&mut Lru::new(), frames, &uses);
        prop_assert_eq!(lru, run(&mut Model::default(), frames, &uses));
        let scans = run(&mut Scans::new(), frames, &uses);
        prop_assert_eq!(scans, run(&mut Model { hears: true, ..Model::default() }, frames, &uses));
    }
}

#[test]
fn a_scan_leaves_what_is_used_again() {
    let mut uses: Vec<_> = (0..8).map(|page| (page, false)).collect();
    uses.extend((8..100).map(|page| (page, true)));
    uses.extend((0..8).map(|page| (page, false)));
    let misses = |gone: Vec<Option<u16>>| gone[100..].iter().flatten().count();
    assert_eq!(misses(run(&mut Scans::new(), 9, &uses)), 0);
    assert_eq!(misses(run(&mut Lru::new(), 9, &uses)), 8);
}

#[test]
fn nothing_to_evict() {
    assert_eq!((Lru::new().evict(), Scans::new().evict()), (None, None));
}
