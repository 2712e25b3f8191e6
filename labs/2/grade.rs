//! The grader of lab 2: a page table, as data and on the machine.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../../tests/src/beside.rs"]
mod beside;
#[macro_use]
#[path = "../../tests/src/filled.rs"]
mod filled;

use beside::Beside;
use exos::page_table::{Memory, PageTable, ROOT, TABLE};
use exos::vm::{self, READ, WRITE};
use exos_rt::abi::Error;
use exos_rt::abi::exception::Code;
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES, PAGE_SHIFT};
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, program, public};
use lab::{Flat, Vm};

const BOTH: u32 = READ | WRITE;
/// The window's first page.
const FIRST: u32 = NORMAL_START >> PAGE_SHIFT;
/// Entries of a page of a table.
const ENTRIES: u32 = PAGE_BYTES / 4;

fn main() {
    let name = program::arguments().next().expect("the case is an argument");
    match name {
        "data" => data(),
        "pressure" => pressure(),
        "use" => usual(),
        "outside" => outside(),
        "handler" => handler(),
        "interrupts" => interrupts(),
        "frames" => frames(),
        _ => panic!("there is no case {name}"),
    }
    println!("{}: {name} passed", program::name());
}

// --- As data. --------------------------------------------------------------------------------------------------------

/// The most pages of a table here.
const PAGES: usize = 3;

static WORDS: Shared<[[u32; ENTRIES as usize]; PAGES]> = Shared::new([[0; ENTRIES as usize]; PAGES]);
static ROOT_WORDS: [Shared<u32>; 64] = [const { Shared::new(0) }; 64];
/// What pages are mapped to, by a model.
static MODEL: [Shared<u32>; PAGES * ENTRIES as usize] = [const { Shared::new(0) }; PAGES * ENTRIES as usize];

/// Memory for a table, which it may not leave.
struct Fake {
    given: u32,
    most: u32,
}

impl Fake {
    fn new(most: u32) -> Self {
        let mut fake = Self { given: 0, most };
        // What was there before a table is made is anything.
        ROOT_WORDS.iter().for_each(|word| word.set(0x0bad_0bad));
        assert!(Flat::clear(&mut fake, ROOT), "an empty table needs no memory");
        fake
    }

    fn place(&self, address: u32) -> *mut u32 {
        assert!(address.is_multiple_of(4), "{address:#x} is no word");
        let root = address.wrapping_sub(ROOT) / 4;
        if address >= ROOT && (root as usize) < Flat::ROOT {
            return ROOT_WORDS[root as usize].as_ptr();
        }
        let table = address.wrapping_sub(TABLE) / 4;
        assert!(address >= TABLE && table < self.given * ENTRIES, "{address:#x} is no word of the table");
        // SAFETY: there are more than so many.
        unsafe { WORDS.as_ptr().cast::<u32>().add(table as usize) }
    }
}

impl Memory for Fake {
    fn read(&self, address: u32) -> u32 {
        // SAFETY: it is one of the words above, and nobody has a reference to it. Likewise below.
        unsafe { self.place(address).read_volatile() }
    }

    fn write(&mut self, address: u32, word: u32) {
        // SAFETY: as above.
        unsafe { self.place(address).write_volatile(word) }
    }

    fn page(&mut self) -> Option<u32> {
        if self.given == self.most {
            return None;
        }
        // SAFETY: as above.
        unsafe { (*WORDS.as_ptr())[self.given as usize] = [0; ENTRIES as usize] };
        self.given += 1;
        Some(TABLE + (self.given - 1) * PAGE_BYTES)
    }

    fn empty(&self) -> u32 {
        0
    }
}

fn random(seed: &mut u32) -> u32 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    *seed
}

/// Compares a range with the model: what is found, what comes next, and what runs there are.
fn compare(memory: &Fake, first: u32, count: u32) {
    let expected = |page: u32| MODEL.get(page.wrapping_sub(FIRST) as usize).map_or(0, Shared::get);
    for page in first..first + count {
        let found = Flat::find(memory, ROOT, page).map_or(0, |place| memory.read(place));
        assert_eq!(found, expected(page), "find, page {page:#x}");
    }
    let next = (first..FIRST + MODEL.len() as u32).find(|&page| expected(page) != 0);
    assert_eq!(Flat::next(memory, ROOT, first), next, "next, from page {first:#x}");
    let (mut sum, mut wanted) = (0u32, 0u32);
    Flat::runs(memory, ROOT, first, count, |run| {
        (0..run.count).for_each(|number| sum = sum.wrapping_add(memory.read(run.place + number * run.step)));
    });
    (first..first + count).for_each(|page| wanted = wanted.wrapping_add(expected(page)));
    assert_eq!(sum, wanted, "runs, {count} pages from {first:#x} on");
}

