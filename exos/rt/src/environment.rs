//! Environments that a program makes: a function that runs in a protection domain of its own.
//!
//! The child shares the parent's text and data, page by page the same frames, and has a save page and a stack of its
//! own; so what the two have in common is memory ([`Shared`](crate::shared::Shared)), and what is the kernel's they
//! have apart: slices, frames, mappings, handlers, transfers. What the child is to do is written on top of its stack
//! before that becomes the child's.

use crate::sequences::{self, header, window};
use crate::{call, memory, program, public};
use aegis_abi::boot::NAME_BYTES;
use aegis_abi::env::DirectoryEntry;
use aegis_abi::frame::Capability;
use aegis_abi::vm::{NORMAL_START, PAGE_BYTES, PAGE_SHIFT, PROGRAM_START, entry_lo};
use aegis_abi::{EnvId, Error};

/// The page that is every child's stack. The pages around it are unmapped.
const STACK: u32 = NORMAL_START - 2 * PAGE_BYTES;
/// Where the parent sees it, to write on it.
const PARENTS_VIEW: u32 = STACK - 2 * PAGE_BYTES;
/// Where on it is what the child is to do.
pub(crate) const BIRTH: u32 = STACK + PAGE_BYTES - size_of::<Birth>() as u32;

/// The most pages of one guaranteed mapping.
const MAP_MAX: u32 = 256;

/// What a child is to do.
#[repr(C, align(8))]
pub(crate) struct Birth {
    entry: extern "C" fn(u32) -> !,
    argument: u32,
    limit: u32,
    name: [u8; NAME_BYTES],
}

/// The entry of an environment in the public directory.
#[must_use]
pub fn directory(index: u8) -> DirectoryEntry {
    let entry = window(public::directory() + u32::from(index) * size_of::<DirectoryEntry>() as u32);
    // SAFETY: the directory is public, has 256 entries, and is mapped there when it is missed. Volatile, because the
    // kernel changes it.
    unsafe { (entry as *const DirectoryEntry).read_volatile() }
}

/// Whether the directory shows that an environment lives. It does not if that can't be entered just now.
#[must_use]
pub fn seems_alive(id: EnvId) -> bool {
    let DirectoryEntry { synchronous, asynchronous, runnable, .. } = directory(id.index());
    [synchronous, asynchronous, runnable].contains(&id.0)
}

/// Makes an environment that runs `entry(argument)`; its id, and the right over it. It begins in the slice at
/// `position`, which becomes its own, if one is given; otherwise when a slice is given or yielded to it.
///
/// Its frames count as free when it has ended. It ends with the memory that it shares: when the parent does.
///
/// # Errors
/// Those of the calls that make an environment and allocate a slice: [`Error::Full`] if there are no frames left, or
/// too many environments; [`Error::Busy`] if the slice has an owner.
pub fn spawn(
    entry: extern "C" fn(u32) -> !,
    argument: u32,
    position: Option<u32>,
) -> Result<(EnvId, Capability), Error> {
    spawn_at(memory::allocate_pair()?, entry, argument, position)
}

/// As [`spawn`], in two frames that are this environment's: which will be its record and its save page matters for the
/// caches. They are the child's, or nobody's, whatever comes of it.
///
/// # Errors
/// As for [`spawn`].
pub fn spawn_at(
    home: u32,
    entry: extern "C" fn(u32) -> !,
    argument: u32,
    position: Option<u32>,
) -> Result<(EnvId, Capability), Error> {
    let stack = memory::allocate().inspect_err(|_| give_up(home))?;
    let birth = Birth { entry, argument, limit: sequences::limit(), name: program::name_bytes() };
    let made = write(stack, birth).and_then(|()| call::env_create(home)).inspect_err(|_| give_up(home));
    let Ok((id, control)) = made else {
        // SAFETY: it is mapped nowhere any more.
        unsafe { call::frame_free(stack)? };
        return made;
    };
    let set_up = furnish(id, control, stack).and_then(|()| position.map_or(Ok(()), |position| give(position, id)));
    if let Err(error) = set_up {
        call::env_destroy(id, control)?;
        return Err(error);
    }
    Ok((id, control))
}

