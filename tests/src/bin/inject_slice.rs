//! The end of a slice: who is asked for the processor saves all registers and gives it back, whatever interrupts it
//! meanwhile, and the other environment has its slice before this one has another. A test on the model ends the slice
//! at each instruction between the marks, or once, and interrupts what follows at each instruction.
//@ expect: inject_slice: 100 rounds, registers changed in 0; each slice that was given back another had

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[macro_use]
#[path = "../filled.rs"]
mod filled;

use exos_rt::environment::spawn;
use exos_rt::sequences::slices_used;
use exos_rt::shared::Shared;
use exos_rt::{call, println, program, public};

/// Slices that the other environment has had.
static HAD: Shared<u32> = Shared::new(0);

filled! {
    /// Counts to four.
    fn count: all, [
        "addiu $a1, $zero, 4",
        "1: bne $a1, $zero, 1b",
        " addiu $a1, $a1, -1",
    ],
}

extern "C" fn other(_: u32) -> ! {
    loop {
        HAD.add(1);
        call::yield_slice();
    }
}

fn main() {
    let (id, control) = spawn(other, 0, Some((public::position() + 1) % 64)).unwrap();
    while HAD.get() == 0 {
        call::yield_slice();
    }
    let rounds = program::number("rounds").unwrap_or(100);
    let (mut changed, mut kept) = (0, 0);
    for round in 0..rounds {
        let before = (HAD.get(), slices_used());
        // SAFETY: it keeps what a function must keep.
        changed += u32::from(unsafe { count(0x0123_4567 + round, 0, 0, 0) } != 0);
        // A yield that is interrupted comes back early, so the other may count one slice twice.
        kept += u32::from(HAD.get() - before.0 < slices_used() - before.1);
    }
    call::env_destroy(id, control).unwrap();
    let what = if kept == 0 { "each slice that was given back another had" } else { "slices were kept" };
    println!("inject_slice: {rounds} rounds, registers changed in {changed}; {what}");
}
