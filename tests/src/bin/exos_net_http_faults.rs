//! Two machines: one serves its archive by HTTP, the other asks through one connection for a file of many segments, six times, two
//! times at once, while each twentieth frame is lost, as many come twice, as many late and as many damaged. Whatever is sent again
//! has the sums that the server knows of the file, and each byte is as it should be.
//@ run: init,exos_net_http_faults
//@ archive: exos_net_http_faults httpd motd
//@ network: 2
//@ faults: 17 50000
//@ ignore-machine: gxemul one at a time
//@ ignore-machine: malta one at a time
//@ timeout: 300
//@ expect: exos_net_http_faults: 6 times, each byte

#![no_std]
#![no_main]

use exos::println;
use exos::process::{Spawn, block, file, spawn, wait};
use exos_net::{Host, Ipv4Address, Limits, Memory, Stack};
use exos_rt::{archive, call, net};

exos::process!(main);

#[path = "../http.rs"]
mod http;

const SERVER: Ipv4Address = Ipv4Address::new(10, 0, 0, 2);

static MEMORY: Memory<50_000> = Memory::new();

fn main() -> u32 {
    if net::address().expect("there is a network")[5] == 2 {
        let files = [file::INPUT, file::OUTPUT, file::ERROR];
        let (arguments, variables) = (&["httpd", "80", "6"], &["NET=10.0.0.2/24"]);
        let httpd = spawn(&Spawn { program: "httpd", arguments, variables, files, job: None }).unwrap();
        return wait(Some(httpd)).unwrap().1.code();
    }
    let limits = Limits { sockets: 1, filters: 6, buffers: 24 };
    let mut stack = Stack::new(MEMORY.claim(), limits, block).unwrap();
    stack.set_host(Host::parse("10.0.0.1/24").unwrap());
    let tcp = stack.tcp(16_384).unwrap();
    while stack.connect(tcp, SERVER, 80, Some(in_seconds(60))).is_err() {}
    let file = archive::find("bin/httpd").unwrap();
    let content = file::content(&file);
    for time in 0..3 {
        http::ask(&mut stack, tcp, b"GET /bin/httpd HTTP/1.1\r\nHost: x\r\n\r\n");
        http::ask(&mut stack, tcp, b"GET /bin/httpd HTTP/1.1\r\nHost: x\r\n\r\n");
        (0..2).for_each(|_| assert!(!http::answer(&mut stack, tcp, content).ends, "{time}"));
    }
    // The other goes on until it knows that all has come.
    let _ = stack.finish(tcp, Some(in_seconds(60)));
    println!("exos_net_http_faults: 6 times, each byte");
    0
}

/// The tick that is so many seconds from now.
fn in_seconds(seconds: u32) -> u32 {
    call::clock().wrapping_add(64 * seconds) & 0x7fff_ffff
}
