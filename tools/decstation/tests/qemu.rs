//! Random user-mode programs on the model and on `qemu-mipsel` (Debian's package qemu-user): equal registers and memory.
//!
//! The programs keep MIPS I's rules about delay slots, so that a processor that waits for loads gives the same answer. On the model
//! they run in user mode behind a TLB refill handler, timed and strict.

mod common;
use common::*;
use decstation::{Config, Limits, Stop};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const CODE: u32 = 0x0040_0000;
/// Where qemu starts.
const STUB: u32 = CODE - 0x1000;
const SCRATCH: u32 = 0x0060_0000;
const SCRATCH_WORDS: u32 = 4096;
/// Where the program leaves registers 1 to 31 (not 26 to 28), HI and LO.
const STATE: u32 = SCRATCH + SCRATCH_WORDS * 4;
/// Executed instructions a run, at least.
const LENGTH: u64 = 100_000;

/// A small generator of random numbers, so that a seed says it all.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }

    fn below(&mut self, n: u32) -> u32 {
        self.next() % n
    }
}

/// Writes a program: a random body of 7,000 instructions, executed 20 times.
struct Generator {
    random: Random,
    words: Vec<u32>,
    /// The register that the previous instruction loads.
    pending: u32,
    /// Instructions since HI or LO was last read.
    since_read: u32,
}

impl Generator {
    /// Any register but $zero, the kernel's two, the scratch base and the loop counter.
    fn register(&mut self) -> u32 {
        loop {
            let register = 1 + self.random.below(31);
            if !matches!(register, 26..=28 | 30) {
                return register;
            }
        }
    }

    /// A register that may be read now.
    fn source(&mut self) -> u32 {
        loop {
            let register = if self.random.below(16) == 0 { 0 } else { self.register() };
            if register != self.pending || register == 0 {
                return register;
            }
        }
    }

    fn emit(&mut self, word: u32) {
        self.words.push(word);
        self.pending = 0;
        self.since_read += 1;
    }

    fn r(&mut self, function: u32, s: u32, t: u32, d: u32, shift: u32) {
        self.emit(s << 21 | t << 16 | d << 11 | shift << 6 | function);
    }

    fn i(&mut self, op: u32, s: u32, t: u32, immediate: u32) {
        self.emit(op << 26 | s << 21 | t << 16 | immediate & 0xffff);
    }

    fn li(&mut self, register: u32, value: u32) {
        self.i(0x0f, 0, register, value >> 16);
        self.i(0x0d, register, register, value);
    }

    /// An immediate: one in two from where mistakes hide.
    fn immediate(&mut self) -> u32 {
        const EDGES: [u32; 12] = [0, 0, 1, 2, 31, 32, 0x7fff, 0x8000, 0xff, 0x100, !0, !1];
        let n = self.random.next();
        if n & 1 == 0 { n >> 8 } else { EDGES[n as usize / 2 % EDGES.len()] }
    }

    /// An instruction that may stand anywhere.
    fn simple(&mut self) {
        let (s, t, d) = (self.source(), self.source(), self.register());
        let n = self.random.next();
        let immediate = self.immediate();
        match self.random.below(24) {
            0 => self.r(0x21, s, t, d, 0),
            1 => self.r(0x23, s, t, d, 0),
            2 => self.r(0x24 + n % 4, s, t, d, 0),
            3 => self.r(0x2a + n % 2, s, t, d, 0),
            4 => self.r([0, 2, 3][n as usize % 3], 0, t, d, n >> 8 & 31),
            5 => self.r([4, 6, 7][n as usize % 3], s, t, d, 0),
            6 => self.i(0x09, s, d, immediate),
            7 | 8 => self.i(0x0a + n % 2, s, d, immediate),
            9 => self.i(0x0c + n % 3, s, d, immediate),
            14 | 15 => self.i(0x09, 0, d, immediate),
            16 => self.i(0x0f, 0, d, n),
            10 => self.i(0x2b, 28, t, n & (SCRATCH_WORDS * 4 - 4) & 0x7ffc),
            11 => self.i(0x29, 28, t, n & (SCRATCH_WORDS * 4 - 2) & 0x7ffe),
            12 => self.i(0x28, 28, t, n & (SCRATCH_WORDS * 4 - 1) & 0x7fff),
            13 => self.i([0x2a, 0x2e][n as usize % 2], 28, t, n >> 4 & (SCRATCH_WORDS * 4 - 1)),
            _ => self.r(0x21 + n % 7 / 3 * 2, s, t, d, 0),
        }
    }

