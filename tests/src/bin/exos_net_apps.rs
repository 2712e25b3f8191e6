//! Programs of ExOS on two machines: one serves its archive by HTTP, the other is pinged first, then fetches files, two at
//! once among them, and has what the archive has.
//@ run: init,exos_net_apps
//@ archive: exos_net_apps fetch httpd motd ping true
//@ network: 2
//@ ignore-machine: gxemul one at a time
//@ ignore-machine: malta one at a time
//@ timeout: 120
//@ expect: exos_net_apps: all was fetched

#![no_std]
#![no_main]

use exos::println;
use exos::process::{Spawn, file, spawn, wait};
use exos_rt::{archive, net};

exos::process!(main);

/// Their addresses.
const NET: [&str; 2] = ["NET=10.0.0.1/24", "NET=10.0.0.2/24"];

fn main() -> u32 {
    let number = usize::from(net::address().expect("there is a network")[5] - 1);
    let run = |arguments: &[&'static str], output| {
        let files = [file::INPUT, output, file::ERROR];
        spawn(&Spawn { program: arguments[0], arguments, variables: &[NET[number]], files, job: None }).unwrap()
    };
    let end = |pid| wait(Some(pid)).unwrap().1.code();
    if number == 1 {
        return end(run(&["httpd", "80", "7"], file::OUTPUT));
    }
    // The other may not have begun.
    while end(run(&["ping", "10.0.0.2", "1"], file::OUTPUT)) != 0 {}
    let null = file::open("/dev/null").unwrap();
    for (address, name) in [("http://10.0.0.2/motd", "motd"), ("10.0.0.2:80/bin/true", "bin/true")] {
        let (read, write) = file::pipe().unwrap();
        let pid = run(&["fetch", address], write);
        file::close(write).unwrap();
        let found = archive::find(name).unwrap();
        let mut rest = file::content(&found);
        let mut buffer = [0; 512];
        while let count @ 1.. = file::read(read, &mut buffer).unwrap() {
            assert!(rest.starts_with(&buffer[..count]), "{name} differs");
            rest = &rest[count..];
        }
        file::close(read).unwrap();
        assert_eq!((end(pid), rest.len()), (0, 0), "{name}");
    }
    let both = [run(&["fetch", "10.0.0.2/bin/fetch"], null), run(&["fetch", "10.0.0.2/"], null)];
    assert_eq!(both.map(end), [0, 0]);
    assert_eq!(end(run(&["fetch", "10.0.0.2/nothing"], null)), 1);
    assert_eq!(end(run(&["fetch", "10.0.0.2/nfs/motd"], null)), 1, "it has no server of files");
    assert_eq!(end(run(&["fetch", "10.0.0.2:81/"], null)), 1, "nobody listens there");
    assert_eq!(end(run(&["fetch", "10.0.0.2/motd"], null)), 0);
    println!("exos_net_apps: all was fetched");
    0
}
