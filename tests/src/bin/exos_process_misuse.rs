//! What goes wrong with processes is an error or ends the one that it is about, and leaves nothing behind: damaged
//! programs, full tables, no memory, pipes without readers, stacks that overflow, deaths without a word.
//@ run: init,exos_process_misuse
//@ archive: exos_process_misuse true motd
//@ damaged: d_magic true 0 0
//@ damaged: d_class true 4 2
//@ damaged: d_machine true 18 62
//@ damaged: d_entry true 27 144
//@ damaged: d_headers true 42 33
//@ damaged: d_offset true 29 255
//@ damaged: d_short true 300
//@ damaged: d_cut true 4100
//@ timeout: 120
//@ except-hazard: fpu one of the faults is that of an instruction for which there is no unit
//@ expect: exos_process_misuse: nothing left

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use exos::println;
use exos::process::table::{PROCESSES, Status, signal};
use exos::process::{self, Fail, Spawn, exec, file, fork, kill, spawn, wait};
use exos_rt::call;
use exos_rt::shared::Shared;

exos::process!(main);

#[path = "../scarce.rs"]
mod scarce;

use scarce::{NO_MEMORY, census, fails_until_enough};

static DATA: Shared<u32> = Shared::new(1);

fn main() -> u32 {
    let cases: [(&str, fn()); 8] = [
        ("damaged programs", damaged),
        ("a full table", full),
        ("faults", faults),
        ("broken pipes", broken),
        ("deaths without a word", unnoticed),
        ("a parent that ends first", parent_first),
        ("arguments", arguments),
        ("no memory", no_memory),
    ];
    // What this process itself needs it has when it has done everything once.
    cases.iter().for_each(|(_, case)| case());
    for (what, case) in cases {
        let before = census::take();
        case();
        census::same(before, what);
        println!("exos_process_misuse: {what}");
    }
    println!("exos_process_misuse: nothing left");
    0
}

/// Runs a function in a child: how that ended.
fn in_child(function: fn()) -> Status {
    match fork().expect("there is room") {
        None => {
            function();
            process::exit(0)
        }
        Some(pid) => wait(Some(pid)).expect("it is a child").1,
    }
}

fn program(name: &str) -> Result<u32, Fail> {
    spawn(&Spawn { program: name, arguments: &[name], variables: &[], files: [0, 1, 2], job: None })
}

fn damaged() {
    for name in ["d_magic", "d_class", "d_machine", "d_entry", "d_headers", "d_offset", "d_short", "d_cut"] {
        assert_eq!(program(name), Err(Fail::BadProgram), "{name}");
    }
    // A program, but none for processes.
    assert_eq!(program("init"), Err(Fail::BadProgram));
    for name in ["", "none", "motd", "aegis", "bin/true", "true\0", "tru"] {
        assert_eq!(program(name), Err(Fail::NotFound), "{name}");
    }
    assert_eq!(program("nfs:true"), Err(Fail::Unserved));
    assert_eq!(
        in_child(|| {
            DATA.set(2);
            assert_eq!(exec("d_magic", &[], &[]).err(), Some(Fail::BadProgram));
            assert_eq!(DATA.get(), 2, "it is as it was");
            process::exit(5);
        }),
        Status::exit(5)
    );
    assert_eq!(
        spawn(&Spawn { program: "true", arguments: &[], variables: &[], files: [0, 9, 2], job: None }),
        Err(Fail::BadDescriptor)
    );
    assert_eq!(wait(None), Err(Fail::NoSuchProcess));
}

fn arguments() {
    let long = [b'x'; 1024];
    let long = core::str::from_utf8(&long).expect("it is text");
    let run =
        |arguments: &[&str]| spawn(&Spawn { program: "true", arguments, variables: &[], files: [0, 1, 2], job: None });
    assert_eq!(run(&[long, long]), Err(Fail::TooLong));
    assert_eq!(run(&["a\0b"]), Err(Fail::TooLong));
    let pid = run(&[long, &long[2..]]).expect("they fit just so");
    assert_eq!(wait(Some(pid)), Ok((pid, Status::exit(0))));
}

fn full() {
    let mut pids = [0; PROCESSES];
    let mut count = 0;
    let error = loop {
        match fork() {
            Ok(None) => loop {
                process::block(None);
            },
            Ok(Some(pid)) => {
                pids[count] = pid;
                count += 1;
            }
            Err(error) => break error,
        }
    };
    assert_eq!(error, Fail::Full);
    assert_eq!(program("true"), Err(Fail::Full));
    assert!(count > 200, "only {count}");
    for &pid in &pids[..count] {
        kill(pid, signal::TERM).expect("it lives");
    }
    for _ in 0..count {
        assert_eq!(wait(None).expect("there is another").1, Status::signal(signal::TERM));
    }
}

#[inline(never)]
fn deep(depth: u32) -> u32 {
    let mut room = [depth; 64];
    core::hint::black_box(&mut room);
    if depth == u32::MAX { 0 } else { deep(depth + 1) + room[depth as usize % 64] }
}

