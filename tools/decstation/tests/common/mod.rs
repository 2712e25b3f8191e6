//! What the tests share: an assembler for little programs, and machines that run them.
#![allow(dead_code)] // Each test uses a part.

use decstation::{Config, Limits, Machine, Stop};
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;

/// Where programs are placed unless they say otherwise: cached and unmapped.
pub const BASE: u32 = 0x8003_0000;

const REGISTERS: [&str; 32] = [
    "zero", "at", "v0", "v1", "a0", "a1", "a2", "a3", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7", "s0", "s1", "s2",
    "s3", "s4", "s5", "s6", "s7", "t8", "t9", "k0", "k1", "gp", "sp", "fp", "ra",
];

/// The comparisons of floating-point numbers, by code.
pub const CONDITIONS: [&str; 16] =
    ["f", "un", "eq", "ueq", "olt", "ult", "ole", "ule", "sf", "ngle", "seq", "ngl", "lt", "nge", "le", "ngt"];

/// An assembled program.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Words by address.
    pub words: Vec<(u32, u32)>,
    /// Labels.
    pub labels: HashMap<String, u32>,
}

/// Assembles MIPS I: one instruction or `label:` per line or `;`, `#` starts a comment. `$8` and `$t0` name registers, numbers may
/// be hexadecimal, `%hi(x)` and `%lo(x)` split one. Nothing is reordered and no slot is filled. `li` is two instructions
/// unless the number fits one, `la` always two. Directives: `.org ADDRESS`, `.word N`.
pub fn assemble(text: &str) -> Program {
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or(""))
        .flat_map(|line| line.split(';'))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let mut labels = HashMap::new();
    let mut program = Vec::new();
    for pass in 0..2 {
        program.clear();
        let mut at = BASE;
        for line in &lines {
            let mut line = *line;
            while let Some((label, rest)) = line.split_once(':') {
                labels.insert(label.trim().to_string(), at);
                line = rest.trim();
            }
            if line.is_empty() {
                continue;
            }
            let (mnemonic, operands) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            if mnemonic == ".org" {
                at = number(operands, &labels, true);
                continue;
            }
            for word in encode(mnemonic, operands, at, &labels, pass == 1) {
                program.push((at, word));
                at += 4;
            }
        }
    }
    Program { words: program, labels }
}

fn number(text: &str, labels: &HashMap<String, u32>, last: bool) -> u32 {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix("%hi(").and_then(|t| t.strip_suffix(')')) {
        return number(inner, labels, last).wrapping_add(0x8000) >> 16;
    }
    if let Some(inner) = text.strip_prefix("%lo(").and_then(|t| t.strip_suffix(')')) {
        return number(inner, labels, last) as u16 as i16 as u32;
    }
    if let Some((a, b)) = text.split_once('+') {
        return number(a, labels, last).wrapping_add(number(b, labels, last));
    }
    if let Some(hex) = text.strip_prefix("0x") {
        return u32::from_str_radix(hex, 16).unwrap_or_else(|_| panic!("number {text}"));
    }
    if let Ok(value) = text.parse::<i64>() {
        return value as u32;
    }
    match labels.get(text) {
        Some(&address) => address,
        None if !last => 0,
        None => panic!("no label {text}"),
    }
}

fn register(text: &str) -> u32 {
    let name = text.trim().strip_prefix('$').unwrap_or_else(|| panic!("register {text}"));
    if let Ok(n) = name.parse() {
        return n;
    }
    REGISTERS.iter().position(|&r| r == name).unwrap_or_else(|| panic!("register {text}")) as u32
}

