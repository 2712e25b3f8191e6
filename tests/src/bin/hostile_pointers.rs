//! Every call with pointers that are none in each of its arguments: the kernel's, misaligned ones, ones that wrap, that
//! are not mapped, or mapped by the program alone. Each gets an error or does what its number means; the kernel survives
//! and the program loses nothing.
//@ run: hostile_pointers aegis_witness
//@ expect: hostile_pointers: every argument of 41 calls
//@ expect: aegis_witness: undisturbed
//@ forbid: forbidden
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::abi::exception::Code;
use exos_rt::abi::program::ProgramHeader;
use exos_rt::abi::vm::{PAGE_SHIFT, PUBLIC_PAGE, SAVE_PAGE, entry_lo};
use exos_rt::abi::{self, Error, call as number};
use exos_rt::{call, memory, println, program, public, sequences};

/// A page that is mapped by `tlb_write` alone.
const MAPPED: u32 = 0x5040_0000;

const POINTERS: [u32; 20] = [
    1,
    0x0fff,
    PUBLIC_PAGE - 1,
    SAVE_PAGE + 0xffd,
    0x3000_0000,
    0x3fff_ffff,
    MAPPED,
    MAPPED + 2,
    0x7fff_f000,
    0x7fff_ffff,
    0x8000_0000,
    0x8003_0001,
    0x8005_0000,
    0x8006_0000,
    0xa005_0000,
    0xbfc0_0000,
    0xc000_0000,
    0xffff_f000,
    0xffff_fffe,
    0xffff_ffff,
];

/// Those that end the program or its slice, whatever they are passed.
const NOT: [u32; 6] =
    [number::TRANSFER, number::TRANSFER_ASYNC, number::YIELD_TO, number::YIELD, number::WAIT, number::EXIT];

fn raw(number: u32, [a0, a1, a2, a3]: [u32; 4]) -> i32 {
    // SAFETY: what it does to this program is looked at.
    unsafe { call::raw(a0, a1, a2, a3, number) }
}

fn main() {
    let me = call::self_id();
    let frame = memory::allocate().unwrap();
    let word = frame << PAGE_SHIFT | entry_lo::VALID | entry_lo::DIRTY;
    let position = public::position();
    let mut calls = 0;
    for (name, number) in abi::call::ALL.into_iter().filter(|(_, number)| !NOT.contains(number)) {
        calls += 1;
        for pointer in POINTERS {
            for argument in 0..4 {
                // SAFETY: nothing else is there.
                unsafe { call::tlb_write(MAPPED, word, call::NO_CAPABILITY).unwrap() };
                // Of slices not its own.
                let mut arguments = if name.starts_with("slice") { [50, 0, 0, 0] } else { [0; 4] };
                arguments[argument] = pointer;
                let result = raw(number, arguments);
                assert!(result >= 0 || Error::from_result(result).is_some(), "{name}: {result:#x}");
            }
        }
        assert_eq!(call::self_id(), me);
        let slice = public::slice(position);
        assert_eq!((slice.owner, slice.runner), (me.0, me.0), "{name}");
    }
    // Those that read memory of the caller's.
    let bytes = size_of::<ProgramHeader>() as u32;
    for pointer in POINTERS {
        if pointer != MAPPED {
            assert_eq!(raw(number::CONSOLE_WRITE, [pointer, 4, 0, 0]), Error::BadPointer as i32, "{pointer:#x}");
        }
        assert_eq!(raw(number::CONSOLE_WRITE, [pointer, 128, 0, 0]), Error::BadPointer as i32, "{pointer:#x}");
        assert_eq!(raw(number::ENV_SETUP, [me.0, pointer, 0x1_0000, 0]), Error::BadPointer as i32, "{pointer:#x}");
    }
    // The last byte counts, and where it lies.
    for start in [SAVE_PAGE + 0x1000 - bytes + 1, PUBLIC_PAGE - bytes, PUBLIC_PAGE - 1, 0x8000_0000 - bytes] {
        assert_eq!(raw(number::ENV_SETUP, [me.0, start, 0x1_0000, 0]), Error::BadPointer as i32, "{start:#x}");
    }
    // A header stands on a word boundary.
    let mut copy = [0_u32; 32];
    let header = &raw const *sequences::header();
    for offset in 0..4 {
        // SAFETY: both are so many bytes, and it is what this program has already.
        let result = unsafe {
            let place = copy.as_mut_ptr().cast::<u8>().add(offset);
            core::ptr::copy_nonoverlapping(header.cast::<u8>(), place, bytes as usize);
            raw(number::ENV_SETUP, [me.0, place as u32, (*header).start_of_slice, 0])
        };
        assert_eq!(result, if offset == 0 { 0 } else { Error::BadPointer as i32 });
    }
    // Handlers and entries in the kernel.
    for pointer in POINTERS.into_iter().filter(|pointer| pointer % 4 != 0 || *pointer >= 0x8000_0000) {
        for code in Code::HANDLED {
            assert_eq!(raw(number::SET_HANDLER, [code as u32, pointer, 0, 0]), Error::BadArgument as i32);
        }
        // SAFETY: it is read.
        let header = unsafe { &*header };
        assert_eq!(raw(number::ENV_SETUP, [me.0, &raw const *header as u32, pointer, 0]), Error::BadArgument as i32);
        let mut wrong = *header;
        let words = (&raw mut wrong).cast::<u32>();
        for word in 1..bytes as usize / 4 {
            // A range may end where user space does.
            if pointer == 0x8000_0000 && (word == 22 || word == 24) {
                continue;
            }
            // SAFETY: the header is so many words.
            unsafe {
                let before = words.add(word).replace(pointer);
                let result = raw(number::ENV_SETUP, [me.0, words as u32, header.start_of_slice, 0]);
                assert_eq!(result, Error::BadArgument as i32, "word {word}: {pointer:#x}");
                words.add(word).write(before);
            }
        }
    }
    // SAFETY: it is what this program had.
    unsafe { call::env_setup(me, call::NO_CAPABILITY, &*header, (*header).start_of_slice).unwrap() };
    println!("{}: every argument of {calls} calls", program::name());
}
