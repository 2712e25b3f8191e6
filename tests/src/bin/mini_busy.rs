//! mini runs one event at a time: who calls while one is under way is refused, and calls again.
//@ run: mini_counter mini_busy
//@ expect: mini_busy: the long call was answered, others were refused meanwhile
//@ expect: aegis: 3 programs ended, 0 badly

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../mini.rs"]
mod mini;

use exos_rt::abi::{EnvId, Error};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, println, public};
use mini::ask;

const LONG: u32 = 2;
const END: u32 = 3;

static ANSWERED: Shared<u32> = Shared::new(0);

extern "C" fn calls_long(id: u32) -> ! {
    let answer = ask(EnvId(id), LONG, 6).expect("it answers");
    ANSWERED.set(answer as u32);
    call::exit(0)
}

fn main() {
    let id = mini::find();
    let mut refused = 0;
    spawn(calls_long, id.0, Some((public::position() + 9) % 64)).unwrap();
    while ANSWERED.get() == 0 {
        match ask(id, mini::WHO, 0) {
            Err(Error::Busy) => refused += 1,
            answer => _ = answer.expect("it lives"),
        }
        call::yield_slice();
    }
    assert!(refused > 0 && ANSWERED.get() <= call::clock());
    while ask(id, END, 0).is_err() {
        call::yield_slice();
    }
    println!("mini_busy: the long call was answered, others were refused meanwhile");
}
