//! Words arrive in order, both ways, however the slices fall; who has died, or spoils the channel, is found out: `cargo exo test`.
//@ expect: template_test: 10000 words came back
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::abi::{EnvId, Error};
use exos_rt::environment::spawn;
use exos_rt::{call, memory, println, public};
use template::{Channel, WORDS};

const ROUNDS: u32 = 10_000;

static THERE: Channel = Channel::new();
static BACK: Channel = Channel::new();

/// Sends back what comes, inverted.
extern "C" fn answers(parent: u32) -> ! {
    let parent = EnvId(parent);
    loop {
        let word = THERE.receive(parent).unwrap();
        BACK.send(parent, !word).unwrap();
    }
}

/// How many frames are this program's, or nobody's that lives.
fn owned() -> usize {
    let id = call::self_id();
    (0..public::frames()).filter(|&number| memory::frame(number).owner == id.0).count()
}

fn main() {
    let before = owned();
    // With a slice of its own it runs at any time, not only when it is yielded to.
    let (child, control) = spawn(answers, call::self_id().0, Some((public::position() + 1) % 64)).unwrap();
    let mut next = 0;
    for number in 0..ROUNDS {
        THERE.send(child, number).unwrap();
        // As many are under way as one channel holds.
        if number >= WORDS / 2 {
            assert_eq!(BACK.receive(child), Ok(!next));
            next += 1;
        }
    }
    for number in next..ROUNDS {
        assert_eq!(BACK.receive(child), Ok(!number));
    }
    assert_eq!((THERE.waiting(), BACK.waiting()), (Ok(0), Ok(0)));
    call::env_destroy(child, control).unwrap();
    assert_eq!(BACK.receive(child), Err(Error::NoSuchEnvironment));
    (0..WORDS).for_each(|word| THERE.send(child, word).unwrap());
    assert_eq!(THERE.send(child, 0), Err(Error::NoSuchEnvironment));
    assert_eq!(owned(), before, "nothing is left behind");
    println!("template_test: {ROUNDS} words came back");
}
