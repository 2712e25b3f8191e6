//! `nfs:PATH` is a file for processes, on a real server: read, written, added to, copied, refused, left early; and a program
//! that is started from there. This host compares a copy. Nothing is left of who serves the files.
//@ run: init,exos_net_nfs_files
//@ archive: exos_net_nfs_files sh nfs cat echo head wc sleep true motd
//@ network: user
//@ server: nfs
//@ timeout: 400
//@ expect: cat: nfs:given/nothing: no such file
//@ expect: cat: nfs:given: a directory
//@ expect: sh: nfs:given/nothing/new: no such file
//@ expect: nfs: which server?
//@ expect: cat: nfs:given/some: who serves it has failed
//@ expect: nfs: /exo: the server does not answer
//@ expect: exos_net_nfs_files: as it should

#![no_std]
#![no_main]

use core::fmt::Write;
use exos::println;
use exos::process::table::{DESCRIPTORS, Status, signal, state, world};
use exos::process::{self, Fail, Spawn, arguments, children, exec, file, fork, kill, loaded, spawn, wait};
use exos_rt::archive;
use heapless::String;

exos::process!(main);

#[path = "../process_census.rs"]
mod census;

/// The machine's address on QEMU's network.
const NET: &str = "NET=10.0.2.15/24,10.0.2.2";
/// A file of the server's, and its bytes.
const LARGE: &str = "nfs:given/some/file 20000";
const LARGE_BYTES: usize = 20_000;
/// A port at which nobody is.
const SILENT: u16 = 1;
/// Ticks in which those that served files have ended.
const PATIENCE: u32 = 64 * 60;

/// What all of this knows.
struct Test {
    server: String<64>,
    /// A directory that the server does not have.
    nowhere: String<64>,
    /// A port of its host at which nobody is.
    silent: String<64>,
}

/// What is tested, and by what.
type Case = (&'static str, fn(&Test));

fn main() -> u32 {
    let mut words = arguments().skip(1);
    let mut next = || words.next().unwrap();
    let (host, nfs, mount) = (next(), next(), next());
    let mut test = Test { server: String::new(), nowhere: String::new(), silent: String::new() };
    write!(test.server, "NFS={host}:/exo,{nfs},{mount}").unwrap();
    write!(test.nowhere, "NFS={host}:/nowhere,{nfs},{mount}").unwrap();
    write!(test.silent, "NFS={host}:/exo,{SILENT},{SILENT}").unwrap();
    let cases: [Case; 9] = [
        ("the shell", shell),
        ("reading", reading),
        ("writing", writing),
        ("who reads no more", left_early),
        ("who is killed", killed),
        ("servants that end", servants_end),
        ("a silent server", silence),
        ("what is refused", refused),
        ("programs", programs),
    ];
    // What this process itself needs it has when it has done something of the kind.
    writing(&test);
    refused(&test);
    for (what, case) in cases {
        let before = census::settled();
        case(&test);
        let start = exos_rt::call::clock();
        while census::take() != before && exos_rt::call::clock() - start < PATIENCE {
            process::sleep(1);
        }
        census::same(before, what);
        println!("exos_net_nfs_files: {what}");
    }
    println!("exos_net_nfs_files: as it should");
    0
}

impl Test {
    /// Has a shell obey commands: its status.
    fn sh(&self, commands: &str) -> u32 {
        wait(Some(self.start("sh", &["sh", "-c", commands], file::OUTPUT).unwrap())).unwrap().1.code()
    }

    fn start(&self, program: &str, arguments: &[&str], output: u32) -> Result<u32, Fail> {
        let files = [file::INPUT, output, file::ERROR];
        spawn(&Spawn { program, arguments, variables: &[NET, &self.server], files, job: None })
    }

    fn open(&self, name: &str) -> Result<u32, Fail> {
        file::open_with(name, &[NET, &self.server])
    }

    fn create(&self, name: &str, appended: bool) -> Result<u32, Fail> {
        file::create_with(name, appended, &[NET, &self.server])
    }

    /// A new file with these bytes.
    fn put(&self, name: &str, bytes: &[u8]) {
        let to = self.create(name, false).unwrap();
        assert_eq!(file::write(to, bytes), Ok(()));
        assert_eq!(file::close(to), Ok(()));
    }

    /// Whether a file has these bytes.
    fn has(&self, name: &str, bytes: &[u8]) -> bool {
        let from = self.open(name).unwrap();
        let (mut text, mut used) = ([0; 64], 0);
        while let count @ 1.. = file::read(from, &mut text[used..]).unwrap() {
            used += count;
        }
        file::close(from).unwrap();
        text[..used] == *bytes
    }

    /// What a command prints.
    fn output<'a>(&self, commands: &str, text: &'a mut [u8; 64]) -> &'a str {
        let (read, write) = file::pipe().unwrap();
        let pid = self.start("sh", &["sh", "-c", commands], write).unwrap();
        file::close(write).unwrap();
        let mut used = 0;
        while let count @ 1.. = file::read(read, &mut text[used..]).unwrap() {
            used += count;
        }
        file::close(read).unwrap();
        assert_eq!(wait(Some(pid)).unwrap().1.code(), 0, "{commands}");
        core::str::from_utf8(&text[..used]).unwrap()
    }
}

