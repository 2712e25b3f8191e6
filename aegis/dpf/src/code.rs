//! Code generation: a trie as MIPS I.
//!
//! The code is a function of the message's address and its length that returns the number of the filter, or 0. It
//! changes `$at`, `$v0`, `$a2`, `$a3`, `$t0` to `$t5`, and reads nothing but the message and the tables.
//!
//! | register | holds |
//! |---|---|
//! | `$a0` | the message, which is the base of level 0 |
//! | `$a1` | its length |
//! | `$a2`, `$a3`, `$t4`, `$t5` | the bases of levels 1 to 4 |
//! | `$t0` | what a comparison loaded, masked |
//! | `$t1` to `$t3` | scratch |
//! | `$v0` | the result |
//!
//! Code is generated in *blocks*. A block begins with a node and goes on along the path, through nodes with one edge, as
//! far as that goes; what comes after a node with several edges has blocks of its own, and so have alternatives.
//!
//! Each node has an *exit*, two instructions at a place of its own, where all go that find nothing behind it: to its
//! next alternative, or, after the last one, to the filter that ends before the group, or to the exit of the node before.
//! So a block can be generated again, or a group get another alternative, without a change to code elsewhere.

use crate::buddy::{Block, Buddy, UNIT};
use crate::canonical::{Test, Width};
use crate::table::{self, GROUP, LARGE, SIZE_MAX, SIZE_MIN, Slots, Table, home_mask};
use crate::trie::Trie;
use crate::{Changes, Error};
use aegis_codegen::{Assembler, Label, Register, encode};

/// How the values of a node are looked up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// One comparison after the other, or, from [`COMPARES_MAX`] values on, a binary search.
    Compare,
    /// An array by value.
    Array,
    /// A table of keys.
    Keys,
}

impl Mode {
    pub(crate) const fn of(mode: u8) -> Self {
        match mode {
            0 => Self::Compare,
            1 => Self::Array,
            _ => Self::Keys,
        }
    }
}

/// So many values are compared one after the other.
const COMPARES_MAX: usize = 3;
/// So many at most are searched for without a table.
pub const SEARCH_MAX: usize = 8;
/// An array for less than that many values has no more than this many results.
const DENSE: u32 = 16;

/// The order of the largest block of code: no path needs more than its 1024 words.
const ORDER_MAX: usize = 6;
/// What must be to be had before a filter is inserted, in blocks of that order.
const BLOCKS_SPARE: usize = 4;

const MESSAGE: Register = Register::A0;
const LENGTH: Register = Register::A1;
const BASES: [Register; 5] = [MESSAGE, Register::A2, Register::A3, Register::T4, Register::T5];
const RESULT: Register = Register::V0;
const X: Register = Register::T0;
const T1: Register = Register::T1;
const T2: Register = Register::T2;
const T3: Register = Register::T3;
const ZERO: Register = Register::ZERO;

/// Bytes of an exit.
const EXIT: u32 = 8;

/// The generated code and its tables.
pub(crate) struct Code<'m> {
    words: &'m mut [u32],
    /// The address of the first word.
    at: u32,
    blocks: Buddy<'m>,
    tables: &'m mut [u32],
    tables_at: u32,
    table_blocks: Buddy<'m>,
    pub(crate) changes: Changes,
    /// Where the function begins.
    pub(crate) entry: u32,
}

impl<'m> Code<'m> {
    /// `nodes` is how many nodes there can be.
    pub(crate) fn new(
        words: &'m mut [u32],
        at: u32,
        blocks: &'m mut [Block],
        tables: &'m mut [u32],
        tables_at: u32,
        table_blocks: &'m mut [Block],
        nodes: usize,
    ) -> Self {
        tables.fill(0);
        let units = (2 * nodes).div_ceil(UNIT);
        let blocks = Buddy::new(blocks, units);
        let table_blocks = Buddy::new(table_blocks, 0);
        let mut code =
            Self { words, at, blocks, tables, tables_at, table_blocks, changes: Changes::default(), entry: at };
        // The exit of nobody, for messages that nobody wants.
        code.put_exit(0, accepting(0));
        code
    }

    fn exit(&self, node: u16) -> u32 {
        self.at + EXIT * u32::from(node)
    }

    /// The address of a unit of code.
    fn address(&self, unit: u16) -> u32 {
        self.at + (4 * UNIT) as u32 * u32::from(unit)
    }

    /// Whether there is room for whatever inserting a filter may take, tables aside.
    pub(crate) fn has_room(&self) -> bool {
        self.blocks.has(BLOCKS_SPARE, ORDER_MAX)
    }

