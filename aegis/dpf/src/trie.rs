//! The trie: all filters, merged where they begin with the same steps.
//!
//! A *node* is a test. Its *edges* are the values that filters want it to find; a node that opens a level has one edge.
//! Behind an edge there is a filter that ends there, or a *group* of nodes, or both. The nodes of a group are
//! *alternatives*, in the order of their tests: if one, with all that is behind it, accepts nothing, the next is tried,
//! and the filter that ends at the edge after the last. So the first filter found is that which the order of tests
//! prefers, and among filters of which one begins with the other the longer one.
//!
//! Index 0 of each table is nobody, or, for an edge, that which leads to the first group.

use crate::canonical::{Canonical, Step, Test};
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
    /// At most so many nodes are visited behind it.
    pub(crate) below: u16,
    /// The first unit of its block of code; 0 if it has none of its own.
    pub(crate) block: u16,
    /// The order of that block.
    pub(crate) order: u8,
    /// How its value is looked up ([`Mode`](crate::code::Mode)).
    pub(crate) mode: u8,
    /// The table of its values, and the one that is being emptied into it.
    pub(crate) table: Table,
    pub(crate) old: Table,
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
/// How many nodes a message may visit, at most.
pub const WORK_MAX: usize = 128;
/// How many edges may share a bucket.
const CHAIN_MAX: usize = 64;
/// How far a proof of disjointness may go, in edges looked at; a node counts as eight.
pub const PROOF_MAX: usize = 1024;

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

    /// Where the trie ends for a filter.
    pub(crate) fn place(&self, steps: &[Step]) -> Result<Place, Error> {
        let mut edge = 0;
        for (n, step) in steps.iter().enumerate() {
            let mut before = 0;
            let mut node = self.group(edge);
            while node != 0 && self.node(node).test < step.test {
                before = node;
                node = self.node(node).next;
            }
            if node == 0 || self.node(node).test != step.test {
                return Ok(Place::Test(n, edge, before));
            }
            let (found, looked) = self.find(node, step.key);
            if found == 0 {
                return if looked < CHAIN_MAX { Ok(Place::Key(n, node)) } else { Err(Error::Full) };
            }
            edge = found;
        }
        Ok(Place::End(edge))
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

    /// Adds the steps of a filter as nodes behind an edge, where nothing is yet; the last edge.
    pub(crate) fn add_steps(&mut self, mut edge: u16, steps: &[Step], owner: u32) -> u16 {
        for step in steps {
            let node = self.add_node(edge, 0, step.test, owner);
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

    /// At most so many nodes are visited in the group behind an edge.
    fn work(&self, edge: u16) -> usize {
        self.alternatives(edge).map(|node| 1 + usize::from(self.node(node).below)).sum()
    }

    /// What a message visits at most, if `more` nodes are visited in the group behind an edge than now.
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
    /// Two filters are disjoint if they compare, from the same base, a common bit of the message with different values. All filters of
    /// the trie that are not are walked to.
    pub(crate) fn prove(
        &self,
        canonical: &Canonical,
        owner: u32,
        allows: &mut dyn FnMut(u32) -> bool,
    ) -> Result<(), Error> {
        let mut harmless = |other: u32| other == owner || other != MANY && allows(other);
        // The filter's level for each of the path's.
        let mut levels = [Some(0), None, None, None, None];
        let mut node = self.root;
        let mut left = PROOF_MAX;
        // How many edges were gone down, and, as a bit for each, whether the node above has no other to be looked at.
        let (mut depth, mut only) = (0, 0_u64);
        loop {
            // Down: to the first compatible edge of a node, or to the next alternative.
            let mut edge = 0;
            if node != 0 {
                left = left.checked_sub(8).ok_or(Error::Unproven)?;
                let Node { test, owner, .. } = *self.node(node);
                if !harmless(owner) {
                    if !test.compares() && test.level() > 0 {
                        levels[test.level()] = levels[test.from()].and_then(|from| canonical.level_of(from, test));
                    }
                    only |= 1 << depth;
                    edge = match compatible(canonical, &levels, test, depth) {
                        Compatible::Only(key) => self.find(node, key).0,
                        Compatible::Masked(mask, key) => {
                            only &= !(1 << depth);
                            self.next_compatible(self.node(node).edges, mask, key, &mut left)?
                        }
                    };
                }
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
                } else if node == 0 {
                    return Ok(());
                } else if self.node(node).next != 0 {
                    node = self.node(node).next;
                    break;
                } else {
                    edge = self.node(node).parent;
                    if edge == 0 {
                        return Ok(());
                    }
                    depth -= 1;
                }
                node = self.edge(edge).node;
                edge = self.edge(edge).next;
                if only & 1 << depth != 0 {
                    edge = 0;
                } else if let Compatible::Masked(mask, key) =
                    compatible(canonical, &levels, self.node(node).test, depth)
                {
                    edge = self.next_compatible(edge, mask, key, &mut left)?;
                }
            }
        }
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
