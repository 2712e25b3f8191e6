//! A garbage collector, with a write barrier of exceptions and with one of cards: lists that are changed at random, at their
//! heads and in their midst, hold what they should after many collections of the nursery and of everything.
//@ expect: exos_collector: Pages: all lists as they should be
//@ expect: exos_collector: Cards: all lists as they should be
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos::vm::{self, Vm};
use exos_apps::collector::{Barrier, FIELDS, Heap, ROOTS};
use exos_rt::abi::Error;
use exos_rt::{memory, println, public};

const LISTS: usize = 80;
/// Cells of a list.
const LONG: usize = 40;
const ROUNDS: u32 = 20_000;

/// What each list should hold, the first cell's number first.
static mut MODEL: [[u32; LONG]; LISTS] = [[0; LONG]; LISTS];

fn main() {
    Vm::install().unwrap();
    for barrier in [Barrier::Pages, Barrier::Cards] {
        vm::drain();
        let before = free();
        exercise(barrier);
        fills(barrier);
        vm::drain();
        // The table of pages keeps what it has got.
        assert!(before - free() <= 4, "{before} {}", free());
        println!("exos_collector: {barrier:?}: all lists as they should be");
    }
}

fn free() -> usize {
    (0..public::frames()).filter(|&frame| memory::seems_free(frame)).count()
}

/// A number as a word.
fn number(number: u32) -> u32 {
    number << 1 | 1
}

/// A cell: a number, the next cell, and something else that is new, too.
fn cell(heap: &mut Heap, value: u32) -> u32 {
    let object = heap.allocate(3).unwrap();
    heap.set_root(ROOTS - 1, object);
    let other = heap.allocate(1).unwrap();
    let object = heap.root(ROOTS - 1);
    heap.set(other, 0, number(value ^ 0xff));
    heap.set(object, 0, number(value));
    heap.set(object, 2, other);
    object
}

fn exercise(barrier: Barrier) {
    // SAFETY: nothing else refers to it.
    let model = unsafe { &mut *core::ptr::addr_of_mut!(MODEL) };
    let mut heap = Heap::new(barrier).unwrap();
    assert_eq!(Heap::new(barrier).err(), Some(Error::Busy));
    for (list, numbers) in model.iter_mut().enumerate() {
        for place in (0..LONG).rev() {
            numbers[place] = (list * LONG + place) as u32;
            let object = cell(&mut heap, numbers[place]);
            heap.set(object, 1, heap.root(list));
            heap.set_root(list, object);
        }
    }
    let mut chance = 7_u32;
    for round in 0..ROUNDS {
        chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (list, place) = ((chance >> 8) as usize % LISTS, (chance >> 20) as usize % LONG);
        let new = cell(&mut heap, round);
        // The cell at a place is replaced by a new one; what is before it is old as a rule.
        if place == 0 {
            let first = heap.root(list);
            heap.set(new, 1, heap.get(first, 1));
            heap.set_root(list, new);
        } else {
            let before = (1..place).fold(heap.root(list), |object, _| heap.get(object, 1));
            let old = heap.get(before, 1);
            heap.set(new, 1, heap.get(old, 1));
            heap.set(before, 1, new);
        }
        model[list][place] = round;
    }
    for (list, numbers) in model.iter().enumerate() {
        let mut object = heap.root(list);
        for &value in numbers.iter() {
            assert_eq!(heap.get(object, 0), number(value), "list {list}");
            let other = heap.get(object, 2);
            assert_eq!(heap.get(other, 0), number(value ^ 0xff), "list {list}");
            object = heap.get(object, 1);
        }
        assert_eq!(object, 0, "list {list} is too long");
    }
    assert!(heap.counts.minor >= 3 && heap.counts.major >= 1, "{:?}", heap.counts);
}

/// What does not fit is an error, and so is an object that can't be.
fn fills(barrier: Barrier) {
    let mut heap = Heap::new(barrier).unwrap();
    assert_eq!(heap.allocate(0), Err(Error::BadArgument));
    assert_eq!(heap.allocate(FIELDS + 1), Err(Error::BadArgument));
    let error = loop {
        match heap.allocate(FIELDS) {
            Ok(object) => {
                heap.set(object, 0, heap.root(0));
                heap.set_root(0, object);
            }
            Err(error) => break error,
        }
    };
    assert_eq!((error, heap.allocate(1)), (Error::Full, Err(Error::Full)));
    // When less is kept there is room again.
    heap.set_root(0, 0);
    assert!(heap.allocate(FIELDS).is_ok());
}
