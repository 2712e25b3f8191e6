//! Where its slices are in the vector is a program's choice: side by side they are for throughput, far apart for short
//! gaps. Both get the same share of the processor, and so does who has the rest.
//@ expect: aegis_slice_placement: 16 slices a second, in 1 piece or in 16
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::abi::slice::COUNT;
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, println, public};

const SLICES: u32 = COUNT as u32;
/// How many of them are main's.
const MAINS: u32 = SLICES / 4;
/// How many times round the vector.
const ROUNDS: u32 = 2;

/// In how many slices the competitor has run.
static COMPETITOR: Shared<u32> = Shared::new(0);

/// Computes all the time.
extern "C" fn compete(_: u32) -> ! {
    let mut last = public::ticks();
    loop {
        let now = public::ticks();
        if now != last {
            COMPETITOR.add(1);
            last = now;
        }
    }
}

/// What became of main in some rounds.
struct Seen {
    /// In how many slices it ran.
    slices: u32,
    /// How often another ran in between.
    switches: u32,
    /// The most slices that passed without it, and one more.
    gap: u32,
    /// In how many the competitor ran.
    competitor: u32,
}

/// Computes in the slices that are main's, the others being a competitor's. The first one is main's in any case.
fn compute(is_mains: fn(u32) -> bool) -> Seen {
    let (id, control) = spawn(compete, 0, None).unwrap();
    for position in 1..SLICES {
        call::slice_allocate(position).unwrap();
        if !is_mains(position) {
            call::slice_give(position, id).unwrap();
        }
    }
    // From the beginning of the first slice on.
    while public::position() == 0 {}
    while public::position() != 0 {}
    let (start, competitor) = (public::ticks(), COMPETITOR.get());
    let mut seen = Seen { slices: 1, switches: 0, gap: 0, competitor: 0 };
    let mut last = start;
    while last - start < ROUNDS * SLICES {
        let now = public::ticks();
        if now != last {
            seen.slices += 1;
            seen.switches += u32::from(now - last > 1);
            seen.gap = seen.gap.max(now - last);
            last = now;
        }
    }
    seen.competitor = COMPETITOR.get() - competitor;
    call::env_destroy(id, control).unwrap();
    (1..SLICES).filter(|&position| is_mains(position)).for_each(|position| call::slice_free(position).unwrap());
    seen
}

fn main() {
    assert_eq!(public::position(), 0);
    let together = compute(|position| position < MAINS);
    let apart = compute(|position| position.is_multiple_of(SLICES / MAINS));
    for Seen { slices, competitor, .. } in [&together, &apart] {
        // The last one has just begun.
        assert_eq!(*slices, ROUNDS * MAINS + 1);
        assert_eq!(*competitor, ROUNDS * (SLICES - MAINS));
    }
    assert_eq!((together.switches, together.gap), (ROUNDS, SLICES - MAINS + 1));
    assert_eq!((apart.switches, apart.gap), (ROUNDS * MAINS, SLICES / MAINS));
    let pieces = [together, apart].map(|seen| seen.switches / ROUNDS);
    println!("aegis_slice_placement: {MAINS} slices a second, in {} piece or in {}", pieces[0], pieces[1]);
}
