//! A server that is lent a slice and keeps it: it does not answer, and does not give the slice back when it ends. It pays
//! for that itself, to its own end; its caller has all its slices again, and owes nothing.
//@ run: hostile_donor aegis_witness
//@ verdict: fail
//@ expect: destroyed: kept the processor for 8 time slices past the end of its own
//@ expect: hostile_donor: the slices are the donor's again, and it owes nothing
//@ expect: aegis_witness: undisturbed
//@ timeout: 60

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

use core::arch::global_asm;
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, println, program, public, sequences, transfer};

static READY: Shared<bool> = Shared::new(false);

global_asm!(".set noreorder", ".section .text.keep, \"ax\", @progbits", "keep_all:", "b     keep_all", " nop",);

unsafe extern "C" {
    fn keep_all();
}

/// Takes transfers and keeps what comes with them.
extern "C" fn keeper(_: u32) -> ! {
    let keep = keep_all as *const () as u32;
    let mut header = *sequences::header();
    header.end_of_slice = keep;
    header.protected_entries.synchronous = keep;
    header.protected_entries.asynchronous = keep;
    // SAFETY: the entries are code, which does no more than keep the processor.
    unsafe { call::env_setup(call::self_id(), call::NO_CAPABILITY, &header, header.start_of_slice).unwrap() };
    READY.set(true);
    call::wait(None);
    unreachable!()
}

fn main() {
    let me = call::self_id();
    call::slice_allocate(40).unwrap();
    let slices: u32 = public::slices_of(me).map(|position| 1 << (position % 32)).sum();
    let (id, _) = spawn(keeper, 0, None).unwrap();
    while !READY.get() {
        call::yield_to(id).unwrap();
    }
    let (excess, forfeited) = (public::statistics().excess, public::statistics().forfeited);
    let start = call::clock();
    assert!(transfer::call(id, [1, 2, 3, 4]).is_err());
    assert!(call::wake(id).is_err(), "it lives");
    assert!(call::clock() - start < 64, "after {} ticks", call::clock() - start);
    assert_eq!(public::slices_of(me).map(|position| 1 << (position % 32)).sum::<u32>(), slices);
    assert!(public::slices_of(me).all(|position| public::slice(position).runner == me.0));
    // A round for whoever owes to pay.
    for _ in 0..3 {
        call::yield_slice();
    }
    let statistics = public::statistics();
    assert!(statistics.excess > excess, "no tick was too many");
    assert_eq!(statistics.forfeited, forfeited, "somebody has paid for the dead");
    println!("{}: the slices are the donor's again, and it owes nothing", program::name());
}
