//! Hardware context ids: the names of address spaces in the TLB, of which the R3000 has 64.
//!
//! They are given out one after the other and taken back all at once when none is left (the paper's section 3.3:
//! *invisible revocation*, since an id has no state that a program would have to save). An id is not used again before
//! that, so what the TLBs still hold under the id of a dead environment is never used.

/// The name of an address space in the TLB.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
#[repr(transparent)]
pub struct ContextId(pub u8);

impl ContextId {
    /// The kernel's, which stands for *none* where an environment's is asked for.
    pub const NONE: Self = Self(0);
    /// The first that environments get.
    pub const FIRST: Self = Self(1);
    /// The last.
    pub const LAST: Self = Self(63);
}

/// Which ids have been given out, and to whom.
#[derive(Clone, Debug)]
pub struct Contexts {
    next: u8,
    /// By id: the index of the environment that got it.
    holders: [u8; ContextId::LAST.0 as usize + 1],
}

impl Default for Contexts {
    fn default() -> Self {
        Self::new()
    }
}

impl Contexts {
    /// None is given out.
    #[must_use]
    pub const fn new() -> Self {
        Self { next: ContextId::FIRST.0, holders: [0; ContextId::LAST.0 as usize + 1] }
    }

    /// An id that nobody has, if there is one left, for the environment at `index`.
    pub fn give(&mut self, index: u8) -> Option<ContextId> {
        let id = ContextId(self.next);
        if id > ContextId::LAST {
            return None;
        }
        self.holders[usize::from(self.next)] = index;
        self.next += 1;
        Some(id)
    }

    /// Whether `id` has been given out.
    #[must_use]
    pub const fn given(&self, id: ContextId) -> bool {
        id.0 >= ContextId::FIRST.0 && id.0 < self.next
    }

    /// The indices of the environments that have been given one, each of which may come several times.
    #[must_use]
    pub fn holders(&self) -> &[u8] {
        self.holders.get(usize::from(ContextId::FIRST.0)..usize::from(self.next)).unwrap_or_default()
    }

    /// All are taken back.
    pub fn restart(&mut self) {
        self.next = ContextId::FIRST.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_given_once_until_all_are_taken_back() {
        let mut contexts = Contexts::new();
        for _ in 0..2 {
            for n in 1..=63 {
                assert!(!contexts.given(ContextId(n)));
                assert_eq!(contexts.give(100 + n), Some(ContextId(n)));
                assert!(contexts.given(ContextId(n)));
            }
            assert_eq!(contexts.give(0), None);
            assert!(!contexts.given(ContextId::NONE) && !contexts.given(ContextId(64)));
            assert!(contexts.holders().iter().copied().eq(101..=163));
            contexts.restart();
            assert!(contexts.holders().is_empty());
        }
    }
}