    fn load(&mut self) {
        let d = self.register();
        let n = self.random.next();
        let offset = n >> 4 & (SCRATCH_WORDS * 4 - 1);
        match n & 7 {
            0 => self.i(0x20, 28, d, offset),
            1 => self.i(0x21, 28, d, offset & !1),
            2 => self.i(0x24, 28, d, offset),
            3 => self.i(0x25, 28, d, offset & !1),
            4 => self.i(0x22, 28, d, offset),
            5 => self.i(0x26, 28, d, offset),
            _ => self.i(0x23, 28, d, offset & !3),
        }
        self.pending = d;
    }

    fn step(&mut self) {
        let n = self.random.next();
        match n % 16 {
            0..=2 => self.load(),
            3 => {
                // An unaligned load as a pair.
                let (d, offset) = (self.register(), n >> 8 & (SCRATCH_WORDS * 4 - 8));
                self.i(0x26, 28, d, offset);
                self.i(0x22, 28, d, offset + 3);
                self.pending = d;
            }
            4 => {
                // Overflow can't happen with two bits to spare.
                let (s, t, d) = (self.register(), self.register(), self.register());
                while self.pending != 0 {
                    self.simple();
                }
                self.r(3, 0, s, s, 2);
                self.r(3, 0, t, t, 2);
                match n >> 8 & 3 {
                    0 => self.r(0x20, s, t, d, 0),
                    1 => self.r(0x22, s, t, d, 0),
                    _ => self.i(0x08, s, d, n >> 10),
                }
            }
            5 => {
                while self.since_read < 2 {
                    self.simple();
                }
                let (s, mut t) = (self.source(), self.register());
                let function = 0x18 + (n >> 8 & 3);
                if function >= 0x1a {
                    // No division by zero, nor of the smallest number by -1: the divisor is odd and positive.
                    while self.pending != 0 {
                        self.simple();
                    }
                    self.r(2, 0, t, t, 1);
                    self.i(0x0d, t, t, 1);
                } else if t == self.pending {
                    t = 0;
                }
                self.r(function, s, t, 0, 0);
            }
            6 => {
                let (d, s) = (self.register(), self.source());
                match n >> 8 & 3 {
                    0 | 1 => {
                        self.r([0x10, 0x12][(n >> 8 & 1) as usize], 0, 0, d, 0);
                        self.since_read = 0;
                    }
                    which => {
                        while self.since_read < 2 {
                            self.simple();
                        }
                        // Its source may have been loaded by then.
                        let s = if s == self.pending { 0 } else { s };
                        self.r([0x11, 0x13][(which & 1) as usize], s, 0, 0, 0);
                    }
                }
            }
            7 | 8 => {
                // A branch over a few instructions, with a slot that loads nothing.
                let (s, t) = (self.source(), self.source());
                let at = self.words.len();
                match n >> 8 & 7 {
                    0 => self.i(0x04, s, t, 0),
                    1 => self.i(0x05, s, t, 0),
                    2 => self.i(0x06, s, 0, 0),
                    3 => self.i(0x07, s, 0, 0),
                    4 => self.i(0x01, s, 0x00, 0),
                    5 => self.i(0x01, s, 0x01, 0),
                    6 => self.i(0x01, if s == 31 { 0 } else { s }, 0x10, 0),
                    _ => self.i(0x01, if s == 31 { 0 } else { s }, 0x11, 0),
                }
                self.simple();
                for _ in 0..self.random.below(6) {
                    self.simple();
                }
                let offset = self.words.len() - at - 1;
                self.words[at] |= offset as u32;
            }
            9 => {
                // A call: over a small function and back into the middle.
                let jal = self.words.len();
                self.emit(0x0c00_0000);
                self.simple_but(31);
                let over = self.words.len();
                self.i(0x04, 0, 0, 0);
                self.simple_but(31);
                let function = self.words.len();
                self.simple_but(31);
                self.r(0x08, 31, 0, 0, 0);
                self.simple_but(31);
                let end = self.words.len();
                self.words[jal] |= (CODE / 4 + function as u32) & 0x03ff_ffff;
                self.words[over] |= (end - over - 1) as u32;
            }
            _ => self.simple(),
        }
    }

