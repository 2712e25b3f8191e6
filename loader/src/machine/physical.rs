//! Memory by its physical addresses, and what the image put there.

use core::arch::global_asm;
use core::{ptr, slice};

use aegis_abi::boot::{ARCHIVE_MAGIC, ArchiveHeader};
use aegis_loader::memory::KSEG0;

unsafe extern "C" {
    // Placed by the linker script. Only their addresses mean something.
    static __loader_start: u8;
    static __archive: ArchiveHeader;
}

/// The boot archive as it is linked: empty. Who makes an image puts a header and an archive in its place.
#[used]
#[unsafe(link_section = ".archive")]
static EMPTY_ARCHIVE: ArchiveHeader = ArchiveHeader { magic: ARCHIVE_MAGIC, bytes: 0 };

/// Where the loader begins.
pub fn loader_start() -> u32 {
    (&raw const __loader_start).addr() as u32 - KSEG0
}

/// The header before the boot archive, and where it stands.
pub fn archive_header() -> (ArchiveHeader, u32) {
    let header = &raw const __archive;
    // SAFETY: the linker script makes room for a header there, on a page boundary, and what the image has in its
    // place is a header for any value of its bytes. It is volatile because the compiler has seen another value.
    (unsafe { header.read_volatile() }, header.addr() as u32 - KSEG0)
}

/// The boot archive, `bytes` bytes behind its header.
///
/// `bytes` must be what `plan::archive_bytes` found to be in memory.
pub fn archive(bytes: u32) -> &'static [u8] {
    // SAFETY: they are in memory, and nobody writes to them: a plan writes only to what is free, and has all that is
    // up to the end of the archive taken for the loader.
    unsafe { slice::from_raw_parts((&raw const __archive).add(1).cast(), bytes as usize) }
}

/// Copies `bytes` bytes of the archive, from the byte `from` on, to physical memory at `to`, as a plan says.
pub fn copy(archive: &[u8], from: u32, to: u32, bytes: u32) {
    let source = &archive[from as usize..][..bytes as usize];
    let (from, to) = (source.as_ptr(), address(to));
    // Segments begin on the same word boundaries in the file and in memory, unless a strange linker made the file.
    let blocks =
        if (from.addr() | to.addr()).is_multiple_of(align_of::<u32>()) { source.len() & !(BLOCK_BYTES - 1) } else { 0 };
    // SAFETY: a plan writes only to memory that is free, that is in no object of this program, and where nothing else
    // is written; the vectors, which are nobody's, included. `blocks` is not larger than the slice.
    unsafe {
        if blocks > 0 {
            loader_copy_blocks(from, to, from.add(blocks));
        }
        ptr::copy_nonoverlapping(from.add(blocks), to.add(blocks), source.len() - blocks);
    }
}

/// Clears `bytes` bytes of physical memory from `start` on, as a plan says.
pub fn zero(start: u32, bytes: u32) {
    let (start, bytes) = (address(start), bytes as usize);
    let before = start.align_offset(BLOCK_BYTES).min(bytes);
    let blocks = (bytes - before) & !(BLOCK_BYTES - 1);
    // SAFETY: as for `copy`. The three pieces follow each other and are `bytes` long together.
    unsafe {
        ptr::write_bytes(start, 0, before);
        let start = start.add(before);
        if blocks > 0 {
            loader_clear_blocks(start, start.add(blocks));
        }
        ptr::write_bytes(start.add(blocks), 0, bytes - before - blocks);
    }
}

/// Where the processor sees a byte of physical memory.
fn address(physical: u32) -> *mut u8 {
    ptr::with_exposed_provenance_mut((KSEG0 + physical) as usize)
}

/// Bytes that one turn of the loops below moves.
const BLOCK_BYTES: usize = 16;

unsafe extern "C" {
    /// Copies the blocks from `from` to just before `end`, at least one. All addresses are word aligned.
    fn loader_copy_blocks(from: *const u8, to: *mut u8, end: *const u8);
    /// Clears the blocks from `start` to just before `end`, at least one. All addresses are word aligned.
    fn loader_clear_blocks(start: *mut u8, end: *mut u8);
}

// Most of the loader's time is here. These take less than three and less than two instructions a word, the compiler's
// loops two to three times as many.
global_asm!(
    r#"
    .set    push
    .set    noreorder
    .set    noat

    .section .text.blocks, "ax", @progbits
    .globl  loader_copy_blocks
    .type   loader_copy_blocks, @function
loader_copy_blocks:                 # $a0 from, $a1 to, $a2 end of from
1:  lw      $t0, 0($a0)
    lw      $t1, 4($a0)
    lw      $t2, 8($a0)
    lw      $t3, 12($a0)
    addiu   $a0, $a0, 16            # (load delay of $t3)
    sw      $t0, 0($a1)
    sw      $t1, 4($a1)
    sw      $t2, 8($a1)
    sw      $t3, 12($a1)
    bne     $a0, $a2, 1b
    addiu   $a1, $a1, 16            # (branch delay)
    jr      $ra
    nop                             # (branch delay)
    .size   loader_copy_blocks, . - loader_copy_blocks

    .globl  loader_clear_blocks
    .type   loader_clear_blocks, @function
loader_clear_blocks:                # $a0 start, $a1 end
1:  sw      $zero, 0($a0)
    sw      $zero, 4($a0)
    sw      $zero, 8($a0)
    addiu   $a0, $a0, 16
    bne     $a0, $a1, 1b
    sw      $zero, -4($a0)          # (branch delay) the block's last word
    jr      $ra
    nop                             # (branch delay)
    .size   loader_clear_blocks, . - loader_clear_blocks

    .set    pop
    "#
);
