//! Messages by asynchronous transfer, to an environment whose entry takes them and gives the slice back: each arrives
//! once. A test on the model interrupts both sides at each instruction between the marks.
//@ expect: inject_message: 100 sent, 100 taken, their sum 5050, registers changed in 0

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[macro_use]
#[path = "../filled.rs"]
mod filled;

use core::arch::global_asm;
use core::mem::offset_of;
use exos_rt::abi::EnvId;
use exos_rt::abi::call::YIELD_TO;
use exos_rt::abi::exception::{END_OF_SLICE_SLOT, SavePage};
use exos_rt::abi::program::{ProgramHeader, ProtectedEntries};
use exos_rt::abi::vm::SAVE_PAGE;
use exos_rt::call::NO_CAPABILITY;
use exos_rt::environment::spawn;
use exos_rt::sequences::header;
use exos_rt::shared::Shared;
use exos_rt::{call, println, program, transfer};

static RECEIVER: Shared<u32> = Shared::new(0);
/// How many messages were taken, and their sum.
static TAKEN: Shared<[u32; 2]> = Shared::new([0; 2]);
static READY: Shared<u32> = Shared::new(0);

filled! {
    /// Calls a function with an argument.
    fn apply: preserved, ["jalr  $a1", " move $a0, $a2"],
}

// The receiver's entry for messages: v1 = the sender, a0 = what is sent. It is short enough to go on when its slice
// ends: $t8, which it does not use, says where.
global_asm!(
    ".set noreorder",
    ".set noat",
    ".type take_message, @function",
    "take_message:",
    "    lui   $t0, %hi({taken})",
    "    lw    $t1, %lo({taken})($t0)",
    "    lw    $t2, %lo({taken} + 4)($t0)",
    "    addiu $t1, $t1, 1",
    "    addu  $t2, $t2, $a0",
    "    sw    $t1, %lo({taken})($t0)",
    "    sw    $t2, %lo({taken} + 4)($t0)",
    "    addiu $v0, $zero, {YIELD_TO}",
    "    syscall",
    "1:  b     1b",
    "     nop",
    ".size take_message, . - take_message",
    ".type take_to_the_end, @function",
    "take_to_the_end:",
    "    move  $t8, $a0",
    "    lw    $a0, {slice_a0}($zero)",
    "    jr    $t8",
    "     nop",
    ".size take_to_the_end, . - take_to_the_end",
    taken = sym TAKEN,
    YIELD_TO = const YIELD_TO,
    slice_a0 = const SAVE_PAGE as usize + offset_of!(SavePage, a0) + 4 * END_OF_SLICE_SLOT,
);

unsafe extern "C" {
    fn take_message();
    fn take_to_the_end();
}

extern "C" fn receiver(_: u32) -> ! {
    let header = ProgramHeader {
        end_of_slice: take_to_the_end as *const () as u32,
        protected_entries: ProtectedEntries { synchronous: 0, asynchronous: take_message as *const () as u32 },
        ..*header()
    };
    // SAFETY: the entries are written to be such, and it has no slices.
    unsafe { call::env_setup(call::self_id(), NO_CAPABILITY, &header, header.start_of_slice).unwrap() };
    READY.add(1);
    loop {
        call::wait(None);
    }
}

extern "C" fn send(value: u32) {
    transfer::send(EnvId(RECEIVER.get()), [value, 0, 0, 0]).expect("the receiver lives");
}

fn main() {
    let (id, control) = spawn(receiver, 0, None).unwrap();
    RECEIVER.set(id.0);
    while READY.get() == 0 {
        call::yield_to(id).unwrap();
    }
    let rounds = program::number("rounds").unwrap_or(100);
    let mut changed = 0;
    for round in 1..=rounds {
        // SAFETY: the function takes one argument, and it keeps what a function must keep.
        changed += u32::from(unsafe { apply(0x0123_4567 + round, send as *const () as u32, round, 0) } != 0);
    }
    call::env_destroy(id, control).unwrap();
    let [taken, sum] = TAKEN.get();
    println!("inject_message: {rounds} sent, {taken} taken, their sum {sum}, registers changed in {changed}");
}