    /// A simple instruction that does not change a register.
    fn simple_but(&mut self, register: u32) {
        loop {
            let (length, pending, since) = (self.words.len(), self.pending, self.since_read);
            self.simple();
            let word = self.words[length];
            let destination = match word >> 26 {
                0 => word >> 11 & 31,
                0x08..=0x0f => word >> 16 & 31,
                _ => 0,
            };
            if destination != register {
                return;
            }
            self.words.truncate(length);
            (self.pending, self.since_read) = (pending, since);
        }
    }

    fn program(seed: u64) -> Vec<u32> {
        let mut g = Generator { random: Random(seed | 1), words: fill_scratch(), pending: 0, since_read: 9 };
        for register in (1..32).filter(|r| !matches!(r, 26..=28 | 30)) {
            let value = g.random.next();
            g.li(register, value);
        }
        g.r(0x11, 1, 0, 0, 0);
        g.r(0x13, 2, 0, 0, 0);
        g.li(30, 20);
        let body = g.words.len();
        while g.words.len() < body + 7000 {
            g.step();
        }
        while g.since_read < 2 || g.pending != 0 {
            g.simple();
        }
        g.i(0x09, 30, 30, !0);
        let back = body as i64 - g.words.len() as i64 - 1;
        g.i(0x05, 30, 0, back as u32);
        g.emit(0);
        // Leave the state in memory: one word above the scratch area for each register.
        for register in 1..32 {
            if !matches!(register, 26..=28) {
                g.i(0x2b, 28, register, SCRATCH_WORDS * 4 + register * 4);
            }
        }
        g.r(0x10, 0, 0, 8, 0);
        g.r(0x12, 0, 0, 9, 0);
        g.i(0x2b, 28, 8, SCRATCH_WORDS * 4);
        g.i(0x2b, 28, 9, SCRATCH_WORDS * 4 + 32 * 4);
        // write(1, SCRATCH, all); exit(0). The model stops at the first system call.
        g.li(2, 4004);
        g.li(4, 1);
        g.li(5, SCRATCH);
        g.li(6, SCRATCH_WORDS * 4 + 33 * 4);
        g.emit(0x0c);
        g.li(2, 4001);
        g.li(4, 0);
        g.emit(0x0c);
        g.words
    }
}

/// Writes a program of floating-point instructions: a random body, executed 20 times.
///
/// It avoids what the two do differently. qemu has denormal numbers, so exponents are forced into a middle range before
/// arithmetic; edges come as constants whose results are known to be normal. Its `abs` and `neg` don't look at NaNs
/// and leave the causes alone. Where a quiet NaN goes in, it makes the standard one and does not pass that one on.
struct FloatGenerator {
    random: Random,
    words: Vec<u32>,
}

