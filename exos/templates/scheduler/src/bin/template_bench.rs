//! What a decision takes, beside ExOS's policies: `cargo exo bench`.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

use exos_policy::lottery::Lottery;
use exos_policy::schedule::Policy;
use exos_policy::stride::Stride;
use exos_rt::{mark_begin, mark_end, println};
use template::Rounds;

const ROUNDS: u32 = 100;
/// From an operation's mark to that of its loop.
const LOOP: u32 = 100;

#[inline(never)]
fn next(policy: &mut impl Policy) -> Option<u32> {
    policy.next()
}

fn measure<const ID: u32>(system: &str, mut policy: impl Policy) {
    println!("mark {ID} table=template op=next_of_8 system={system} how=whose the next quantum is, of eight clients");
    println!("loop {} of={ID} rounds={ROUNDS} how=the same, and the loop's own", ID + LOOP);
    exos_rt::console::flush();
    (0..8).for_each(|client| policy.add(client, client as u16 + 1).expect("there are few"));
    for _ in 0..9 {
        for _ in 0..ROUNDS {
            mark_begin!(ID);
            core::hint::black_box(next(&mut policy));
            mark_end!(ID);
        }
        mark_begin!(ID + LOOP);
        for _ in 0..ROUNDS {
            core::hint::black_box(next(&mut policy));
        }
        mark_end!(ID + LOOP);
    }
}

fn main() {
    measure::<1>("template", Rounds::new());
    measure::<2>("stride", Stride::new());
    measure::<3>("lottery", Lottery::new(1));
}
