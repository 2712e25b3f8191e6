//! The capabilities for control over environments that the processes' table holds. Whoever can read them can use them;
//! all processes of a world can.

#![no_std]
#![no_main]

use exos::println;
use exos::process::table::{state, world};
use exos_rt::abi::frame::Capability;

exos::process!(main);

fn main() -> u32 {
    println!("  PID ENVIRONMENT CAPABILITY       NAME");
    for process in world().processes.iter().filter(|process| process.state.get() == state::RUNNING) {
        let Capability([low, high]) = process.control.get();
        let (pid, env) = (process.pid.get(), process.env.get());
        process.name(|name| println!("{pid:5} {env:#011x} {high:08x}{low:08x} {name}"));
    }
    0
}
