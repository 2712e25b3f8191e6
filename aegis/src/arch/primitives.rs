//! Transfers and primitive operations in assembly: what stands in their gates on an R3000. Every instruction is accounted
//! for; the counts are from the exception vector, whose 15 instructions to the gate are part of them.
//!
//! Each is the short way of a function in `crate::primitive`, which does the same in Rust. Where anything is out of the ordinary, the
//! assembly gives up, having changed nothing but `$v0`, and goes there: to `primitive`, with the call's number in `$k0`.
//!
//! At the beginning, as in every gate: kernel mode, interrupts off; `$k0` is where the program goes on, `$k1` the record
//! of its environment; `$v0` is free. Names are those that gates.rs sets.

/// The assembly in a gate, with its source lines. A debugger is not told where the program goes on: `$k0` is not it for long.
macro_rules! in_gate {
    ($text:literal) => {
        concat!(
            crate::arch::unwind::frame_begins!(),
            "\n",
            ::asm_lines::lines!($text),
            crate::arch::unwind::frame_ends_at_epc!()
        )
    };
}

/// An asynchronous transfer: 35 instructions. `$v1` is the callee's id, then the caller's.
macro_rules! transfer_async {
    () => {
        crate::arch::primitives::in_gate!(
            r"
        andi  $k0, $v1, index_mask              # 16 times the callee's index
        lui   $v0, pages_high
        addu  $k0, $k0, $v0
        lw    $v0, directory_asynchronous($k0)  # its id, if it can be entered
        lw    $k0, directory_record($k0)        # k0: its record; and the delay of the load
        bne   $v0, $v1, 1f
         lw   $v0, record_status($k0)
        lw    $v1, record_entry_hi($k0)
        mtc0  $v0, $12                          # Status: still kernel mode and interrupts off, until rfe
        mtc0  $v1, $10                          # EntryHi: the context id
        lw    $v0, record_stlb($k0)
        lw    $v1, record_id($k1)               # v1: the caller's id
        lui   $k1, pages_high
        sw    $v0, stlb($k1)
        sw    $k0, current($k1)
        sw    $k1, lent($k1)                    # only the rest of the slice is lent
        lw    $k1, record_asynchronous($k0)
        addiu $v0, $zero, TRANSFER_ASYNC        # and the delay of the load
        jr    $k1
         .word 0x42000010                       # rfe
1:      j     primitive
         addiu $k0, $zero, TRANSFER_ASYNC"
        )
    };
}

/// A yield to a named environment: 34 instructions. `$v1` is its id, then the caller's.
macro_rules! yield_to {
    () => {
        crate::arch::primitives::in_gate!(
            r"
        andi  $k0, $v1, index_mask              # 16 times its index
        lui   $v0, pages_high
        addu  $k0, $k0, $v0
        lw    $v0, directory_runnable($k0)      # its id, if it can run and has run before
        lw    $k0, directory_record($k0)        # k0: its record; and the delay of the load
        bne   $v0, $v1, 1f
         lw   $v0, record_status($k0)
        lw    $v1, record_entry_hi($k0)
        mtc0  $v0, $12                          # Status
        mtc0  $v1, $10                          # EntryHi: the context id
        lw    $v0, record_stlb($k0)
        lw    $v1, record_id($k1)               # v1: the caller's id
        lui   $k1, pages_high
        sw    $v0, stlb($k1)
        sw    $k0, current($k1)
        lw    $k0, record_next_entry($k0)       # its start of slice
        sw    $k1, lent($k1)                    # and the delay of the load
        jr    $k0
         .word 0x42000010                       # rfe
1:      j     primitive
         addiu $k0, $zero, YIELD_TO"
        )
    };
}

/// TLB_DELETE: 45 instructions if both TLBs held the page, 39 if neither did. `$a1` is the address.
macro_rules! tlb_delete {
    () => {
        crate::arch::primitives::in_gate!(
            r"
        lw    $v0, record_entry_hi($k1)
        srl   $k0, $a1, 12
        sll   $k0, $k0, 12
        or    $v0, $v0, $k0                     # v0: EntryHi of the page
        mtc0  $v0, $10
        lw    $k1, record_stlb($k1)
        tlbp
        srl   $k0, $a1, 10
        andi  $k0, $k0, stlb_index_mask
        xor   $k0, $k0, $k1                     # k0: the tag in the software TLB
        lw    $k1, 0($k0)
        nop                                     # delay of the load
        bne   $k1, $v0, 1f
         lui  $k1, pages_high                   # the tag of an entry that is not in use
        sw    $k1, 0($k0)
1:      mfc0  $k0, $0                           # Index: negative if the TLB does not hold the page
        lui   $k1, 0x8000
        bltz  $k0, 2f
         sll  $k0, $k0, 4
        or    $k0, $k0, $k1                     # a page of kseg0, for each entry another
        mtc0  $k0, $10
        mtc0  $zero, $2
        nop                                     # delay of the mtc0
        tlbwi
2:      mtc0  $v0, $10                          # EntryHi: the context id
        mfc0  $k0, $14                          # EPC
        addiu $v0, $zero, TLB_DELETE
        addiu $k0, $k0, 4
        jr    $k0
         .word 0x42000010                       # rfe"
        )
    };
}

