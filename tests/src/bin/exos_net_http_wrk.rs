//! Another real client on this host: wrk asks what serves the archive by HTTP for a file again and again, by 16 connections at
//! once, which it closes now and then in the midst of answers, and is answered well each time, over QEMU's network.
//@ run: init,exos_net_http_wrk
//@ archive: exos_net_http_wrk httpd motd
//@ network: user
//@ client: wrk
//@ timeout: 240
//@ verdict: none
//@ expect: exos_net_http_wrk: ready for visitors

#![no_std]
#![no_main]

#[path = "../visited.rs"]
mod visited;

use exos::process::wait;

exos::process!(main);

fn main() -> u32 {
    // It serves until the visitor is through, who says whether all was well.
    wait(Some(visited::serve(&["httpd"]))).unwrap().1.code()
}
