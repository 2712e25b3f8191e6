//! Random handlers that keep the rules do on the model's processor, rewritten, what an interpreter of the words that
//! their owner wrote says; and random ones, damaged ones and mere noise do, if they are accepted, no harm: every load,
//! store and jump is watched, and how long they run.

mod common;

use aegis_abi::ash::*;
use common::*;
use proptest::prelude::*;
use std::cell::Cell;

const REGIONS: [u32; 3] = [4096, 4096, 8192];

/// How often runs ended so, by outcome.
type Tally = Cell<[u32; 7]>;

/// Runs an accepted handler a few times, and compares.
fn agree(words: &[u32], seed: u64, tally: &Tally) -> Result<(), TestCaseError> {
    let mut random = Random(seed | 1);
    let region_bytes = REGIONS[random.below(3)];
    let Ok((rewritten, code)) = rewritten(words, region_bytes) else {
        return Err(TestCaseError::reject("refused"));
    };
    let mut processor = Processor::new(rewritten, &code, region_bytes);
    for _ in 0..2 {
        let start = start(&mut random, region_bytes, rewritten.message_bytes);
        let budget = [20_000, 20_000, 500][random.below(3)];
        let left = processor.run(&start, budget);
        let mut counts = tally.get();
        counts[left.outcome as usize] += 1;
        tally.set(counts);
        let meant = interpret(words, &code, region_bytes, &start, budget);
        prop_assert_eq!((left.outcome, left.left), (meant.outcome, meant.left));
        // A call that does not return leaves what it likes.
        if !matches!(left.outcome, Outcome::BadTransfer | Outcome::Overrun) {
            prop_assert_eq!(left.registers, meant.registers);
        }
        prop_assert!(left.region == meant.region, "the region differs");
        prop_assert!(left.message == meant.message, "the message differs");
    }
    Ok(())
}

#[test]
fn what_handlers_mean() {
    let tally = Tally::default();
    cases(2000, (handler(), any::<u64>()), |(words, seed)| agree(&words, seed, &tally));
    let counts = tally.get();
    assert!(counts[1..].iter().all(|&count| count >= 20), "too few of an outcome: {counts:?}");
}

/// A change of some bits or words.
#[derive(Clone, Debug)]
enum Damage {
    Bit(prop::sample::Index, u8),
    Word(prop::sample::Index, u32),
    Swap(prop::sample::Index, prop::sample::Index),
    Remove(prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => (index(), 0..32_u8).prop_map(|(at, bit)| Damage::Bit(at, bit)),
        1 => (index(), any::<u32>()).prop_map(|(at, word)| Damage::Word(at, word)),
        2 => (index(), index()).prop_map(|(a, b)| Damage::Swap(a, b)),
        1 => index().prop_map(Damage::Remove),
    ]
}

#[test]
fn damaged_handlers_do_no_harm() {
    let (accepted, refused) = (Cell::new(0), Cell::new(0));
    cases(6000, (handler(), prop::collection::vec(damage(), 1..4), any::<u64>()), |(mut words, damages, seed)| {
        for damage in damages {
            let count = words.len();
            match damage {
                Damage::Bit(at, bit) => words[at.index(count)] ^= 1 << bit,
                Damage::Word(at, word) => words[at.index(count)] = word,
                Damage::Swap(a, b) => words.swap(a.index(count), b.index(count)),
                Damage::Remove(at) if count > 1 => {
                    words.remove(at.index(count));
                }
                Damage::Remove(_) => {}
            }
        }
        match agree(&words, seed, &Tally::default()) {
            Err(TestCaseError::Reject(_)) => refused.set(refused.get() + 1),
            other => {
                accepted.set(accepted.get() + 1);
                other?;
            }
        }
        Ok(())
    });
    let (accepted, refused) = (accepted.get(), refused.get());
    assert!(accepted > 1500 && refused > 1500, "{accepted} accepted, {refused} refused");
}

#[test]
fn noise_does_no_harm() {
    let accepted = Cell::new(0);
    // Words of which many are instructions that a handler may have.
    let word = prop_oneof![
        4 => computing(),
        2 => any::<u32>(),
        2 => (prop::sample::select(vec![0x8c, 0xac, 0x90, 0xa0, 0x10, 0x14, 0x04, 0x27, 0x03, 0x00]), any::<u32>())
            .prop_map(|(major, word): (u32, u32)| major << 24 | word & 0x03e3_000c),
    ];
    cases(10_000, (prop::collection::vec(word, 1..12), any::<u64>(), any::<bool>()), |(mut words, seed, ends)| {
        if ends {
            words.extend([0x03e0_0008, 0]);
        }
        match agree(&words, seed, &Tally::default()) {
            Err(TestCaseError::Reject(_)) => Ok(()),
            other => {
                accepted.set(accepted.get() + 1);
                other
            }
        }
    });
    assert!(accepted.get() > 500, "{} accepted", accepted.get());
}
