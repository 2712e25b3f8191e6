//! The tool `nfs` in a shell, on a real server: a tree is copied, and this host compares; files go through pipes and come back;
//! others are made, named anew and removed; and what is refused has a status.
//@ run: init,exos_net_nfs_shell
//@ archive: exos_net_nfs_shell sh nfs cat wc motd
//@ network: user
//@ server: nfs
//@ timeout: 200
//@ expect: file 1025
//@ expect: exos_net_nfs_shell: there and back

#![no_std]
#![no_main]

use core::fmt::Write;
use exos::println;
use exos::process::{Spawn, arguments, file, spawn, wait};
use exos_rt::archive;
use heapless::String;

exos::process!(main);

/// The machine's address on QEMU's network.
const NET: &str = "NET=10.0.2.15/24,10.0.2.2";

fn main() -> u32 {
    let mut words = arguments().skip(1);
    let mut next = || words.next().unwrap();
    let mut server = String::<64>::new();
    write!(server, "NFS={}:/exo,{},{}", next(), next(), next()).unwrap();
    let run = |commands: &str, server: &str, output| {
        let arguments = ["sh", "-c", commands];
        let files = [file::INPUT, output, file::ERROR];
        spawn(&Spawn { program: "sh", arguments: &arguments, variables: &[NET, server], files, job: None }).unwrap()
    };
    let sh = |commands: &str| wait(Some(run(commands, &server, file::OUTPUT))).unwrap().1.code();
    assert_eq!(sh("nfs ls given/some"), 0);
    assert_eq!(sh("nfs cp given copied"), 0);
    assert_eq!(sh("nfs mkdir made made/below; cat motd | nfs put made/a; nfs mv made/a made/below/b"), 0);
    assert_eq!(sh("nfs cp made/below/b made/below/c; nfs ls made/below/c"), 0);
    // Onto itself nothing is copied, under whatever name.
    assert_eq!(sh("nfs cp made/below/b made//below/b"), 1);
    let (read, write) = file::pipe().unwrap();
    let pid = run("nfs cat made/below/b made/below/c", &server, write);
    file::close(write).unwrap();
    let motd = archive::find("motd").unwrap();
    let motd = file::content(&motd);
    let (mut buffer, mut at) = ([0; 512], 0);
    while let count @ 1.. = file::read(read, &mut buffer).unwrap() {
        assert!(buffer[..count].iter().zip(motd.iter().chain(motd).skip(at)).all(|(one, other)| one == other));
        at += count;
    }
    file::close(read).unwrap();
    assert_eq!((at, wait(Some(pid)).unwrap().1.code()), (2 * motd.len(), 0));
    assert_eq!(sh("nfs cat given/nothing"), 1);
    assert_eq!(sh("nfs rm made"), 1);
    assert_eq!(sh("nfs rmdir made"), 1);
    assert_eq!(sh("nfs cat given"), 1);
    assert_eq!(sh("nfs"), 2);
    assert_eq!(sh("nfs mv made"), 2);
    assert_eq!(sh("NFS=nowhere; nfs ls"), 2);
    assert_eq!(sh("nfs rm made/below/b made/below/c"), 0);
    assert_eq!(sh("nfs rmdir made/below made"), 0);
    println!("exos_net_nfs_shell: there and back");
    0
}