    /// Writes the exit of a node.
    pub(crate) fn write_exit(&mut self, trie: &Trie, node: u16) {
        let of = trie.node(node);
        let edge = trie.edge(of.parent);
        let filter = if of.parent == 0 { 0 } else { edge.accept };
        let target = match of.next {
            0 if of.parent == 0 || filter != 0 => return self.put_exit(node, accepting(filter)),
            0 => self.exit(edge.node),
            next => self.address(trie.node(next).block),
        };
        // All of the code is within reach of a branch.
        let distance = target.wrapping_sub(self.exit(node) + 4) as i32 >> 2;
        self.put_exit(node, [encode::b(distance as i16), encode::nop()]);
    }

    fn put_exit(&mut self, node: u16, words: [u32; 2]) {
        let first = 2 * usize::from(node);
        if let Some(place) = self.words.get_mut(first..first + 2) {
            place.copy_from_slice(&words);
            self.changes.note(first as u32, 2);
        }
    }

    /// Whether a node may be a part of the block before it.
    pub(crate) fn joins(trie: &Trie, node: u16) -> bool {
        let parent = trie.node(node).parent;
        parent != 0 && trie.group(parent) == node && trie.straight(trie.edge(parent).node) == parent
    }

    /// Generates the block again that a node is part of, from that node on, and whatever refers to it if it had to move.
    ///
    /// With `join`, nodes that may now be a part of it become so. Without, the code gets no longer than it was if there
    /// are not more keys than there were, and so does not move.
    pub(crate) fn compile(&mut self, trie: &mut Trie, node: u16, join: bool) {
        if let Some(root) = self.compile_in_place(trie, node, join)
            && self.compile_block(trie, root, join, !join)
        {
            self.relink(trie, root, join);
        }
    }

    /// The same if it need not move; otherwise the node that the block begins with, which has to be generated elsewhere.
    pub(crate) fn compile_in_place(&mut self, trie: &mut Trie, mut node: u16, join: bool) -> Option<u16> {
        // The node to begin with, and the one that the block begins with.
        let mut from = 0;
        while trie.node(node).block == 0 && trie.node(node).parent != 0 {
            if from == 0 && trie.node(node).order != 0 {
                from = node;
            }
            node = trie.edge(trie.node(node).parent).node;
        }
        let (block, order) = (trie.node(node).block.into(), trie.node(node).order.into());
        if block == 0 {
            return Some(node);
        }
        let from = if from == 0 { node } else { from };
        self.gather(trie, from, join);
        match self.emit_block(trie, from, block, order) {
            Some(_) => None,
            None => Some(node),
        }
    }

    /// Makes a node that begins a block what is gone to, by whoever comes to its group or from the alternative before.
    pub(crate) fn relink(&mut self, trie: &mut Trie, root: u16, join: bool) {
        let before = trie.before(root);
        if before != 0 {
            return self.write_exit(trie, before);
        }
        let address = self.address(trie.node(root).block);
        let parent = trie.node(root).parent;
        if parent == 0 {
            self.entry = address;
            return;
        }
        self.set_result(trie, parent, join);
    }

    /// Makes what an edge leads to known to its node.
    pub(crate) fn set_result(&mut self, trie: &mut Trie, edge: u16, join: bool) {
        let (node, key) = (trie.edge(edge).node, trie.edge(edge).key);
        let of = trie.node(node);
        if of.others() != 0 && of.inline() != edge {
            return self.compile_others(trie, node);
        }
        if Mode::of(of.mode) == Mode::Compare {
            return self.compile(trie, node, join);
        }
        let result = self.result(trie, edge);
        match Mode::of(of.mode) {
            Mode::Array => {
                let words = self.array(of.table);
                if let Some(place) = words.get_mut((key as usize).wrapping_sub(of.table.from.into())) {
                    *place = result;
                }
            }
            _ => {
                let _ = self.slots(of.table).replace(key, result) || self.slots(of.old).replace(key, result);
            }
        }
    }

    /// What an edge leads to, as tables have it.
    fn result(&self, trie: &Trie, edge: u16) -> u32 {
        match trie.edge(edge).child {
            0 => trie.edge(edge).accept.into(),
            child => self.address(trie.node(child).block),
        }
    }

    /// Generates the block that begins with a node, in its place if that is to be tried; whether it is now elsewhere.
    pub(crate) fn compile_block(&mut self, trie: &mut Trie, root: u16, join: bool, in_place: bool) -> bool {
        let estimate = self.gather(trie, root, join);
        let (block, order) = (usize::from(trie.node(root).block), usize::from(trie.node(root).order));
        if in_place && block != 0 && self.emit_block(trie, root, block, order).is_some() {
            return false;
        }
        // The estimate may be too low; the largest block never is.
        for try_order in [Buddy::order(estimate), ORDER_MAX] {
            let Some(unit) = self.blocks.take(try_order) else { continue };
            let of = trie.node_mut(root);
            (of.block, of.order) = (unit as u16, try_order as u8);
            let Some(len) = self.emit_block(trie, root, unit, try_order) else {
                self.blocks.give(unit, try_order);
                continue;
            };
            let fits = Buddy::order(len);
            self.blocks.shrink(unit, try_order, fits);
            if block != 0 {
                self.blocks.give(block, order);
            }
            trie.node_mut(root).order = fits as u8;
            return true;
        }
        let of = trie.node_mut(root);
        (of.block, of.order) = (block as u16, order as u8);
        // `has_room` sees to it that this does not happen. If it did, nobody would get a message rather than the wrong one.
        self.entry = self.at;
        false
    }

