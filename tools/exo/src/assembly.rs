//! Source lines of hand-written assembly, which has no debug information: found by counting instructions from a label.
//!
//! Assembly stands in the source as one string an instruction. From the line that holds the label of a function, the n-th
//! string that is an instruction is the n-th instruction of the function, as long as nothing is generated in between. Where
//! something is (a macro, a repetition), this ends: no line is better than a wrong one.

use std::fs;
use std::path::{Path, PathBuf};

use mips1::Opcode;

/// Where hand-written assembly is, below the workspace.
const PLACES: [&str; 4] = ["aegis/src", "exos/rt/src", "loader/src", "bench/src"];

/// A line of assembly: the file, the line's number, and the instruction with its comment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// The source file.
    pub file: PathBuf,
    /// The line in it.
    pub number: u32,
    /// What stands there, without the quotation marks.
    pub text: String,
}

/// All sources that may hold assembly.
pub struct Assembly(Vec<(PathBuf, String)>);

impl Assembly {
    /// Reads the sources below the workspace's root. One that can't be read has no lines to show.
    pub fn read(root: &Path) -> Self {
        let mut sources = Vec::new();
        let mut directories: Vec<_> = PLACES.iter().map(|place| root.join(place)).collect();
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    directories.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs")
                    && let Ok(text) = fs::read_to_string(&path)
                {
                    sources.push((path, text));
                }
            }
        }
        Self(sources)
    }

    /// The line of instruction number `index` behind the label `function`, if it has that mnemonic.
    pub fn line(&self, function: &str, index: usize, mnemonic: &str) -> Option<Line> {
        let label = format!("\"{function}:\",");
        self.0.iter().find_map(|(file, text)| {
            let mut lines = text.lines().zip(1..).skip_while(|(line, _)| line.trim() != label).skip(1);
            let strings = lines.by_ref().take_while(|(line, _)| is_within(line));
            let (line, number) = strings.filter(|(line, _)| instruction(line).is_some()).nth(index)?;
            let (found, text) = instruction(line)?;
            agree(found, mnemonic).then(|| Line { file: file.clone(), number, text: text.to_owned() })
        })
    }
}

/// Whether a line can belong to a block of assembly in which each string is one instruction, a directive that makes none, or empty.
fn is_within(line: &str) -> bool {
    const HARMLESS: [&str; 8] = [".globl", ".type", ".size", ".balign", ".set", ".word", ".text", ".section"];
    const SHORT: [&str; 4] = ["nop", "move", "li", "b"];
    let line = line.trim();
    let Some(text) = line.strip_prefix('"') else { return line.is_empty() || line.starts_with("//") };
    let word = text.split(['"', ' ']).find(|word| !word.is_empty() && !word.ends_with(':')).unwrap_or_default();
    let known = || Opcode::ALL.iter().any(|opcode| opcode.mnemonic() == word);
    !word.starts_with(|c: char| c.is_alphabetic() || c == '.')
        || HARMLESS.contains(&word)
        || SHORT.contains(&word)
        || known()
}

/// The mnemonic of a line that is an instruction, and the line without quotation marks.
fn instruction(line: &str) -> Option<(&str, &str)> {
    let text = line.trim().strip_prefix('"')?;
    let (code, _) = text.split_once('"')?;
    let mut words = code.split_whitespace();
    let mut first = words.next()?;
    if first.ends_with(':') {
        first = words.next()?;
    }
    (first == ".word" || !first.starts_with('.')).then_some((first, line.trim()))
}

/// Whether the source's mnemonic and the disassembler's are of the same instruction.
fn agree(source: &str, disassembled: &str) -> bool {
    let renamed = |in_source: &str, shown: &str| source == in_source && disassembled == shown;
    source == disassembled
        || source == ".word"
        || renamed("beq", "beqz")
        || renamed("bne", "bnez")
        || renamed("beq", "b")
        || renamed("addiu", "li")
        || renamed("ori", "li")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"
    ".globl start",
    "start:",
    // A comment.
    "    lui   $k1, {pages}",           // the pages
    "",
    "    .balign 4",
    "1:  beq   $k0, $zero, 2f",
    "     nop",                         // the slot
    "2:  .word 0x42000010",             // rfe
    "    some_macro 3",
    "    jr    $k0",
"#;

    #[test]
    fn instructions_are_counted() {
        let assembly = Assembly(vec![("a.rs".into(), SOURCE.to_owned())]);
        let number = |index, mnemonic| assembly.line("start", index, mnemonic).map(|line| line.number);
        assert_eq!(number(0, "lui"), Some(5));
        assert_eq!(number(1, "beqz"), Some(8));
        assert_eq!(number(2, "nop"), Some(9));
        assert_eq!(number(3, "rfe"), Some(10));
        assert_eq!(number(4, "jr"), None, "nobody knows how long a macro is");
        assert_eq!(number(0, "lw"), None);
        assert_eq!(assembly.line("other", 0, "lui"), None);
        let line = assembly.line("start", 0, "lui").unwrap();
        assert_eq!(line.text, r#""    lui   $k1, {pages}",           // the pages"#);
    }
}
