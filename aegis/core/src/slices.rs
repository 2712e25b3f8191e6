//! The slice vector: who owns which time slice, whose turn it is, and what overrunning one costs.
//!
//! The paper's sections 5.1.1 and 5.2: a slice that has ended must be given back by its owner; each tick that passes
//! before it does counts as excess time, is paid for with one of the owner's later slices, and too many are the owner's
//! end.

use aegis_abi::exception::EXCESS_MAX;
use aegis_abi::slice::COUNT;

/// The index of an environment in the kernel's table.
pub type Owner = u8;

const OWNERS: usize = 256;

/// What a tick of the clock means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tick {
    /// The slice has ended: its owner is asked to give the processor back.
    End,
    /// Its owner has still not done so, and will pay with a later slice.
    Excess,
    /// Its owner has had its last warning.
    Overrun,
}

/// The vector, and where in it the machine is.
#[derive(Clone, Debug)]
pub struct Slices {
    owners: [Option<Owner>; COUNT],
    /// Later slices that each owner has already used up.
    excess: [u8; OWNERS],
    position: usize,
    /// Whether the owner of this slice has been asked to give it back.
    ending: bool,
}

impl Default for Slices {
    fn default() -> Self {
        Self::new()
    }
}

impl Slices {
    /// A vector that nobody owns anything of. The first slice to run is the one at position 0.
    #[must_use]
    pub const fn new() -> Self {
        Self { owners: [None; COUNT], excess: [0; OWNERS], position: COUNT - 1, ending: false }
    }

    /// Gives the slice at `position` to `owner`. False, and nothing done, if there is no such slice or it has an owner.
    #[must_use]
    pub fn allocate(&mut self, position: usize, owner: Owner) -> bool {
        match self.owners.get_mut(position) {
            Some(free @ None) => {
                *free = Some(owner);
                true
            }
            _ => false,
        }
    }

    /// Frees all that `owner` owns, and forgets what it owes.
    pub fn release(&mut self, owner: Owner) {
        for slice in &mut self.owners {
            if *slice == Some(owner) {
                *slice = None;
            }
        }
        self.excess[usize::from(owner)] = 0;
    }

    /// Who owns each slice.
    #[must_use]
    pub fn owners(&self) -> &[Option<Owner>; COUNT] {
        &self.owners
    }

    /// Slices that `owner` has yet to forfeit.
    #[must_use]
    pub fn excess(&self, owner: Owner) -> u32 {
        u32::from(self.excess[usize::from(owner)])
    }

    /// The clock has ticked while `running` had the processor.
    #[must_use]
    pub fn tick(&mut self, running: Owner) -> Tick {
        if !self.ending {
            self.ending = true;
            return Tick::End;
        }
        let excess = &mut self.excess[usize::from(running)];
        if u32::from(*excess) >= EXCESS_MAX {
            return Tick::Overrun;
        }
        *excess += 1;
        Tick::Excess
    }

