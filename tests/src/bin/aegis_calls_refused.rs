//! Calls with wrong numbers, lengths, pointers, codes and addresses: each gets its error and changes nothing.
//@ expect: aegis_calls_refused: all refused
//@ forbid: forbidden

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::abi::call::{CONSOLE_WRITE, GATE_BYTES, NUMBER_MASK, SELF, SET_HANDLER};
use exos_rt::abi::console::WRITE_MAX;
use exos_rt::abi::exception::Code;
use exos_rt::abi::vm::{PUBLIC_PAGE, SAVE_PAGE};
use exos_rt::abi::{self, Error};
use exos_rt::{call, println, program};

fn result(number: u32, a0: u32, a1: u32) -> i32 {
    // SAFETY: the kernel refuses what it is asked here.
    unsafe { call::raw(a0, a1, 0, 0, number) }
}

fn main() {
    let used = |number: u32| abi::call::ALL.iter().any(|&(_, call)| call == number & NUMBER_MASK);
    for number in (0..=NUMBER_MASK).step_by(GATE_BYTES as usize).filter(|&number| !used(number)) {
        assert_eq!(result(number, 0, 0), Error::NoSuchCall as i32, "call {number:#x}");
    }
    // 0 alone is the synchronous transfer.
    assert_eq!(result(0x8000_0000, 0, 0), Error::NoSuchCall as i32);
    assert_eq!(result(!NUMBER_MASK, 0, 0), Error::NoSuchCall as i32);
    // Bits outside of the mask do not count.
    assert_eq!(result(SELF | 0x8000_003f, 0, 0), call::self_id().0.cast_signed());

    let text = b"forbidden\n";
    let good = text.as_ptr() as u32;
    for (address, bytes, error) in [
        (good, WRITE_MAX + 1, Error::BadArgument),
        (good, u32::MAX, Error::BadArgument),
        (0, 1, Error::BadPointer),
        (0x0fff, 2, Error::BadPointer),
        (PUBLIC_PAGE - 1, 2, Error::BadPointer),
        (SAVE_PAGE + 0xfff, 2, Error::BadPointer),
        (0x7fff_ffff, 2, Error::BadPointer),
        (0x8000_0000, 1, Error::BadPointer),
        (0x8003_0000, 10, Error::BadPointer),
        (0xa003_0000, 10, Error::BadPointer),
        (0xbfe0_0000, 2, Error::BadPointer),
        (0xffff_ffff, 1, Error::BadPointer),
        (0xffff_fff0, 100, Error::BadPointer),
    ] {
        assert_eq!(result(CONSOLE_WRITE, address, bytes), error as i32, "{bytes} bytes at {address:#x}");
    }
    assert_eq!(result(CONSOLE_WRITE, 0, 0), 0, "no bytes are nowhere");

    let handler = 0x1_0000;
    for (code, address) in [
        (Code::Interrupt as u32, handler),
        (Code::Syscall as u32, handler),
        (13, handler),
        (31, handler),
        (32, handler),
        (u32::MAX, handler),
        (Code::Overflow as u32, handler + 2),
        (Code::Overflow as u32, 0x8000_0000),
        (Code::Overflow as u32, 0x8000_0080),
        (Code::Overflow as u32, 0xffff_fffc),
    ] {
        assert_eq!(result(SET_HANDLER, code, address), Error::BadArgument as i32, "code {code}, address {address:#x}");
    }
    println!("{}: all refused", program::name());
}
