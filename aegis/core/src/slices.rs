//! The slice vector: who owns which time slice, whose turn it is, and what overrunning one costs.
//!
//! The paper's sections 5.1.1 and 5.2: a slice that has ended must be given back by whoever runs then; each tick that
//! passes before that counts as its excess time, is paid for with one of its later slices, and too many are its end. A
//! slice can be lent: its runner is then another than its owner, until the owner takes it back or the runner dies.

use aegis_abi::exception::EXCESS_MAX;
use aegis_abi::slice::{COUNT, Slice};
use aegis_abi::{EnvId, Error};

/// Whose a slice is that nobody owns.
const NOBODY: Slice = Slice { owner: 0, runner: 0 };

/// What a tick of the clock means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tick {
    /// The slice has ended: who runs is asked to give the processor back.
    End,
    /// It is still not given back, for which who was asked will pay with a later slice.
    Excess,
    /// This one, which was asked, has had its last warning.
    Overrun(EnvId),
}

/// Who gets the next slice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// This environment.
    Run(EnvId),
    /// No runner of a slice is ready.
    Idle,
    /// No slice has an owner.
    Nobody,
}

/// The vector, and where in it the machine is.
pub struct Slices<'a> {
    vector: &'a mut [Slice; COUNT],
    /// Positions that have an owner, a bit each: most have none, and are passed over together.
    owned: [u32; COUNT / 32],
    /// Later slices that the environment at each index has already used up.
    excess: [u8; EnvId::COUNT],
    /// By index: slices that it has yet to pay for what its handlers took from others.
    charged: [u8; EnvId::COUNT],
    position: usize,
    /// Who owned the running slice when it began: only then is it lent by who runs in it. 0 if none is running, or
    /// once it has ended.
    lender: u32,
    /// Who has been asked to give the processor back.
    asked: Option<EnvId>,
    total_excess: u32,
    forfeited: u32,
}

/// The most slices that an environment may owe for its handlers; they do not run before it has paid one.
const CHARGED_MAX: u8 = 4;

impl<'a> Slices<'a> {
    /// A vector that nobody owns anything of. The first slice to run is the one at position 0.
    #[must_use]
    pub fn new(vector: &'a mut [Slice; COUNT]) -> Self {
        *vector = [NOBODY; COUNT];
        Self {
            vector,
            owned: [0; COUNT / 32],
            excess: [0; EnvId::COUNT],
            charged: [0; EnvId::COUNT],
            position: COUNT - 1,
            lender: 0,
            asked: None,
            total_excess: 0,
            forfeited: 0,
        }
    }

    /// Makes the slice at `position` `owner`'s.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if there is no such position, [`Error::Busy`] if it has an owner.
    pub fn allocate(&mut self, position: u32, owner: EnvId) -> Result<(), Error> {
        let slice = self.vector.get_mut(position as usize).ok_or(Error::BadArgument)?;
        if *slice != NOBODY {
            return Err(Error::Busy);
        }
        *slice = Slice { owner: owner.0, runner: owner.0 };
        self.owned[position as usize / 32] |= 1 << (position % 32);
        Ok(())
    }

    /// Frees a slice of `caller`'s, lent or not.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if there is no such position, [`Error::Denied`] if `caller` does not own it.
    pub fn free(&mut self, position: u32, caller: EnvId) -> Result<(), Error> {
        *self.owned_by(position, caller)? = NOBODY;
        self.owned[position as usize / 32] &= !(1 << (position % 32));
        Ok(())
    }

    /// Makes `to`, which lives, the owner and the runner of a slice of `caller`'s.
    ///
    /// # Errors
    /// As for [`Slices::free`].
    pub fn give(&mut self, position: u32, caller: EnvId, to: EnvId) -> Result<(), Error> {
        *self.owned_by(position, caller)? = Slice { owner: to.0, runner: to.0 };
        Ok(())
    }

