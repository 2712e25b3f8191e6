//! The floating-point unit, where there is one: turned on and off, and never with what another environment left in it.
//@ expect: aegis_fpu: the unit is
//@ except-hazard: fpu it is what the program is about

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../hostile.rs"]
mod hostile;
#[path = "../server.rs"]
mod server;

use core::arch::naked_asm;
use exos_rt::abi::exception::Code;
use exos_rt::abi::{EnvId, Error};
use exos_rt::call::{self, fpu_mode};
use exos_rt::println;
use exos_rt::transfer::call;
use hostile::{Stub, execute, note, stub};
use server::Server;

/// `mtc1 $a0, $f2`.
static TO_UNIT: Stub = stub(0x4484_1000);

/// The number in `$f2`.
#[unsafe(naked)]
unsafe extern "C" fn from_unit() -> u32 {
    naked_asm!(".set noreorder", ".word 0x44021000", "nop", "jr    $ra", " nop") // mfc1 $v0, $f2
}

/// In the server: what it finds in the unit, before it leaves something there itself.
extern "C" fn look(leave: u32, _: u32, _: u32, _: u32, _: EnvId) -> u64 {
    fpu_mode(true).unwrap();
    // SAFETY: the unit is on.
    let found = unsafe { from_unit() };
    assert_eq!(execute(&TO_UNIT, leave), None);
    u64::from(found)
}

fn main() {
    note(Code::Coprocessor);
    let trap = || execute(&TO_UNIT, 1).map(|seen| (seen.code(), seen.cause >> 28 & 3));
    let unusable = Some((Code::Coprocessor as u32, 1));
    assert_eq!(trap(), unusable, "it is off at the start");
    for mode in [2, 3, 0x8000_0000, u32::MAX] {
        // SAFETY: it is refused.
        let result = call::check(unsafe { call::raw_fpu_mode(0, mode, 0, 0) });
        assert_eq!(result, Err(Error::BadArgument), "mode {mode:#x}");
    }
    if fpu_mode(true) == Err(Error::NoSuchDevice) {
        assert_eq!(trap(), unusable);
        println!("aegis_fpu: the unit is absent");
        return;
    }
    let server = Server::start(look);
    assert_eq!(trap(), None);
    // SAFETY: the unit is on.
    assert_eq!(unsafe { from_unit() }, 1);
    call::yield_slice();
    // SAFETY: as above.
    assert_eq!(unsafe { from_unit() }, 1, "nobody else has used it");
    for n in 0..3 {
        assert_eq!(execute(&TO_UNIT, 0x1111_1111 + n), None);
        assert_eq!(call(server.id, [0x2222_2222; 4]), Ok(0), "what main left");
        fpu_mode(true).unwrap();
        // SAFETY: as above.
        assert_eq!(unsafe { from_unit() }, 0, "what the server left");
    }
    fpu_mode(false).unwrap();
    assert_eq!(trap(), unusable);
    server.stop();
    println!("aegis_fpu: the unit is present");
}
