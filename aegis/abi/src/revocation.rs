//! Revocation: what an environment is asked to give up, and what it learns of what was taken (the paper's sections 3.3
//! and 3.4).
//!
//! Who holds [`REVOKE`](crate::frame::REVOKE) asks an environment for frames, slices, packet filters or handlers
//! ([`call::REVOKE`]): politely, or with a deadline. The environment is told at its next slice, at the entry for that in its header, and gives up what it
//! can spare. What it owes when the deadline has passed may be taken by name ([`call::FRAME_REPOSSESS`],
//! [`call::SLICE_REPOSSESS`], [`call::FILTER_REPOSSESS`], [`call::HANDLER_REPOSSESS`]): all bindings are broken, the loss is noted in the *repossession vector*, and the
//! environment is told in the same way. It is not destroyed.
//!
//! All of it stands in the save page ([`Revocation`]), where the kernel finds what the program has written beforehand:
//! the frames of its *reserve*, and where the contents of others are to go.
//!
//! [`call::REVOKE`]: crate::call::REVOKE
//! [`call::FRAME_REPOSSESS`]: crate::call::FRAME_REPOSSESS
//! [`call::SLICE_REPOSSESS`]: crate::call::SLICE_REPOSSESS
//! [`call::FILTER_REPOSSESS`]: crate::call::FILTER_REPOSSESS
//! [`call::HANDLER_REPOSSESS`]: crate::call::HANDLER_REPOSSESS

use crate::frame::Capability;

/// A kind of resources: frames.
pub const FRAMES: u32 = 0;
/// A kind of resources: slices.
pub const SLICES: u32 = 1;
/// A kind of resources: packet filters.
pub const FILTERS: u32 = 2;
/// A kind of resources: handlers of filters. One that goes with its filter counts, too.
pub const HANDLERS: u32 = 3;
/// How many kinds there are.
pub const KINDS: usize = 4;

/// Beside a kind: past its deadline the demand reaches even what is in the reserve, and the last slice. Of filters and
/// handlers nothing is exempt, so it makes no difference.
pub const EMERGENCY: u32 = 1 << 8;

/// The shortest deadline, in ticks from the demand: every slice comes once in that time.
pub const DEADLINE_MIN: u32 = crate::slice::COUNT as u32;
/// The longest one: a minute.
pub const DEADLINE_MAX: u32 = 60 * DEADLINE_MIN;
/// [`Demand::deadline`] of one that has none: a polite request.
pub const NO_DEADLINE: u32 = u32::MAX;

/// Frames that an environment can keep in reserve.
pub const RESERVE: usize = 8;
/// Entries of the repossession vector.
pub const ENTRIES: usize = 12;

/// What an environment is asked for, of one kind. All zero: nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Demand {
    /// How many it has yet to give up.
    pub left: u32,
    /// The tick from which on they may be taken, or [`NO_DEADLINE`].
    pub deadline: u32,
    /// [`EMERGENCY`] or 0.
    pub flags: u32,
}

/// [`Entry::state`]: nothing, and room for a loss.
pub const EMPTY: u32 = 0;
/// Written by the program: should the frame [`Entry::name`] be taken, its contents go to the frame
/// [`Entry::backing`].
pub const BACKED: u32 = 1;
/// Written by the kernel: the frame [`Entry::name`] was taken, and its contents are lost.
pub const LOST: u32 = 2;
/// Written by the kernel: the frame was taken, and its contents are in [`Entry::backing`].
pub const SAVED: u32 = 3;
/// Written by the kernel: the slice at the position [`Entry::name`] was taken.
pub const SLICE_LOST: u32 = 4;
/// Written by the kernel: the filter with the number [`Entry::name`] was taken, its handler with it. The frame
/// [`Entry::backing`], which paid for it, is the program's again.
pub const FILTER_LOST: u32 = 5;
/// Written by the kernel: the handler of the filter with the number [`Entry::name`] was taken. The frame [`Entry::backing`]
/// and the one behind it, which it was in, are the program's again.
pub const HANDLER_LOST: u32 = 6;

/// An entry of the repossession vector.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Entry {
    /// [`EMPTY`] to [`HANDLER_LOST`]. The program makes it [`EMPTY`] again.
    pub state: u32,
    /// The number of the frame or filter, or the slice's position.
    pub name: u32,
    /// The number of the frame that takes the contents: the program's own, or another's for which it has
    pub backing: u32,
    /// this capability, to write.
    pub capability: Capability,
}

/// The part of the save page that is about revocation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Revocation {
    /// In the first program that is started at boot: the capability for [`REVOKE`](crate::frame::REVOKE). In all others
    /// 0.
    pub authority: Capability,
    /// What is asked of the environment, by kind. The kernel brings it up to date and does not read it.
    pub demands: [Demand; KINDS],
    /// The program's own: frames that are taken only in an emergency. 0 is no frame of a program's.
    pub reserve: [u32; RESERVE],
    /// The repossession vector.
    pub vector: [Entry; ENTRIES],
    /// Losses for which there was no entry. The kernel counts up, the program may set it back.
    pub overflow: u32,
}

const _: () = assert!(size_of::<Revocation>() == 332);