    /// Takes a slice of `caller`'s back from whom it is lent to, from its next instance on.
    ///
    /// # Errors
    /// As for [`Slices::free`].
    pub fn reclaim(&mut self, position: u32, caller: EnvId) -> Result<(), Error> {
        self.owned_by(position, caller)?.runner = caller.0;
        Ok(())
    }

    /// An environment has died: its slices are free, what was lent to it goes back to the owner, what it owes is
    /// forgotten, and what it was asked for another will be.
    pub fn release(&mut self, dead: EnvId) {
        let mut position = 0;
        while let Some(next) = self.next_owned(position) {
            let slice = &mut self.vector[next];
            if slice.owner == dead.0 {
                *slice = NOBODY;
                self.owned[next / 32] &= !(1 << (next % 32));
            } else if slice.runner == dead.0 {
                slice.runner = slice.owner;
            }
            position = next + 1;
        }
        self.excess[usize::from(dead.index())] = 0;
        self.charged[usize::from(dead.index())] = 0;
        self.asked = self.asked.filter(|&asked| asked != dead);
    }

    /// The clock has ticked while `running`, which lives, had the processor.
    ///
    /// The first tick of a slice lends it, and all its later instances, to `running` (the paper's synchronous control
    /// transfer), unless `lent_rest`: then only what was left of it had been lent. A slice that has another owner by
    /// now than when it began is not lent, for those who ran in it did so in the former owner's name.
    ///
    /// Excess time is charged to who was asked to give the slice back. If that one has let another run instead, which
    /// does not know that the slice has ended, it pays for this tick, and the other is asked now; likewise if it has
    /// died.
    #[must_use]
    pub fn tick(&mut self, running: EnvId, lent_rest: bool) -> Tick {
        let Some(asked) = self.asked else {
            self.asked = Some(running);
            let lender = core::mem::take(&mut self.lender);
            let slice = &mut self.vector[self.position];
            if !lent_rest && slice.owner != 0 && slice.owner == lender {
                slice.runner = running.0;
            }
            return Tick::End;
        };
        let excess = &mut self.excess[usize::from(asked.index())];
        if u32::from(*excess) >= EXCESS_MAX {
            return Tick::Overrun(asked);
        }
        *excess += 1;
        self.total_excess = self.total_excess.wrapping_add(1);
        if asked == running {
            return Tick::Excess;
        }
        self.asked = Some(running);
        Tick::End
    }

    /// Whether an environment may be charged a slice more for its handlers.
    #[must_use]
    pub fn may_charge(&self, id: EnvId) -> bool {
        self.charged[usize::from(id.index())] < CHARGED_MAX
    }

    /// Charges an environment, which may be charged, a slice: the next that comes to it, whether it would use that or not.
    pub fn charge(&mut self, id: EnvId) {
        self.charged[usize::from(id.index())] += 1;
    }

    /// Goes on to the next slice that somebody who is `ready` and owes nothing can use: its runner, or, if that is not ready,
    /// its owner, who would otherwise depend on a runner who waits. Who is ready and owes excess time pays with the slice; who is
    /// not ready would not have used it and so does not pay.
    ///
    /// If a whole walk finds only debtors, nobody could use what they forfeit. So as many more rounds as it takes pass
    /// at once: each pays, with each of its slices, what is left of the least debt, and the first that owed that runs.
    ///
    /// Bounded: asks twice at each position.
    pub fn advance(&mut self, mut ready: impl FnMut(EnvId) -> bool) -> Next {
        self.asked = None;
        self.lender = 0;
        let mut owned = false;
        let mut debtors = heapless::Vec::<(usize, EnvId), COUNT>::new();
        // From the next position to the last, and then from the first on.
        let next = self.position + 1;
        let (mut position, mut end, mut last) = (next, COUNT, false);
        loop {
            let Some(found) = self.next_owned(position).filter(|&found| found < end) else {
                if last {
                    break;
                }
                (position, end, last) = (0, next, true);
                continue;
            };
            owned = true;
            let Slice { owner, runner } = self.vector[found];
            let mut user = EnvId(runner);
            let mut usable = ready(user);
            if !usable {
                let charged = &mut self.charged[usize::from(user.index())];
                *charged = charged.saturating_sub(1);
                if owner != runner {
                    user = EnvId(owner);
                    usable = ready(user);
                }
            }
            if usable {
                if self.owed(user) == 0 {
                    return self.run(found, user);
                }
                self.forfeit(user, 1);
                let _ = debtors.push((found, user));
            }
            position = found + 1;
        }
        let Some(&(position, user)) = debtors.iter().min_by_key(|(_, user)| self.owed(*user)) else {
            return if owned { Next::Idle } else { Next::Nobody };
        };
        let least = self.owed(user);
        for &(_, debtor) in &debtors {
            self.forfeit(debtor, least);
        }
        self.run(position, user)
    }

