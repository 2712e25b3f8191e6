//! Two library operating systems under one kernel: a program of ExOS calls one of mini's, which runs each call to completion
//! and its own ticks in between. A test on the model interrupts both at each instruction of a call.
//@ run: mini_counter mini_beside
//@ expect: mini_beside: 100 calls, the sum 5050, registers changed in 0
//@ expect: mini_counter:
//@ expect: aegis: 2 programs ended, 0 badly

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[macro_use]
#[path = "../filled.rs"]
mod filled;
#[path = "../mini.rs"]
mod mini;

use exos_rt::abi::EnvId;
use exos_rt::shared::Shared;
use exos_rt::{call, println, program};
use mini::ask;

const ADD: u32 = 1;
const LONG: u32 = 2;
const END: u32 = 3;

static COUNTER: Shared<u32> = Shared::new(0);
static SUM: Shared<u32> = Shared::new(0);

filled! {
    /// Calls a function with an argument.
    fn apply: preserved, ["jalr  $a1", " move $a0, $a2"],
}

extern "C" fn add(value: u32) {
    let sum = ask(EnvId(COUNTER.get()), ADD, value).expect("it answers");
    SUM.set(sum as u32);
}

fn main() {
    let id = mini::find();
    COUNTER.set(id.0);
    let rounds = program::number("rounds").unwrap_or(100);
    let mut changed = 0;
    for value in 1..=rounds {
        // SAFETY: it keeps what a function must keep, and the function takes one argument.
        changed += u32::from(unsafe { apply(0x0123_4567 + value, add as *const () as u32, value, 0) } != 0);
    }
    // Longer than its slice.
    let ticks = ask(id, mini::WHO, 0).expect("it answers") >> 32;
    let end = ask(id, LONG, 3).expect("it answers");
    assert!(u64::from(call::clock()) >= end);
    // It has ticks of its own, and takes calls all the while.
    while ask(id, mini::WHO, 0).is_ok_and(|answer| answer >> 32 < ticks + 3) {
        call::yield_slice();
    }
    assert_eq!(ask(id, 99, 0), Ok(u64::MAX));
    ask(id, END, 0).expect("it answers");
    println!("mini_beside: {rounds} calls, the sum {}, registers changed in {changed}", SUM.get());
}
