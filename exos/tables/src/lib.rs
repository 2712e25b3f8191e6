//! Page tables as data: what a page is mapped to, in three forms that a program chooses from.
//!
//! - [`TwoLevel`]: a directory of leaves of 1024 entries, ours and the default
//! - [`Linear`]: a vector that is looked up by binary search, the paper's (its Table 13, *original*)
//! - [`Inverted`]: a hashed one, with a chain for each value (Table 13, *inverted*)
//!
//! A table is words in [`Memory`], at addresses that the assembly of a miss knows; so each form says where its words
//! are. An entry is any word but 0, which stands for a page that is not mapped.

#![no_std]
#![forbid(unsafe_code)]

mod inverted;
mod linear;
mod two_level;

pub use inverted::Inverted;
pub use linear::Linear;
pub use two_level::TwoLevel;

/// Bytes of a page of a table's.
pub const PAGE_BYTES: u32 = 4096;
/// Pages of user space.
pub const PAGES: u32 = 0x8_0000;
/// The most pages that a table's memory has.
pub const TABLE_PAGES: u32 = 16;

/// The memory in which a table is: words by their addresses, which are multiples of 4.
pub trait Memory {
    /// The word at an address of the table's.
    fn read(&self, address: u32) -> u32;
    /// Sets it.
    fn write(&mut self, address: u32, word: u32);
    /// One more page of zeros for the table, right behind the last one; `None` if there is none.
    fn page(&mut self) -> Option<u32>;
    /// A page of zeros that nobody writes to.
    fn empty(&self) -> u32;
}

/// A form of a table. `root` is the address of its [`ROOT`](Self::ROOT) words, of which the rest is found. Page numbers
/// are below [`PAGES`].
pub trait PageTable {
    /// Words of the root.
    const ROOT: usize;

    /// Makes an empty table of a root whose words all are [`Memory::empty`]; false if there is no memory for it.
    fn begin(memory: &mut impl Memory, root: u32) -> bool;

    /// The numbers of the root's words that may be other than that.
    fn words(memory: &impl Memory, root: u32) -> impl Iterator<Item = u32>;

    /// Makes an empty table of whatever is at the root; false if there is no memory for it.
    fn clear(memory: &mut impl Memory, root: u32) -> bool {
        let empty = memory.empty();
        let mut place = root;
        let whole = root + 4 * (Self::ROOT as u32 / 8 * 8);
        while place != whole {
            for word in 0..8 {
                memory.write(place + 4 * word, empty);
            }
            place += 32;
        }
        while place != root + 4 * Self::ROOT as u32 {
            memory.write(place, empty);
            place += 4;
        }
        Self::begin(memory, root)
    }

    /// Where the entry of a page is, if it is mapped.
    fn find(memory: &impl Memory, root: u32, page: u32) -> Option<u32>;

    /// Where the entry of a page is or is to be, which the caller then sets to other than 0; `None` if there is no
    /// memory for it.
    fn make(memory: &mut impl Memory, root: u32, page: u32) -> Option<u32>;

    /// Unmaps a page.
    fn remove(memory: &mut impl Memory, root: u32, page: u32);

    /// The first page from `from` on that is mapped.
    fn next(memory: &impl Memory, root: u32, from: u32) -> Option<u32>;

    /// Tells where the entries of those of `count` pages from `page` on are that are mapped. Among them may be words of
    /// pages that are not mapped, which are 0.
    fn runs(memory: &impl Memory, root: u32, page: u32, count: u32, visit: impl FnMut(Run));
}

/// Entries that lie in a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// The address of the first.
    pub place: u32,
    /// How many; at least one.
    pub count: u32,
    /// Bytes from one to the next.
    pub step: u32,
}
