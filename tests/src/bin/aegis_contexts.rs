//! Addressing contexts: the same page is another frame in each of the four; guaranteed mappings are the same in all.
//@ expect: aegis_contexts: four address spaces

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../attempt.rs"]
mod attempt;

use attempt::{load, store};
use exos_rt::abi::Error;
use exos_rt::abi::vm::{CONTEXTS, PAGE_SHIFT, entry_lo};
use exos_rt::call::{NO_CAPABILITY, context_switch, tlb_delete, tlb_probe, tlb_write};
use exos_rt::{call, memory, println};

const ADDRESS: u32 = 0x5040_0000;

fn main() {
    let frames: [u32; CONTEXTS] = core::array::from_fn(|_| memory::allocate().unwrap());
    let entry = |context: usize| frames[context] << PAGE_SHIFT | entry_lo::VALID | entry_lo::DIRTY;
    // SAFETY: in all that follows: what the program itself uses is in guaranteed mappings; the page is accessed through
    // functions of assembly only.
    unsafe {
        for context in [CONTEXTS as u32, 5, 64, 0x8000_0000, u32::MAX] {
            assert_eq!(context_switch(context), Err(Error::BadArgument));
        }
        for context in 0..CONTEXTS {
            context_switch(context as u32).unwrap();
            assert_eq!(tlb_probe(ADDRESS), None, "context {context} is new");
            load(ADDRESS).unwrap_err();
            tlb_write(ADDRESS, entry(context), NO_CAPABILITY).unwrap();
            store(ADDRESS, context as u32 + 100).unwrap();
        }
        // Now and then at the end of a slice, as the program gets it, too.
        for round in 0..400 {
            let context = round * 7 % CONTEXTS;
            context_switch(context as u32).unwrap();
            if round % 10 == 0 {
                call::yield_slice();
            }
            // A mapping may have been replaced, but never by another's.
            if let Ok(found) = load(ADDRESS) {
                assert_eq!(found, context as u32 + 100);
            }
            tlb_write(ADDRESS, entry(context), NO_CAPABILITY).unwrap();
            assert_eq!(tlb_probe(ADDRESS), Some(entry(context)));
            assert_eq!(load(ADDRESS), Ok(context as u32 + 100));
        }
        // What is deleted is deleted in one of them.
        context_switch(2).unwrap();
        tlb_delete(ADDRESS);
        assert_eq!(tlb_probe(ADDRESS), None);
        context_switch(1).unwrap();
        assert_eq!(tlb_probe(ADDRESS), Some(entry(1)));
        // What is freed, in all.
        tlb_write(ADDRESS, entry(3), NO_CAPABILITY).unwrap();
        for context in [0, 3] {
            context_switch(context).unwrap();
            tlb_write(ADDRESS, entry(3), NO_CAPABILITY).unwrap();
        }
        call::frame_free(frames[3]).unwrap();
        for context in [0, 1, 3] {
            context_switch(context).unwrap();
            assert_eq!(tlb_probe(ADDRESS), None, "context {context}");
        }
        context_switch(0).unwrap();
    }
    println!("aegis_contexts: four address spaces");
}
