//! Table 11: the round trip of a counter in a UDP/IP packet of 60 bytes between programs on two machines on one Ethernet, with
//! handlers in the kernel and without.
//!
//! Both machines run this program; the first asks. Without handlers each waits in user mode for the packet, adds 1 to the counter, and
//! sends it back in a packet whose headers were made before. With handlers the kernel's handler does that on both, and tells its owner
//! when the counter has come to its end. Filters check addresses, protocol and ports.
//!
//! The time of wire and controllers is the model's: twice 57.6 us of wire for 64 bytes and a preamble, twice 25.5 us in the
//! controllers. What is beyond these 166.2 us is software.
//@ network: 2

#![no_std]
#![no_main]
exos_rt::program!(main);

use aegis_bench::counter::{Station, measure, measure_handlers, told};
use aegis_bench::loop_of;
use exos_rt::{println, public};

const PLAIN: u32 = 1;
const HANDLED: u32 = 2;

const ROUNDS: u32 = 4096;
/// Instead of counters: handlers are to be used from now on; the counter at which the second machine's handler tells its owner.
const SWITCH: u32 = 0xffff_ffff;
const LAST: u32 = 0x0100_0000;

fn main() {
    let first = public::interface().address[5] == 1;
    let station = Station::new(usize::from(!first));
    if first { ask(station) } else { answer(station) }
}

fn ask(mut station: Station) {
    for (id, system, how) in [
        (PLAIN, "exos", "by programs that wait for packets; what is counted is everything, the wait included"),
        (HANDLED, "exos_ash", "by handlers on both machines; what is counted is everything, the wait included"),
    ] {
        println!("mark {id} table=11 op=roundtrip system={system} how={how}");
        println!("loop {} of={id} rounds={ROUNDS} how=as many round trips of a counter", loop_of(id));
    }
    exos_rt::console::flush();
    station.find_other();
    measure::<PLAIN>(ROUNDS, |rounds| {
        for round in 0..rounds {
            station.send(2 * round);
            let back = station.receive(None).expect("it was waited for");
            assert_eq!(back, 2 * round + 1);
        }
    });
    station.send(SWITCH);
    assert_eq!(station.receive(None), Some(SWITCH));
    let (_region, handler) = measure_handlers::<HANDLED>(&mut station, ROUNDS);
    station.send(LAST - 1);
    println!("table11: {:?}", handler.installed().outcomes);
}

fn answer(mut station: Station) {
    loop {
        let counter = station.receive(None).expect("it was waited for");
        if counter == SWITCH {
            break;
        }
        station.send(counter + 1);
    }
    let (_region, handler) = station.install(LAST);
    station.send(SWITCH);
    told(&handler, 1);
    println!("table11: {:?}", handler.installed().outcomes);
}