/// Bits that edges are made of.
const SINGLES: [u32; 16] = [
    0x0000_0000,
    0x8000_0000,
    0x3f80_0000,
    0xbf80_0000,
    0x0080_0000,
    0x7f7f_ffff,
    0xff7f_ffff,
    0x7f80_0000,
    0xff80_0000,
    0x7fbf_ffff,
    0x7f81_2345,
    0xff85_4321,
    0x7fc0_0000,
    0x7fff_ffff,
    0x4b80_0001,
    0x3f7f_ffff,
];
const DOUBLES: [u64; 16] = [
    0,
    0x8000_0000_0000_0000,
    0x3ff0_0000_0000_0000,
    0xbff0_0000_0000_0000,
    0x0010_0000_0000_0000,
    0x7fef_ffff_ffff_ffff,
    0xffef_ffff_ffff_ffff,
    0x7ff0_0000_0000_0000,
    0xfff0_0000_0000_0000,
    0x7ff7_ffff_ffff_ffff,
    0x7ff1_2345_6789_abcd,
    0xfff5_4321_0000_0001,
    0x7ff8_0000_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x4340_0000_0000_0001,
    0x3fef_ffff_ffff_ffff,
];

/// The formats of operands, as the instruction has them.
const SINGLE: u32 = 16;
const DOUBLE: u32 = 17;
const WORD: u32 = 20;

impl FloatGenerator {
    fn emit(&mut self, word: u32) {
        self.words.push(word);
    }

    fn li(&mut self, register: u32, value: u32) {
        self.emit(0x3c00_0000 | register << 16 | value >> 16);
        self.emit(0x3400_0000 | register << 21 | register << 16 | value & 0xffff);
    }

    fn even(&mut self) -> u32 {
        self.random.below(16) * 2
    }

    /// Forces a register's exponent: into 2^-31..2^0 (2^-63..2^0 for a double), or into 2^1..2^32.
    fn tame(&mut self, format: u32, register: u32, large: bool) {
        let register = if format == DOUBLE { register + 1 } else { register };
        let (keep, set) = match (format, large) {
            (SINGLE, false) => (20, 21),
            (SINGLE, true) => (20, 22),
            (_, false) => (23, 24),
            (_, true) => (25, 22),
        };
        self.emit(0x4400_0000 | 8 << 16 | register << 11);
        self.emit(0);
        self.emit(0x24 | 8 << 21 | keep << 16 | 8 << 11);
        self.emit(0x25 | 8 << 21 | set << 16 | 8 << 11);
        self.emit(0x4480_0000 | 8 << 16 | register << 11);
        self.emit(0);
    }

    fn operation(&mut self, function: u32, format: u32, second: u32, first: u32, destination: u32) {
        self.emit(0x4400_0000 | format << 21 | second << 16 | first << 11 | destination << 6 | function);
    }

    /// Puts a constant into a register.
    fn constant(&mut self, format: u32, register: u32, bits: u64) {
        self.li(8, bits as u32);
        self.emit(0x4480_0000 | 8 << 16 | register << 11);
        if format == DOUBLE {
            self.li(8, (bits >> 32) as u32);
            self.emit(0x4480_0000 | 8 << 16 | (register + 1) << 11);
        }
        self.emit(0);
    }

    /// Adds a register and the control register to the checksum, $16.
    fn check(&mut self, register: u32) {
        self.add(0x4400_0000 | 8 << 16 | register << 11);
        self.add(0x4440_0000 | 8 << 16 | 31 << 11);
    }

    /// Adds what an instruction moves to $8.
    fn add(&mut self, word: u32) {
        self.emit(word);
        self.emit(0);
        // sll $9, $16, 5; srl $16, $16, 27; or $16, $16, $9; addu $16, $16, $8
        self.emit(16 << 16 | 9 << 11 | 5 << 6);
        self.emit(2 | 16 << 16 | 16 << 11 | 27 << 6);
        self.emit(0x25 | 16 << 21 | 9 << 16 | 16 << 11);
        if word >> 21 & 31 == 2 {
            // The control register's bits that an R3010 has: and $8, $8, $18
            self.emit(0x24 | 8 << 21 | 18 << 16 | 8 << 11);
        }
        self.emit(0x21 | 16 << 21 | 8 << 16 | 16 << 11);
    }

