//! Marks: instructions that do nothing, by which a program shows a counting tool where an operation begins and ends.
//!
//! `lui $zero, imm` changes nothing on any MIPS and no compiler emits it, so a mark costs one instruction on every
//! machine and means something only to the tool that reads the trace. What is counted lies strictly between two marks.
//!
//! A program that is measured says on the console what each of its marks stands for, one line each:
//!
//! - `mark ID table=T op=O system=S [paper=OP] how=TEXT`: the marks enclose one execution of an operation, and what is
//!   counted is its instructions;
//! - `loop ID of=ID rounds=N how=TEXT`: the marks enclose a loop of so many executions of an operation described
//!   before, and what is measured is time.

/// The instruction word of mark 0: `lui $zero, 0`.
pub const WORD: u32 = 0x3c00_0000;
/// The bit of the immediate that is set where an operation ends and clear where it begins.
pub const END: u32 = 0x8000;
/// The bits of the immediate that say which operation it is.
pub const ID_MASK: u32 = 0x7fff;
/// Begins the console line that describes an operation.
pub const LINE: &str = "mark ";
/// Begins the console line that describes a loop.
pub const LOOP_LINE: &str = "loop ";