    /// The position that is running, or was the last to.
    #[must_use]
    pub fn position(&self) -> u32 {
        self.position as u32
    }

    /// The vector.
    #[must_use]
    pub fn vector(&self) -> &[Slice; COUNT] {
        self.vector
    }

    /// How many slices an environment owns.
    #[must_use]
    pub fn owned(&self, id: EnvId) -> u32 {
        self.vector.iter().filter(|slice| slice.owner == id.0).count() as u32
    }

    /// Slices that the environment at an index has yet to forfeit.
    #[must_use]
    pub fn excess(&self, index: u8) -> u32 {
        u32::from(self.excess[usize::from(index)])
    }

    /// Ticks since the start that found an environment past the end of its slice.
    #[must_use]
    pub fn total_excess(&self) -> u32 {
        self.total_excess
    }

    /// Slices since the start that were forfeited for it.
    #[must_use]
    pub fn forfeited(&self) -> u32 {
        self.forfeited
    }

    /// Who has been asked to give the processor back, until it is.
    #[must_use]
    pub fn asked(&self) -> Option<EnvId> {
        self.asked
    }

    /// The slice at a position begins, and `user` runs in it.
    fn run(&mut self, position: usize, user: EnvId) -> Next {
        self.position = position;
        self.lender = self.vector[position].owner;
        Next::Run(user)
    }

    /// The first position from `position` on that has an owner.
    #[inline]
    fn next_owned(&self, position: usize) -> Option<usize> {
        let (mut word, bit) = (position / 32, position % 32);
        let mut owned = self.owned.get(word)? >> bit;
        // The next one as a rule; finding a bit takes longer than that.
        if owned & 1 != 0 {
            return Some(position);
        }
        owned <<= bit;
        while owned == 0 {
            word += 1;
            owned = *self.owned.get(word)?;
        }
        Some(32 * word + lowest(owned) as usize)
    }

    /// Whether what is known of the owners' positions is what the vector says.
    pub(crate) fn consistent(&self) -> bool {
        let owned = |position: usize| self.owned[position / 32] >> (position % 32) & 1 != 0;
        self.vector.iter().enumerate().all(|(position, slice)| owned(position) == (slice.owner != 0))
    }

    /// What an environment owes.
    fn owed(&self, id: EnvId) -> u8 {
        let index = usize::from(id.index());
        self.excess[index] + self.charged[index]
    }

    /// An environment pays with `slices` slices, or with all that it owes.
    fn forfeit(&mut self, id: EnvId, slices: u8) {
        let index = usize::from(id.index());
        let (charged, excess) = (&mut self.charged[index], &mut self.excess[index]);
        let handled = slices.min(*charged);
        *charged -= handled;
        let late = (slices - handled).min(*excess);
        *excess -= late;
        self.forfeited = self.forfeited.wrapping_add(u32::from(handled + late));
    }

    /// The slice at `position`, which is `caller`'s.
    pub(crate) fn owned_by(&mut self, position: u32, caller: EnvId) -> Result<&mut Slice, Error> {
        let slice = self.vector.get_mut(position as usize).ok_or(Error::BadArgument)?;
        if slice.owner == caller.0 { Ok(slice) } else { Err(Error::Denied) }
    }
}

