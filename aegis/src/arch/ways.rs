//! The ways between assembly, Rust and programs, as assembly: what the gates and the traps end with on an R3000.

/// Before a call of Rust: nothing is to be done.
macro_rules! into_rust {
    () => {
        ""
    };
}

/// To the program, at `$k0`, where Rust has not run.
macro_rules! to_program {
    () => {
        "    jr    $k0\n     .word 0x42000010" // rfe: user mode, interrupts on
    };
}

/// To the program, at `$k0`, where Rust has run. `$k1` is free.
macro_rules! from_rust_to_program {
    () => {
        "    jr    $k0\n     .word 0x42000010" // rfe
    };
}

/// Rust found that a miss of the software TLB is the program's: as if the vector had been the other. EPC, Cause and
/// BadVAddr are as they were. `$k0` and `$k1` are free.
macro_rules! from_rust_to_dispatch {
    () => {
        "    j     general\n     nop"
    };
}

/// Status: whether the exception came from user mode (KUp).
pub(super) const FROM_USER: u32 = 8;

pub(super) use {from_rust_to_dispatch, from_rust_to_program, into_rust, to_program};
