//! Two environments that yield to each other by name: each goes on where it was, as often as it is entered. A test on
//! the model interrupts both at each instruction between the marks.
//@ expect: inject_yield: 100 yields, registers changed in 0; the other environment went its rounds in order

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[macro_use]
#[path = "../filled.rs"]
mod filled;

use exos_rt::abi::EnvId;
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, println, program};

static PARENT: Shared<u32> = Shared::new(0);
static CHILD: Shared<u32> = Shared::new(0);
/// How often the child was entered, as it counts in memory, and whether its own count was ever another.
static ENTERED: Shared<u32> = Shared::new(0);
static WRONG: Shared<u32> = Shared::new(0);

filled! {
    /// Calls a function.
    fn apply: preserved, ["jalr  $a1", " nop"],
}

extern "C" fn child(_: u32) -> ! {
    let mut rounds = 0;
    loop {
        WRONG.add(u32::from(ENTERED.get() != core::hint::black_box(rounds)));
        rounds += 1;
        ENTERED.add(1);
        call::yield_to(EnvId(PARENT.get())).expect("the parent lives");
    }
}

extern "C" fn there() {
    call::yield_to(EnvId(CHILD.get())).expect("the child lives");
}

fn main() {
    PARENT.set(call::self_id().0);
    let (id, control) = spawn(child, 0, None).unwrap();
    CHILD.set(id.0);
    let rounds = program::number("rounds").unwrap_or(100);
    // Its first instructions are not what is tested.
    while ENTERED.get() == 0 {
        there();
    }
    let mut changed = 0;
    for round in 0..rounds {
        // SAFETY: it keeps what a function must keep.
        changed += u32::from(unsafe { apply(0x0123_4567 + round, there as *const () as u32, 0, 0) } != 0);
    }
    // A yield is in vain if a slice ends just then: no more than one of them, in a run with one tick.
    assert!(ENTERED.get() >= rounds, "entered {} times", ENTERED.get());
    let order = if WRONG.get() == 0 { "in order" } else { "in no order" };
    call::env_destroy(id, control).unwrap();
    println!(
        "inject_yield: {rounds} yields, registers changed in {changed}; the other environment went its rounds {order}"
    );
}