fn encode(mnemonic: &str, operands: &str, at: u32, labels: &HashMap<String, u32>, last: bool) -> Vec<u32> {
    let ops: Vec<&str> = if operands.trim().is_empty() { vec![] } else { operands.split(',').map(str::trim).collect() };
    let reg = |i: usize| register(ops[i]);
    let num = |i: usize| number(ops[i], labels, last);
    let float = |i: usize| -> u32 {
        ops[i].strip_prefix("$f").and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("register {}", ops[i]))
    };
    let branch = |i: usize| {
        let offset = num(i).wrapping_sub(at + 4) as i32 >> 2;
        assert!(!last || i16::try_from(offset).is_ok(), "{mnemonic} {operands}: out of reach");
        offset as u32 & 0xffff
    };
    let r = |function: u32, s: u32, t: u32, d: u32, shift: u32| s << 21 | t << 16 | d << 11 | shift << 6 | function;
    let i = |op: u32, s: u32, t: u32, immediate: u32| op << 26 | s << 21 | t << 16 | immediate & 0xffff;
    let memory = |op: u32| {
        let (offset, base) = ops[1].rsplit_once('(').unwrap_or_else(|| panic!("operand {operands}"));
        let offset = if offset.trim().is_empty() { 0 } else { number(offset, labels, last) };
        let t = ops[0].trim_start_matches("$f");
        let t = t.parse().unwrap_or_else(|_| register(ops[0]));
        i(op, register(base.trim_end_matches(')')), t, offset)
    };
    let three = |function| vec![r(function, reg(1), reg(2), reg(0), 0)];
    let shift = |function| vec![r(function, 0, reg(1), reg(0), num(2) & 31)];
    let variable = |function| vec![r(function, reg(2), reg(1), reg(0), 0)];
    let immediate = |op| vec![i(op, reg(1), reg(0), num(2))];
    match mnemonic {
        ".word" => (0..ops.len()).map(num).collect(),
        "nop" => vec![0],
        "move" => vec![r(0x21, reg(1), 0, reg(0), 0)],
        "li" => match num(1) {
            value @ (0..0x8000 | 0xffff_8000..) => vec![i(0x09, 0, reg(0), value)],
            value if value < 0x1_0000 => vec![i(0x0d, 0, reg(0), value)],
            value if value & 0xffff == 0 => vec![i(0x0f, 0, reg(0), value >> 16)],
            value => vec![i(0x0f, 0, reg(0), value >> 16), i(0x0d, reg(0), reg(0), value)],
        },
        "la" => vec![i(0x0f, 0, reg(0), num(1) >> 16), i(0x0d, reg(0), reg(0), num(1))],
        "b" => vec![i(0x04, 0, 0, branch(0))],
        "mark" => vec![i(0x0f, 0, 0, num(0))],
        "sll" => shift(0x00),
        "srl" => shift(0x02),
        "sra" => shift(0x03),
        "sllv" => variable(0x04),
        "srlv" => variable(0x06),
        "srav" => variable(0x07),
        "jr" => vec![r(0x08, reg(0), 0, 0, 0)],
        "jalr" if ops.len() == 1 => vec![r(0x09, reg(0), 0, 31, 0)],
        "jalr" => vec![r(0x09, reg(1), 0, reg(0), 0)],
        "syscall" => vec![0x0c],
        "break" => vec![0x0d | if ops.is_empty() { 0 } else { num(0) << 16 }],
        "mfhi" => vec![r(0x10, 0, 0, reg(0), 0)],
        "mthi" => vec![r(0x11, reg(0), 0, 0, 0)],
        "mflo" => vec![r(0x12, 0, 0, reg(0), 0)],
        "mtlo" => vec![r(0x13, reg(0), 0, 0, 0)],
        "mult" => vec![r(0x18, reg(0), reg(1), 0, 0)],
        "multu" => vec![r(0x19, reg(0), reg(1), 0, 0)],
        "div" => vec![r(0x1a, reg(0), reg(1), 0, 0)],
        "divu" => vec![r(0x1b, reg(0), reg(1), 0, 0)],
        "add" => three(0x20),
        "addu" => three(0x21),
        "sub" => three(0x22),
        "subu" => three(0x23),
        "and" => three(0x24),
        "or" => three(0x25),
        "xor" => three(0x26),
        "nor" => three(0x27),
        "slt" => three(0x2a),
        "sltu" => three(0x2b),
        "bltz" => vec![i(0x01, reg(0), 0x00, branch(1))],
        "bgez" => vec![i(0x01, reg(0), 0x01, branch(1))],
        "bltzal" => vec![i(0x01, reg(0), 0x10, branch(1))],
        "bgezal" => vec![i(0x01, reg(0), 0x11, branch(1))],
        "j" => vec![0x02 << 26 | num(0) >> 2 & 0x03ff_ffff],
        "jal" => vec![0x03 << 26 | num(0) >> 2 & 0x03ff_ffff],
        "beq" => vec![i(0x04, reg(0), reg(1), branch(2))],
        "bne" => vec![i(0x05, reg(0), reg(1), branch(2))],
        "blez" => vec![i(0x06, reg(0), 0, branch(1))],
        "bgtz" => vec![i(0x07, reg(0), 0, branch(1))],
        "addi" => immediate(0x08),
        "addiu" => immediate(0x09),
        "slti" => immediate(0x0a),
        "sltiu" => immediate(0x0b),
        "andi" => immediate(0x0c),
        "ori" => immediate(0x0d),
        "xori" => immediate(0x0e),
        "lui" => vec![i(0x0f, 0, reg(0), num(1))],
        "mfc0" => vec![0x4000_0000 | reg(0) << 16 | reg(1) << 11],
        "mtc0" => vec![0x4080_0000 | reg(0) << 16 | reg(1) << 11],
        "tlbr" => vec![0x4200_0001],
        "tlbwi" => vec![0x4200_0002],
        "tlbwr" => vec![0x4200_0006],
        "tlbp" => vec![0x4200_0008],
        "rfe" => vec![0x4200_0010],
        "bc0f" => vec![0x4100_0000 | branch(0)],
        "bc0t" => vec![0x4101_0000 | branch(0)],
        "mfc1" if ops.len() == 1 => vec![0x4400_0000 | reg(0) << 16],
        "mfc1" => vec![0x4400_0000 | reg(0) << 16 | float(1) << 11],
        "mtc1" => vec![0x4480_0000 | reg(0) << 16 | float(1) << 11],
        "cfc1" => vec![0x4440_0000 | reg(0) << 16 | reg(1) << 11],
        "ctc1" => vec![0x44c0_0000 | reg(0) << 16 | reg(1) << 11],
        "bc1f" => vec![0x4500_0000 | branch(0)],
        "bc1t" => vec![0x4501_0000 | branch(0)],
        "cfc2" => vec![0x4840_0000 | reg(0) << 16],
        "lb" => vec![memory(0x20)],
        "lh" => vec![memory(0x21)],
        "lwl" => vec![memory(0x22)],
        "lw" => vec![memory(0x23)],
        "lbu" => vec![memory(0x24)],
        "lhu" => vec![memory(0x25)],
        "lwr" => vec![memory(0x26)],
        "sb" => vec![memory(0x28)],
        "sh" => vec![memory(0x29)],
        "swl" => vec![memory(0x2a)],
        "sw" => vec![memory(0x2b)],
        "swr" => vec![memory(0x2e)],
        "lwc1" => vec![memory(0x31)],
        "swc1" => vec![memory(0x39)],
        _ => {
            let (name, format) = mnemonic.rsplit_once('.').unwrap_or_else(|| panic!("mnemonic {mnemonic}"));
            let format = match format {
                "s" => 16,
                "d" => 17,
                "w" => 20,
                _ => panic!("mnemonic {mnemonic}"),
            };
            let function = match name {
                "add" | "sub" | "mul" | "div" => {
                    let function = ["add", "sub", "mul", "div"].iter().position(|&n| n == name).unwrap_or(0) as u32;
                    float(2) << 16 | float(1) << 11 | float(0) << 6 | function
                }
                "abs" => float(1) << 11 | float(0) << 6 | 5,
                "mov" => float(1) << 11 | float(0) << 6 | 6,
                "neg" => float(1) << 11 | float(0) << 6 | 7,
                "cvt.s" => float(1) << 11 | float(0) << 6 | 32,
                "cvt.d" => float(1) << 11 | float(0) << 6 | 33,
                "cvt.w" => float(1) << 11 | float(0) << 6 | 36,
                _ => {
                    let condition = CONDITIONS.iter().position(|&c| Some(c) == name.strip_prefix("c."));
                    let condition = condition.unwrap_or_else(|| panic!("mnemonic {mnemonic}")) as u32;
                    float(1) << 16 | float(0) << 11 | 48 | condition
                }
            };
            vec![0x4400_0000 | format << 21 | function]
        }
    }
}

