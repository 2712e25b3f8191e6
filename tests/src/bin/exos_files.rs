//! Files that can be written to: made, emptied, added to and removed; shared by processes; full; and what is refused.
//@ run: init,exos_files
//@ archive: exos_files sh echo cat wc rm ls motd
//@ timeout: 120
//@ expect: one
//@ expect: two
//@ expect: 10 letter
//@ expect: cat: letter: no such file
//@ expect: exos_files: as it should

#![no_std]
#![no_main]

use exos::println;
use exos::process::store::{FILE_PAGES, FILES, NAME, PAGES, remove};
use exos::process::table::Status;
use exos::process::{self, Fail, Spawn, file, fork, spawn, wait};

exos::process!(main);

#[path = "../process_census.rs"]
mod census;

fn main() -> u32 {
    // What this process itself needs it has when it has done everything once.
    all();
    let before = census::take();
    all();
    census::same(before, "files");
    sh("echo one > letter; echo two >> letter; cat letter; echo $(0) > /dev/null; echo one two 3 > letter; ls");
    assert_eq!(sh("wc < letter | cat > count; cat count > /dev/null; rm letter count; cat letter"), 1);
    assert_eq!(sh("echo > motd"), 1);
    assert_eq!(sh("rm nosuch 2> errors"), 1);
    assert_eq!(sh("wc < errors > /dev/null; rm errors"), 0);
    println!("exos_files: as it should");
    0
}

fn sh(commands: &str) -> u32 {
    let arguments = ["sh", "-c", commands];
    let pid = spawn(&Spawn { program: "sh", arguments: &arguments, variables: &[], files: [0, 1, 2], job: None });
    wait(Some(pid.expect("there is room"))).expect("it is a child").1.code()
}

fn all() {
    contents();
    refused();
    removed_while_open();
    among_processes();
    full();
}

/// Whether a file's contents are the same byte, `count` times.
fn holds(name: &str, byte: u8, count: usize) -> bool {
    let descriptor = file::open(name).expect("it is there");
    let mut buffer = [0; 1000];
    let mut found = 0;
    while let read @ 1.. = file::read(descriptor, &mut buffer).expect("it is open") {
        assert!(buffer[..read].iter().all(|&other| other == byte));
        found += read;
    }
    file::close(descriptor).expect("it is open");
    found == count
}

fn contents() {
    let long = [b'x'; 5000];
    let descriptor = file::create("a", false).expect("there is room");
    assert_eq!(file::write(descriptor, &long), Ok(()));
    assert_eq!(file::write(descriptor, &long[..7]), Ok(()), "behind the former");
    assert!(holds("a", b'x', 5007));
    let added = file::create("a", true).expect("there is room");
    assert_eq!(file::write(added, b"xx"), Ok(()));
    assert_eq!(file::write(descriptor, b"x"), Ok(()), "where it was, over what was added");
    assert!(holds("a", b'x', 5009));
    file::close(added).expect("it is open");
    let again = file::create("a", false).expect("it is there");
    assert!(holds("a", b'x', 0));
    // What is between is zeros.
    assert_eq!(file::write(descriptor, b""), Ok(()));
    for descriptor in [descriptor, again] {
        file::close(descriptor).expect("it is open");
    }
    remove("a").expect("it is there");
    assert_eq!(file::open("a"), Err(Fail::NotFound));
}

fn refused() {
    let long = [b'n'; NAME];
    let long = core::str::from_utf8(&long).expect("it is text");
    assert_eq!(file::create("motd", false), Err(Fail::ReadOnly));
    assert_eq!(file::create("bin/sh", true), Err(Fail::ReadOnly));
    assert_eq!(file::create(long, false), Err(Fail::TooLong));
    assert_eq!(file::create("", false), Err(Fail::TooLong));
    assert_eq!(file::create("a\0b", false), Err(Fail::TooLong));
    for opened in [file::open("nfs:a"), file::create("nfs:a", false)] {
        assert_eq!(opened, Err(Fail::Unserved), "nobody here serves it");
    }
    assert_eq!(remove("motd"), Err(Fail::ReadOnly));
    assert_eq!(remove("none"), Err(Fail::NotFound));
    assert_eq!(remove(long), Err(Fail::NotFound));
    let motd = file::open("motd").expect("it is there");
    assert_eq!(file::write(motd, b"x"), Err(Fail::ReadOnly));
    file::close(motd).expect("it is open");
}

fn removed_while_open() {
    let descriptor = file::create("gone", false).expect("there is room");
    file::write(descriptor, b"still here").expect("there is room");
    let reader = file::open("gone").expect("it is there");
    remove("gone").expect("it is there");
    // Another one of that name is another file.
    let other = file::create("gone", false).expect("there is room");
    file::write(other, b"other").expect("there is room");
    let mut text = [0; 32];
    assert_eq!(file::read(reader, &mut text), Ok(10));
    assert_eq!(&text[..10], b"still here");
    for descriptor in [descriptor, reader, other] {
        file::close(descriptor).expect("it is open");
    }
    remove("gone").expect("it is there");
}

/// Children add to one file; nothing of it is lost or mixed, and one that is gone without a word has closed it.
fn among_processes() {
    let descriptor = file::create("shared", true).expect("there is room");
    for number in 0..8_u8 {
        if fork().expect("there is room").is_none() {
            for _ in 0..16 {
                file::write(descriptor, &[b'0' + number; 16]).expect("there is room");
            }
            if number == 0 {
                exos_rt::call::exit(0);
            }
            process::exit(0);
        }
    }
    for _ in 0..8 {
        wait(None).expect("there is another");
    }
    let reader = file::open("shared").expect("it is there");
    let (mut piece, mut counts) = ([0; 16], [0; 8]);
    while file::read(reader, &mut piece).expect("it is open") == 16 {
        assert!(piece.iter().all(|&byte| byte == piece[0]), "pieces are whole");
        counts[usize::from(piece[0] - b'0')] += 1;
    }
    assert_eq!(counts, [16; 8]);
    file::close(reader).expect("it is open");
    file::close(descriptor).expect("it is open");
    remove("shared").expect("it is there");
}

fn name(number: usize, text: &mut [u8; 2]) -> &str {
    *text = [b'A' + (number / 26) as u8, b'a' + (number % 26) as u8];
    core::str::from_utf8(text).expect("it is text")
}

/// No more files, or no more pages: an error, and room again afterwards.
fn full() {
    let mut text = [0; 2];
    for number in 0..FILES {
        file::close(file::create(name(number, &mut text), false).expect("there is room")).expect("it is open");
    }
    assert_eq!(file::create("one more", false), Err(Fail::Full));
    for number in 0..FILES {
        remove(name(number, &mut text)).expect("it is there");
    }
    let mut pages = 0;
    let mut files = 0;
    'all: loop {
        let descriptor = file::create(name(files, &mut text), false).expect("there is room");
        files += 1;
        for page in 0..=FILE_PAGES {
            match file::write(descriptor, &[1; 4096]) {
                Ok(()) => pages += 1,
                Err(Fail::Full) if page == FILE_PAGES => break,
                Err(Fail::Full) => {
                    file::close(descriptor).expect("it is open");
                    break 'all;
                }
                Err(error) => panic!("{error}"),
            }
        }
        file::close(descriptor).expect("it is open");
    }
    assert_eq!(pages, PAGES);
    for number in 0..files {
        remove(name(number, &mut text)).expect("it is there");
    }
    assert_eq!(wait(None), Err(Fail::NoSuchProcess));
    assert_eq!(Status::exit(0).code(), 0);
}
