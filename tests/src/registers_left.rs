//! A call, and all that it leaves in registers: what the programs share that look there for what is not theirs.

use core::arch::naked_asm;

/// `$at`, `$v0`, `$v1`, `$a0` to `$a3`, `$t0` to `$t9`, HI and LO behind a call.
pub type Left = [u32; 19];

/// Makes a call with `$a0` to `$a3`, and notes what it leaves.
#[unsafe(naked)]
pub unsafe extern "C" fn call_and_look(arguments: *const [u32; 4], number: u32, left: *mut Left) -> u32 {
    naked_asm!(
        ".set noreorder",
        ".set noat",
        "addiu $sp, $sp, -8",
        "sw    $a2, 0($sp)",
        "sw    $s0, 4($sp)",
        "move  $s0, $a2",
        "move  $v0, $a1",
        "move  $t0, $a0",
        "lw    $a0, 0($t0)",
        "lw    $a1, 4($t0)",
        "lw    $a2, 8($t0)",
        "lw    $a3, 12($t0)",
        "syscall",
        "sw    $at, 0($s0)",
        ".set  place, 4",
        ".irp  n, 2,3,4,5,6,7,8,9,10,11,12,13,14,15,24,25",
        "sw    $\\n, place($s0)",
        ".set  place, place + 4",
        ".endr",
        "mfhi  $t0",
        "mflo  $t1",
        "sw    $t0, 68($s0)",
        "sw    $t1, 72($s0)",
        "lw    $s0, 4($sp)",
        "addiu $sp, $sp, 8",
        "jr    $ra",
        " nop",
    )
}
