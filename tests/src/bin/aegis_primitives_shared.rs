//! A mapping by capability changes no register: when its tag is shown for the first time and later, when it is forged,
//! on a page that had the frame before and on another.
//@ expect: aegis_primitives_shared: 36 calls changed nothing

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../registers.rs"]
mod registers;
#[path = "../server.rs"]
mod server;

use exos_rt::abi::call::TLB_WRITE;
use exos_rt::abi::frame::{Capability, READ, WRITE};
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT, entry_lo};
use exos_rt::abi::{EnvId, Error};
use exos_rt::call::{capability, frame_renew, tlb_probe};
use exos_rt::transfer::call;
use exos_rt::{memory, println};
use registers::{A0, V0, changed, different, make_call};
use server::Server;

const READABLE: u32 = entry_lo::VALID;
const WRITABLE: u32 = entry_lo::VALID | entry_lo::DIRTY;
const ADDRESS: u32 = 0x5040_0000;

/// In the server: its frame, or, where it is named, a new tag for it.
extern "C" fn own(frame: u32, right: u32, _: u32, _: u32, _: EnvId) -> u64 {
    if frame == 0 {
        return memory::allocate().unwrap().into();
    }
    frame_renew(frame).unwrap();
    let Capability([word0, word1]) = capability(frame, right).unwrap();
    u64::from(word1) << 32 | u64::from(word0)
}

fn main() {
    let server = Server::start(own);
    let frame = call(server.id, [0; 4]).unwrap() as u32;
    let mut calls = 0;
    let mut check = |address: u32, rights: u32, tag: u64, result: u32| {
        calls += 1;
        let mut before = different(calls);
        let entry = frame << PAGE_SHIFT | rights;
        before[V0] = TLB_WRITE;
        before[A0..A0 + 4].copy_from_slice(&[tag as u32, address, entry, (tag >> 32) as u32]);
        // SAFETY: the mappings are of pages that nothing else is at.
        let after = unsafe { make_call(&before) };
        before[V0] = result;
        let first = changed(&before, &after).next();
        assert_eq!(first, None, "{:x?} instead of {:x?}", first.map(|n| after[n]), first.map(|n| before[n]));
        assert!(result != TLB_WRITE || tlb_probe(address) == Some(entry));
    };
    let denied = Error::Denied as u32;
    for (right, rights) in [(READ, READABLE), (WRITE, WRITABLE), (WRITE, READABLE)] {
        for address in [ADDRESS, ADDRESS + PAGE_BYTES] {
            let tag = call(server.id, [frame, right, 0, 0]).unwrap();
            check(address, rights, tag ^ 1, denied);
            check(address, rights, tag, TLB_WRITE);
            check(address, rights, tag, TLB_WRITE);
            check(address + 2 * PAGE_BYTES, rights, tag, TLB_WRITE);
            check(address, rights, tag, TLB_WRITE);
            check(address, rights, tag ^ 1 << 32, denied);
        }
    }
    server.stop();
    println!("aegis_primitives_shared: {calls} calls changed nothing");
}
