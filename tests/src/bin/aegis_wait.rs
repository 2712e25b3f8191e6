//! Waiting: for a tick of the clock, for another environment, for a wake that has come before; meanwhile the processor
//! is others' or idle.
//@ expect: aegis_wait: woken by the clock, by a child, and beforehand

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../child.rs"]
mod child;

use child::{NOBODY, wait_for_end};
use exos_rt::abi::{EnvId, Error};
use exos_rt::environment::spawn;
use exos_rt::sequences::slices_used;
use exos_rt::shared::Shared;
use exos_rt::{call, println, public};

static WORK: Shared<u32> = Shared::new(0);

/// Works until the tick `deadline`, then wakes its parent.
extern "C" fn child(deadline: u32) -> ! {
    while call::clock() < deadline {
        WORK.add(1);
    }
    call::wake(EnvId(public::slice(0).owner)).unwrap();
    call::exit(0)
}

/// Waits once. Only at the very end of a slice would it return early.
fn wait_until(deadline: u32) {
    call::yield_slice();
    call::wait(Some(deadline));
}

fn main() {
    let id = call::self_id();
    let (start, idle) = (call::clock(), public::statistics().idle);
    wait_until(start + 5);
    assert!((5..=6).contains(&(call::clock() - start)), "{} ticks", call::clock() - start);
    assert!(public::statistics().idle > idle, "nobody had work");
    // What is over is waited for no longer than until the next slice.
    let start = call::clock();
    wait_until(start);
    assert!(call::clock() - start <= 1);

    assert_eq!(call::wake(id), Ok(()));
    let start = call::clock();
    call::wait(None);
    assert!(call::clock() - start <= 1, "it had been woken");
    assert_eq!(call::wake(NOBODY), Err(Error::NoSuchEnvironment));

    let (start, used) = (call::clock(), slices_used());
    let (child, _) = spawn(child, start + 10, Some(1)).unwrap();
    call::wait(None);
    assert!(call::clock() - start >= 10, "{} ticks", call::clock() - start);
    assert!(slices_used() <= used + 1, "it used {} slices while it waited", slices_used() - used);
    assert!(WORK.get() > 1000, "the child worked meanwhile");
    wait_for_end(child);
    println!("aegis_wait: woken by the clock, by a child, and beforehand");
}
