//! The trie: all filters, merged where they begin with the same steps.
//!
//! A *node* is a test. Its *edges* are the values that filters want it to find; a node that opens a level has one edge.
//! Behind an edge there is a filter that ends there, or a *group* of nodes, or both. The nodes of a group are
//! *alternatives*, in the order of their tests: if one, with all that is behind it, accepts nothing, the next is tried,
//! and the filter that ends at the edge after the last. So the first filter found is that which the order of tests
//! prefers, and among filters of which one begins with the other the longer one.
//!
//! Index 0 of each table is nobody, or, for an edge, that which leads to the first group.

use crate::canonical::{Canonical, Step, Test, Width};
use crate::code::{Mode, SEARCH_MAX};
use crate::table::Table;
use crate::{Error, Filter};

/// A test that filters share.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct Node {
    pub(crate) test: Test,
    /// Whose all filters behind it are, or [`MANY`].
    pub(crate) owner: u32,
    /// The edge before its group.
    pub(crate) parent: u16,
    /// The next alternative.
    pub(crate) next: u16,
    /// Its edges: the first one, and how many.
    pub(crate) edges: u16,
    pub(crate) count: u16,
    /// How many of them have a group.
    pub(crate) deep: u16,
    /// So much [work](WORK_MAX) at most is behind it.
    pub(crate) below: u16,
    /// The first unit of its block of code; 0 if it has none of its own.
    pub(crate) block: u16,
    /// The order of that block. If it has none: at which word of the block that it is part of its code begins, the slot of
    /// the branch before included; 0 if that is not known.
    pub(crate) order: u8,
    /// How its value is looked up ([`Mode`](crate::code::Mode)).
    pub(crate) mode: u8,
    /// The table of its values, and the one that is being emptied into it. Of values that are compared the second is
    /// where those are compared that are not where the node is ([`Node::others`]).
    pub(crate) table: Table,
    pub(crate) old: Table,
}

impl Node {
    /// The first unit of the block of code in which values are compared, if not all are where the node is; else 0.
    pub(crate) const fn others(&self) -> u16 {
        if self.mode == 0 { self.old.at } else { 0 }
    }

    /// Then, the edge whose value is compared where the node is; 0 if there is none.
    pub(crate) const fn inline(&self) -> u16 {
        if self.mode == 0 { self.old.from } else { 0 }
    }
}

/// A value that filters want a test to find.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct Edge {
    pub(crate) key: u32,
    /// The test.
    pub(crate) node: u16,
    /// The first node of the group behind it.
    pub(crate) child: u16,
    /// The filter that ends here.
    pub(crate) accept: u16,
    /// The next edge in the same bucket.
    chain: u16,
    /// The other edges of the node.
    pub(crate) next: u16,
    before: u16,
}

/// Of several owners.
pub(crate) const MANY: u32 = u32::MAX;
/// How much work a message may be, at most, counted in comparisons: a node with one value is one, with more two, or, if
/// they are in a table of keys,
pub const WORK_MAX: usize = 48;
/// so many: a look may be at all slots of a group, and of one in the table that is being emptied.
pub const TABLE_WORK: usize = 16;
/// How many edges may share a bucket.
const CHAIN_MAX: usize = 64;
/// How far the search for a filter's place may go aside, in alternatives and edges of buckets looked at.
const LOOKS_MAX: usize = 128;
/// How far a proof of disjointness may go, in edges looked at; a node of others counts for more.
pub const PROOF_MAX: usize = 192;
const NODE_LOOKS: usize = 3;

/// Entries of a table that are free: those that were freed form a list, the others were never used.
#[derive(Debug)]
struct Free {
    first: u16,
    listed: usize,
    unused: usize,
}

impl Free {
    const fn new() -> Self {
        Self { first: 0, listed: 0, unused: 1 }
    }

    fn count(&self, len: usize) -> usize {
        self.listed + len.min(usize::from(u16::MAX)).saturating_sub(self.unused)
    }

    /// Takes an entry, of which there is one. `next` tells what the first of the list is followed by.
    fn take(&mut self, next: impl Fn(u16) -> u16) -> u16 {
        if self.first == 0 {
            self.unused += 1;
            return (self.unused - 1) as u16;
        }
        self.listed -= 1;
        let first = self.first;
        self.first = next(first);
        first
    }

