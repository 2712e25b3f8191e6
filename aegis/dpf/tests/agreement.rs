//! Generated code, run on the model's processor, the interpreter of the trie, and each filter evaluated by itself say the
//! same, of random filters and messages, as filters come and go.

mod common;

use aegis_abi::filter::Atom;
use common::*;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::cell::Cell;
use std::collections::BTreeMap;

/// Installed filters by number: owner and atoms.
type Installed = BTreeMap<u16, (u32, Vec<Atom>)>;

/// Messages for each state of each set.
const MESSAGES: usize = 170;

fn check(engine: &mut aegis_dpf::Engine, installed: &Installed, random: &mut Random) -> usize {
    let mut processor = Processor::new(engine);
    let filters: Vec<Vec<Atom>> = installed.values().map(|(_, atoms)| atoms.clone()).collect();
    for _ in 0..MESSAGES {
        let message = message(random, &filters);
        let by_code = processor.demux(engine.entry(), &message).0;
        let by_trie = engine.interpret(&message);
        assert_eq!(by_code, u32::from(by_trie), "of {message:x?}");
        let accepting = || installed.iter().filter(|(_, (_, atoms))| accepts(atoms, &message));
        match installed.get(&by_trie) {
            None => assert_eq!((by_trie, accepting().next()), (0, None), "of {message:x?}"),
            Some((owner, winner)) => {
                assert!(accepts(winner, &message), "{winner:?} of {message:x?}");
                for (_, (other_owner, other)) in accepting() {
                    // Nobody allowed it.
                    assert_eq!(other_owner, owner, "{other:?} and {winner:?} of {message:x?}");
                    // Who begins like it, and goes on, is preferred.
                    assert!(
                        !(other.len() > winner.len() && other.starts_with(winner)),
                        "{winner:?} and not {other:?} of {message:x?}"
                    );
                }
            }
        }
    }
    MESSAGES
}

/// Runs a test of many cases and counts the pairs of filter sets and messages that it looks at.
fn run<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value) -> usize) -> usize {
    let pairs = Cell::new(0);
    let config = ProptestConfig { cases, max_shrink_iters: 4000, ..ProptestConfig::default() };
    let case = |value| {
        pairs.set(pairs.get() + test(value));
        Ok(())
    };
    match TestRunner::new(config).run(&strategy, case) {
        Ok(()) => pairs.get(),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn few_filters() {
    let sets = (filters(1..30), any::<u64>(), 1..4_u32);
    let pairs = run(1400, sets, |(sets, seed, owners)| agree(&sets, seed | 1, owners, 4));
    assert!(pairs >= 1_000_000, "only {pairs} pairs");
}

#[test]
fn many_values() {
    let field = prop::sample::select(vec![(20_u32, 8_u8), (20, 16), (20, 32), (21, 16)]);
    let spread = prop::sample::select(vec![u32::MAX, 0xff, 0xff00_00ff, 0x0fff]);
    let values = prop::collection::vec(any::<u32>(), 1..120);
    let pairs =
        run(100, (filters(1..4), values, field, spread, any::<u64>()), |(sets, values, field, spread, seed)| {
            let mut all = sets.clone();
            for value in values {
                let mut filter = sets[value as usize % sets.len()].clone();
                filter.truncate(3);
                let (offset, bits) = field;
                filter.push(Atom::equal(offset, bits, value & spread & (u32::MAX >> (32 - bits))));
                all.push(filter);
            }
            agree(&all, seed | 1, 1, 8)
        });
    assert!(pairs >= 100_000, "only {pairs} pairs");
}

/// Inserts filters, and removes them again, and compares in between; how many pairs.
fn agree(filters: &[Vec<Atom>], seed: u64, owners: u32, checks: usize) -> usize {
    let mut random = Random(seed);
    let mut space = Space::new(SMALL);
    let mut engine = space.engine();
    let empty = engine.room();
    let mut installed = Installed::new();
    let mut pairs = 0;
    let every = filters.len().div_ceil(checks).max(1);
    for (n, atoms) in filters.iter().enumerate() {
        let owner = 1 + random.below(owners as usize) as u32;
        if let Ok(filter) = engine.insert(owner, atoms, |_| false) {
            assert!(installed.insert(filter, (owner, atoms.clone())).is_none(), "{filter} is given twice");
        }
        if random.below(4) == 0
            && let Some((&filter, _)) = installed.iter().nth(random.below(filters.len()))
        {
            assert!(engine.remove(filter) && !engine.remove(filter));
            installed.remove(&filter);
        }
        if n % every == every - 1 {
            pairs += check(&mut engine, &installed, &mut random);
        }
    }
    while !installed.is_empty() {
        let filter = *installed.keys().nth(random.below(installed.len())).expect("some are left");
        assert!(engine.remove(filter));
        installed.remove(&filter);
        if random.below(8) == 0 {
            pairs += check(&mut engine, &installed, &mut random);
        }
    }
    assert_eq!(engine.room(), empty, "something is lost");
    pairs + check(&mut engine, &installed, &mut random)
}
