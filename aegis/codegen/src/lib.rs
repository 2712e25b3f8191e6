//! An assembler for MIPS I that code generators run on the machine itself, as the paper's run VCODE.
//!
//! Instructions are emitted in place, in one pass, into memory that the caller gives; there is no intermediate form and
//! nothing is allocated. What the R3000 leaves to its programmer is done here:
//!
//! - *Load delay*: if an instruction reads what the one before it loads, a `nop` is put between.
//! - *Branch delay*: the instruction before a branch moves into the slot if the branch does not need it; else the slot
//!   stays empty, and [`Assembler::speculate`] may fill it with what comes next.
//! - *HI and LO*: two instructions stand between reading one and writing one.
//!
//! Nothing panics: what goes wrong is told once, by [`Assembler::finish`].
//!
//! ```
//! use aegis_codegen::{Assembler, Label, Register as R};
//!
//! // Sum of the words from $a0 up to $a1, which is not empty.
//! let mut words = [0; 16];
//! let mut asm = Assembler::new(&mut words, 0x8003_0000);
//! let mut again = Label::new();
//! asm.li(R::V0, 0);
//! asm.bind(&mut again);
//! asm.lw(R::T0, 0, R::A0);
//! asm.addiu(R::A0, R::A0, 4);
//! asm.addu(R::V0, R::V0, R::T0); // goes into the slot of the branch
//! asm.bne(R::A0, R::A1, &mut again);
//! asm.jr(R::RA);
//! assert_eq!(asm.finish(), Ok(7));
//! ```

#![no_std]
#![forbid(unsafe_code)]

mod assembler;

pub use assembler::{Assembler, Error, Label};
pub use mips1::{Register, encode};
