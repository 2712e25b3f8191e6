//! The processor as a vector of time slices (the paper's section 5.1.1).
//!
//! The vector is walked round and round, one position a clock tick. A position belongs to one environment or to none;
//! one that belongs to none is passed over. At the end of a slice its owner is entered at its end-of-slice entry, with
//! `$a0` holding the interrupted address, `$a0`'s former value in a slot of the save page
//! ([`END_OF_SLICE_SLOT`](crate::exception::END_OF_SLICE_SLOT)) and every other register as it was. It saves
//! what it wants and yields. Each tick that passes before it does is *excess time*: it forfeits one of its later
//! slices, and is destroyed past [`EXCESS_MAX`](crate::exception::EXCESS_MAX). At the beginning of a slice its owner is
//! entered at its start-of-slice entry with no register defined.

/// Positions in the vector: one second.
pub const COUNT: usize = 64;
/// The length of a slice: 15.625 ms, a rate of 64 Hz.
pub const MICROSECONDS: u32 = 15_625;
