//! Classic BPF: the virtual machine of McCanne and Jacobson ("The BSD Packet Filter", USENIX 1993), with the standard
//! instruction set and its encoding.
//!
//! A kernel that uses it runs each filter on each packet until one accepts. It is here to be compared with, on the same
//! machine and packets; filters are as libpcap compiles them (`data/make.sh`).
//!
//! ```
//! use aegis_bpf::{Filter, Instruction, parse};
//!
//! // What `tcpdump -ddd ip` says.
//! let mut code = [Instruction::default(); 8];
//! let (filter, rest) = parse("4\n40 0 0 12\n21 0 1 2048\n6 0 0 262144\n6 0 0 0\n", &mut code).unwrap();
//! assert_eq!(rest, "");
//! let mut packet = [0; 60];
//! assert_eq!(filter.run(&packet, &mut [0; 16]), 0);
//! packet[12] = 8;
//! assert_eq!(filter.run(&packet, &mut [0; 16]), 262144);
//! ```

#![no_std]
#![forbid(unsafe_code)]

/// One instruction, as in every implementation of BPF.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(C)]
pub struct Instruction {
    /// What it does: a class, and within it a size and mode, or an operation and a source.
    pub code: u16,
    /// If true, how many instructions are skipped.
    pub jt: u8,
    /// If false.
    pub jf: u8,
    /// An operand.
    pub k: u32,
}

/// The most instructions of a filter.
pub const INSTRUCTIONS_MAX: usize = 4096;
/// Words of scratch memory.
const MEMORY: usize = 16;

/// The scratch memory that a filter stores to and loads from. What it holds before is nobody's business.
pub type Scratch = [u32; MEMORY];

/// The instructions: class, and size and mode or operation and source, put together. `a` is the accumulator, `x` the
/// index, `m` the scratch memory, `p` the packet; a name with `_X` has `x` for its operand, one without `k`.
mod code {
    macro_rules! codes {
        ($($name:ident $code:literal $meaning:literal)*) => { $(#[doc = $meaning] pub const $name: u16 = $code;)* };
    }
    codes! {
        LD_IMM 0x00 "a = k"
        LD_W_ABS 0x20 "a = word p[k]"
        LD_H_ABS 0x28 "a = half p[k]"
        LD_B_ABS 0x30 "a = byte p[k]"
        LD_W_IND 0x40 "a = word p[x + k]"
        LD_H_IND 0x48 "a = half p[x + k]"
        LD_B_IND 0x50 "a = byte p[x + k]"
        LD_MEM 0x60 "a = m[k]"
        LD_LEN 0x80 "a = length"
        LDX_IMM 0x01 "x = k"
        LDX_MEM 0x61 "x = m[k]"
        LDX_LEN 0x81 "x = length"
        LDX_MSH 0xb1 "x = 4 * (byte p[k] & 15)"
        ST 0x02 "m[k] = a"
        STX 0x03 "m[k] = x"
        ADD 0x04 "a += k"
        ADD_X 0x0c "a += x"
        SUB 0x14 "a -= k"
        SUB_X 0x1c "a -= x"
        MUL 0x24 "a *= k"
        MUL_X 0x2c "a *= x"
        DIV 0x34 "a /= k"
        DIV_X 0x3c "a /= x"
        OR 0x44 "a |= k"
        OR_X 0x4c "a |= x"
        AND 0x54 "a &= k"
        AND_X 0x5c "a &= x"
        LSH 0x64 "a <<= k"
        LSH_X 0x6c "a <<= x"
        RSH 0x74 "a >>= k"
        RSH_X 0x7c "a >>= x"
        NEG 0x84 "a = -a"
        JA 0x05 "skip k"
        JEQ 0x15 "a == k"
        JEQ_X 0x1d "a == x"
        JGT 0x25 "a > k"
        JGT_X 0x2d "a > x"
        JGE 0x35 "a >= k"
        JGE_X 0x3d "a >= x"
        JSET 0x45 "a & k"
        JSET_X 0x4d "a & x"
        RET 0x06 "return k"
        RET_A 0x16 "return a"
        TAX 0x07 "x = a"
        TXA 0x87 "a = x"
    }
}

/// Those of which nothing need be checked.
const OTHERS: [u16; 29] = {
    use code::*;
    [
        LD_IMM, LD_W_ABS, LD_H_ABS, LD_B_ABS, LD_W_IND, LD_H_IND, LD_B_IND, LD_LEN, LDX_IMM, LDX_LEN, LDX_MSH, ADD,
        ADD_X, SUB, SUB_X, MUL, MUL_X, DIV_X, OR, OR_X, AND, AND_X, NEG, RET, RET_A, TAX, TXA, LSH_X, RSH_X,
    ]
};
/// In an instruction with an operand: it is `x`.
const X: u16 = 0x08;

/// A filter that has been checked: it ends.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a>(&'a [Instruction]);

/// What is wrong with a filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// It is empty or too long.
    Length,
    /// The instruction with this number is none, goes beyond the end, names a word that does not exist, or divides by 0.
    Instruction(usize),
    /// It does not end with a return.
    NoReturn,
    /// The text is not that of a filter.
    Text,
}

impl<'a> Filter<'a> {
    /// Checks a filter.
    ///
    /// # Errors
    /// If it might do what no filter may. Jumps only go forward, so that a filter that returns at its end always ends.
    pub fn new(code: &'a [Instruction]) -> Result<Self, Error> {
        if code.is_empty() || code.len() > INSTRUCTIONS_MAX {
            return Err(Error::Length);
        }
        for (n, instruction) in code.iter().enumerate() {
            let &Instruction { code: what, jt, jf, k } = instruction;
            let left = code.len() - 1 - n;
            let good = match what {
                code::LD_MEM | code::LDX_MEM | code::ST | code::STX => (k as usize) < MEMORY,
                code::DIV => k != 0,
                code::LSH | code::RSH => k < 32,
                code::JA => (k as usize) < left,
                code::JEQ | code::JGT | code::JGE | code::JSET => usize::from(jt.max(jf)) < left,
                code::JEQ_X | code::JGT_X | code::JGE_X | code::JSET_X => usize::from(jt.max(jf)) < left,
                other => OTHERS.contains(&other),
            };
            if !good {
                return Err(Error::Instruction(n));
            }
        }
        match code.last() {
            Some(Instruction { code: code::RET | code::RET_A, .. }) => Ok(Self(code)),
            _ => Err(Error::NoReturn),
        }
    }

