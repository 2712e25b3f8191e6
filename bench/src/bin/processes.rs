//! Processes of ExOS: fork, exit and wait of a small process; spawn of a program of the archive, exit and wait.
//!
//! Counted is everything that the processor executes from the call of `fork` or `spawn` to the return from `wait`: the
//! parent, the child and the kernel. The child of the fork exits at once, and so does the program, `true`, which has 3
//! words of data. What disturbs a count is the clock, and `init`, which it wakes now and then.
//@ run: init,processes
//@ archive: processes true

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use exos::println;
use exos::process::table::Status;
use exos::process::{self, Spawn, fork, spawn, wait};
use exos_rt::{mark_begin, mark_end};

exos::process!(main);

const FORK: u32 = 1;
const SPAWN: u32 = 2;
const FORK_LOOP: u32 = aegis_bench::loop_of(FORK);
const SPAWN_LOOP: u32 = aegis_bench::loop_of(SPAWN);
/// How often each is measured alone.
const ALONE: u32 = 50;
/// Rounds of a loop, and how often it is run.
const ROUNDS: u32 = 20;
const LOOPS: u32 = 5;

fn fork_exit_wait() {
    if let Some(pid) = fork().expect("there is room") {
        assert_eq!(wait(Some(pid)), Ok((pid, Status::exit(0))));
    } else {
        process::exit(0);
    }
}

fn spawn_exit_wait() {
    let program = Spawn { program: "true", arguments: &["true"], variables: &[], files: [0, 1, 2], job: None };
    let pid = spawn(&program).expect("there is room");
    assert_eq!(wait(Some(pid)), Ok((pid, Status::exit(0))));
}

fn main() -> u32 {
    println!("mark {FORK} table=processes op=fork_exit_wait system=exos how=fork, the child's exit, wait");
    println!("mark {SPAWN} table=processes op=spawn_exit_wait system=exos how=spawn of true, its exit, wait");
    for (id, of) in [(FORK_LOOP, FORK), (SPAWN_LOOP, SPAWN)] {
        println!("loop {id} of={of} rounds={ROUNDS} how=the same, and the clock's ticks");
    }
    // Caches and tables are warm, and frames of the dead are what is found free.
    fork_exit_wait();
    spawn_exit_wait();
    for _ in 0..ALONE {
        mark_begin!(FORK);
        fork_exit_wait();
        mark_end!(FORK);
        mark_begin!(SPAWN);
        spawn_exit_wait();
        mark_end!(SPAWN);
    }
    for _ in 0..LOOPS {
        mark_begin!(FORK_LOOP);
        (0..ROUNDS).for_each(|_| fork_exit_wait());
        mark_end!(FORK_LOOP);
        mark_begin!(SPAWN_LOOP);
        (0..ROUNDS).for_each(|_| spawn_exit_wait());
        mark_end!(SPAWN_LOOP);
    }
    0
}
