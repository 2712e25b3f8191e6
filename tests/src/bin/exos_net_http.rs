//! Two machines: one serves its archive by HTTP, the other makes 1,000 requests, 16 at once, by connections that stay and by
//! others that end, and has each file whole each time; asks for several at once, for what is longer than any window, for what is
//! not there; asks badly; asks for files of a server that is silent, which nobody else has to wait for; asks for nothing for long;
//! and while all connections are taken somebody else gets one.
//@ run: init,exos_net_http
//@ archive: exos_net_http httpd fetch motd
//@ network: 2
//@ ignore-machine: gxemul one at a time
//@ ignore-machine: malta one at a time
//@ timeout: 240
//@ expect: exos_net_http: 1000 requests, 16 at once, were answered
//@ expect: exos_net_http: all is as it should be

#![no_std]
#![no_main]

use core::fmt::Write;
use exos::println;
use exos::process::table::state;
use exos::process::{Spawn, block, children, file, spawn, wait};
use exos_net::{Fail, Host, Ipv4Address, Limits, Memory, Stack, Tcp};
use exos_rt::{archive, call, net};
use heapless::String;

exos::process!(main);

#[path = "../http.rs"]
mod http;

use http::{Head, answer, ask, end, head};

const AT_ONCE: usize = 16;
/// Requests by connections that stay, by others, and all that are not these.
const STAYING: usize = 31 * AT_ONCE;
const ENDING: usize = 1000 - STAYING;
const OTHERS: usize = 3 * PIPELINED + 3 + BAD.len() + (2 + MEANWHILE) + 1 + AT_ONCE + 1 + AT_ONCE - 1;
/// How often three are asked for at once.
const PIPELINED: usize = 10;
/// How many are answered while the server of files is silent.
const MEANWHILE: usize = 20;
/// The server's address and files: nobody is there.
const VARIABLES: [&str; 2] = ["NET=10.0.0.2/24", "NFS=10.0.0.1:/export,1,1"];
const SERVER: Ipv4Address = Ipv4Address::new(10, 0, 0, 2);
/// Bytes of a connection for each direction.
const BYTES: usize = 2048;

const GET: &[u8] = b"GET /motd HTTP/1.1\r\nHost: x\r\n\r\n";
/// What is no request, or not for this server, and the answer.
const BAD: [(&[u8], u32); 5] = [
    (b"hello\r\n\r\n", 400),
    (b"GET /motd HTTP/1.1\r\n\r\n", 400),
    (b"GET /motd HTTP/3.0\r\nHost: x\r\n\r\n", 505),
    (b"PUT /motd HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 501),
    (&[b'x'; 1800], 431),
];

static MEMORY: Memory<140_000> = Memory::new();

fn main() -> u32 {
    let start = |arguments: &[&str], variables: &[&str], output| {
        let files = [file::INPUT, output, file::ERROR];
        spawn(&Spawn { program: arguments[0], arguments, variables, files, job: None }).unwrap()
    };
    if net::address().expect("there is a network")[5] == 2 {
        let mut count = String::<8>::new();
        write!(count, "{}", STAYING + ENDING + OTHERS).unwrap();
        let httpd = start(&["httpd", "80", &count], &VARIABLES, file::OUTPUT);
        return wait(Some(httpd)).unwrap().1.code();
    }
    let limits = Limits { sockets: AT_ONCE, filters: AT_ONCE + 4, buffers: 4 };
    let mut stack = Stack::new(MEMORY.claim(), limits, block).unwrap();
    stack.set_host(Host::parse("10.0.0.1/24").unwrap());
    let sockets: [Tcp; AT_ONCE] = core::array::from_fn(|_| stack.tcp(BYTES).unwrap());
    // The other may not have begun.
    while let Err(fail) = stack.connect(sockets[0], SERVER, 80, Some(in_seconds(10))) {
        assert!(matches!(fail, Fail::Closed | Fail::TimedOut), "{fail}");
    }
    staying(&mut stack, &sockets);
    ending(&mut stack, &sockets);
    println!("exos_net_http: {} requests, {AT_ONCE} at once, were answered", STAYING + ENDING);
    pipelined(&mut stack, sockets[0]);
    large(&mut stack, sockets[0]);
    for (request, status) in BAD {
        connect(&mut stack, sockets[0]);
        ask(&mut stack, sockets[0], request);
        assert_eq!(head(&mut stack, sockets[0]), Head { status, bytes: 0, ends: true });
        end(&mut stack, sockets[0]);
    }
    silent(&mut stack, &sockets);
    idle(&mut stack, sockets[0]);
    let somebody = || {
        let null = file::open("/dev/null").unwrap();
        start(&["fetch", "10.0.0.2/motd"], &["NET=10.0.0.1/24"], null)
    };
    crowded(&mut stack, &sockets, somebody);
    stack.end();
    println!("exos_net_http: all is as it should be");
    0
}

/// What the archive has.
fn content(name: &str) -> &'static [u8] {
    file::content(&archive::find(name).unwrap())
}

fn connect(stack: &mut Stack, tcp: Tcp) {
    stack.connect(tcp, SERVER, 80, Some(in_seconds(10))).unwrap();
}