/// The number of the lowest bit that is set, of which there is one. Not inlined: without an instruction for it, it is long.
#[inline(never)]
const fn lowest(word: u32) -> u32 {
    word.trailing_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec::Vec;

    const A: EnvId = EnvId::new(1, 1);
    const B: EnvId = EnvId::new(2, 1);
    const C: EnvId = EnvId::new(3, 5);
    const LAST: u32 = COUNT as u32 - 1;

    fn shared<'a>(vector: &'a mut [Slice; COUNT], owners: &[(u32, EnvId)]) -> Slices<'a> {
        let mut slices = Slices::new(vector);
        for &(position, owner) in owners {
            slices.allocate(position, owner).unwrap();
        }
        slices
    }

    fn advance(slices: &mut Slices) -> Next {
        slices.advance(|_| true)
    }

    fn order(slices: &mut Slices, turns: usize) -> Vec<EnvId> {
        let turn = |_| match advance(slices) {
            Next::Run(id) => id,
            other => panic!("{other:?}"),
        };
        (0..turns).map(turn).collect()
    }

    #[test]
    fn runs_in_order_of_position_and_passes_over_free_slices() {
        let mut vector = [NOBODY; COUNT];
        let mut slices = shared(&mut vector, &[(0, A), (2, B), (LAST, C)]);
        assert_eq!(order(&mut slices, 6), [A, B, C, A, B, C]);
        assert_eq!(slices.position(), LAST);
    }

    #[test]
    fn passes_over_runners_that_are_not_ready() {
        let mut vector = [NOBODY; COUNT];
        let mut slices = shared(&mut vector, &[(0, A), (2, B), (3, C)]);
        assert_eq!(slices.advance(|id| id == C), Next::Run(C));
        assert_eq!(slices.advance(|id| id == C), Next::Run(C));
        assert_eq!(slices.advance(|_| false), Next::Idle);
        assert_eq!(slices.position(), 3);
        assert_eq!(slices.advance(|id| id != C), Next::Run(A));
    }

    #[test]
    fn nobody_owns_one() {
        let mut vector = [NOBODY; COUNT];
        let mut slices = shared(&mut vector, &[(5, A), (6, A)]);
        assert_eq!(slices.owned(A), 2);
        slices.free(5, A).unwrap();
        slices.release(A);
        assert_eq!(slices.owned(A), 0);
        assert_eq!(advance(&mut slices), Next::Nobody);
    }

    #[test]
    fn refuses_what_is_not_there_or_anothers() {
        let mut vector = [NOBODY; COUNT];
        let mut slices = shared(&mut vector, &[(0, A), (1, B)]);
        let before = *slices.vector();
        for position in [LAST + 1, u32::MAX] {
            assert_eq!(slices.allocate(position, A), Err(Error::BadArgument));
            assert_eq!(slices.free(position, A), Err(Error::BadArgument));
            assert_eq!(slices.give(position, A, B), Err(Error::BadArgument));
            assert_eq!(slices.reclaim(position, A), Err(Error::BadArgument));
        }
        for position in [0, 1] {
            assert_eq!(slices.allocate(position, A), Err(Error::Busy));
        }
        for position in [1, 2] {
            assert_eq!(slices.free(position, A), Err(Error::Denied));
            assert_eq!(slices.give(position, A, C), Err(Error::Denied));
            assert_eq!(slices.reclaim(position, A), Err(Error::Denied));
        }
        assert_eq!(*slices.vector(), before);
    }

    #[test]
    fn who_runs_at_the_tick_has_the_slice_from_then_on() {
        let mut vector = [NOBODY; COUNT];
        let mut slices = shared(&mut vector, &[(0, A), (1, B)]);
        assert_eq!(order(&mut slices, 1), [A]);
        assert_eq!(slices.tick(C, false), Tick::End);
        assert_eq!(slices.vector()[0], Slice { owner: A.0, runner: C.0 });
        assert_eq!(order(&mut slices, 4), [B, C, B, C]);
        // The borrower is no owner.
        assert_eq!(slices.free(0, C), Err(Error::Denied));
        assert_eq!(slices.give(0, C, B), Err(Error::Denied));
        // It answers: the owner runs at the tick.
        assert_eq!(slices.tick(A, false), Tick::End);
        assert_eq!(order(&mut slices, 2), [B, A]);
    }

    #[test]
    fn the_rest_of_a_slice_is_lent_once() {
        let mut vector = [NOBODY; COUNT];
        let mut slices = shared(&mut vector, &[(0, A), (1, B)]);
        assert_eq!(order(&mut slices, 1), [A]);
        assert_eq!(slices.tick(C, true), Tick::End);
        assert_eq!(order(&mut slices, 2), [B, A]);
        // Nor does a later tick of the same slice lend it.
        assert_eq!([slices.tick(A, false), slices.tick(B, false)], [Tick::End; 2]);
        assert_eq!(slices.vector()[0], Slice { owner: A.0, runner: A.0 });
    }

    #[test]
    fn a_lender_takes_back_what_it_lent() {
        let mut vector = [NOBODY; COUNT];
        let mut slices = shared(&mut vector, &[(0, A), (1, A)]);
        assert_eq!(order(&mut slices, 1), [A]);
        assert_eq!(slices.tick(B, false), Tick::End);
        assert_eq!(slices.reclaim(0, B), Err(Error::Denied));
        assert_eq!(slices.reclaim(0, A), Ok(()));
        assert_eq!(order(&mut slices, 2), [A, A]);
    }

    #[test]
    fn what_is_lent_goes_with_its_owner_and_survives_its_runner() {
        fn lent(vector: &mut [Slice; COUNT]) -> Slices<'_> {
            let mut slices = shared(vector, &[(0, A), (1, B)]);
            assert_eq!(order(&mut slices, 1), [A]);
            assert_eq!(slices.tick(C, false), Tick::End);
            slices
        }
        let mut vector = [NOBODY; COUNT];
        let mut slices = lent(&mut vector);
        slices.release(C);
        assert_eq!(order(&mut slices, 2), [B, A]);
        let mut slices = lent(&mut vector);
        slices.release(A);
        assert_eq!(order(&mut slices, 2), [B, B]);
        let mut slices = lent(&mut vector);
        slices.free(0, A).unwrap();
        assert_eq!(order(&mut slices, 2), [B, B]);
        let mut slices = lent(&mut vector);
        slices.give(0, A, B).unwrap();
        assert_eq!(order(&mut slices, 2), [B, B]);
    }

    /// Those that run in it do so in the name of the former owner.
    #[test]
    fn a_running_slice_that_gets_another_owner_is_not_lent() {
        let mut vector = [NOBODY; COUNT];
        let mut slices = shared(&mut vector, &[(0, A)]);
        assert_eq!(order(&mut slices, 1), [A]);
        slices.give(0, A, B).unwrap();
        assert_eq!(slices.tick(A, false), Tick::End);
        assert_eq!(order(&mut slices, 1), [B]);
        slices.free(0, B).unwrap();
        assert_eq!(slices.tick(B, false), Tick::End);
        assert_eq!(slices.vector()[0], NOBODY);
        slices.allocate(0, C).unwrap();
        assert_eq!(order(&mut slices, 1), [C]);
        slices.release(C);
        slices.allocate(0, A).unwrap();
        assert_eq!(slices.tick(B, false), Tick::End);
        assert_eq!(order(&mut slices, 1), [A]);
        // Nor is one lent while nobody runs.
        assert_eq!(slices.advance(|_| false), Next::Idle);
        assert_eq!(slices.tick(B, false), Tick::End);
        assert_eq!(order(&mut slices, 1), [A]);
    }

    #[test]
    fn each_excess_tick_costs_a_slice() {
        let mut vector = [NOBODY; COUNT];
        let mut slices = shared(&mut vector, &[(0, A), (1, B)]);
        assert_eq!(order(&mut slices, 1), [A]);
        assert_eq!([slices.tick(A, false), slices.tick(A, false)], [Tick::End, Tick::Excess]);
        assert_eq!(slices.tick(A, false), Tick::Excess);
        assert_eq!(order(&mut slices, 6), [B, B, B, A, B, A]);
        assert_eq!((slices.total_excess(), slices.forfeited()), (2, 2));
    }

    #[test]
    fn excess_is_paid_with_what_the_debtor_runs_in() {
        let mut vector = [NOBODY; COUNT];
        let mut slices = shared(&mut vector, &[(0, A), (1, B)]);
        assert_eq!(order(&mut slices, 1), [A]);
        assert_eq!([slices.tick(C, false), slices.tick(C, false)], [Tick::End, Tick::Excess]);
        assert_eq!([A, B, C].map(|id| slices.excess(id.index())), [0, 0, 1]);
        // C owns nothing, so it pays with the slice that it was lent.
        assert_eq!(order(&mut slices, 4), [B, B, C, B]);
    }

    #[test]
    fn who_waits_does_not_pay() {
        let mut vector = [NOBODY; COUNT];
        let mut slices = shared(&mut vector, &[(0, A), (1, B)]);
        assert_eq!(order(&mut slices, 1), [A]);
        assert_eq!([slices.tick(A, false), slices.tick(A, false)], [Tick::End, Tick::Excess]);
        assert_eq!(slices.advance(|id| id == B), Next::Run(B));
        assert_eq!(slices.advance(|id| id == B), Next::Run(B));
        assert_eq!(slices.advance(|_| false), Next::Idle);
        assert_eq!(slices.excess(A.index()), 1);
        assert_eq!(order(&mut slices, 2), [B, A]);
    }

    #[test]
    fn too_many_are_the_end_and_the_next_life_owes_nothing() {
        let mut vector = [NOBODY; COUNT];
        let mut slices = shared(&mut vector, &[(0, A)]);
        assert_eq!(order(&mut slices, 1), [A]);
        assert_eq!(slices.tick(A, false), Tick::End);
        for _ in 0..EXCESS_MAX {
            assert_eq!(slices.tick(A, false), Tick::Excess);
        }
        assert_eq!(slices.tick(A, false), Tick::Overrun(A));
        assert_eq!(slices.excess(A.index()), EXCESS_MAX);
        slices.release(A);
        assert_eq!(slices.excess(A.index()), 0);
    }

    /// A is asked, and lets B run instead of giving the slice back.
    #[test]
    fn who_was_asked_pays_for_letting_another_run_which_is_asked_then() {
        let mut vector = [NOBODY; COUNT];
        let mut slices = shared(&mut vector, &[(0, A), (1, C)]);
        assert_eq!(order(&mut slices, 1), [A]);
        assert_eq!([slices.tick(A, false), slices.tick(B, false)], [Tick::End; 2]);
        assert_eq!([A, B].map(|id| slices.excess(id.index())), [1, 0]);
        assert_eq!(slices.tick(B, false), Tick::Excess);
        assert_eq!([A, B].map(|id| slices.excess(id.index())), [1, 1]);
        // However they take turns, one of them has its last warning.
        let mut turns = [A, B].into_iter().cycle().map(|id| slices.tick(id, false));
        assert_eq!(turns.find(|&tick| tick != Tick::End), Some(Tick::Overrun(B)));
        assert_eq!([A, B].map(|id| slices.excess(id.index())), [EXCESS_MAX, EXCESS_MAX]);
        // The end of who was asked leaves the other running, which is asked now, and has been lent nothing.
        slices.release(B);
        slices.release(A);
        slices.allocate(0, C).unwrap();
        assert_eq!([slices.tick(B, false), slices.tick(B, false)], [Tick::End, Tick::Excess]);
        assert_eq!(slices.vector()[0], Slice { owner: C.0, runner: C.0 });
        // The end of somebody else changes nothing.
        slices.release(C);
        assert_eq!(slices.tick(B, false), Tick::Excess);
        assert_eq!(slices.excess(B.index()), 2);
    }

    /// Once a slice has ended it is lent no more, even if who was asked dies.
    #[test]
    fn a_slice_whose_borrower_dies_past_its_end_goes_back_to_its_owner() {
        let mut vector = [NOBODY; COUNT];
        let mut slices = shared(&mut vector, &[(0, A)]);
        assert_eq!(order(&mut slices, 1), [A]);
        assert_eq!(slices.tick(C, false), Tick::End);
        slices.release(C);
        assert_eq!(slices.tick(B, false), Tick::End);
        assert_eq!(slices.vector()[0], Slice { owner: A.0, runner: A.0 });
    }

    #[test]
    fn those_that_owe_all_pay_at_once() {
        let mut vector = [NOBODY; COUNT];
        let mut slices = shared(&mut vector, &[(0, A), (1, B)]);
        for id in [A, B] {
            slices.advance(|ready| ready == id);
            for _ in 0..=EXCESS_MAX {
                let _ = slices.tick(id, false);
            }
        }
        assert_eq!(order(&mut slices, 1), [A]);
        assert_eq!((slices.excess(A.index()), slices.excess(B.index())), (0, 0));
        assert_eq!(slices.forfeited(), 2 * EXCESS_MAX);
    }

    /// `id`, which owes nothing, gets its slice and keeps it for as many ticks past its end.
    fn overrun(slices: &mut Slices, id: EnvId, ticks: u32) {
        assert_eq!(slices.advance(|ready| ready == id), Next::Run(id));
        assert_eq!(slices.tick(id, false), Tick::End);
        for _ in 0..ticks {
            assert_eq!(slices.tick(id, false), Tick::Excess);
        }
    }

    #[test]
    fn of_those_that_owe_the_first_that_owes_least_runs_first() {
        let mut vector = [NOBODY; COUNT];
        let mut slices = shared(&mut vector, &[(0, A), (1, B), (2, C)]);
        for (id, ticks) in [(B, 5), (A, 2), (C, 2)] {
            overrun(&mut slices, id, ticks);
        }
        assert_eq!(order(&mut slices, 1), [A]);
        assert_eq!([A, B, C].map(|id| slices.excess(id.index())), [0, 3, 0]);
        assert_eq!(slices.position(), 0);
        // What B owes beyond that it pays while others can use it.
        assert_eq!(order(&mut slices, 7), [C, A, C, A, C, A, B]);
        assert_eq!((slices.total_excess(), slices.forfeited()), (9, 9));
    }

    #[test]
    fn who_owes_pays_with_each_of_its_slices() {
        let mut vector = [NOBODY; COUNT];
        let mut slices = shared(&mut vector, &[(0, A), (1, B), (2, B)]);
        overrun(&mut slices, A, 8);
        overrun(&mut slices, B, 8);
        // A pays 1 and B 2, which leaves the least debt, 6, and then that.
        assert_eq!(order(&mut slices, 1), [B]);
        assert_eq!([A, B].map(|id| slices.excess(id.index())), [1, 0]);
        assert_eq!((slices.position(), slices.forfeited()), (2, 15));
    }

    #[test]
    fn a_change_of_slices_asks_once_at_each_position() {
        let mut vector = [NOBODY; COUNT];
        let ids: Vec<_> = (0..COUNT as u8).map(|n| EnvId::new(n, 1)).collect();
        let mut slices = shared(&mut vector, &(0..).zip(ids.iter().copied()).collect::<Vec<_>>());
        ids.iter().for_each(|&id| overrun(&mut slices, id, EXCESS_MAX));
        let mut asked = Vec::new();
        let next = slices.advance(|id| {
            asked.push(id);
            true
        });
        assert_eq!((next, asked), (Next::Run(ids[0]), ids.clone()));
        assert!(ids.iter().all(|id| slices.excess(id.index()) == 0));
    }
}
