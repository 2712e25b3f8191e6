//! Backing environments: they keep the contents of pages that others have no frames for.
//!
//! Who pages out makes a capability for the page's frame and calls the backing environment with it, which copies the
//! page into a frame of its own; likewise the way back. So the frame itself stays with who pages out, to be used for
//! another page, or to be freed. A place belongs to who has filled it. The backing environment sees the pages that it
//! is given, and nothing else.

use crate::page_table::{READ, RIGHTS};
use crate::vm::Vm;
use exos_rt::abi::frame::{self, Capability};
use exos_rt::abi::vm::PAGE_BYTES;
use exos_rt::abi::{EnvId, Error};
use exos_rt::call;
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::transfer::{self, Stack, serve};

/// Pages that it can keep.
pub const PLACES: u32 = 1024;

/// What it is asked for, in the highest bits of the first word; the place in the others.
const KEEP: u32 = 1 << 28;
const FETCH: u32 = 2 << 28;
const DROP: u32 = 3 << 28;
const PLACE: u32 = (1 << 28) - 1;

/// Where the pages are, and where it sees the frame of a page that it copies.
const STORE: u32 = 0x4000_0000;
const SEEN: u32 = STORE + PLACES * PAGE_BYTES;

static OWNERS: [Shared<u32>; PLACES as usize] = [const { Shared::new(0) }; PLACES as usize];
static READY: Shared<u32> = Shared::new(0);
static STACK: Stack<8192> = Stack::new();

/// Starts the program's backing environment, which has the slice at `position` for its start; its id, and the right over
/// it. A program has one at most.
///
/// # Errors
/// Those of [`spawn`].
pub fn start(position: u32) -> Result<(EnvId, Capability), Error> {
    READY.set(0);
    let (id, control) = spawn(run, 0, Some(position))?;
    while READY.get() == 0 && call::wake(id).is_ok() {
        call::yield_slice();
    }
    Ok((id, control))
}

extern "C" fn run(_: u32) -> ! {
    OWNERS.iter().for_each(|owner| owner.set(0));
    // SAFETY: nothing else is there; the stack is nobody else's, and main does nothing but wait.
    let ready = Vm::install().and_then(|()| unsafe { Vm::zeros(STORE, PLACES, RIGHTS) });
    if ready.is_err() {
        call::exit(1);
    }
    // SAFETY: as above.
    unsafe { serve(answer, &STACK) };
    READY.set(1);
    loop {
        call::wait(None);
    }
}

/// Serves one request: the place, or 0 if it can't be done.
extern "C" fn answer(what: u32, number: u32, tag0: u32, tag1: u32, caller: EnvId) -> u64 {
    let (place, capability) = (what & PLACE, Capability([tag0, tag1]));
    let done = match what & !PLACE {
        KEEP => keep_for(caller, number, capability),
        FETCH | DROP if place >= PLACES || OWNERS[place as usize].get() != caller.0 => None,
        FETCH => copied(number, capability, place, false).then(|| free(place)),
        DROP => Some(free(place)),
        _ => None,
    };
    done.unwrap_or(0).into()
}

fn keep_for(caller: EnvId, number: u32, capability: Capability) -> Option<u32> {
    // Places of the dead are free. Place 0 stands for zeros.
    let is_free = |&place: &u32| {
        let owner = OWNERS[place as usize].get();
        owner == 0 || call::wake(EnvId(owner)).is_err()
    };
    let place = (1..PLACES).find(is_free)?;
    copied(number, capability, place, true).then(|| {
        OWNERS[place as usize].set(caller.0);
        place
    })
}

/// Frees a place, and its frame.
fn free(place: u32) -> u32 {
    OWNERS[place as usize].set(0);
    let address = STORE + place * PAGE_BYTES;
    // SAFETY: nobody refers to it. What was mapped can be mapped again.
    unsafe {
        Vm::unmap(address, 1);
        let _ = Vm::zeros(address, 1, RIGHTS);
    }
    place
}

/// Copies a page in or out; whether that could be done.
fn copied(number: u32, capability: Capability, place: u32, into: bool) -> bool {
    let address = STORE + place * PAGE_BYTES;
    let rights = if into { READ } else { RIGHTS };
    // SAFETY: the frame is one that its owner wants to be copied. It is entered first, so what fails is found here.
    unsafe {
        // The place's page gets its frame now, while it can be told.
        if Vm::lock(address, 1).is_err() || Vm::shared(SEEN, number, Some(capability), rights).is_err() {
            return false;
        }
        let seen = Vm::touch(SEEN);
        if seen {
            let (from, to) = if into { (SEEN, address) } else { (address, SEEN) };
            core::ptr::copy_nonoverlapping(from as *const u32, to as *mut u32, PAGE_BYTES as usize / 4);
        }
        Vm::unmap(SEEN, 1);
        seen
    }
}

/// Has the contents of a frame of this environment's kept; where.
///
/// # Errors
/// [`Error::Full`] if there is no room or no such environment; those of a [call](transfer::call).
pub fn keep(backing: EnvId, number: u32) -> Result<u32, Error> {
    if backing.0 == 0 {
        return Err(Error::Full);
    }
    let place = request(backing, KEEP, number, frame::READ)?;
    if place == 0 { Err(Error::Full) } else { Ok(place) }
}

/// Has a frame of this environment's filled with what is kept at a place, which is free then.
///
/// # Errors
/// [`Error::Denied`] if nothing of this environment's is kept there; those of a [call](transfer::call).
pub fn fetch(backing: EnvId, place: u32, number: u32) -> Result<(), Error> {
    if request(backing, FETCH | place, number, frame::WRITE)? == 0 { Err(Error::Denied) } else { Ok(()) }
}

fn request(backing: EnvId, what: u32, number: u32, right: u32) -> Result<u32, Error> {
    let Capability([tag0, tag1]) = call::capability(number, right)?;
    transfer::call(backing, [what, number, tag0, tag1]).map(|answer| answer as u32)
}

/// Says that what is kept at a place is not needed.
pub fn drop_copy(backing: EnvId, place: u32) {
    if backing.0 != 0 && place != 0 {
        // If it has died there is nothing to do.
        let _ = transfer::call(backing, [DROP | place, 0, 0, 0]);
    }
}