fn shell(test: &Test) {
    let mut text = [0; 64];
    assert_eq!(test.output("echo one > nfs:new; echo two >> nfs:new; cat nfs:new", &mut text), "one\ntwo\n");
    assert_eq!(test.output("wc < nfs:new", &mut text), "      2       2       8\n");
    // Those who serve are no jobs, and `wait` waits for none of them.
    assert_eq!(test.output("sleep 0.1 < nfs:new & wait; jobs; cat nfs:new nfs:new | head -1", &mut text), "one\n");
    // A variable that the shell has set.
    assert_eq!(test.output("HERE=$NFS; NFS=; NFS=$HERE; cat < nfs:new | wc", &mut text), "      2       2       8\n");
    assert_eq!(test.sh("nfs rm new"), 0);
    // What this host compares in the end; one of the files is copied as others are.
    if test.sh("nfs ls copied > /dev/null 2> /dev/null") != 0 {
        assert_eq!(test.sh("nfs cp given copied"), 0);
    }
    assert_eq!(test.sh("nfs rm 'copied/some/file 20000'"), 0);
    assert_eq!(test.sh("cat 'nfs:given/some/file 20000' > 'nfs:copied/some/file 20000'"), 0);
    assert_eq!(test.sh("cat nfs:given/nothing"), 1);
    assert_eq!(test.sh("cat nfs:given"), 1);
    assert_eq!(test.sh("echo > nfs:given/nothing/new"), 1);
    assert_eq!(test.sh("nfs:given/nothing 2> /dev/null"), 127);
    assert_eq!(test.sh("NFS=; cat nfs:given/some"), 1);
}

fn reading(test: &Test) {
    let from = test.open(LARGE).unwrap();
    // Who serves it is no child of this process's.
    assert_eq!((children().count(), wait(None)), (0, Err(Fail::NoSuchProcess)));
    assert_eq!(file::write(from, b"x"), Err(Fail::ReadOnly));
    let (mut buffer, mut at) = ([0; 700], 0);
    while let count @ 1.. = file::read(from, &mut buffer).unwrap() {
        let byte = |at: usize| ((at as u32).wrapping_mul(0x9e37_79b9) >> 24) as u8;
        assert!(buffer[..count].iter().zip(at..).all(|(&found, at)| found == byte(at)), "behind {at}");
        at += count;
    }
    assert_eq!((at, file::read(from, &mut buffer)), (LARGE_BYTES, Ok(0)));
    assert_eq!(file::close(from), Ok(()));
    let from = test.open("nfs:given/file 0").unwrap();
    assert_eq!(file::read(from, &mut buffer), Ok(0));
    assert_eq!(file::close(from), Ok(()));
}

