//! The tags of a frame that has changed hands, or whose owner is dead, are refused, whether they have been shown before
//! or not; and so are those that stand for nothing.
//@ expect: aegis_capabilities_stale: no tag outlived what it was for

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../attempt.rs"]
mod attempt;
#[path = "../server.rs"]
mod server;

use attempt::{load, store};
use exos_rt::abi::exception::Code;
use exos_rt::abi::frame::{Capability, READ, WRITE};
use exos_rt::abi::vm::{PAGE_SHIFT, entry_lo};
use exos_rt::abi::{EnvId, Error};
use exos_rt::call::{NO_CAPABILITY, capability, frame_allocate, frame_free, frame_give, tlb_write};
use exos_rt::transfer::call;
use exos_rt::{call, memory, println};
use server::Server;

const READABLE: u32 = entry_lo::VALID;
const WRITABLE: u32 = entry_lo::VALID | entry_lo::DIRTY;
const ADDRESS: u32 = 0x5040_0000;

/// What the server is asked for: a frame; a tag for one; one itself.
const ALLOCATE: u32 = 0;
const TAG: u32 = 1;
const GIVE: u32 = 2;

/// In the server, which owns frames.
extern "C" fn own(what: u32, frame: u32, right: u32, _: u32, caller: EnvId) -> u64 {
    match what {
        ALLOCATE => memory::allocate().unwrap().into(),
        TAG => {
            let Capability([word0, word1]) = capability(frame, right).unwrap();
            u64::from(word1) << 32 | u64::from(word0)
        }
        GIVE => {
            // SAFETY: it is not mapped here.
            unsafe { frame_give(frame, caller).unwrap() };
            0
        }
        _ => unreachable!(),
    }
}

/// Maps a frame by what stands for a capability.
fn map(frame: u32, rights: u32, shown: Capability) -> Result<(), Error> {
    // SAFETY: nothing else is at that address, and all accesses are through functions of assembly.
    unsafe { tlb_write(ADDRESS, frame << PAGE_SHIFT | rights, shown) }
}

#[track_caller]
fn refused(frame: u32, tags: &[Capability]) {
    for &tag in tags {
        for rights in [READABLE, WRITABLE, READABLE, WRITABLE] {
            assert_eq!(map(frame, rights, tag), Err(Error::Denied));
        }
    }
}

fn main() {
    let id = call::self_id();
    for shown in [false, true] {
        let server = Server::start(own);
        let ask = |what, frame, right| call(server.id, [what, frame, right, 0]).unwrap();
        let frame = ask(ALLOCATE, 0, 0) as u32;
        let tags = || {
            [READ, WRITE].map(|right| {
                let tag = ask(TAG, frame, right);
                Capability([tag as u32, (tag >> 32) as u32])
            })
        };
        // Twice each: the second time the kernel knows the tag.
        let show = |[read, write]: [Capability; 2]| {
            for (rights, tag) in [(READABLE, read), (WRITABLE, write), (READABLE, read), (WRITABLE, write)] {
                assert_eq!(map(frame, rights, tag), Ok(()));
                let found = load(ADDRESS).unwrap();
                // SAFETY: nobody else writes to the frame.
                assert_eq!(unsafe { store(ADDRESS, found + 1) }.is_ok(), rights == WRITABLE);
            }
            refused(frame, &[Capability([read.0[0], write.0[1]]), Capability([write.0[0], read.0[1]])]);
            assert_eq!(map(frame, WRITABLE, read), Err(Error::Denied), "the right to read");
        };
        let nothing = [NO_CAPABILITY, Capability([u32::MAX; 2]), Capability([0, u32::MAX]), Capability([1, 1])];

        // To main and back.
        let first = tags();
        refused(frame, &nothing);
        if shown {
            show(first);
        }
        refused(frame, &nothing);
        ask(GIVE, frame, 0);
        assert_eq!(load(ADDRESS), Err(Code::TlbLoad));
        let mine = capability(frame, WRITE).unwrap();
        // SAFETY: here and below it is not mapped, or that is looked at.
        unsafe { frame_give(frame, server.id).unwrap() };
        refused(frame, &first);
        refused(frame, &[mine]);
        let second = tags();
        assert!(first.iter().all(|old| !second.contains(old)));
        if shown {
            show(second);
            assert_eq!(load(ADDRESS), Ok(4));
        }

        // The owner dies, and the frame is another's. Until then a tag that was shown may still do.
        server.stop();
        refused(frame, &first);
        frame_allocate(frame).unwrap();
        assert_eq!(memory::frame(frame).owner, id.0);
        assert_eq!(load(ADDRESS), Err(Code::TlbLoad));
        assert_eq!(map(frame, READABLE, NO_CAPABILITY), Ok(()));
        assert_eq!(load(ADDRESS), Ok(0));
        // SAFETY: as above.
        unsafe { frame_free(frame).unwrap() };
        refused(frame, &first);
        refused(frame, &second);
    }
    println!("aegis_capabilities_stale: no tag outlived what it was for");
}
