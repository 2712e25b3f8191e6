//! The first and the last instructions of the loader.
//!
//! The assembler does not fill any slot on MIPS I: a load's register is not used by the next instruction, and behind
//! each branch stands the one that is executed with it.

use core::arch::global_asm;

use aegis_abi::boot::{self, BootInfo};

/// What the PROM passes in `$a2` if it has the interface of the TURBOchannel machines (REX).
const REX_MAGIC: u32 = 0x3046_4354;
/// Bytes of the stack. A plan takes 19,000 of them, the PROM's bitmap 17,000.
const STACK_BYTES: usize = 64 * 1024;

global_asm!(
    r#"
    .set    push
    .set    noreorder
    .set    noat

    # Entered by the PROM in kernel mode, interrupts off:
    #   $a0 number of arguments   $a1 their addresses   $a2 REX_MAGIC   $a3 the PROM's call vector
    # Nothing has to be cleared: the linker script sees to it that no static begins as zero.
    .section .text.start, "ax", @progbits
    .globl  _start
    .type   _start, @function
_start:
    li      $t0, {rex_magic}        # two instructions: neither is in a slot
1:  bne     $a2, $t0, 1b            # another PROM: nothing is known that could say so
    nop                             # (branch delay)
    lui     $sp, %hi(stack_end)
    addiu   $sp, $sp, %lo(stack_end)
    lui     $t0, %hi(prom_call_vector)
    sw      $a3, %lo(prom_call_vector)($t0)
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
    .section .data.prom_call_vector, "aw", @progbits
    .globl  prom_call_vector
    .balign 4
prom_call_vector:
    .word   0

    # Not cleared: nothing is read of it that was not written.
    .section .stack, "aw", @nobits
    .balign 16
stack:
    .space  {stack_bytes}
stack_end:

    .set    pop
    "#,
    rex_magic = const REX_MAGIC,
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
