//! A real client, which nobody here has written, on this host: curl makes 1,000 requests of what serves the archive by HTTP, 16 at
//! once, and has the file whole each time, over QEMU's network.
//@ run: init,exos_net_http_host
//@ archive: exos_net_http_host httpd motd
//@ network: user
//@ client: curl
//@ timeout: 240
//@ expect: exos_net_http_host: 1000 requests were answered

#![no_std]
#![no_main]

use exos::println;
use exos::process::{Spawn, file, sleep, spawn, try_wait, wait};
use exos_rt::net;

exos::process!(main);

fn main() -> u32 {
    let files = [file::INPUT, file::OUTPUT, file::ERROR];
    // Its address it learns by DHCP.
    let arguments = &["httpd", "80", "1000"];
    let httpd = spawn(&Spawn { program: "httpd", arguments, variables: &[], files, job: None }).unwrap();
    // It looks at the network for the first time when it listens already: then there are the port's filter and the two by
    // which the machine is found.
    while net::filters().count() < 3 {
        assert_eq!(try_wait(Some(httpd)), Ok(None), "it has ended");
        sleep(1);
    }
    println!("exos_net_http_host: ready for visitors");
    assert_eq!(wait(Some(httpd)).unwrap().1.code(), 0);
    assert_eq!(net::filters().count(), 0, "filters are left");
    println!("exos_net_http_host: 1000 requests were answered");
    0
}
