//! Each round has everybody's share, those that end are left out, and what can't be added is refused: `cargo exo test`.
//@ expect: template_test: shares of 60 quanta: [30, 20, 10]
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos::scheduler::{quantum, run};
use exos_policy::schedule::{CLIENTS, Policy, Refused};
use exos_rt::environment::spawn;
use exos_rt::sequences::slices_used;
use exos_rt::{call, println};
use template::Rounds;

const SHARES: [u16; 3] = [3, 2, 1];
const QUANTA: u32 = 60;

extern "C" fn spins(_: u32) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Ends after so many slices.
extern "C" fn ends(slices: u32) -> ! {
    while slices_used() < slices {
        core::hint::spin_loop();
    }
    call::exit(0)
}

fn main() {
    refusals();
    let mut policy = Rounds::new();
    let clients = [0, 1, 2].map(|client| spawn(spins, client, None).unwrap());
    for ((id, _), share) in clients.into_iter().zip(SHARES) {
        policy.add(id.0, share).unwrap();
    }
    let mut had = [0; 3];
    for _ in 0..QUANTA {
        let next = quantum(&mut policy).unwrap();
        had[clients.iter().position(|&(id, _)| id == next).unwrap()] += 1;
    }
    println!("template_test: shares of {QUANTA} quanta: {had:?}");
    for (id, control) in clients {
        call::env_destroy(id, control).unwrap();
    }
    // Those that have ended are left out, one after the other.
    for slices in [1, 3] {
        let (id, _) = spawn(ends, slices, None).unwrap();
        policy.add(id.0, 1).unwrap();
    }
    run(&mut policy);
    assert_eq!(policy.next(), None);
}

/// The policy alone, without environments.
fn refusals() {
    let mut policy = Rounds::new();
    assert_eq!(policy.next(), None);
    assert_eq!(policy.add(1, 0), Err(Refused::BadShare));
    policy.add(1, u16::MAX).unwrap();
    assert_eq!(policy.add(2, 1), Err(Refused::BadShare));
    policy.remove(1);
    policy.remove(1);
    (0..CLIENTS as u32).for_each(|client| policy.add(client, 1).unwrap());
    assert_eq!(policy.add(99, 1), Err(Refused::Full));
    assert!((0..2 * CLIENTS as u32).all(|turn| policy.next() == Some(turn % CLIENTS as u32)));
    // Whoever goes takes no turn from anybody else.
    assert_eq!((policy.next(), policy.next()), (Some(0), Some(1)));
    [0, 2, 3].into_iter().for_each(|client| policy.remove(client));
    assert_eq!((policy.next(), policy.next()), (Some(4), Some(5)));
}
