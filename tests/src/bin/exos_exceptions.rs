//! Handlers in Rust for each cause: they see where and what it was, leave all registers as they were, nest, and one may
//! fail in the same way as what it handles.
//@ expect: exos_exceptions: 1000 of each cause, registers changed in 0
//@ expect: exos_exceptions: nested
//@ except-hazard: fpu its absence is one of the causes

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[macro_use]
#[path = "../filled.rs"]
mod filled;

use exos::exception::{Context, handle};
use exos::vm::{READ, Vm, WRITE};
use exos_rt::abi::exception::Code;
use exos_rt::abi::vm::PAGE_BYTES;
use exos_rt::println;
use exos_rt::shared::Shared;

const PAGE: u32 = 0x4000_0000;
/// A page that the handler touches for the first time each time.
const OTHERS: u32 = 0x4001_0000;

filled! {
    /// One exception of each of six causes; the handlers skip the instruction, or allow the store.
    fn fail: all, [
        "lw    $a2, 1($zero)",
        "sw    $a0, 2($zero)",
        "break",
        ".word 0x44800000", // mtc1 $zero, $f0
        "lui   $a3, 0x7fff",
        "add   $a3, $a3, $a3",
        "sw    $a0, 0($a1)",
    ],
}

static COUNTS: [Shared<u32>; 13] = [const { Shared::new(0) }; 13];
static DEPTH: Shared<u32> = Shared::new(0);

/// Clobbers what a function may, by work that the compiler can't leave out.
fn work(seed: u32) -> u32 {
    (0..20).fold(seed, |sum, n| core::hint::black_box(sum.wrapping_mul(17) ^ n) / 3)
}

extern "C" fn skip(context: &mut Context) {
    COUNTS[context.code() as usize].add(1);
    core::hint::black_box(work(context.pc()));
    context.skip();
}

extern "C" fn allow(context: &mut Context) {
    assert_eq!((context.code(), context.address), (Code::Modified, PAGE));
    COUNTS[1].add(1);
    core::hint::black_box(work(context.address));
    Vm::give(PAGE, 1, WRITE);
}

/// Fails in the same way three times deep, and in others.
extern "C" fn nest(context: &mut Context) {
    let depth = DEPTH.get();
    DEPTH.set(depth + 1);
    if depth < 3 {
        // SAFETY: that is handled here, too; the page is data.
        unsafe {
            core::arch::asm!("break", options(nostack));
            ((OTHERS + depth * PAGE_BYTES) as *mut u32).write_volatile(depth);
        }
    }
    context.skip();
}

fn main() {
    Vm::install().unwrap();
    // SAFETY: nothing else is there; the handlers do no harm to what they interrupt.
    unsafe {
        Vm::zeros(PAGE, 1, READ | WRITE).unwrap();
        Vm::zeros(OTHERS, 4, READ | WRITE).unwrap();
        for code in [Code::AddressLoad, Code::AddressStore, Code::Breakpoint, Code::Coprocessor, Code::Overflow] {
            handle(code, Some(skip)).unwrap();
        }
        handle(Code::Modified, Some(allow)).unwrap();
    }
    let mut changed = 0;
    for round in 0..1000 {
        // SAFETY: the page is data, and what fails is handled.
        unsafe {
            (PAGE as *mut u32).write_volatile(round);
            Vm::take(PAGE, 1, WRITE);
            changed += u32::from(fail(0x0234_5671 + round, PAGE, 0, 0) != 0);
        }
    }
    let counts = [1, 4, 5, 9, 11, 12].map(|code: usize| COUNTS[code].get());
    assert_eq!(counts, [1000; 6]);
    println!("exos_exceptions: 1000 of each cause, registers changed in {changed}");
    // SAFETY: it does no harm.
    unsafe {
        handle(Code::Breakpoint, Some(nest)).unwrap();
        core::arch::asm!("break", options(nostack));
    }
    assert_eq!(DEPTH.get(), 4);
    println!("exos_exceptions: nested");
}
