//! A stack that grows into the page below it, which is unmapped.
//@ run: aegis_fault_stack_overflow aegis_witness
//@ verdict: fail
//@ expect: aegis_fault_stack_overflow: fault: store to an unmapped page, address=0x0001
//@ expect: aegis_witness: undisturbed
//@ expect: aegis: 3 programs ended, 1 badly
//@ forbid: not reached

#![no_std]
#![no_main]
exos_rt::program!(main);

fn main() {
    assert_eq!(deeper(core::hint::black_box(100_000)), 0);
    exos_rt::println!("not reached");
}

#[inline(never)]
fn deeper(levels: u32) -> u32 {
    let page = core::hint::black_box([levels; 256]);
    if levels == 0 { 0 } else { deeper(levels - 1) + page[7] - levels }
}
