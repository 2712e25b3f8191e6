//! Primitive operations change no register, neither where they succeed nor where they are refused: `$v0` keeps the
//! number, or is the error; and calls without a stack change none but `$v0`.
//@ expect: aegis_primitives: 41 calls changed nothing

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../registers.rs"]
mod registers;

use exos_rt::abi::Error;
use exos_rt::abi::call::{
    CONTEXT_SWITCH, FPU_MODE, SELF, TLB_DELETE, TLB_PROBE, TLB_PROTECT, TLB_WRITE, TRANSFER, TRANSFER_ASYNC, YIELD_TO,
};
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT, entry_lo};
use exos_rt::{call, memory, println, public};
use registers::{A0, V0, changed, different, make_call};

const ADDRESS: u32 = 0x5040_0000;

fn main() {
    let frame = memory::allocate().unwrap() << PAGE_SHIFT;
    let entry = frame | entry_lo::VALID | entry_lo::DIRTY;
    let table = public::frame_table() | entry_lo::VALID;
    let error = |error: Error| error as u32;
    let (bad, denied, nobody) = (error(Error::BadArgument), error(Error::Denied), error(Error::NoSuchEnvironment));
    let fpu = match call::fpu_mode(false) {
        Ok(()) => FPU_MODE,
        Err(absent) => error(absent),
    };
    let far = ADDRESS + 0x5000 * PAGE_BYTES;
    let mut seed = 0;
    // Each with its arguments and what is in $v0 afterwards, done twice, as the first time may be by another way.
    let mut check = |number: u32, arguments: [u32; 4], result: u32| {
        for _ in 0..2 {
            seed += 0x1234_5677;
            let mut before = different(seed);
            before[V0] = number;
            before[A0..A0 + 4].copy_from_slice(&arguments);
            // SAFETY: the mappings are of pages that nothing else is at; the rest changes nothing.
            let after = unsafe { make_call(&before) };
            assert_eq!(after[V0], result, "call {number:#x} of {arguments:x?}");
            before[V0] = result;
            let list = changed(&before, &after);
            assert_eq!(
                list.count(),
                0,
                "call {number:#x} of {arguments:x?}: registers {:?}",
                changed(&before, &after).next()
            );
        }
    };
    let calls = [
        (TLB_PROBE, [1, ADDRESS, 2, 3], 0),
        (TLB_WRITE, [1, ADDRESS, entry, 2], TLB_WRITE),
        (TLB_PROBE, [1, ADDRESS, 2, 3], entry),
        (TLB_WRITE, [1, ADDRESS + PAGE_BYTES, entry, 2], TLB_WRITE),
        (TLB_WRITE, [1, far, entry, 2], TLB_WRITE),
        (TLB_WRITE, [1, ADDRESS, table, 2], TLB_WRITE),
        (TLB_WRITE, [1, ADDRESS, table | entry_lo::DIRTY, 2], denied),
        (TLB_WRITE, [1, ADDRESS, 0, 2], denied),
        (TLB_WRITE, [1, ADDRESS, u32::MAX, 2], denied),
        (TLB_WRITE, [1, 0x8000_0000, entry, 2], bad),
        (TLB_WRITE, [1, u32::MAX, entry, 2], bad),
        (TLB_DELETE, [1, ADDRESS, 2, 3], TLB_DELETE),
        (TLB_DELETE, [1, far, 2, 3], TLB_DELETE),
        (TLB_DELETE, [1, 0x8000_0000, 2, 3], TLB_DELETE),
        (TLB_PROBE, [1, ADDRESS, 2, 3], 0),
        (TLB_PROBE, [1, 0x8000_0000, 2, 3], 0),
        (TLB_PROTECT, [0, ADDRESS, 1, 3], TLB_PROTECT),
        (TLB_PROTECT, [0, ADDRESS, 100, 3], TLB_PROTECT),
        (TLB_PROTECT, [0, ADDRESS, 129, 3], bad),
        (TLB_PROTECT, [0, u32::MAX, 1, 3], bad),
        (CONTEXT_SWITCH, [1, 1, 2, 3], CONTEXT_SWITCH),
        (CONTEXT_SWITCH, [1, 0, 2, 3], CONTEXT_SWITCH),
        (CONTEXT_SWITCH, [1, 4, 2, 3], bad),
        (FPU_MODE, [1, 0, 2, 3], fpu),
        (FPU_MODE, [1, 2, 2, 3], bad),
        (SELF, [1, 2, 3, 4], call::self_id().0),
    ];
    for (number, arguments, result) in calls {
        check(number, arguments, result);
    }
    // Transfers that are refused: $v1 stays as it was, which is nobody's id.
    let transfers = [TRANSFER, TRANSFER_ASYNC, YIELD_TO];
    for (number, arguments) in transfers.into_iter().flat_map(|number| (0..5).map(move |n| (number, [n; 4]))) {
        check(number, arguments, nobody);
    }
    println!("aegis_primitives: {} calls changed nothing", calls.len() + 5 * transfers.len());
}
