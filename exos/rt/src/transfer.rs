//! Calls from one environment to another: synchronous protected control transfers, there and back.
//!
//! The caller's side is a function, the server's another; the assembly between them is in [`mod@crate::sequences`]. A
//! server serves one call at a time, and refuses others meanwhile. Who waits for an answer lends its slice to the
//! server, and, should it get another slice of its own before the answer, that as well.

use crate::sequences::{ANSWERED, Activity, BUSY, CALL, OWN, SERVER, current, exos_transfer, keep_ready};
use crate::shared::Shared;
use crate::{call, public, revocation};
use aegis_abi::{EnvId, Error, call as number};
use core::cell::UnsafeCell;

/// What serves calls: four words of the message, and the caller, which the kernel vouches for. The result is the
/// answer.
pub type Server = extern "C" fn(u32, u32, u32, u32, caller: EnvId) -> u64;

/// What the server activity needs: a stack, and a table of those that it is to refuse, by index.
#[repr(C, align(8))]
pub struct Stack<const BYTES: usize> {
    stack: UnsafeCell<[u8; BYTES]>,
    refused: [Shared<u32>; EnvId::COUNT],
}

// SAFETY: nobody accesses the stack but as such.
unsafe impl<const BYTES: usize> Sync for Stack<BYTES> {}

impl<const BYTES: usize> Stack<BYTES> {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self { stack: UnsafeCell::new([0; BYTES]), refused: [const { Shared::new(0) }; EnvId::COUNT] }
    }
}

impl<const BYTES: usize> Default for Stack<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

/// Room that a function's caller keeps for its five arguments, in a multiple of 8.
const ARGUMENTS: u32 = 24;

/// From now on calls of this environment are served by `function`, on the stack `stack`.
///
/// # Safety
/// Nothing else uses the stack, which is large enough. `function` may run between any two instructions of the rest of
/// the program, so what both access is accessed in a way that allows for it.
pub unsafe fn serve<const BYTES: usize>(function: Server, stack: &'static Stack<BYTES>) {
    let end = stack.stack.get() as u32 + BYTES as u32;
    // SAFETY: the words are the runtime's. The function comes last, for with it calls come in.
    unsafe {
        (&raw mut (*OWN).stack).write_volatile((end & !7) - ARGUMENTS);
        (&raw mut (*OWN).refused).write_volatile(stack.refused.as_ptr() as u32);
        (&raw mut (*OWN).function).write_volatile(function as *const () as u32);
    }
}

/// From now on calls of this environment are refused.
pub fn close() {
    // SAFETY: as for `serve`.
    unsafe { (&raw mut (*OWN).function).write_volatile(0) }
}

/// Calls `callee` with a message and waits for the answer.
///
/// # Errors
/// [`Error::NoSuchEnvironment`] if it does not live, or dies before it has answered, or takes no calls;
/// [`Error::Busy`] if it refuses, because it serves another call.
pub fn call(callee: EnvId, message: [u32; 4]) -> Result<u64, Error> {
    call_within(callee, message, u32::MAX)
}

/// As [`fn@call`], but gives up when it has got `slices` slices of its own without an answer.
///
/// # Errors
/// As for [`fn@call`], and [`Error::Busy`] if there was no answer. One that comes later is ignored.
pub fn call_within(callee: EnvId, [a0, a1, a2, a3]: [u32; 4], slices: u32) -> Result<u64, Error> {
    let me = Me::now();
    // It would be refused, being from an environment that is served already; but which of the two calls would that
    // answer?
    if me.other_awaits() == callee.0 && callee != EnvId(0) {
        return Err(Error::Busy);
    }
    keep_ready();
    // SAFETY: the arguments are a message; what is awaited is the answer to it.
    call::check(unsafe { exos_transfer(a0, a1, a2, a3, callee.0, number::TRANSFER, callee.0, CALL) })?;
    let mut slice = 0;
    let result = loop {
        if me.awaits() == 0 {
            break me.answer();
        }
        // Entered not by the answer but by a slice: the callee needs it more.
        let lent = if slice < slices { call::yield_to(callee) } else { Err(Error::Busy) };
        if let Err(error) = lent
            && me.awaits() != 0
        {
            me.give_up();
            break Err(error);
        }
        slice += 1;
    };
    if slice != 0 || me.is_main() && !in_own_slice() {
        reclaim();
    }
    result
}

