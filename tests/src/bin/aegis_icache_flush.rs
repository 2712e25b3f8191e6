//! Code that a program writes, and writes again: after a flush of the instruction cache the new code is executed.
//@ expect: aegis_icache_flush: 100 functions written and called

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::abi::Error;
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT, entry_lo};
use exos_rt::call::{NO_CAPABILITY, icache_flush};
use exos_rt::{call, memory, println, public};

/// In the pinned segment.
const ADDRESS: u32 = 0x3000_0000;

/// `addiu $v0, $zero, n`, `jr $ra`, `nop`.
fn code(n: u16) -> [u32; 3] {
    [0x2402_0000 | u32::from(n), 0x03e0_0008, 0]
}

fn main() {
    let frame = memory::allocate().unwrap();
    let physical = frame << PAGE_SHIFT;
    let id = call::self_id();
    // SAFETY: nothing else is at that address.
    unsafe { call::env_map(id, NO_CAPABILITY, ADDRESS, physical | entry_lo::DIRTY, 1).unwrap() };
    for n in 0..100 {
        let offset = u32::from(n) % 5 * 0x330;
        // SAFETY: the page is the program's own; what is written there is a function, once the cache has been told.
        unsafe {
            ((ADDRESS + offset) as *mut [u32; 3]).write_volatile(code(n));
            icache_flush(physical + offset, 12).unwrap();
            let function: extern "C" fn() -> u32 = core::mem::transmute(ADDRESS + offset);
            assert_eq!(function(), u32::from(n));
        }
    }
    assert_eq!(icache_flush(physical, PAGE_BYTES), Ok(()));
    assert_eq!(icache_flush(physical + 1, 1), Ok(()));
    assert_eq!(icache_flush(physical, 0), Ok(()));
    assert_eq!(icache_flush(0, 4), Ok(()), "lines of the cache have no owner");
    assert_eq!(icache_flush(physical, PAGE_BYTES + 1), Err(Error::BadArgument));
    assert_eq!(icache_flush(physical, u32::MAX), Err(Error::BadArgument));
    assert_eq!(icache_flush(0xffff_fff0, 0x20), Err(Error::BadArgument));
    assert_eq!(icache_flush(64 << 20, 4), Err(Error::BadArgument), "there is no such memory");
    assert!(public::frames() << PAGE_SHIFT <= 64 << 20);
    println!("aegis_icache_flush: 100 functions written and called");
}
