//! Memory that two flows of control share: a cell that is read and written as one.
//!
//! The machine has one processor, so a word that is read or written by one instruction is never seen half written; and
//! more than that no cell of this kind promises: what is read may be old by the time it is used.

use crate::sequences::exos_swap;
use core::cell::UnsafeCell;

/// A value that is read from and written to memory each time, by whatever environment or activity.
#[repr(transparent)]
#[derive(Default)]
pub struct Shared<T: Copy>(UnsafeCell<T>);

// SAFETY: accesses are volatile, and nobody gets a reference to what is inside.
unsafe impl<T: Copy> Sync for Shared<T> {}

impl<T: Copy> Shared<T> {
    /// A cell with a value.
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// The value.
    pub fn get(&self) -> T {
        // SAFETY: it is initialised, and valid for every bit pattern that `set` has left there.
        unsafe { self.0.get().read_volatile() }
    }

    /// Where it is.
    pub const fn as_ptr(&self) -> *mut T {
        self.0.get()
    }

    /// Sets the value.
    pub fn set(&self, value: T) {
        // SAFETY: nobody has a reference to it.
        unsafe { self.0.get().write_volatile(value) }
    }
}

impl Shared<u32> {
    /// Makes the value `new` if it is `expected`, in one piece whatever is interrupted; what it was. The page must be mapped
    /// for stores, and not by a handler that gives up the processor.
    pub fn swap(&self, expected: u32, new: u32) -> u32 {
        // SAFETY: it is a word, and nobody has a reference to it.
        unsafe { exos_swap(self.0.get(), expected, new) }
    }

    /// Makes the value what `change` makes of it, in one piece; what it was.
    pub fn update(&self, change: impl Fn(u32) -> u32) -> u32 {
        let mut old = self.get();
        loop {
            match self.swap(old, change(old)) {
                found if found == old => return old,
                found => old = found,
            }
        }
    }

    /// Adds to the value. Not in one piece: one flow of control does this, whoever else reads.
    pub fn add(&self, value: u32) {
        self.set(self.get().wrapping_add(value));
    }
}
