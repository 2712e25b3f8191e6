//! Revocation, as the program sees it: what others want back, what they have taken, and what it has said beforehand.
//!
//! Which frames and slices an environment can spare only its library knows. So a program sets a function ([`inform`])
//! that is told when something is asked or was taken, and picks what to give up; one that sets none gives nothing, and
//! may lose by force what others choose. The function is run by the server activity ([`mod@crate::sequences`]) between
//! any two instructions of the rest of the program, in a slice of the environment's, after calls that are being served.
//!
//! The rest is words in the save page ([`aegis_abi::revocation`]).

use crate::save_page::PAGE;
use crate::sequences::OWN;
use aegis_abi::frame::Capability;
use aegis_abi::revocation::{BACKED, Demand, EMPTY, ENTRIES, Entry, KINDS, RESERVE};
use core::cell::UnsafeCell;

/// What a program is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Notice {
    /// So much of a kind is asked of it.
    Asked(u32, Demand),
    /// This was taken from it: the entry is not in the vector any more.
    Lost(Entry),
}

/// What is told: it frees what it can spare, and mends what it lost.
pub type Policy = fn(Notice);

/// The stack on which the program is told.
#[repr(C, align(8))]
pub struct Stack<const BYTES: usize>(UnsafeCell<[u8; BYTES]>);

// SAFETY: nobody accesses it but as a stack.
unsafe impl<const BYTES: usize> Sync for Stack<BYTES> {}

impl<const BYTES: usize> Stack<BYTES> {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self(UnsafeCell::new([0; BYTES]))
    }
}

impl<const BYTES: usize> Default for Stack<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

/// Room that a function's caller keeps for four register arguments.
const ARGUMENTS: u32 = 16;

/// A field of what the save page says of revocation.
macro_rules! field {
    ($($field:tt)*) => { &raw mut (*PAGE).revocation.$($field)* };
}

/// From now on this environment is told by `policy`, on the stack `stack`.
///
/// # Safety
/// Nothing else uses the stack, which is large enough. `policy` may run between any two instructions of the rest of the
/// program, so what both access is accessed in a way that allows for it.
pub unsafe fn inform<const BYTES: usize>(policy: Policy, stack: &'static Stack<BYTES>) {
    let end = stack.0.get() as u32 + BYTES as u32;
    // SAFETY: the words are the runtime's. The stack comes last, for with it the program is told.
    unsafe {
        (&raw mut (*OWN).notice_function).write_volatile(policy as *const () as u32);
        (&raw mut (*OWN).notice_stack).write_volatile((end & !7) - ARGUMENTS);
    }
}

/// From now on it is not told any more, and gives nothing.
pub fn ignore() {
    // SAFETY: as for `inform`.
    unsafe { (&raw mut (*OWN).notice_stack).write_volatile(0) }
}

/// The capability for revocation, if the environment was given it at boot.
#[must_use]
pub fn authority() -> Option<Capability> {
    // SAFETY: the page is always mapped. Volatile here and below, because the kernel changes it.
    Some(unsafe { field!(authority).read_volatile() }).filter(|&Capability(tag)| tag != [0, 0])
}

/// What is asked of this environment, of a kind; nothing if `left` is 0.
///
/// # Panics
/// If there is no such kind.
#[must_use]
pub fn demand(kind: u32) -> Demand {
    assert!((kind as usize) < KINDS, "kind {kind}");
    // SAFETY: as above.
    unsafe { field!(demands[kind as usize]).read_volatile() }
}

/// Keeps frames in reserve: they are taken only in an emergency. In place of those before; 0 stands for none.
pub fn keep(frames: [u32; RESERVE]) {
    // SAFETY: as above, and the words are the program's to write.
    unsafe { field!(reserve).write_volatile(frames) }
}

/// Should the frame `frame` be taken, its contents are to go to the frame `backing`: this environment's own, or one for
/// which `capability` gives the right to write. False if the vector has no room for that.
///
/// For main alone: a loss that is noted meanwhile is told before main goes on, but not before a call is served.
#[must_use]
pub fn back(frame: u32, backing: u32, capability: Capability) -> bool {
    let Some(index) = (0..ENTRIES).find(|&index| entry(index).state == EMPTY) else { return false };
    // The state last: until then the entry is empty for the kernel, which may use it.
    // SAFETY: as above.
    unsafe {
        field!(vector[index].name).write_volatile(frame);
        field!(vector[index].backing).write_volatile(backing);
        field!(vector[index].capability).write_volatile(capability);
        field!(vector[index].state).write_volatile(BACKED);
    }
    true
}

/// An entry of the repossession vector.
///
/// # Panics
/// If there is no such entry.
#[must_use]
pub fn entry(index: usize) -> Entry {
    assert!(index < ENTRIES, "entry {index}");
    // SAFETY: as above.
    unsafe { field!(vector[index]).read_volatile() }
}

/// Makes an entry of the repossession vector empty.
///
/// # Panics
/// If there is no such entry.
pub fn clear(index: usize) {
    assert!(index < ENTRIES, "entry {index}");
    // SAFETY: as above.
    unsafe { field!(vector[index].state).write_volatile(EMPTY) }
}

/// Losses that the vector had no room for.
#[must_use]
pub fn overflow() -> u32 {
    // SAFETY: as above.
    unsafe { field!(overflow).read_volatile() }
}

/// Called in the server activity: tells the program all that there is to tell.
pub(crate) unsafe extern "C" fn told() {
    // SAFETY: the words are the runtime's. What comes from here on is for the next time. The function is a policy, since
    // `inform` has set it before the stack, without which nobody comes here.
    let policy = unsafe {
        (&raw mut (*OWN).noticed).write_volatile(0);
        core::mem::transmute::<u32, Policy>((&raw const (*OWN).notice_function).read_volatile())
    };
    for index in 0..ENTRIES {
        let lost = entry(index);
        if !matches!(lost.state, EMPTY | BACKED) {
            clear(index);
            policy(Notice::Lost(lost));
        }
    }
    for kind in 0..KINDS as u32 {
        let demand = demand(kind);
        if demand.left != 0 {
            policy(Notice::Asked(kind, demand));
        }
    }
}
