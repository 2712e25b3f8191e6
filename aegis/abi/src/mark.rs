//! Marks: instructions that do nothing, by which a program shows a counting tool where an operation begins and ends.
//!
//! `lui $zero, imm` changes nothing on any MIPS and no compiler emits it, so a mark costs one instruction on every machine and
//! means something only to the tool that reads the trace. What is counted lies strictly between two marks.
//!
//! A program that is measured says on the console what each of its marks stands for, one line each, in the form
//! `mark ID table=T op=O system=S how=TEXT`.

/// The instruction word of mark 0: `lui $zero, 0`.
pub const WORD: u32 = 0x3c00_0000;
/// The bit of the immediate that is set where an operation ends and clear where it begins.
pub const END: u32 = 0x8000;
/// The bits of the immediate that say which operation it is.
pub const ID_MASK: u32 = 0x7fff;
/// Begins the console line that says what a mark stands for.
pub const LINE: &str = "mark ";
