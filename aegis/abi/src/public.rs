//! What the kernel shows to every program: the names, owners and state of all resources, so that a library can decide
//! for itself (the paper's section 3.1, *expose names*, *expose information*).
//!
//! The page with [`Public`] is mapped, read-only, in every environment at [`vm::PUBLIC_PAGE`](crate::vm::PUBLIC_PAGE).
//! The larger tables are frames whose owner is [`frame::PUBLIC`](crate::frame::PUBLIC): any program may map them
//! read-only with [`call::TLB_WRITE`](crate::call::TLB_WRITE), without a capability.

use crate::network::{Entry, FILTERS, Interface};
use crate::slice::{COUNT, Slice};

/// The public page. The kernel changes it while no program runs, so a program sees each word whole.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Public {
    /// [`VERSION`](crate::VERSION) of the kernel.
    pub version: u32,
    /// Time slices that have begun since the start, modulo 2^31: the clock.
    pub ticks: u32,
    /// The position in the slice vector that is running.
    pub position: u32,
    /// Frames in the table of frames: those with higher numbers are not memory.
    pub frames: u32,
    /// Physical address of the table of frames: [`Frame`](crate::frame::Frame)s by number.
    pub frame_table: u32,
    /// Physical address of the directory: [`DirectoryEntry`](crate::env::DirectoryEntry)s by index.
    pub directory: u32,
    /// Physical address of the software TLB: 4096 EntryHi words, behind them 4096 EntryLo words.
    pub software_tlb: u32,
    /// Frames whose numbers differ by a multiple of this compete for the same lines of the caches: the number of
    /// *colours*. 1 if the machine's caches are not known.
    pub colours: u32,
    /// Physical address of the boot archive, whose frames are public; see [`boot`](crate::boot).
    pub archive: u32,
    /// Its bytes.
    pub archive_bytes: u32,
    /// The slice vector.
    pub slices: [Slice; COUNT],
    /// What has happened since the start.
    pub statistics: Statistics,
    /// The network interface.
    pub interface: Interface,
    /// The packet filters, by number.
    pub filters: [Entry; FILTERS],
}

/// Counters, modulo 2^32, of what the kernel does off its hot paths.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Statistics {
    /// Misses of the software TLB that a guaranteed mapping mended.
    pub guaranteed: u32,
    /// How often all context ids were taken back because an environment needed one and none was left.
    pub context_revocations: u32,
    /// Ticks that found an environment still saving its context.
    pub excess: u32,
    /// Slices that were forfeited for it.
    pub forfeited: u32,
    /// Ticks that found nobody with work.
    pub idle: u32,
    /// Environments created.
    pub created: u32,
    /// Environments that ended.
    pub ended: u32,
    /// Demands that were made on environments ([`revocation`](crate::revocation)).
    pub demands: u32,
    /// Demands that were met without force.
    pub demands_met: u32,
    /// Frames that were taken by force,
    pub frames_repossessed: u32,
    /// of these, those whose contents went to a frame that the program had named.
    pub frames_saved: u32,
    /// Slices that were taken by force.
    pub slices_repossessed: u32,
    /// Filters,
    pub filters_repossessed: u32,
    /// and handlers.
    pub handlers_repossessed: u32,
    /// Losses for which a repossession vector had no room.
    pub losses_unrecorded: u32,
}

const _: () = assert!(size_of::<Public>() <= crate::vm::PAGE_BYTES as usize);
