//! Threads of one environment: what a change costs that one makes by itself, there and back, and a mutex that nobody else wants.
//!
//! None of it enters the kernel. Only the changes at the end of a slice do, which are the slice's anyway.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use aegis_bench::{ALONE, LOOPS, ROUNDS, describe_loop, loop_of};
use exos::sync::Mutex;
use exos::thread::{self, yield_now};
use exos::vm::Vm;
use exos_rt::{mark_begin, mark_end, println};

exos_rt::program!(main);

const YIELD: u32 = 1;
const LOCK: u32 = 2;

static MUTEX: Mutex<u32> = Mutex::new(0);

extern "C" fn other(_: u32) -> u32 {
    loop {
        yield_now();
    }
}

fn lock() {
    *MUTEX.lock().expect("nobody fails") += 1;
}

macro_rules! measure {
    ($id:ident, $operation:ident) => {
        for _ in 0..ALONE {
            mark_begin!($id);
            $operation();
            mark_end!($id);
        }
        for _ in 0..LOOPS {
            mark_begin!(loop_of($id));
            for _ in 0..ROUNDS {
                $operation();
            }
            mark_end!(loop_of($id));
        }
    };
}

fn main() {
    println!(
        "mark {YIELD} table=threads op=yield_there_and_back system=exos how=a thread yields to another, which yields back"
    );
    describe_loop(YIELD, "the same, in Rust");
    println!("mark {LOCK} table=threads op=lock_and_unlock system=exos how=a mutex that no other thread wants");
    describe_loop(LOCK, "the same, in Rust");
    exos_rt::console::flush();
    Vm::install().expect("there is memory");
    thread::start();
    thread::spawn(other, 0).expect("there is room");
    measure!(YIELD, yield_now);
    measure!(LOCK, lock);
}
