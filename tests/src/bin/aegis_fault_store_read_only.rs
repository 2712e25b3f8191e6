//! A store to a page that is mapped read-only: the program's own text.
//@ run: aegis_fault_store_read_only aegis_witness
//@ verdict: fail
//@ expect: aegis_fault_store_read_only: fault: store to a read-only page, address=0x00010000, pc=0x0001
//@ expect: {line:fault}
//@ expect: aegis_witness: undisturbed
//@ expect: aegis: 3 programs ended, 1 badly
//@ forbid: not reached

#![no_std]
#![no_main]
exos_rt::program!(main);

fn main() {
    // SAFETY: there is none; that is the test.
    unsafe { (0x1_0000 as *mut u32).write_volatile(1) } // line: fault
    exos_rt::println!("not reached");
}
