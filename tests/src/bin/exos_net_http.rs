//! Two machines: one serves its archive by HTTP, the other makes 1,000 requests, 16 at once, and has each file whole each time.
//@ run: init,exos_net_http
//@ archive: exos_net_http httpd motd
//@ network: 2
//@ ignore-machine: gxemul one at a time
//@ ignore-machine: malta one at a time
//@ timeout: 240
//@ expect: exos_net_http: 1000 requests, 16 at once, were answered

#![no_std]
#![no_main]

use exos::println;
use exos::process::{Spawn, block, file, spawn, wait};
use exos_net::{Fail, Host, Ipv4Address, Limits, Memory, Stack, Tcp};
use exos_rt::{archive, call, net};

exos::process!(main);

const REQUESTS: usize = 1000;
const AT_ONCE: usize = 16;
const SERVER: Ipv4Address = Ipv4Address::new(10, 0, 0, 2);
/// The longest answer.
const ANSWER: usize = 2048;

static MEMORY: Memory<140_000> = Memory::new();

fn main() -> u32 {
    if net::address().expect("there is a network")[5] == 2 {
        let files = [file::INPUT, file::OUTPUT, file::ERROR];
        let (arguments, variables) = (&["httpd", "80", "1000"][..], &["NET=10.0.0.2/24"][..]);
        let httpd = spawn(&Spawn { program: "httpd", arguments, variables, files, job: None }).unwrap();
        return wait(Some(httpd)).unwrap().1.code();
    }
    let limits = Limits { sockets: AT_ONCE, filters: AT_ONCE + 4, buffers: 4 };
    let mut stack = Stack::new(MEMORY.claim(), limits, block).unwrap();
    stack.set_host(Host::parse("10.0.0.1/24").unwrap());
    let sockets: [Tcp; AT_ONCE] = core::array::from_fn(|_| stack.tcp(ANSWER).unwrap());
    let file = archive::find("motd").unwrap();
    let content = file::content(&file);
    let mut made = 0;
    while made < REQUESTS {
        let visitors = &sockets[..AT_ONCE.min(REQUESTS - made)];
        for &tcp in visitors {
            // The other may not have begun.
            while let Err(fail) = stack.connect(tcp, SERVER, 80, Some(in_seconds(10))) {
                assert!(made == 0 && matches!(fail, Fail::Closed | Fail::TimedOut), "{fail}");
            }
            stack.write(tcp, b"GET /motd HTTP/1.0\r\n\r\n", Some(in_seconds(10))).unwrap();
        }
        for &tcp in visitors {
            let mut answer = [0; ANSWER];
            let mut bytes = 0;
            while let count @ 1.. = stack.read(tcp, &mut answer[bytes..], Some(in_seconds(10))).unwrap() {
                bytes += count;
            }
            let answer = &answer[..bytes];
            assert!(answer.starts_with(b"HTTP/1.0 200 OK\r\n") && answer.ends_with(content), "{made}: {answer:?}");
            stack.finish(tcp, Some(in_seconds(10))).unwrap();
            made += 1;
        }
    }
    stack.end();
    println!("exos_net_http: {made} requests, {AT_ONCE} at once, were answered");
    0
}

/// The tick that is so many seconds from now.
fn in_seconds(seconds: u32) -> u32 {
    call::clock().wrapping_add(64 * seconds) & 0x7fff_ffff
}