/// By connections of which the first is there already, and all stay.
fn staying(stack: &mut Stack, sockets: &[Tcp]) {
    sockets[1..].iter().for_each(|&tcp| connect(stack, tcp));
    for _ in 0..STAYING / AT_ONCE {
        sockets.iter().for_each(|&tcp| ask(stack, tcp, GET));
        sockets.iter().for_each(|&tcp| assert!(!answer(stack, tcp, content("motd")).ends));
    }
    sockets.iter().for_each(|&tcp| stack.finish(tcp, Some(in_seconds(10))).unwrap());
}

/// By a connection for each request.
fn ending(stack: &mut Stack, sockets: &[Tcp]) {
    let mut made = 0;
    while made < ENDING {
        let visitors = &sockets[..AT_ONCE.min(ENDING - made)];
        for &tcp in visitors {
            connect(stack, tcp);
            ask(stack, tcp, b"GET /motd HTTP/1.0\r\n\r\n");
        }
        for &tcp in visitors {
            assert!(answer(stack, tcp, content("motd")).ends);
            end(stack, tcp);
            made += 1;
        }
    }
}

/// Answers come in the order of the requests, which come in whatever pieces.
fn pipelined(stack: &mut Stack, tcp: Tcp) {
    let requests = b"GET /motd HTTP/1.1\r\nHost: x\r\n\r\nHEAD /bin/httpd HTTP/1.0\r\nConnection: keep-alive\r\n\r\n\
        GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n";
    connect(stack, tcp);
    for number in 0..PIPELINED {
        for piece in requests.chunks(if number % 2 == 0 { requests.len() } else { 7 * number }) {
            ask(stack, tcp, piece);
        }
        answer(stack, tcp, content("motd"));
        assert_eq!(head(stack, tcp), Head { status: 200, bytes: content("bin/httpd").len(), ends: false });
        assert_eq!(head(stack, tcp), Head { status: 404, bytes: 0, ends: false });
    }
    stack.finish(tcp, Some(in_seconds(10))).unwrap();
}

/// Files longer than any window, and a short one between: what is asked for last ends the connection.
fn large(stack: &mut Stack, tcp: Tcp) {
    connect(stack, tcp);
    ask(stack, tcp, b"GET /bin/httpd HTTP/1.1\r\nHost: x\r\n\r\nGET /motd HTTP/1.1\r\nHost: x\r\n\r\n");
    ask(stack, tcp, b"GET /bin%2fhttpd?x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    answer(stack, tcp, content("bin/httpd"));
    answer(stack, tcp, content("motd"));
    assert!(answer(stack, tcp, content("bin/httpd")).ends);
    end(stack, tcp);
}

/// Who asks for files of a server that does not answer is told so, in the end; others are answered meanwhile.
fn silent(stack: &mut Stack, sockets: &[Tcp]) {
    sockets[..3].iter().for_each(|&tcp| connect(stack, tcp));
    ask(stack, sockets[0], b"GET /nfs/file HTTP/1.1\r\nHost: x\r\n\r\n");
    ask(stack, sockets[1], b"GET /nfs HTTP/1.1\r\nHost: x\r\n\r\n");
    for _ in 0..MEANWHILE {
        ask(stack, sockets[2], GET);
        answer(stack, sockets[2], content("motd"));
    }
    for &tcp in &sockets[..2] {
        assert!(!stack.socket(tcp).can_recv());
    }
    for &tcp in &sockets[..2] {
        assert_eq!(head(stack, tcp), Head { status: 504, bytes: 0, ends: false });
    }
    sockets[..3].iter().for_each(|&tcp| stack.finish(tcp, Some(in_seconds(10))).unwrap());
}

/// Who asks for nothing any more is told of the end, later.
fn idle(stack: &mut Stack, tcp: Tcp) {
    connect(stack, tcp);
    ask(stack, tcp, GET);
    answer(stack, tcp, content("motd"));
    let since = call::clock();
    end(stack, tcp);
    assert!(call::clock().wrapping_sub(since) > 64 * 10, "it was too early");
}

/// All connections are taken by those who ask for nothing: one of them, and no more, gives way to somebody else.
fn crowded(stack: &mut Stack, sockets: &[Tcp], somebody: impl Fn() -> u32) {
    for &tcp in sockets {
        connect(stack, tcp);
        ask(stack, tcp, GET);
        answer(stack, tcp, content("motd"));
    }
    let pid = somebody();
    while children().any(|child| child.state.get() == state::RUNNING) {
        for &tcp in sockets {
            if !stack.socket(tcp).may_recv() {
                stack.socket(tcp).close();
            }
        }
        stack.step(Some(call::clock() + 8));
    }
    assert_eq!(wait(Some(pid)).unwrap().1.code(), 0);
    let mut stayed = 0;
    for &tcp in sockets {
        if stack.socket(tcp).may_recv() {
            ask(stack, tcp, GET);
            answer(stack, tcp, content("motd"));
            stayed += 1;
        }
    }
    assert_eq!(stayed, AT_ONCE - 1);
    sockets.iter().for_each(|&tcp| stack.finish(tcp, Some(in_seconds(10))).unwrap());
}

/// The tick that is so many seconds from now.
fn in_seconds(seconds: u32) -> u32 {
    call::clock().wrapping_add(64 * seconds) & 0x7fff_ffff
}
