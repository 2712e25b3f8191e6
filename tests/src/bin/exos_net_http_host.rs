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

#[path = "../visited.rs"]
mod visited;

use exos::println;
use exos::process::wait;
use exos_rt::net;

exos::process!(main);

fn main() -> u32 {
    let httpd = visited::serve(&["httpd", "80", "1000"]);
    assert_eq!(wait(Some(httpd)).unwrap().1.code(), 0);
    assert_eq!(net::filters().count(), 0, "filters are left");
    println!("exos_net_http_host: 1000 requests were answered");
    0
}
