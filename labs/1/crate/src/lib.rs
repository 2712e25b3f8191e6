//! Pages that come and go: frames with a guaranteed mapping, which the calls `ENV_MAP` and `ENV_UNMAP` make and break.

#![no_std]
#![feature(asm_experimental_arch)]

use exos_rt::abi::Error;
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT, entry_lo};
use exos_rt::call::{self, NO_CAPABILITY};
use exos_rt::memory;

// The compiler has a fault, which `cargo exo` mends if there is room.
exos_rt::room_for_mends!();

/// Pages with frames of this environment's.
#[derive(Debug)]
pub struct Pages {
    address: u32,
    first: u32,
    count: u32,
}

impl Pages {
    /// As many pages from an address on, below the normal segment.
    ///
    /// # Errors
    /// Those of allocating frames and of [`call::env_map`].
    pub fn new(address: u32, count: u32) -> Result<Self, Error> {
        let first = memory::allocate_run(count, 1)?;
        let pages = Self { address, first, count };
        // SAFETY: the frames are new; who asks for the address has nothing there.
        let made = unsafe {
            call::env_map(call::self_id(), NO_CAPABILITY, address, first << PAGE_SHIFT | entry_lo::DIRTY, count)
        };
        if let Err(error) = made {
            pages.free();
            return Err(error);
        }
        Ok(pages)
    }

    /// The address of one of them.
    ///
    /// # Panics
    /// If there are not so many.
    #[must_use]
    pub fn page(&self, number: u32) -> *mut u32 {
        assert!(number < self.count);
        (self.address + number * PAGE_BYTES) as *mut u32
    }

    /// Breaks the mapping and frees the frames. Nobody may use the pages any more.
    ///
    /// # Errors
    /// That of [`call::env_unmap`]; then they are still there.
    pub fn remove(self) -> Result<(), Error> {
        // SAFETY: the caller's.
        unsafe { call::env_unmap(call::self_id(), NO_CAPABILITY, self.address)? };
        self.free();
        Ok(())
    }

    fn free(self) {
        for frame in self.first..self.first + self.count {
            // SAFETY: nothing is mapped to it. It is this environment's, so it does not fail.
            let _ = unsafe { call::frame_free(frame) };
        }
    }
}
