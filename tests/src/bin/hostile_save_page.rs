//! The save page is the kernel's to write to at each exception: whoever tries to take it away while it is registered is
//! refused, and an exception finds it as ever; so it is when another page is put in its place, and when an environment is
//! dead and its save page another's memory.
//@ run: hostile_save_page aegis_witness
//@ expect: hostile_save_page: it stayed, and nobody else's was written to
//@ expect: aegis_witness: undisturbed
//@ timeout: 60

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../attempt.rs"]
mod attempt;

use attempt::load;
use exos_rt::abi::exception::Code;
use exos_rt::abi::frame::{FREEING, WRITE};
use exos_rt::abi::vm::{PAGE_SHIFT, SAVE_PAGE, entry_lo};
use exos_rt::abi::{Error, call as number};
use exos_rt::call::{NO_CAPABILITY, tlb_write};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, program};

const ADDRESS: u32 = 0x5040_0000;
const RIGHTS: u32 = entry_lo::VALID | entry_lo::DIRTY;
/// Where nothing is.
const NOWHERE: u32 = 0x6000_0000;

static FAULTS: Shared<u32> = Shared::new(0);

/// Faults as long as it lives.
extern "C" fn faulting(_: u32) -> ! {
    loop {
        assert_eq!(load(NOWHERE), Err(Code::TlbLoad));
        FAULTS.add(1);
        call::yield_slice();
    }
}

fn main() {
    let me = call::self_id();
    let frame = loop {
        // SAFETY: the save page is always there.
        unsafe { (SAVE_PAGE as *const u32).read_volatile() };
        if let Some(word) = call::tlb_probe(SAVE_PAGE) {
            break word >> PAGE_SHIFT;
        }
    };
    assert_eq!(memory::frame(frame).owner & !FREEING, me.0);
    let raw = |number, arguments: [u32; 4]| {
        let [a0, a1, a2, a3] = arguments;
        // SAFETY: it is refused, or this test fails.
        unsafe { call::raw(a0, a1, a2, a3, number) }
    };
    let faults = || assert_eq!(load(NOWHERE), Err(Code::TlbLoad));
    for (number, arguments, error) in [
        (number::FRAME_FREE, [frame, 0, 0, 0], Error::Busy),
        (number::FRAME_GIVE, [frame, me.0, 0, 0], Error::Busy),
        (number::FRAME_RENEW, [frame, 0, 0, 0], Error::Busy),
        (number::FRAME_ALLOCATE, [frame, 0, 0, 0], Error::Busy),
        (number::ENV_CREATE, [frame & !1, 0, 0, 0], Error::Denied),
        (number::ENV_UNMAP, [me.0, SAVE_PAGE, 0, 0], Error::BadArgument),
        (number::ENV_MAP, [me.0, SAVE_PAGE, frame << PAGE_SHIFT, 1], Error::BadArgument),
    ] {
        for _ in 0..3 {
            assert_eq!(raw(number, arguments), error as i32, "{number:#x}");
            faults();
        }
    }
    // It may be shared: that is the program's own affair.
    let tag = call::capability(frame, WRITE).unwrap();
    // SAFETY: the page is only read there.
    unsafe { tlb_write(ADDRESS, frame << PAGE_SHIFT | RIGHTS, tag).unwrap() };
    faults();
    // An environment with its exceptions under way dies; its save page becomes another's, who finds it empty, and full
    // of what it has written itself however often others fault.
    let before = memory::allocate_pair().unwrap();
    // SAFETY: nobody uses them.
    unsafe {
        call::frame_free(before).unwrap();
        call::frame_free(before + 1).unwrap();
    }
    let (dying, control) = spawn(faulting, 0, None).unwrap();
    let save = (0..exos_rt::public::frames()).filter(|&number| memory::frame(number).owner == dying.0).max().unwrap();
    while FAULTS.get() < 3 {
        call::yield_to(dying).unwrap();
    }
    call::env_destroy(dying, control).unwrap();
    let (living, control) = spawn(faulting, 0, None).unwrap();
    for number in [save & !1, save | 1] {
        match call::frame_allocate(number) {
            Ok(()) => {}
            // The other one has it now.
            Err(Error::Busy) => continue,
            Err(error) => panic!("{error:?}"),
        }
        // SAFETY: nothing else is at the address.
        unsafe {
            tlb_write(ADDRESS, number << PAGE_SHIFT | RIGHTS, NO_CAPABILITY).unwrap();
            let words = ADDRESS as *mut u32;
            for at in 0..1024 {
                assert_eq!(words.add(at).read_volatile(), 0, "word {at} of frame {number}");
                words.add(at).write_volatile(at as u32 ^ 0x5a5a_5a5a);
            }
            let faults = FAULTS.get();
            while FAULTS.get() < faults + 10 {
                call::yield_to(living).unwrap();
            }
            for at in 0..1024 {
                assert_eq!(words.add(at).read_volatile(), at as u32 ^ 0x5a5a_5a5a, "word {at} of frame {number}");
            }
        }
    }
    call::env_destroy(living, control).unwrap();
    println!("{}: it stayed, and nobody else's was written to", program::name());
}
