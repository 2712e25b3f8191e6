//! Paging: a process with a quota gives up frames of pages that it has not used lately, and so does one for which the
//! kernel has none left.
//!
//! What the pages held is kept by the world's *backing environment* ([`backing`]), which `init` starts when the
//! first process asks for it. All pages in turn lose the mark of use, and the first that lost it before goes. Pages
//! that a child may be reading stay, and so does a process's text, which is the boot archive's.

use crate::backing;
use crate::page_table::{OWN, RIGHTS, USED, settled};
use crate::process::space::{self, ABSENT, STACK_TOP, START};
use crate::process::table::world;
use crate::process::{Fail, block, home};
use exos_rt::abi::EnvId;
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT};
use exos_rt::{call, memory};

/// States of [`World::wanted`](crate::process::table::World::wanted).
pub mod wanted {
    /// Nobody has asked.
    pub const NO: u32 = 0;
    /// `init` is to start one.
    pub const YES: u32 = 1;
    /// It could not.
    pub const FAILED: u32 = 2;
}

/// From now on this process's data, heap and stack have at most so many frames, as long as others can be paged out; 0 for
/// as many as there are. Its children have the same quota.
///
/// # Errors
/// [`Fail::NoMemory`] if there is none for a backing environment.
pub fn set_quota(frames: u32) -> Result<(), Fail> {
    let world = world();
    if frames != 0 && world.backing.get() == 0 {
        world.wanted.set(wanted::YES);
        world.processes[0].wake();
        while world.wanted.get() == wanted::YES {
            block(Some(call::clock() + 1));
        }
        if world.backing.get() == 0 {
            return Err(Fail::NoMemory);
        }
    }
    home().quota.set(frames);
    Ok(())
}

/// How many frames its data, heap and stack have.
#[must_use]
pub fn resident() -> u32 {
    home().resident.get()
}

/// A frame for a page, full of zeros.
#[unsafe(link_section = ".text.process_space")]
pub(crate) fn frame() -> Option<u32> {
    let home = home();
    let quota = home.quota.get();
    while quota != 0 && home.resident.get() >= quota && page_out() {}
    let frame = memory::allocate().or_else(|error| if page_out() { memory::allocate() } else { Err(error) }).ok()?;
    home.resident.add(1);
    Some(frame)
}

/// Takes the frame of a page that has not been used lately, and frees it; false if there is none, or nobody to keep it.
#[cold]
#[inline(never)]
fn page_out() -> bool {
    let (home, backing) = (home(), EnvId(world().backing.get()));
    if backing.0 == 0 {
        return false;
    }
    let pages = space::number(STACK_TOP);
    // Whoever is passed over loses the mark of use; so the second time round somebody is found.
    for _ in 0..2 * pages {
        let page = home.hand.get() % pages;
        home.hand.set(page + 1);
        let entry = space::entry(page);
        if !space::is(entry, OWN) {
            continue;
        }
        call::tlb_delete(START + page * PAGE_BYTES);
        if entry & USED != 0 {
            // SAFETY: it only takes longer.
            unsafe { space::set(page, settled(entry & !USED)) };
            continue;
        }
        let Ok(place) = backing::keep(backing, entry >> PAGE_SHIFT) else { return false };
        // SAFETY: what it held is kept, and nothing else has the frame.
        unsafe {
            space::set(page, place << PAGE_SHIFT | ABSENT | entry & RIGHTS);
            let _ = call::frame_free(entry >> PAGE_SHIFT);
        }
        home.resident.add(u32::MAX);
        return true;
    }
    false
}

/// Fills a new frame with what is kept at a place; false if it is lost, and then the frame is free again.
pub(crate) fn fetch(place: u32, frame: u32) -> bool {
    let fetched = backing::fetch(EnvId(world().backing.get()), place, frame).is_ok();
    if !fetched {
        home().resident.add(u32::MAX);
        // SAFETY: nothing is mapped to it.
        let _ = unsafe { call::frame_free(frame) };
    }
    fetched
}
