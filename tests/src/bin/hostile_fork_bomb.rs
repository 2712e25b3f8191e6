//! Environments that make environments, as many as they can, and those likewise, all with slices of their own. The other
//! program, which began before, is not disturbed, and when the first of them is ended no new one can be made.
//@ run: aegis_witness hostile_fork_bomb
//@ expect: hostile_fork_bomb: it came to an end
//@ expect: aegis_witness: undisturbed
//@ timeout: 200

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::abi::frame::Capability;
use exos_rt::abi::{EnvId, Error};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, println, program, public};

const MOST: usize = 400;
/// All that were made: their capabilities, so that somebody can end them.
static MADE: [Shared<[u32; 3]>; MOST] = [const { Shared::new([0; 3]) }; MOST];
static COUNT: Shared<u32> = Shared::new(0);
/// How often there was no more to be had.
static FULL: Shared<u32> = Shared::new(0);
static STOP: Shared<bool> = Shared::new(false);

/// Makes others as long as it lives.
extern "C" fn bomb(_: u32) -> ! {
    loop {
        let free = (0..64).find(|&position| public::slice(position).owner == 0);
        if !STOP.get() && (COUNT.get() as usize) < MOST {
            match spawn(bomb, 0, free) {
                Ok((id, Capability([tag0, tag1]))) => {
                    let place = COUNT.get();
                    COUNT.set(place + 1);
                    MADE[place as usize % MOST].set([id.0, tag0, tag1]);
                }
                // The frames, the slice or the name that it wanted another was quicker to take.
                Err(Error::Full | Error::Busy | Error::Denied) => FULL.add(1),
                Err(error) => panic!("{error:?}"),
            }
        }
        call::yield_slice();
    }
}

fn main() {
    let me = call::self_id();
    while (0..64).filter(|&position| ![0, me.0].contains(&public::slice(position).owner)).count() < 2 {
        call::yield_slice();
    }
    call::yield_slice();
    let (id, Capability([tag0, tag1])) = spawn(bomb, 0, Some((public::position() + 7) % 64)).unwrap();
    MADE[0].set([id.0, tag0, tag1]);
    COUNT.set(1);
    let start = call::clock();
    while COUNT.get() < 60 && call::clock() - start < 64 * 40 {
        call::yield_slice();
    }
    STOP.set(true);
    let mut ended = 0;
    for made in &MADE {
        let [id, tag0, tag1] = made.get();
        ended += u32::from(call::env_destroy(EnvId(id), Capability([tag0, tag1])).is_ok());
    }
    println!("{}: it came to an end: {ended} environments, {} times none could be made", program::name(), FULL.get());
}
