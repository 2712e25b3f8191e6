//! Mappings that must not be: with the bit that makes an entry everybody's, with another's context id in the address, of
//! the kernel's addresses, of devices and of memory that is not there, and of one page twice. None of them reaches
//! anything, and another environment, which looks all the while, finds nothing where it has mapped nothing.
//@ run: hostile_translation aegis_witness
//@ expect: hostile_translation: nothing was mapped that must not be
//@ expect: aegis_witness: undisturbed
//@ timeout: 60

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../attempt.rs"]
mod attempt;

use attempt::{load, store};
use exos_rt::abi::exception::Code;
use exos_rt::abi::frame::COUNT;
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT, SAVE_PAGE, entry_lo};
use exos_rt::abi::{Error, call as number};
use exos_rt::call::{NO_CAPABILITY, tlb_write};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, program, public};

const ADDRESS: u32 = 0x5040_0000;
const RIGHTS: u32 = entry_lo::VALID | entry_lo::DIRTY;

/// What the other finds at the address, and how often it has looked.
static FOUND: Shared<u32> = Shared::new(0);
static LOOKS: Shared<u32> = Shared::new(0);

/// Looks for what others have mapped.
extern "C" fn other(_: u32) -> ! {
    loop {
        FOUND.add(u32::from(load(ADDRESS).is_ok()));
        LOOKS.add(1);
        call::yield_slice();
    }
}

fn map(address: u32, word: u32) -> Result<(), Error> {
    // SAFETY: nothing else is at that address, and all accesses are through functions of assembly.
    unsafe { tlb_write(address, word, NO_CAPABILITY) }
}

fn main() {
    let (id, control) = spawn(other, 0, Some(20)).unwrap();
    let looked = |times: u32| {
        let before = LOOKS.get();
        while LOOKS.get() < before + times {
            call::yield_to(id).unwrap();
        }
    };
    let frame = memory::allocate().unwrap();
    let word = frame << PAGE_SHIFT;
    // All the bits that a program is not to set, one by one and together: bit 8 is the R3000's G.
    for bits in (0..9).map(|bit| 1 << bit).chain([0x1ff]) {
        assert_eq!(map(ADDRESS, word | RIGHTS | bits), Ok(()));
        // SAFETY: the frame is this program's.
        unsafe { store(ADDRESS, bits).unwrap() };
        assert_eq!(call::tlb_probe(ADDRESS), Some(word | RIGHTS));
        looked(2);
        assert_eq!(load(ADDRESS), Ok(bits));
        call::tlb_delete(ADDRESS);
    }
    // Every context id in the address: it counts as an address within the page, and for this program alone.
    for context in 0..64 {
        assert_eq!(map(ADDRESS | context << 6, word | RIGHTS), Ok(()));
        assert_eq!(call::tlb_probe(ADDRESS), Some(word | RIGHTS));
        if context % 16 == 0 {
            looked(1);
        }
        call::tlb_delete(ADDRESS | context << 6 ^ 0xfc0);
        assert_eq!(call::tlb_probe(ADDRESS), None);
        assert_eq!(load(ADDRESS), Err(Code::TlbLoad));
    }
    // The kernel's addresses.
    for address in [0x8000_0000, 0x8005_0000, 0x9fff_f000, 0xa000_0000, 0xbfc0_0000, 0xc000_0000, 0xffff_f000] {
        assert_eq!(map(address, word | RIGHTS), Err(Error::BadArgument));
        assert_eq!(call::tlb_probe(address), None);
        call::tlb_delete(address);
        assert_eq!(call::tlb_protect(0, address, 1), Err(Error::BadArgument));
    }
    assert_eq!(call::tlb_protect(0, 0x7fff_f000, 2), Err(Error::BadArgument));
    // Devices, the PROM, what is no memory, and the kernel's memory: by number, for reading alone, too.
    let frames = public::frames();
    for number in [
        frames,
        COUNT as u32 - 1,
        COUNT as u32,
        0x1_e000,
        0x1_f800,
        0x1_fc00,
        0x1_fe00,
        0xf_ffff,
        0,
        1,
        0x30,
        0x4e,
        0x50,
        0x80,
        0xc0,
    ] {
        if number < frames && memory::seems_free(number) {
            continue;
        }
        for rights in [0, entry_lo::VALID, RIGHTS, RIGHTS | entry_lo::UNCACHED, 0xfff] {
            assert_eq!(map(ADDRESS, number << PAGE_SHIFT | rights), Err(Error::Denied), "frame {number:#x}");
        }
        assert_eq!(load(ADDRESS), Err(Code::TlbLoad));
        // SAFETY: it is refused.
        let mapped = unsafe { call::raw(call::self_id().0, 0x2400_0000, number << PAGE_SHIFT, 1, number::ENV_MAP) };
        assert_eq!(mapped, Error::Denied as i32, "frame {number:#x}");
    }
    // What is public is so for reading.
    let table = public::frame_table();
    assert_eq!(map(ADDRESS, table | RIGHTS), Err(Error::Denied));
    assert_eq!(map(ADDRESS, table | entry_lo::VALID), Ok(()));
    // SAFETY: it is refused.
    assert_eq!(unsafe { store(ADDRESS, 0) }, Err(Code::Modified));
    call::tlb_delete(ADDRESS);
    // One page again and again, with two frames, in whichever TLB it may be by now; a processor that finds a page twice
    // is damaged, and the model stops.
    let second = memory::allocate().unwrap();
    for (frame, value) in [(frame, 1), (second, 2)] {
        map(ADDRESS, frame << PAGE_SHIFT | RIGHTS).unwrap();
        // SAFETY: the frame is this program's.
        unsafe { store(ADDRESS, value).unwrap() };
    }
    for round in 0..200 {
        let (frame, value) = if round % 3 == 0 { (frame, 1) } else { (second, 2) };
        map(ADDRESS, frame << PAGE_SHIFT | RIGHTS).unwrap();
        // So many others that the TLB has lost it.
        for page in 1..if round % 2 == 0 { 80 } else { 2 } {
            map(ADDRESS + page * PAGE_BYTES, frame << PAGE_SHIFT | RIGHTS).unwrap();
        }
        assert_eq!(load(ADDRESS), Ok(value));
    }
    // Also a page that has a guaranteed mapping: what was entered last is there, and the save page stays the kernel's.
    map(SAVE_PAGE, second << PAGE_SHIFT | RIGHTS).unwrap();
    call::tlb_delete(SAVE_PAGE);
    assert_eq!(program::name(), "hostile_translation");
    looked(2);
    call::env_destroy(id, control).unwrap();
    assert_eq!(FOUND.get(), 0);
    println!("{}: nothing was mapped that must not be", program::name());
}
