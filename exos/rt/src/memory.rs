//! Frames by choice: which are free is in the public table of frames, and the kernel gives what it is asked for by
//! number. "Any frame" is what this module makes of it.

use crate::sequences::window;
use crate::shared::Shared;
use crate::{call, environment, public};
use aegis_abi::frame::{FREE, FREEING, Frame, KERNEL, PUBLIC};
use aegis_abi::vm::{HOT_PAGES, PAGE_SHIFT};
use aegis_abi::{EnvId, Error};
use core::ops::Range;

/// Where the last search ended: the next one goes on there. Pinned, because handlers of misses ask for frames.
#[unsafe(link_section = ".pinned")]
static NEXT: Shared<u32> = Shared::new(0);

/// Where the next search begins.
#[must_use]
pub fn next() -> u32 {
    NEXT.get()
}

/// Has the next search begin at a frame: one that is made by another need not walk over what that one has found taken.
pub fn search_from(number: u32) {
    NEXT.set(number);
}

/// Copies words, upwards. Unrolled: 20 instructions for 8 words. A copy in the language is a call for each few words.
///
/// # Safety
/// `count` words can be read and written there; the two do not overlap, or `to` is the lower.
pub unsafe fn copy_words(to: *mut u32, from: *const u32, count: usize) {
    let many = count & !7;
    // SAFETY: the caller's.
    unsafe {
        if many != 0 {
            core::arch::asm!(
                ".set noreorder",
                ".set noat",
                "2:",
                ".irp n, 8,9,10,11,12,13,14,15",
                "lw    $\\n, 4*\\n - 32({from})",
                ".endr",
                "addiu {from}, {from}, 32",
                ".irp n, 8,9,10,11,12,13,14,15",
                "sw    $\\n, 4*\\n - 32({to})",
                ".endr",
                "bne   {from}, {end}, 2b",
                " addiu {to}, {to}, 32",
                from = inout(reg) from => _,
                to = inout(reg) to => _,
                end = in(reg) from.add(many),
                out("$8") _, out("$9") _, out("$10") _, out("$11") _,
                out("$12") _, out("$13") _, out("$14") _, out("$15") _,
                options(nostack, preserves_flags)
            );
        }
        for place in many..count {
            to.add(place).write_volatile(from.add(place).read_volatile());
        }
    }
}

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

/// Makes two frames that stand side by side this environment's, to become record and save page of another; the number of
/// the first, which is even. If there are such, their colours are not those of its own two: whoever hands the processor
/// back and forth touches both records, at the same offsets.
///
/// # Errors
/// As for [`allocate`].
pub fn allocate_pair() -> Result<u32, Error> {
    let (mine, last) = (environment::directory(call::self_id().index()).record >> PAGE_SHIFT, public::colours() - 1);
    allocate_run_where(2, 2, |first| last <= 1 || (first ^ mine) & last > 1).or_else(|_| allocate_run(2, 2))
}

/// Makes two frames that stand side by side this environment's, for a handler; the number of the first. If there are such, the first does
/// not compete for lines of the instruction cache with what the kernel executes before and behind, nor the second for lines of the
/// data cache with these, which are looked at beside it.
///
/// # Errors
/// As for [`allocate`].
pub fn allocate_for_handler(beside: [u32; 2]) -> Result<u32, Error> {
    let colours = public::colours();
    let apart = |first| {
        let code = first % colours >= HOT_PAGES;
        code && beside.iter().all(|frame| frame % colours != (first + 1) % colours)
    };
    let wanted = |first| colours <= HOT_PAGES || apart(first);
    allocate_run_where(2, 2, wanted).or_else(|_| allocate_run(2, 2))
}

/// Makes `count` frames that stand side by side this environment's; the number of the first, a multiple of `alignment`.
///
/// # Errors
/// [`Error::Full`] if there are none.
pub fn allocate_run(count: u32, alignment: u32) -> Result<u32, Error> {
    allocate_run_where(count, alignment, |_| true)
}

/// As [`allocate_run`], of those whose first frame is as wanted.
fn allocate_run_where(count: u32, alignment: u32, is_wanted: impl Fn(u32) -> bool) -> Result<u32, Error> {
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
        if !is_wanted(first) {
            first += alignment;
            continue;
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
