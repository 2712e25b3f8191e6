//! Names of environments.

/// The name of an environment (the paper's *processor environment*, section 5.2).
///
/// An index into the kernel's table and a generation that changes whenever the index is used again, so that an id never
/// comes to mean another environment. Bit 31 is never set: as the result of a call an id is not negative and no error.
///
/// The index stands at bit 3 because the table that the hot paths look ids up in has entries of eight bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct EnvId(pub u32);

impl EnvId {
    /// How far the index is shifted left.
    pub const INDEX_SHIFT: u32 = 3;
    /// The bits that hold the index: at most 256 environments.
    pub const INDEX_MASK: u32 = 0xff << Self::INDEX_SHIFT;
    /// How far the generation is shifted left.
    pub const GENERATION_SHIFT: u32 = 11;
    /// The last generation. An index that has reached it is retired.
    pub const LAST_GENERATION: u32 = 0xf_ffff;

    /// The name of the environment at `index` in its `generation`-th life.
    #[must_use]
    pub const fn new(index: u8, generation: u32) -> Self {
        Self((generation & Self::LAST_GENERATION) << Self::GENERATION_SHIFT | (index as u32) << Self::INDEX_SHIFT)
    }

    /// Its index in the kernel's table.
    #[must_use]
    pub const fn index(self) -> u8 {
        (self.0 >> Self::INDEX_SHIFT) as u8
    }
}
