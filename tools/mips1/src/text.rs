//! Instructions as text, in the usual o32 assembly syntax.

use core::fmt;

use crate::instruction::Instruction;
use crate::opcode::{Opcode, Syntax};
use crate::register::{Cp0, Register};

/// An instruction at a known address; prints like [`Instruction`], with absolute targets.
#[derive(Clone, Copy, Debug)]
pub struct At {
    instruction: Instruction,
    address: u32,
}

impl Instruction {
    /// For printing with the targets of branches and jumps as absolute addresses.
    pub const fn at(self, address: u32) -> At {
        At { instruction: self, address }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write(f, self.instruction, Some(self.address))
    }
}

/// Without an address a branch prints its distance from itself (`.+8` is the instruction after its delay slot), a jump
/// the address within its 256 MB region.
impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write(f, *self, None)
    }
}

impl fmt::Debug for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:08x} {self}", self.word())
    }
}

fn write(f: &mut fmt::Formatter, i: Instruction, address: Option<u32>) -> fmt::Result {
    if let Some(result) = write_short_form(f, i, address) {
        return result;
    }
    let (name, rs, rt, rd) = (i.opcode().mnemonic(), i.rs(), i.rt(), i.rd());
    let target = Target { instruction: i, address };
    match i.opcode().syntax() {
        Syntax::Bare => write!(f, "{name}"),
        Syntax::RdRsRt => write!(f, "{name} {rd}, {rs}, {rt}"),
        Syntax::RdRtRs => write!(f, "{name} {rd}, {rt}, {rs}"),
        Syntax::RdRtShift => write!(f, "{name} {rd}, {rt}, {}", i.shift()),
        Syntax::RsRt => write!(f, "{name} {rs}, {rt}"),
        Syntax::RdRs => write!(f, "{name} {rd}, {rs}"),
        Syntax::Rs => write!(f, "{name} {rs}"),
        Syntax::Rd => write!(f, "{name} {rd}"),
        Syntax::Code => write!(f, "{name} {}", i.code()),
        Syntax::RtRsSigned => write!(f, "{name} {rt}, {rs}, {}", i.offset()),
        Syntax::RtRsBits => write!(f, "{name} {rt}, {rs}, {:#x}", i.immediate()),
        Syntax::RtBits => write!(f, "{name} {rt}, {:#x}", i.immediate()),
        Syntax::RsRtBranch => write!(f, "{name} {rs}, {rt}, {target}"),
        Syntax::RsBranch => write!(f, "{name} {rs}, {target}"),
        Syntax::Branch | Syntax::Jump => write!(f, "{name} {target}"),
        Syntax::RtMemory => write!(f, "{name} {rt}, {}({rs})", i.offset()),
        Syntax::CoprocessorMemory => write!(f, "{name} ${}, {}({rs})", rt.number(), i.offset()),
        Syntax::RtCp0 => write!(f, "{name} {rt}, {}", Cp0::field(i.word())),
        Syntax::RtCoprocessor => write!(f, "{name} {rt}, ${}", rd.number()),
        Syntax::Operation => write!(f, "{name} {:#x}", i.word() & 0x1ff_ffff),
    }
}

/// The forms that every assembler accepts and every disassembler prefers: `nop`, `move`, `li`, `b`, `beqz`, ….
fn write_short_form(f: &mut fmt::Formatter, i: Instruction, address: Option<u32>) -> Option<fmt::Result> {
    const ZERO: Register = Register::ZERO;
    let (rs, rt, rd) = (i.rs(), i.rt(), i.rd());
    let target = Target { instruction: i, address };
    Some(match i.opcode() {
        Opcode::Sll if i.word() == 0 => write!(f, "nop"),
        Opcode::Addu | Opcode::Or if rt == ZERO => write!(f, "move {rd}, {rs}"),
        Opcode::Addiu if rs == ZERO => write!(f, "li {rt}, {}", i.offset()),
        Opcode::Ori if rs == ZERO => write!(f, "li {rt}, {:#x}", i.immediate()),
        Opcode::Beq if rs == ZERO && rt == ZERO => write!(f, "b {target}"),
        Opcode::Beq if rt == ZERO => write!(f, "beqz {rs}, {target}"),
        Opcode::Bne if rt == ZERO => write!(f, "bnez {rs}, {target}"),
        Opcode::Bgezal if rs == ZERO => write!(f, "bal {target}"),
        Opcode::Jalr if rd == Register::RA => write!(f, "jalr {rs}"),
        Opcode::Syscall | Opcode::Break if i.code() == 0 => write!(f, "{}", i.opcode().mnemonic()),
        // Assemblers put the operand of `break` into the upper half of the code and a second one into the lower.
        Opcode::Break if i.code() & 0x3ff == 0 => write!(f, "break {}", i.code() >> 10),
        Opcode::Break => write!(f, "break {}, {}", i.code() >> 10, i.code() & 0x3ff),
        _ => return None,
    })
}

struct Target {
    instruction: Instruction,
    address: Option<u32>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let relative = self.instruction.target(0).unwrap_or(0);
        match self.address.and_then(|address| self.instruction.target(address)) {
            Some(target) => write!(f, "{target:#x}"),
            None if self.instruction.opcode().syntax() == Syntax::Jump => write!(f, "{relative:#x}"),
            None => write!(f, ".{:+}", relative as i32),
        }
    }
}
