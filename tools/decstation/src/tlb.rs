//! The 64-entry translation lookaside buffer.

use borsh::{BorshDeserialize, BorshSerialize};

/// Number of entries.
pub const ENTRIES: usize = 64;
/// Entries that `tlbwr` never replaces.
pub const WIRED: u32 = 8;

/// EntryHi: the virtual page number.
pub const HI_VPN: u32 = 0xffff_f000;
/// EntryHi: the address space identifier, bits 11 to 6.
pub const HI_ASID: u32 = 0x0000_0fc0;
/// EntryLo: non-cacheable.
pub const LO_N: u32 = 0x800;
/// EntryLo: dirty, that is writable.
pub const LO_D: u32 = 0x400;
/// EntryLo: valid.
pub const LO_V: u32 = 0x200;
/// EntryLo: global, matches in every address space.
pub const LO_G: u32 = 0x100;
/// EntryLo: bits that exist.
pub const LO_MASK: u32 = 0xffff_ff00;
/// EntryHi: bits that exist.
pub const HI_MASK: u32 = HI_VPN | HI_ASID;

/// One entry, as `tlbr` reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TlbEntry {
    /// Virtual page number and address space identifier.
    pub hi: u32,
    /// Physical frame number and the bits N, D, V and G.
    pub lo: u32,
}

impl TlbEntry {
    /// Whether the entry translates this page for this address space. Validity plays no part.
    pub fn matches(&self, va: u32, asid: u32) -> bool {
        (self.hi ^ va) & HI_VPN == 0 && (self.lo & LO_G != 0 || (self.hi ^ asid) & HI_ASID == 0)
    }

    /// Whether both entries can match one reference. Pages of kseg0 and kseg1 are never looked up, so software parks
    /// unused entries there.
    pub fn conflicts(&self, other: &TlbEntry) -> bool {
        let mapped = self.hi < 0x8000_0000 || self.hi >= 0xc000_0000;
        mapped
            && (self.hi ^ other.hi) & HI_VPN == 0
            && ((self.lo | other.lo) & LO_G != 0 || (self.hi ^ other.hi) & HI_ASID == 0)
    }
}

/// What a lookup found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// No entry.
    None,
    /// This entry.
    One(usize),
    /// More than one: the R3000 turns its TLB off and sets Status.TS.
    Several,
}

/// The array of entries.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub struct Tlb {
    entries: [TlbEntry; ENTRIES],
}

impl Default for Tlb {
    /// As the PROM leaves it: every entry parked on its own page of kseg0.
    fn default() -> Self {
        Tlb { entries: std::array::from_fn(|i| TlbEntry { hi: 0x8000_0000 | (i as u32) << 12, lo: 0 }) }
    }
}

impl Tlb {
    /// All entries, in order.
    pub fn entries(&self) -> &[TlbEntry; ENTRIES] {
        &self.entries
    }

    /// The entry at `index` (taken modulo the size).
    pub fn read(&self, index: usize) -> TlbEntry {
        self.entries[index % ENTRIES]
    }

    /// Replaces an entry; returns the one it replaces.
    pub fn write(&mut self, index: usize, entry: TlbEntry) -> TlbEntry {
        let entry = TlbEntry { hi: entry.hi & HI_MASK, lo: entry.lo & LO_MASK };
        std::mem::replace(&mut self.entries[index % ENTRIES], entry)
    }

    /// Looks an address up, as a reference or `tlbp` does.
    pub fn lookup(&self, va: u32, asid: u32) -> Match {
        let mut found = Match::None;
        for (i, entry) in self.entries.iter().enumerate() {
            if entry.matches(va, asid) {
                if found != Match::None {
                    return Match::Several;
                }
                found = Match::One(i);
            }
        }
        found
    }

    /// Another entry that can match what the one at `index` matches.
    pub fn conflict(&self, index: usize) -> Option<usize> {
        let entry = self.entries[index % ENTRIES];
        (0..ENTRIES).find(|&i| i != index % ENTRIES && entry.conflicts(&self.entries[i]))
    }
}
