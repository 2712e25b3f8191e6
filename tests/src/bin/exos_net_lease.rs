//! Two machines: one has its address by DHCP for 16 seconds. It has it lent again in time, by who has lent it, or by whoever
//! answers; and it is told when nobody does, when it is told to begin anew, and when another address is lent. Each time it asks
//! again.
//@ network: 2
//@ ignore-machine: gxemul one at a time
//@ ignore-machine: malta one at a time
//@ timeout: 120
//@ expect: exos_net_lease: lent again
//@ expect: exos_net_lease: given up at the end
//@ expect: exos_net_lease: taken back, exchanged, and for good

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../dhcp.rs"]
mod dhcp;
#[path = "../stack.rs"]
mod stack;

use dhcp::{ACK, HEADERS, NAK, OFFER, OPTIONS, QUESTION, answer, send};
use exos_net::{Fail, Host, Limits, Stack};
use exos_rt::call::{self, NO_CAPABILITY};
use exos_rt::net::{self, Endpoint};
use exos_rt::println;
use stack::{address, in_seconds};

const LIMITS: Limits = Limits { sockets: 4, filters: 8, buffers: 8 };
/// Seconds for which an address is lent: it is asked for again after 8, and after 14.
const LEASE: u32 = 16;
/// What is lent, and what is said when it is lent again by another.
const HOST: &str = "10.0.0.1/24,10.0.0.2,10.0.0.2";
const OTHER: &str = "10.0.0.1/24,10.0.0.7,10.0.0.7";

fn main() {
    if stack::number() == 1 {
        let mut stack = stack::without_address(LIMITS);
        borrow(&mut stack);
        ask_again(&mut stack);
        stack.end();
    } else {
        lend();
    }
    assert_eq!(net::filters().count(), 0, "filters are left");
}

// --- Who has it lent. ---

/// Waits until nothing is lent any more.
fn until_lost(stack: &mut Stack) {
    assert_eq!(stack.until::<()>(Some(in_seconds(60)), |_| None), Err(Fail::NoAddress));
    assert_eq!(stack.host(), None);
}

fn borrow(stack: &mut Stack) {
    // The other may not have begun.
    let host = stack.ask_host(Some(in_seconds(60))).unwrap();
    let begun = call::clock();
    let seconds = || (call::clock() - begun) / 64;
    assert_eq!(Some(host), Host::parse(HOST));
    let (tcp, udp) = (stack.tcp(512).unwrap(), stack.udp(7, 512).unwrap());
    stack.listen(tcp, 80).unwrap();
    // After 8 seconds by who has lent it, after 16 by nobody, after 22 by somebody: until 38.
    let changed = stack.until(Some(in_seconds(60)), |stack| stack.host().filter(|&now| now != host)).unwrap();
    assert_eq!((Some(changed), seconds()), (Host::parse(OTHER), 22));
    assert!(stack.socket(tcp).is_listening(), "nothing has changed for connections");
    assert_eq!(stack.binding.refused(), 0);
    println!("exos_net_lease: lent again");
    until_lost(stack);
    assert_eq!(seconds(), 38);
    assert!(!stack.socket(tcp).is_open());
    assert_eq!(stack.listen(tcp, 80), Err(Fail::NoAddress));
    assert_eq!(stack.connect(tcp, address(2), 80, None), Err(Fail::NoAddress));
    assert_eq!(stack.send_to(udp, b"x", address(2), 7), Err(Fail::NoAddress));
    assert_eq!(stack.receive_from(udp, &mut [0], None), Err(Fail::NoAddress));
    assert_eq!(stack.resolve("host.test", in_seconds(1)), Err(Fail::NoName), "nor is anybody known who knows");
    assert_eq!(net::filters().count(), 1, "those of connections, and to be found, are gone");
    stack.close_udp(udp);
    println!("exos_net_lease: given up at the end");
    // Its first question is not answered.
    assert_eq!(stack.ask_host(Some(call::clock() + 32)), Err(Fail::TimedOut));
    assert_eq!(stack.listen(tcp, 80), Err(Fail::NoAddress));
    assert_eq!(net::filters().count(), 0);
    assert_eq!(stack.ask_host(Some(in_seconds(60))).ok(), Host::parse(HOST));
    stack.listen(tcp, 80).unwrap();
}

fn ask_again(stack: &mut Stack) {
    // It is told to begin anew.
    until_lost(stack);
    // Another address is lent.
    stack.ask_host(Some(in_seconds(60))).unwrap();
    until_lost(stack);
    // What is lent is given for good.
    stack.ask_host(Some(in_seconds(60))).unwrap();
    stack.set_host(Host::parse(HOST).unwrap());
    assert_eq!(stack.until::<()>(Some(in_seconds(2 * LEASE)), |_| None), Err(Fail::TimedOut));
    println!("exos_net_lease: taken back, exchanged, and for good");
}

// --- Who lends. ---

/// What a question is, and what is said.
enum Say {
    Nothing,
    Lend,
    /// With what [`OTHER`] says.
    LendOther,
    LendAnother,
    Refuse,
}

fn lend() {
    use Say::{Lend, LendAnother, LendOther, Nothing, Refuse};
    const ME: [u8; 4] = [10, 0, 0, 2];
    const ALL: [u8; 4] = [255; 4];
    // To whom each request is, and whether it is to have again what is lent.
    let requests = [
        (ALL, false, Lend),
        (ME, true, Lend),
        (ME, true, Nothing),
        (ALL, true, LendOther),
        (ME, true, Nothing),
        (ALL, true, Nothing),
        (ALL, false, Lend),
        (ME, true, Refuse),
        (ALL, false, Lend),
        (ME, true, LendAnother),
        (ALL, false, Lend),
    ];
    let (mut stack, ..) = stack::stack(LIMITS);
    let mut endpoint = Endpoint::open(&dhcp::filter(), NO_CAPABILITY, 4).unwrap();
    let mut discovered = 0;
    for (number, (to, again, say)) in requests.into_iter().enumerate() {
        let question = loop {
            let question = next(&mut stack, &mut endpoint);
            if question[OPTIONS + 2] == 3 {
                break question;
            }
            discovered += 1;
            // The second time it asks it is not answered at first.
            if discovered != 2 {
                send(&answer(&question, OFFER, [10, 0, 0, 1], LEASE));
            }
        };
        assert_eq!(question[30..34], to, "request {number}");
        assert_eq!(
            question[HEADERS + 12..HEADERS + 16],
            if again { [10, 0, 0, 1] } else { [0; 4] },
            "request {number}"
        );
        let mut lent = answer(&question, ACK, [10, 0, 0, 1], LEASE);
        match say {
            Nothing => {}
            Lend => send(&lent),
            LendOther => {
                (lent[OPTIONS + 20], lent[OPTIONS + 26]) = (7, 7);
                send(&lent);
            }
            LendAnother => send(&answer(&question, ACK, [10, 0, 0, 9], LEASE)),
            Refuse => send(&answer(&question, NAK, [0; 4], LEASE)),
        }
    }
    assert_eq!(discovered, 5);
    endpoint.close();
    stack.end();
}

/// The next question. Meanwhile the stack says where this machine is.
fn next(stack: &mut Stack, endpoint: &mut Endpoint) -> [u8; QUESTION] {
    loop {
        if let Some(question) = endpoint.receive(|message| message.first_chunk().copied()) {
            return question.expect("a question is long enough");
        }
        stack.step(Some(call::clock() + 1));
    }
}