    /// Puts nodes together that may be in one block; about how many words it will have.
    fn gather(&mut self, trie: &mut Trie, root: u16, join: bool) -> usize {
        let mut words = 0;
        let mut node = root;
        loop {
            let of = trie.node(node);
            let child = trie.edge(trie.straight(node)).child;
            if child == 0 {
                let tables = if Mode::of(of.mode) == Mode::Compare { 0 } else { 28 };
                return words + 8 + tables + 6 * usize::from(of.count).min(SEARCH_MAX);
            }
            words += if of.test.compares() { 5 } else { 12 };
            if trie.node(child).block != 0 {
                if !join {
                    return words + 2;
                }
                self.free_block(trie, child);
            }
            node = child;
        }
    }

    /// Generates the block of a node's values that are not compared where the node is.
    pub(crate) fn compile_others(&mut self, trie: &mut Trie, node: u16) {
        let of = trie.node(node);
        let (old, old_order) = (usize::from(of.others()), usize::from(of.old.size));
        // So many words are enough, whatever the values lead to.
        let order = Buddy::order(8 + 8 * usize::from(of.count));
        if old != 0 && old_order >= order {
            self.emit_others(trie, node, old, old_order);
            return;
        }
        let Some(unit) = self.blocks.take(order) else {
            // As in `compile_block`.
            self.entry = self.at;
            return;
        };
        let of = trie.node_mut(node);
        (of.old.at, of.old.size) = (unit as u16, order as u8);
        self.emit_others(trie, node, unit, order);
        if old != 0 {
            self.blocks.give(old, old_order);
        }
        self.go_to_others(trie, node);
    }

    fn emit_others(&mut self, trie: &mut Trie, node: u16, unit: usize, order: usize) -> Option<()> {
        let first = unit * UNIT;
        let place = self.words.get_mut(first..first + (UNIT << order))?;
        let asm = Assembler::new(place, self.at + 4 * first as u32);
        let mut emitter = Emitter { asm, trie, at: self.at, tables_at: self.tables_at };
        emitter.load(emitter.trie.node(node).test);
        emitter.search_values(node, emitter.exit(node));
        let len = emitter.asm.finish().ok()?;
        self.changes.note(first as u32, len as u32);
        Some(())
    }

    /// Has the code of a node go to that block, which is elsewhere now.
    fn go_to_others(&mut self, trie: &mut Trie, node: u16) {
        let child = trie.node(trie.edge(trie.node(node).inline()).child);
        // The branch of its comparison, and its slot, are just before what goes on.
        let Some(branch) = usize::from(child.order).checked_sub(2).filter(|_| child.block == 0) else {
            return self.compile(trie, node, true);
        };
        let mut root = node;
        while trie.node(root).block == 0 && trie.node(root).parent != 0 {
            root = trie.edge(trie.node(root).parent).node;
        }
        let at = UNIT * usize::from(trie.node(root).block) + branch;
        let distance = (UNIT * usize::from(trie.node(node).others())).wrapping_sub(at + 1);
        if let Some(word) = self.words.get_mut(at) {
            *word = *word & 0xffff_0000 | distance as u32 & 0xffff;
            self.changes.note(at as u32, 1);
        }
    }

    /// Gives back a node's block of other values.
    pub(crate) fn free_others(&mut self, trie: &mut Trie, node: u16) {
        let of = trie.node_mut(node);
        if of.others() != 0 {
            let Table { at, size, .. } = core::mem::take(&mut of.old);
            self.blocks.give(at.into(), size.into());
        }
    }

    /// Generates what has changed since a value of a node is gone that was compared, and there are others.
    pub(crate) fn value_gone(&mut self, trie: &mut Trie, node: u16, edge: u16) {
        let of = trie.node_mut(node);
        if of.others() == 0 {
        } else if of.inline() == edge {
            of.old.from = 0;
        } else if of.count > 1 || of.inline() == 0 {
            return self.compile_others(trie, node);
        } else {
            self.free_others(trie, node);
        }
        self.compile(trie, node, false);
    }

