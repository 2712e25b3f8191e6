//! Copy on write between parent and child: frames that a parent lends.
//!
//! At a fork both go on with the same frames, which are the parent's. It takes its own right to write from itself, and
//! makes a capability for reading each, in a page that the child has mapped, too. Whoever writes first copies. If that
//! is the parent, the frame that was lent is *retired*: it keeps it until no child borrows any more.
//!
//! A child borrows from its parent alone: before it forks itself it copies what it has borrowed yet. So who wants to
//! know whether its frames are in use looks at its children. A parent that ends with borrowers is a zombie for its own
//! parent, but its environment stays, asks them to make copies of their own, and ends when they have, or have ended.
//! They do so when they next block; one that computes for ever keeps its parent's frames for ever.

use crate::page_table::{RIGHTS, STORED, settled};
use crate::process::space::{self, BORROWED, COPY, LENT, OWN};
use crate::process::table::{state, world};
use crate::process::{self, home};
use core::mem::size_of;
use exos_rt::abi::frame::{Capability, READ};
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT, entry_lo};
use exos_rt::abi::{EnvId, Error};
use exos_rt::call::{self, NO_CAPABILITY};
use exos_rt::memory;
use exos_rt::shared::Shared;

/// Where the page is in which this process makes capabilities.
const MINE: u32 = 0x3051_0000;
/// Where its parent's is.
const PARENTS: u32 = 0x3052_0000;
/// Pages with lower numbers can be lent; others are copied at a fork.
pub const LENDABLE: u32 = PAGE_BYTES / size_of::<Lent>() as u32;

/// What is noted of a page.
struct Lent {
    /// The capability to read its frame.
    capability: Shared<Capability>,
    /// A frame, plus one, that was lent and that the page has no more.
    retired: Shared<u32>,
}

fn lent(at: u32, page: u32) -> &'static Lent {
    debug_assert!(page < LENDABLE);
    // SAFETY: a page with so many is mapped there by who uses it: before a page has `LENT` or `BORROWED`.
    unsafe { &*(at as *const Lent).wrapping_add((page % LENDABLE) as usize) }
}

/// The parent's capability for one of its pages.
pub fn capability(page: u32) -> Capability {
    lent(PARENTS, page).capability.get()
}

/// Whether a child of this process's borrows, or is to.
#[must_use]
pub fn is_wanted() -> bool {
    let me = call::self_id().0;
    process::children().any(|child| {
        child.lender.get() == me
            && match state::of(child.state.get()) {
                state::NEW => true,
                state::RUNNING => child.is_alive(),
                _ => false,
            }
    })
}

/// The page has been given another frame than `frame`, which is lent.
pub fn retire(page: u32, frame: u32) {
    lent(MINE, page).retired.set(frame + 1);
    home().retired.add(1);
    // It is the page's no more.
    home().resident.add(u32::MAX);
}

/// Frees what has been retired, if nobody borrows.
pub fn reclaim() {
    if home().retired.get() == 0 || is_wanted() {
        return;
    }
    for page in 0..LENDABLE {
        let retired = lent(MINE, page).retired.get();
        if retired != 0 {
            lent(MINE, page).retired.set(0);
            // SAFETY: no page has it any more. It is this process's.
            let _ = unsafe { call::frame_free(retired - 1) };
        }
    }
    home().retired.set(0);
}

/// Makes a page of this process's own one that is lent; false if it can't be, and is to be copied. The TLBs are dealt
/// with by the caller.
///
/// # Errors
/// [`Error::Full`] if there is no memory.
pub fn lend(page: u32) -> Result<bool, Error> {
    if page >= LENDABLE {
        return Ok(false);
    }
    if home().lending.get() == 0 {
        let frame = memory::allocate()?;
        // SAFETY: nothing else is there.
        unsafe { call::env_map(call::self_id(), NO_CAPABILITY, MINE, frame << PAGE_SHIFT | entry_lo::DIRTY, 1)? };
        home().lending.set(frame + 1);
    }
    let (entry, lent) = (space::entry(page), lent(MINE, page));
    if lent.retired.get() != 0 {
        return Ok(false);
    }
    if !space::is(entry, LENT) {
        lent.capability.set(call::capability(entry >> PAGE_SHIFT, READ)?);
        // SAFETY: it takes a right.
        unsafe { space::set(page, settled(entry & !STORED | COPY)) };
    }
    Ok(true)
}

/// Gives a child the capabilities.
///
/// # Errors
/// Those of [`call::env_map`].
pub fn show(child: EnvId, control: Capability) -> Result<(), Error> {
    match home().lending.get() {
        0 => Ok(()),
        // SAFETY: the environment is another.
        frame => unsafe { call::env_map(child, control, PARENTS, (frame - 1) << PAGE_SHIFT, 1) },
    }
}

/// Copies all that this process has borrowed, if anything, and gives up the loan.
///
/// # Errors
/// [`Error::Full`] if there is no memory; then it has borrowed the rest still.
pub fn settle() -> Result<(), Error> {
    let me = process::me();
    if me.lender.get() == 0 {
        return Ok(());
    }
    for page in 0..LENDABLE {
        if space::is(space::entry(page), BORROWED) && !space::own(page) {
            return Err(Error::Full);
        }
    }
    let lender = EnvId(me.lender.get());
    me.lender.set(0);
    // SAFETY: no page of this process needs it any more.
    let _ = unsafe { call::env_unmap(call::self_id(), NO_CAPABILITY, PARENTS) };
    // It may have waited for this.
    let _ = call::wake(lender);
    Ok(())
}

/// Copies what has been borrowed from a process that would like to end.
pub fn settle_if_recalled() {
    let me = process::me();
    if me.lender.get() != 0 && me.recalled.get() != 0 {
        // If there is no memory it is tried again.
        let _ = settle();
    }
}

/// Waits, as an environment that is no process any more, until nobody borrows.
pub fn outlive() {
    let env = call::self_id().0;
    loop {
        world().outlived.set(call::clock());
        let mut wanted = false;
        for process in world().processes.iter().filter(|process| process.lender.get() == env) {
            if process.state.get() == state::RUNNING && process.is_alive() {
                process.recalled.set(1);
                process.wake();
                wanted = true;
            }
        }
        if !wanted {
            return;
        }
        call::wait(Some(call::clock() + 4));
    }
}

const _: () = assert!(LENT & OWN != 0 && BORROWED & OWN == 0 && RIGHTS & (LENT | BORROWED) == 0);
