//! Physical memory (the paper's section 3.2.1): frames with owners, and the capabilities by which owners share them.
//!
//! A frame is asked for by its number. Whoever owns it may map it, write it, free it and give it away. To share it the
//! owner asks the kernel for a [`Capability`] and hands that to others in any way, without the kernel. A capability is
//! self-authenticating (Chaum and Fabry): its tag is a keyed hash of the resource, the rights and a nonce that only the
//! kernel knows. Freeing the frame, or renewing it, changes the nonce: all its capabilities are void and all mappings
//! of it are broken. Where an owner dies this happens when the
//! frame is allocated again; until then a capability that was shown before may still be taken.

/// The most frames that the kernel manages: 64 MB. Memory behind them is not used.
pub const COUNT: usize = 16384;

/// One frame, as every program can read it ([`Public`](crate::public::Public)); the table is the free list, too.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Frame {
    /// The id of the environment that owns it, or one of [`FREE`], [`PUBLIC`] and [`KERNEL`]. With [`FREEING`] set,
    /// its owner is freeing it. The frames of an environment that is dead, which its entry in the directory tells,
    /// are as good as free.
    pub owner: u32,
    /// Where in the software TLB it may be: 0 for nowhere, the address of an entry's tag for there or nowhere,
    /// [`BOUND_ANYWHERE`] plus how far a search for it has come otherwise. The TLB may hold it unless it is 0.
    pub binding: u32,
}

/// Nobody's.
pub const FREE: u32 = 0;
/// Not for programs: the kernel's memory, the PROM's, or none at all.
pub const KERNEL: u32 = 0xffff_ffff;
/// Every program may read it.
pub const PUBLIC: u32 = 0xffff_fffe;
/// Set in the owner's id while it frees the frame in several steps.
pub const FREEING: u32 = 1;
/// See [`Frame::binding`]. Not negative, so that no address of the kernel's equals it.
pub const BOUND_ANYWHERE: u32 = 0x0001_0000;

/// The right to map a frame for reading.
pub const READ: u32 = 1;
/// The right to map it for reading and writing.
pub const WRITE: u32 = 2;
/// The right over an environment: to set it up, to give it mappings, to destroy it.
pub const CONTROL: u32 = 4;
/// The right over the pool of all frames and slices: to ask others for what they have, and to take what they owe
/// ([`revocation`](crate::revocation)).
pub const REVOKE: u32 = 8;

/// The tag of a capability, as it is handed around: with the resource and the right, which the holder knows, it is the
/// capability. A call takes it from, and gives it in, the save page
/// ([`SavePage::capability`](crate::exception::SavePage::capability)), or takes it in two registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Capability(pub [u32; 2]);