    /// Gives back a node's block.
    pub(crate) fn free_block(&mut self, trie: &mut Trie, node: u16) {
        let of = trie.node_mut(node);
        if of.block != 0 {
            self.blocks.give(of.block.into(), of.order.into());
            (of.block, of.order) = (0, 0);
        }
    }

    /// Emits a block, from a node on that it begins with or is part of; how many words it has, if it fits.
    fn emit_block(&mut self, trie: &mut Trie, from: u16, unit: usize, order: usize) -> Option<usize> {
        let (first, words) = (unit * UNIT, UNIT << order);
        let place = self.words.get_mut(first..first + words)?;
        let mut asm = Assembler::new(place, self.at + 4 * first as u32);
        let of = trie.node(from);
        // Behind a comparison there is a slot that its load may go into.
        let open = trie.node(trie.edge(of.parent).node).test.compares();
        let before = if of.block == 0 { usize::from(of.order) } else { 0 };
        asm.resume(before, open);
        let len = Emitter { asm, trie, at: self.at, tables_at: self.tables_at }.path(from)?;
        let start = before.saturating_sub(1);
        self.changes.note((first + start) as u32, (len - start) as u32);
        Some(len)
    }

    // --- Tables. -----------------------------------------------------------------------------------------------------

    fn words_of(&mut self, table: Table, words: usize) -> &mut [u32] {
        let first = usize::from(table.at.saturating_sub(1)) * UNIT;
        let words = if table.at == 0 { 0 } else { words };
        self.tables.get_mut(first..first + words).unwrap_or_default()
    }

    fn array(&mut self, table: Table) -> &mut [u32] {
        self.words_of(table, usize::from(table.size) + 1)
    }

