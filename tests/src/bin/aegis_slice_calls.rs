//! Slices are asked for by position, freed, given away; and what is not allowed is refused and changes nothing.
//@ expect: aegis_slice_calls: the child ran in the slice that it was given

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../child.rs"]
mod child;

use child::{NOBODY, wait_for_end};
use exos_rt::abi::Error;
use exos_rt::abi::slice::{COUNT, Slice};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, println, public};

const LAST: u32 = COUNT as u32 - 1;
const NONE: Slice = Slice { owner: 0, runner: 0 };

static POSITION: Shared<u32> = Shared::new(u32::MAX);

extern "C" fn child(_: u32) -> ! {
    POSITION.set(public::position());
    // It is the child's now, and nobody else's business.
    assert_eq!(call::slice_free(0), Err(Error::Denied));
    assert_eq!(call::slice_reclaim(0), Err(Error::Denied));
    call::exit(0)
}

fn main() {
    let id = call::self_id();
    let mine = Slice { owner: id.0, runner: id.0 };
    assert_eq!((public::position(), public::slice(0)), (0, mine), "the first program's slice is the first");
    assert_eq!(public::slices_of(id).count(), 1);

    for position in [1, LAST] {
        assert_eq!(public::slice(position), NONE);
        assert_eq!(call::slice_free(position), Err(Error::Denied));
        assert_eq!(call::slice_give(position, id), Err(Error::Denied));
        assert_eq!(call::slice_reclaim(position), Err(Error::Denied));
        assert_eq!(call::slice_allocate(position), Ok(()));
        assert_eq!(public::slice(position), mine);
        assert_eq!(call::slice_allocate(position), Err(Error::Busy));
        assert_eq!(call::slice_reclaim(position), Ok(()), "what is not lent may be taken back, too");
        assert_eq!(call::slice_give(position, NOBODY), Err(Error::NoSuchEnvironment));
        assert_eq!(call::slice_give(position, id), Ok(()));
        assert_eq!(public::slice(position), mine);
        assert_eq!(call::slice_free(position), Ok(()));
        assert_eq!(public::slice(position), NONE);
    }
    for position in [LAST + 1, 0x8000_0000, u32::MAX] {
        assert_eq!(call::slice_allocate(position), Err(Error::BadArgument));
        assert_eq!(call::slice_free(position), Err(Error::BadArgument));
        assert_eq!(call::slice_give(position, id), Err(Error::BadArgument));
        assert_eq!(call::slice_reclaim(position), Err(Error::BadArgument));
    }

    let (child, _) = spawn(child, 0, None).unwrap();
    for _ in 0..3 {
        call::yield_slice();
    }
    assert_eq!(POSITION.get(), u32::MAX, "it has no slice");
    call::slice_allocate(LAST).unwrap();
    call::slice_give(LAST, child).unwrap();
    assert_eq!(public::slice(LAST), Slice { owner: child.0, runner: child.0 });
    assert_eq!(call::slice_free(LAST), Err(Error::Denied));
    wait_for_end(child);
    assert_eq!(POSITION.get(), LAST);
    assert_eq!(public::slice(LAST), NONE, "what the dead owned is free");
    println!("aegis_slice_calls: the child ran in the slice that it was given");
}