/// Sends `to` a message and what is left of this slice, and expects no answer; returns in a later slice.
///
/// # Errors
/// [`Error::NoSuchEnvironment`] if it does not live, or takes no such messages.
pub fn send(to: EnvId, [a0, a1, a2, a3]: [u32; 4]) -> Result<(), Error> {
    keep_ready();
    // SAFETY: the arguments are a message; nothing is awaited.
    call::check(unsafe { exos_transfer(a0, a1, a2, a3, to.0, number::TRANSFER_ASYNC, 0, CALL) }).map(drop)
}

/// Called by assembly in the server activity, before it gives an answer: tells the program of revocation, and refuses
/// those that could not be refused at once.
pub(crate) extern "C" fn refuse() {
    // SAFETY: the words are the runtime's. What is noted from here on is for the next time.
    let table = unsafe {
        (&raw mut (*OWN).owed).write_volatile(0);
        if (&raw const (*OWN).noticed).read_volatile() != 0 {
            revocation::told();
        }
        ((&raw const (*OWN).refused).read_volatile() as *const [Shared<u32>; EnvId::COUNT]).as_ref()
    };
    // A program that serves no calls has none.
    let Some(table) = table else { return };
    for entry in table.iter().filter(|entry| entry.get() != 0) {
        let to = entry.get();
        entry.set(0);
        keep_ready();
        // SAFETY: nothing is awaited. If it has died meanwhile, it need not know.
        unsafe { exos_transfer(0, 0, 0, 0, to, number::TRANSFER_ASYNC, 0, BUSY) };
    }
}

/// Takes all slices of this environment back that are lent.
pub fn reclaim() {
    let id = call::self_id();
    for position in public::slices_of(id).filter(|&position| public::slice(position).runner != id.0) {
        // It may have been given away meanwhile.
        let _ = call::slice_reclaim(position);
    }
}

/// Whether the running slice is this environment's, and will be.
fn in_own_slice() -> bool {
    let slice = public::slice(public::position());
    let id = call::self_id().0;
    slice.owner == id && slice.runner == id
}

/// The activity that runs, as it stands in memory.
struct Me {
    own: *mut Activity,
    other: *const Activity,
}

impl Me {
    fn now() -> Self {
        // SAFETY: the save page is always mapped.
        let [main, server] = unsafe { [&raw mut (*OWN).activities[0], &raw mut (*OWN).activities[1]] };
        if current() == SERVER { Self { own: server, other: main } } else { Self { own: main, other: server } }
    }

    fn is_main(&self) -> bool {
        current() != SERVER
    }

    fn awaits(&self) -> u32 {
        // SAFETY: as above. Volatile, because an answer changes it. Likewise below.
        unsafe { (&raw const (*self.own).awaits).read_volatile() }
    }

    fn other_awaits(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (&raw const (*self.other).awaits).read_volatile() }
    }

    fn give_up(&self) {
        // SAFETY: as above; an answer is ignored from here on.
        unsafe { (&raw mut (*self.own).awaits).write_volatile(0) }
    }

    fn answer(&self) -> Result<u64, Error> {
        // SAFETY: as above.
        let (kind, [low, high]) =
            unsafe { ((&raw const (*self.own).kind).read_volatile(), (&raw const (*self.own).answer).read_volatile()) };
        if kind == ANSWERED { Ok(u64::from(high) << 32 | u64::from(low)) } else { Err(Error::Busy) }
    }
}
