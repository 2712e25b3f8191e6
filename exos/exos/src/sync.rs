//! A mutex and a condition variable for threads of one environment ([`thread`]), without the kernel.
//!
//! Looking and waiting happen in one hold of the processor, so nothing comes between them. Who unlocks a mutex hands it
//! to who has waited longest. A mutex whose thread has ended is locked for ever, and says so to all that want it.
//!
//! The server activity of an environment ([`mod@exos_rt::transfer`]) runs between any two instructions of a thread and is
//! none itself: it uses neither.

use crate::thread::{self, Hold};
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use exos_rt::shared::Shared;

/// The thread that had the mutex has ended, perhaps in the middle of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Poisoned;

/// A value that one thread at a time has access to.
pub struct Mutex<T> {
    /// The number of the thread that has it, 0 for none.
    owner: Shared<u32>,
    /// How many wait for it.
    wanted: Shared<u32>,
    value: UnsafeCell<T>,
}

// SAFETY: one thread at a time gets a reference to the value, which may pass from thread to thread.
unsafe impl<T: Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// An unlocked one.
    pub const fn new(value: T) -> Self {
        Self { owner: Shared::new(0), wanted: Shared::new(0), value: UnsafeCell::new(value) }
    }

    /// Waits until no other thread has it; access until the guard is dropped.
    ///
    /// # Errors
    /// [`Poisoned`].
    ///
    /// # Panics
    /// If the thread has it already.
    pub fn lock(&self) -> Result<Guard<'_, T>, Poisoned> {
        let mut hold = Hold::take();
        let me = hold.id().number();
        match self.owner.get() {
            0 => self.owner.set(me),
            owner if !hold.lives(owner) => return Err(Poisoned),
            owner => {
                if owner == me {
                    drop(hold);
                    panic!("a thread locks what it has locked");
                }
                self.wanted.add(1);
                hold.wait(self.address(), true);
                // It was handed over, or its thread has ended.
                if self.owner.get() != me {
                    return Err(Poisoned);
                }
            }
        }
        Ok(Guard { mutex: self })
    }

    fn unlock(&self, hold: &mut Hold) {
        let next = match self.wanted.get() {
            0 => None,
            wanted => {
                self.wanted.set(wanted - 1);
                hold.wake_one(self.address())
            }
        };
        self.owner.set(next.map_or(0, thread::Id::number));
    }

    fn address(&self) -> usize {
        &raw const self.owner as usize
    }
}

/// Access to what is in a mutex.
pub struct Guard<'a, T> {
    mutex: &'a Mutex<T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this thread has the mutex.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.mutex.unlock(&mut Hold::take());
    }
}

/// Something that threads wait for, and tell each other of. What it is they look at under a mutex.
#[derive(Default)]
pub struct Condition(Shared<u32>);

impl Condition {
    /// Nobody waits.
    #[must_use]
    pub const fn new() -> Self {
        Self(Shared::new(0))
    }

    /// Unlocks the mutex and waits to be told, in one piece; then locks it again. Others may have been quicker, so what is
    /// waited for is to be looked at again.
    ///
    /// # Errors
    /// [`Poisoned`].
    pub fn wait<'a, T>(&self, guard: Guard<'a, T>) -> Result<Guard<'a, T>, Poisoned> {
        let mutex = guard.mutex;
        core::mem::forget(guard);
        let mut hold = Hold::take();
        mutex.unlock(&mut hold);
        hold.wait(self.address(), false);
        mutex.lock()
    }

    /// Tells the thread that has waited longest, if any waits.
    pub fn notify_one(&self) {
        Hold::take().wake_one(self.address());
    }

    /// Tells all that wait.
    pub fn notify_all(&self) {
        let mut hold = Hold::take();
        while hold.wake_one(self.address()).is_some() {}
    }

    fn address(&self) -> usize {
        &raw const self.0 as usize
    }
}
