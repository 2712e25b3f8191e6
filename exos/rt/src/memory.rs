//! Frames by choice: which are free is in the public table of frames, and the kernel gives what it is asked for by
//! number. "Any frame" is what this module makes of it.

use crate::sequences::window;
use crate::shared::Shared;
use crate::{call, environment, public};
use aegis_abi::frame::{FREE, FREEING, Frame, KERNEL, PUBLIC};
use aegis_abi::{EnvId, Error};
use core::ops::Range;

/// Where the last search ended: the next one goes on there. Pinned, because handlers of misses ask for frames.
#[unsafe(link_section = ".pinned")]
static NEXT: Shared<u32> = Shared::new(0);

/// The table's entry for a frame.
///
/// # Panics
/// If there is no such frame.
#[must_use]
pub fn frame(number: u32) -> Frame {
    assert!(number < public::frames(), "frame {number}");
    let entry = window(public::frame_table() + number * size_of::<Frame>() as u32) as *const Frame;
    // SAFETY: the table is public, has so many entries, and is mapped there when it is missed. Volatile, because the
    // kernel changes it.
    unsafe { entry.read_volatile() }
}

/// Whether a frame seems to be free. Whether the environments of all owners live the public tables can't tell for sure;
/// the kernel can.
#[must_use]
pub fn seems_free(number: u32) -> bool {
    match frame(number).owner {
        FREE => true,
        KERNEL | PUBLIC => false,
        owner => !environment::seems_alive(EnvId(owner & !FREEING)),
    }
}

/// Makes a frame this environment's: any that is free.
///
/// # Errors
/// [`Error::Full`] if none is.
pub fn allocate() -> Result<u32, Error> {
    allocate_where(|_| true)
}

/// As [`allocate`], of a colour: frames of different colours do not compete for lines of the caches.
///
/// # Errors
/// As for [`allocate`].
pub fn allocate_of_colour(colour: u32) -> Result<u32, Error> {
    let colours = public::colours();
    allocate_where(|number| number % colours == colour % colours)
}

/// Makes two frames that stand side by side this environment's; the number of the first, which is even.
///
/// # Errors
/// As for [`allocate`].
pub fn allocate_pair() -> Result<u32, Error> {
    allocate_run(2, 2)
}

/// Makes `count` frames that stand side by side this environment's; the number of the first, a multiple of `alignment`.
///
/// # Errors
/// [`Error::Full`] if there are none.
pub fn allocate_run(count: u32, alignment: u32) -> Result<u32, Error> {
    let (frames, start) = (public::frames(), NEXT.get().next_multiple_of(alignment));
    let mut first = start;
    let mut again = start != 0;
    loop {
        if first + count > frames {
            if !core::mem::take(&mut again) {
                return Err(Error::Full);
            }
            first = 0;
        }
        match take(first..first + count)? {
            None => {
                NEXT.set(first + count);
                return Ok(first);
            }
            Some(taken) => first = (taken + 1).next_multiple_of(alignment),
        }
    }
}

/// Makes frames this environment's: all of them, or none, and which one has an owner.
fn take(numbers: Range<u32>) -> Result<Option<u32>, Error> {
    if let Some(taken) = numbers.clone().rev().find(|&number| !seems_free(number)) {
        return Ok(Some(taken));
    }
    for number in numbers.clone() {
        if let Err(error) = call::frame_allocate(number) {
            for mine in numbers.start..number {
                // SAFETY: nothing has been done with it.
                unsafe { call::frame_free(mine)? };
            }
            return if error == Error::Busy { Ok(Some(number)) } else { Err(error) };
        }
    }
    Ok(None)
}

/// Makes a free frame this environment's that is `wanted`.
///
/// # Errors
/// As for [`allocate`].
pub fn allocate_where(wanted: impl Fn(u32) -> bool) -> Result<u32, Error> {
    let (frames, start) = (public::frames(), NEXT.get());
    for number in (start..frames).chain(0..start.min(frames)) {
        if wanted(number) && seems_free(number) {
            match call::frame_allocate(number) {
                Err(Error::Busy) => {}
                result => {
                    NEXT.set(number + 1);
                    return result.map(|()| number);
                }
            }
        }
    }
    Err(Error::Full)
}