    /// Gives an entry back; what it is followed by.
    fn give(&mut self, entry: u16) -> u16 {
        self.listed += 1;
        core::mem::replace(&mut self.first, entry)
    }
}

/// The tables of the trie.
pub(crate) struct Trie<'m> {
    pub(crate) nodes: &'m mut [Node],
    pub(crate) edges: &'m mut [Edge],
    pub(crate) filters: &'m mut [Filter],
    buckets: &'m mut [u16],
    free_nodes: Free,
    free_edges: Free,
    free_filters: Free,
    /// The first node of all.
    pub(crate) root: u16,
}

/// Where the proof of a filter's disjointness begins: the first node of a group, 0 if there is nothing to prove, and how
/// many edges it is from the first group.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Open {
    node: u16,
    depth: usize,
}

/// Where a filter that is not in the trie yet leaves it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// It ends at an edge that is there.
    End(u16),
    /// At a node, with a value that it has no edge for: the step, and the node.
    Key(usize, u16),
    /// In a group, with a test that none of its nodes has: the step, the edge before the group, and the node before it in it.
    Test(usize, u16, u16),
}

/// What a filter leaves of a node's edges to be looked at.
#[derive(Clone, Copy)]
enum Compatible {
    /// One, or none.
    Only(u32),
    /// Those that agree in these bits.
    Masked(u32, u32),
}

impl<'m> Trie<'m> {
    pub(crate) fn new(
        nodes: &'m mut [Node],
        edges: &'m mut [Edge],
        filters: &'m mut [Filter],
        buckets: &'m mut [u16],
    ) -> Self {
        buckets.fill(0);
        let [free_nodes, free_edges, free_filters] = [const { Free::new() }; 3];
        Self { nodes, edges, filters, buckets, free_nodes, free_edges, free_filters, root: 0 }
    }

    pub(crate) fn node(&self, node: u16) -> &Node {
        &self.nodes[usize::from(node)]
    }

    pub(crate) fn node_mut(&mut self, node: u16) -> &mut Node {
        &mut self.nodes[usize::from(node)]
    }

    pub(crate) fn edge(&self, edge: u16) -> &Edge {
        &self.edges[usize::from(edge)]
    }

    pub(crate) fn edge_mut(&mut self, edge: u16) -> &mut Edge {
        &mut self.edges[usize::from(edge)]
    }

    /// The first node of the group behind an edge.
    pub(crate) fn group(&self, edge: u16) -> u16 {
        if edge == 0 { self.root } else { self.edge(edge).child }
    }

    fn set_group(&mut self, edge: u16, node: u16) {
        match edge {
            0 => self.root = node,
            _ => self.edge_mut(edge).child = node,
        }
    }

    /// The edges of a node.
    pub(crate) fn edges_of(&self, node: u16) -> impl Iterator<Item = u16> + Clone {
        let next = |edge: &u16| Some(self.edge(*edge).next);
        core::iter::successors(Some(self.node(node).edges), next).take_while(|&edge| edge != 0)
    }

    /// The nodes of the group behind an edge, in their order.
    pub(crate) fn alternatives(&self, edge: u16) -> impl Iterator<Item = u16> {
        let next = |node: &u16| Some(self.node(*node).next);
        core::iter::successors(Some(self.group(edge)), next).take_while(|&node| node != 0)
    }

    /// The edge behind which code goes on where the node is; 0 if it does behind none.
    pub(crate) fn straight(&self, node: u16) -> u16 {
        let of = self.node(node);
        if of.others() != 0 {
            of.inline()
        } else if of.count == 1 && of.mode == 0 {
            of.edges
        } else {
            0
        }
    }

    /// The alternative before a node; 0 if it is the first.
    pub(crate) fn before(&self, node: u16) -> u16 {
        let parent = self.node(node).parent;
        self.alternatives(parent).find(|&other| self.node(other).next == node).unwrap_or(0)
    }

    fn bucket(&self, node: u16, key: u32) -> usize {
        let mixed = key ^ key >> 16 ^ u32::from(node) << 3;
        (mixed ^ mixed >> 7) as usize & (self.buckets.len() - 1)
    }

