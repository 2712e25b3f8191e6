//! Names of environments.

/// The name of an environment (the paper's *processor environment*, section 5.2).
///
/// An index into the kernel's table and a generation that changes whenever the index is used again, so that an id never
/// comes to mean another environment; an index whose generations are used up is retired. Bit 31 is never set: as the
/// result of a call an id is not negative and no error. 0 is nobody's id.
///
/// The index stands at bit 4 because the directory that the hot paths look ids up in has entries of sixteen bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(transparent)]
pub struct EnvId(pub u32);

impl EnvId {
    /// How many environments can live at once.
    pub const COUNT: usize = 256;
    /// How far the index is shifted left.
    pub const INDEX_SHIFT: u32 = 4;
    /// The bits that hold the index.
    pub const INDEX_MASK: u32 = (Self::COUNT as u32 - 1) << Self::INDEX_SHIFT;
    /// How far the generation is shifted left. The first generation is 1.
    pub const GENERATION_SHIFT: u32 = 12;
    /// The last generation. An index that has reached it is retired.
    pub const LAST_GENERATION: u32 = 0x7_ffff;

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

    /// Which life of the index it is.
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.0 >> Self::GENERATION_SHIFT
    }
}

/// What the kernel knows an id by: one entry of the directory, which every program can read
/// ([`Public`](crate::public::Public)).
///
/// Each of the first three words is the environment's id while it can be entered in that way, and otherwise a *poison*
/// that differs from every id with this index; so one compare validates the party of a transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct DirectoryEntry {
    /// Its id, if it takes synchronous transfers and has a context id.
    pub synchronous: u32,
    /// Its id, if it takes asynchronous transfers and has a context id.
    pub asynchronous: u32,
    /// Its id, if it lives and has a context id: slices can be yielded to it.
    pub runnable: u32,
    /// The kernel's record of it, an address of the kernel's.
    pub record: u32,
}

impl DirectoryEntry {
    /// A word that no id with this index equals.
    #[must_use]
    pub const fn poison(index: u8) -> u32 {
        ((index ^ 0x80) as u32) << EnvId::INDEX_SHIFT
    }
}
