//! The table of processes.

#![no_std]
#![no_main]

use exos::println;
use exos::process::table::{state, world};
use exos_rt::public;

exos::process!(main);

fn main() -> u32 {
    println!("  PID PARENT    JOB STATE   SLICE ENVIRONMENT  SECONDS NAME");
    for process in &world().processes {
        let state = match state::of(process.state.get()) {
            state::FREE => continue,
            state::NEW => "new",
            state::RUNNING if process.is_alive() => "alive",
            state::RUNNING => "gone",
            _ => "zombie",
        };
        let parent = world().at(process.parent.get()).map_or(0, |parent| parent.pid.get());
        let (pid, job, env) = (process.pid.get(), process.job.get(), process.env.get());
        let seconds = public::ticks().wrapping_sub(process.began.get()) / 64;
        let slice = process.slice.get();
        process.name(|name| match slice {
            0 => println!("{pid:5} {parent:6} {job:6} {state:7}     - {env:#011x} {seconds:8} {name}"),
            _ => println!("{pid:5} {parent:6} {job:6} {state:7} {:5} {env:#011x} {seconds:8} {name}", slice - 1),
        });
    }
    0
}