    fn slots(&mut self, table: Table) -> Slots<'_> {
        let words = self.words_of(table, 2 << table.size);
        Slots { words, size: table.size, function: table.hash }
    }

    fn take_table(&mut self, words: usize) -> Result<u16, Error> {
        let unit = self.table_blocks.take(Buddy::order(words)).ok_or(Error::Full)?;
        Ok(unit as u16 + 1)
    }

    fn give_table(&mut self, table: Table, words: usize) {
        if table.at != 0 {
            self.table_blocks.give(usize::from(table.at) - 1, Buddy::order(words));
        }
    }

    /// Gives back the tables of a node that has no edges.
    pub(crate) fn free_tables(&mut self, trie: &mut Trie, node: u16) {
        self.free_others(trie, node);
        let of = trie.node_mut(node);
        let (mode, table, old) = (Mode::of(of.mode), of.table, of.old);
        (of.mode, of.table, of.old) = (0, Table::default(), Table::default());
        match mode {
            Mode::Compare => {}
            Mode::Array => self.free_array(table),
            Mode::Keys => {
                self.free_slots(table);
                self.free_slots(old);
            }
        }
    }

    fn free_array(&mut self, table: Table) {
        self.array(table).fill(0);
        self.give_table(table, usize::from(table.size) + 1);
    }

    fn free_slots(&mut self, table: Table) {
        self.slots(table).close();
        self.give_table(table, 2 << table.size);
    }

    /// Makes room for one more value of a node, whose result is not known yet. Whether the node's code must be
    /// generated again.
    ///
    /// # Errors
    /// [`Error::Full`]; then nothing has changed.
    pub(crate) fn reserve(&mut self, trie: &mut Trie, node: u16, key: u32) -> Result<bool, Error> {
        /// Stands for a result until there is one.
        const SOME: u32 = 1;
        let of = trie.node(node);
        let (mode, count) = (Mode::of(of.mode), usize::from(of.count) + 1);
        let is_byte = of.test.width() == Width::Byte;
        if mode != Mode::Keys && is_byte {
            let old = of.table;
            if mode == Mode::Array && (old.from.into()..=u32::from(old.from) + u32::from(old.size)).contains(&key) {
                return Ok(false);
            }
            let keys = trie.edges_of(node).take(256).map(|edge| trie.edge(edge).key);
            let (low, high) = keys.fold((key, key), |(low, high), key| (low.min(key), high.max(key)));
            let dense = high - low < DENSE;
            if mode == Mode::Compare && count <= SEARCH_MAX && !(dense && count > COMPARES_MAX) {
                return Ok(true);
            }
            // One of all values need never be made again.
            let (low, size) = if dense { (low, (high - low) as u8) } else { (0, u8::MAX) };
            let at = self.take_table(usize::from(size) + 1)?;
            if mode == Mode::Array {
                self.free_array(old);
            }
            self.free_others(trie, node);
            let of = trie.node_mut(node);
            of.table = Table { at, from: low as u16, size, ..Table::default() };
            of.mode = Mode::Array as u8;
            self.fill(trie, node);
            return Ok(true);
        }
        if mode == Mode::Compare {
            if count <= SEARCH_MAX {
                return Ok(true);
            }
            let keys = trie.edges_of(node).map(|edge| trie.edge(edge).key).chain([key]);
            let table = self.new_slots(SIZE_MIN, table::choose(keys, SIZE_MIN))?;
            self.free_others(trie, node);
            let of = trie.node_mut(node);
            (of.table, of.mode) = (table, Mode::Keys as u8);
            self.fill(trie, node);
        }
        let of = trie.node_mut(node);
        let homes = 1_u32 << (of.table.size - 1);
        let crowded = 8 * u32::from(of.table.count) >= 5 * homes && of.table.size < SIZE_MAX;
        if !crowded && self.slots(of.table).insert(key, SOME) {
            of.table.count += 1;
            return Ok(self.move_some(trie, node) || mode == Mode::Compare);
        }
        // Only one table at a time is emptied, and a table that is nearly empty is not what is short of room.
        if of.old.at != 0 || of.table.size >= SIZE_MAX || 8 * u32::from(of.table.count) < homes && of.table.size > 9 {
            return Err(Error::Full);
        }
        let size = if of.table.size < 12 { of.table.size + 2 } else { of.table.size + 1 };
        let keys = trie.edges_of(node).take(GROUP).map(|edge| trie.edge(edge).key).chain([key]);
        let mut table = self.new_slots(size, table::choose(keys, size))?;
        self.slots(table).insert(key, SOME);
        table.count = 1;
        let of = trie.node_mut(node);
        of.old = core::mem::replace(&mut of.table, table);
        Ok(true)
    }

    fn new_slots(&mut self, size: u8, hash: u8) -> Result<Table, Error> {
        let at = self.take_table(2 << size)?;
        let table = Table { at, size, hash, ..Table::default() };
        self.slots(table).open();
        Ok(table)
    }

    /// Puts what a node's edges lead to into its table, which is new.
    fn fill(&mut self, trie: &mut Trie, node: u16) {
        let mut edge = trie.node(node).edges;
        while edge != 0 {
            let (key, result) = (trie.edge(edge).key, self.result(trie, edge));
            let table = trie.node(node).table;
            match Mode::of(trie.node(node).mode) {
                Mode::Array => {
                    if let Some(place) = self.array(table).get_mut((key as usize).wrapping_sub(table.from.into())) {
                        *place = result;
                    }
                }
                _ => {
                    // Any group has room for what was searched for until now.
                    self.slots(table).insert(key, result);
                    trie.node_mut(node).table.count += 1;
                }
            }
            edge = trie.edge(edge).next;
        }
    }

    /// Moves a group of the table that is being emptied, or frees that if it is empty: not both in one call, which is to be
    /// short. Whether it has gone.
    fn move_some(&mut self, trie: &mut Trie, node: u16) -> bool {
        let (mut table, mut old) = (trie.node(node).table, trie.node(node).old);
        if old.at == 0 {
            return false;
        }
        if old.count == 0 {
            self.free_slots(old);
            trie.node_mut(node).old = Table::default();
            return true;
        }
        while let Some([key, result]) = self.slots(old).any(old.from.into()) {
            if !self.slots(table).insert(key, result) {
                break;
            }
            self.slots(old).remove(key);
            old.count -= 1;
            table.count += 1;
        }
        old.from = (old.from + 1) % ((1_u32 << old.size) / GROUP as u32) as u16;
        let of = trie.node_mut(node);
        (of.table, of.old) = (table, old);
        false
    }

    /// Where code goes that nobody's message comes to.
    pub(crate) fn reject(&self) -> u32 {
        self.at
    }

    /// Takes a value out of a node's table.
    pub(crate) fn forget(&mut self, trie: &mut Trie, node: u16, key: u32) {
        let of = trie.node_mut(node);
        match Mode::of(of.mode) {
            Mode::Compare => {}
            Mode::Array => {
                let from = usize::from(of.table.from);
                if let Some(place) = self.array(of.table).get_mut((key as usize).wrapping_sub(from)) {
                    *place = 0;
                }
            }
            Mode::Keys => {
                if self.slots(of.table).remove(key) {
                    of.table.count -= 1;
                } else if self.slots(of.old).remove(key) {
                    of.old.count -= 1;
                }
            }
        }
    }

    /// Units that are left of code and of tables.
    pub(crate) fn room(&self) -> [usize; 2] {
        [self.blocks.available(0), self.table_blocks.available(0)]
    }

    pub(crate) fn words(&self) -> &[u32] {
        self.words
    }

    pub(crate) fn tables(&self) -> &[u32] {
        self.tables
    }
}

/// Returns the number of a filter.
const fn accepting(filter: u16) -> [u32; 2] {
    [encode::jr(Register::RA), encode::ori(RESULT, ZERO, filter)]
}

fn accept(asm: &mut Assembler, filter: u16) {
    asm.words(accepting(filter), false);
}

