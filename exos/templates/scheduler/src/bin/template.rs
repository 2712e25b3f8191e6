//! Three environments with shares of 3, 2 and 1, which count while they run: `cargo exo run`.

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos::scheduler::quantum;
use exos_policy::schedule::Policy;
use exos_rt::environment::spawn;
use exos_rt::println;
use exos_rt::shared::Shared;
use template::Rounds;

const SHARES: [u16; 3] = [3, 2, 1];

static COUNTS: [Shared<u32>; 3] = [const { Shared::new(0) }; 3];

extern "C" fn counts(client: u32) -> ! {
    loop {
        COUNTS[client as usize].add(1);
    }
}

fn main() {
    let mut policy = Rounds::new();
    for (client, share) in (0..).zip(SHARES) {
        let (id, _) = spawn(counts, client, None).expect("there is memory for a child");
        policy.add(id.0, share).expect("there are few");
    }
    for _ in 0..30 {
        quantum(&mut policy).expect("they live");
    }
    let counts = COUNTS.each_ref().map(|count| count.get() / 1000);
    println!("template: with shares of {SHARES:?} they counted to {counts:?} thousands");
}
