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
pub use trie::{Edge, Node, PROOF_MAX, TABLE_WORK, WORK_MAX};

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
    /// The memory that was given is used up, a message would be more work than [`WORK_MAX`], or too many keys of a
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
        let is_near = |range: &&mut (u32, u32)| start <= range.1 && end >= range.0;
        let last = self.count.min(Self::MAX - 1);
        if let Some(range) = self.ranges.iter_mut().take(self.count).find(is_near) {
            *range = (range.0.min(start), range.1.max(end));
        } else if self.count < Self::MAX {
            self.ranges[last] = (start, end);
            self.count += 1;
        } else {
            let range = &mut self.ranges[last];
            *range = (range.0.min(start), range.1.max(end));
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
    /// The filter that was read last.
    canonical: Canonical,
    /// Where it belongs, if it was proved to be disjoint and nothing has changed since.
    place: Option<Place>,
    work: Work,
}

/// A piece of code that is to be generated because of a change.
#[derive(Clone, Copy)]
enum Piece {
    /// The block that begins with this node, which may be new.
    Block(u16),
    /// The block that this node is part of.
    Compile(u16),
    /// The block that begins with this node, which has become too long for its place; then what goes to it.
    Move(u16),
    /// The exit of this node.
    Exit(u16),
    /// The exits of nodes from that behind this edge on.
    Exits(u16),
    /// Whatever goes to the block that begins with this node.
    Relink(u16),
    /// The block of this node's values that are not compared where it is.
    Others(u16),
    /// What this edge leads to.
    Result(u16),
    /// This edge, behind which nothing is any more: it goes, and what leads nowhere then.
    Prune(u16),
    /// No code: how much work there is in the group behind this edge.
    Weigh(u16),
}

/// Edges that go in one piece.
const PRUNE_STEP: usize = 4;

/// Pieces that are left to be generated, in this order. Until that is done the code is none.
#[derive(Default)]
struct Work {
    pieces: [Option<Piece>; Self::MAX],
    /// Those from `next` up to `end` are left.
    next: usize,
    end: usize,
}

impl Work {
    /// Of one change.
    const MAX: usize = 8;

    fn push(&mut self, piece: Piece) {
        if self.is_empty() {
            (self.next, self.end) = (0, 0);
        }
        if let Some(free) = self.pieces.get_mut(self.end) {
            *free = Some(piece);
            self.end += 1;
        }
    }

    /// Puts another piece in the place of the one that was taken last.
    fn push_first(&mut self, piece: Piece) {
        self.next -= 1;
        self.pieces[self.next] = Some(piece);
    }

    fn pop(&mut self) -> Option<Piece> {
        if self.is_empty() {
            return None;
        }
        self.next += 1;
        self.pieces.get_mut(self.next - 1)?.take()
    }

    const fn is_empty(&self) -> bool {
        self.next == self.end
    }
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
        Self {
            trie: Trie::new(nodes, edges, filters, buckets),
            code,
            canonical: Canonical::new(),
            place: None,
            work: Work::default(),
        }
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
    pub fn insert(&mut self, owner: u32, atoms: &[Atom], allows: impl FnMut(u32) -> bool) -> Result<u16, Error> {
        self.read(atoms)?;
        self.prove(owner, allows)?;
        let filter = self.install(owner)?;
        while self.is_busy() {
            self.go_on();
        }
        Ok(filter)
    }

    /// The first part of an insertion, for who wants to pause between: checks the atoms.
    ///
    /// # Errors
    /// As for [`Engine::insert`].
    #[inline(never)]
    pub fn read(&mut self, atoms: &[Atom]) -> Result<(), Error> {
        self.place = None;
        self.canonical.read(atoms)
    }

    /// The second part: proves the filter that was read disjoint from those of other owners.
    ///
    /// # Errors
    /// As for [`Engine::insert`].
    #[inline(never)]
    pub fn prove(&mut self, owner: u32, mut allows: impl FnMut(u32) -> bool) -> Result<(), Error> {
        let Self { trie, canonical, .. } = self;
        let (place, open) = trie.place(canonical.steps())?;
        if let Place::End(edge) = place
            && trie.edge(edge).accept != 0
        {
            return Err(Error::Exists);
        }
        trie.prove(canonical, open, owner, &mut allows)?;
        self.place = Some(place);
        Ok(())
    }

