//! What the kernel shows to every program, read from the model's memory: environments, slices, frames, the software TLB.

use std::mem::offset_of;

use aegis_abi::env::{DirectoryEntry, EnvId};
use aegis_abi::exception::SavePage;
use aegis_abi::frame::{self, FREEING, Frame};
use aegis_abi::public::{Public, Statistics};
use aegis_abi::slice::{self, Slice};
use aegis_abi::vm::{PAGE_BYTES, PAGE_SHIFT};
use aegis_abi::{VERSION, boot};
use decstation::Machine;

/// Physical address of the public page. The kernel has it at a fixed place (docs/kernel.md), as it has the next.
const PUBLIC: u32 = 0x5_2000;
/// Where the kernel keeps the address of the running environment's record.
const CURRENT: u32 = 0x5_0f00;
/// The segment in which the kernel has all memory.
const KSEG0: u32 = 0x8000_0000;

/// An environment that lives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Environment {
    /// Its id.
    pub id: u32,
    /// What it is called.
    pub name: String,
    /// Its words in the directory.
    pub entry: DirectoryEntry,
}

/// What of the frames belongs to whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// Nobody.
    Free,
    /// The kernel.
    Kernel,
    /// Everybody may read it.
    Public,
    /// The environment with this id.
    Environment(u32),
}

/// The public tables of a machine. Reading them has no effect on it.
pub struct Shown<'a>(pub &'a Machine);

impl Shown<'_> {
    fn word(&self, physical: u32) -> u32 {
        self.0.read_physical(physical).unwrap_or_default()
    }

    fn public(&self, field: usize) -> u32 {
        self.word(PUBLIC + field as u32)
    }

    /// Whether the kernel has come so far that there is something to see.
    pub fn is_up(&self) -> bool {
        self.public(offset_of!(Public, version)) == VERSION && self.public(offset_of!(Public, directory)) != 0
    }

    /// Slices that have begun.
    pub fn ticks(&self) -> u32 {
        self.public(offset_of!(Public, ticks))
    }

    /// The position in the slice vector that is running.
    pub fn position(&self) -> u32 {
        self.public(offset_of!(Public, position))
    }

    /// The slice vector.
    pub fn slices(&self) -> Vec<Slice> {
        let at = |i: usize| PUBLIC + (offset_of!(Public, slices) + i * size_of::<Slice>()) as u32;
        (0..slice::COUNT).map(|i| Slice { owner: self.word(at(i)), runner: self.word(at(i) + 4) }).collect()
    }

    /// The counters, by name.
    pub fn statistics(&self) -> Vec<(&'static str, u32)> {
        let of = |offset: usize| self.public(offset_of!(Public, statistics) + offset);
        vec![
            ("created", of(offset_of!(Statistics, created))),
            ("ended", of(offset_of!(Statistics, ended))),
            ("idle ticks", of(offset_of!(Statistics, idle))),
            ("guaranteed misses", of(offset_of!(Statistics, guaranteed))),
            ("demands", of(offset_of!(Statistics, demands))),
            ("met", of(offset_of!(Statistics, demands_met))),
            ("frames taken", of(offset_of!(Statistics, frames_repossessed))),
        ]
    }

    /// The owners of all frames there are.
    pub fn frames(&self) -> Vec<Owner> {
        let count = self.public(offset_of!(Public, frames)).min(frame::COUNT as u32);
        (0..count).map(|number| self.owner(number)).collect()
    }

    fn owner(&self, number: u32) -> Owner {
        let table = self.public(offset_of!(Public, frame_table));
        match self.word(table + number * size_of::<Frame>() as u32) {
            frame::FREE => Owner::Free,
            frame::KERNEL => Owner::Kernel,
            frame::PUBLIC => Owner::Public,
            id => Owner::Environment(id & !FREEING),
        }
    }

    /// How many of the software TLB's entries are valid.
    pub fn software_tlb(&self) -> usize {
        const ENTRIES: u32 = 4096;
        let tags = self.public(offset_of!(Public, software_tlb));
        // The EntryLo words are behind the tags.
        let valid = |i: &u32| self.word(tags + 4 * (ENTRIES + i)) & aegis_abi::vm::entry_lo::VALID != 0;
        (0..ENTRIES).filter(valid).count()
    }

    /// The environments that live, by index.
    pub fn environments(&self) -> Vec<Environment> {
        (0..EnvId::COUNT as u32).filter_map(|index| self.at(index)).collect()
    }

    fn at(&self, index: u32) -> Option<Environment> {
        let at = self.public(offset_of!(Public, directory)) + index * size_of::<DirectoryEntry>() as u32;
        let [synchronous, asynchronous, runnable, record] = [0, 4, 8, 12].map(|offset| self.word(at + offset));
        let entry = DirectoryEntry { synchronous, asynchronous, runnable, record };
        self.with(entry).filter(|environment| u32::from(EnvId(environment.id).index()) == index)
    }

    /// The environment whose words these are, if it lives: it owns the save page before its record.
    fn with(&self, entry: DirectoryEntry) -> Option<Environment> {
        let save = entry.record.checked_sub(KSEG0 + PAGE_BYTES)?;
        let Owner::Environment(id) = self.owner(save >> PAGE_SHIFT) else { return None };
        let at = save + offset_of!(SavePage, name) as u32;
        let bytes = (0..boot::NAME_BYTES as u32).map(|i| (self.word((at + i) & !3) >> ((at + i) % 4 * 8)) as u8);
        let name: Vec<u8> = bytes.take_while(|&byte| byte != 0).collect();
        let name = String::from_utf8_lossy(&name).chars().filter(|c| !c.is_control()).collect();
        Some(Environment { id, name, entry })
    }

    /// The environment that runs, or for which the kernel works; none while the kernel's functions run.
    pub fn running(&self) -> Option<Environment> {
        self.is_up().then(|| self.with(DirectoryEntry { record: self.word(CURRENT), ..Default::default() })).flatten()
    }
}
