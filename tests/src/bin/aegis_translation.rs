//! Mappings that a program enters, deletes, looks up and takes rights from; and those that it may not enter.
//@ ignore-machine: gxemul it lets user mode reach pages of the kernel's
//@ expect: aegis_translation: only what is the program's was mapped

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
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT, PROTECT_MAX, PUBLIC_PAGE, USER_END, entry_lo};
use exos_rt::abi::{EnvId, Error};
use exos_rt::call::{NO_CAPABILITY, tlb_delete, tlb_probe, tlb_protect};
use exos_rt::transfer::call;
use exos_rt::{call, memory, println, public};
use server::Server;

const VALID: u32 = entry_lo::VALID;
const WRITABLE: u32 = entry_lo::VALID | entry_lo::DIRTY;
/// The R3000's bit for mappings that hold in every context, and the bits below it, which it does not have.
const GLOBAL: u32 = 0x100;
const UNUSED: u32 = 0xff;
/// A page whose place in the software TLB the program's own pages do not compete for, and those behind it.
const ADDRESS: u32 = 0x5040_0000;

/// Enters a mapping of a page that nothing else is at.
fn write(address: u32, entry_lo: u32) -> Result<(), Error> {
    // SAFETY: all accesses to the page are through functions of assembly.
    unsafe { call::tlb_write(address, entry_lo, NO_CAPABILITY) }
}

/// In the server: what it has at an address.
extern "C" fn probe(address: u32, _: u32, _: u32, _: u32, _: EnvId) -> u64 {
    assert_eq!(load(address), Err(Code::TlbLoad));
    u64::from(tlb_probe(address).unwrap_or(0))
}

fn main() {
    let server = Server::start(probe);
    let frame = memory::allocate().unwrap() << PAGE_SHIFT;
    refused(frame, &server);
    entered(frame, &server);
    protected(frame);
    server.stop();
    println!("aegis_translation: only what is the program's was mapped");
}

/// Addresses of the kernel's; frames of others.
fn refused(frame: u32, server: &Server) {
    for address in [0x8000_0000, 0x8003_0000, 0xa000_0000, 0xbfc0_0000, 0xc000_0000, 0xffff_f000, u32::MAX] {
        assert_eq!(write(address, frame | WRITABLE), Err(Error::BadArgument), "{address:#x}");
        assert_eq!(load(address & !3), Err(Code::AddressLoad));
    }
    let others = (0..public::frames()).filter(|&number| memory::frame(number).owner == server.id.0);
    let mut count = 0;
    for other in others {
        assert_eq!(write(ADDRESS, other << PAGE_SHIFT | VALID), Err(Error::Denied), "the server's frame {other:#x}");
        count += 1;
    }
    assert_eq!(count, 2, "its save page and its stack");
    let free = memory::allocate().unwrap();
    // SAFETY: it is not mapped.
    unsafe { call::frame_free(free).unwrap() };
    // The kernel's memory, nobody's, none, and beyond.
    for other in [
        0,
        0x3_0000,
        0x5_0000,
        free << PAGE_SHIFT,
        public::frames() << PAGE_SHIFT,
        0x1fc0_0000,
        0x1fe0_0000,
        entry_lo::FRAME,
    ] {
        assert_eq!(write(ADDRESS, other | VALID), Err(Error::Denied), "frame {:#x}", other >> PAGE_SHIFT);
        assert_eq!(write(ADDRESS, other | WRITABLE), Err(Error::Denied));
        assert_eq!(write(ADDRESS, other), Err(Error::Denied));
    }
    // Public frames are for reading.
    for table in [public::frame_table(), public::directory(), public::software_tlb()] {
        assert_eq!(write(ADDRESS, table | WRITABLE), Err(Error::Denied));
        assert_eq!(write(ADDRESS, table | VALID), Ok(()));
        assert!(load(ADDRESS).is_ok());
        // SAFETY: it is refused.
        assert_eq!(unsafe { store(ADDRESS, 0) }, Err(Code::Modified));
    }
    // SAFETY: it is refused.
    assert_eq!(unsafe { store(PUBLIC_PAGE, 0) }, Err(Code::Modified));
    tlb_delete(ADDRESS);
}

