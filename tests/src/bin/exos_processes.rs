//! Processes as they are used: arguments and variables, spawn, exec, fork, wait, descriptors, pipes, files.
//@ run: init,exos_processes,first,second
//@ archive: exos_processes cat echo true false wc motd
//@ timeout: 60
//@ expect: exos_processes: by echo, in the same terminal
//@ expect: exos_processes: all is well

#![no_std]
#![no_main]

use exos::process::table::{Status, signal, world};
use exos::process::{self, Fail, Spawn, arguments, exec, file, fork, spawn, variable, wait};
use exos::{print, println};

exos::process!(main);

/// A word of data, and one of zeros.
static DATA: exos_rt::shared::Shared<u32> = exos_rt::shared::Shared::new(0x1234_5678);
static ZEROS: exos_rt::shared::Shared<[u32; 2048]> = exos_rt::shared::Shared::new([0; 2048]);

fn main() -> u32 {
    match arguments().nth(1) {
        Some("first") => all(),
        Some("child") => child(),
        _ => unreachable!(),
    }
}

/// What this program is when it spawns itself.
fn child() -> u32 {
    assert_eq!(arguments().nth(2), Some("with words"));
    assert_eq!(arguments().count(), 3);
    assert_eq!(variable("NAME"), Some("value"));
    assert_eq!(variable("NAM"), None);
    assert_eq!(DATA.get(), 0x1234_5678);
    assert!(ZEROS.get().iter().all(|&word| word == 0));
    assert_eq!(file::write(5, b"x"), Err(Fail::BadDescriptor), "it has three descriptors");
    42
}

fn simple(program: &str, arguments: &[&str]) -> Result<u32, Fail> {
    spawn(&Spawn { program, arguments, variables: &["NAME=value"], files: [0, 1, 2], job: None })
}

fn status(program: &str, arguments: &[&str]) -> Result<u32, Fail> {
    let pid = simple(program, arguments)?;
    let (ended, status) = wait(Some(pid))?;
    assert_eq!(ended, pid);
    Ok(status.code())
}

fn all() -> u32 {
    assert_eq!(arguments().nth(2), Some("second"));
    DATA.set(1);
    assert_eq!(status("true", &["true"]), Ok(0));
    assert_eq!(status("false", &["false"]), Ok(1));
    assert_eq!(status("exos_processes", &["exos_processes", "child", "with words"]), Ok(42));
    assert_eq!(status("echo", &["echo", "exos_processes: by echo, in the same terminal"]), Ok(0));
    println!("spawned");
    forked();
    println!("forked");
    executed();
    println!("executed");
    piped();
    println!("piped");
    descriptors();
    println!("descriptors");
    killed();
    assert_eq!(wait(None), Err(Fail::NoSuchProcess));
    println!("exos_processes: all is well");
    0
}

/// A child has what its parent has, and neither sees what the other writes.
fn forked() {
    let mut local = 7;
    // So that it is no constant.
    core::hint::black_box(&mut local);
    let heap = process::grow(8 * 4096).unwrap() as *mut u32;
    // SAFETY: the heap is this program's.
    let heap = unsafe { core::slice::from_raw_parts_mut(heap, 8 * 1024) };
    heap[0] = 11;
    heap[7 * 1024] = 12;
    for round in 0..3 {
        DATA.set(100 + round);
        match fork().unwrap() {
            None => {
                assert_eq!(
                    (DATA.get(), local, heap[0], heap[7 * 1024], heap[3 * 1024]),
                    (100 + round, 7, 11 + round, 12, 0)
                );
                DATA.set(5);
                heap[0] = 6;
                heap[3 * 1024] = 9;
                local = 8;
                core::hint::black_box(&mut local);
                assert_eq!((DATA.get(), heap[0], heap[3 * 1024], local), (5, 6, 9, 8));
                // Its own child has what it has.
                let pid = match fork().unwrap() {
                    None => process::exit(DATA.get() + heap[0] + heap[7 * 1024]),
                    Some(pid) => pid,
                };
                assert_eq!(wait(Some(pid)), Ok((pid, Status::exit(5 + 6 + 12))));
                process::exit(3);
            }
            Some(pid) => {
                // The child must see what was there before.
                heap[0] += 1;
                DATA.set(0);
                assert_eq!(wait(None), Ok((pid, Status::exit(3))));
                assert_eq!((DATA.get(), local, heap[0], heap[7 * 1024], heap[3 * 1024]), (0, 7, 12 + round, 12, 0));
            }
        }
    }
}

