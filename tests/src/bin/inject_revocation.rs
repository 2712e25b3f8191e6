//! Revocation of what an environment uses: it is told in the midst of its work, gives, and goes on, with every register
//! as it was, and is told once of each. A test on the model ends the slice, or interrupts, at each instruction between the
//! marks: of what the program does before, of the way to its policy, and of the way back.
//@ expect: inject_revocation: 20 rounds, registers changed in 0; 20 frames asked for and given, no other was

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[macro_use]
#[path = "../filled.rs"]
mod filled;
#[path = "../claim.rs"]
mod claim;

use claim::authority;
use exos_rt::abi::revocation::{DEADLINE_MIN, FRAMES};
use exos_rt::revocation::{Notice, Stack, inform};
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, program};

/// The frame that is to be given, and how many were.
static SPARE: Shared<u32> = Shared::new(0);
static GIVEN: Shared<u32> = Shared::new(0);
static STACK: Stack<2048> = Stack::new();

filled! {
    /// Calls a function.
    fn apply: preserved, ["jalr  $a1", " move $a0, $a2"],
}

fn policy(notice: Notice) {
    let Notice::Asked(FRAMES, demand) = notice else { panic!("{notice:?}") };
    assert_eq!(demand.left, 1);
    // SAFETY: it is mapped nowhere.
    unsafe { call::frame_free(SPARE.get()).expect("it is this environment's") };
    GIVEN.add(1);
}

/// Gives its slices up until it was told so often.
extern "C" fn until_told(times: u32) {
    while GIVEN.get() != times {
        call::yield_slice();
    }
}

fn main() {
    // SAFETY: the stack is its own, and the policy accesses nothing that is not shared.
    unsafe { inform(policy, &STACK) };
    let (me, rounds) = (call::self_id(), program::number("rounds").unwrap_or(20));
    let mut changed = 0;
    for round in 1..=rounds {
        let frame = memory::allocate().unwrap();
        SPARE.set(frame);
        call::revoke(me, authority(), FRAMES, 1, DEADLINE_MIN).unwrap();
        // SAFETY: the function takes one argument, and it keeps what a function must keep.
        changed += u32::from(unsafe { apply(0x0123_4567 + round, until_told as *const () as u32, round, 0) } != 0);
        assert_ne!(memory::frame(frame).owner, me.0);
    }
    let given = GIVEN.get();
    println!(
        "inject_revocation: {rounds} rounds, registers changed in {changed}; {given} frames asked for and given, no other was"
    );
}
