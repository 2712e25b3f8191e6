//! A handler whose page is mapped, but without any right, does not lock the machine up: its program gets nowhere, and
//! no other is disturbed.
//@ run: aegis_handler_invalid,limit=20 aegis_witness
//@ verdict: fail
//@ expect: aegis_witness: undisturbed
//@ expect: aegis: 3 programs ended, 1 badly
//@ forbid: not reached

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::abi::exception::Code;
use exos_rt::abi::vm::PAGE_SHIFT;
use exos_rt::{call, memory};

const ADDRESS: u32 = 0x5040_0000;

fn main() {
    let frame = memory::allocate().unwrap();
    // SAFETY: there is no handler; that is the test.
    unsafe {
        call::tlb_write(ADDRESS, frame << PAGE_SHIFT, call::NO_CAPABILITY).unwrap();
        call::set_handler(Code::TlbLoad, Some(ADDRESS)).unwrap();
        (ADDRESS as *const u32).read_volatile();
    }
    exos_rt::println!("not reached");
}
