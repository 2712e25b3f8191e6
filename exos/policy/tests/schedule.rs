//! Shares of the processor: exact within a quantum, or by chance.

use exos_policy::lottery::Lottery;
use exos_policy::schedule::{CLIENTS, Policy, Refused, SHARES_MAX};
use exos_policy::stride::Stride;
use proptest::collection::vec;
use proptest::prelude::*;

/// Whose each quantum is, with these shares; clients are numbered.
fn order(mut policy: impl Policy, shares: &[u16], quanta: usize) -> Vec<usize> {
    for (client, &share) in (0..).zip(shares) {
        policy.add(client, share).unwrap();
    }
    (0..quanta).map(|_| policy.next().unwrap() as usize).collect()
}

/// How far any client is off its share after any quantum, as quanta times the sum of all shares.
fn error(order: &[usize], shares: &[u16]) -> u64 {
    let sum: u64 = shares.iter().map(|&share| u64::from(share)).sum();
    let mut had = vec![0; shares.len()];
    let mut worst = 0;
    for (quanta, &next) in (1..).zip(order) {
        had[next] += 1;
        for (&had, &share) in had.iter().zip(shares) {
            worst = worst.max(u64::abs_diff(had * sum, u64::from(share) * quanta));
        }
    }
    worst
}

fn within_a_quantum(shares: &[u16]) -> bool {
    let sum: u64 = shares.iter().map(|&share| u64::from(share)).sum();
    error(&order(Stride::new(), shares, 1000), shares) <= sum
}

#[test]
fn the_papers_order() {
    // Its figure adds A, C and B in this order.
    let order = order(Stride::new(), &[3, 1, 2], 100);
    let names: String = order.iter().map(|&client| ['A', 'C', 'B'][client]).collect();
    assert_eq!(names, "ABAACB".repeat(17)[..100]);
}

#[test]
fn three_two_one_within_a_quantum() {
    assert!(within_a_quantum(&[3, 2, 1]));
}

#[test]
fn one_large_share_among_many_small_ones() {
    let mut shares = vec![1; CLIENTS];
    shares[0] = 31;
    assert!(within_a_quantum(&shares));
}

#[test]
fn largest_shares() {
    assert!(within_a_quantum(&[SHARES_MAX as u16]));
    assert!(within_a_quantum(&[SHARES_MAX as u16 - 1, 1]));
    let shares = [SHARES_MAX as u16 / 2, SHARES_MAX as u16 / 2 - 1, 1];
    assert!(error(&order(Stride::new(), &shares, 200_000), &shares) <= u64::from(SHARES_MAX));
}

proptest! {
    // Twenty random sets, and some more.
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_shares_within_a_quantum(shares in vec(1_u16..=2000, 1..=CLIENTS)) {
        prop_assert!(within_a_quantum(&shares));
    }

    #[test]
    fn comes_and_goes(shares in vec(1_u16..=100, 2..=8), before in 0_usize..200, gone in 0_usize..8) {
        let gone = gone % shares.len();
        let mut policy = Stride::new();
        for (client, &share) in (0..).zip(&shares) {
            policy.add(client, share).unwrap();
        }
        for _ in 0..before {
            policy.next().unwrap();
        }
        policy.remove(gone as u32);
        let order: Vec<_> = (0..1000).map(|_| policy.next().unwrap() as usize).collect();
        let mut left = shares.clone();
        left[gone] = 0;
        prop_assert!(!order.contains(&gone));
        prop_assert!(error(&order, &left) <= left.iter().map(|&share| u64::from(share)).sum());
    }

    /// The draws of a seed are what they are; far more off than chance allows would be a mistake.
    #[test]
    fn lottery_in_the_long_run(shares in vec(1_u16..=20, 1..=8), seed: u32) {
        const QUANTA: usize = 20_000;
        let sum: f64 = shares.iter().map(|&share| f64::from(share)).sum();
        let order = order(Lottery::new(seed), &shares, QUANTA);
        for (client, &share) in shares.iter().enumerate() {
            let had = order.iter().filter(|&&next| next == client).count() as f64;
            let share = f64::from(share) / sum;
            let (mean, deviation) = (QUANTA as f64 * share, (QUANTA as f64 * share * (1.0 - share)).sqrt());
            prop_assert!((had - mean).abs() <= 6.0 * deviation + 1.0, "{had} of {mean}");
        }
    }
}

#[test]
fn what_is_refused_changes_nothing() {
    fn refuses(mut policy: impl Policy) {
        assert_eq!(policy.next(), None);
        assert_eq!(policy.add(1, 0), Err(Refused::BadShare));
        assert_eq!(policy.next(), None);
        policy.add(1, 1).unwrap();
        assert_eq!(policy.add(2, SHARES_MAX as u16), Err(Refused::BadShare));
        for client in 1..CLIENTS as u32 {
            policy.add(client + 1, 1).unwrap();
        }
        assert_eq!(policy.add(99, 1), Err(Refused::Full));
        policy.remove(99);
        for client in 1..=CLIENTS as u32 {
            policy.remove(client);
        }
        assert_eq!(policy.next(), None);
        policy.add(7, 5).unwrap();
        assert_eq!((policy.next(), policy.next()), (Some(7), Some(7)));
    }
    refuses(Stride::new());
    refuses(Lottery::new(0));
}
