//! What a check found, and how it is printed.

use std::fmt;

use mips1::Instruction;

use crate::Rule;

/// One place where a rule is broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The address of the instruction that a programmer would move or change: the first one involved that is not the
    /// jump around a delay slot.
    pub address: u32,
    /// The rule.
    pub rule: Rule,
    /// Address and word of the instructions involved, in the order in which they are executed.
    pub instructions: Vec<(u32, u32)>,
    /// The function, demangled. Known only for ELF files.
    pub function: Option<String>,
    /// The source line. Known only for ELF files with debug information.
    pub location: Option<Location>,
    /// What is wrong here, in one sentence.
    pub message: String,
}

/// A line of source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Location {
    /// The file's path as the compiler knew it.
    pub file: String,
    /// The line, counted from 1.
    pub line: u32,
}

/// The result of a check that could be made.
#[derive(Clone, Debug)]
pub struct Report {
    /// How many executable sections were checked.
    pub sections: usize,
    /// How many instructions were checked.
    pub instructions: usize,
    /// What was found, by ascending address.
    pub findings: Vec<Finding>,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Several lines: the rule and the place, the instructions, and what is wrong with them.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} at {:#010x}", self.rule, self.address)?;
        if let Some(function) = &self.function {
            write!(f, " in {function}")?;
        }
        if let Some(location) = &self.location {
            write!(f, ", {location}")?;
        }
        writeln!(f)?;
        for &(address, word) in &self.instructions {
            match Instruction::decode(word) {
                Some(instruction) => writeln!(f, "    {address:08x}  {}", instruction.at(address))?,
                None => writeln!(f, "    {address:08x}  .word {word:#010x}")?,
            }
        }
        writeln!(f, "  {}", self.message)?;
        writeln!(f, "  rule: {}", self.rule.sentence())
    }
}

/// All findings, and a last line that counts.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        match self.findings.len() {
            0 => write!(f, "clean")?,
            findings => write!(f, "{}", count(findings, "hazard"))?,
        }
        writeln!(f, ": {} in {}", count(self.instructions, "instruction"), count(self.sections, "section"))
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
