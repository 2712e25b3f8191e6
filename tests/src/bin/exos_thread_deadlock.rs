//! A program whose threads all wait for each other ends with a report.
//@ verdict: fail
//@ expect: panic: every thread waits for another (exos/exos/src/thread.rs
//@ expect: aegis: 1 programs ended, 1 badly

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos::sync::Mutex;
use exos::thread;
use exos::vm::Vm;

static ONE: Mutex<()> = Mutex::new(());
static OTHER: Mutex<()> = Mutex::new(());

extern "C" fn locks(_: u32) -> u32 {
    let _other = OTHER.lock();
    thread::yield_now();
    let _one = ONE.lock();
    0
}

fn main() {
    Vm::install().unwrap();
    thread::start();
    thread::spawn(locks, 0).unwrap();
    let _one = ONE.lock();
    thread::yield_now();
    let _other = OTHER.lock();
}