    /// The edge of a node for a value; 0 if there is none. And how many edges were looked at.
    pub(crate) fn find(&self, node: u16, key: u32) -> (u16, usize) {
        let mut edge = self.buckets[self.bucket(node, key)];
        let mut looked = 0;
        while edge != 0 {
            let Edge { key: other, node: of, chain, .. } = *self.edge(edge);
            if other == key && of == node {
                break;
            }
            looked += 1;
            edge = chain;
        }
        (edge, looked)
    }

    /// Where the trie ends for a filter, and where the proof of its disjointness begins: all filters that are not behind
    /// that compare something else than it.
    pub(crate) fn place(&self, steps: &[Step]) -> Result<(Place, Open), Error> {
        let mut edge = 0;
        let mut open = Open { node: self.root, depth: 0 };
        // Whether there was nothing on the way but what the filter has, too.
        let mut alone = true;
        let mut left = LOOKS_MAX;
        for (n, step) in steps.iter().enumerate() {
            let first = self.group(edge);
            if alone {
                open = Open { node: first, depth: n };
            }
            let (mut before, mut node) = (0, first);
            loop {
                let of = self.node(node);
                if node != 0 && of.test == step.test {
                    alone &= before == 0 && of.next == 0;
                    break;
                }
                if node == 0 || of.test > step.test {
                    return Ok((Place::Test(n, edge, before), open));
                }
                left = left.checked_sub(1).ok_or(Error::Full)?;
                (before, node) = (node, of.next);
            }
            let (found, looked) = self.find(node, step.key);
            if found == 0 && looked < CHAIN_MAX {
                // Nobody's filter goes on with this value.
                let open = if alone { Open::default() } else { open };
                return Ok((Place::Key(n, node), open));
            }
            left = left.checked_sub(looked).ok_or(Error::Full)?;
            if found == 0 {
                return Err(Error::Full);
            }
            edge = found;
            alone &= self.edge(edge).accept == 0;
        }
        Ok((Place::End(edge), open))
    }

    /// Filters, nodes and edges that are left.
    pub(crate) fn room(&self) -> [usize; 3] {
        [
            self.free_filters.count(self.filters.len()),
            self.free_nodes.count(self.nodes.len()),
            self.free_edges.count(self.edges.len()),
        ]
    }

    /// Whether there is room for so many nodes and edges, and a filter.
    pub(crate) fn has_room(&self, nodes: usize, edges: usize) -> bool {
        let [filters_left, nodes_left, edges_left] = self.room();
        filters_left >= 1 && nodes_left >= nodes && edges_left >= edges
    }

    // --- Changes. There is room for what is added. -------------------------------------------------------------------

    /// Adds a filter that ends at an edge.
    pub(crate) fn add_filter(&mut self, owner: u32, edge: u16) -> u16 {
        let filters = &*self.filters;
        let filter = self.free_filters.take(|filter| filters[usize::from(filter)].edge);
        self.filters[usize::from(filter)] = Filter { owner, edge };
        self.edge_mut(edge).accept = filter;
        filter
    }

    /// Takes a filter out; the edge at which it ended.
    pub(crate) fn remove_filter(&mut self, filter: u16) -> u16 {
        let Filter { edge, .. } = self.filters[usize::from(filter)];
        self.edge_mut(edge).accept = 0;
        let next = self.free_filters.give(filter);
        self.filters[usize::from(filter)] = Filter { owner: 0, edge: next };
        edge
    }

    /// Adds an edge to a node.
    pub(crate) fn add_edge(&mut self, node: u16, key: u32) -> u16 {
        let edges = &*self.edges;
        let edge = self.free_edges.take(|edge| edges[usize::from(edge)].chain);
        let bucket = self.bucket(node, key);
        let chain = core::mem::replace(&mut self.buckets[bucket], edge);
        let of = &mut self.nodes[usize::from(node)];
        let next = core::mem::replace(&mut of.edges, edge);
        of.count += 1;
        if next != 0 {
            self.edge_mut(next).before = edge;
        }
        *self.edge_mut(edge) = Edge { key, node, child: 0, accept: 0, chain, next, before: 0 };
        edge
    }

