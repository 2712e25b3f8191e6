//! The vector of time slices: who owns each, and who runs in it.

#![no_std]
#![no_main]

use exos::process::table::{state, world};
use exos::{print, println};
use exos_rt::public;

exos::process!(main);

fn who(env: u32) -> u32 {
    let alive = |state| state == state::RUNNING || state == state::ZOMBIE;
    world()
        .processes
        .iter()
        .find(|process| process.env.get() == env && alive(process.state.get()))
        .map_or(0, |process| process.pid.get())
}

fn main() -> u32 {
    println!("The owner of each slice, by PID; / who runs there, if another; - nobody.");
    for position in 0..64 {
        let slice = public::slice(position);
        if position % 8 == 0 {
            print!("{position:2}:");
        }
        match (slice.owner, slice.runner) {
            (0, _) => print!("        -"),
            (owner, runner) if owner == runner => print!(" {:8}", who(owner)),
            (owner, runner) => print!(" {:4}/{:3}", who(owner), who(runner)),
        }
        if position % 8 == 7 {
            println!();
        }
    }
    0
}
