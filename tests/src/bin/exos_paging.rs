//! A working set larger than the frames that it may have: pages go to a backing environment and come back as they were;
//! and what happens when that environment has died.
//@ expect: exos_paging: 64 pages in 20 frames
//@ expect: exos_paging: the backing environment is dead: a page is lost, and said so
//@ expect: aegis: 2 programs ended, 0 badly
//@ timeout: 120

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../census.rs"]
mod census;

use census::owned;
use exos::backing;
use exos::vm::{self, READ, Vm, WRITE};
use exos_rt::abi::exception::Code;
use exos_rt::abi::vm::PAGE_BYTES;
use exos_rt::shared::Shared;
use exos_rt::{call, println};

const START: u32 = 0x4000_0000;
const PAGES: u32 = 64;
const QUOTA: u32 = 20;

static LOST: Shared<u32> = Shared::new(0);

fn word(page: u32) -> *mut u32 {
    (START + page * PAGE_BYTES + page * 52 % PAGE_BYTES) as *mut u32
}

fn read(page: u32) -> u32 {
    // SAFETY: the pages are data that nothing else refers to. Likewise below.
    unsafe { word(page).read_volatile() }
}

fn write(page: u32, value: u32) {
    // SAFETY: as above.
    unsafe { word(page).write_volatile(value) }
}

/// A page that is lost becomes one of zeros.
fn lost(address: u32, _: Code) -> bool {
    LOST.add(1);
    // SAFETY: nobody refers to it.
    unsafe {
        Vm::unmap(address, 1);
        Vm::zeros(address, 1, READ | WRITE).is_ok()
    }
}

fn main() {
    Vm::install().unwrap();
    vm::set_hook(Some(lost));
    // Without a backing environment what was written stays, and more than the quota can't be had.
    Vm::set_quota(QUOTA);
    // SAFETY: nothing is there.
    unsafe { Vm::zeros(START, PAGES, READ | WRITE).unwrap() };
    (0..QUOTA).for_each(|page| write(page, page + 1));
    assert_eq!((Vm::lock(START + QUOTA * PAGE_BYTES, 1).is_err(), vm::resident()), (true, QUOTA));
    assert!((0..QUOTA).all(|page| read(page) == page + 1));

    let (id, control) = backing::start(32).unwrap();
    Vm::set_backing(id);
    Vm::lock(START, 2).unwrap();
    (0..PAGES).for_each(|page| write(page, page + 1));
    let mut random = 1_u32;
    let mut value = [0; PAGES as usize];
    for (page, value) in value.iter_mut().enumerate() {
        *value = page as u32 + 1;
    }
    for _ in 0..600 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let page = (random >> 8) % PAGES;
        assert_eq!(read(page), value[page as usize], "page {page}");
        if random >> 31 == 0 {
            value[page as usize] = random;
            write(page, random);
        }
        assert!(vm::resident() <= QUOTA);
    }
    assert!((0..PAGES).all(|page| read(page) == value[page as usize]));
    println!("exos_paging: {PAGES} pages in {QUOTA} frames");

    // The kernel wants frames back.
    let before = owned();
    assert_eq!((Vm::give_up(10), before - owned()), (10, 10));
    assert!((0..PAGES).all(|page| read(page) == value[page as usize]));

    // What is unmapped is not kept any more.
    // SAFETY: nobody refers to it.
    unsafe { Vm::unmap(START + 60 * PAGE_BYTES, 4) };

    call::env_destroy(id, control).unwrap();
    let there = vm::resident();
    Vm::set_quota(u32::MAX);
    let found = (0..60).filter(|&page| read(page) == value[page as usize]).count() as u32;
    assert_eq!((found, LOST.get()), (there, 60 - there), "what has a frame is there, and nothing else");
    println!("exos_paging: the backing environment is dead: a page is lost, and said so");
}
