//! Words through two pipes, there and back, of an environment that writes with others in turn: none is lost, and none
//! comes twice. A test on the model interrupts both sides at each instruction between the marks.
//@ expect: inject_pipe: 100 words there and back, 0 wrong, registers changed in 0

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[macro_use]
#[path = "../filled.rs"]
mod filled;

use exos::pipe::{End, Ring};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, println, program};

static THERE: Ring = Ring::new();
static BACK: Ring = Ring::new();
static WRONG: Shared<u32> = Shared::new(0);

filled! {
    /// Calls a function with an argument.
    fn apply: preserved, ["jalr  $a1", " move $a0, $a2"],
}

extern "C" fn echo(_: u32) -> ! {
    let mut word = [0; 4];
    while THERE.read(&mut word) == Ok(4) {
        assert_eq!(BACK.write(&(u32::from_le_bytes(word) + 1).to_le_bytes()), Ok(4));
    }
    call::exit(1)
}

extern "C" fn one(round: u32) {
    let mut word = [0; 4];
    let said = THERE.write(&round.to_le_bytes());
    let heard = BACK.read(&mut word);
    WRONG.add(u32::from(said != Ok(4) || heard != Ok(4) || u32::from_le_bytes(word) != round + 1));
}

fn main() {
    let me = call::self_id();
    let (id, control) = spawn(echo, 0, Some(30)).unwrap();
    let ends = [(&THERE, End::Write, me), (&THERE, End::Read, id), (&BACK, End::Write, id), (&BACK, End::Read, me)];
    for (pipe, end, holder) in ends {
        pipe.open(end, holder).unwrap();
    }
    if program::arguments().any(|argument| argument == "locked") {
        // As if there were others: each end is locked while it is used.
        for (pipe, end, holder) in ends {
            pipe.open(end, holder).unwrap();
        }
    }
    let rounds = program::number("rounds").unwrap_or(100);
    let mut changed = 0;
    one(0);
    for round in 0..rounds {
        // SAFETY: the function takes one argument, and it keeps what a function must keep.
        changed += u32::from(unsafe { apply(0x0123_4567 + round, one as *const () as u32, round, 0) } != 0);
    }
    call::env_destroy(id, control).unwrap();
    println!("inject_pipe: {rounds} words there and back, {} wrong, registers changed in {changed}", WRONG.get());
}
