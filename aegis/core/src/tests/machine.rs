//! A simulated machine, and a kernel's tables: what the rules are tested on.

extern crate std;

use crate::audit::Binding;
use crate::capability::Key;
use crate::contexts::ContextId;
use crate::environments::{Environments, State};
use crate::frames::{Frames, SEARCH_STEP, Verifier};
use crate::hardware::{Hardware, SOFTWARE_TLB_ENTRIES, entry_index};
use crate::mappings::Page;
use crate::network::Network;
use crate::slices::Slices;
use crate::system::System;
use aegis_abi::ash;
use aegis_abi::env::DirectoryEntry;
use aegis_abi::frame::{Capability, FREE, Frame, PUBLIC};
use aegis_abi::network::{self, Descriptor, FILTERS, Installed};
use aegis_abi::public::Statistics;
use aegis_abi::slice::{COUNT, Slice};
use aegis_abi::vm::PAGE_SHIFT;
use aegis_abi::{EnvId, Error};
use aegis_dpf::{Block, Edge, Engine, Filter, Memory, Node, buddy};
use std::collections::{BTreeMap, BTreeSet};
use std::vec;
use std::vec::Vec;

/// The record of nobody.
pub const NOBODY: u32 = 0x8005_0f00;
/// Where the software TLB is.
const SOFTWARE_TLB: u32 = 0x8005_8000;
const TLB_ENTRIES: usize = 64;
/// Of the instruction cache.
const COLOURS: u32 = 4;

/// The tables, which the kernel has at fixed addresses.
pub struct Tables {
    frames: Vec<Frame>,
    verifiers: Vec<Verifier>,
    nonces: Vec<u64>,
    directory: [DirectoryEntry; EnvId::COUNT],
    states: [State; EnvId::COUNT],
    slices: [Slice; COUNT],
    filters: [network::Entry; FILTERS],
    engine: EngineTables,
    statistics: Statistics,
}

/// The memory of the engine that tells messages apart.
struct EngineTables {
    filters: Vec<Filter>,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    buckets: Vec<u16>,
    code: Vec<u32>,
    code_blocks: Vec<Block>,
    tables: Vec<u32>,
    table_blocks: Vec<Block>,
}

impl EngineTables {
    const NODES: usize = 256;
    const CODE: usize = 16 * 1024;
    const TABLES: usize = 4 * 1024;

    fn new() -> Self {
        Self {
            filters: vec![Filter::default(); FILTERS],
            nodes: vec![Node::default(); Self::NODES],
            edges: vec![Edge::default(); FILTERS + Self::NODES],
            buckets: vec![0; 256],
            code: vec![0; Self::CODE],
            code_blocks: vec![Block::default(); Self::CODE / buddy::UNIT],
            tables: vec![0; Self::TABLES],
            table_blocks: vec![Block::default(); Self::TABLES / buddy::UNIT],
        }
    }

    fn engine(&mut self) -> Engine<'_> {
        Engine::new(Memory {
            filters: &mut self.filters,
            nodes: &mut self.nodes,
            edges: &mut self.edges,
            buckets: &mut self.buckets,
            code: &mut self.code,
            code_at: 0x8010_0000,
            code_blocks: &mut self.code_blocks,
            tables: &mut self.tables,
            tables_at: 0x8020_0000,
            table_blocks: &mut self.table_blocks,
        })
    }
}

impl Tables {
    /// For as many frames, full of garbage.
    pub fn new(frames: usize) -> Self {
        Self {
            frames: vec![Frame { owner: 17, binding: 18 }; frames],
            verifiers: vec![Verifier { write: [19; 2], read: [20; 2] }; frames],
            nonces: vec![21; frames],
            directory: [DirectoryEntry { synchronous: 22, asynchronous: 23, runnable: 24, record: 25 }; EnvId::COUNT],
            states: [State::NONE; EnvId::COUNT],
            slices: [Slice { owner: 26, runner: 27 }; COUNT],
            filters: [network::Entry { owner: 28, frame: 29 }; FILTERS],
            engine: EngineTables::new(),
            statistics: Statistics::default(),
        }
    }

    /// A machine with a system of these tables: frame 0 is the kernel's, frame 1 public, the rest free.
    pub fn machine(&mut self) -> Machine<'_> {
        let key = || Key(*b"sixteen of these");
        let mut frames = Frames::new(&mut self.frames, &mut self.verifiers, &mut self.nonces, &key());
        frames.set_owner_at_boot(1, PUBLIC);
        for frame in 2..frames.len() {
            frames.set_owner_at_boot(frame, FREE);
        }
        let tlbs = Tlbs { contents: vec![DIRT; frames.len() as usize], ..Tlbs::default() };
        let environments = Environments::new(&mut self.directory, &mut self.states, NOBODY);
        let network = Network::new(self.engine.engine(), &mut self.filters);
        let slices = Slices::new(&mut self.slices);
        let system = System::new(frames, environments, slices, network, &mut self.statistics, key());
        Machine { system, tlbs }
    }
}

