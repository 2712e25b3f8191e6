//! Threads that lose the processor anywhere: they pass values through a mutex and condition variables, and none is lost,
//! taken twice, or waited for in vain; a thread that only computes finds all its registers as they were. A test on the
//! model ends a slice at each instruction between the marks.
//@ expect: inject_threads: 20 passed, their sum 210, registers changed in 0

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[macro_use]
#[path = "../filled.rs"]
mod filled;

use exos::sync::{Condition, Mutex};
use exos::thread;
use exos::vm::Vm;
use exos_rt::{println, program};

/// A place for one value.
static PLACE: Mutex<Option<u32>> = Mutex::new(None);
static FILLED: Condition = Condition::new();
static EMPTIED: Condition = Condition::new();

filled! {
    /// Calls a function with an argument.
    fn apply: preserved, ["jalr  $a1", " move $a0, $a2"],
}

filled! {
    /// Counts to four.
    fn count: all, [
        "addiu $a1, $zero, 4",
        "1: bne $a1, $zero, 1b",
        " addiu $a1, $a1, -1",
    ],
}

/// Waits until the place is empty, and puts a value there.
extern "C" fn put(value: u32) {
    let mut place = PLACE.lock().expect("nobody fails");
    while place.is_some() {
        place = EMPTIED.wait(place).expect("nobody fails");
    }
    *place = Some(value);
    drop(place);
    FILLED.notify_one();
}

/// Takes so many values; their sum.
extern "C" fn take(values: u32) -> u32 {
    let mut sum = 0;
    for _ in 0..values {
        let mut place = PLACE.lock().expect("nobody fails");
        sum += loop {
            match place.take() {
                Some(value) => break value,
                None => place = FILLED.wait(place).expect("nobody fails"),
            }
        };
        drop(place);
        EMPTIED.notify_one();
    }
    sum
}

extern "C" fn yields(rounds: u32) -> u32 {
    (0..rounds).for_each(|_| thread::yield_now());
    rounds
}

fn main() {
    let rounds = program::number("rounds").unwrap_or(20);
    Vm::install().unwrap();
    thread::start();
    let other = thread::spawn(yields, rounds).expect("there is room");
    let taker = thread::spawn(take, rounds).expect("there is room");
    let mut changed = 0;
    for value in 1..=rounds {
        if program::number("count").is_some() {
            put(value);
            // SAFETY: it keeps what a function must keep.
            changed += u32::from(unsafe { count(0x0123_4567 + value, 0, 0, 0) } != 0);
        } else {
            // SAFETY: as above, and the function takes one argument.
            changed += u32::from(unsafe { apply(0x0123_4567 + value, put as *const () as u32, value, 0) } != 0);
        }
    }
    let sum = thread::join(taker).expect("it does not fail");
    assert_eq!(thread::join(other), Ok(rounds));
    println!("inject_threads: {rounds} passed, their sum {sum}, registers changed in {changed}");
}