fn writing(test: &Test) {
    test.put("nfs:new", b"abc");
    assert!(test.has("nfs:new", b"abc"));
    // Two descriptors of one open file: the last that is closed waits, in whatever process.
    let to = test.create("nfs:new", true).unwrap();
    let other = file::dup(to).unwrap();
    assert_eq!((file::write(to, b"de"), file::close(to), file::write(other, b"f")), (Ok(()), Ok(()), Ok(())));
    let pid = fork().unwrap();
    if pid.is_none() {
        process::sleep(8);
        file::write(other, b"g").unwrap();
        process::exit(0);
    }
    file::close(other).unwrap();
    assert_eq!(wait(pid).unwrap().1, Status::exit(0));
    assert!(test.has("nfs:new", b"abcdefg"));
    assert_eq!(file::read(test.create("nfs:new", false).unwrap(), &mut [0]), Err(Fail::BadDescriptor));
    // `dup2` closes, too.
    let others = || 3..DESCRIPTORS as u32;
    others().for_each(|descriptor| file::dup2(file::ERROR, descriptor).unwrap());
    others().for_each(|descriptor| file::close(descriptor).unwrap());
    assert!(test.has("nfs:new", b""));
    assert_eq!(test.sh("nfs rm new"), 0);
}

/// Who serves a file ends when nobody reads on.
fn left_early(test: &Test) {
    let from = test.open(LARGE).unwrap();
    assert_eq!(file::read(from, &mut [0; 10]), Ok(10));
    assert_eq!(file::close(from), Ok(()));
}

/// Kills all who serve files.
fn kill_servants() {
    for process in world().processes.iter().filter(|process| process.state.get() == state::RUNNING) {
        if process.name(|name| name == "nfs") {
            kill(process.pid.get(), signal::KILL).unwrap();
        }
    }
}

/// If who serves a file is killed it ends too early for who reads, and what was written is lost for who closes it, or ends.
fn servants_end(test: &Test) {
    let from = test.open(LARGE).unwrap();
    kill_servants();
    let (mut buffer, mut read) = ([0; 1000], 0);
    let end = loop {
        match file::read(from, &mut buffer) {
            Ok(count @ 1..) => read += count,
            end => break end,
        }
    };
    assert!(end == Err(Fail::Failed) && read < LARGE_BYTES, "{end:?} behind {read}");
    assert_eq!(file::close(from), Ok(()));
    let to = test.create("nfs:new", false).unwrap();
    let pid = fork().unwrap();
    if pid.is_none() {
        // It is the last that has the file.
        process::sleep(32);
        process::exit(0);
    }
    assert_eq!(file::close(to), Ok(()));
    kill_servants();
    assert_eq!(wait(pid).unwrap().1, Status::exit(1));
    let to = test.create("nfs:new", false).unwrap();
    kill_servants();
    while file::write(to, &buffer).is_ok() {}
    assert_eq!(file::write(to, b"x"), Err(Fail::Failed));
    assert_eq!(file::close(to), Err(Fail::Failed));
    assert_eq!(file::close(to), Err(Fail::BadDescriptor));
    assert_eq!(test.sh("nfs rm new"), 0);
}

/// Who waits for a server that says nothing can be killed; and waits no longer than who serves the file.
fn silence(test: &Test) {
    let pid = fork().unwrap();
    if pid.is_none() {
        let _ = file::open_with(LARGE, &[NET, &test.silent]);
        panic!("it is killed before");
    }
    process::sleep(64);
    let start = exos_rt::call::clock();
    kill(pid.unwrap(), signal::TERM).unwrap();
    assert_eq!(wait(pid).unwrap().1, Status::signal(signal::TERM));
    assert!(exos_rt::call::clock() - start < 64, "it has waited on");
    assert_eq!(file::open_with(LARGE, &[NET, &test.silent]), Err(Fail::Failed));
}

