//! The first and the last instructions of the loader on a Malta board.

use core::arch::global_asm;

use aegis_abi::boot::{self, BootInfo};

/// Bytes of the stack. A plan takes 19,000 of them.
const STACK_BYTES: usize = 64 * 1024;

global_asm!(
    r#"
    .set    push
    .set    noreorder
    .set    noat

    # Entered by the PROM in kernel mode:
    #   $a0 number of arguments, -1 for the two that an emulator with semihosting passes
    #   $a1 their addresses   $a2 settings, not used   $a3 bytes of memory
    # Nothing has to be cleared: the linker script sees to it that no static begins as zero.
    .section .text.start, "ax", @progbits
    .globl  _start
    .type   _start, @function
_start:
    mtc0    $zero, $12              # Status: interrupts off, vectors in memory, kernel mode
    mfc0    $t0, $16                # Config
    addiu   $t1, $zero, -8
    and     $t0, $t0, $t1
    ori     $t0, $t0, 3             # K0: kseg0 is cached, as the pages of programs are
    mtc0    $t0, $16
    .word   0x000000c0              # ehb
    bgez    $a0, 1f
    nop                             # (branch delay)
    li      $a0, 2
1:  lui     $sp, %hi(stack_end)
    addiu   $sp, $sp, %lo(stack_end)
    lui     $t0, %hi(prom_memory_bytes)
    sw      $a3, %lo(prom_memory_bytes)($t0)
    addiu   $sp, $sp, -16           # o32: room for the callee to save $a0-$a3
    jal     loader_main             # $a0, $a1 as they came; does not return
    move    $ra, $zero              # (branch delay) nobody called: a debugger's walk of the stack ends here
    .size   _start, . - _start

    # enter_kernel(entry: $a0, info: $a1, magic: $a2): turns everything in Status off and jumps.
    .section .text.enter, "ax", @progbits
    .globl  loader_enter_kernel
    .type   loader_enter_kernel, @function
loader_enter_kernel:
    mtc0    $zero, $12              # Status: vectors in memory, interrupts off, kernel mode, no coprocessor
    move    $t0, $a0
    move    $a0, $a1                # the boot info
    jr      $t0
    move    $a1, $a2                # (branch delay) the magic number
    .size   loader_enter_kernel, . - loader_enter_kernel

    # Written once, above.
    .section .data.prom_memory_bytes, "aw", @progbits
    .globl  prom_memory_bytes
    .balign 4
prom_memory_bytes:
    .word   0

    # Not cleared: nothing is read of it that was not written.
    .section .stack, "aw", @nobits
    .balign 16
stack:
    .space  {stack_bytes}
stack_end:

    .set    pop
    "#,
    stack_bytes = const STACK_BYTES,
);

/// Enters the kernel.
pub fn enter_kernel(entry: u32, info: &BootInfo) -> ! {
    unsafe extern "C" {
        fn loader_enter_kernel(entry: u32, info: &BootInfo, magic: u32) -> !;
    }
    // SAFETY: the plan has put the kernel there, and found `entry` to be an instruction of it. This loader is over:
    // nothing of it is used any more but `info`, which stays where it is because nobody uses this stack again.
    unsafe { loader_enter_kernel(entry, info, boot::MAGIC) }
}
