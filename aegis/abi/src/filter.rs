//! Packet filters (the paper's section 5.6, and DPF, SIGCOMM'96): the language in which a program says which messages
//! are its own.
//!
//! A filter is a list of [`Atom`]s and accepts the messages for which all of its comparisons hold. A comparison reads
//! 8, 16 or 32 bits at an offset from the *base*, which is the message's first byte until a shift moves it on. Numbers
//! are in network order: the byte at the lower offset is the more significant one.
//!
//! ```
//! use aegis_abi::filter::Atom;
//!
//! // TCP segments from port 1234 to port 80, whatever the length of the IP header.
//! let filter = [
//!     Atom::equal(12, 16, 0x0800),      // Ethernet carries IP
//!     Atom::shift(14),                  // on to the IP header
//!     Atom::equal(9, 8, 6),             // IP carries TCP
//!     Atom::shift_by(0, 8, 0x0f, 2),    // on to the TCP header: the IP header has so many words
//!     Atom::equal(0, 16, 1234),
//!     Atom::equal(2, 16, 80),
//! ];
//! ```
//!
//! A message that is shorter than [`MESSAGE_MIN`] counts as filled up with zeros to that. A comparison of bytes behind a
//! message's end does not hold, nor does a shift by bytes that are not there.

/// One step of a filter. What a field that the kind does not use holds must be zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(C)]
pub struct Atom {
    /// [`COMPARE`], [`SHIFT`], [`SHIFT_BY`] or [`INDIRECT`].
    pub kind: u8,
    /// Bits that are read: 8, 16 or 32.
    pub bits: u8,
    /// For [`SHIFT_BY`] and [`INDIRECT`]: how far what was read and masked is shifted left, or, if negative, right.
    pub scale: i8,
    /// Zero.
    pub reserved: u8,
    /// Bytes from the base.
    pub offset: u32,
    /// Which of the bits count.
    pub mask: u32,
    /// For [`COMPARE`]: what they must be.
    pub value: u32,
}

const _: () = assert!(size_of::<Atom>() == 16);

/// The bits at the offset, masked, equal the value.
pub const COMPARE: u8 = 1;
/// Moves the base on by `offset` bytes.
pub const SHIFT: u8 = 2;
/// Moves the base on by as many bytes as the bits at the offset say, masked and then shifted by `scale`.
pub const SHIFT_BY: u8 = 3;
/// Moves the base on in the same way, but for the next atom alone, which is a comparison.
pub const INDIRECT: u8 = 4;

/// The most atoms of a filter.
pub const ATOMS_MAX: usize = 32;
/// How many bytes of a message comparisons can reach, but for what shifts that read the message add.
pub const OFFSET_MAX: u32 = 2048;
/// The most by which a shift that reads the message may move the base: whatever is read, masked and shifted must not be
/// able to exceed it.
pub const SHIFT_MAX: u32 = 0xffff;
/// The most different shifts of a filter that read the message.
pub const SHIFTS_MAX: usize = 4;
/// What a message has at least: an Ethernet frame of the least size, its checksum included.
pub const MESSAGE_MIN: u32 = 64;

impl Atom {
    /// The atom that these words are, as the machine has them in memory.
    #[must_use]
    pub const fn from_words([first, offset, mask, value]: [u32; 4]) -> Self {
        let [kind, bits, scale, reserved] = first.to_le_bytes();
        Self { kind, bits, scale: scale.cast_signed(), reserved, offset, mask, value }
    }

    /// `bits` bits at `offset` equal `value`.
    #[must_use]
    pub const fn equal(offset: u32, bits: u8, value: u32) -> Self {
        Self::masked(offset, bits, all(bits), value)
    }

    /// `bits` bits at `offset`, of which only those in `mask` count, equal `value`.
    #[must_use]
    pub const fn masked(offset: u32, bits: u8, mask: u32, value: u32) -> Self {
        Self { kind: COMPARE, bits, scale: 0, reserved: 0, offset, mask, value }
    }

    /// The base moves on by `bytes`.
    #[must_use]
    pub const fn shift(bytes: u32) -> Self {
        Self { kind: SHIFT, bits: 0, scale: 0, reserved: 0, offset: bytes, mask: 0, value: 0 }
    }

    /// The base moves on by what stands in the message: `bits` bits at `offset`, masked, then shifted left by `scale`.
    #[must_use]
    pub const fn shift_by(offset: u32, bits: u8, mask: u32, scale: i8) -> Self {
        Self { kind: SHIFT_BY, bits, scale, reserved: 0, offset, mask, value: 0 }
    }

    /// The next atom's offset counts from as far behind the base as `bits` bits at `offset` say, masked, then shifted
    /// left by `scale`.
    #[must_use]
    pub const fn indirect(offset: u32, bits: u8, mask: u32, scale: i8) -> Self {
        Self { kind: INDIRECT, ..Self::shift_by(offset, bits, mask, scale) }
    }
}

/// A mask of the lowest `bits` bits.
const fn all(bits: u8) -> u32 {
    if bits >= 32 { u32::MAX } else { (1 << bits) - 1 }
}
