//! A handler that can't be fetched does not lock the machine up: its program is destroyed, and no other disturbed.
//@ run: aegis_handler_unmapped aegis_witness
//@ verdict: fail
//@ expect: aegis: aegis_handler_unmapped: destroyed: its handler for load or fetch from an unmapped page is unmapped, pc=0x00500000
//@ expect: aegis_witness: undisturbed
//@ forbid: not reached

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::abi::exception::Code;
use exos_rt::call;

fn main() {
    // SAFETY: there is none; that is the test.
    unsafe {
        call::set_handler(Code::TlbLoad, Some(0x50_0000)).unwrap();
        (0x60_0000 as *const u32).read_volatile();
    }
    exos_rt::println!("not reached");
}