/// An entry of the TLB or the software TLB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    pub context: u8,
    pub page: u32,
    pub frame: u32,
    pub write: bool,
    /// Who entered it, and when, by the tester's count.
    pub by: EnvId,
    pub epoch: u32,
}

impl Entry {
    fn is_for(&self, context: u8, page: u32) -> bool {
        self.context == context && self.page == page
    }
}

/// What is in a frame that nobody has scrubbed.
pub const DIRT: u32 = 0xd1d1;

/// The TLB, the software TLB, and what is in each frame.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tlbs {
    tlb: Vec<Entry>,
    software: BTreeMap<u32, Entry>,
    pub contents: Vec<u32>,
    pub flushes: u32,
    pub scrubs: u32,
    /// Frames that the instruction cache may have lines of: all that were mapped since they were flushed.
    pub fetched: BTreeSet<u32>,
    /// What is noted of filters, by frame.
    pub installed: BTreeMap<u32, Installed>,
    /// What is noted of handlers, by frame.
    pub handlers: BTreeMap<u32, ash::Installed>,
    /// What stands in rings, by frame and place.
    pub rings: BTreeMap<(u32, u32), Descriptor>,
}

/// The address of the tag for a page in a context.
pub fn slot(context: u8, page: u32) -> u32 {
    let hash = (u32::from(context) * 11 % 64) << 6;
    SOFTWARE_TLB + ((page ^ hash) % SOFTWARE_TLB_ENTRIES) * 4
}

impl Tlbs {
    /// Enters a mapping into both; what was there for the page, or in its place, goes.
    fn enter(&mut self, entry: Entry) {
        self.software.insert(entry_index(slot(entry.context, entry.page)), entry);
        self.enter_tlb(entry);
    }

    /// The victim, where there is one, is as good as random.
    fn enter_tlb(&mut self, entry: Entry) {
        self.tlb.retain(|old| !old.is_for(entry.context, entry.page));
        if self.tlb.len() == TLB_ENTRIES {
            self.tlb.swap_remove((entry.page * 29 + entry.frame * 7) as usize % TLB_ENTRIES);
        }
        if entry.write && self.contents[entry.frame as usize] == 0 {
            self.contents[entry.frame as usize] = DIRT;
        }
        self.fetched.insert(entry.frame);
        self.tlb.push(entry);
    }

    /// The TLB loses an entry.
    pub fn evict(&mut self, n: usize) {
        if !self.tlb.is_empty() {
            self.tlb.swap_remove(n % self.tlb.len());
        }
    }

    /// A miss of the TLB: it gets what the software TLB has for the page.
    pub fn refill(&mut self, context: u8, page: u32) {
        if let Some(&entry) = self.software.get(&entry_index(slot(context, page)))
            && entry.is_for(context, page)
        {
            self.enter_tlb(entry);
        }
    }

    /// Misses of the TLB on everything.
    pub fn refill_all(&mut self) {
        let entries: Vec<_> = self.software.values().copied().collect();
        entries.into_iter().for_each(|entry| self.enter_tlb(entry));
    }

    /// What a page is mapped to, if either holds it.
    pub fn find(&self, context: u8, page: u32) -> Option<Entry> {
        self.entries().map(|(_, entry)| entry).find(|entry| entry.is_for(context, page))
    }

    /// All entries, and whether each is the software TLB's.
    pub fn entries(&self) -> impl Iterator<Item = (bool, Entry)> {
        let tlb = self.tlb.iter().map(|&entry| (false, entry));
        tlb.chain(self.software.values().map(|&entry| (true, entry)))
    }

    /// Whether anything maps a frame.
    pub fn maps(&self, frame: u32) -> bool {
        self.entries().any(|(_, entry)| entry.frame == frame)
    }

    /// As the audit wants them.
    pub fn bindings(&self) -> impl Iterator<Item = Binding> {
        self.entries().map(|(in_software_tlb, Entry { context, page, frame, write, .. })| Binding {
            context,
            page,
            slot: slot(context, page),
            frame,
            write,
            in_software_tlb,
        })
    }
}