    /// How many bytes of a packet the filter wants: 0 if it does not accept it.
    #[must_use]
    #[inline(never)]
    pub fn run(&self, packet: &[u8], memory: &mut Scratch) -> u32 {
        /// A packet that is too short is not accepted.
        macro_rules! accept {
            ($read:expr) => {
                match $read {
                    Some(value) => value,
                    None => return 0,
                }
            };
        }
        let (mut a, mut x) = (0_u32, 0_u32);
        let mut pc = 0;
        while let Some(&Instruction { code: what, jt, jf, k }) = self.0.get(pc) {
            pc += 1;
            let operand = if what & X != 0 { x } else { k };
            match what {
                code::LD_IMM => a = k,
                code::LD_W_ABS => a = accept!(read::<4>(packet, k)),
                code::LD_H_ABS => a = accept!(read::<2>(packet, k)),
                code::LD_B_ABS => a = accept!(read::<1>(packet, k)),
                code::LD_W_IND => a = accept!(read::<4>(packet, x.wrapping_add(k))),
                code::LD_H_IND => a = accept!(read::<2>(packet, x.wrapping_add(k))),
                code::LD_B_IND => a = accept!(read::<1>(packet, x.wrapping_add(k))),
                code::LD_MEM => a = memory[k as usize % MEMORY],
                code::LD_LEN => a = packet.len() as u32,
                code::LDX_IMM => x = k,
                code::LDX_MEM => x = memory[k as usize % MEMORY],
                code::LDX_LEN => x = packet.len() as u32,
                code::LDX_MSH => x = (accept!(read::<1>(packet, k)) & 0xf) << 2,
                code::ST => memory[k as usize % MEMORY] = a,
                code::STX => memory[k as usize % MEMORY] = x,
                code::ADD | code::ADD_X => a = a.wrapping_add(operand),
                code::SUB | code::SUB_X => a = a.wrapping_sub(operand),
                code::MUL | code::MUL_X => a = a.wrapping_mul(operand),
                code::DIV | code::DIV_X => match a.checked_div(operand) {
                    Some(quotient) => a = quotient,
                    None => return 0,
                },
                code::OR | code::OR_X => a |= operand,
                code::AND | code::AND_X => a &= operand,
                code::LSH | code::LSH_X => a = a.checked_shl(operand).unwrap_or(0),
                code::RSH | code::RSH_X => a = a.checked_shr(operand).unwrap_or(0),
                code::NEG => a = a.wrapping_neg(),
                code::JA => pc += k as usize,
                code::JEQ | code::JEQ_X => pc += usize::from(if a == operand { jt } else { jf }),
                code::JGT | code::JGT_X => pc += usize::from(if a > operand { jt } else { jf }),
                code::JGE | code::JGE_X => pc += usize::from(if a >= operand { jt } else { jf }),
                code::JSET | code::JSET_X => pc += usize::from(if a & operand != 0 { jt } else { jf }),
                code::RET => return k,
                code::RET_A => return a,
                code::TAX => x = a,
                code::TXA => a = x,
                _ => return 0,
            }
        }
        0
    }
}

/// `N` bytes in network order.
#[inline(always)]
fn read<const N: usize>(packet: &[u8], at: u32) -> Option<u32> {
    let bytes = packet.get(at as usize..)?.first_chunk::<N>()?;
    Some(bytes.iter().fold(0, |number, &byte| number << 8 | u32::from(byte)))
}

/// Reads a filter in the form of `tcpdump -ddd` into `code`; the rest of the text, too.
///
/// # Errors
/// If it is none, or `code` is too short.
pub fn parse<'a, 't>(text: &'t str, code: &'a mut [Instruction]) -> Result<(Filter<'a>, &'t str), Error> {
    let (count, mut rest) = text.split_once('\n').ok_or(Error::Text)?;
    let count: usize = count.trim().parse().map_err(|_| Error::Text)?;
    let code = code.get_mut(..count).ok_or(Error::Length)?;
    for instruction in &mut *code {
        let (line, others) = rest.split_once('\n').ok_or(Error::Text)?;
        let mut numbers = line.split(' ').map(|number| number.parse::<u32>().map_err(|_| Error::Text));
        let mut next = || numbers.next().unwrap_or(Err(Error::Text));
        let byte = |number: u32| u8::try_from(number).map_err(|_| Error::Text);
        *instruction = Instruction {
            code: u16::try_from(next()?).map_err(|_| Error::Text)?,
            jt: byte(next()?)?,
            jf: byte(next()?)?,
            k: next()?,
        };
        rest = others;
    }
    Ok((Filter::new(code)?, rest))
}
