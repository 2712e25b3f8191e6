//! 200 processes at once, of which most have no slice of their own: all run.
//@ run: init,exos_many_processes
//@ archive: exos_many_processes
//@ timeout: 120
//@ expect: exos_many_processes: 200 at once

#![no_std]
#![no_main]

use exos::println;
use exos::process::table::{Status, state, world};
use exos::process::{self, file, fork, wait};

exos::process!(main);

#[path = "../process_census.rs"]
mod census;

const PROCESSES: usize = 200;

fn main() -> u32 {
    assert_eq!(fork_and_wait(3), 3);
    let before = census::take();
    assert_eq!(fork_and_wait(PROCESSES), PROCESSES);
    census::same(before, "many processes");
    println!("exos_many_processes: {PROCESSES} at once");
    0
}

/// Has so many children, each of which says so and waits until all have; how many answers there were.
fn fork_and_wait(count: usize) -> usize {
    let (read, write) = file::pipe().expect("there is room");
    let (here, there) = file::pipe().expect("there is room");
    for number in 0..count {
        if fork().expect("there is room").is_none() {
            file::close(write).expect("it is open");
            file::close(here).expect("it is open");
            file::write(there, &[number as u8]).expect("somebody reads");
            // Until there is nobody who could write.
            assert_eq!(file::read(read, &mut [0]), Ok(0));
            process::exit(number as u32 & 0x7f);
        }
    }
    file::close(there).expect("it is open");
    let mut seen = [false; 256];
    let mut answers = 0;
    while answers < count {
        let mut bytes = [0; 16];
        let got = file::read(here, &mut bytes).expect("it is open");
        assert_ne!(got, 0, "{answers} have answered");
        for &byte in &bytes[..got] {
            assert!(!core::mem::replace(&mut seen[usize::from(byte)], true));
        }
        answers += got;
    }
    let alive = world().processes.iter().filter(|process| process.state.get() == state::RUNNING && process.is_alive());
    // And init, and this one.
    assert_eq!(alive.count(), count + 2);
    file::close(write).expect("it is open");
    let mut sum = 0;
    for _ in 0..count {
        let (_, status) = wait(None).expect("there is another");
        assert_eq!(status.signal_number(), 0);
        sum += status.code();
    }
    assert_eq!(sum, (0..count as u32).map(|number| number & 0x7f).sum());
    assert_ne!(Status::exit(0), Status::signal(9));
    file::close(read).expect("it is open");
    file::close(here).expect("it is open");
    answers
}
