//! Schedulers in an application: environments without slices of their own get the shares that a policy gives them, one that
//! ends is left out, and two schedulers with different policies run side by side.
//@ run: exos_scheduler,policy=stride exos_scheduler,policy=lottery
//@ expect: exos_scheduler: shares
//@ expect: exos_scheduler: shares
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos::scheduler::{quantum, run};
use exos_policy::lottery::Lottery;
use exos_policy::schedule::Policy;
use exos_policy::stride::Stride;
use exos_rt::abi::EnvId;
use exos_rt::abi::frame::Capability;
use exos_rt::environment::spawn;
use exos_rt::sequences::slices_used;
use exos_rt::shared::Shared;
use exos_rt::{call, println, program};

const SHARES: [u16; 3] = [3, 2, 1];
const QUANTA: u32 = 60;

static COUNTS: [Shared<u32>; 3] = [const { Shared::new(0) }; 3];

extern "C" fn counts(client: u32) -> ! {
    loop {
        COUNTS[client as usize].add(1);
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
    match program::arguments().any(|argument| argument == "policy=lottery") {
        true => check(Lottery::new(1), 12),
        false => check(Stride::new(), 1),
    }
}

/// Runs environments by a policy which is at most so many quanta off.
fn check(mut policy: impl Policy, most: u32) {
    // It has a slice of its own, so a client that is not chosen has none.
    let clients: [(EnvId, Capability); 3] = [0, 1, 2].map(|client| spawn(counts, client, None).unwrap());
    for ((id, _), share) in clients.into_iter().zip(SHARES) {
        policy.add(id.0, share).unwrap();
    }
    let mut had = [0; 3];
    for _ in 0..QUANTA {
        let next = quantum(&mut policy).unwrap();
        let client = clients.iter().position(|&(id, _)| id == next).unwrap();
        let before = COUNTS.each_ref().map(Shared::get);
        had[client] += 1;
        assert_eq!(before, COUNTS.each_ref().map(Shared::get), "a client runs beside the scheduler");
    }
    for (had, share) in had.into_iter().zip(SHARES) {
        let ideal = QUANTA * u32::from(share) / SHARES.iter().map(|&share| u32::from(share)).sum::<u32>();
        assert!(u32::abs_diff(had, ideal) <= most, "{had} of {ideal}");
    }
    let counts = COUNTS.each_ref().map(Shared::get);
    assert!(counts[0] > counts[1] && counts[1] > counts[2] && counts[2] > 0, "{counts:?}");
    // Those that end are left out, one after the other.
    for (id, control) in clients {
        call::env_destroy(id, control).unwrap();
    }
    for slices in [1, 3] {
        let (id, _) = spawn(ends, slices, None).unwrap();
        policy.add(id.0, 1).unwrap();
    }
    run(&mut policy);
    assert_eq!(policy.next(), None);
    println!("exos_scheduler: shares of {QUANTA} quanta: {had:?}");
}
