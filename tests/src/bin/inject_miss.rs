//! Misses in the normal segment, which the program's own page table mends: loads and stores find what is theirs, beside
//! another environment with something else at the same address. A test on the model interrupts them at each instruction
//! between the marks.
//@ expect: inject_miss: 100 rounds, registers changed in 0, wrong values in 0, elsewhere 0

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../beside.rs"]
mod beside;
#[macro_use]
#[path = "../filled.rs"]
mod filled;

use beside::{ADDRESS, Beside, look, map};
use exos::vm::{self, READ, Vm, WRITE};
use exos_rt::abi::exception::Code;
use exos_rt::abi::vm::PAGE_BYTES;
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, program};

filled! {
    /// A load from a page that is missed, a store to another, and a store to one that is not to be written yet.
    fn touch: all, [
        "lw    $a2, 0($a1)",
        "lui   $a0, 1",
        "addu  $a0, $a0, $a1",
        "sw    $a2, 4096($a1)",
        "lw    $a3, 4096($a1)",
        "addiu $a2, $a2, 1",
        "sw    $a2, 8192($a1)",
        "sw    $a3, 4096($a1)",
    ],
}

/// Stores to the third page that were not allowed.
static ALLOWED: Shared<u32> = Shared::new(0);

/// Allows a store to the third page.
fn allow(address: u32, code: Code) -> bool {
    let expected = address & !(PAGE_BYTES - 1) == ADDRESS + 2 * PAGE_BYTES && code == Code::Modified;
    if expected {
        ALLOWED.add(1);
        Vm::give(address, 1, READ | WRITE);
        call::tlb_delete(address);
    }
    expected
}

fn main() {
    Vm::install().unwrap();
    vm::set_hook(Some(allow));
    let beside = Beside::start();
    map(0);
    for page in 1..3 {
        let frame = memory::allocate().unwrap();
        // SAFETY: the frame is new, and nothing else is at the address.
        unsafe { Vm::own(ADDRESS + page * PAGE_BYTES, frame, READ | WRITE).unwrap() };
    }
    let rounds = program::number("rounds").unwrap_or(100);
    let (mut changed, mut wrong) = (0, 0);
    for round in 0..rounds {
        let value = 0x1000 + round;
        // SAFETY: the page is mapped.
        unsafe { (ADDRESS as *mut u32).write_volatile(value) };
        Vm::take(ADDRESS + 2 * PAGE_BYTES, 1, WRITE);
        (0..3).for_each(|page| call::tlb_delete(ADDRESS + page * PAGE_BYTES));
        // SAFETY: it uses no memory but the three pages, and keeps what a function must keep.
        changed += u32::from(unsafe { touch(0x0123_4567 + round, ADDRESS, 0, 0) } != 0);
        wrong += u32::from([look(0), look(1), look(2)] != [value, value, value + 1] || ALLOWED.get() != round + 1);
    }
    let elsewhere = beside.stop();
    let name = program::name();
    println!("{name}: {rounds} rounds, registers changed in {changed}, wrong values in {wrong}, elsewhere {elsewhere}");
}
