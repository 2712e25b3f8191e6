//! A stack that grows: its pages get frames when it reaches them, also while registers are being saved on it, and the
//! page below the last one stays out of reach.
//@ expect: aegis_stack_grows: 40 pages of stack, one at a time, and no more

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

use core::arch::naked_asm;
use exos::vm::{self, READ, Vm, WRITE};
use exos_rt::abi::exception::Code;
use exos_rt::abi::vm::PAGE_BYTES;
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println};

/// The end of the stack.
const TOP: u32 = 0x6000_0000;
const PAGES: u32 = 40;
const BOTTOM: u32 = TOP - PAGES * PAGE_BYTES;
/// Words of each level's own, about a third of a page.
const WORDS: usize = 330;

/// How many pages the stack has got.
static GROWN: Shared<u32> = Shared::new(0);

/// Gives the stack a page.
fn grow(address: u32, code: Code) -> bool {
    if !(BOTTOM..TOP).contains(&address) || code == Code::Modified {
        return false;
    }
    let frame = memory::allocate().expect("there is a free frame");
    GROWN.add(1);
    // SAFETY: the page is one of the stack's that has not been used yet.
    unsafe { Vm::own(address, frame, READ | WRITE).is_ok() }
}

/// Calls a function on another stack, which ends at `stack`.
#[unsafe(naked)]
unsafe extern "C" fn call_on(stack: u32, function: extern "C" fn(u32) -> u32, argument: u32) -> u32 {
    naked_asm!(
        ".set noreorder",
        "addiu $a0, $a0, -24",
        "sw    $ra, 16($a0)",
        "sw    $sp, 20($a0)",
        "move  $sp, $a0",
        "jalr  $a1",
        " move $a0, $a2",
        "lw    $ra, 16($sp)",
        "lw    $sp, 20($sp)",
        "jr    $ra",
        " nop",
    )
}

/// Calls itself until the stack is nearly used up, and finds on the way back what it left on the way there. The deepest
/// level.
extern "C" fn descend(level: u32) -> u32 {
    let words = core::hint::black_box([level; WORDS]);
    if level.is_multiple_of(8) {
        call::yield_slice();
    }
    let deepest = if (&raw const words as u32) < BOTTOM + 2 * PAGE_BYTES { level } else { descend(level + 1) };
    assert!(words.iter().all(|&word| word == level), "level {level} of {deepest}");
    deepest
}

fn main() {
    Vm::install().expect("there is memory for it");
    vm::set_hook(Some(grow));
    // SAFETY: the stack is nobody else's.
    let deepest = [(); 3].map(|()| unsafe { call_on(TOP, descend, 0) });
    assert!(deepest[0] > PAGES && deepest == [deepest[0]; 3], "{deepest:?}");
    assert!((PAGES - 2..=PAGES).contains(&GROWN.get()), "{} pages", GROWN.get());
    while GROWN.get() < PAGES {
        // SAFETY: the page is the stack's.
        unsafe { ((TOP - (GROWN.get() + 1) * PAGE_BYTES) as *mut u32).write_volatile(0) };
    }
    assert!(!grow(BOTTOM - 4, Code::TlbStore) && !grow(TOP, Code::TlbStore));
    println!("aegis_stack_grows: {PAGES} pages of stack, one at a time, and no more");
}
