//! A transfer changes no register but `$v1`: all of them go to a callee that sends them back at once, and arrive, HI
//! and LO, too. A callee that can't be entered like that is refused.
//@ expect: aegis_transfer_registers: 100 times there and back

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../child.rs"]
mod child;
#[path = "../registers.rs"]
mod registers;

use child::NOBODY;
use core::arch::global_asm;
use exos_rt::abi::call::TRANSFER;
use exos_rt::abi::program::{ProgramHeader, ProtectedEntries};
use exos_rt::abi::{EnvId, Error};
use exos_rt::call::NO_CAPABILITY;
use exos_rt::environment::spawn;
use exos_rt::sequences::header;
use exos_rt::shared::Shared;
use exos_rt::transfer::{call, send};
use exos_rt::{call, println};
use registers::{V0, V1, arrived, changed, different, make_call};

// The entry of the callee: back to where it came from.
global_asm!(
    ".set noreorder",
    ".type echo, @function",
    "echo:",
    "    syscall",
    "1:  b     1b",
    "     nop",
    ".size echo, . - echo",
);

unsafe extern "C" {
    fn echo();
}

static READY: Shared<u32> = Shared::new(0);

/// Makes these this environment's protected entries, from here on.
fn enter_at(synchronous: u32, asynchronous: u32) {
    let header = ProgramHeader { protected_entries: ProtectedEntries { synchronous, asynchronous }, ..*header() };
    // SAFETY: the slice begins where it would anyhow, and the entries are written to be such.
    unsafe { call::env_setup(call::self_id(), NO_CAPABILITY, &header, header.start_of_slice).unwrap() };
    READY.add(1);
}

extern "C" fn child(_: u32) -> ! {
    enter_at(echo as *const () as u32, 0);
    loop {
        call::wait(None);
    }
}

fn main() {
    let former = header().protected_entries;
    let (callee, control) = spawn(child, 0, Some(1)).unwrap();
    while READY.get() == 0 {
        call::yield_slice();
    }
    assert_eq!(send(callee, [0; 4]), Err(Error::NoSuchEnvironment), "it has no such entry");
    enter_at(arrived as *const () as u32, former.asynchronous);
    // Not interrupted by the end of a slice: the entries here are not made for that.
    call::yield_slice();
    for n in 0..100 {
        let mut before = different(n << 8);
        before[V0] = TRANSFER;
        before[V1] = callee.0;
        // SAFETY: the callee answers at once.
        let after = unsafe { make_call(&before) };
        // The callee's id has become this program's on the way there, and the callee's again on the way back.
        assert_eq!(changed(&before, &after).next(), None);
    }
    enter_at(former.synchronous, former.asynchronous);
    call::yield_slice();
    // Ids that are wrong by little or much.
    for wrong in [EnvId(0), EnvId(1), EnvId(callee.0 | 1), EnvId(callee.0 | 0x8000_0000), NOBODY, EnvId(u32::MAX)] {
        assert_eq!(call(wrong, [0; 4]), Err(Error::NoSuchEnvironment), "{wrong:x?}");
        assert_eq!(send(wrong, [0; 4]), Err(Error::NoSuchEnvironment), "{wrong:x?}");
        // Where a slice ends just then, it comes back without an answer.
        assert_eq!((0..4).find_map(|_| call::yield_to(wrong).err()), Some(Error::NoSuchEnvironment), "{wrong:x?}");
    }
    call::env_destroy(callee, control).unwrap();
    assert_eq!(call(callee, [0; 4]), Err(Error::NoSuchEnvironment), "it has died");
    println!("aegis_transfer_registers: 100 times there and back");
}
