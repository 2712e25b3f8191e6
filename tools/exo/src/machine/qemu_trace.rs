//! Reading what QEMU writes with `-singlestep -d exec,nochain`: a line for each instruction.
//!
//! ```text
//! Trace 0: 0x7f2b5c0001c0 [00000000/80030064/00000010/00000201] start
//! Stopped execution of TB chain before 0x7f2b5c0001c0 [80030064] start
//! cpu_io_recompile: rewound execution of TB to 80030064
//! ```
//!
//! The second number in the brackets is the address, the third tells the mode. The other two lines take the one before
//! back: the instruction was interrupted before it began, or begins anew, with the clock set right, because it reads or
//! writes a device. QEMU tells no instruction words, so they are looked up in the image. What QEMU says to a
//! person is passed on as console text, all else passed over.

use std::ops::ControlFlow;

use aegis_abi::boot::{KERNEL_NAME, PROGRAM_PREFIX};
use anyhow::{Context, Result, ensure};
use cpio::newc;
use goblin::elf::Elf;
use goblin::elf::program_header::PT_LOAD;

use super::{Observer, Step};
use crate::image;

/// What is in memory at the addresses of the guest's code.
#[derive(Debug, Default)]
pub struct Words(Vec<(u32, Vec<u8>)>);

impl Words {
    /// Those of the loader, the kernel and the program of an image. There may be one program only, since programs are
    /// all at the same addresses.
    pub fn of_image(file: &[u8]) -> Result<Self> {
        let mut words = Self::default();
        words.add(file)?;
        let archive = image::archive_of(file)?;
        let mut reader = newc::Reader::new(archive).context("the boot archive")?;
        let mut programs = 0;
        while !reader.entry().is_trailer() {
            let name = reader.entry().name().to_owned();
            let mut contents = Vec::new();
            std::io::Read::read_to_end(&mut reader, &mut contents)?;
            programs += usize::from(name.starts_with(PROGRAM_PREFIX));
            if name == KERNEL_NAME || name.starts_with(PROGRAM_PREFIX) {
                words.add(&contents).with_context(|| format!("{name} in the boot archive"))?;
            }
            reader = newc::Reader::new(reader.finish()?)?;
        }
        ensure!(programs <= 1, "on this machine one program at a time can be traced, and the image has {programs}");
        Ok(words)
    }

    fn add(&mut self, file: &[u8]) -> Result<()> {
        let elf = Elf::parse(file)?;
        for header in elf.program_headers.iter().filter(|header| header.p_type == PT_LOAD) {
            let contents = file.get(header.file_range()).context("a segment lies outside of the file")?;
            self.0.push((header.p_vaddr as u32, contents.to_vec()));
        }
        Ok(())
    }

    /// The word at an address; 0 where the image has nothing.
    fn at(&self, address: u32) -> u32 {
        let found = self.0.iter().rev().find_map(|(start, contents)| {
            let offset = address.checked_sub(*start)? as usize;
            contents.get(offset..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
        });
        found.unwrap_or(0)
    }
}

/// Begins what QEMU has to say to a person. It also writes lines about changes of Status, and the like.
pub const MESSAGE: &[u8] = b"qemu-system-";

/// Tells instructions and messages apart, line by line.
#[derive(Debug)]
pub struct TraceReader {
    words: Words,
    /// The instruction of the last line, unless it was taken back.
    last: Option<Step>,
}

/// Begins what is said of an instruction.
const EXECUTED: &[u8] = b"Trace 0: 0x";
/// Begins the lines that take an instruction back.
const TAKEN_BACK: [&[u8]; 2] =
    [b"Stopped execution of TB chain before 0x", b"cpu_io_recompile: rewound execution of TB to "];

impl TraceReader {
    /// Reads a trace of code that consists of `words`.
    pub fn new(words: Words) -> Self {
        Self { words, last: None }
    }

    /// Tells the observer what a line, and the instruction before it, say.
    pub fn line(&mut self, line: &[u8], observer: &mut dyn Observer) -> ControlFlow<()> {
        if let Some(step) = self.instruction(line) {
            self.end(observer);
            self.last = Some(step);
        } else if TAKEN_BACK.iter().any(|begin| line.starts_with(begin)) {
            self.last = None;
        } else if line.starts_with(MESSAGE) {
            return observer.console(line);
        }
        ControlFlow::Continue(())
    }

    /// Tells the observer of the last instruction.
    pub fn end(&mut self, observer: &mut dyn Observer) {
        if let Some(step) = self.last.take() {
            observer.instruction(step);
        }
    }

    /// The instruction that a line is about.
    fn instruction(&self, line: &[u8]) -> Option<Step> {
        const MODE: u32 = 3;
        const USER: u32 = 2;
        let brackets = line.strip_prefix(EXECUTED)?.split(|&byte| byte == b'[').nth(1)?;
        let mut numbers = brackets.split(|&byte| byte == b'/').skip(1);
        let mut number = || u32::from_str_radix(std::str::from_utf8(numbers.next()?).ok()?, 16).ok();
        let (address, flags) = (number()?, number()?);
        Some(Step { address, word: self.words.at(address), user: Some(flags & MODE == USER), cycles: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Record {
        console: Vec<u8>,
        instructions: Vec<Step>,
    }

    impl Observer for Record {
        fn console(&mut self, bytes: &[u8]) -> ControlFlow<()> {
            self.console.extend_from_slice(bytes);
            ControlFlow::Continue(())
        }

        fn instruction(&mut self, step: Step) {
            self.instructions.push(step);
        }
    }

    fn read(text: &[u8]) -> Record {
        let mut record = Record::default();
        let words = Words(vec![(0x1_0000, [1_u32.to_le_bytes(), 2_u32.to_le_bytes()].concat())]);
        let mut reader = TraceReader::new(words);
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            assert!(reader.line(line, &mut record).is_continue());
        }
        reader.end(&mut record);
        record
    }

    #[test]
    fn what_is_taken_back_is_not_counted() {
        let record = read(
            b"Trace 0: 0x7f2b5c0001c0 [00000000/00010000/00000012/00000201] \n\
              Trace 0: 0x7f2b5c0001c0 [00000000/00010004/00000012/00000201] main\n\
              Stopped execution of TB chain before 0x7f2b5c0001c0 [00010004] main\n\
              Trace 0: 0x7f2b5c0001c0 [00000000/80000180/00000010/00000201] general\n\
              cpu_io_recompile: rewound execution of TB to 80000180\n\
              Trace 0: 0x7f2b5c0001c0 [00000000/80000180/00000010/00000201] general\n\
              Trace 0: 0x7f2b5c0001c0 [00000000/00010004/00000012/00000201] main\n\
              Status 00000000 (00000000) => 00008013 (00000000) Cause 00000020\n\
              qemu-system-mipsel: no\n",
        );
        assert_eq!(record.console, b"qemu-system-mipsel: no\n");
        let step = |address, word, user| Step { address, word, user: Some(user), cycles: None };
        let expected = [step(0x1_0000, 1, true), step(0x8000_0180, 0, false), step(0x1_0004, 2, true)];
        assert_eq!(record.instructions, expected);
    }
}