/// Frees two frames that were to become an environment.
fn give_up(home: u32) {
    for frame in [home, home + 1] {
        // SAFETY: nothing has been done with it. It is this environment's, so this does not fail.
        let _ = unsafe { call::frame_free(frame) };
    }
}

/// Writes on a stack that is not the child's yet.
fn write(stack: u32, birth: Birth) -> Result<(), Error> {
    let id = call::self_id();
    // SAFETY: nothing else is at that address, and nobody else has the frame.
    unsafe {
        call::env_map(id, call::NO_CAPABILITY, PARENTS_VIEW, stack << PAGE_SHIFT | entry_lo::DIRTY, 1)?;
        ((BIRTH - STACK + PARENTS_VIEW) as *mut Birth).write_volatile(birth);
        call::env_unmap(id, call::NO_CAPABILITY, PARENTS_VIEW)
    }
}

/// Gives an environment a stack, the memory that it shares, and where it is entered.
fn furnish(id: EnvId, control: Capability, stack: u32) -> Result<(), Error> {
    // SAFETY: the frame is not mapped; the environment is another, and does not run yet.
    unsafe {
        call::frame_give(stack, id)?;
        call::env_map(id, control, STACK, stack << PAGE_SHIFT | entry_lo::DIRTY, 1)?;
        share(id, control)?;
        call::env_setup(id, control, header(), sequences::exos_child_start as *const () as u32)
    }
}

/// Makes the slice at `position`, which nobody owns, the environment's.
fn give(position: u32, id: EnvId) -> Result<(), Error> {
    call::slice_allocate(position)?;
    call::slice_give(position, id)
}

/// Gives an environment guaranteed mappings of all of this program's memory.
///
/// # Safety
/// What runs there is this program's.
unsafe fn share(id: EnvId, control: Capability) -> Result<(), Error> {
    unsafe extern "C" {
        static exos_text_end: u8;
        static exos_stack_start: u8;
        static exos_stack_end: u8;
        static exos_data_start: u8;
        static exos_data_end: u8;
    }
    let segments = [
        (PROGRAM_START, &raw const exos_text_end as u32),
        (&raw const exos_stack_start as u32, &raw const exos_stack_end as u32),
        (&raw const exos_data_start as u32, &raw const exos_data_end as u32),
    ];
    for (start, end) in segments {
        let mut address = start;
        while address < end {
            let entry_lo = mapped_to(address);
            let most = ((end - address).div_ceil(PAGE_BYTES)).min(MAP_MAX);
            let next = |&pages: &u32| mapped_to(address + pages * PAGE_BYTES) == entry_lo + (pages << PAGE_SHIFT);
            let pages = 1 + (1..most).take_while(next).count() as u32;
            // SAFETY: the environment is another.
            unsafe { call::env_map(id, control, address, entry_lo, pages)? };
            address += pages * PAGE_BYTES;
        }
    }
    Ok(())
}

/// What a page of this program is mapped to.
fn mapped_to(address: u32) -> u32 {
    loop {
        // SAFETY: the page is mapped, and reading it does nothing but enter it into the TLBs.
        unsafe { (address as *const u8).read_volatile() };
        // It may have been replaced there already.
        if let Some(entry_lo) = call::tlb_probe(address) {
            return entry_lo;
        }
    }
}

/// Called by assembly at the very beginning of a child, on its own stack.
pub(crate) unsafe extern "C" fn begin(birth: *const Birth) -> ! {
    // SAFETY: the parent has written it, and nobody else sees it.
    let Birth { entry, argument, limit, name } = unsafe { birth.read() };
    sequences::set_limit(limit);
    program::set_name(name);
    entry(argument)
}