    /// Whether an operation on these gives nothing that is near a denormal, by the host's arithmetic.
    fn normal(function: u32, format: u32, a: u64, b: u64) -> bool {
        let (x, y, limit) = match format {
            SINGLE => (f32::from_bits(a as u32).into(), f32::from_bits(b as u32).into(), f64::from(f32::MIN_POSITIVE)),
            _ => (f64::from_bits(a), f64::from_bits(b), f64::MIN_POSITIVE),
        };
        let (result, limit) = match function {
            0 => (x + y, limit),
            1 => (x - y, limit),
            2 => (x * y, limit),
            3 => (x / y, limit),
            32 => (x, f64::from(f32::MIN_POSITIVE)),
            _ => return true,
        };
        // A product may vanish on the host, too.
        let vanishes = result == 0.0 && function >= 2 && x != 0.0 && y.abs() != f64::INFINITY;
        result.is_nan() || !vanishes && (result == 0.0 || result.abs() > 2.0 * limit)
    }

    /// An operation on edges.
    fn edge(&mut self) {
        let format = SINGLE + self.random.below(2);
        let (first, second, destination) = (self.even(), self.even(), self.even());
        loop {
            let function = [0, 1, 2, 3, 32, 33, 36, 48 + self.random.below(16)][self.random.below(8) as usize];
            if (format, function) == (SINGLE, 32) || (format, function) == (DOUBLE, 33) {
                continue;
            }
            let mut pick = || {
                let n = self.random.below(16) as usize;
                if format == SINGLE { SINGLES[n].into() } else { DOUBLES[n] }
            };
            let (a, b) = (pick(), pick());
            // Of the quiet NaNs only the one that qemu makes.
            let quiet = |bits: u64| match format {
                SINGLE => f32::from_bits(bits as u32).is_nan() && bits >> 22 & 1 == 0 && bits != 0x7fbf_ffff,
                _ => f64::from_bits(bits).is_nan() && bits >> 51 & 1 == 0 && bits != 0x7ff7_ffff_ffff_ffff,
            };
            let default = [0x7fbf_ffff, 0x7ff7_ffff_ffff_ffff].contains(&a);
            let foreign = match function {
                0..=3 => quiet(a) || quiet(b),
                32 | 33 => quiet(a) || default,
                _ => false,
            };
            if first == second && a != b || foreign || !Self::normal(function, format, a, b) {
                continue;
            }
            self.constant(format, first, a);
            self.constant(format, second, b);
            match function {
                0..=3 => self.operation(function, format, second, first, destination),
                48.. => self.operation(function, format, second, first, 0),
                _ => self.operation(function, format, 0, first, destination),
            }
            return self.check(destination);
        }
    }

