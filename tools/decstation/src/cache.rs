//! The two caches: direct mapped, physically indexed, write through, one tag a word.
//!
//! They hold copies, not views: a word that memory has lost sight of stays here until it is replaced or invalidated, as in
//! the machine. The instruction cache keeps each word decoded, so the interpreter's decoded code *is* the cache and needs no
//! invalidation of its own.

use crate::insn::{Insn, decode};

/// Words in each cache: 64 KB.
pub const WORDS: usize = 0x4000;
/// Tag: the word is valid.
pub const VALID: u32 = 1;
/// Tag: strict mode has something to say about this word, so the quick comparison must fail. In the data cache: not every
/// byte was ever written. In the instruction cache: never written, or memory has changed since the fill.
pub const SUSPECT: u32 = 2;

/// The tag of a valid word at this physical address.
pub const fn tag_of(pa: u32) -> u32 {
    pa & 0xffff_0000 | VALID
}

/// The index of the word at this physical address.
pub const fn index_of(pa: u32) -> usize {
    (pa as usize >> 2) & (WORDS - 1)
}

/// A word of the data cache.
#[derive(Clone, Copy, Debug, Default)]
pub struct DataWord {
    /// Address bits 31..16 and [`VALID`], [`SUSPECT`].
    pub tag: u32,
    /// The word.
    pub data: u32,
}

/// A word of the instruction cache.
#[derive(Clone, Copy, Debug)]
pub struct CodeWord {
    /// Address bits 31..16 and [`VALID`], [`SUSPECT`].
    pub tag: u32,
    /// The word.
    pub data: u32,
    /// The word decoded.
    pub insn: Insn,
}

impl CodeWord {
    /// A cached instruction word.
    pub fn new(tag: u32, data: u32) -> CodeWord {
        CodeWord { tag, data, insn: decode(data) }
    }
}

/// Both caches.
#[derive(Clone)]
pub struct Caches {
    /// The data cache.
    pub data: Box<[DataWord; WORDS]>,
    /// The instruction cache.
    pub code: Box<[CodeWord; WORDS]>,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The data cache.
    Data,
    /// The instruction cache.
    Code,
}

impl Default for Caches {
    fn default() -> Self {
        let code = vec![CodeWord { tag: 0, data: 0, insn: Insn::RESERVED }; WORDS];
        let data = vec![DataWord::default(); WORDS];
        let (Ok(code), Ok(data)) = (code.into_boxed_slice().try_into(), data.into_boxed_slice().try_into()) else {
            unreachable!("both have WORDS elements")
        };
        Caches { data, code }
    }
}

impl Caches {
    /// The tag and the data held for this address, whether or not they belong to it.
    pub fn get(&self, which: Which, pa: u32) -> (u32, u32) {
        let i = index_of(pa);
        match which {
            Which::Data => (self.data[i].tag, self.data[i].data),
            Which::Code => (self.code[i].tag, self.code[i].data),
        }
    }

    /// Replaces tag and data.
    pub fn set(&mut self, which: Which, pa: u32, tag: u32, data: u32) {
        let i = index_of(pa);
        match which {
            Which::Data => self.data[i] = crate::cache::DataWord { tag, data },
            Which::Code => self.code[i] = CodeWord::new(tag, data),
        }
    }

    /// Invalidates the word at this index, whatever its address.
    pub fn invalidate(&mut self, which: Which, pa: u32) {
        let i = index_of(pa);
        match which {
            Which::Data => self.data[i].tag = 0,
            Which::Code => self.code[i].tag = 0,
        }
    }

    /// Invalidates every word of both.
    pub fn invalidate_all(&mut self) {
        self.data.iter_mut().for_each(|word| word.tag = 0);
        self.code.iter_mut().for_each(|word| word.tag = 0);
    }

    /// Whether the word at this address is held.
    pub fn holds(&self, which: Which, pa: u32) -> bool {
        self.get(which, pa).0 & !SUSPECT == tag_of(pa)
    }
}