    /// Takes an edge out, behind which nothing is.
    pub(crate) fn remove_edge(&mut self, edge: u16) {
        let Edge { key, node, chain, next, before, .. } = *self.edge(edge);
        let bucket = self.bucket(node, key);
        let mut other = self.buckets[bucket];
        if other == edge {
            self.buckets[bucket] = chain;
        } else {
            while self.edge(other).chain != edge {
                other = self.edge(other).chain;
            }
            self.edge_mut(other).chain = chain;
        }
        match before {
            0 => self.node_mut(node).edges = next,
            _ => self.edge_mut(before).next = next,
        }
        if next != 0 {
            self.edge_mut(next).before = before;
        }
        self.node_mut(node).count -= 1;
        let next = self.free_edges.give(edge);
        *self.edge_mut(edge) = Edge { chain: next, ..Edge::default() };
    }

    /// Adds a node behind another in the group behind an edge.
    pub(crate) fn add_node(&mut self, parent: u16, before: u16, test: Test, owner: u32) -> u16 {
        let nodes = &*self.nodes;
        let node = self.free_nodes.take(|node| nodes[usize::from(node)].next);
        let next = match before {
            0 => self.group(parent),
            _ => self.node(before).next,
        };
        *self.node_mut(node) = Node { test, owner, parent, next, ..Node::default() };
        if parent != 0 && self.group(parent) == 0 {
            let of = self.edge(parent).node;
            self.node_mut(of).deep += 1;
        }
        match before {
            0 => self.set_group(parent, node),
            _ => self.node_mut(before).next = node,
        }
        node
    }

    /// Takes a node out that has no edges.
    pub(crate) fn remove_node(&mut self, node: u16) {
        let Node { parent, next, .. } = *self.node(node);
        match self.before(node) {
            0 => self.set_group(parent, next),
            before => self.node_mut(before).next = next,
        }
        if parent != 0 && self.group(parent) == 0 {
            let of = self.edge(parent).node;
            self.node_mut(of).deep -= 1;
        }
        let next = self.free_nodes.give(node);
        *self.node_mut(node) = Node { next, ..Node::default() };
    }

    /// Adds the steps of a filter as nodes behind an edge, where nothing is yet; the last edge. The edge's node is not told what work
    /// they are.
    pub(crate) fn add_steps(&mut self, mut edge: u16, steps: &[Step], owner: u32) -> u16 {
        for (n, step) in steps.iter().enumerate() {
            let node = self.add_node(edge, 0, step.test, owner);
            self.node_mut(node).below = (steps.len() - n - 1) as u16;
            edge = self.add_edge(node, step.key);
        }
        edge
    }

    /// Notes that a filter of `owner` is behind an edge.
    pub(crate) fn mark_owner(&mut self, mut edge: u16, owner: u32) {
        while edge != 0 {
            let node = self.node_mut(self.edges[usize::from(edge)].node);
            if node.owner != owner {
                node.owner = MANY;
            }
            edge = node.parent;
        }
    }

    // --- Work. -------------------------------------------------------------------------------------------------------

    /// The work of a node itself, if it had so many values more.
    #[inline]
    pub(crate) fn own_work(&self, node: u16, more: u16) -> usize {
        let Node { mode, count, test, .. } = self.node(node);
        let values = usize::from(count + more);
        let table = Mode::of(*mode) == Mode::Keys || values > SEARCH_MAX && test.width() != Width::Byte;
        if table { TABLE_WORK } else { 1 + usize::from(values > 1) }
    }

    /// The most work of the group behind an edge.
    pub(crate) fn work(&self, edge: u16) -> usize {
        self.alternatives(edge).map(|node| self.own_work(node, 0) + usize::from(self.node(node).below)).sum()
    }

    /// The most work of a message, if the group behind an edge were so much `more`.
    pub(crate) fn work_with(&self, mut edge: u16, mut more: usize) -> usize {
        loop {
            let work = self.work(edge) + more;
            if edge == 0 {
                return work;
            }
            let node = self.node(self.edge(edge).node);
            more = work.saturating_sub(node.below.into());
            edge = node.parent;
            if more == 0 {
                return self.work(0);
            }
        }
    }

    /// Brings the bounds up to date with what is behind an edge.
    pub(crate) fn update_work(&mut self, mut edge: u16) {
        while edge != 0 {
            let work = self.work(edge) as u16;
            let node = &mut self.nodes[usize::from(self.edges[usize::from(edge)].node)];
            // What the other edges need is not known, but that it is not more than before.
            let below = if node.count == 1 { work } else { node.below.max(work) };
            if below == node.below {
                return;
            }
            node.below = below;
            edge = node.parent;
        }
    }

