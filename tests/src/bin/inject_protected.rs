//! A store to a page that the program protects, which a handler in Rust skips, while another thread does the same: the
//! context that both use is never changed under either of them. A test on the model ends a slice at each instruction
//! between the marks.
//@ expect: inject_protected: 20 stores, registers changed in 0x0

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[macro_use]
#[path = "../filled.rs"]
mod filled;

use exos::exception::{Context, handle};
use exos::thread;
use exos::vm::{READ, Vm};
use exos_rt::abi::exception::Code;
use exos_rt::shared::Shared;
use exos_rt::{println, program};

/// Two pages, one for each thread.
const PAGE: u32 = 0x4100_0000;
const OTHERS: u32 = PAGE + 4096;

static HANDLED: Shared<u32> = Shared::new(0);
static DONE: Shared<u32> = Shared::new(0);

filled! {
    /// Stores $a1 at $a2.
    fn store: all, ["sw    $a1, 0($a2)", "nop"],
}

/// Counts the first thread's, and skips the store.
extern "C" fn skip(context: &mut Context) {
    if context.address == PAGE {
        HANDLED.add(1);
    }
    context.skip();
}

/// Stores and gives up the processor, until the other is done.
extern "C" fn beside(_: u32) -> u32 {
    while DONE.get() == 0 {
        // SAFETY: the handler skips the store.
        unsafe { (OTHERS as *mut u32).write_volatile(1) };
        thread::yield_now();
    }
    0
}

fn main() {
    let rounds = program::number("rounds").unwrap_or(20);
    Vm::install().unwrap();
    // SAFETY: nothing else is there, and the handler does what it is for.
    unsafe {
        Vm::zeros(PAGE, 2, READ).unwrap();
        handle(Code::Modified, Some(skip)).unwrap();
        (PAGE as *const u32).read_volatile();
        (OTHERS as *const u32).read_volatile();
    }
    thread::start();
    let other = thread::spawn(beside, 0).expect("there is room");
    thread::yield_now();
    let mut changed = 0;
    for round in 0..rounds {
        // SAFETY: as above.
        changed |= unsafe { store(0x1234_5670 + round, 1, PAGE, 0) };
    }
    DONE.set(1);
    thread::join(other).expect("it comes to its end");
    assert_eq!(HANDLED.get(), rounds);
    println!("inject_protected: {rounds} stores, registers changed in {changed:#x}");
}