    fn step(&mut self) {
        let n = self.random.next();
        let format = SINGLE + (n & 1);
        let (first, second, destination) = (self.even(), self.even(), self.even());
        match n >> 8 & 15 {
            0..=5 => {
                self.tame(format, first, false);
                self.tame(format, second, false);
                self.operation(n >> 16 & 3, format, second, first, destination);
                self.check(destination);
                self.check(destination + 1);
            }
            6 => {
                self.tame(format, first, false);
                let function = if format == SINGLE { 33 } else { 32 };
                self.operation(function, format, 0, first, destination);
                self.check(destination);
            }
            7 => {
                self.tame(format, first, n & 16 != 0);
                self.operation(36, format, 0, first, destination);
                self.check(destination);
            }
            8 => {
                self.operation(32 + (n >> 16 & 1), WORD, 0, first, destination);
                self.check(destination);
            }
            9 => {
                self.tame(format, first, false);
                self.operation(if n & 16 == 0 { 5 } else { 7 }, format, 0, first, destination);
                self.add(0x4400_0000 | 8 << 16 | destination << 11);
            }
            10 => self.operation(6, format, 0, first, destination),
            11 | 12 => {
                self.tame(format, first, false);
                self.tame(format, second, false);
                self.operation(48 + (n >> 16 & 15), format, second, first, 0);
                self.emit(0);
                // Over a checksum step.
                let at = self.words.len();
                self.emit(0x4500_0000 | (n >> 20 & 1) << 16);
                self.emit(0);
                self.check(first);
                self.words[at] |= (self.words.len() - at - 1) as u32;
            }
            13 => {
                // Rounding, flags and the condition anew; no enables.
                let value = self.random.next() & 0x0080_007f;
                self.li(8, value);
                self.emit(0x44c0_0000 | 8 << 16 | 31 << 11);
                self.emit(0);
            }
            14 => {
                let (from, to) = (self.random.below(32), self.random.below(32));
                self.emit(0xe400_0000 | 28 << 21 | from << 16 | n >> 4 & 0x3f7c);
                self.emit(0xc400_0000 | 28 << 21 | to << 16 | n >> 16 & 0x3ffc);
                self.emit(0);
            }
            _ => self.edge(),
        }
    }

    fn program(seed: u64) -> Vec<u32> {
        let mut g = FloatGenerator { random: Random(seed | 1), words: Vec::new() };
        g.words = fill_scratch();
        g.emit(0x44c0_0000 | 31 << 11);
        for (register, value) in [
            (16, 0),
            (18, 0x0083_ffff),
            (20, 0x8fff_ffff),
            (21, 0x3000_0000),
            (22, 0x4000_0000),
            (23, 0x83ff_ffff),
            (24, 0x3c00_0000),
            (25, 0x81ff_ffff),
            (30, 20),
        ] {
            g.li(register, value);
        }
        for register in 0..32 {
            let value = g.random.next();
            g.constant(SINGLE, register, value.into());
        }
        let body = g.words.len();
        while g.words.len() < body + 7000 {
            g.step();
        }
        g.emit(0x27de_ffff);
        let back = body as i64 - g.words.len() as i64 - 1;
        g.emit(0x17c0_0000 | back as u32 & 0xffff);
        g.emit(0);
        for register in 0..32 {
            g.emit(0xe780_0000 | register << 16 | (SCRATCH_WORDS * 4 - 128 + register * 4));
        }
        // The checksum is a register that the end keeps.
        g.emit(0xaf90_0000 | (SCRATCH_WORDS * 4 + 16 * 4));
        g.li(2, 4004);
        g.li(4, 1);
        g.li(5, SCRATCH);
        g.li(6, SCRATCH_WORDS * 4 + 33 * 4);
        g.emit(0x0c);
        g.li(2, 4001);
        g.li(4, 0);
        g.emit(0x0c);
        g.words
    }
}

/// Fills the scratch memory, which nobody has written. Leaves its address in $28.
fn fill_scratch() -> Vec<u32> {
    let mut g = Generator { random: Random(1), words: Vec::new(), pending: 0, since_read: 9 };
    g.li(28, SCRATCH);
    g.li(8, SCRATCH_WORDS);
    g.li(9, 0x9e37_79b9);
    g.r(0x21, 28, 0, 10, 0);
    g.r(0x21, 11, 9, 11, 0);
    g.i(0x2b, 10, 11, 0);
    g.i(0x09, 8, 8, !0);
    g.i(0x05, 8, 0, -4i32 as u32);
    g.i(0x09, 10, 10, 4);
    g.words
}