/// TLB_WRITE: 54 instructions for a frame's owner, on the page that the frame was mapped to before; one more if the TLB
/// holds the page, 4 more on another page, 18 more with a capability. `$a1` is the address, `$a2` the EntryLo word, `$a0`
/// and `$a3` are a capability's tag.
macro_rules! tlb_write {
    () => {
        crate::arch::primitives::in_gate!(
            r"
        sw    $t0, record_borrowed($k1)
        srl   $t0, $a2, 12                      # the frame
        sltiu $v0, $t0, frame_count
        beq   $v0, $zero, 5f                    # there is none
         sll  $t0, $t0, 3
        lui   $v0, frames_high
        addu  $t0, $t0, $v0                     # t0: its entry in the table of frames
        lw    $v0, frame_owner($t0)
        lw    $k0, record_id($k1)
        bltz  $a1, 5f                           # the address is the kernel's
         sw   $t1, record_borrowed + 4($k1)
        bne   $v0, $k0, 4f                      # the frame is not the caller's
         srl  $v0, $a1, 10
1:      andi  $v0, $v0, stlb_index_mask
        lw    $k0, record_stlb($k1)
        lw    $t1, frame_binding($t0)
        xor   $k0, $k0, $v0                     # k0: the tag in the software TLB
        srl   $v0, $a1, 12
        bne   $t1, $k0, 3f                      # the frame was not here before
         sll  $v0, $v0, 12
2:      lw    $t1, record_entry_hi($k1)
        srl   $t0, $a2, 9                       # and the delay of the load
        or    $v0, $v0, $t1                     # v0: EntryHi of the page
        mtc0  $v0, $10
        sll   $t0, $t0, 9                       # t0: EntryLo, not global
        tlbp                                    # is the page in the TLB?
        sw    $v0, 0($k0)
        mfc0  $v0, $0                           # Index: negative if not
        mtc0  $t0, $2
        bgez  $v0, 6f
         sw   $t0, stlb_distance($k0)
        tlbwr
7:      lw    $t1, record_borrowed + 4($k1)
        lw    $t0, record_borrowed($k1)
        mfc0  $k0, $14                          # EPC
        addiu $v0, $zero, TLB_WRITE
        addiu $k0, $k0, 4
        jr    $k0
         .word 0x42000010                       # rfe
6:      j     7b
         tlbwi

        # The frame gets another place in the software TLB: the first one is noted, more than one make a search of it.
3:      beq   $t1, $zero, 8f
         lui  $t1, bound_anywhere_high
        j     2b
         sw   $t1, frame_binding($t0)
8:      j     2b
         sw   $k0, frame_binding($t0)

        # A capability: 12 instructions compare it with the frame's verifier, for stores or without them.
4:      sll   $t0, $t0, 1                       # twice the address of the frame's entry, without its highest bit ...
        lui   $k0, verifiers_high - 2 * frames_high + 0x10000
        addu  $t0, $t0, $k0                     # ... and moved: its verifiers
        srl   $v0, $a2, 7
        andi  $v0, $v0, 8                       # 8 if stores are allowed
        addu  $t0, $t0, $v0
        lw    $k0, 0($t0)
        lw    $v0, 4($t0)
        xor   $k0, $k0, $a0
        xor   $v0, $v0, $a3
        or    $k0, $k0, $v0
        bne   $k0, $zero, 5f                    # not one that was shown before
         srl  $t0, $a2, 12
        sll   $t0, $t0, 3
        lui   $v0, frames_high
        addu  $t0, $t0, $v0
        j     1b
         srl  $v0, $a1, 10

5:      lw    $t0, record_borrowed($k1)
        j     primitive
         addiu $k0, $zero, TLB_WRITE"
        )
    };
}

pub(super) use {in_gate, tlb_delete, tlb_write, transfer_async, yield_to};
