//! The MIPS I instruction set: decoding, register use, text and encoding.
//!
//! MIPS I is what the R2000 and the R3000 execute. A word that a later MIPS processor understands and these two do not
//! (`ll`, `sync`, `movz`, `beql`, `clz`, `eret`, …) does not decode here, and neither does a word with a bit set where the
//! manual wants zero: later architectures gave such bits a meaning (`rotr` is `srl` with one bit set).
//!
//! ```
//! use mips1::{Instruction, Opcode, Register, encode};
//!
//! let load = Instruction::decode(encode::lw(Register::T3, 4, Register::T1)).unwrap();
//! assert_eq!(load.opcode(), Opcode::Lw);
//! assert_eq!(load.to_string(), "lw $t3, 4($t1)");
//! assert!(load.writes().contains(Register::T3));
//!
//! let branch = Instruction::decode(encode::bne(Register::T0, Register::ZERO, -2)).unwrap();
//! assert_eq!(branch.target(0x8000_1000), Some(0x8000_0ffc));
//! assert_eq!(branch.at(0x8000_1000).to_string(), "bnez $t0, 0x80000ffc");
//! ```
#![no_std]
#![forbid(unsafe_code)]

pub mod encode;
mod instruction;
mod opcode;
mod register;
mod text;

pub use instruction::{Control, Direction, Instruction, Memory};
pub use opcode::Opcode;
pub use register::{Cp0, Register, Registers};
pub use text::At;
