//! The grader of lab 4: a channel, used and misused.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

use exos_rt::abi::{EnvId, Error};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, mark_begin, mark_end, memory, println, program, public};
use lab::{Channel, WORDS};

static THERE: Channel = Channel::new();
static BACK: Channel = Channel::new();
/// How often the receiver began to run, and what it has added up.
static ENTERED: Shared<u32> = Shared::new(0);
static SUM: Shared<u32> = Shared::new(0);

/// Sends back what comes, inverted.
extern "C" fn answers(parent: u32) -> ! {
    let parent = EnvId(parent);
    loop {
        let word = THERE.receive(parent).expect("the parent lives");
        BACK.send(parent, !word).expect("the parent lives");
    }
}

/// Adds up what comes, and counts how often it had to wait.
extern "C" fn adds_up(parent: u32) -> ! {
    let parent = EnvId(parent);
    loop {
        if THERE.waiting() == Ok(0) {
            ENTERED.add(1);
        }
        SUM.add(THERE.receive(parent).expect("the parent lives"));
    }
}

extern "C" fn sends_three_and_dies(parent: u32) -> ! {
    (1..=3).for_each(|word| BACK.send(EnvId(parent), word).expect("the parent lives"));
    call::exit(0)
}

extern "C" fn yields(parent: u32) -> ! {
    while call::yield_to(EnvId(parent)).is_ok() {}
    call::exit(0)
}

fn owned() -> usize {
    let id = call::self_id();
    (0..public::frames()).filter(|&number| memory::frame(number).owner == id.0).count()
}

/// A slice that is not this environment's.
fn another() -> Option<u32> {
    Some((public::position() + 1) % 64)
}

fn main() {
    let name = program::arguments().next().expect("the case is an argument");
    let before = owned();
    match name {
        "use" => usual(),
        "slices" => slices(),
        "dead" => dead(),
        "hostile" => hostile(),
        "wrap" => wrap(),
        "sharing" => sharing(),
        _ => panic!("there is no case {name}"),
    }
    assert_eq!(owned(), before, "frames are left behind");
    println!("{}: {name} passed", program::name());
}

fn usual() {
    assert_eq!(THERE.waiting(), Ok(0), "a new channel is empty");
    for position in [None, another()] {
        let (child, control) = spawn(answers, call::self_id().0, position).unwrap();
        let mut next = 0;
        for number in 0..2000 {
            assert_eq!(THERE.send(child, number), Ok(()));
            // As many are under way as one channel holds.
            if number >= WORDS / 2 {
                assert_eq!(BACK.receive(child), Ok(!next), "which word came back");
                next += 1;
            }
        }
        (next..2000).for_each(|number| assert_eq!(BACK.receive(child), Ok(!number), "which word came back"));
        assert_eq!((THERE.waiting(), BACK.waiting()), (Ok(0), Ok(0)), "words too many");
        call::env_destroy(child, control).unwrap();
    }
}

/// The grader ends a slice at each instruction between the marks; the receiver has a slice of its own.
fn slices() {
    let (child, control) = spawn(answers, call::self_id().0, another()).unwrap();
    // The rounds are far from a regular tick, however long the program took to here.
    let ticks = public::ticks();
    while public::ticks() == ticks {}
    for round in 0..2 {
        mark_begin!(1);
        assert_eq!(THERE.send(child, round + 7), Ok(()));
        assert_eq!(BACK.receive(child), Ok(!(round + 7)), "which word came back");
        mark_end!(1);
    }
    assert_eq!((THERE.waiting(), BACK.waiting()), (Ok(0), Ok(0)), "words too many");
    call::env_destroy(child, control).unwrap();
}

fn dead() {
    let (child, _) = spawn(sends_three_and_dies, call::self_id().0, another()).unwrap();
    while call::yield_to(child).is_ok() {}
    assert_eq!(BACK.waiting(), Ok(3));
    (1..=3).for_each(|word| assert_eq!(BACK.receive(child), Ok(word), "sent before the sender died"));
    assert_eq!(BACK.receive(child), Err(Error::NoSuchEnvironment), "the sender is dead, and nothing is there");
    (0..WORDS).for_each(|word| assert_eq!(THERE.send(child, word), Ok(()), "there is room"));
    assert_eq!(THERE.send(child, 0), Err(Error::NoSuchEnvironment), "there is no room, and the receiver is dead");
    assert_eq!(THERE.waiting(), Ok(WORDS), "an error changes nothing");
    assert_eq!(THERE.receive(EnvId(u32::MAX)), Ok(0), "for what is there no sender is needed");
}

/// The words of a channel, as a neighbour that shares it sees them: the counts are the first two.
fn spoil(channel: &'static Channel, counts: [u32; 2]) {
    let words = (&raw const *channel).cast::<Shared<u32>>();
    for (place, count) in counts.into_iter().enumerate() {
        // SAFETY: a channel is made of such words, in this order.
        unsafe { (*words.add(place)).set(count) };
    }
}

fn hostile() {
    let (child, control) = spawn(yields, call::self_id().0, None).unwrap();
    let odd = [0, 1, 63, 64, 65, 1000, 0x7fff_ffff, 0x8000_0000, 0xffff_ff00, u32::MAX];
    for sent in odd {
        for received in odd {
            let there = sent.wrapping_sub(received);
            spoil(&THERE, [sent, received]);
            let expected = if there <= WORDS { Ok(there) } else { Err(Error::BadArgument) };
            assert_eq!(THERE.waiting(), expected, "counts {sent:#x} and {received:#x}");
            if there > WORDS {
                assert_eq!(THERE.send(child, 1), Err(Error::BadArgument), "counts {sent:#x} and {received:#x}");
                assert_eq!(THERE.receive(child), Err(Error::BadArgument), "counts {sent:#x} and {received:#x}");
            } else if there < WORDS {
                assert_eq!(THERE.send(child, 1), Ok(()));
                assert_eq!(THERE.waiting(), Ok(there + 1));
            } else {
                assert!(THERE.receive(child).is_ok());
                assert_eq!(THERE.waiting(), Ok(there - 1));
            }
        }
    }
    call::env_destroy(child, control).unwrap();
}

fn wrap() {
    let start = u32::MAX - 100;
    spoil(&THERE, [start; 2]);
    spoil(&BACK, [start; 2]);
    let (child, control) = spawn(answers, call::self_id().0, None).unwrap();
    for number in 0..300 {
        assert_eq!(THERE.send(child, number), Ok(()), "word {number}");
        if number % 3 == 2 {
            (number - 2..=number)
                .for_each(|number| assert_eq!(BACK.receive(child), Ok(!number), "which word came back"));
        }
    }
    call::env_destroy(child, control).unwrap();
}

fn sharing() {
    const ROUNDS: u32 = 20;
    let (child, control) = spawn(adds_up, call::self_id().0, None).unwrap();
    (1..=ROUNDS * WORDS).for_each(|word| assert_eq!(THERE.send(child, word), Ok(())));
    while THERE.waiting() != Ok(0) {
        call::yield_to(child).unwrap();
    }
    let count = ROUNDS * WORDS;
    assert_eq!(SUM.get(), count * (count + 1) / 2, "the sum of what was received");
    assert!(ENTERED.get() <= 2 * ROUNDS, "the receiver was entered {} times for {count} words", ENTERED.get());
    call::env_destroy(child, control).unwrap();
}
