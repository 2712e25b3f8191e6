//! The generations of an index run out: all other indices are taken, and an environment is made and destroyed at the last
//! as often as there are generations. Each has another id; after the last one the index is never used again, and every
//! call says so, until another is free. None of the ids is taken for a living one's.
//@ expect: aegis_generations: 524287 lives at an index, each with its own name, and no more
//@ ignore-machine: gxemul it takes minutes there, and what it shows depends on no machine
//@ ignore-machine: decstation likewise
//@ timeout: 1800

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::abi::frame::Capability;
use exos_rt::abi::{EnvId, Error};
use exos_rt::call::{env_create, env_destroy, frame_allocate};
use exos_rt::{call, memory, println};

/// Others that live: all but this program's and the last.
const OTHERS: usize = EnvId::COUNT - 2;

/// Makes an environment of two frames that the dead have left.
fn create(home: u32) -> Result<(EnvId, Capability), Error> {
    frame_allocate(home).and_then(|()| frame_allocate(home + 1)).and_then(|()| env_create(home))
}

fn main() {
    let mut others = [(EnvId(0), Capability([0; 2])); OTHERS];
    for other in &mut others {
        *other = env_create(memory::allocate_pair().unwrap()).unwrap();
    }
    // One index is left, and its lives come one after the other.
    let home = memory::allocate_pair().unwrap();
    let (mut id, mut control) = env_create(home).unwrap();
    let index = id.index();
    let mut last = (EnvId(0), control);
    for generation in 1..EnvId::LAST_GENERATION {
        assert_eq!(id, EnvId::new(index, generation));
        assert!(id > last.0 && (id.0 as i32) > 0);
        env_destroy(id, control).unwrap();
        if generation.is_power_of_two() {
            assert_eq!(env_destroy(id, control), Err(Error::NoSuchEnvironment), "it is dead");
        }
        last = (id, control);
        (id, control) = create(home).unwrap();
        assert_ne!(control, last.1, "the right over the dead");
    }
    assert_eq!(id, EnvId::new(index, EnvId::LAST_GENERATION));
    // Neither the first nor the one before is this one, nor is the right over the one before good for it.
    for stale in [EnvId::new(index, 1), last.0, EnvId::new(index, 0)] {
        assert_eq!(call::wake(stale), Err(Error::NoSuchEnvironment));
        assert_eq!(env_destroy(stale, control), Err(Error::NoSuchEnvironment));
    }
    assert_eq!(env_destroy(id, last.1), Err(Error::Denied));
    env_destroy(id, control).unwrap();
    // The index is retired: though only 255 live there is none left.
    assert_eq!(create(home), Err(Error::Full));
    assert_eq!(env_create(home), Err(Error::Full));
    for stale in [id, last.0, EnvId::new(index, 1), EnvId::new(index, 0)] {
        assert_eq!(call::wake(stale), Err(Error::NoSuchEnvironment));
    }
    // Until another ends: then its index is used, again and again, and that one never.
    let (mut id, mut control) = others[0];
    for _ in 0..4 {
        env_destroy(id, control).unwrap();
        let (next, right) = env_create(home).or_else(|_| create(home)).unwrap();
        assert_eq!((next.index(), next.generation()), (id.index(), id.generation() + 1));
        assert_eq!(create(home), Err(Error::Busy), "in use");
        (id, control) = (next, right);
    }
    println!("aegis_generations: {} lives at an index, each with its own name, and no more", EnvId::LAST_GENERATION);
}