/// What was written before is there, soon.
fn killed(test: &Test) {
    let (read, write) = file::pipe().unwrap();
    let pid = fork().unwrap();
    if pid.is_none() {
        let to = test.create("nfs:new", false).unwrap();
        file::write(to, b"before").unwrap();
        file::write(write, b"x").unwrap();
        loop {
            process::block(None);
        }
    }
    assert_eq!(file::read(read, &mut [0]), Ok(1));
    [read, write].into_iter().for_each(|end| file::close(end).unwrap());
    kill(pid.unwrap(), signal::TERM).unwrap();
    assert_eq!(wait(pid).unwrap().1, Status::signal(signal::TERM));
    while !test.has("nfs:new", b"before") {
        process::sleep(8);
    }
    assert_eq!(test.sh("nfs rm new"), 0);
}

fn refused(test: &Test) {
    for (name, fail) in [
        ("nfs:given/nothing", Fail::NotFound),
        ("nfs:given/file 0/below", Fail::NotFound),
        ("nfs:given", Fail::Directory),
        ("nfs:", Fail::Directory),
    ] {
        assert_eq!(test.open(name), Err(fail), "{name}");
        assert_eq!(test.start(name, &[], file::OUTPUT), Err(fail), "{name}");
    }
    assert_eq!(test.create("nfs:given/nothing/new", false), Err(Fail::NotFound));
    assert_eq!(test.create("nfs:given", true), Err(Fail::Directory));
    // The server does not have what is to be mounted; no server is named; there is no network.
    assert_eq!(file::open_with(LARGE, &[NET, &test.nowhere]), Err(Fail::Failed));
    assert_eq!(file::open_with(LARGE, &[NET]), Err(Fail::Failed));
    assert_eq!(file::create_with("nfs:new", false, &[NET, "NFS=nowhere"]), Err(Fail::Failed));
    assert_eq!(file::open_with(LARGE, &["NET=nothing", &test.server]), Err(Fail::Failed));
    // Other schemes are none.
    assert_eq!(test.open("cat:motd"), Err(Fail::NotFound));
}

fn programs(test: &Test) {
    let sh = archive::find("bin/sh").unwrap().bytes;
    test.put("nfs:program", sh);
    let run =
        |arguments: &[&str]| test.start("nfs:program", arguments, file::OUTPUT).map(|pid| wait(Some(pid)).unwrap().1);
    assert_eq!(run(&["sh", "-c", "exit 7"]), Ok(Status::exit(7)));
    // It forks, and has its text after its parent's end, too.
    assert_eq!(run(&["sh", "-c", "X=1; set | wc > /dev/null; true"]), Ok(Status::exit(0)));
    assert_eq!(run(&["sh", "-c", "wait & exit 5"]), Ok(Status::exit(5)));
    let pid = fork().unwrap();
    if pid.is_none() {
        let variables = [NET, &test.server];
        assert_eq!(exec("nfs:given/some/file 20000", &[], &variables).err(), Some(Fail::BadProgram));
        exec("nfs:program", &["sh", "-c", "nfs:program -c 'exit 3'"], &variables).unwrap();
    }
    assert_eq!(wait(pid).unwrap().1, Status::exit(3));
    // Cut off, empty, none, and too large.
    test.put("nfs:program", &sh[..5000]);
    assert_eq!(run(&[]), Err(Fail::BadProgram));
    for name in ["nfs:given/file 0", LARGE] {
        assert_eq!(test.start(name, &[], file::OUTPUT), Err(Fail::BadProgram));
    }
    let to = test.create("nfs:program", false).unwrap();
    (0..=loaded::BYTES_MAX / 4096).for_each(|_| file::write(to, &[0; 4096]).unwrap());
    assert_eq!(file::close(to), Ok(()));
    assert_eq!(run(&[]), Err(Fail::TooLarge));
    assert_eq!(test.sh("nfs rm program"), 0);
}
