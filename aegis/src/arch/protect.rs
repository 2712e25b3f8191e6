//! The inner loop of a range protect.

use super::layout::STLB_DISTANCE;
#[cfg(not(feature = "malta"))]
use asm_lines::naked_asm;

/// Takes the rights that are clear in `rights` from those of `pages` entries of the software TLB from `slot` on whose tags are `tag` and the following ones a
/// page apart each. 10 instructions a page that is there, 6 for another.
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
        "nor   $a3, $a3, $zero",
        "andi  $a3, $a3, 0x600",           // VALID and DIRTY: what is to be taken
        "nor   $a3, $a3, $zero",           // a3: mask of what stays
        "sll   $a2, $a2, 2",
        "addu  $a2, $a2, $a0",             // a2: where the tags end
        "1:",
        "lw    $t0, 0($a0)",               // the tag
        "addiu $a0, $a0, 4",               // and the delay of the load
        "bne   $t0, $a1, 2f",
        " addiu $a1, $a1, 0x1000",         // the next page's tag
        "lw    $t1, {distance} - 4($a0)",  // EntryLo
        "nop",                             // delay of the load
        "and   $t1, $t1, $a3",
        "sw    $t1, {distance} - 4($a0)",
        "2:",
        "bne   $a0, $a2, 1b",
        " nop",
        "jr    $ra",
        " nop",
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