const NOP: u32 = encode::nop();

/// Makes `$t1` a number: one word or two, the second of which is 0 if it is one.
const fn number(number: u32) -> [u32; 2] {
    let (upper, lower) = ((number >> 16) as u16, number as u16);
    match (upper, lower) {
        (0xffff, 0x8000..) => [encode::addiu(T1, ZERO, lower as i16), 0],
        (0, _) => [encode::ori(T1, ZERO, lower), 0],
        (_, 0) => [encode::lui(T1, upper), 0],
        _ => [encode::lui(T1, upper), encode::ori(T1, T1, lower)],
    }
}

/// Goes on with what a table gave: the number of a filter...
const GO_ON: [u32; 2] = [encode::jr(Register::RA), encode::nop()];
/// ...or the address of code.
const GO_ON_DEEP: [u32; 7] = [
    encode::srl(T1, RESULT, 16),
    encode::bne(T1, ZERO, 3),
    encode::nop(),
    encode::jr(Register::RA),
    encode::nop(),
    encode::jr(RESULT),
    encode::nop(),
];

/// Emits the code of one block.
struct Emitter<'a, 'm> {
    asm: Assembler<'a>,
    trie: &'a mut Trie<'m>,
    at: u32,
    tables_at: u32,
}

impl Emitter<'_, '_> {
    fn exit(&self, node: u16) -> u32 {
        self.at + EXIT * u32::from(node)
    }

    fn block(&self, node: u16) -> u32 {
        self.at + (4 * UNIT) as u32 * u32::from(self.trie.node(node).block)
    }

    /// Where a node's values are compared that are not where it is.
    fn others(&self, node: u16) -> u32 {
        self.at + (4 * UNIT) as u32 * u32::from(self.trie.node(node).others())
    }

    /// Where is gone to from a block's node that finds nothing.
    fn fail(&self, mut node: u16) -> u32 {
        loop {
            let of = self.trie.node(node);
            let parent = self.trie.edge(of.parent);
            // Where nothing else can be found, failing here is failing before.
            if of.block != 0 || of.parent == 0 || of.next != 0 || parent.accept != 0 {
                return self.exit(node);
            }
            node = parent.node;
        }
    }

    /// The block from `node` on; how many words it has in all, or nothing if it does not fit.
    fn path(&mut self, mut node: u16) -> Option<usize> {
        let mut fail = self.fail(node);
        loop {
            let of = self.trie.node(node);
            let (test, straight) = (of.test, self.trie.straight(node));
            let edge = self.trie.edge(straight);
            if straight == 0 {
                if of.others() != 0 {
                    let others = self.others(node);
                    self.asm.b_to(others);
                } else {
                    self.load(test);
                    self.disjunction(node, fail);
                }
                break;
            }
            if test.compares() {
                let otherwise = if of.others() != 0 { self.others(node) } else { fail };
                self.compare(test, edge.key, otherwise);
            } else {
                self.open_level(test, fail);
            }
            let edge = self.trie.edge(straight);
            if edge.child == 0 {
                accept(&mut self.asm, edge.accept);
                break;
            }
            node = edge.child;
            let accepts = edge.accept != 0;
            let child = self.trie.node(node);
            if child.block != 0 {
                let block = self.block(node);
                self.asm.b_to(block);
                break;
            }
            if child.next != 0 || accepts {
                fail = self.exit(node);
            }
            self.trie.node_mut(node).order = u8::try_from(self.asm.len()).unwrap_or(0);
        }
        self.asm.finish().ok()
    }

    /// Compares, and goes on if that is equal.
    fn compare(&mut self, test: Test, key: u32, fail: u32) {
        let (base, offset) = (BASES[test.level()], test.offset() as i16);
        let load = match test.width() {
            Width::Word => encode::lw(X, offset, base),
            Width::Half => encode::lhu(X, offset, base),
            _ => encode::lbu(X, offset, base),
        };
        if matches!(test.width(), Width::WordAnywhere | Width::HalfAnywhere) || test.mask() != test.width().all() {
            self.load(test);
            self.unless_equal(key, fail);
        } else {
            // The number is made while what is loaded arrives.
            let branch = encode::bne(X, T1, 0);
            match number(key) {
                [one, 0] => self.asm.words_to([load, one, branch, NOP], true, fail),
                [one, two] => self.asm.words_to([load, one, two, branch, NOP], true, fail),
            }
        }
    }

    /// Goes elsewhere unless what was loaded is `key`.
    fn unless_equal(&mut self, key: u32, to: u32) {
        match key {
            0 => self.asm.bne_to(X, ZERO, to),
            _ => self.branch(key, encode::bne(X, T1, 0), to),
        }
    }

