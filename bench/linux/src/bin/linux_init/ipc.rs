//! Table 8: a word through a pipe, and a counter in shared memory that two processes increment in turn; of Table 6 what a
//! UNIX has in its place, a yield that the other process gets. All are one way, a ping-pong halved.

use aegis_bench_linux::meter::{ALONE, LOOPS, Meter, ROUNDS, describe as line};
use aegis_bench_linux::system::{self, Mapping, exit, fork, map, pipe, sched_yield, set_in_turn, wait};
use aegis_bench_linux::{mark_begin, mark_end};

const YIELD: u32 = 20;
const PIPE: u32 = 21;
const SHM: u32 = 22;

/// What tells the other side that nothing more comes.
const OVER: u32 = !0;

/// A word that both processes see.
#[derive(Clone, Copy)]
struct Shared(*mut u32);

impl Shared {
    fn new() -> Self {
        Self(map(1, Mapping::Shared).expect("there is memory") as *mut u32)
    }

    fn get(self) -> u32 {
        // SAFETY: the page was mapped for this alone. Likewise below.
        unsafe { self.0.read_volatile() }
    }

    fn set(self, value: u32) {
        // SAFETY: as above.
        unsafe { self.0.write_volatile(value) }
    }
}

/// Runs one side in a child until it comes to its end, and the other here.
fn between(there: impl FnOnce(), here: impl FnOnce()) {
    match fork().expect("there is room") {
        Some(child) => {
            here();
            assert_eq!(wait(child), Ok(0));
        }
        None => {
            there();
            exit(0)
        }
    }
}

fn say(file: u32, word: u32) {
    assert_eq!(system::write(file, &word.to_le_bytes()), Ok(4));
}

fn hear(file: u32) -> u32 {
    let mut word = [0; 4];
    assert_eq!(system::read(file, &mut word), Ok(4));
    u32::from_le_bytes(word)
}

pub fn describe() {
    let half = "half of there and back, a loop of Rust on each side";
    let how = "from a sched_yield to the return from another process's; both have one real-time priority";
    line(YIELD, "6", "yield_to", how, 2 * ROUNDS, half);
    line(PIPE, "8", "pipe", "from the write of a word to the end of the other side's read", 2 * ROUNDS, half);
    let how = "from the increment to the other side's seeing it; both yield, and have one real-time priority";
    line(SHM, "8", "shm", how, 2 * ROUNDS, half);
}

pub fn measure(meter: &Meter) {
    set_in_turn(true);
    yields(meter);
    counters(meter);
    set_in_turn(false);
    pipes(meter);
}

/// Two processes that do nothing but yield to each other.
fn yields(meter: &Meter) {
    let over = Shared::new();
    let there_alone = || {
        while over.get() == 0 {
            mark_end!(YIELD);
            mark_begin!(YIELD);
            sched_yield();
        }
    };
    between(there_alone, || {
        for _ in 0..ALONE {
            mark_begin!(YIELD);
            sched_yield();
            mark_end!(YIELD);
        }
        over.set(1);
    });
    over.set(0);
    let there = || {
        while over.get() == 0 {
            sched_yield();
        }
    };
    between(there, || {
        meter.time::<YIELD>(LOOPS, 2 * ROUNDS, || (), |rounds| (0..rounds / 2).for_each(|_| sched_yield()));
        over.set(1);
    });
}

/// Increments the counter whenever it is odd, until it is over.
fn answer(counter: Shared, seen: impl Fn()) {
    loop {
        sched_yield();
        match counter.get() {
            OVER => return,
            odd if odd & 1 != 0 => {
                seen();
                counter.set(odd + 1);
            }
            _ => {}
        }
    }
}

/// Increments it whenever it is even, until there were so many turns.
fn ask(counter: Shared, turns: u32) {
    let mut value = counter.get();
    let end = value + 2 * turns;
    while value != end {
        counter.set(value + 1);
        loop {
            sched_yield();
            value = counter.get();
            if value & 1 == 0 {
                break;
            }
        }
    }
}

fn counters(meter: &Meter) {
    let counter = Shared::new();
    between(
        || answer(counter, || mark_end!(SHM)),
        || {
            for _ in 0..ALONE {
                mark_begin!(SHM);
                ask(counter, 1);
            }
            counter.set(OVER);
        },
    );
    counter.set(0);
    between(
        || answer(counter, || ()),
        || {
            meter.time::<SHM>(LOOPS, 2 * ROUNDS, || counter.set(0), |rounds| ask(counter, rounds / 2));
            counter.set(OVER);
        },
    );
}

fn pipes(meter: &Meter) {
    let [[from_here, to_there], [from_there, to_here]] = [(); 2].map(|()| pipe().expect("there is room"));
    between(
        || {
            loop {
                let word = hear(from_here);
                if word == OVER {
                    break;
                }
                mark_end!(PIPE);
                say(to_here, word + 1);
            }
        },
        || {
            for word in 0..ALONE {
                mark_begin!(PIPE);
                say(to_there, word);
                assert_eq!(hear(from_there), word + 1);
            }
            say(to_there, OVER);
        },
    );
    let there = || {
        loop {
            let word = hear(from_here);
            if word == OVER {
                break;
            }
            say(to_here, word + 1);
        }
    };
    between(there, || {
        let work = |rounds: u32| {
            let mut word = 0;
            for _ in 0..rounds / 2 {
                say(to_there, word);
                word = hear(from_there);
            }
            assert_eq!(word, rounds / 2);
        };
        meter.time::<PIPE>(LOOPS, 2 * ROUNDS, || (), work);
        say(to_there, OVER);
    });
    [from_here, to_there, from_there, to_here].into_iter().for_each(system::close);
}
