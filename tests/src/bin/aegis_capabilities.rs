//! Capabilities for frames: a server maps a frame of main's with the tags that main hands it, and with no others.
//@ expect: aegis_capabilities: 64 forgeries and all stale tags were refused

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../attempt.rs"]
mod attempt;
#[path = "../server.rs"]
mod server;

use attempt::{load, store};
use exos_rt::abi::frame::{self, CONTROL, Capability, READ, WRITE};
use exos_rt::abi::vm::{PAGE_SHIFT, entry_lo};
use exos_rt::abi::{EnvId, Error};
use exos_rt::call::{NO_CAPABILITY, capability, tlb_probe, tlb_write};
use exos_rt::transfer::call;
use exos_rt::{call, memory, println, public};
use server::Server;

const READABLE: u32 = entry_lo::VALID;
const WRITABLE: u32 = entry_lo::VALID | entry_lo::DIRTY;
const ADDRESS: u32 = 0x5040_0000;

/// Set in the first word of a message: only to see whether the page is mapped.
const PROBE: u32 = 1;

/// In the server: maps a frame, and reads it, and writes if it can. The answer is the word that was read, or in bit 63
/// that there is an error, and which.
extern "C" fn serve(word: u32, tag0: u32, tag1: u32, _: u32, _: EnvId) -> u64 {
    if word == PROBE {
        return u64::from(tlb_probe(ADDRESS).unwrap_or(0));
    }
    // SAFETY: nothing else is at that address, and all accesses are through functions of assembly.
    unsafe {
        if let Err(error) = tlb_write(ADDRESS, word, Capability([tag0, tag1])) {
            return 1 << 63 | error as i32 as u32 as u64;
        }
        let value = load(ADDRESS).expect("it is mapped");
        assert_eq!(store(ADDRESS, value + 1).is_ok(), word & entry_lo::DIRTY != 0);
        u64::from(value)
    }
}

fn main() {
    let server = Server::start(serve);
    let frames = [memory::allocate().unwrap(), memory::allocate().unwrap()];
    let mapping = frames[0] << PAGE_SHIFT;
    let ask = |entry_lo, Capability([tag0, tag1])| match call(server.id, [entry_lo, tag0, tag1, 0]).unwrap() {
        error if error >> 63 != 0 => Err(Error::from_result(error as u32 as i32).unwrap()),
        value => Ok(value as u32),
    };
    let denied = Err(Error::Denied);

    for right in [0, READ | WRITE, CONTROL, 5, u32::MAX] {
        assert_eq!(capability(frames[0], right), Err(Error::BadArgument), "right {right}");
    }
    assert_eq!(capability(frame::COUNT as u32, READ), Err(Error::BadArgument));
    assert_eq!(capability(u32::MAX, READ), Err(Error::BadArgument));
    assert_eq!(capability(0, READ), Err(Error::Denied));
    assert_eq!(capability(public::frame_table() >> PAGE_SHIFT, READ), Err(Error::Denied));

    let [read, write] = [READ, WRITE].map(|right| capability(frames[0], right).unwrap());
    assert_ne!(read, write);
    assert_eq!(capability(frames[0], READ), Ok(read), "the same question has the same answer");
    assert_eq!(ask(mapping | READABLE, NO_CAPABILITY), denied);
    assert_eq!(ask(mapping | READABLE, read), Ok(0));
    assert_eq!(ask(mapping | WRITABLE, read), denied);
    assert_eq!(ask(mapping | READABLE, write), Ok(0));
    assert_eq!(ask(mapping | WRITABLE, write), Ok(0));
    assert_eq!(ask(mapping | WRITABLE, write), Ok(1), "the server has written");
    assert_eq!(ask(mapping | READABLE, read), Ok(2));
    // For another frame, the other way round, forged.
    for wrong in [read, write] {
        let Capability([word0, word1]) = wrong;
        assert_eq!(ask(frames[1] << PAGE_SHIFT | READABLE, wrong), denied);
        assert_eq!(ask(mapping | READABLE, Capability([word1, word0])), denied);
    }
    let Capability([word0, word1]) = write;
    for bit in 0..32 {
        assert_eq!(ask(mapping | WRITABLE, Capability([word0 ^ 1 << bit, word1])), denied);
        assert_eq!(ask(mapping | WRITABLE, Capability([word0, word1 ^ 1 << bit])), denied);
    }
    // Renewed: the tags are void, and the mapping is broken.
    assert_eq!(ask(mapping | WRITABLE, write), Ok(2));
    call::frame_renew(frames[0]).unwrap();
    assert_eq!(call(server.id, [PROBE, 0, 0, 0]), Ok(0));
    for old in [read, write] {
        assert_eq!(ask(mapping | READABLE, old), denied);
    }
    let renewed = capability(frames[0], WRITE).unwrap();
    assert_ne!(renewed, write);
    assert_eq!(ask(mapping | WRITABLE, renewed), Ok(3), "the contents stay");
    // Freed and allocated again.
    // SAFETY: it is not mapped here.
    unsafe { call::frame_free(frames[0]).unwrap() };
    assert_eq!(call(server.id, [PROBE, 0, 0, 0]), Ok(0));
    assert_eq!(ask(mapping | READABLE, renewed), denied, "it is nobody's");
    call::frame_allocate(frames[0]).unwrap();
    for old in [read, write, renewed] {
        assert_eq!(ask(mapping | READABLE, old), denied);
    }
    server.stop();
    println!("aegis_capabilities: 64 forgeries and all stale tags were refused");
}
