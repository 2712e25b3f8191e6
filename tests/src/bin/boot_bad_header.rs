//! A program that wants to be entered in the kernel is refused before it runs.
//@ run: boot_bad_header boot_hello
//@ verdict: fail
//@ expect: aegis: boot_bad_header: refused: one of its exception handlers is not at a word-aligned user address
//@ expect: boot_hello: hello

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

aegis_tests::bare_program! {
    code: [
        "_start:",
        "b _start",
        " nop",
        "_start_end:",
    ],
    header: [
        ".word _start, _start",
        ".rept 15",
        ".word 0",
        ".endr",
        ".word 0x80000080",
        ".word 0, 0, 0, 0",
        ".word _start, _start_end",
    ],
}
