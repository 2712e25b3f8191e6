//! The processor as a vector of time slices (the paper's section 5.1.1).
//!
//! The vector is walked round and round, one position a clock tick. A position belongs to one environment or to none;
//! one that belongs to none, or whose environment waits, is passed over. At the end of a slice the environment that
//! runs is entered at its end-of-slice entry, with `$a0` holding the interrupted address, `$a0`'s former value in a
//! slot of the save page ([`END_OF_SLICE_SLOT`](crate::exception::END_OF_SLICE_SLOT)) and every other register as it
//! was. It saves what it wants and yields. Each tick that passes before it does is *excess time*: it forfeits one of
//! its later slices, and is destroyed past [`EXCESS_MAX`](crate::exception::EXCESS_MAX). At the beginning of a slice it
//! is entered at its start-of-slice entry with no register defined.
//!
//! A slice can be lent: a synchronous transfer lends the slice that it happens in, and all later instances of it, to
//! whoever runs when the clock ticks; an asynchronous transfer or a yield to a named environment lends only what is
//! left of this one.

/// Positions in the vector: one second.
pub const COUNT: usize = 64;
/// The length of a slice: 15.625 ms, a rate of 64 Hz.
pub const MICROSECONDS: u32 = 15_625;

/// One position of the vector.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Slice {
    /// The id of the environment that owns it, 0 if nobody does.
    pub owner: u32,
    /// The id of the environment that runs in it: the owner, or whom it is lent to. 0 if nobody owns it.
    pub runner: u32,
}
