//! The inner loop of a range protect.

use super::layout::STLB_DISTANCE;
#[cfg(not(feature = "malta"))]
use asm_lines::naked_asm;

/// Takes the rights that are clear in `rights` from those of `pages` entries of the software TLB from `slot` on whose tags are `tag` and the following ones a
/// page apart each. 6 instructions a page that is there, 4 for another, and 3 for each four.
///
/// `rights` is a word as programs write it.
///
/// # Safety
/// The entries lie in the table, in a row; `pages` is not 0.
#[cfg(not(feature = "malta"))]
#[unsafe(naked)]
pub unsafe extern "C" fn restrict(slot: u32, tag: u32, pages: u32, rights: u32) {
    // In: a0 = address of the first tag, a1 = the first tag, a2 = pages, a3 = rights. A function of Rust's: interrupts are off.
    naked_asm!(
        ".set noreorder",
        ".set noat",
        ".macro page n",
        "lw    $t0, 4*\\n($a0)",             // the tag
        "lw    $t1, {distance} + 4*\\n($a0)", // EntryLo; and the delay of the load
        "bne   $t0, $a1, 9f",
        " addiu $a1, $a1, 0x1000",         // the next page's tag
        "and   $t1, $t1, $a3",
        "sw    $t1, {distance} + 4*\\n($a0)",
        "9:",
        ".endm",
        "nor   $a3, $a3, $zero",
        "andi  $a3, $a3, 0x600",           // VALID and DIRTY: what is to be taken
        "nor   $a3, $a3, $zero",           // a3: mask of what stays
        // One by one until a multiple of four is left.
        "1:",
        "andi  $t0, $a2, 3",
        "beq   $t0, $zero, 2f",
        " nop",
        "page  0",
        "addiu $a0, $a0, 4",
        "b     1b",
        " addiu $a2, $a2, -1",
        "2:",
        "beq   $a2, $zero, 4f",
        " sll  $a2, $a2, 2",
        "addu  $a2, $a2, $a0",             // a2: where the tags end
        "3:",
        "page  0",
        "page  1",
        "page  2",
        "page  3",
        "addiu $a0, $a0, 16",
        "bne   $a0, $a2, 3b",
        " nop",
        "4:",
        "jr    $ra",
        " nop",
        ".purgem page",
        distance = const STLB_DISTANCE,
    )
}

/// The same on MIPS32, where an entry that is left without rights is deleted.
///
/// # Safety
/// As above.
#[cfg(feature = "malta")]
pub unsafe extern "C" fn restrict(slot: u32, tag: u32, pages: u32, rights: u32) {
    use super::cp0::EntryLo;
    for page in 0..pages {
        // SAFETY: the caller's.
        unsafe {
            let at = (slot as *mut u32).add(page as usize);
            if at.read_volatile() == tag + page * 0x1000 {
                let low = at.byte_add(STLB_DISTANCE as usize);
                let restricted = EntryLo::from_bits_retain(low.read_volatile()).restricted(rights);
                if restricted.contains(EntryLo::VALID) {
                    low.write_volatile(restricted.bits());
                } else {
                    // An entry that is not valid would be looked up again and again.
                    at.write_volatile(super::layout::KERNEL_PAGES);
                }
            }
        }
    }
}