    /// Makes `$t1` a number, and branches.
    #[inline(never)]
    fn branch(&mut self, key: u32, branch: u32, to: u32) {
        match number(key) {
            [one, 0] => self.asm.words_to([one, branch, NOP], true, to),
            [one, two] => self.asm.words_to([one, two, branch, NOP], true, to),
        }
    }

    /// Makes `$t1` a number.
    fn number(&mut self, key: u32) {
        match number(key) {
            [one, 0] => self.asm.words([one], true),
            both => self.asm.words(both, true),
        }
    }

    /// Checks the length, and computes the base of a level.
    #[inline(never)]
    fn open_level(&mut self, test: Test, fail: u32) {
        let asm = &mut self.asm;
        if test.level() == 0 {
            asm.sltiu(T1, LENGTH, test.need() as i16);
            asm.bne_to(T1, ZERO, fail);
            // What comes next may read what is not there.
            asm.keep_slot();
            return;
        }
        let (from, base, load) = (BASES[test.from()], BASES[test.level()], test.load());
        asm.speculate(|asm| asm.lbu(T1, load.offset as i16, from));
        // The end of the message, while the byte arrives.
        asm.addu(T2, MESSAGE, LENGTH);
        for n in 1..load.bytes {
            asm.lbu(T3, (load.offset + n) as i16, from);
            asm.sll(T1, T1, 8);
            asm.or(T1, T1, T3);
        }
        if load.mask != u32::MAX >> (32 - 8 * load.bytes) {
            if load.mask >> 16 == 0 {
                asm.andi(T1, T1, load.mask as u16);
            } else {
                asm.li(T3, load.mask);
                asm.and(T1, T1, T3);
            }
        }
        match load.scale {
            0 => {}
            left @ 1.. => asm.sll(T1, T1, left as u8),
            right => asm.srl(T1, T1, -right as u8),
        }
        asm.addu(base, from, T1);
        asm.addiu(T1, base, test.need() as i16);
        asm.sltu(T1, T2, T1);
        asm.bne_to(T1, ZERO, fail);
        asm.keep_slot();
    }

    /// Loads and masks what a comparison looks at.
    #[inline(never)]
    fn load(&mut self, test: Test) {
        let (base, offset) = (BASES[test.level()], test.offset() as i16);
        let asm = &mut self.asm;
        asm.speculate_load(match test.width() {
            Width::Word => encode::lw(X, offset, base),
            Width::WordAnywhere => encode::lwr(X, offset, base),
            Width::Half => encode::lhu(X, offset, base),
            Width::HalfAnywhere | Width::Byte => encode::lbu(X, offset, base),
        });
        match test.width() {
            Width::WordAnywhere => asm.lwl(X, offset + 3, base),
            Width::HalfAnywhere => {
                asm.lbu(T1, offset + 1, base);
                asm.sll(T1, T1, 8);
                asm.or(X, X, T1);
            }
            Width::Word | Width::Half | Width::Byte => {}
        }
        let mask = test.mask();
        if mask == test.width().all() {
        } else if mask >> 16 == 0 {
            asm.andi(X, X, mask as u16);
        } else {
            asm.li(T2, mask);
            asm.and(X, X, T2);
        }
    }

    /// Looks up a value of which there are several, and goes on to what it leads to.
    fn disjunction(&mut self, node: u16, fail: u32) {
        let of = self.trie.node(node);
        match Mode::of(of.mode) {
            Mode::Compare => self.search_values(node, fail),
            Mode::Array => self.array(of.table, of.deep != 0, fail),
            Mode::Keys => {
                let (table, old) = (of.table, of.old);
                let (wide, deep) = (of.test.width().bytes() == 4, of.deep != 0);
                self.slots(table, wide, deep, fail, old.at != 0);
                if old.at != 0 {
                    self.slots(old, wide, deep, fail, false);
                }
            }
        }
    }

    /// Compares a node's values, but for one that was compared already.
    fn search_values(&mut self, node: u16, fail: u32) {
        let mut edges = [0; SEARCH_MAX];
        let mut count = 0;
        let compared = self.trie.node(node).inline();
        for edge in self.trie.edges_of(node).filter(|&edge| edge != compared).take(SEARCH_MAX) {
            // In ascending order of their keys.
            let key = self.trie.edge(edge).key;
            let mut place = count;
            while place > 0 && self.trie.edge(edges[place - 1]).key > key {
                edges[place] = edges[place - 1];
                place -= 1;
            }
            edges[place] = edge;
            count += 1;
        }
        self.search(&edges[..count], fail);
    }

