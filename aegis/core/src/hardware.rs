//! What the rules of ownership need done to the TLB, the software TLB and memory.
//!
//! The kernel does it on the machine, the tests to a simulation. Each operation is bounded.

use aegis_abi::ash;
use aegis_abi::network::{Descriptor, Installed};

/// Entries of the software TLB.
pub const SOFTWARE_TLB_ENTRIES: u32 = 4096;

/// The index of the software TLB's entry whose tag is at address `slot`. Tags are words, and the table begins at a
/// multiple of its size.
#[must_use]
pub const fn entry_index(slot: u32) -> u32 {
    slot / 4 % SOFTWARE_TLB_ENTRIES
}

/// The machine, as far as it holds bindings of frames.
pub trait Hardware {
    /// If the software TLB's entry whose tag is at address `slot` maps `frame`, makes it invalid.
    fn unbind_slot(&mut self, slot: u32, frame: u32);

    /// Makes TLB entries that map `frame` invalid.
    fn unbind_tlb(&mut self, frame: u32);

    /// Makes software TLB entries that map `frame` invalid, of the `count` from index `from` on.
    fn unbind_range(&mut self, frame: u32, from: u32, count: u32);

    /// Copies what is in the frame `from` to the frame `to`, another.
    fn copy(&mut self, from: u32, to: u32);

    /// Empties TLB and software TLB.
    fn flush(&mut self);

    /// Fills a frame with zeros.
    fn zero(&mut self, frame: u32);

    /// Makes the instruction cache forget a frame, and with it all of the same colour: those whose numbers differ by a
    /// multiple of [`colours`](Hardware::colours).
    fn flush_instructions(&mut self, frame: u32);

    /// The number of colours of the instruction cache.
    fn colours(&self) -> u32;

    /// What is noted of a filter, at the beginning of the frame that pays for it, which no program can write.
    fn installed(&mut self, frame: u32) -> &mut Installed;

    /// What is noted of a handler, at the beginning of the second of its frames, which no program can write.
    fn handler(&mut self, frame: u32) -> &mut ash::Installed;

    /// What stands at a place of a ring, which is in this frame: whatever its owner has written.
    fn descriptor(&mut self, ring: u32, place: u32) -> Descriptor;

    /// Writes the length of the message at a place of a ring.
    fn set_length(&mut self, ring: u32, place: u32, bytes: u32);
}
