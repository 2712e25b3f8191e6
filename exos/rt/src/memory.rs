//! Frames by choice: which are free is in the public table of frames, and the kernel gives what it is asked for by
//! number. "Any frame" is what this module makes of it.

use crate::sequences::window;
use crate::shared::Shared;
use crate::{call, environment, public};
use aegis_abi::frame::{FREE, FREEING, Frame, KERNEL, PUBLIC};
use aegis_abi::{EnvId, Error};

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
    let mut number =
        allocate_where(|number| number % 2 == 0 && number + 1 < public::frames() && seems_free(number + 1))?;
    while let Err(error) = call::frame_allocate(number + 1) {
        // SAFETY: nothing has been done with it.
        unsafe { call::frame_free(number)? };
        if error != Error::Busy {
            return Err(error);
        }
        number = allocate_where(|next| next % 2 == 0 && next > number && seems_free(next + 1))?;
    }
    Ok(number)
}

/// Makes a free frame this environment's that is `wanted`.
///
/// # Errors
/// As for [`allocate`].
pub fn allocate_where(wanted: impl Fn(u32) -> bool) -> Result<u32, Error> {
    /// Where the last search ended: the next one goes on there.
    static NEXT: Shared<u32> = Shared::new(0);
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