fn data() {
    let (mut memory, mut seed) = (Fake::new(PAGES as u32), 1995);
    compare(&memory, FIRST - 2, 5);
    for round in 0..3000 {
        let number = random(&mut seed) % MODEL.len() as u32;
        let number = if round % 2 == 0 { number % 40 + 1000 } else { number };
        let page = FIRST + number;
        if random(&mut seed).is_multiple_of(3) {
            Flat::remove(&mut memory, ROOT, page);
            MODEL[number as usize].set(0);
        } else {
            let place = Flat::make(&mut memory, ROOT, page).expect("there is memory");
            assert_eq!(memory.read(place), MODEL[number as usize].get(), "make, page {page:#x}");
            memory.write(place, round + 1);
            MODEL[number as usize].set(round + 1);
        }
        if round % 16 == 0 {
            compare(&memory, page.saturating_sub(random(&mut seed) % 30), random(&mut seed) % 60 + 1);
        }
    }
    compare(&memory, FIRST, MODEL.len() as u32);
    compare(&memory, FIRST - 100, 50);
    compare(&memory, FIRST + MODEL.len() as u32 + 5000, 50);
    assert!(Flat::clear(&mut memory, ROOT));
    MODEL.iter().for_each(|word| word.set(0));
    compare(&memory, FIRST, MODEL.len() as u32);
}

fn pressure() {
    let mut memory = Fake::new(0);
    assert_eq!(Flat::make(&mut memory, ROOT, FIRST + 5), None, "there is no memory at all");
    compare(&memory, FIRST, 100);
    for most in 1..=PAGES as u32 {
        memory.most = most;
        for number in
            [most * ENTRIES, most * ENTRIES + 700, PAGES as u32 * ENTRIES - 1].map(|number| number.max(most * ENTRIES))
        {
            assert_eq!(Flat::make(&mut memory, ROOT, FIRST + number), None, "there is no memory for entry {number}");
            compare(&memory, FIRST, 20);
            compare(&memory, FIRST + number, 20);
        }
        let number = most * ENTRIES - 1;
        let place = Flat::make(&mut memory, ROOT, FIRST + number).expect("there is memory for this one");
        assert_eq!(memory.read(place), 0, "nobody has mapped entry {number}");
        memory.write(place, number);
        MODEL[number as usize].set(number);
        compare(&memory, FIRST, most * ENTRIES);
    }
}

// --- On the machine. -------------------------------------------------------------------------------------------------

fn read(address: u32) -> u32 {
    // SAFETY: all pages are data that nothing else refers to. Likewise below.
    unsafe { (address as *const u32).read_volatile() }
}

fn write(address: u32, word: u32) {
    // SAFETY: as above.
    unsafe { (address as *mut u32).write_volatile(word) }
}

/// Maps pages of zeros where nothing is.
fn zeros(address: u32, pages: u32) -> Result<(), Error> {
    // SAFETY: nothing is there.
    unsafe { Vm::zeros(address, pages, BOTH) }
}

fn owned() -> u32 {
    let id = call::self_id();
    (0..public::frames()).filter(|&number| memory::frame(number).owner == id.0).count() as u32
}

/// Accesses that were not allowed.
static DENIED: Shared<u32> = Shared::new(0);

fn allow(address: u32, _: Code) -> bool {
    DENIED.add(1);
    Vm::give(address, 1, BOTH);
    true
}

fn usual() {
    const COUNT: u32 = 1500;
    let page = |number: u32| NORMAL_START + (number + 300) * PAGE_BYTES;
    Vm::install().unwrap();
    vm::set_hook(Some(allow));
    zeros(page(0), COUNT).unwrap();
    (0..COUNT).for_each(|number| assert_eq!(read(page(number)), 0, "page {number} is not zeros"));
    assert!((0..COUNT).all(|number| !Vm::dirty(page(number))), "a page is dirty that was read alone");
    (0..COUNT).step_by(3).for_each(|number| write(page(number) + 4 * number % PAGE_BYTES, number + 1));
    for number in (0..COUNT).rev() {
        let written = number % 3 == 0;
        assert_eq!(read(page(number) + 4 * number % PAGE_BYTES), if written { number + 1 } else { 0 }, "page {number}");
        assert_eq!(Vm::dirty(page(number)), written, "whether page {number} is dirty");
    }
    assert!(Vm::pages().map(|page| page.address).eq((0..COUNT).map(page)), "all that is mapped, in order");
    Vm::take(page(0), COUNT, WRITE);
    write(page(9), 90);
    write(page(9), 91);
    assert_eq!((DENIED.get(), read(page(9))), (1, 91), "a store that is not allowed, and one that is");
}

