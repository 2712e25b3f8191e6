//! Dynamic packet filters (DPF): which program a message is for, decided by code that is generated as filters come and
//! go.
//!
//! The paper's section 5.6, and "DPF: Fast, Flexible Message Demultiplexing using Dynamic Code Generation" (SIGCOMM'96).
//! `docs/dpf.md` explains the language, the algorithm and the proof of disjointness; the language's types are in
//! [`aegis_abi::filter`].
//!
//! An [`Engine`] holds all filters. It allocates nothing: its memory is given to it. What a call of it does is bounded,
//! whatever it is passed.
//!
//! - [`canonical`]: atoms checked, and brought into one form
//! - `trie`: all filters merged; the proof that owners' filters are disjoint
//! - [`table`]: tables that generated code looks values up in
//! - `code`: the trie as MIPS I
//! - `interpret`: the trie as it is, to compare with
//! - [`buddy`]: blocks of memory

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod buddy;
pub mod canonical;
mod code;
mod interpret;
pub mod table;
mod trie;

pub use buddy::Block;
pub use code::SEARCH_MAX;
pub use trie::{Edge, Node, PROOF_MAX, WORK_MAX};

use aegis_abi::filter::Atom;
use canonical::Canonical;
use code::{Code, Mode};
use trie::{Place, Trie};

/// Why a filter is refused. Nothing has changed then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// It is none: an unknown kind, a size, mask, value or offset out of range, a field that is not used and not zero, two
    /// comparisons that contradict each other, or no comparison at the end.
    Malformed,
    /// It has more steps, bytes or levels than a filter may have.
    TooLong,
    /// There is a message that it and a filter of another owner, who does not allow it, may both accept.
    Overlaps,
    /// That there is none could not be proven within [`PROOF_MAX`].
    Unproven,
    /// The very same filter is there already.
    Exists,
    /// The memory that was given is used up, messages would visit more than [`WORK_MAX`] nodes, or too many keys of a
    /// table fall together.
    Full,
}

impl From<Error> for aegis_abi::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Malformed | Error::TooLong => Self::BadArgument,
            Error::Overlaps | Error::Unproven => Self::Denied,
            Error::Exists => Self::Busy,
            Error::Full => Self::Full,
        }
    }
}

/// A filter that is installed.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct Filter {
    /// Whose it is; 0 if there is none.
    owner: u32,
    /// The edge at which it ends.
    edge: u16,
}

/// The memory of an [`Engine`]. Entry 0 of `filters`, `nodes` and `edges` is not used, and no more than 2^16 of each are.
pub struct Memory<'m> {
    /// One for each filter.
    pub filters: &'m mut [Filter],
    /// Tests that filters share.
    pub nodes: &'m mut [Node],
    /// At least one for each filter.
    pub edges: &'m mut [Edge],
    /// Heads of the lists that edges are found by: a power of two.
    pub buckets: &'m mut [u16],
    /// The generated code, 32768 words at most, two for each node before all others.
    pub code: &'m mut [u32],
    /// Where the code will be executed: a multiple of 64, above 2^16.
    pub code_at: u32,
    /// One for every [`buddy::UNIT`] words of code.
    pub code_blocks: &'m mut [Block],
    /// The tables that code looks values up in.
    pub tables: &'m mut [u32],
    /// Where the code will see them: a multiple of 64.
    pub tables_at: u32,
    /// One for every [`buddy::UNIT`] words of tables.
    pub table_blocks: &'m mut [Block],
}

/// Words of generated code that have changed: the instruction cache must be made coherent before it is executed.
#[derive(Clone, Copy, Default, Debug)]
pub struct Changes {
    ranges: [(u32, u32); Self::MAX],
    count: usize,
}

impl Changes {
    const MAX: usize = 8;

    /// The ranges, in bytes from the beginning of the code: start and end.
    pub fn ranges(&self) -> impl Iterator<Item = (u32, u32)> {
        self.ranges.into_iter().take(self.count)
    }

    fn note(&mut self, first: u32, words: u32) {
        let (start, end) = (4 * first, 4 * (first + words));
        let last = self.count.min(Self::MAX) - usize::from(self.count == Self::MAX);
        for range in self.ranges.iter_mut().take(self.count) {
            if start <= range.1 && end >= range.0 {
                *range = (range.0.min(start), range.1.max(end));
                return;
            }
        }
        if self.count == Self::MAX {
            let range = &mut self.ranges[last];
            *range = (range.0.min(start), range.1.max(end));
        } else {
            self.ranges[last] = (start, end);
            self.count += 1;
        }
    }
}

/// What is left of an engine's memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// Filters, nodes and edges.
    pub entries: [usize; 3],
    /// Units of code and of tables.
    pub units: [usize; 2],
}

/// All filters: what they are, and the code that tells them apart.
pub struct Engine<'m> {
    trie: Trie<'m>,
    code: Code<'m>,
    canonical: Canonical,
}