    /// Steps of the filter that was read.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.canonical.steps().len()
    }

    /// The third part: installs the filter that was read, which is `owner`'s. What is left is to [go on](Engine::go_on)
    /// until nothing is; before that neither the code may be called nor another change be made.
    ///
    /// # Errors
    /// [`Error::Full`]; [`Error::Unproven`] if it was not proved, or if there was an insertion or a removal since.
    #[inline(never)]
    pub fn install(&mut self, owner: u32) -> Result<u16, Error> {
        let Self { trie, code, canonical, place, work } = self;
        let (place, steps) = (place.take().ok_or(Error::Unproven)?, canonical.steps());
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
            Place::Key(step, node) => Self::insert_key(trie, code, work, owner, &steps[step..], node),
            Place::Test(step, edge, before) => Self::insert_test(trie, work, owner, &steps[step..], edge, before),
        }
    }

    /// Does the next piece of what an installation or a removal has left to be done; false if there was none.
    #[inline(never)]
    pub fn go_on(&mut self) -> bool {
        let Self { trie, code, work, .. } = self;
        let Some(piece) = work.pop() else { return false };
        match piece {
            Piece::Block(node) => drop(code.compile_block(trie, node, true, true)),
            Piece::Compile(node) => {
                if let Some(root) = code.compile_in_place(trie, node, true) {
                    work.push_first(Piece::Move(root));
                }
            }
            Piece::Move(node) => {
                code.compile_block(trie, node, true, false);
                work.push_first(Piece::Relink(node));
            }
            Piece::Exit(node) => code.write_exit(trie, node),
            Piece::Exits(edge) => Self::write_exits(trie, code, edge),
            Piece::Relink(node) => code.relink(trie, node, true),
            Piece::Others(node) => code.compile_others(trie, node),
            Piece::Result(edge) => code.set_result(trie, edge, true),
            Piece::Weigh(edge) => trie.update_work(edge),
            Piece::Prune(edge) => {
                if let Some(next) = Self::prune(trie, code, edge) {
                    work.push(Piece::Prune(next));
                }
            }
        }
        true
    }

    /// Whether an installation or a removal has left something to be done.
    #[must_use]
    #[inline]
    pub fn is_busy(&self) -> bool {
        !self.work.is_empty()
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
        work: &mut Work,
        owner: u32,
        steps: &[canonical::Step],
        node: u16,
    ) -> Result<u16, Error> {
        let Some((first, rest)) = steps.split_first() else { return Err(Error::Malformed) };
        let Node { below, parent, .. } = *trie.node(node);
        let more = rest.len().saturating_sub(below.into()) + trie.own_work(node, 1) - trie.own_work(node, 0);
        if more > 0 && trie.work_with(parent, more) > WORK_MAX {
            return Err(Error::Full);
        }
        // Behind which value code goes on where the node is.
        let straight = trie.straight(node);
        let child = trie.edge(straight).child;
        let mut again = code.reserve(trie, node, first.key)?;
        let edge = trie.add_edge(node, first.key);
        let compares = Mode::of(trie.node(node).mode) == Mode::Compare;
        let mut others = trie.node(node).others() != 0;
        if !others && child != 0 && trie.node(child).block == 0 {
            if compares && trie.node(child).order != 0 {
                // It stays there, and only the branch before it changes.
                trie.node_mut(node).old.from = straight;
                others = true;
            } else {
                // It becomes one of several, a block of its own.
                work.push(Piece::Block(child));
                if !compares {
                    work.push(Piece::Result(straight));
                }
            }
        }
        let was_deep = trie.node(node).deep != 0;
        let end = trie.add_steps(edge, rest, owner);
        let filter = trie.add_filter(owner, end);
        trie.mark_owner(edge, owner);
        if !rest.is_empty() {
            work.push(Piece::Exits(edge));
            work.push(Piece::Block(trie.group(edge)));
            again |= !was_deep;
        }
        if more > 0 {
            trie.node_mut(node).below = below.max(rest.len() as u16);
            work.push(Piece::Weigh(parent));
        }
        if !compares {
            work.push(Piece::Result(edge));
        }
        if others {
            work.push(Piece::Others(node));
        } else if again {
            work.push(Piece::Compile(node));
        }
        Ok(filter)
    }

    /// Adds a filter that has another test in a group.
    fn insert_test(
        trie: &mut Trie,
        work: &mut Work,
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
        trie.node_mut(node).below = rest.len() as u16;
        trie.update_work(parent);
        // What was the first of the group becomes an alternative: a block of its own.
        let next = trie.node(node).next;
        if before == 0 && next != 0 && trie.node(next).block == 0 {
            work.push(Piece::Block(next));
        }
        work.push(Piece::Exit(node));
        work.push(Piece::Exits(edge));
        if Code::joins(trie, node) {
            work.push(Piece::Compile(node));
            return Ok(filter);
        }
        work.push(Piece::Block(node));
        work.push(Piece::Relink(node));
        if before != 0 && trie.node(before).block == 0 {
            work.push(Piece::Compile(before));
        }
        // A table all of whose results were filters now has an address.
        if parent != 0 {
            let of = trie.edge(parent).node;
            if Mode::of(trie.node(of).mode) != Mode::Compare && trie.node(of).deep == 1 {
                work.push(Piece::Compile(of));
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
        let removed = self.begin_to_remove(filter);
        while self.go_on() {}
        removed
    }

    /// The first part of a removal: the filter is out, and its number free. What is left is to [go on](Engine::go_on), as
    /// after an [installation](Engine::install); nothing is left of another.
    #[inline(never)]
    pub fn begin_to_remove(&mut self, filter: u16) -> bool {
        let Self { trie, code, place, work, .. } = self;
        *place = None;
        if trie.filters.get(usize::from(filter)).is_none_or(|filter| filter.owner == 0) {
            return false;
        }
        let edge = trie.remove_filter(filter);
        if trie.group(edge) == 0 {
            work.push(Piece::Prune(edge));
        } else {
            Self::end_changed(trie, code, edge, false);
        }
        true
    }

    /// Takes an edge out, behind which nothing is, and with it nodes and edges behind which nothing is then; the next of
    /// them, if there are more than one piece may take.
    fn prune(trie: &mut Trie, code: &mut Code, mut edge: u16) -> Option<u16> {
        for _ in 0..PRUNE_STEP {
            let (node, key) = (trie.edge(edge).node, trie.edge(edge).key);
            code.forget(trie, node, key);
            trie.remove_edge(edge);
            if trie.node(node).count > 0 {
                if Mode::of(trie.node(node).mode) == Mode::Compare {
                    code.value_gone(trie, node, edge);
                }
                return None;
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
                return None;
            }
            if parent == 0 {
                code.entry = code.reject();
                return None;
            }
            if trie.edge(parent).accept != 0 {
                trie.update_work(parent);
                code.set_result(trie, parent, false);
                return None;
            }
            edge = parent;
        }
        Some(edge)
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

    /// How much work a message may be, at most, counted in comparisons.
    #[must_use]
    pub fn work(&self) -> usize {
        self.trie.work(0)
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
