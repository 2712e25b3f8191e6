//! A program that spins for ever, and is allowed three time slices.
//@ run: aegis_fault_spin,limit=3 aegis_witness
//@ verdict: fail
//@ expect: aegis_fault_spin: fault: still running after 3 time slices, pc=0x0001
//@ expect: tests/src/bin/aegis_fault_spin.rs:
//@ expect: aegis_witness: undisturbed
//@ expect: aegis: 3 programs ended, 1 badly

#![no_std]
#![no_main]
exos_rt::program!(main);

fn main() {
    // Every slice ends in this loop, so that is the line that is reported.
    loop {
        core::hint::spin_loop();
    }
}