impl<'m> Engine<'m> {
    /// Without any filter. Clears `buckets` and `tables`, and all blocks.
    ///
    /// # Panics
    /// If the memory is not as [`Memory`] says.
    #[must_use]
    pub fn new(memory: Memory<'m>) -> Self {
        let Memory { filters, nodes, edges, buckets, code, code_at, code_blocks, tables, tables_at, table_blocks } =
            memory;
        assert!(buckets.len().is_power_of_two(), "as many buckets as no power of two");
        assert!(code.len() <= 1 << 15 && code.len() >= 2 * nodes.len(), "{} words of code", code.len());
        assert!(code_at.is_multiple_of(64) && tables_at.is_multiple_of(64) && code_at >> 16 != 0, "addresses");
        assert!(16 * code_blocks.len() <= code.len() && 16 * table_blocks.len() <= tables.len(), "blocks");
        assert!(!nodes.is_empty() && !edges.is_empty() && !filters.is_empty(), "nobody has no entry");
        let code = Code::new(code, code_at, code_blocks, tables, tables_at, table_blocks, nodes.len());
        Self { trie: Trie::new(nodes, edges, filters, buckets), code, canonical: Canonical::new() }
    }

    /// Installs a filter of `owner`, which is neither 0 nor `u32::MAX`. It gets messages from now on; its number, which
    /// is not 0.
    ///
    /// It is refused unless it is provably disjoint from the filters of every other owner, or of those `allows` says
    /// that they, given by owner, allow it.
    ///
    /// # Errors
    /// See [`Error`].
    #[inline(never)]
    pub fn insert(&mut self, owner: u32, atoms: &[Atom], mut allows: impl FnMut(u32) -> bool) -> Result<u16, Error> {
        let Self { trie, code, canonical } = self;
        canonical.read(atoms)?;
        let steps = canonical.steps();
        let place = trie.place(steps)?;
        if let Place::End(edge) = place
            && trie.edge(edge).accept != 0
        {
            return Err(Error::Exists);
        }
        trie.prove(canonical, owner, &mut allows)?;
        let (more, left) = match place {
            Place::End(_) => (0, 0),
            Place::Key(step, _) => (steps.len() - step - 1, steps.len() - step),
            Place::Test(step, ..) => (steps.len() - step, steps.len() - step),
        };
        if !code.has_room() || !trie.has_room(more, left) {
            return Err(Error::Full);
        }
        match place {
            Place::End(edge) => Ok(Self::insert_end(trie, code, owner, edge)),
            Place::Key(step, node) => Self::insert_key(trie, code, owner, &steps[step..], node),
            Place::Test(step, edge, before) => Self::insert_test(trie, code, owner, &steps[step..], edge, before),
        }
    }

    /// Adds a filter at an edge behind which others go on.
    fn insert_end(trie: &mut Trie, code: &mut Code, owner: u32, edge: u16) -> u16 {
        let filter = trie.add_filter(owner, edge);
        trie.mark_owner(edge, owner);
        Self::end_changed(trie, code, edge, true);
        filter
    }

    /// Generates what depends on whether a filter ends at an edge behind which there is a group.
    fn end_changed(trie: &mut Trie, code: &mut Code, edge: u16, join: bool) {
        let first = trie.group(edge);
        if let Some(last) = trie.alternatives(edge).last() {
            code.write_exit(trie, last);
        }
        if trie.node(first).block == 0 {
            code.compile(trie, first, join);
        }
    }

    /// Adds a filter that wants another value of a node.
    fn insert_key(
        trie: &mut Trie,
        code: &mut Code,
        owner: u32,
        steps: &[canonical::Step],
        node: u16,
    ) -> Result<u16, Error> {
        let Some((first, rest)) = steps.split_first() else { return Err(Error::Malformed) };
        let below = usize::from(trie.node(node).below);
        if !rest.is_empty() && trie.work_with(trie.node(node).parent, rest.len().saturating_sub(below)) > WORK_MAX {
            return Err(Error::Full);
        }
        // What was the only path becomes one of several: a block of its own.
        let only = if trie.node(node).count == 1 { trie.edge(trie.node(node).edges).child } else { 0 };
        let mut again = code.reserve(trie, node, first.key)?;
        let edge = trie.add_edge(node, first.key);
        if only != 0 && trie.node(only).block == 0 {
            code.compile_block(trie, only, true);
        }
        let was_deep = trie.node(node).deep != 0;
        let end = trie.add_steps(edge, rest, owner);
        let filter = trie.add_filter(owner, end);
        trie.mark_owner(edge, owner);
        if !rest.is_empty() {
            trie.update_work(trie.node(trie.edge(end).node).parent);
            Self::write_exits(trie, code, edge);
            code.compile_block(trie, trie.group(edge), true);
            again |= !was_deep;
        }
        if Mode::of(trie.node(node).mode) != Mode::Compare {
            code.set_result(trie, edge, true);
        }
        if again {
            code.compile(trie, node, true);
        }
        Ok(filter)
    }