fn faults() {
    assert_eq!(
        in_child(|| {
            core::hint::black_box(deep(0));
        }),
        Status::signal(signal::SEGV)
    );
    for address in [0_u32, 0x5000, 0x1_0000, 0x2fff_f000, 0x3055_0000, 0x4030_0000, 0x403f_ffff & !3, 0x7000_0000] {
        DATA.set(address);
        // SAFETY: here and below: the child ends by it, or, where it may write, does not use what is there.
        let status = in_child(|| unsafe { (DATA.get() as *mut u32).write_volatile(1) });
        assert_eq!(status, Status::signal(signal::SEGV), "{address:#x}");
    }
    for address in [0x4000_0002_u32, 0x4000_0001] {
        DATA.set(address);
        // SAFETY: as above.
        assert_eq!(in_child(|| unsafe { _ = (DATA.get() as *const u32).read_volatile() }), Status::signal(signal::BUS));
    }
    // SAFETY: as above.
    assert_eq!(in_child(|| unsafe { core::arch::asm!("break") }), Status::signal(signal::TRAP));
    // SAFETY: as above.
    let overflow =
        || unsafe { core::arch::asm!(".set noat", "add $8, {0}, {0}", ".set at", in(reg) i32::MAX, out("$8") _) };
    assert_eq!(in_child(overflow), Status::signal(signal::FPE));
    // SAFETY: as above.
    assert_eq!(in_child(|| unsafe { core::arch::asm!(".word 0x44080000") }).signal_number(), signal::ILL);
    assert_eq!(in_child(|| panic!("as it is meant")), Status::exit(101));
    assert_eq!(DATA.get(), 0x4000_0001, "this process is as it was");
}

fn broken() {
    let (read, write) = file::pipe().expect("there is room");
    file::close(read).expect("it is open");
    assert_eq!(file::write(write, b"x"), Err(Fail::Broken));
    file::close(write).expect("it is open");
    // The reader dies while the writer waits for room.
    let (read, write) = file::pipe().expect("there is room");
    let reader = match fork().expect("there is room") {
        None => {
            file::close(write).expect("it is open");
            assert_eq!(file::read(read, &mut [0]), Ok(1));
            process::sleep(4);
            process::exit(0);
        }
        Some(pid) => pid,
    };
    file::close(read).expect("it is open");
    assert_eq!(file::write(write, &[1; 5000]), Err(Fail::Broken));
    file::close(write).expect("it is open");
    assert_eq!(wait(Some(reader)), Ok((reader, Status::exit(0))));
}

/// A child that is gone without a word has its descriptors closed, and its children are not forgotten.
fn unnoticed() {
    let (read, write) = file::pipe().expect("there is room");
    let child = match fork().expect("there is room") {
        None => {
            if fork().expect("there is room").is_none() {
                process::sleep(8);
                process::exit(0);
            }
            call::exit(0)
        }
        Some(pid) => pid,
    };
    file::close(write).expect("it is open");
    assert_eq!(wait(Some(child)), Ok((child, Status::signal(signal::KILL))));
    assert_eq!(file::read(read, &mut [0]), Ok(0), "nobody can write");
    file::close(read).expect("it is open");
}

/// A child that has not copied yet what it shares with a parent that ends.
fn parent_first() {
    let (read, write) = file::pipe().expect("there is room");
    DATA.set(77);
    let parent = match fork().expect("there is room") {
        None => {
            DATA.set(78);
            if fork().expect("there is room").is_none() {
                process::sleep(6);
                assert_eq!(DATA.get(), 78);
                DATA.set(79);
                file::write(write, &[DATA.get() as u8]).expect("somebody reads");
                process::exit(0);
            }
            process::exit(1)
        }
        Some(pid) => pid,
    };
    assert_eq!(wait(Some(parent)), Ok((parent, Status::exit(1))));
    file::close(write).expect("it is open");
    let mut byte = [0];
    assert_eq!((file::read(read, &mut byte), byte), (Ok(1), [79]));
    assert_eq!(file::read(read, &mut byte), Ok(0));
    file::close(read).expect("it is open");
}

/// Memory is gone at the n-th frame that a fork, a spawn or an exec takes, or what they have made, for each n up to where
/// there is enough: the caller's error or the child's signal, and nothing is left behind, each time.
fn no_memory() {
    let waited = |pid: u32| wait(Some(pid)).expect("it is a child").1;
    fails_until_enough("fork", || {
        fork().map(|pid| match pid {
            None => process::exit(0),
            Some(pid) => waited(pid),
        })
    });
    fails_until_enough("spawn", || program("true").map(waited));
    fails_until_enough("exec", || {
        // The one that becomes another is made while there is memory, and told when there is none.
        fork().map(|pid| match pid {
            None => match exec("true", &["true"], &[]) {
                Err(Fail::NoMemory) => process::exit(NO_MEMORY),
                other => panic!("{other:?}"),
            },
            Some(pid) => waited(pid),
        })
    });
}