/// Gives a page to who misses it.
fn provide(address: u32, _: Code) -> bool {
    DENIED.add(1);
    zeros(address & !(PAGE_BYTES - 1), 1).is_ok()
}

fn outside() {
    Vm::install().unwrap();
    vm::set_hook(Some(provide));
    zeros(NORMAL_START, 1).unwrap();
    for outside in [NORMAL_START - 0x0100_0000, NORMAL_START + 0x0400_0000, 0x7000_0000, 0x7fff_f000] {
        assert_eq!(zeros(outside, 1), Err(Error::Full), "{outside:#x}");
    }
    // A page that no part of the table is there for yet is missed: not found, not met by another miss.
    for (count, number) in [(1, 1), (2, 1023), (3, 1024), (4, 9000), (5, 16383)] {
        assert_eq!(read(NORMAL_START + number * PAGE_BYTES), 0);
        assert_eq!(DENIED.get(), count, "accesses that were not allowed, up to page {number}");
    }
}

fn handler() {
    const COUNT: u32 = 100;
    const ROUNDS: u32 = 400;
    Vm::install().unwrap();
    zeros(NORMAL_START, COUNT).unwrap();
    let page = |number: u32| NORMAL_START + number * PAGE_BYTES;
    (0..COUNT).for_each(|number| write(page(number), number));
    let begun = call::clock();
    for _ in 0..ROUNDS {
        for number in 0..COUNT {
            call::tlb_delete(page(number));
            assert_eq!(read(page(number)), number);
        }
    }
    let took = call::clock() - begun;
    assert!(took <= 32, "{} misses take {took} ticks of the clock: are they mended in Rust?", ROUNDS * COUNT);
}

filled! {
    /// A load from a page that is missed, and a store to another; every other register has a value.
    fn touch: all, ["lw    $a2, 0($a1)", "lui   $a0, 1", "addu  $a0, $a0, $a1", "sw    $a2, 4096($a1)", "lw    $a3, 4096($a1)"],
}

fn interrupts() {
    Vm::install().unwrap();
    let beside = Beside::start();
    zeros(beside::ADDRESS, 2).unwrap();
    for round in 0..3 {
        let value = 0x1000 + round;
        write(beside::ADDRESS, value);
        write(beside::ADDRESS + PAGE_BYTES, 0);
        (0..2).for_each(|page| call::tlb_delete(beside::ADDRESS + page * PAGE_BYTES));
        // SAFETY: it uses no memory but the two pages, and keeps what a function must keep.
        let changed = unsafe { touch(0x0123_4567 + round, beside::ADDRESS, 0, 0) };
        assert_eq!(changed, 0, "a miss has changed registers of the program, in these bits");
        assert_eq!([read(beside::ADDRESS), read(beside::ADDRESS + PAGE_BYTES)], [value; 2], "what was copied");
    }
    assert_eq!(beside.stop(), 0, "the neighbour has seen another's page");
}

fn frames() {
    Vm::install().unwrap();
    zeros(NORMAL_START, 1).unwrap();
    write(NORMAL_START, 1);
    let mut left = None;
    for round in 0..3 {
        // More than there are frames for; of them nearly as many as there are frames are touched.
        let (start, many) = (NORMAL_START + 0x0100_0000, 3000);
        zeros(start, many).unwrap();
        let free = (0..public::frames()).filter(|&number| memory::seems_free(number)).count() as u32;
        assert!((200..many).contains(&free), "{free} frames are free in round {round}");
        (0..free - 60).for_each(|number| write(start + number * PAGE_BYTES, number));
        (0..free - 60).for_each(|number| assert_eq!(read(start + number * PAGE_BYTES), number));
        // SAFETY: nobody refers to it.
        unsafe { Vm::unmap(start, many) };
        vm::drain();
        assert_eq!(*left.get_or_insert(owned()), owned(), "frames are left behind in round {round}");
        assert_eq!(vm::resident(), 1, "pages that have a frame, after round {round}");
    }
}