    // --- Disjointness. -----------------------------------------------------------------------------------------------

    /// Proves a filter disjoint from those of all other owners, except of those whose overlap `allows` allows.
    ///
    /// Two filters are disjoint if they compare, from the same base, a common bit of the message with different values. All
    /// filters of the trie that are not are walked to, from `open` on.
    pub(crate) fn prove(
        &self,
        canonical: &Canonical,
        open: Open,
        owner: u32,
        allows: &mut dyn FnMut(u32) -> bool,
    ) -> Result<(), Error> {
        let mut harmless = |other: u32| other == owner || other != MANY && allows(other);
        let Open { mut node, mut depth } = open;
        // The filter's level for each of the path's. On the way to `open` they are the same.
        let mut levels = [Some(0), Some(1), Some(2), Some(3), Some(4)];
        let mut left = PROOF_MAX;
        while node != 0 {
            // Down: to the first compatible edge of a node, or to the next alternative.
            left = left.checked_sub(1).ok_or(Error::Unproven)?;
            let of = self.node(node);
            let mut edge = 0;
            if !harmless(of.owner) {
                left = left.checked_sub(NODE_LOOKS).ok_or(Error::Unproven)?;
                let test = of.test;
                if !test.compares() && test.level() > 0 {
                    levels[test.level()] = levels[test.from()].and_then(|from| canonical.level_of(from, test));
                }
                edge = match compatible(canonical, &levels, test, depth) {
                    Compatible::Only(key) => {
                        let (found, looked) = self.find(node, key);
                        left = left.checked_sub(looked).ok_or(Error::Unproven)?;
                        found
                    }
                    Compatible::Masked(mask, key) => self.next_compatible(of.edges, mask, key, &mut left)?,
                };
            }
            // Sideways and up, until there is something to go down to.
            loop {
                if edge != 0 {
                    let Edge { accept, child, .. } = *self.edge(edge);
                    if accept != 0 && !harmless(self.filters[usize::from(accept)].owner) {
                        return Err(Error::Overlaps);
                    }
                    if child != 0 {
                        depth += 1;
                        node = child;
                        break;
                    }
                } else {
                    let of = self.node(node);
                    if of.next != 0 {
                        node = of.next;
                        break;
                    }
                    if depth == open.depth {
                        return Ok(());
                    }
                    edge = of.parent;
                    depth -= 1;
                }
                let up = self.edge(edge);
                node = up.node;
                left = left.checked_sub(1).ok_or(Error::Unproven)?;
                edge = match compatible(canonical, &levels, self.node(node).test, depth) {
                    Compatible::Only(_) => 0,
                    Compatible::Masked(mask, key) => self.next_compatible(up.next, mask, key, &mut left)?,
                };
            }
        }
        Ok(())
    }

    /// The first edge from `edge` on that agrees.
    fn next_compatible(&self, mut edge: u16, mask: u32, key: u32, left: &mut usize) -> Result<u16, Error> {
        while edge != 0 && (self.edge(edge).key ^ key) & mask != 0 {
            *left = left.checked_sub(1).ok_or(Error::Unproven)?;
            edge = self.edge(edge).next;
        }
        *left = left.checked_sub(1).ok_or(Error::Unproven)?;
        Ok(edge)
    }
}

/// What a filter leaves of the edges of a node with this test, which is `depth` edges from the first.
fn compatible(canonical: &Canonical, levels: &[Option<usize>], test: Test, depth: usize) -> Compatible {
    if !test.compares() {
        return Compatible::Only(0);
    }
    let Some(level) = levels[test.level()] else { return Compatible::Masked(0, 0) };
    // As a rule the filter has gone the same way so far.
    if let Some(step) = canonical.steps().get(depth)
        && step.test == test
        && level == test.level()
    {
        return Compatible::Only(step.key);
    }
    let (mask, value) = canonical.compared(level, test);
    let common = mask & test.mask();
    if common == test.mask() { Compatible::Only(value & common) } else { Compatible::Masked(common, value & common) }
}