impl Hardware for Tlbs {
    fn unbind_slot(&mut self, slot: u32, frame: u32) {
        let index = entry_index(slot);
        if self.software.get(&index).is_some_and(|entry| entry.frame == frame) {
            self.software.remove(&index);
        }
    }

    fn unbind_tlb(&mut self, frame: u32) {
        self.tlb.retain(|entry| entry.frame != frame);
    }

    fn unbind_range(&mut self, frame: u32, from: u32, count: u32) {
        assert!(count <= SEARCH_STEP && from + count <= SOFTWARE_TLB_ENTRIES);
        self.software.retain(|index, entry| !(from..from + count).contains(index) || entry.frame != frame);
    }

    fn flush(&mut self) {
        self.tlb.clear();
        self.software.clear();
        self.flushes += 1;
    }

    fn copy(&mut self, from: u32, to: u32) {
        assert!(from != to);
        self.contents[to as usize] = self.contents[from as usize];
    }

    fn zero(&mut self, frame: u32) {
        self.contents[frame as usize] = 0;
        self.installed.remove(&frame);
        self.scrubs += 1;
    }

    fn flush_instructions(&mut self, frame: u32) {
        self.fetched.retain(|other| !(other ^ frame).is_multiple_of(COLOURS));
    }

    fn colours(&self) -> u32 {
        COLOURS
    }

    fn installed(&mut self, frame: u32) -> &mut Installed {
        self.contents[frame as usize] = DIRT;
        self.installed.entry(frame).or_insert(Installed::NONE)
    }

    fn handler(&mut self, frame: u32) -> &mut ash::Installed {
        self.contents[frame as usize] = DIRT;
        self.handlers.entry(frame).or_insert(ash::Installed::NONE)
    }

    fn descriptor(&mut self, ring: u32, place: u32) -> Descriptor {
        self.rings.get(&(ring, place)).copied().unwrap_or_default()
    }

    fn set_length(&mut self, ring: u32, place: u32, bytes: u32) {
        self.contents[ring as usize] = DIRT;
        self.rings.entry((ring, place)).or_default().length = bytes;
    }
}

/// A system and its machine.
pub struct Machine<'a> {
    pub system: System<'a>,
    pub tlbs: Tlbs,
}

impl Machine<'_> {
    /// An environment of the two frames from `frame` on, which are free, that takes all transfers and has begun.
    pub fn environment(&mut self, frame: u32) -> EnvId {
        let id = self.system.env_create_at_boot(frame, record(frame)).expect("two free frames");
        self.system.open(id, true, true, true);
        self.system.begin(id);
        id
    }

    /// What the gate of `tlb_write` does: whether the caller could map the page.
    pub fn map(&mut self, caller: EnvId, page: u32, frame: u32, write: bool, shown: Capability, epoch: u32) -> bool {
        let Self { system, tlbs } = self;
        let fast = frame < system.frames.len() && {
            let verifier = system.frames.verifier(frame);
            let tag = if write { verifier.write } else { verifier.read };
            system.frames.owner(frame) == caller.0 || shown.0 == tag
        };
        if !fast && !system.may_bind(caller, frame, write, shown) {
            return false;
        }
        let ContextId(context) = system.context(tlbs, caller);
        system.bind(frame, slot(context, page));
        tlbs.enter(Entry { context, page, frame, write, by: caller, epoch });
        true
    }

    /// Maps a page that the caller may map.
    pub fn bind(&mut self, caller: EnvId, page: u32, frame: u32, shown: Capability) {
        assert!(self.map(caller, page, frame, false, shown, 0), "frame {frame} could not be mapped");
    }

    /// What `env_create` is asked for until it is done, which takes at least two calls.
    pub fn create(&mut self, caller: EnvId, frame: u32) -> (EnvId, Capability) {
        loop {
            match self.system.env_create(&mut self.tlbs, caller, frame, record(frame)) {
                Err(Error::Again) => {}
                result => return result.expect("two frames of the caller's"),
            }
        }
    }

    /// A page of a guaranteed mapping of a frame that is made now.
    pub fn guarantee(&self, frame: u32) -> Page {
        let frames = &self.system.frames;
        Page { frame: frame << PAGE_SHIFT, writable: true, owner: frames.owner(frame), stamp: frames.stamp() }
    }

    /// Checks all invariants.
    #[track_caller]
    pub fn audit(&self) {
        if let Err(violation) = self.system.audit(self.tlbs.bindings()) {
            panic!("{violation}");
        }
    }
}

/// The address of the record in a frame.
pub fn record(frame: u32) -> u32 {
    0x8000_0000 + frame * 4096
}
