//! Processes: fork, exit and wait of a small process; a program in a new one, with a copy of the parent and without.

use aegis_bench_linux::meter::{LOOPS, Meter, describe as line};
use aegis_bench_linux::system::{execute, exit, fork, spawn, wait};
use aegis_bench_linux::{mark_begin, mark_end};

const FORK: u32 = 1;
const SPAWN: u32 = 2;
const FORK_EXEC: u32 = 3;

/// How often each is measured alone, and rounds of a loop.
const ALONE: u32 = 50;
const ROUNDS: u32 = 20;

const PROGRAM: &core::ffi::CStr = c"/true";

fn fork_exit_wait() {
    match fork().expect("there is room") {
        Some(pid) => assert_eq!(wait(pid), Ok(0)),
        None => exit(0),
    }
}

fn spawn_exit_wait() {
    assert_eq!(wait(spawn(PROGRAM).expect("there is room")), Ok(0));
}

fn fork_exec_exit_wait() {
    match fork().expect("there is room") {
        Some(pid) => assert_eq!(wait(pid), Ok(0)),
        None => {
            let _ = execute(PROGRAM);
            exit(1)
        }
    }
}

pub fn describe() {
    let loop_how = "the same, and the clock's ticks";
    line(FORK, "processes", "fork_exit_wait", "fork, the child's exit, wait4", ROUNDS, loop_how);
    let how = "clone as vfork does, execve of a program that exits, wait4";
    line(SPAWN, "processes", "spawn_exit_wait", how, ROUNDS, loop_how);
    let how = "fork, execve of a program that exits, wait4";
    line(FORK_EXEC, "processes", "fork_exec_exit_wait", how, ROUNDS, loop_how);
}

pub fn measure(meter: &Meter) {
    macro_rules! measure {
        ($id:ident, $operation:ident) => {
            $operation();
            for _ in 0..ALONE {
                mark_begin!($id);
                $operation();
                mark_end!($id);
            }
            meter.time::<$id>(LOOPS, ROUNDS, || (), |rounds| (0..rounds).for_each(|_| $operation()));
        };
    }
    measure!(FORK, fork_exit_wait);
    measure!(SPAWN, spawn_exit_wait);
    measure!(FORK_EXEC, fork_exec_exit_wait);
}
