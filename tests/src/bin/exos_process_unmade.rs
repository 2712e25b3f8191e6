//! Who is killed, or is gone without a word, while it makes a process leaves no entry of it and no open file.
//@ run: init,exos_process_unmade
//@ archive: exos_process_unmade true
//@ timeout: 120
//@ expect: exos_process_unmade: nothing is left

#![no_std]
#![no_main]

use exos::println;
use exos::process::table::{signal, state, world};
use exos::process::{Spawn, arguments, exit, file, fork, kill, sleep, spawn, try_wait, wait};
use exos_rt::abi::EnvId;
use exos_rt::call;

exos::process!(main);

/// How often each is to be caught.
const CAUGHT: u32 = 3;
/// Ticks that others have to end.
const PATIENCE: u32 = 640;

fn main() -> u32 {
    match arguments().nth(1) {
        Some("spawns") => spawns(),
        Some("forks") => forks(),
        _ => {}
    }
    // A pipe that all inherit: its end is seen only if nobody is left that has it.
    let (read, write) = file::pipe().unwrap();
    let before = in_use();
    for (verb, by_force) in [("spawns", false), ("spawns", true), ("forks", false), ("forks", true)] {
        let mut caught = 0;
        for round in 0.. {
            let files = [file::INPUT, write, file::ERROR];
            let arguments = &["exos_process_unmade", verb];
            let pid = spawn(&Spawn { program: arguments[0], arguments, variables: &[], files, job: None }).unwrap();
            sleep(2 + round % 3);
            if by_force {
                let process = world().find(pid).unwrap();
                call::env_destroy(EnvId(process.env.get()), process.control.get()).unwrap();
            } else {
                kill(pid, signal::KILL).unwrap();
            }
            let new = state::new_by(pid & 0xff);
            caught += u32::from(world().processes.iter().any(|process| process.state.get() == new));
            wait(Some(pid)).unwrap();
            assert!(world().processes.iter().all(|process| process.state.get() != new), "{verb}, {by_force}");
            if caught == CAUGHT {
                break;
            }
        }
        // Whoever was made before ends by itself.
        for _ in 0..PATIENCE {
            if in_use() == before {
                break;
            }
            sleep(1);
        }
        assert_eq!(in_use(), before, "{verb}, {by_force}");
    }
    file::close(write).unwrap();
    assert_eq!(file::read(read, &mut [0]), Ok(0), "somebody has it still");
    println!("exos_process_unmade: nothing is left");
    0
}

/// Processes and open files.
fn in_use() -> [usize; 2] {
    let processes = world().processes.iter().filter(|process| process.state.get() != state::FREE);
    [processes.count(), world().files.iter().filter(|file| file.references.get() != 0).count()]
}

fn spawns() -> ! {
    let files = [file::INPUT, file::OUTPUT, file::ERROR];
    loop {
        let _ = spawn(&Spawn { program: "true", arguments: &["true"], variables: &[], files, job: None });
        while let Ok(Some(_)) = try_wait(None) {}
    }
}

fn forks() -> ! {
    loop {
        if fork() == Ok(None) {
            exit(0);
        }
        while let Ok(Some(_)) = try_wait(None) {}
    }
}