    /// Goes on to the next slice that somebody owns and need not forfeit, and says who. `None` if nobody owns a slice.
    ///
    /// Bounded: an owner forfeits at most [`EXCESS_MAX`] slices in a row, so the vector is walked at most that often
    /// and once more.
    pub fn advance(&mut self) -> Option<Owner> {
        self.ending = false;
        for _ in 0..(EXCESS_MAX as usize + 1) * COUNT {
            self.position = (self.position + 1) % COUNT;
            let Some(owner) = self.owners[self.position] else { continue };
            match &mut self.excess[usize::from(owner)] {
                0 => return Some(owner),
                owed => *owed -= 1,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::vec::Vec;

    fn shared(owners: &[(usize, Owner)]) -> Slices {
        let mut slices = Slices::new();
        for &(position, owner) in owners {
            assert!(slices.allocate(position, owner));
        }
        slices
    }

    #[test]
    fn runs_in_order_of_position_and_passes_over_free_slices() {
        let mut slices = shared(&[(0, 1), (2, 2), (63, 3)]);
        let order: Vec<_> = (0..6).map(|_| slices.advance()).collect();
        assert_eq!(order, [1, 2, 3, 1, 2, 3].map(Some));
    }

    #[test]
    fn refuses_what_is_taken_or_not_there() {
        let mut slices = shared(&[(0, 1)]);
        assert!(!slices.allocate(0, 2));
        assert!(!slices.allocate(COUNT, 2));
        assert_eq!(slices.owners()[0], Some(1));
    }

    #[test]
    fn nobody_left() {
        let mut slices = shared(&[(5, 1)]);
        slices.release(1);
        assert_eq!(slices.advance(), None);
    }

    #[test]
    fn each_excess_tick_costs_a_slice() {
        let mut slices = shared(&[(0, 1), (1, 2)]);
        assert_eq!(slices.advance(), Some(1));
        assert_eq!(slices.tick(1), Tick::End);
        assert_eq!(slices.tick(1), Tick::Excess);
        assert_eq!(slices.tick(1), Tick::Excess);
        let order: Vec<_> = (0..6).map(|_| slices.advance().unwrap()).collect();
        assert_eq!(order, [2, 2, 2, 1, 2, 1]);
    }

    #[test]
    fn too_many_are_the_end() {
        let mut slices = shared(&[(0, 1)]);
        slices.advance();
        assert_eq!(slices.tick(1), Tick::End);
        for _ in 0..EXCESS_MAX {
            assert_eq!(slices.tick(1), Tick::Excess);
        }
        assert_eq!(slices.tick(1), Tick::Overrun);
    }

    #[test]
    fn an_owner_of_all_pays_at_once() {
        let mut slices = shared(&[(0, 1)]);
        slices.advance();
        for _ in 0..=EXCESS_MAX {
            let _ = slices.tick(1);
        }
        assert_eq!(slices.excess(1), EXCESS_MAX);
        assert_eq!(slices.advance(), Some(1));
        assert_eq!(slices.excess(1), 0);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Allocate(usize, Owner),
        Release(Owner),
        Tick,
        Advance,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..COUNT + 2, 0..6u8).prop_map(|(position, owner)| Step::Allocate(position, owner)),
            (0..6u8).prop_map(Step::Release),
            Just(Step::Tick),
            Just(Step::Advance),
        ]
    }

    proptest! {
        /// Against the plainest model: a list of positions walked one by one, with a debt for each owner.
        #[test]
        fn as_the_model(steps in prop::collection::vec(step(), 1..200)) {
            let mut slices = Slices::new();
            let mut owners = [None; COUNT];
            let mut debt = [0u32; OWNERS];
            let (mut at, mut running, mut asked) = (COUNT - 1, 0, false);
            for step in steps {
                match step {
                    Step::Allocate(position, owner) => {
                        let free = position < COUNT && owners[position].is_none();
                        prop_assert_eq!(slices.allocate(position, owner), free);
                        if free { owners[position] = Some(owner) }
                    }
                    Step::Release(owner) => {
                        slices.release(owner);
                        for slice in &mut owners { if *slice == Some(owner) { *slice = None } }
                        debt[usize::from(owner)] = 0;
                    }
                    Step::Tick => {
                        let expected = match (asked, debt[usize::from(running)]) {
                            (false, _) => Tick::End,
                            (true, EXCESS_MAX) => Tick::Overrun,
                            (true, _) => { debt[usize::from(running)] += 1; Tick::Excess }
                        };
                        asked = true;
                        prop_assert_eq!(slices.tick(running), expected);
                    }
                    Step::Advance => {
                        asked = false;
                        let expected = if owners.iter().all(Option::is_none) { None } else {
                            loop {
                                at = (at + 1) % COUNT;
                                match owners[at] {
                                    Some(owner) if debt[usize::from(owner)] == 0 => break Some(owner),
                                    Some(owner) => debt[usize::from(owner)] -= 1,
                                    None => {}
                                }
                            }
                        };
                        prop_assert_eq!(slices.advance(), expected);
                        running = expected.unwrap_or(0);
                    }
                }
                prop_assert_eq!(slices.owners(), &owners);
            }
        }
    }
}