/// An ELF executable with a program's words, one segment for each stretch, starting at [`BASE`].
pub fn elf(program: &Program) -> Vec<u8> {
    let mut words = program.words.clone();
    words.sort_unstable();
    let mut segments: Vec<(u32, Vec<u8>)> = Vec::new();
    for (address, word) in words {
        match segments.last_mut() {
            Some((start, data)) if *start + data.len() as u32 == address => data.extend(word.to_le_bytes()),
            _ => segments.push((address, word.to_le_bytes().into())),
        }
    }
    let entry = program.labels.get("start").copied().unwrap_or(BASE);
    let mut file = vec![0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let half = |file: &mut Vec<u8>, value: u16| file.extend(value.to_le_bytes());
    let long = |file: &mut Vec<u8>, value: u32| file.extend(value.to_le_bytes());
    half(&mut file, 2);
    half(&mut file, 8);
    for value in [1, entry, 52, 0, 0x1000] {
        long(&mut file, value);
    }
    for value in [52, 32, segments.len() as u16, 40, 0, 0] {
        half(&mut file, value);
    }
    // Offsets that a loader can map: equal to the address within a page.
    let mut offset = 52 + 32 * segments.len() as u32;
    let mut bodies = Vec::new();
    for (address, data) in segments {
        let size = data.len() as u32;
        offset += address.wrapping_sub(offset) & 0xfff;
        for value in [1, offset, address, address, size, size, 7, 0x1000] {
            long(&mut file, value);
        }
        bodies.push((offset, data));
        offset += size;
    }
    for (offset, data) in bodies {
        file.resize(offset as usize, 0);
        file.extend(data);
    }
    file
}

/// A functional machine without strict mode.
pub fn plain() -> Config {
    Config { strict: false, timed: false, ram_mb: 4, ..Config::default() }
}

/// A functional machine in strict mode.
pub fn strict() -> Config {
    Config { strict: true, timed: false, ram_mb: 4, ..Config::default() }
}

/// A machine with this program loaded.
pub fn load(config: Config, text: &str) -> (Machine, Program) {
    let program = assemble(text);
    let mut machine = Machine::new(config);
    machine.load_elf(&elf(&program)).expect("a test's own image");
    (machine, program)
}

/// Calls the PROM to halt. Ends every program that ends.
pub const HALT: &str = "
    li $t9, 0xbfc08138
    jr $t9
    nop
";

/// Runs a program that ends with [`HALT`], which is added.
pub fn run(config: Config, text: &str) -> Machine {
    let (mut machine, _) = load(config, &format!("{text}\n{HALT}"));
    let stop = machine.run(Limits::instructions(1_000_000));
    assert_eq!(stop, Stop::Halted, "{}", machine.describe(&stop));
    machine
}

/// A file for this test process alone.
pub fn write(name: &str, bytes: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("decstation-{}-{name}", std::process::id()));
    std::fs::write(&path, bytes).expect("a temporary file");
    path
}

/// Compiles C for the bare machine with symbols and lines, by Debian's compiler: source and image. None: there is no compiler.
pub fn compile(name: &str, source: &str) -> Option<(PathBuf, PathBuf)> {
    let path = write(&format!("{name}.c"), source.as_bytes());
    let image = path.with_extension("elf");
    let compiled = Command::new("mipsel-linux-gnu-gcc")
        .args(["-march=mips1", "-mabi=32", "-EL", "-msoft-float", "-mno-abicalls", "-fno-pic", "-G0", "-ffreestanding"])
        .args(["-g", "-O1"])
        .args(["-nostdlib", "-static", "-Wl,-Ttext=0x80030000", "-Wl,-e,_start", "-Wl,--build-id=none", "-Wl,-N"])
        .arg("-o")
        .args([&image, &path])
        .status();
    if !compiled.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: no mipsel-linux-gnu-gcc here (apt-get install gcc-mipsel-linux-gnu)");
        return None;
    }
    let stripped = Command::new("mipsel-linux-gnu-objcopy")
        .args(["-R", ".reginfo", "-R", ".MIPS.abiflags"])
        .arg(&image)
        .output()
        .expect("objcopy comes with the compiler");
    assert!(stripped.status.success());
    Some((path, image))
}
