//! Figure 2: the average round trip of Table 11's counter against the number of active processes on the machine that answers, with handlers in the
//! kernel and without.
//!
//! What an active process does the paper does not say. Here each computes for as long as a round trip takes without handlers, some 320 us on a
//! 5000/125, gives up the rest of its time slice, and begins anew; they take turns, each with one slice. Without handlers the first of them is the
//! one that answers: when its turn comes it looks whether the packet is there, answers it, and gives up its slice. With handlers
//! it has nothing to look for and computes as the others do. The machine that asks has nothing else to do.
//@ network: 2

#![no_std]
#![no_main]
exos_rt::program!(main);

use aegis_bench::counter::{Station, measure, measure_handlers};
use aegis_bench::loop_of;
use core::fmt::Arguments;
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, println, public};

const ACTIVE: u32 = 10;
const SYSTEMS: [&str; 2] = ["exos", "exos_ash"];
const ROUNDS: u32 = 64;
/// Rounds of what a process computes between two turns, of five instructions each.
const WORK: u32 = 810;

/// Instead of counters: the second machine is to use a handler; it has none any more; one process more is to be active; that is all.
const HANDLE: u32 = 0xffff_ffff;
const HANDLED: u32 = 0xffff_fffe;
const MORE: u32 = 0xffff_fffd;
const END: u32 = 0xffff_fffc;
/// The counter at which the second machine's handler tells its owner.
const LAST: u32 = 0x0100_0000;

fn main() {
    let first = public::interface().address[5] == 1;
    let station = Station::new(usize::from(!first));
    if first { ask(station) } else { answer(station) }
}

/// The mark of a round trip with so many active processes, by the system's number.
const fn mark(system: u32, active: u32) -> u32 {
    1 + system * ACTIVE + active - 1
}

fn describe(system: u32, how: Arguments) {
    let name = SYSTEMS[system as usize];
    println!("figure 2 series={name} system={name} unit=us how={how}");
    for active in 1..=ACTIVE {
        let id = mark(system, active);
        println!("mark {id} table=figure2 op=active_{active} system={name} how={how}");
        println!("loop {} of={id} rounds={ROUNDS} how=as many round trips of a counter", loop_of(id));
        println!("point 2 series={name} x={active} loop={}", loop_of(id));
    }
}

fn ask(mut station: Station) {
    describe(0, format_args!("a process answers when its turn comes, among so many that compute 320 us a turn"));
    describe(1, format_args!("handlers answer, while so many processes compute"));
    exos_rt::console::flush();
    station.find_other();
    for (active, (plain, handled)) in RUNS.into_iter().enumerate() {
        if active > 0 {
            demand(&mut station, MORE, MORE);
        }
        plain(&mut station);
        demand(&mut station, HANDLE, HANDLE);
        handled(&mut station);
        demand(&mut station, LAST - 1, HANDLED);
    }
    demand(&mut station, END, END);
}

/// What is measured by a station.
type Run = fn(&mut Station);

/// What measures with so many active processes: each has its own marks, which are parts of instructions.
const RUNS: [(Run, Run); ACTIVE as usize] = [
    (plain::<{ mark(0, 1) }>, handled::<{ mark(1, 1) }>),
    (plain::<{ mark(0, 2) }>, handled::<{ mark(1, 2) }>),
    (plain::<{ mark(0, 3) }>, handled::<{ mark(1, 3) }>),
    (plain::<{ mark(0, 4) }>, handled::<{ mark(1, 4) }>),
    (plain::<{ mark(0, 5) }>, handled::<{ mark(1, 5) }>),
    (plain::<{ mark(0, 6) }>, handled::<{ mark(1, 6) }>),
    (plain::<{ mark(0, 7) }>, handled::<{ mark(1, 7) }>),
    (plain::<{ mark(0, 8) }>, handled::<{ mark(1, 8) }>),
    (plain::<{ mark(0, 9) }>, handled::<{ mark(1, 9) }>),
    (plain::<{ mark(0, 10) }>, handled::<{ mark(1, 10) }>),
];

/// Sends a word that the other answers with another.
fn demand(station: &mut Station, word: u32, answer: u32) {
    station.send(word);
    assert_eq!(station.receive(None), Some(answer));
}

fn plain<const ID: u32>(station: &mut Station) {
    measure::<ID>(ROUNDS, |rounds| (0..rounds).for_each(|round| demand(station, 2 * round, 2 * round + 1)));
}

fn handled<const ID: u32>(station: &mut Station) {
    let (region, handler) = measure_handlers::<ID>(station, ROUNDS);
    handler.remove();
    region.close();
}

fn answer(mut station: Station) {
    let mut others = [None; ACTIVE as usize - 1];
    let mut active = 1;
    loop {
        match station.poll() {
            None => call::yield_slice(),
            Some(MORE) => {
                others[active - 1] = Some(spawn(process, 0, Some(active as u32)).expect("an environment can be made"));
                active += 1;
                station.send(MORE);
            }
            Some(END) => {
                for (id, control) in others.into_iter().flatten() {
                    call::env_destroy(id, control).expect("it lives");
                }
                return station.send(END);
            }
            Some(HANDLE) => {
                let (region, handler) = station.install(LAST);
                station.send(HANDLE);
                while handler.installed().wakes == 0 {
                    compute();
                    call::yield_slice();
                }
                handler.remove();
                region.close();
                station.send(HANDLED);
            }
            Some(counter) => {
                station.send(counter + 1);
                call::yield_slice();
            }
        }
    }
}

extern "C" fn process(_: u32) -> ! {
    loop {
        compute();
        call::yield_slice();
    }
}

fn compute() {
    let counter = Shared::new(0_u32);
    while counter.get() < WORK {
        counter.add(1);
    }
}
