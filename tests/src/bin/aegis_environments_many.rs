//! As many environments as there can be, all at once, three frames each; then as many again, in the frames of the dead.
//@ expect: aegis_environments_many: twice as many as there can be
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::abi::{EnvId, Error};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, println, public};

/// All but this program.
const CHILDREN: usize = EnvId::COUNT - 1;

static RAN: [Shared<u32>; CHILDREN] = [const { Shared::new(0) }; CHILDREN];

extern "C" fn child(number: u32) -> ! {
    RAN[number as usize].set(call::self_id().0);
    call::exit(0)
}

fn main() {
    let mut ids = [EnvId(0); CHILDREN];
    for round in 0..2 {
        for (number, id) in ids.iter_mut().enumerate() {
            (*id, _) = spawn(child, number as u32, None).unwrap_or_else(|error| panic!("number {number}: {error:?}"));
        }
        assert_eq!(spawn(child, 0, None), Err(Error::Full));
        for (number, id) in ids.into_iter().enumerate() {
            assert_ne!(RAN[number].get(), id.0);
            // It may come back before the child has ended, should a slice end just then.
            while call::yield_to(id).is_ok() {}
            assert_eq!(RAN[number].get(), id.0);
        }
        let statistics = public::statistics();
        assert_eq!((statistics.created, statistics.ended), (1 + 255 * (round + 1), 255 * (round + 1)));
    }
    println!("aegis_environments_many: twice as many as there can be");
}