/// A mapping is what was asked for, whichever way it is looked at, and nobody else's.
fn entered(frame: u32, server: &Server) {
    assert_eq!((tlb_probe(ADDRESS), load(ADDRESS)), (None, Err(Code::TlbLoad)));
    // SAFETY: in all that follows, the page is the program's own.
    unsafe {
        assert_eq!(store(ADDRESS, 1), Err(Code::TlbStore));
        write(ADDRESS, frame | WRITABLE).unwrap();
        assert_eq!(tlb_probe(ADDRESS), Some(frame | WRITABLE));
        assert_eq!(tlb_probe(ADDRESS + 0xfff), Some(frame | WRITABLE), "any address of the page will do");
        assert_eq!(tlb_probe(ADDRESS + PAGE_BYTES), None);
        store(ADDRESS, 1).unwrap();
        // Another mapping takes its place: a page never has two.
        write(ADDRESS + 0xabc, frame | VALID).unwrap();
        assert_eq!(tlb_probe(ADDRESS), Some(frame | VALID));
        assert_eq!((store(ADDRESS, 2), load(ADDRESS)), (Err(Code::Modified), Ok(1)));
        // Bits that are not a program's business.
        write(ADDRESS, frame | WRITABLE | GLOBAL | UNUSED).unwrap();
        assert_eq!(tlb_probe(ADDRESS), Some(frame | WRITABLE));
        assert_eq!(call(server.id, [ADDRESS, 0, 0, 0]), Ok(0), "it is no global mapping");
        write(ADDRESS, frame | WRITABLE | entry_lo::UNCACHED).unwrap();
        assert_eq!(tlb_probe(ADDRESS), Some(frame | WRITABLE | entry_lo::UNCACHED));
        assert_eq!((store(ADDRESS, 3), load(ADDRESS)), (Ok(()), Ok(3)));
        // A mapping without the right to anything.
        write(ADDRESS, frame).unwrap();
        assert_eq!((store(ADDRESS, 4), load(ADDRESS)), (Err(Code::TlbStore), Err(Code::TlbLoad)));
        write(ADDRESS, frame | WRITABLE).unwrap();
        tlb_delete(ADDRESS + 0x123);
        assert_eq!((tlb_probe(ADDRESS), load(ADDRESS)), (None, Err(Code::TlbLoad)));
        tlb_delete(ADDRESS);
    }
    // Of the kernel's addresses there is nothing to delete and nothing to see.
    for address in [0x8000_0000, 0x8005_0000, 0xc000_0000, u32::MAX] {
        tlb_delete(address);
        assert_eq!(tlb_probe(address), None);
    }
    // Nor are the program's own pages lost by that.
    tlb_delete(entered as *const () as u32);
    tlb_delete(&raw const frame as u32);
    tlb_delete(PUBLIC_PAGE);
    assert!(public::frames() != 0);
}

/// Rights are taken from a range and from nothing else.
fn protected(frame: u32) {
    const PAGES: u32 = 20;
    let page = |number: u32| ADDRESS + number * PAGE_BYTES;
    let writable = |number: u32| tlb_probe(page(number)) == Some(frame | WRITABLE);
    for pages in [PROTECT_MAX + 1, 1 << 20, u32::MAX] {
        assert_eq!(tlb_protect(0, ADDRESS, pages), Err(Error::BadArgument));
    }
    for (address, pages) in [(USER_END, 1), (USER_END - PAGE_BYTES, 2), (USER_END - 64 * PAGE_BYTES, 65), (u32::MAX, 1)]
    {
        assert_eq!(tlb_protect(0, address, pages), Err(Error::BadArgument), "{pages} pages from {address:#x}");
    }
    assert_eq!(tlb_protect(0, USER_END - PAGE_BYTES, 1), Ok(()));
    assert_eq!(tlb_protect(0, ADDRESS, PROTECT_MAX), Ok(()), "what is not mapped has no rights to lose");
    assert_eq!(tlb_protect(0, ADDRESS, 0), Ok(()));
    for (first, pages, rights) in
        [(0, PAGES, VALID), (3, 5, VALID), (7, 1, VALID), (2, PAGES - 4, 0), (19, 1, 0), (0, 0, 0)]
    {
        for number in 0..PAGES {
            write(page(number), frame | WRITABLE).unwrap();
        }
        assert_eq!(tlb_protect(rights, page(first), pages), Ok(()));
        for number in 0..PAGES {
            let inside = (first..first + pages).contains(&number);
            // SAFETY: the page is the program's own.
            let (loads, stores) = (load(page(number)).is_ok(), unsafe { store(page(number), number).is_ok() });
            assert_eq!(stores, !inside, "a store to page {number}");
            assert_eq!(loads, !inside || rights == VALID, "a load from page {number}");
            assert_eq!(writable(number), !inside, "page {number}");
        }
    }
    // It gives none.
    write(ADDRESS, frame | VALID).unwrap();
    assert_eq!(tlb_protect(u32::MAX, ADDRESS, 1), Ok(()));
    assert_ne!(tlb_probe(ADDRESS), Some(frame | WRITABLE));
}
