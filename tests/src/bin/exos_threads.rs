//! Threads: they share the processor whether they give it up or not, wait for each other and for the clock, end in every
//! way there is, and what is asked of them wrongly is refused. All frames of their stacks are free in the end.
//@ expect: exos_threads: panic: on purpose (tests/src/bin/exos_threads.rs
//@ expect: thread 1: stack overflow
//@ expect: exos_threads: all as it should be
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

use core::hint::black_box;
use exos::sync::{Condition, Mutex, Poisoned};
use exos::thread;
use exos::thread::{Failed, Id, THREADS, exit, join, sleep_until, spawn, yield_now};
use exos::vm::{self, Vm};
use exos_rt::abi::Error;
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, public};

/// Threads that compute until they are told to stop never yield.
static STOP: Shared<bool> = Shared::new(false);
static COUNTS: [Shared<u32>; 3] = [const { Shared::new(0) }; 3];
static SUM: Mutex<u32> = Mutex::new(0);
static BROKEN: Mutex<u32> = Mutex::new(0);
static ALL: Condition = Condition::new();

extern "C" fn compute(index: u32) -> u32 {
    while !STOP.get() {
        COUNTS[index as usize].add(1);
    }
    index
}

/// Adds to a sum, and gives the processor away where it hurts.
extern "C" fn add(rounds: u32) -> u32 {
    for _ in 0..rounds {
        let mut sum = SUM.lock().expect("nobody fails");
        let old = *sum;
        yield_now();
        *sum = old + 1;
    }
    ALL.notify_all();
    rounds
}

extern "C" fn ends_early(value: u32) -> u32 {
    exit(value + 1)
}

extern "C" fn sleeps(ticks: u32) -> u32 {
    let until = call::clock() + ticks;
    sleep_until(until);
    call::clock() - until
}

extern "C" fn panics(_: u32) -> u32 {
    let _guard = BROKEN.lock().expect("nobody has failed yet");
    yield_now();
    panic!("on purpose");
}

extern "C" fn wants_broken(_: u32) -> u32 {
    u32::from(BROKEN.lock().err() == Some(Poisoned))
}

extern "C" fn overflows(level: u32) -> u32 {
    let words = black_box([level; 100]);
    let deeper = if black_box(true) { overflows(level + 1) } else { 0 };
    deeper + words[level as usize % 100]
}

extern "C" fn waits_for(number: u32) -> u32 {
    // A name is a number that only its module makes: it is passed on in memory.
    u32::from(join(NAMES.get()[number as usize]).is_ok())
}

static NAMES: Shared<[Id; 2]> = Shared::new([thread::MAIN; 2]);

/// Frames that seem to be free.
fn free() -> usize {
    (0..public::frames()).filter(|&frame| memory::seems_free(frame)).count()
}

fn main() {
    Vm::install().unwrap();
    thread::start();
    // The leaf of the page table that stacks are in is made.
    assert_eq!(spawn(ends_early, 1).map(join), Ok(Ok(2)));
    vm::drain();
    let before = free();
    shares();
    waits();
    ends();
    full();
    vm::drain();
    assert_eq!(free(), before, "frames are lost");
    println!("exos_threads: all as it should be");
}

/// Nobody yields, and each has its turns.
fn shares() {
    let threads = [0, 1, 2].map(|index| spawn(compute, index).unwrap());
    sleep_until(call::clock() + 12);
    STOP.set(true);
    for (index, thread) in (0..).zip(threads) {
        assert_eq!(join(thread), Ok(index));
    }
    let counts = [0, 1, 2].map(|index: usize| COUNTS[index].get());
    let [least, most] = [counts.iter().min(), counts.iter().max()].map(|count| *count.unwrap());
    assert!(least > 0 && most / 3 < least, "{counts:?}");
}

/// A mutex is held across changes of threads; a condition is waited for; the clock is.
fn waits() {
    let adders = [10, 20, 30].map(|rounds| spawn(add, rounds).unwrap());
    let mut sum = SUM.lock().unwrap();
    while *sum < 60 {
        sum = ALL.wait(sum).unwrap();
    }
    drop(sum);
    assert_eq!(adders.map(join), [Ok(10), Ok(20), Ok(30)]);
    let sleepers = [5, 1, 3].map(|ticks| spawn(sleeps, ticks).unwrap());
    for thread in sleepers {
        let late = join(thread).unwrap();
        assert!(late <= 2, "{late} ticks late");
    }
}

/// A thread that fails takes no other with it, and who needs it is told.
fn ends() {
    let fails = spawn(panics, 0).unwrap();
    let want = [spawn(wants_broken, 0).unwrap(), spawn(wants_broken, 0).unwrap()];
    assert_eq!(want.map(join), [Ok(1); 2]);
    assert_eq!(join(fails), Err(Failed::Panicked));
    assert_eq!(join(fails), Err(Failed::NoSuchThread));
    assert!(matches!(BROKEN.lock(), Err(Poisoned)));
    let deep = spawn(overflows, 0).unwrap();
    let other = spawn(add, 5).unwrap();
    assert_eq!([deep, other].map(join), [Err(Failed::Overflowed), Ok(5)]);
    // Its stack is as good as new.
    assert_eq!(spawn(add, 1).map(join), Ok(Ok(1)));
    assert_eq!(join(thread::current()), Err(Failed::NoSuchThread));
    // One of two that wait for the same gets it.
    NAMES.set([spawn(add, 3).unwrap(); 2]);
    let both = [0, 1].map(|number| spawn(waits_for, number).unwrap());
    assert_eq!(both.map(join).into_iter().map(Result::unwrap).sum::<u32>(), 1);
}

/// There are so many threads, and no more; then there are again.
fn full() {
    for _ in 0..2 {
        let mut threads = [None; THREADS - 1];
        threads.fill_with(|| Some(spawn(ends_early, 5).unwrap()));
        assert_eq!(spawn(ends_early, 5), Err(Error::Full));
        for thread in threads.into_iter().flatten() {
            assert_eq!(join(thread), Ok(6));
        }
    }
}
