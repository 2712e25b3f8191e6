//! Mends the one hazard that the compiler makes by itself: it multiplies directly behind an `mflo`, or one instruction later.
//!
//! LLVM keeps its distance from reading HI or LO to `mult` and `divu`, but not to `multu`, which the lower half of a product
//! of 64-bit numbers is made by; whoever wrote the program can't do anything about it. A program that wants to be mended has
//! room for that, a function [`ROOM`] of nothing but `nop`: there the multiplication goes, with the instruction behind
//! it, and a jump takes its place. So two instructions at least are between.

use mips1::{Instruction, Opcode, encode};

use crate::Error;
use crate::elf::Program;

/// The function that is room for mends.
pub const ROOM: &str = "exos_mends";

/// Bytes of a mend: the multiplication, the instruction behind it, the way back.
const PLACE: u32 = 16;

/// Mends a program, the contents of an ELF file, as far as it has room; how many places were mended.
pub fn mend_elf(file: &mut [u8]) -> Result<usize, Error> {
    let program = Program::read(file)?;
    let Some(room) = program.function(ROOM) else { return Ok(0) };
    let mut places = room.step_by(PLACE as usize);
    let instruction = |address: u32| Instruction::decode(program.word(address)?);
    let mut changes = Vec::new();
    for address in program.addresses() {
        let (Some(before), Some(multiply), Some(next)) =
            (instruction(address.wrapping_sub(4)), instruction(address), instruction(address + 4))
        else {
            continue;
        };
        // What is jumped to, or jumps, stays where it is.
        let movable = next.control() == mips1::Control::Next && !program.is_target(address + 4);
        let reads = |at: u32| instruction(at).is_some_and(|instruction| instruction.reads_hi_lo());
        let too_early =
            before.reads_hi_lo() || before.control() == mips1::Control::Next && reads(address.wrapping_sub(8));
        if !too_early || multiply.opcode() != Opcode::Multu || !movable {
            continue;
        }
        let is_free =
            |&place: &u32| (place..place + PLACE).step_by(4).all(|at| program.word(at) == Some(encode::nop()));
        let Some(place) = places.find(is_free) else { break };
        let back = encode::j(address + 8);
        changes.extend([(address, encode::j(place)), (address + 4, encode::nop())]);
        changes.extend((place..).step_by(4).zip([multiply.word(), next.word(), back]));
    }
    let offsets: Vec<_> =
        changes.iter().filter_map(|&(address, word)| Some((program.offset(address)?, word))).collect();
    drop(program);
    for &(offset, word) in &offsets {
        file[offset..offset + 4].copy_from_slice(&word.to_le_bytes());
    }
    Ok(offsets.len() / 5)
}
