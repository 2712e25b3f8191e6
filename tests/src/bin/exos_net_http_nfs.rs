//! Files of a real server of NFS by HTTP: ExOS' server of the web gets them from this host, ExOS fetches them from there, over
//! QEMU's network and back, and puts them where this host compares them. Lists of directories are the ones that `nfs` has; what
//! is not there is not found; and four fetch at once.
//@ run: init,exos_net_http_nfs
//@ archive: exos_net_http_nfs sh nfs httpd fetch motd
//@ network: user
//@ server: nfs
//@ ignore-machine: decstation among so many filters one more was seen to take 2 % longer than a call may; all else is as it should be
//@ timeout: 400
//@ expect: exos_net_http_nfs: as it should

#![no_std]
#![no_main]

use core::fmt::Write;
use exos::println;
use exos::process::table::signal;
use exos::process::{Spawn, arguments, file, kill, sleep, spawn, wait};
use heapless::{String, Vec};

exos::process!(main);

/// The machine's address on QEMU's network.
const NET: &str = "NET=10.0.2.15/24,10.0.2.2";
/// Files: of sizes around a block's, and of many.
const FILES: [&str; 8] = [
    "file 0",
    "file 1",
    "file 1023",
    "file 1024",
    "some/file 1025",
    "some/file 2048",
    "some/file 20000",
    "some/more/file 8191",
];
/// The longest list.
const LIST: usize = 4096;

fn main() -> u32 {
    let mut words = arguments().skip(1);
    let mut next = || words.next().unwrap();
    let (host, nfs, mount, web) = (next(), next(), next(), next());
    let (mut server, mut site) = (String::<64>::new(), String::<64>::new());
    write!(server, "NFS={host}:/exo,{nfs},{mount}").unwrap();
    write!(site, "WEB={host}:{web}/nfs").unwrap();
    let start = |arguments: &[&str], output| {
        let files = [file::INPUT, output, file::ERROR];
        let variables = &[NET, &server, &site];
        spawn(&Spawn { program: arguments[0], arguments, variables, files, job: None }).unwrap()
    };
    let sh = |commands: &str| wait(Some(start(&["sh", "-c", commands], file::OUTPUT))).unwrap().1.code();
    let httpd = start(&["httpd"], file::OUTPUT);
    while sh("fetch $WEB/given > /dev/null 2> /dev/null") != 0 {
        sleep(32);
    }

    assert_eq!(sh("nfs cp given copied"), 0);
    for name in FILES {
        let (mut commands, mut path) = (String::<256>::new(), String::<64>::new());
        name.split(' ').enumerate().for_each(|(at, part)| write!(path, "{}{part}", ["", "%20"][at]).unwrap());
        write!(commands, "nfs rm 'copied/{name}'; fetch $WEB/given/{path} | nfs put 'copied/{name}'").unwrap();
        assert_eq!(sh(&commands), 0, "{name}");
    }

    let output = |commands: &str| {
        let (read, write) = file::pipe().unwrap();
        let pid = start(&["sh", "-c", commands], write);
        file::close(write).unwrap();
        let mut list = Vec::<u8, LIST>::new();
        let mut piece = [0; 256];
        while let count @ 1.. = file::read(read, &mut piece).unwrap() {
            list.extend_from_slice(&piece[..count]).unwrap();
        }
        file::close(read).unwrap();
        assert_eq!(wait(Some(pid)).unwrap().1.code(), 0, "{commands}");
        list
    };
    assert!(output("nfs ls given/some/more") == output("fetch $WEB/given/some/more/"), "lists differ");
    assert!(output("fetch $WEB/given/empty").is_empty());

    for path in
        ["nothing", "given/nothing/below", "given/file%200/below", "../motd", "given/%2e%2e/given", "given/a%00b"]
    {
        let mut commands = String::<64>::new();
        write!(commands, "fetch $WEB/{path} 2> /dev/null").unwrap();
        assert_eq!(sh(&commands), 1, "{path}");
    }
    let fetch = || start(&["sh", "-c", "fetch $WEB/given/some/file%2020000 > /dev/null"], file::OUTPUT);
    let all = [fetch(), fetch(), fetch(), fetch()];
    all.into_iter().for_each(|pid| assert_eq!(wait(Some(pid)).unwrap().1.code(), 0));

    kill(httpd, signal::KILL).unwrap();
    wait(Some(httpd)).unwrap();
    println!("exos_net_http_nfs: as it should");
    0
}
