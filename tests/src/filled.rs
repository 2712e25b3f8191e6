//! What the programs share that a test on the model interrupts at each instruction between two marks: code that runs
//! with a value of its own in every register that it must not change.

use exos_rt::shared::Shared;

/// The stack pointer of who called, and the seed.
pub static SAVED: Shared<[u32; 2]> = Shared::new([0; 2]);

/// Defines a function `unsafe extern "C" fn(seed, …) -> u32`: gives each register but `$v0` and `$a0` to `$a3` a
/// value made of the seed, executes lines of assembly between marks, and returns the bits in which any of them has
/// changed.
///
/// The lines have `$v0` and `$a0` to `$a3` to themselves; the last three are arguments. If all registers are filled
/// there is no stack; if those that a function preserves are, the lines may call one.
macro_rules! filled {
    ($(#[$doc:meta])* fn $name:ident: all, [$($line:literal),* $(,)?], $($operands:tt)*) => {
        filled! {
            $(#[$doc])* fn $name: "1,3,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,28,29,30,31", "1",
            [$($line),*], $($operands)*
        }
    };
    ($(#[$doc:meta])* fn $name:ident: preserved, [$($line:literal),* $(,)?], $($operands:tt)*) => {
        filled! {
            $(#[$doc])* fn $name: "16,17,18,19,20,21,22,23,28,30", "0", [$($line),*], $($operands)*
        }
    };
    ($(#[$doc:meta])* fn $name:ident: $registers:literal, $hi_lo:literal, [$($line:literal),*], $($operands:tt)*) => {
        $(#[$doc])*
        #[unsafe(naked)]
        unsafe extern "C" fn $name(seed: u32, a1: u32, a2: u32, a3: u32) -> u32 {
            core::arch::naked_asm!(
                ".set noreorder",
                ".set noat",
                "addiu $sp, $sp, -64",
                ".set place, 16",
                ".irp n, 16,17,18,19,20,21,22,23,28,30,31",
                "sw    $\\n, place($sp)",
                ".set place, place + 4",
                ".endr",
                "lui   $v0, %hi({saved})",
                "sw    $sp, %lo({saved})($v0)",
                "sw    $a0, %lo({saved} + 4)($v0)",
                "move  $v0, $a0",
                concat!(".irp n, ", $registers),
                "addu  $v0, $v0, $a0",
                "move  $\\n, $v0",
                ".endr",
                "addu  $v0, $v0, $a0",
                "mthi  $v0",
                "addu  $v0, $v0, $a0",
                "mtlo  $v0",
                ".word {begin}",
                $($line,)*
                ".word {end}",
                // The same again: each register becomes its difference from what it should be.
                "lui   $a0, %hi({saved})",
                "lw    $a0, %lo({saved} + 4)($a0)",
                "move  $v0, $zero",
                "move  $a1, $a0",
                concat!(".irp n, ", $registers),
                "addu  $a1, $a1, $a0",
                "xor   $\\n, $\\n, $a1",
                "or    $v0, $v0, $\\n",
                ".endr",
                concat!(".if ", $hi_lo),
                "mfhi  $a2",
                "mflo  $a3",
                "addu  $a1, $a1, $a0",
                "xor   $a2, $a2, $a1",
                "or    $v0, $v0, $a2",
                "addu  $a1, $a1, $a0",
                "xor   $a3, $a3, $a1",
                "or    $v0, $v0, $a3",
                ".endif",
                "lui   $a0, %hi({saved})",
                "lw    $sp, %lo({saved})($a0)",
                "nop",
                ".set place, 16",
                ".irp n, 16,17,18,19,20,21,22,23,28,30,31",
                "lw    $\\n, place($sp)",
                ".set place, place + 4",
                ".endr",
                "addiu $sp, $sp, 64",
                "jr    $ra",
                " nop",
                saved = sym filled::SAVED,
                begin = const exos_rt::abi::mark::WORD | 1,
                end = const exos_rt::abi::mark::WORD | exos_rt::abi::mark::END | 1,
                $($operands)*
            )
        }
    };
}
