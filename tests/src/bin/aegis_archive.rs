//! Every program can read the boot archive: it finds itself there, on a page boundary, and nobody can write to it.
//@ expect: aegis_archive: aegis, bin/aegis_archive
//@ expect: aegis_archive: the program in the archive is the one that runs

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../attempt.rs"]
mod attempt;

use attempt::load;
use exos_rt::abi::Error;
use exos_rt::abi::exception::Code;
use exos_rt::abi::frame::PUBLIC;
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT, PROGRAM_START, entry_lo};
use exos_rt::call::NO_CAPABILITY;
use exos_rt::{archive, call, memory, print, println, program};

/// A page of the normal segment where nothing is.
const ADDRESS: u32 = 0x5000_0000;

fn main() {
    print!("{}: ", program::name());
    for (n, file) in archive::files().enumerate() {
        print!("{}{}", if n == 0 { "" } else { ", " }, file.name);
    }
    println!();
    assert_eq!(archive::find("bin/aegis_archive_of_no_name"), None);
    let own = archive::find("bin/aegis_archive").expect("it was started from there");
    assert!(own.bytes.starts_with(b"\x7fELF") && own.physical().is_multiple_of(PAGE_BYTES));
    let last = own.physical() + own.bytes.len() as u32 - 1;
    assert!((own.physical() >> PAGE_SHIFT..=last >> PAGE_SHIFT).all(|frame| memory::frame(frame).owner == PUBLIC));

    // SAFETY: nothing is at that address.
    let map = |word| unsafe { call::tlb_write(ADDRESS, own.physical() | word, NO_CAPABILITY) };
    assert_eq!(map(entry_lo::VALID | entry_lo::DIRTY), Err(Error::Denied));
    map(entry_lo::VALID).unwrap();
    assert_eq!(load(ADDRESS), Ok(u32::from_le_bytes(*b"\x7fELF")));
    // SAFETY: it can't be written, which is what is tested.
    assert_eq!(unsafe { attempt::store(ADDRESS, 0) }, Err(Code::Modified));
    // SAFETY: nobody is to be given it, and it is refused.
    unsafe {
        assert_eq!(call::frame_free(own.physical() >> PAGE_SHIFT), Err(Error::Denied));
    }

    // The text as it stands in memory is in the file, at the same place in a page.
    // SAFETY: both are readable: the text, and the archive.
    let here = unsafe { core::slice::from_raw_parts(PROGRAM_START as *const u8, 64) };
    assert!(own.bytes.chunks(PAGE_BYTES as usize).any(|page| page.starts_with(here)));
    println!("aegis_archive: the program in the archive is the one that runs");
}
