//! Memory for sockets: a static that is cut up, as there is no heap.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use exos_rt::shared::Shared;

/// So many bytes.
pub struct Memory<const BYTES: usize> {
    bytes: UnsafeCell<MaybeUninit<[u8; BYTES]>>,
    claimed: Shared<u32>,
}

// SAFETY: one `claim` gets the bytes, and nobody else.
unsafe impl<const BYTES: usize> Sync for Memory<BYTES> {}

impl<const BYTES: usize> Memory<BYTES> {
    /// All of it is free.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: UnsafeCell::new(MaybeUninit::uninit()), claimed: Shared::new(0) }
    }

    /// All of it.
    ///
    /// # Panics
    /// The second time.
    pub fn claim(&'static self) -> Area {
        assert_eq!(self.claimed.swap(0, 1), 0, "the memory is taken");
        // SAFETY: nobody else has it, as was just asked; bytes that may be anything have that many bytes.
        Area(unsafe { core::slice::from_raw_parts_mut(self.bytes.get().cast(), BYTES) })
    }
}

impl<const BYTES: usize> Default for Memory<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

/// What is left of it.
#[derive(Debug)]
pub struct Area(&'static mut [MaybeUninit<u8>]);

impl Area {
    /// Takes room for so many values, and makes them; none if there is too little.
    pub fn take<T>(&mut self, count: usize, mut make: impl FnMut() -> T) -> Option<&'static mut [T]> {
        let skipped = self.0.as_ptr().align_offset(align_of::<T>());
        let bytes = size_of::<T>().checked_mul(count)?;
        if skipped.checked_add(bytes)? > self.0.len() {
            return None;
        }
        let (taken, rest) = core::mem::take(&mut self.0)[skipped..].split_at_mut(bytes);
        self.0 = rest;
        let first: *mut T = taken.as_mut_ptr().cast();
        for number in 0..count {
            // SAFETY: there is room for so many, aligned, and it is nobody else's.
            unsafe { first.add(number).write(make()) };
        }
        // SAFETY: they were just made, and whoever gets this is the only one who has them.
        Some(unsafe { core::slice::from_raw_parts_mut(first, count) })
    }
}
