//! What the software TLB holds, by addressing context.

#![no_std]
#![no_main]

use exos::println;
use exos_rt::public;
use exos_rt::sequences::window;

exos::process!(main);

/// Entries of the software TLB.
const ENTRIES: u32 = 4096;

fn main() -> u32 {
    let tags = window(public::software_tlb()) as *const u32;
    let mut used = [0_u32; 64];
    let mut all = 0;
    for place in 0..ENTRIES as usize {
        // SAFETY: the table is public and has so many entries.
        let tag = unsafe { tags.add(place).read_volatile() };
        let context = tag >> 6 & 0x3f;
        if context != 0 {
            used[context as usize] += 1;
            all += 1;
        }
    }
    println!("{all} of {ENTRIES} entries are in use");
    for (context, &count) in used.iter().enumerate().filter(|&(_, &count)| count != 0) {
        println!("context {context:2}: {count:4} pages");
    }
    0
}