fn executed() {
    let pid = match fork().unwrap() {
        None => {
            assert_eq!(exec("no such program", &[], &[]).err(), Some(Fail::NotFound));
            let error = exec("exos_processes", &["exos_processes", "child", "with words"], &["NAME=value"]);
            unreachable!("{error:?}")
        }
        Some(pid) => pid,
    };
    assert_eq!(wait(Some(pid)), Ok((pid, Status::exit(42))));
}

/// `cat motd | wc`, by hand; and much through a pipe.
fn piped() {
    let (read, write) = file::pipe().unwrap();
    let (back, end) = file::pipe().unwrap();
    let run = |program, arguments: &[&str], files| {
        spawn(&Spawn { program, arguments, variables: &[], files, job: None }).unwrap()
    };
    let cat = run("cat", &["cat", "motd"], [0, write, 2]);
    let wc = run("wc", &["wc"], [read, end, 2]);
    for descriptor in [read, write, end] {
        file::close(descriptor).unwrap();
    }
    let mut text = [0; 64];
    let mut used = 0;
    while let count @ 1.. = file::read(back, &mut text[used..]).unwrap() {
        used += count;
    }
    file::close(back).unwrap();
    let text = core::str::from_utf8(&text[..used]).unwrap();
    print!("wc says {text}");
    let mut numbers = text.split_whitespace().map(|word| word.parse::<u32>().unwrap());
    assert_eq!(numbers.next(), Some(3));
    for pid in [wc, cat] {
        assert_eq!(wait(Some(pid)), Ok((pid, Status::exit(0))));
    }

    const BYTES: usize = 20_000;
    let (read, write) = file::pipe().unwrap();
    if fork().unwrap().is_none() {
        file::close(read).unwrap();
        let mut next = 0_u8;
        let mut piece = [0; 700];
        let mut left = BYTES;
        while left != 0 {
            let count = left.min(piece.len());
            for byte in &mut piece[..count] {
                *byte = next;
                next = next.wrapping_mul(5).wrapping_add(3);
            }
            file::write(write, &piece[..count]).unwrap();
            left -= count;
        }
        process::exit(0);
    }
    file::close(write).unwrap();
    let (mut got, mut next) = (0, 0_u8);
    let mut piece = [0; 333];
    while let count @ 1.. = file::read(read, &mut piece).unwrap() {
        for &byte in &piece[..count] {
            assert_eq!(byte, next, "at {got}");
            next = next.wrapping_mul(5).wrapping_add(3);
            got += 1;
        }
    }
    assert_eq!(got, BYTES);
    file::close(read).unwrap();
    assert_eq!(wait(None).map(|(_, status)| status), Ok(Status::exit(0)));
}

fn descriptors() {
    assert_eq!(file::open("no such file"), Err(Fail::NotFound));
    let motd = file::open("motd").unwrap();
    assert_eq!(motd, 3, "the lowest that is free");
    assert_eq!(file::write(motd, b"x"), Err(Fail::ReadOnly));
    let again = file::dup(motd).unwrap();
    let mut one = [0; 4];
    let mut two = [0; 6];
    assert_eq!((file::read(motd, &mut one), file::read(again, &mut two)), (Ok(4), Ok(6)));
    assert_eq!((&one, &two), (b"The ", b"kernel"), "they share how far it was read");
    file::close(motd).unwrap();
    assert_eq!(file::read(motd, &mut one), Err(Fail::BadDescriptor));
    file::dup2(file::OUTPUT, again).unwrap();
    assert!(file::is_terminal(again));
    file::close(again).unwrap();
    assert_eq!(file::close(again), Err(Fail::BadDescriptor));
    for bad in [3, 15, 16, u32::MAX] {
        assert_eq!(file::read(bad, &mut one), Err(Fail::BadDescriptor));
        assert_eq!(file::dup(bad), Err(Fail::BadDescriptor));
        assert_eq!(file::dup2(bad, 4), Err(Fail::BadDescriptor));
        assert_eq!(file::dup2(1, bad | 16), Err(Fail::BadDescriptor));
    }
    // All that there can be.
    let mut count = 0;
    let last = loop {
        match file::dup(0) {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((count, last), (13, Fail::Full));
    assert_eq!(file::pipe(), Err(Fail::Full));
    (3..16).for_each(|descriptor| file::close(descriptor).unwrap());
    assert_eq!(world().files.iter().filter(|file| file.references.get() != 0).count(), 1, "only the terminal is open");
}

/// A process that computes for ever ends when it is told to.
fn killed() {
    let pid = match fork().unwrap() {
        None => loop {
            core::hint::spin_loop();
        },
        Some(pid) => pid,
    };
    process::sleep(3);
    process::kill(pid, signal::TERM).unwrap();
    assert_eq!(wait(Some(pid)), Ok((pid, Status::signal(signal::TERM))));
    assert_eq!(process::kill(pid, signal::TERM), Err(Fail::NoSuchProcess));
}
