//! The table of filters against the simplest model of it, a list: as several owners insert, remove and replace filters in
//! any order, the engine has just those that the list has, refuses just what the list says, and gives each message to one of
//! those whom the list gives it to. No message is ever accepted for two owners who have not allowed it.

mod common;

use aegis_abi::filter::Atom;
use aegis_dpf::{Engine, Error};
use common::*;
use proptest::prelude::*;

/// What is done to the table.
#[derive(Clone, Debug)]
enum Change {
    /// An owner inserts a filter; the others whose number is in the mask allow overlaps.
    Insert { owner: u32, atoms: Vec<Atom>, allowing: u32 },
    /// One of the filters goes.
    Remove(prop::sample::Index),
    /// One of them goes, and its owner has another, that accepts the same and more or less, in its place.
    Replace(prop::sample::Index, Vec<Atom>),
    /// A number goes that may be nobody's.
    RemoveNumber(u16),
}

/// A filter of the list.
#[derive(Clone)]
struct Listed {
    number: u16,
    owner: u32,
    atoms: Vec<Atom>,
    /// Who allowed it to overlap with theirs.
    allowing: u32,
}

const OWNERS: u32 = 4;

/// Filters of few fields with few values, so that they often meet: any of them compares bytes 12 and 13 to 16, or begins
/// like that and goes on behind a shift that reads the message.
fn meeting() -> impl Strategy<Value = Vec<Atom>> {
    let field = (0..5_u32, 0..3_u32, prop::sample::select(vec![0xff_u32, 0x0f, 0x03]))
        .prop_map(|(at, value, mask)| Atom::masked(12 + at, 8, mask, value & mask));
    let word = (0..2_u32).prop_map(|value| Atom::equal(12, 16, value));
    let shift = Just(Atom::shift_by(17, 8, 0x03, 2));
    prop::collection::vec(prop_oneof![5 => field, 2 => word, 1 => shift], 1..5).prop_map(|mut atoms| {
        // The last is a comparison.
        atoms.push(Atom::equal(18, 8, 1));
        if atoms.len() % 2 == 0 {
            atoms.retain(|atom| atom.offset != 18);
        }
        atoms
    })
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let index = any::<prop::sample::Index>;
    let atoms = || prop_oneof![4 => meeting(), 1 => filter()];
    let insert = (1..=OWNERS, atoms(), prop_oneof![3 => Just(0_u32), 1 => 0..2_u32 << OWNERS])
        .prop_map(|(owner, atoms, allowing)| Change::Insert { owner, atoms, allowing });
    prop::collection::vec(
        prop_oneof![
            6 => insert,
            2 => index().prop_map(Change::Remove),
            2 => (index(), atoms()).prop_map(|(which, atoms)| Change::Replace(which, atoms)),
            1 => (0..40_u16).prop_map(Change::RemoveNumber),
        ],
        1..40,
    )
}

/// The engine and the list.
struct Both<'m> {
    engine: Engine<'m>,
    list: Vec<Listed>,
    messages: Vec<Vec<u8>>,
}

impl Both<'_> {
    fn insert(&mut self, owner: u32, atoms: &[Atom], allowing: u32) {
        let room = self.engine.room();
        let allows = |other: u32| allowing >> other & 1 != 0;
        let result = self.engine.insert(owner, atoms, allows);
        // By brute force: the messages that somebody else's filter accepts, too.
        let meets = self.list.iter().any(|other| {
            other.owner != owner
                && !allows(other.owner)
                && self.messages.iter().any(|message| accepts(atoms, message) && accepts(&other.atoms, message))
        });
        match result {
            Ok(number) => {
                assert!(!meets, "{atoms:?} of {owner} meets another's");
                assert!(number != 0 && self.list.iter().all(|other| other.number != number), "{number} is given twice");
                self.list.push(Listed { number, owner, atoms: atoms.to_vec(), allowing });
            }
            Err(error) => {
                assert_eq!(self.engine.room(), room, "{error:?} has changed something");
                if error == Error::Exists {
                    // One accepts the same messages.
                    let same = |other: &Listed| {
                        self.messages.iter().all(|message| accepts(atoms, message) == accepts(&other.atoms, message))
                    };
                    assert!(self.list.iter().any(same), "there is none like {atoms:?}");
                }
            }
        }
    }

    fn remove(&mut self, number: u16) {
        let known = self.list.iter().position(|filter| filter.number == number);
        assert_eq!(self.engine.remove(number), known.is_some());
        if let Some(place) = known {
            self.list.remove(place);
        }
    }

    /// Whether the two agree.
    fn compare(&mut self) {
        for number in 0..50 {
            let listed = self.list.iter().find(|filter| filter.number == number);
            assert_eq!(self.engine.owner(number), listed.map(|filter| filter.owner), "{number}");
        }
        let mut processor = Processor::new(&mut self.engine);
        for message in &self.messages {
            let found = self.engine.interpret(message);
            assert_eq!(processor.demux(self.engine.entry(), message).0, u32::from(found), "of {message:x?}");
            let accepting = || self.list.iter().filter(|filter| accepts(&filter.atoms, message));
            let winner = accepting().find(|filter| filter.number == found);
            assert!(winner.is_some() == accepting().next().is_some(), "{found} gets {message:x?}");
            // Two owners' filters accept it only if whoever came later was allowed.
            for (n, later) in self.list.iter().enumerate() {
                for earlier in &self.list[..n] {
                    let both = accepts(&later.atoms, message) && accepts(&earlier.atoms, message);
                    let allowed = earlier.owner == later.owner || later.allowing >> earlier.owner & 1 != 0;
                    assert!(!both || allowed, "{:?} and {:?} of {message:x?}", earlier.atoms, later.atoms);
                }
            }
        }
    }
}

/// Every message that filters of [`meeting`] tell apart, but for the bytes that none of them looks at.
fn messages(random: &mut Random) -> Vec<Vec<u8>> {
    (0..120)
        .map(|_| {
            let mut message = vec![0; 64];
            message[12..32].iter_mut().for_each(|byte| *byte = [0, 0, 1, 2, 4, 5][random.below(6)]);
            message
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn is_a_list_of_filters(changes in changes(), seed in 1..u64::MAX) {
        let mut space = Space::new(SMALL);
        let engine = space.engine();
        let empty = engine.room();
        let messages = messages(&mut Random(seed));
        let mut both = Both { engine, list: Vec::new(), messages };
        for (n, change) in changes.into_iter().enumerate() {
            match change {
                Change::Insert { owner, atoms, allowing } => both.insert(owner, &atoms, allowing),
                Change::Remove(which) if !both.list.is_empty() => {
                    let number = which.get(&both.list).number;
                    both.remove(number);
                }
                Change::Replace(which, atoms) if !both.list.is_empty() => {
                    let Listed { number, owner, allowing, .. } = which.get(&both.list).clone();
                    both.remove(number);
                    both.insert(owner, &atoms, allowing);
                }
                Change::RemoveNumber(number) => both.remove(number),
                _ => {}
            }
            if n % 4 == 3 {
                both.compare();
            }
        }
        both.compare();
        while let Some(filter) = both.list.first() {
            let number = filter.number;
            both.remove(number);
        }
        both.compare();
        assert_eq!(both.engine.room(), empty, "something is lost");
    }
}
