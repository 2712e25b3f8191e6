//! A hashed table: for each value of a page number's low bits a chain of nodes, one for each page that is mapped. What
//! it takes grows with what is mapped, not with the address space.
//!
//! A node is four words: the page's number, or that of none if it is free, its entry, the address of the next node or 0, and one that is not used.

use crate::{Memory, PAGE_BYTES, PAGES, PageTable, Run};

/// Chains.
const CHAINS: u32 = 1024;
/// Bytes of a node.
const NODE: u32 = 16;
/// Of a node: its entry, and the next one.
const ENTRY: u32 = 4;
const NEXT: u32 = 8;
/// Words of the root: where the chains begin, the first node that is free again, and those that were never used.
const HEADS: u32 = 0;
const FREE: u32 = 4;
const FRESH: u32 = 8;
const FRESH_END: u32 = 12;

/// The form.
pub struct Inverted;

impl Inverted {
    /// Where the address of the first node of a page's chain is.
    fn head(memory: &impl Memory, root: u32, page: u32) -> u32 {
        memory.read(root + HEADS) + page % CHAINS * 4
    }

    /// Where the address of a page's node is, and the node.
    fn search(memory: &impl Memory, root: u32, page: u32) -> Option<(u32, u32)> {
        let mut from = Self::head(memory, root, page);
        loop {
            let node = memory.read(from);
            if node == 0 {
                return None;
            }
            if memory.read(node) == page {
                return Some((from, node));
            }
            from = node + NEXT;
        }
    }
}

impl PageTable for Inverted {
    const ROOT: usize = 4;

    fn begin(memory: &mut impl Memory, root: u32) -> bool {
        let Some(heads) = memory.page() else { return false };
        memory.write(root + HEADS, heads);
        for word in [FREE, FRESH, FRESH_END] {
            memory.write(root + word, 0);
        }
        true
    }

    fn words(_: &impl Memory, _: u32) -> impl Iterator<Item = u32> {
        0..Self::ROOT as u32
    }

    fn find(memory: &impl Memory, root: u32, page: u32) -> Option<u32> {
        Self::search(memory, root, page).map(|(_, node)| node + ENTRY)
    }

    fn make(memory: &mut impl Memory, root: u32, page: u32) -> Option<u32> {
        if let Some(place) = Self::find(memory, root, page) {
            return Some(place);
        }
        let free = memory.read(root + FREE);
        let node = if free != 0 {
            memory.write(root + FREE, memory.read(free + NEXT));
            free
        } else {
            let mut fresh = memory.read(root + FRESH);
            if fresh == memory.read(root + FRESH_END) {
                fresh = memory.page()?;
                memory.write(root + FRESH_END, fresh + PAGE_BYTES);
            }
            memory.write(root + FRESH, fresh + NODE);
            fresh
        };
        let head = Self::head(memory, root, page);
        memory.write(node, page);
        memory.write(node + ENTRY, 0);
        memory.write(node + NEXT, memory.read(head));
        memory.write(head, node);
        Some(node + ENTRY)
    }

    fn remove(memory: &mut impl Memory, root: u32, page: u32) {
        if let Some((from, node)) = Self::search(memory, root, page) {
            memory.write(from, memory.read(node + NEXT));
            memory.write(node, PAGES);
            memory.write(node + NEXT, memory.read(root + FREE));
            memory.write(root + FREE, node);
        }
    }

    fn next(memory: &impl Memory, root: u32, from: u32) -> Option<u32> {
        let heads = memory.read(root + HEADS);
        let mut first = None;
        for head in (heads..heads + PAGE_BYTES).step_by(4) {
            let mut node = memory.read(head);
            while node != 0 {
                let page = memory.read(node);
                if page >= from && first.is_none_or(|first| page < first) {
                    first = Some(page);
                }
                node = memory.read(node + NEXT);
            }
        }
        first
    }

    // Pages that were mapped one after the other have nodes that lie in a row.
    fn runs(memory: &impl Memory, root: u32, page: u32, count: u32, mut visit: impl FnMut(Run)) {
        let (mut page, end) = (page, page + count);
        while page != end {
            let Some((_, first)) = Self::search(memory, root, page) else {
                page += 1;
                continue;
            };
            let nodes = (PAGE_BYTES - first % PAGE_BYTES) / NODE;
            let limit = first + NODE * nodes.min(end - page);
            let mut behind = first;
            // A node with this number is the page's: one that is free has none, and one that is fresh has 0.
            while behind != limit && memory.read(behind) == page {
                behind += NODE;
                page += 1;
            }
            visit(Run { place: first + ENTRY, count: (behind - first) / NODE, step: NODE });
        }
    }
}

const _: () = assert!(PAGE_BYTES == 4 * CHAINS);
