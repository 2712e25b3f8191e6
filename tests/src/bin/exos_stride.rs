//! Stride scheduling of environments is never more than one quantum off, over 1,000 quanta: with shares of 3:2:1, and with
//! twenty random sets of shares. The environments count their quanta, too; each gives its quantum up at once, so that there
//! is time for so many.
//@ expect: exos_stride: 21 sets of shares, 1000 quanta of each, nobody more than one off

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../in_use.rs"]
mod in_use;

use exos::scheduler::quantum;
use exos_policy::schedule::Policy;
use exos_policy::stride::Stride;
use exos_rt::abi::EnvId;
use exos_rt::abi::frame::Capability;
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, println};

const CLIENTS: usize = 8;
const QUANTA: u32 = 1000;
const RANDOM_SETS: u32 = 20;

static COUNTS: [Shared<u32>; CLIENTS] = [const { Shared::new(0) }; CLIENTS];
static SCHEDULER: Shared<u32> = Shared::new(0);

/// Counts its quanta.
extern "C" fn client(number: u32) -> ! {
    loop {
        COUNTS[number as usize].add(1);
        let _ = call::yield_to(EnvId(SCHEDULER.get()));
    }
}

/// Schedules as many clients as there are shares.
fn schedule(clients: &[(EnvId, Capability)], shares: &[u16]) {
    let mut policy = Stride::new();
    for (&(id, _), &share) in clients.iter().zip(shares) {
        policy.add(id.0, share).unwrap();
    }
    COUNTS.iter().for_each(|count| count.set(0));
    let sum: u32 = shares.iter().map(|&share| u32::from(share)).sum();
    let (mut had, begun) = ([0; CLIENTS], call::clock());
    for quanta in 1..=QUANTA {
        let next = quantum(&mut policy).expect("they live");
        had[clients.iter().position(|&(id, _)| id == next).unwrap()] += 1;
        for (&had, &share) in had.iter().zip(shares) {
            assert!(u32::abs_diff(had * sum, u32::from(share) * quanta) <= sum, "{had} of {quanta}: {shares:?}");
        }
    }
    // Who is interrupted by the clock has counted a quantum that it had not given up.
    let ticks = call::clock() - begun;
    for (count, had) in COUNTS.iter().zip(had) {
        assert!(u32::abs_diff(count.get(), had) <= ticks, "{} were counted of {had}", count.get());
    }
}

fn main() {
    let before = in_use::take();
    SCHEDULER.set(call::self_id().0);
    // They have no slices of their own.
    let clients: [_; CLIENTS] = core::array::from_fn(|number| spawn(client, number as u32, None).unwrap());
    schedule(&clients, &[3, 2, 1]);
    let mut random = 1_u32;
    for _ in 0..RANDOM_SETS {
        let mut next = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            random >> 16
        };
        let shares: [u16; CLIENTS] = core::array::from_fn(|_| (1 + next() % 2000) as u16);
        let number = 2 + next() as usize % (CLIENTS - 1);
        schedule(&clients, &shares[..number]);
    }
    for (id, control) in clients {
        call::env_destroy(id, control).unwrap();
    }
    in_use::same(before);
    println!("exos_stride: {} sets of shares, {QUANTA} quanta of each, nobody more than one off", 1 + RANDOM_SETS);
}
