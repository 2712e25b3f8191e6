//! Programs that are no files of the boot archive: they are read into frames in a row, and go on as those of the archive do,
//! but that the frames are the new process's own.

use crate::process::table::kind;
use crate::process::{Fail, file};
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT, entry_lo};
use exos_rt::abi::{EnvId, Error};
use exos_rt::call::{self, NO_CAPABILITY};
use exos_rt::memory;

/// The most bytes of a program's file: what one guaranteed mapping shows.
pub const BYTES_MAX: u32 = 256 * PAGE_BYTES;

/// Where frames are seen while they are filled in.
const VIEW: u32 = 0x3060_0000;

/// Frames in a row, which are this process's, and free when they are not needed any more.
pub(crate) struct Frames {
    first: u32,
    count: u32,
}

impl Frames {
    /// So many that are full of zeros, at least one.
    pub(crate) fn allocate(count: u32) -> Result<Self, Error> {
        memory::allocate_run(count, 1).map(|first| Self { first, count })
    }

    /// The physical address of the first.
    pub(crate) const fn physical(&self) -> u32 {
        self.first << PAGE_SHIFT
    }

    /// Shows their bytes to a function.
    pub(crate) fn seen<R>(&mut self, with: impl FnOnce(&mut [u8]) -> R) -> Result<R, Error> {
        let (me, entry_lo) = (call::self_id(), self.physical() | entry_lo::DIRTY);
        // SAFETY: nothing else is there, or the call refuses.
        unsafe { call::env_map(me, NO_CAPABILITY, VIEW, entry_lo, self.count)? };
        // SAFETY: the frames are this process's, and nobody else sees them.
        let bytes = unsafe { core::slice::from_raw_parts_mut(VIEW as *mut u8, (self.count * PAGE_BYTES) as usize) };
        let result = with(bytes);
        // SAFETY: what is there is not used any more.
        unsafe { call::env_unmap(me, NO_CAPABILITY, VIEW)? };
        Ok(result)
    }

    /// Has what was written to a piece of them executed.
    pub(crate) fn make_executable(&self, offset: u32, bytes: u32) -> Result<(), Error> {
        (0..bytes)
            .step_by(PAGE_BYTES as usize)
            .try_for_each(|at| call::icache_flush(self.physical() + offset + at, (bytes - at).min(PAGE_BYTES)))
    }

    /// Makes those that are needed another environment's, and frees the others.
    pub(crate) fn give(mut self, env: EnvId, is_needed: impl Fn(u32) -> bool) -> Result<(), Error> {
        while let Some(last) = self.count.checked_sub(1) {
            let frame = self.first + last;
            // SAFETY: nothing is mapped to it.
            unsafe { if is_needed(last) { call::frame_give(frame, env)? } else { call::frame_free(frame)? } };
            self.count = last;
        }
        Ok(())
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        for frame in self.first..self.first + self.count {
            // SAFETY: nothing is mapped to it.
            let _ = unsafe { call::frame_free(frame) };
        }
    }
}

/// Reads in a file whose name has a scheme; its frames, and how many bytes it has.
///
/// # Errors
/// Those of [`file::open`]; [`Fail::TooLarge`], [`Fail::BadProgram`] if it has none.
pub(crate) fn read(name: &str, variables: &[&str]) -> Result<(Frames, usize), Fail> {
    let descriptor = file::open_with(name, variables)?;
    let result = read_from(descriptor);
    file::close(descriptor)?;
    result
}

fn read_from(descriptor: u32) -> Result<(Frames, usize), Fail> {
    let (open, _) = file::opened(descriptor)?;
    debug_assert_eq!(open.kind.get(), kind::SERVED_READ);
    let bytes = open.bytes.get();
    match bytes {
        0 => return Err(Fail::BadProgram),
        1..=BYTES_MAX => {}
        _ => return Err(Fail::TooLarge),
    }
    let mut frames = Frames::allocate(bytes.div_ceil(PAGE_BYTES))?;
    frames.seen(|to| {
        let mut rest = &mut to[..bytes as usize];
        while !rest.is_empty() {
            match file::read(descriptor, rest)? {
                0 => return Err(Fail::Failed),
                count => rest = &mut rest[count..],
            }
        }
        Ok(())
    })??;
    Ok((frames, bytes as usize))
}

/// Gives an environment a copy of this process's text, which is its own; the physical address.
#[cold]
#[inline(never)]
pub(crate) fn copy_text(env: EnvId, [text, _, pages]: [u32; 3]) -> Result<u32, Error> {
    let mut frames = Frames::allocate(pages)?;
    // SAFETY: both have so many pages, and the text does not change.
    frames.seen(|to| unsafe {
        memory::copy_words(to.as_mut_ptr().cast(), text as *const u32, to.len() / 4);
    })?;
    frames.make_executable(0, pages * PAGE_BYTES)?;
    let physical = frames.physical();
    frames.give(env, |_| true)?;
    Ok(physical)
}
