//! What a word takes from one environment to another, beside ExOS's pipes: `cargo exo bench`. Counted is all that is executed
//! between the marks, the receiver's instructions and the changes of environments, too.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

use exos::pipe::{End, Ring};
use exos_rt::abi::EnvId;
use exos_rt::environment::spawn;
use exos_rt::{call, mark_begin, mark_end, println};
use template::Channel;

const TEMPLATE: u32 = 1;
const PIPE: u32 = 2;
/// From an operation's mark to that of its loop.
const LOOP: u32 = 100;
const ROUNDS: u32 = 1024;

static CHANNEL: Channel = Channel::new();
static RING: Ring = Ring::new();

/// A word as bytes, where a word may be.
#[repr(align(4))]
struct Word([u8; 4]);

extern "C" fn receives(parent: u32) -> ! {
    loop {
        CHANNEL.receive(EnvId(parent)).expect("the parent lives");
    }
}

extern "C" fn reads(_: u32) -> ! {
    let mut word = Word([0; 4]);
    loop {
        RING.read(&mut word.0).expect("the parent lives");
    }
}

/// Executes something once at a time between marks, and in loops between marks.
macro_rules! measure {
    ($id:expr, $work:expr) => {
        for _ in 0..9 {
            for _ in 0..ROUNDS {
                mark_begin!($id);
                $work;
                mark_end!($id);
            }
            mark_begin!($id + LOOP);
            for _ in 0..ROUNDS {
                $work;
            }
            mark_end!($id + LOOP);
        }
    };
}

fn main() {
    for (id, system, how) in
        [(TEMPLATE, "template", "a word sent while there is room"), (PIPE, "pipe", "the same through a pipe of ExOS's")]
    {
        println!("mark {id} table=template op=send system={system} how={how}");
        println!("loop {} of={id} rounds={ROUNDS} how=a word sent and received", id + LOOP);
    }
    exos_rt::console::flush();
    let me = call::self_id();
    let (child, control) = spawn(receives, me.0, None).expect("there is memory for a child");
    measure!(TEMPLATE, CHANNEL.send(child, 7).expect("it lives"));
    call::env_destroy(child, control).expect("it is ours");
    let (child, control) = spawn(reads, me.0, None).expect("there is memory for a child");
    RING.open(End::Write, me).expect("nobody else holds it");
    RING.open(End::Read, child).expect("nobody else holds it");
    let word = Word([7; 4]);
    measure!(PIPE, assert!(RING.write(&word.0) == Ok(4)));
    call::env_destroy(child, control).expect("it is ours");
}
