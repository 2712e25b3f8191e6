//! A garbage collector's write barrier (the paper's motivation, section 2): exceptions on pages that are read-only, and a table of cards.
//!
//! 1280 old objects of 16 fields fill 23 pages. A round stores new objects into old ones, allocates until the nursery of 16 pages is
//! full, and collects it. *Spread*: 48 stores over all pages. *Near*: 3000 stores into 16 objects side by side. The collector is the same
//! but for how it learns which old objects were changed.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use aegis_bench::loop_of;
use exos::vm::Vm;
use exos_apps::collector::{Barrier, FIELDS, Heap, ROOTS};
use exos_rt::{mark_begin, mark_end, println};

exos_rt::program!(main);

/// Old objects, each referred to by one of larger ones, which roots refer to.
const OBJECTS: u32 = 1280;
const PER_ROOT: u32 = FIELDS;

const ROUNDS: u32 = 4;
const LOOPS: u32 = 5;

const SPREAD: u32 = 48;
const NEAR: u32 = 3000;

/// How many objects are stored into in turn, and how far they are apart.
struct Where {
    among: u32,
    apart: u32,
}

const EVERYWHERE: Where = Where { among: 48, apart: OBJECTS / 48 };
const TOGETHER: Where = Where { among: 16, apart: 1 };

/// The old object of a number.
fn object(heap: &Heap, number: u32) -> u32 {
    heap.get(heap.root((number / PER_ROOT) as usize), number % PER_ROOT)
}

/// Fills the old space.
fn prepare(heap: &mut Heap) {
    for root in 0..OBJECTS / PER_ROOT {
        let table = heap.allocate(PER_ROOT).expect("it fits");
        heap.set_root(root as usize, table);
        for place in 0..PER_ROOT {
            let object = heap.allocate(FIELDS).expect("it fits");
            let table = heap.root(root as usize);
            heap.set(table, place, object);
        }
    }
    heap.collect().expect("it fits");
}

/// Stores into old objects, and collects.
fn round(heap: &mut Heap, stores: u32, Where { among, apart }: Where) {
    let minor = heap.counts.minor + heap.counts.major;
    for number in 0..stores {
        // A new object for every eighth store.
        if number % 8 == 0 {
            let new = heap.allocate(1).expect("it fits");
            heap.set_root(ROOTS - 1, new);
        }
        let new = heap.root(ROOTS - 1);
        let old = object(heap, number % among * apart);
        heap.set(old, number % 4, new);
    }
    while heap.counts.minor + heap.counts.major == minor {
        heap.allocate(FIELDS).expect("it fits");
    }
}

macro_rules! measure {
    ($($id:literal $barrier:ident $stores:ident $place:ident;)*) => {
        $({
            let mut heap = Heap::new(Barrier::$barrier).expect("there is no other");
            prepare(&mut heap);
            round(&mut heap, $stores, $place);
            for _ in 0..LOOPS {
                mark_begin!($id);
                round(&mut heap, $stores, $place);
                mark_end!($id);
            }
            for _ in 0..LOOPS {
                mark_begin!(loop_of($id));
                (0..ROUNDS).for_each(|_| round(&mut heap, $stores, $place));
                mark_end!(loop_of($id));
            }
            assert!(heap.counts.major == 0, "{:?}", heap.counts);
        })*
    };
}

fn main() {
    for (id, op, how) in [
        (1, "spread_pages", "48 stores over all old pages, exceptions"),
        (2, "spread_cards", "48 stores over all old pages, cards"),
        (3, "near_pages", "3000 stores into 16 old objects, exceptions"),
        (4, "near_cards", "3000 stores into 16 old objects, cards"),
    ] {
        println!("mark {id} table=collector op={op} system=exos how={how}; the nursery filled and collected");
        println!("loop {} of={id} rounds={ROUNDS} how=the same", loop_of(id));
    }
    exos_rt::console::flush();
    Vm::install().expect("there is memory");
    measure! {
        1 Pages SPREAD EVERYWHERE;
        2 Cards SPREAD EVERYWHERE;
        3 Pages NEAR TOGETHER;
        4 Cards NEAR TOGETHER;
    }
}
