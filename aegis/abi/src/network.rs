//! The network (the paper's section 5.6): an Ethernet interface that all share, and messages that go to the program
//! whose filter accepts them.
//!
//! A program installs a [filter](crate::filter) with [`call::FILTER_INSERT`] and pays for it with a frame. While the
//! filter is there the frame is public and the kernel's to write: it begins with [`Installed`], so that anybody can see
//! who gets which messages, and that no two owners' filters accept the same one.
//!
//! Messages come in a *ring*, a page of the owner's that [`call::FILTER_RING`] names: [`DESCRIPTORS`] times
//! [`Descriptor`]. The owner writes the addresses of empty buffers into it, one descriptor after the other, and the
//! kernel fills them in that order, round and round. Nothing in the ring is trusted: what a descriptor names must be the
//! owner's at the moment when a message is copied there, or the message is dropped.
//!
//! A message is an Ethernet frame without its check sequence, so it begins with the two addresses and the type.
//! [`call::NETWORK_SEND`] sends one, if it is in the sender's name: turned round, as its answer would come, it must be
//! a message for a filter of the sender's.
//!
//! [`call::FILTER_INSERT`]: crate::call::FILTER_INSERT
//! [`call::FILTER_RING`]: crate::call::FILTER_RING
//! [`call::NETWORK_SEND`]: crate::call::NETWORK_SEND

use crate::filter::{ATOMS_MAX, Atom};

/// One more than the most filters that can be installed: 0 is the number of none.
pub const FILTERS: usize = 256;

/// The most loads and comparisons that a filter may come down to, once adjacent comparisons are one (`docs/dpf.md`).
pub const STEPS_MAX: usize = 10;

/// Bytes of the addresses and the type that every message begins with.
pub const HEADER: u32 = 14;
/// The longest message.
pub const MESSAGE_MAX: u32 = 1514;
/// A shorter one is filled up with zeros to this when it is sent.
pub const MESSAGE_MIN: u32 = 60;

/// Bytes of a buffer, and what its address is a multiple of: a frame has two.
pub const BUFFER_BYTES: u32 = 2048;
/// Where in it the message begins, so that what follows the Ethernet header is aligned.
pub const BUFFER_OFFSET: u32 = 2;

/// Descriptors of a ring, which is a page.
pub const DESCRIPTORS: u32 = 512;

/// A place for a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Descriptor {
    /// The physical address of a buffer in a frame of the owner's; written by the owner. With `length` 0 it is the kernel's
    /// to fill as soon as it stands here, so it is written last.
    pub buffer: u32,
    /// 0: the buffer is empty, and the kernel may fill it. Otherwise the bytes of the message in it.
    pub length: u32,
}

const _: () = assert!(size_of::<Descriptor>() as u32 * DESCRIPTORS == crate::vm::PAGE_BYTES);

/// A filter that is installed: the beginning of the frame that pays for it. The rest of the frame is as its
/// owner left it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Installed {
    /// Its number.
    pub number: u32,
    /// The id of the environment whose filter it is.
    pub owner: u32,
    /// The number of the frame that is its ring, 0 if it has none.
    pub ring: u32,
    /// The descriptor that the next message takes.
    pub next: u32,
    /// Messages that were put into buffers, modulo 2^32.
    pub delivered: u32,
    /// Messages that were lost because there was no buffer, or none of the owner's.
    pub dropped: u32,
    /// Messages that were sent in this filter's name.
    pub sent: u32,
    /// How many of `atoms` there are.
    pub count: u32,
    /// The ring holds only while its frame was not unbound since: the kernel's count of that, low and high word.
    pub stamp: [u32; 2],
    /// The number of the first frame of its handler ([`ash`](crate::ash)), 0 if it has none.
    pub handler: u32,
    /// What it accepts. Behind these nothing is written, either.
    pub atoms: [Atom; ATOMS_MAX],
}

impl Installed {
    /// Nothing.
    pub const NONE: Self = Self {
        number: 0,
        owner: 0,
        ring: 0,
        next: 0,
        delivered: 0,
        dropped: 0,
        sent: 0,
        count: 0,
        stamp: [0; 2],
        handler: 0,
        atoms: [Atom { kind: 0, bits: 0, scale: 0, reserved: 0, offset: 0, mask: 0, value: 0 }; ATOMS_MAX],
    };
}

/// In the public page, by a filter's number: who has it and where it is. All zero: there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Entry {
    /// The id of its owner.
    pub owner: u32,
    /// The number of the frame that begins with [`Installed`].
    pub frame: u32,
}

/// The interface, in the public page. Counters are modulo 2^32.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Interface {
    /// 1 if there is one, else 0.
    pub present: u32,
    /// Its address; the last two bytes are 0.
    pub address: [u8; 8],
    /// Messages that came whole and for this interface's address or a group.
    pub received: u32,
    /// Of these, messages that no filter accepts,
    pub unclaimed: u32,
    /// messages that were put into a buffer of their owner's,
    pub delivered: u32,
    /// messages that their owner's handler dealt with,
    pub handled: u32,
    /// and messages that were not, for want of a buffer.
    pub dropped: u32,
    /// Messages for other interfaces.
    pub foreign: u32,
    /// Frames shorter than Ethernet's header.
    pub runts: u32,
    /// Frames longer than [`MESSAGE_MAX`].
    pub giants: u32,
    /// Frames that came damaged.
    pub damaged: u32,
    /// How often the controller lost frames, one or more, because the kernel had not taken those before.
    pub missed: u32,
    /// Messages that were given to the controller to be sent.
    pub sent: u32,
    /// Of these, those of which it said that they could not be.
    pub unsent: u32,
    /// How often the interface was silenced until the next tick because it took too much of this one.
    pub silenced: u32,
    /// How often the controller had to be started anew.
    pub restarts: u32,
}
