//! The low bits of an address, where the hardware's entries have the context id, count for nothing: no primitive
//! operation reaches into another environment's context.
//@ expect: aegis_translation_foreign: 4096 attempts at all contexts

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../attempt.rs"]
mod attempt;
#[path = "../server.rs"]
mod server;

use attempt::load;
use exos_rt::abi::EnvId;
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT, entry_lo};
use exos_rt::call::{NO_CAPABILITY, tlb_delete, tlb_probe, tlb_protect, tlb_write};
use exos_rt::transfer::call;
use exos_rt::{memory, println};
use server::Server;

/// Not a divisor of how often each context id is tried: so each is tried with all pages.
const PAGES: u32 = 7;
/// The server's pages, and main's.
const SERVERS: u32 = 0x5040_0000;
const MAINS: u32 = 0x5050_0000;

/// In the server: what it is asked to do.
const MAP: u32 = 0;
const COUNT: u32 = 1;

fn map(address: u32, frame: u32) -> u32 {
    let entry = frame << PAGE_SHIFT | entry_lo::VALID | entry_lo::DIRTY;
    // SAFETY: nothing else is at that address, and all accesses are through functions of assembly.
    unsafe { tlb_write(address, entry, NO_CAPABILITY).unwrap() };
    entry
}

/// Maps a frame of its own at all of the pages from `address` on, or counts those that are there for reading.
extern "C" fn serve(what: u32, address: u32, _: u32, _: u32, _: EnvId) -> u64 {
    let pages = (0..PAGES).map(|page| address + page * PAGE_BYTES);
    if what == MAP {
        let frame = memory::allocate().unwrap();
        pages.for_each(|page| _ = map(page, frame));
        return 0;
    }
    let there = |page: u32| load(page).is_ok() && tlb_probe(page).is_some_and(|entry| entry & entry_lo::DIRTY != 0);
    pages.filter(|&page| there(page)).count() as u64
}

fn main() {
    let server = Server::start(serve);
    let ask = |what, address| call(server.id, [what, address, 0, 0]).unwrap();
    ask(MAP, SERVERS);
    assert_eq!(ask(COUNT, SERVERS), PAGES.into());
    let frame = memory::allocate().unwrap();
    for bits in 0..PAGE_BYTES {
        let (servers, mains) = (SERVERS + bits % PAGES * PAGE_BYTES, MAINS + bits % PAGES * PAGE_BYTES);
        assert_eq!(tlb_probe(servers | bits), None, "bits {bits:#x}");
        tlb_protect(0, servers | bits, 1).unwrap();
        tlb_delete(servers | bits);
        let entry = map(mains | bits, frame);
        assert_eq!(tlb_probe(mains), Some(entry), "bits {bits:#x}");
    }
    assert_eq!(ask(COUNT, SERVERS), PAGES.into(), "the server has lost pages");
    assert_eq!(ask(COUNT, MAINS), 0, "the server has got pages");
    server.stop();
    println!("aegis_translation_foreign: {PAGE_BYTES} attempts at all contexts");
}