    /// A binary search among edges in ascending order of their keys; the last few are compared one by one.
    fn search(&mut self, keys: &[u16], fail: u32) {
        if keys.len() > COMPARES_MAX {
            let (below, above) = keys.split_at(keys.len() / 2);
            let mut left = Label::new();
            self.number(self.trie.edge(above[0]).key);
            self.asm.sltu(T2, X, T1);
            self.asm.bne(T2, ZERO, &mut left);
            self.search(above, fail);
            self.asm.bind(&mut left);
            return self.search(below, fail);
        }
        let mut found = [const { Label::new() }; COMPARES_MAX];
        for (n, &edge) in keys.iter().enumerate() {
            let &crate::Edge { key, child, accept: filter, .. } = self.trie.edge(edge);
            let last = n + 1 == keys.len();
            match (child, last) {
                (0, false) => {
                    self.number(key);
                    self.asm.beq(X, T1, &mut found[n]);
                }
                (0, true) => {
                    self.unless_equal(key, fail);
                    accept(&mut self.asm, filter);
                }
                (child, _) => {
                    let block = self.block(child);
                    self.branch(key, encode::beq(X, T1, 0), block);
                    if last {
                        self.asm.b_to(fail);
                    }
                }
            }
        }
        for (label, &edge) in found.iter_mut().zip(keys).take(keys.len().saturating_sub(1)) {
            let &crate::Edge { child, accept: filter, .. } = self.trie.edge(edge);
            if child == 0 {
                self.asm.bind(label);
                accept(&mut self.asm, filter);
            }
        }
    }

    /// Goes on with the result in `$v0`, which is not 0; `deep` if it may be an address.
    fn go_on(&mut self, deep: bool) {
        match deep {
            true => self.asm.words(GO_ON_DEEP, false),
            false => self.asm.words(GO_ON, false),
        }
    }

    fn halves(address: u32) -> (u16, i16) {
        ((address.wrapping_add(0x8000) >> 16) as u16, address as i16)
    }

    fn table_address(&self, table: Table) -> u32 {
        self.tables_at + (4 * UNIT) as u32 * u32::from(table.at.saturating_sub(1))
    }

    /// A look at an array of results.
    fn array(&mut self, table: Table, deep: bool, fail: u32) {
        let (upper, lower) = Self::halves(self.table_address(table));
        let asm = &mut self.asm;
        let index = if table.from == 0 { X } else { T1 };
        if table.from != 0 {
            asm.addiu(T1, X, -(table.from as i16));
        }
        asm.sltiu(T2, index, i16::from(table.size) + 1);
        asm.beq_to(T2, ZERO, fail);
        asm.speculate(|asm| asm.sll(T1, index, 2));
        asm.lui(T2, upper);
        asm.addu(T2, T2, T1);
        asm.lw(RESULT, lower, T2);
        asm.beq_to(RESULT, ZERO, fail);
        self.go_on(deep);
    }

    /// A look at a table of keys; with `old` another follows, for those that are not in the table, or else they fail.
    fn slots(&mut self, table: Table, wide: bool, deep: bool, fail: u32, old: bool) {
        let (upper, lower) = Self::halves(self.table_address(table));
        let asm = &mut self.asm;
        asm.words([encode::lui(T2, upper)], false);
        if table.hash == LARGE {
            let folded = if wide { T1 } else { X };
            if wide {
                asm.words([encode::srl(T1, X, 16), encode::xor(T1, T1, X)], false);
            }
            asm.words([encode::sll(T3, folded, 6), encode::addu(T3, T3, folded)], false);
            asm.words([encode::srl(T1, T3, 5), encode::xor(T1, T1, T3)], false);
        } else {
            asm.words([encode::srl(T1, X, table.hash), encode::xor(T1, T1, X)], false);
        }
        let mask = home_mask(table.size);
        if mask >> 16 == 0 {
            asm.words([encode::andi(T1, T1, mask as u16)], false);
        } else {
            let mask = [encode::lui(T3, (mask >> 16) as u16), encode::ori(T3, T3, mask as u16)];
            asm.words([mask[0], mask[1], encode::and(T1, T1, T3)], false);
        }
        let look = [encode::lw(T1, lower, T2), encode::lw(RESULT, lower + 4, T2)];
        // What follows if the key is there, then the look at the next slot.
        let hit = if deep { GO_ON_DEEP.len() } else { GO_ON.len() } as i16;
        asm.words([encode::addu(T2, T2, T1), look[0], look[1], encode::bne(T1, X, 1 + hit), encode::nop()], false);
        self.go_on(deep);
        let asm = &mut self.asm;
        if old {
            asm.words([encode::beq(RESULT, ZERO, 7), encode::addiu(T2, T2, 8)], false);
        } else {
            asm.keep_slot();
            asm.beq_to(RESULT, ZERO, fail);
            asm.words([encode::addiu(T2, T2, 8)], true);
        }
        asm.words([look[0], look[1], encode::bne(T1, X, -5), encode::nop()], false);
        asm.words([encode::b(-(hit + 7)), encode::nop()], false);
    }
}
