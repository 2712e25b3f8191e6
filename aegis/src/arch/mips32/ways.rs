//! The ways between assembly, Rust and programs, as assembly: what the gates and the traps end with on MIPS32.
//!
//! Assembly runs with EXL set, as the exception left it. Rust runs with Status 0, which is kernel mode with interrupts
//! off, too, but lets EPC tell of an exception that should not be.

/// Before a call of Rust.
macro_rules! into_rust {
    () => {
        "    mtc0  $zero, $12" // Status
    };
}

/// To the program, at `$k0`, where Rust has not run.
macro_rules! to_program {
    () => {
        "    mtc0  $k0, $14\n    .word 0x000000c0\n    .word 0x42000018" // EPC, ehb, eret
    };
}

/// To the program, at `$k0`, where Rust has run. `$k1` is free.
macro_rules! from_rust_to_program {
    () => {
        "    ori   $k1, $zero, 0x8513\n    mtc0  $k1, $12\n    mtc0  $k0, $14\n    .word 0x000000c0\n    .word 0x42000018"
    };
}

/// Rust found that a miss of the software TLB is the program's. EPC, Cause and BadVAddr are as they were. `$k0` and
/// `$k1` are free.
macro_rules! from_rust_to_dispatch {
    () => {
        "    ori   $k1, $zero, 0x8513\n    mtc0  $k1, $12\n    j     unmapped\n     nop"
    };
}

/// Status: whether the exception came from user mode.
pub(super) const FROM_USER: u32 = super::cp0::Status::UM.bits();

const _: () = assert!(crate::machine::user_status().bits() == 0x8513, "the assembly above has this number");

pub(super) use {from_rust_to_dispatch, from_rust_to_program, into_rust, to_program};
