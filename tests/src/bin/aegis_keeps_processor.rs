//! A program that does not give its slices back is destroyed, and disturbs no other.
//@ run: aegis_keeps_processor aegis_witness
//@ verdict: fail
//@ expect: aegis: aegis_keeps_processor: destroyed: kept the processor for 8 time slices past the end of its own, pc=0x0001
//@ expect: aegis_witness: undisturbed

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

aegis_tests::bare_program! {
    code: [
        "_start:",
        "b _start",
        " nop",
        "end_of_slice:",
        "b end_of_slice",
        " nop",
        "start_of_slice:",
        "b start_of_slice",
        " nop",
        "start_of_slice_end:",
    ],
    header: [
        ".word start_of_slice, end_of_slice",
        ".space 64",
        ".word 0, 0, 0, 0",
        ".word start_of_slice, start_of_slice_end",
    ],
}
