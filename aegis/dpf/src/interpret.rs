//! The trie, interpreted (PATHFINDER's way): what the generated code is to agree with.

use crate::canonical::{LEVELS, Test};
use crate::trie::Trie;
use aegis_abi::filter::MESSAGE_MIN;

/// A message, filled up with zeros to the least length.
#[derive(Clone, Copy)]
struct Message<'a>(&'a [u8]);

impl Message<'_> {
    fn len(self) -> u32 {
        (self.0.len() as u32).max(MESSAGE_MIN)
    }

    fn byte(self, at: u32) -> u32 {
        self.0.get(at as usize).copied().unwrap_or(0).into()
    }

    /// As the processor loads it: the first byte is the lowest.
    fn load(self, at: u32, bytes: u32) -> u32 {
        (0..bytes).fold(0, |word, n| word | self.byte(at + n) << (8 * n))
    }

    /// In network order.
    fn read(self, at: u32, bytes: u32) -> u32 {
        (0..bytes).fold(0, |number, n| number << 8 | self.byte(at + n))
    }
}

/// The number of the filter that gets a message; 0 if none does.
pub(crate) fn interpret(trie: &Trie, message: &[u8]) -> u16 {
    let message = Message(message);
    let mut bases = [0; LEVELS];
    let mut node = trie.root;
    while node != 0 {
        let of = trie.node(node);
        let edge = edge(trie, node, of.test, message, &mut bases);
        let found = trie.edge(edge);
        if edge != 0 && found.child == 0 {
            return found.accept;
        }
        if edge != 0 {
            node = found.child;
            continue;
        }
        // The next alternative: the node's own, or that of the nearest node before which has one.
        loop {
            let of = trie.node(node);
            if of.next != 0 {
                node = of.next;
                break;
            }
            if of.parent == 0 {
                return 0;
            }
            let before = trie.edge(of.parent);
            if before.accept != 0 {
                return before.accept;
            }
            node = before.node;
        }
    }
    0
}

/// The edge that a message takes from a node; 0 if none.
fn edge(trie: &Trie, node: u16, test: Test, message: Message, bases: &mut [u32; LEVELS]) -> u16 {
    let level = test.level();
    let key = if test.compares() {
        message.load(bases[level] + test.offset(), test.width().bytes()) & test.mask()
    } else {
        if level > 0 {
            let load = test.load();
            let from = bases[test.from()];
            bases[level] = from + load.amount(message.read(from + load.offset, load.bytes));
        }
        if bases[level] + test.need() > message.len() {
            return 0;
        }
        0
    };
    trie.find(node, key).0
}