    /// Adds a filter that has another test in a group.
    fn insert_test(
        trie: &mut Trie,
        code: &mut Code,
        owner: u32,
        steps: &[canonical::Step],
        parent: u16,
        before: u16,
    ) -> Result<u16, Error> {
        let Some((first, rest)) = steps.split_first() else { return Err(Error::Malformed) };
        if trie.work_with(parent, steps.len()) > WORK_MAX {
            return Err(Error::Full);
        }
        let node = trie.add_node(parent, before, first.test, owner);
        let edge = trie.add_edge(node, first.key);
        let end = trie.add_steps(edge, rest, owner);
        let filter = trie.add_filter(owner, end);
        trie.mark_owner(parent, owner);
        trie.update_work(trie.node(trie.edge(end).node).parent);
        // What was the first of the group becomes an alternative: a block of its own.
        let next = trie.node(node).next;
        if before == 0 && next != 0 && trie.node(next).block == 0 {
            code.compile_block(trie, next, true);
        }
        code.write_exit(trie, node);
        Self::write_exits(trie, code, edge);
        if Code::joins(trie, node) {
            code.compile(trie, node, true);
            return Ok(filter);
        }
        code.compile_block(trie, node, true);
        code.relink(trie, node, true);
        if before != 0 && trie.node(before).block == 0 {
            code.compile(trie, before, true);
        }
        // A table all of whose results were filters now has an address.
        if parent != 0 {
            let of = trie.edge(parent).node;
            if Mode::of(trie.node(of).mode) != Mode::Compare && trie.node(of).deep == 1 {
                code.compile(trie, of, true);
            }
        }
        Ok(filter)
    }

    /// Writes the exits of nodes that are new, from that behind an edge on.
    fn write_exits(trie: &Trie, code: &mut Code, edge: u16) {
        let mut node = trie.group(edge);
        while node != 0 {
            code.write_exit(trie, node);
            node = trie.group(trie.node(node).edges);
        }
    }

    /// Takes a filter out; false if there is none with this number.
    pub fn remove(&mut self, filter: u16) -> bool {
        let Self { trie, code, .. } = self;
        if trie.filters.get(usize::from(filter)).is_none_or(|filter| filter.owner == 0) {
            return false;
        }
        let mut edge = trie.remove_filter(filter);
        if trie.group(edge) != 0 {
            Self::end_changed(trie, code, edge, false);
            return true;
        }
        // The edge goes, and with it every node and edge behind which nothing is then.
        loop {
            let (node, key) = (trie.edge(edge).node, trie.edge(edge).key);
            code.forget(trie, node, key);
            trie.remove_edge(edge);
            if trie.node(node).count > 0 {
                if Mode::of(trie.node(node).mode) == Mode::Compare {
                    code.compile(trie, node, false);
                }
                return true;
            }
            let (parent, before) = (trie.node(node).parent, trie.before(node));
            code.free_tables(trie, node);
            code.free_block(trie, node);
            trie.remove_node(node);
            let first = trie.group(parent);
            if first != 0 {
                trie.update_work(parent);
                match before {
                    0 => code.relink(trie, first, false),
                    _ => code.write_exit(trie, before),
                }
                return true;
            }
            if parent == 0 {
                code.entry = code.reject();
                return true;
            }
            if trie.edge(parent).accept != 0 {
                trie.update_work(parent);
                code.set_result(trie, parent, false);
                return true;
            }
            edge = parent;
        }
    }

    /// Whose filter this is.
    #[must_use]
    pub fn owner(&self, filter: u16) -> Option<u32> {
        self.trie.filters.get(usize::from(filter)).map(|filter| filter.owner).filter(|&owner| owner != 0)
    }

    /// Where the generated code begins: a function of a message's address and its length that gives the number of the
    /// filter that gets it, or 0.
    ///
    /// The message lies at 2 modulo 4, and has at least [`MESSAGE_MIN`](aegis_abi::filter::MESSAGE_MIN) bytes and at
    /// most 65535. The address changes as filters come and go.
    #[must_use]
    pub fn entry(&self) -> u32 {
        self.code.entry
    }

    /// What has changed of the code since the last call.
    pub fn take_changes(&mut self) -> Changes {
        core::mem::take(&mut self.code.changes)
    }

    /// What is left of the memory. A filter needs some blocks of code even if its own is short.
    #[must_use]
    pub fn room(&self) -> Room {
        Room { entries: self.trie.room(), units: self.code.room() }
    }

    /// The generated code.
    #[must_use]
    pub fn code(&self) -> &[u32] {
        self.code.words()
    }

    /// Its tables.
    #[must_use]
    pub fn tables(&self) -> &[u32] {
        self.code.tables()
    }

    /// The number of the filter that gets a message, found without the code.
    #[must_use]
    #[inline(never)]
    pub fn interpret(&self, message: &[u8]) -> u16 {
        interpret::interpret(&self.trie, message)
    }
}
