//! A store to a page that is not mapped.
//@ run: aegis_fault_store_unmapped aegis_witness
//@ verdict: fail
//@ expect: aegis_fault_store_unmapped: fault: store to an unmapped page, address=0x00600000, pc=0x0001
//@ expect: {line:fault}
//@ expect: aegis_witness: undisturbed
//@ expect: aegis: 3 programs ended, 1 badly
//@ forbid: not reached

#![no_std]
#![no_main]
exos_rt::program!(main);

fn main() {
    // SAFETY: there is none; that is the test.
    unsafe { (0x60_0000 as *mut u32).write_volatile(1) } // line: fault
    exos_rt::println!("not reached");
}