/// A kernel that maps every page below 8 MB to physical 4 MB higher, starts the program with the floating-point unit, and halts
/// at its first system call.
const KERNEL: &str = "
    .org 0x80000000
        mfc0 $26, $8; lui $27, 0x0040; addu $26, $26, $27; srl $26, $26, 12; sll $26, $26, 12; ori $26, $26, 0x700
        mtc0 $26, $2; mfc0 $26, $14; tlbwr; jr $26; rfe
    .org 0x80000080
        li $26, 0xbfc08138; jr $26; nop
    .org 0x80030000
    start: li $8, 0x20000008; mtc0 $8, $12; nop; nop; la $26, 0x00400000; jr $26; rfe
";

#[test]
fn random_programs_agree() {
    agree("integer", Generator::program);
}

#[test]
fn random_floating_point_programs_agree() {
    agree("float", FloatGenerator::program);
}

/// Runs a few seeds' programs on both.
fn agree(name: &str, program: fn(u64) -> Vec<u32>) {
    if Command::new("qemu-mipsel").arg("--version").output().is_err() {
        eprintln!("SKIPPED: no qemu-mipsel here (apt-get install qemu-user)");
        return;
    }
    let seed = std::env::var("DECSTATION_SEED").ok().and_then(|s| s.parse().ok());
    let directory = std::env::temp_dir().join(format!("decstation-qemu-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a temporary directory");
    for seed in seed.map_or(1..=4u64, |seed: u64| seed..=seed) {
        let words = program(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let place = |base: u32| words.iter().enumerate().map(move |(i, &w)| (base + i as u32 * 4, w));

        let mut guest = Program { words: place(CODE).collect(), ..Program::default() };
        guest.words.extend((0..SCRATCH_WORDS + 64).map(|i| (SCRATCH + i * 4, 0)));
        // qemu's processor has 32 registers of 64 bits, unless asked for pairs: prctl(PR_SET_FP_MODE, 0).
        let stub =
            assemble(&format!(".org {STUB:#x}; start: li $2, 4192; li $4, 45; li $5, 0; syscall; j {CODE}; nop"));
        guest.words.extend(stub.words);
        guest.labels = stub.labels;
        let path = directory.join(format!("random-{seed}"));
        std::fs::write(&path, elf(&guest)).expect("a temporary file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("an executable file");
        let output = Command::new("qemu-mipsel").arg(&path).output().expect("qemu-mipsel runs");
        assert!(output.status.success(), "seed {seed}: qemu-mipsel: {output:?}");

        let mut kernel = assemble(KERNEL);
        kernel.words.extend(place(0x8040_0000 + CODE));
        let mut machine = decstation::Machine::new(Config { ram_mb: 12, fpu: name == "float", ..Config::default() });
        machine.load_elf(&elf(&kernel)).expect("the test's image");
        let stop = machine.run(Limits::instructions(10_000_000));
        assert_eq!(stop, Stop::Halted, "seed {seed}: {}", machine.describe(&stop));
        assert_eq!(
            machine.cp0().cause >> 2 & 31,
            8,
            "seed {seed}: must end with a system call, at {:08x}",
            machine.cp0().epc
        );
        assert!(machine.instructions() > LENGTH, "{} instructions", machine.instructions());

        let expected: Vec<u32> = output.stdout.as_chunks::<4>().0.iter().map(|&b| u32::from_le_bytes(b)).collect();
        assert_eq!(expected.len() as u32, SCRATCH_WORDS + 33);
        for (i, &expected) in expected.iter().enumerate() {
            let address = SCRATCH + i as u32 * 4;
            if i as u32 >= SCRATCH_WORDS && matches!(i as u32 - SCRATCH_WORDS, 26..=28) {
                continue;
            }
            let found = machine.read_physical(address + 0x40_0000);
            assert_eq!(found, Some(expected), "seed {seed}: {address:08x} (registers are at {STATE:08x})");
        }
        println!("seed {seed}: {} instructions, equal", machine.instructions());
    }
    let _ = std::fs::remove_dir_all(&directory);
}
