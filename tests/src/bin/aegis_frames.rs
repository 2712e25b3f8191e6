//! Frames are asked for by number, and are empty; freed, given away or renewed they leave every mapping.
//@ expect: aegis_frames: no mapping outlived its frame's owner

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../attempt.rs"]
mod attempt;
#[path = "../child.rs"]
mod child;
#[path = "../server.rs"]
mod server;

use attempt::{load, store};
use child::NOBODY;
use exos_rt::abi::frame::{self, FREE, PUBLIC};
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT, PUBLIC_PAGE, SAVE_PAGE, entry_lo};
use exos_rt::abi::{EnvId, Error};
use exos_rt::call::{NO_CAPABILITY, frame_allocate, frame_free, frame_give, frame_renew, tlb_probe, tlb_write};
use exos_rt::transfer::call;
use exos_rt::{call, memory, println, public};
use server::Server;

const WRITABLE: u32 = entry_lo::VALID | entry_lo::DIRTY;
const ADDRESS: u32 = 0x5040_0000;
/// Where a frame is mapped, beside `ADDRESS`: pages that differ in their place in the software TLB.
const MORE: [u32; 4] = [ADDRESS + PAGE_BYTES, 0x4000_7000, 0x6123_4000, 0x7bff_f000];

/// In the server: the word at the beginning of its own frame `frame`.
extern "C" fn read(frame: u32, _: u32, _: u32, _: u32, _: EnvId) -> u64 {
    // SAFETY: nothing else is at that address.
    match unsafe { tlb_write(ADDRESS, frame << PAGE_SHIFT | entry_lo::VALID, NO_CAPABILITY) } {
        Ok(()) => u64::from(load(ADDRESS).expect("it is mapped")),
        Err(_) => u64::MAX,
    }
}

fn map(frame: u32) {
    for address in MORE.into_iter().chain([ADDRESS]) {
        // SAFETY: nothing else is at that address, and all accesses are through functions of assembly.
        unsafe { tlb_write(address, frame << PAGE_SHIFT | WRITABLE, NO_CAPABILITY).unwrap() };
    }
}

fn is_mapped() -> bool {
    let mapped = MORE.into_iter().chain([ADDRESS]).filter(|&address| tlb_probe(address).is_some()).count();
    // Of the five one may have been replaced by chance.
    mapped > 1
}

/// The number of the frame that an address of this program's is mapped to.
fn frame_of(address: u32) -> u32 {
    loop {
        load(address).unwrap();
        if let Some(entry_lo) = tlb_probe(address) {
            return entry_lo >> PAGE_SHIFT;
        }
    }
}

fn main() {
    let id = call::self_id();
    let number = memory::allocate().unwrap();
    assert_eq!(memory::frame(number).owner, id.0);
    assert_eq!(frame_allocate(number), Err(Error::Busy));
    for number in [frame::COUNT as u32, 0x8_0000, u32::MAX] {
        assert_eq!(frame_allocate(number), Err(Error::BadArgument), "frame {number:#x}");
        assert_eq!(frame_renew(number), Err(Error::BadArgument));
        // SAFETY: they are refused.
        unsafe {
            assert_eq!(frame_free(number), Err(Error::BadArgument));
            assert_eq!(frame_give(number, id), Err(Error::BadArgument));
        }
    }
    let free = (0..public::frames()).find(|&number| memory::frame(number).owner == FREE).unwrap();
    let public_page = frame_of(PUBLIC_PAGE);
    assert_eq!(memory::frame(public_page).owner, PUBLIC);
    // The kernel's, public ones, one that is no memory, and one that is nobody's.
    let no_memory = Some(public::frames()).filter(|&number| number < frame::COUNT as u32);
    for number in [0, public_page, public::frame_table() >> PAGE_SHIFT, free].into_iter().chain(no_memory) {
        assert!(number == free || frame_allocate(number) == Err(Error::Busy), "frame {number:#x}");
        assert_eq!(frame_renew(number), Err(Error::Denied));
        // SAFETY: they are refused.
        unsafe {
            assert_eq!(frame_free(number), Err(Error::Denied));
            assert_eq!(frame_give(number, id), Err(Error::Denied));
        }
    }
    // SAFETY: it is refused.
    unsafe {
        assert_eq!(frame_free(frame_of(SAVE_PAGE)), Err(Error::Busy));
        assert_eq!(frame_give(frame_of(SAVE_PAGE), id), Err(Error::Busy));
        assert_eq!(frame_give(number, NOBODY), Err(Error::NoSuchEnvironment));
    }

    // SAFETY: in all that follows: the frame is accessed through functions of assembly only.
    unsafe {
        for round in 0..3 {
            map(number);
            assert!(is_mapped());
            for word in 0..1024 {
                assert_eq!(load(ADDRESS + 4 * word), Ok(0), "word {word} in round {round}");
                store(MORE[2] + 4 * word, !word).unwrap();
            }
            frame_free(number).unwrap();
            assert!(!is_mapped() && tlb_probe(ADDRESS).is_none());
            load(ADDRESS).unwrap_err();
            assert_eq!(tlb_write(ADDRESS, number << PAGE_SHIFT | WRITABLE, NO_CAPABILITY), Err(Error::Denied));
            assert_eq!(memory::frame(number).owner, FREE);
            frame_allocate(number).unwrap();
        }
        // Renewed, it is still there, but mapped nowhere.
        map(number);
        store(ADDRESS, 0x1234_5678).unwrap();
        frame_renew(number).unwrap();
        assert!(!is_mapped());
        map(number);
        assert_eq!(load(ADDRESS), Ok(0x1234_5678));
        // Given away, it keeps its contents.
        let server = Server::start(read);
        let other = memory::allocate().unwrap();
        assert_eq!(call(server.id, [other, 0, 0, 0]), Ok(u64::MAX), "that one is not the server's");
        frame_give(number, server.id).unwrap();
        assert_eq!(memory::frame(number).owner, server.id.0);
        assert!(!is_mapped());
        assert_eq!(frame_free(number), Err(Error::Denied));
        assert_eq!(tlb_write(ADDRESS, number << PAGE_SHIFT, NO_CAPABILITY), Err(Error::Denied));
        assert_eq!(call(server.id, [number, 0, 0, 0]), Ok(0x1234_5678));
        // The frames of the dead are free, and empty.
        server.stop();
        assert!(memory::seems_free(number));
        frame_allocate(number).unwrap();
        map(number);
        assert_eq!(load(ADDRESS), Ok(0));
    }
    println!("aegis_frames: no mapping outlived its frame's owner");
}
