//! Handlers of signals that a process installs: of those that others send, of broken pipes, ended children, and faults,
//! an overflow of the stack among them; and what is refused.
//@ run: init,exos_process_signals
//@ archive: exos_process_signals
//@ timeout: 60
//@ expect: exos_process_signals: all were handled

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use exos::println;
use exos::process::signals::handle;
use exos::process::table::{Status, signal};
use exos::process::{self, Fail, exec, file, fork, kill, wait};
use exos_rt::shared::Shared;

exos::process!(main);

#[path = "../process_census.rs"]
mod census;

static SEEN: Shared<u32> = Shared::new(0);

fn note(number: u32) {
    SEEN.update(|seen| seen | 1 << number);
}

fn seen() -> u32 {
    let seen = SEEN.get();
    SEEN.set(0);
    seen
}

fn main() -> u32 {
    if process::arguments().nth(1).is_some() {
        return kill(process::pid(), signal::INT).map_or(1, |()| 2);
    }
    let cases: [(&str, fn()); 6] = [
        ("refused", refused),
        ("sent", sent),
        ("a broken pipe", broken),
        ("an ended child", ended),
        ("faults", faults),
        ("inherited", inherited),
    ];
    cases.iter().for_each(|(_, case)| case());
    for (what, case) in cases {
        let before = census::take();
        case();
        census::same(before, what);
    }
    println!("exos_process_signals: all were handled");
    0
}

fn in_child(function: fn()) -> Status {
    match fork().expect("there is room") {
        None => {
            function();
            process::exit(0)
        }
        Some(pid) => wait(Some(pid)).expect("it is a child").1,
    }
}

fn refused() {
    for number in [0, signal::KILL, 32, u32::MAX] {
        assert_eq!(handle(number, Some(note)), Err(Fail::BadSignal), "{number}");
    }
    assert_eq!(kill(0, signal::TERM), Err(Fail::NoSuchProcess));
}

/// To itself; to a child that waits; to one that computes, and then calls; and what can't be handled.
fn sent() {
    handle(signal::TERM, Some(note)).expect("it can be");
    kill(process::pid(), signal::TERM).expect("it lives");
    assert_eq!(seen(), 1 << signal::TERM);
    let (read, write) = file::pipe().expect("there is room");
    let child = match fork().expect("there is room") {
        None => {
            file::write(write, b"r").expect("somebody reads");
            while SEEN.get() == 0 {
                process::block(None);
            }
            let end = exos_rt::call::clock() + 4;
            while exos_rt::call::clock() < end {}
            handle(signal::TERM, None).expect("it can be");
            file::write(write, b"s").expect("somebody reads");
            process::sleep(1000);
            process::exit(1)
        }
        Some(pid) => pid,
    };
    assert_eq!(file::read(read, &mut [0]), Ok(1));
    kill(child, signal::TERM).expect("it lives");
    assert_eq!(file::read(read, &mut [0]), Ok(1));
    kill(child, signal::CHLD).expect("it lives");
    kill(child, signal::TERM).expect("it lives");
    assert_eq!(wait(Some(child)), Ok((child, Status::signal(signal::TERM))));
    // KILL ends who handles all.
    let child = match fork().expect("there is room") {
        None => {
            for number in [signal::INT, signal::TERM] {
                handle(number, Some(note)).expect("it can be");
            }
            file::write(write, b"r").expect("somebody reads");
            loop {
                process::block(None);
            }
        }
        Some(pid) => pid,
    };
    assert_eq!(file::read(read, &mut [0]), Ok(1));
    for number in [signal::INT, signal::TERM, signal::KILL] {
        kill(child, number).expect("it lives");
    }
    assert_eq!(wait(Some(child)), Ok((child, Status::signal(signal::KILL))));
    file::close(read).expect("it is open");
    file::close(write).expect("it is open");
    handle(signal::TERM, None).expect("it can be");
}

fn broken() {
    handle(signal::PIPE, Some(note)).expect("it can be");
    let (read, write) = file::pipe().expect("there is room");
    file::close(read).expect("it is open");
    assert_eq!(file::write(write, b"x"), Err(Fail::Broken));
    assert_eq!(seen(), 1 << signal::PIPE);
    handle(signal::PIPE, None).expect("it can be");
    assert_eq!(file::write(write, b"x"), Err(Fail::Broken));
    assert_eq!(seen(), 0);
    file::close(write).expect("it is open");
}

fn ended() {
    handle(signal::CHLD, Some(note)).expect("it can be");
    let pid = fork().expect("there is room");
    if pid.is_none() {
        process::exit(0);
    }
    while SEEN.get() == 0 {
        process::block(None);
    }
    assert_eq!(seen(), 1 << signal::CHLD);
    assert_eq!(wait(pid), Ok((pid.expect("it is a child"), Status::exit(0))));
    handle(signal::CHLD, None).expect("it can be");
}

#[inline(never)]
fn deep(depth: u32) -> u32 {
    let mut room = [depth; 64];
    core::hint::black_box(&mut room);
    if depth == u32::MAX { 0 } else { deep(depth + 1) + room[depth as usize % 64] }
}

fn faults() {
    // The stack is at its end, the handler runs all the same.
    assert_eq!(
        in_child(|| {
            handle(signal::SEGV, Some(|_| process::exit(7))).expect("it can be");
            core::hint::black_box(deep(0));
        }),
        Status::exit(7)
    );
    // It returns, and nothing has changed: the second time it ends the process.
    assert_eq!(
        in_child(|| {
            handle(signal::SEGV, Some(again)).expect("it can be");
            // SAFETY: nothing is there, and the child ends by it.
            unsafe { (0x4030_0000 as *mut u32).write_volatile(1) };
        }),
        Status::signal(signal::SEGV)
    );
    // A fault in the handler ends it.
    assert_eq!(
        in_child(|| {
            // SAFETY: as above.
            handle(signal::SEGV, Some(|_| unsafe { (0x4031_0000 as *mut u32).write_volatile(1) })).expect("it can be");
            // SAFETY: as above.
            unsafe { (0x4030_0000 as *mut u32).write_volatile(1) };
        }),
        Status::signal(signal::SEGV)
    );
    // The handler returns, and it ends nevertheless.
    assert_eq!(
        in_child(|| {
            handle(signal::TRAP, Some(note)).expect("it can be");
            // SAFETY: the child ends by it.
            unsafe { core::arch::asm!("break") };
        }),
        Status::signal(signal::TRAP)
    );
}

fn again(_: u32) {
    note(signal::SEGV);
    handle(signal::SEGV, None).expect("it can be");
}

fn inherited() {
    handle(signal::INT, Some(note)).expect("it can be");
    assert_eq!(
        in_child(|| {
            kill(process::pid(), signal::INT).expect("it lives");
            process::exit(u32::from(seen() == 1 << signal::INT));
        }),
        Status::exit(1)
    );
    // Not by another program: this one, which then only sends it to itself.
    let status = in_child(|| {
        let error = exec("exos_process_signals", &["exos_process_signals", "alone"], &[]);
        panic!("{:?}", error.err());
    });
    assert_eq!(status, Status::signal(signal::INT));
    handle(signal::INT, None).expect("it can be");
}
