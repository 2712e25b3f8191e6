//! A function for each instruction that gives its word, with operands in assembly order.
//!
//! ```
//! use mips1::{Register, encode::*};
//! use Register as R;
//!
//! // Sum of the words from $a0 up to $a1.
//! let sum = [
//!     li(R::V0, 0),
//!     lw(R::T0, 0, R::A0),
//!     addiu(R::A0, R::A0, 4),
//!     bne(R::A0, R::A1, -3),
//!     addu(R::V0, R::V0, R::T0), // delay slot
//!     jr(R::RA),
//!     nop(),
//! ];
//! assert_eq!(sum[1], 0x8c88_0000);
//! ```

use crate::opcode::Opcode;
use crate::register::{Cp0, Register};

const fn rs(register: Register) -> u32 {
    (register.number() as u32) << 21
}

const fn rt(register: Register) -> u32 {
    (register.number() as u32) << 16
}

const fn rd(register: Register) -> u32 {
    (register.number() as u32) << 11
}

const fn low(immediate: i16) -> u32 {
    immediate as u16 as u32
}

/// The offset of a branch at `from` to `to`, counted in instructions from the delay slot as the branches here want it;
/// `None` if it does not fit or one of the addresses is not a multiple of four.
pub const fn branch_offset(from: u32, to: u32) -> Option<i16> {
    let distance = to.wrapping_sub(from.wrapping_add(4)) as i32;
    let offset = distance >> 2;
    if from & 3 == 0 && to & 3 == 0 && offset as i16 as i32 == offset { Some(offset as i16) } else { None }
}

macro_rules! encoders {
    ($($name:ident $opcode:ident ($($operand:ident: $kind:ty),*) $fields:expr;)*) => {$(
        #[doc = concat!("Encodes `", stringify!($name), "`.")]
        pub const fn $name($($operand: $kind),*) -> u32 {
            Opcode::$opcode.bits() | $fields
        }
    )*};
}

macro_rules! three_registers {
    ($($name:ident $opcode:ident)*) => {
        encoders! { $($name $opcode (d: Register, s: Register, t: Register) rd(d) | rs(s) | rt(t);)* }
    };
}

macro_rules! shifts {
    ($($name:ident $opcode:ident)*) => {
        encoders! { $($name $opcode (d: Register, t: Register, amount: u8) rd(d) | rt(t) | (amount as u32 & 31) << 6;)* }
    };
}

macro_rules! variable_shifts {
    ($($name:ident $opcode:ident)*) => {
        encoders! { $($name $opcode (d: Register, t: Register, s: Register) rd(d) | rt(t) | rs(s);)* }
    };
}

macro_rules! multiplies {
    ($($name:ident $opcode:ident)*) => {
        encoders! { $($name $opcode (s: Register, t: Register) rs(s) | rt(t);)* }
    };
}

macro_rules! signed_immediates {
    ($($name:ident $opcode:ident)*) => {
        encoders! { $($name $opcode (t: Register, s: Register, immediate: i16) rt(t) | rs(s) | low(immediate);)* }
    };
}

macro_rules! bit_immediates {
    ($($name:ident $opcode:ident)*) => {
        encoders! { $($name $opcode (t: Register, s: Register, immediate: u16) rt(t) | rs(s) | immediate as u32;)* }
    };
}

macro_rules! accesses {
    ($($name:ident $opcode:ident)*) => {
        encoders! { $($name $opcode (t: Register, offset: i16, base: Register) rt(t) | low(offset) | rs(base);)* }
    };
}

macro_rules! branches {
    ($($name:ident $opcode:ident)*) => {
        encoders! { $($name $opcode (s: Register, offset: i16) rs(s) | low(offset);)* }
    };
}

three_registers! {
    add Add addu Addu sub Sub subu Subu and And or Or xor Xor nor Nor slt Slt sltu Sltu
}
shifts! { sll Sll srl Srl sra Sra }
variable_shifts! { sllv Sllv srlv Srlv srav Srav }
multiplies! { mult Mult multu Multu div Div divu Divu }
signed_immediates! { addi Addi addiu Addiu slti Slti sltiu Sltiu }
bit_immediates! { andi Andi ori Ori xori Xori }
accesses! { lb Lb lbu Lbu lh Lh lhu Lhu lw Lw lwl Lwl lwr Lwr sb Sb sh Sh sw Sw swl Swl swr Swr }
branches! { blez Blez bgtz Bgtz bltz Bltz bgez Bgez bltzal Bltzal bgezal Bgezal }
encoders! {
    lui Lui (t: Register, immediate: u16) rt(t) | immediate as u32;
    mfhi Mfhi (d: Register) rd(d);
    mflo Mflo (d: Register) rd(d);
    mthi Mthi (s: Register) rs(s);
    mtlo Mtlo (s: Register) rs(s);
    beq Beq (s: Register, t: Register, offset: i16) rs(s) | rt(t) | low(offset);
    bne Bne (s: Register, t: Register, offset: i16) rs(s) | rt(t) | low(offset);
    bc0f Bc0f (offset: i16) low(offset);
    bc0t Bc0t (offset: i16) low(offset);
    j J (target: u32) target >> 2 & 0x3ff_ffff;
    jal Jal (target: u32) target >> 2 & 0x3ff_ffff;
    jr Jr (s: Register) rs(s);
    jalr Jalr (d: Register, s: Register) rd(d) | rs(s);
    syscall Syscall () 0;
    mfc0 Mfc0 (t: Register, c: Cp0) rt(t) | (c.number() as u32) << 11;
    mtc0 Mtc0 (t: Register, c: Cp0) rt(t) | (c.number() as u32) << 11;
    tlbr Tlbr () 0;
    tlbwi Tlbwi () 0;
    tlbwr Tlbwr () 0;
    tlbp Tlbp () 0;
    rfe Rfe () 0;
}

/// Encodes `break`, with the operand where assemblers put it.
pub const fn break_(code: u16) -> u32 {
    Opcode::Break.bits() | (code as u32 & 0x3ff) << 16
}

/// Encodes `nop`, which is `sll $zero, $zero, 0`.
pub const fn nop() -> u32 {
    0
}

/// Encodes `move`, which is `addu d, s, $zero`.
pub const fn move_(d: Register, s: Register) -> u32 {
    addu(d, s, Register::ZERO)
}

/// Encodes `li` of a number that fits 16 signed bits, which is `addiu t, $zero, immediate`.
pub const fn li(t: Register, immediate: i16) -> u32 {
    addiu(t, Register::ZERO, immediate)
}

/// Encodes `b`, which is `beq $zero, $zero, offset`.
pub const fn b(offset: i16) -> u32 {
    beq(Register::ZERO, Register::ZERO, offset)
}
