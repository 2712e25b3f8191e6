//! A handler in the normal segment, where the kernel itself maps nothing, that can't be fetched does not lock the
//! machine up: its program gets nowhere, and no other is disturbed.
//@ run: aegis_handler_far,limit=20 aegis_witness
//@ verdict: fail
//@ expect: aegis_witness: undisturbed
//@ expect: aegis: 3 programs ended, 1 badly
//@ forbid: not reached

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::abi::exception::Code;
use exos_rt::call;

fn main() {
    // SAFETY: there is none; that is the test.
    unsafe {
        call::set_handler(Code::TlbLoad, Some(0x5040_0000)).unwrap();
        (0x5050_0000 as *const u32).read_volatile();
    }
    exos_rt::println!("not reached");
}
